"""A traced function as a Graph: shown, verified, and the shape rule as its type checker."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.core import Aval, Const, show, verify
from xpgrad.trace import graph_of


def small():
    return graph_of(lambda x: np.sum(x * 2), np.ones(3))[0]


def test_show_prints_one_line_for_each_node():
    assert show(small()).splitlines() == [
        "in   a  float64[3]",
        "b = multiply(a, 2)  float64[3]",
        "c = sum(b, axis=None, keepdims=False)  float64[]",
        "out  c",
    ]


def test_show_names_constants_by_dtype_and_shape():
    graph, _ = graph_of(lambda x: x @ np.ones((3, 2)), np.ones(3))
    assert "b = dot(a, float64[3, 2])  float64[2]" in show(graph)


def test_verify_accepts_what_was_traced():
    verify(small())


def test_verify_names_a_node_whose_shape_is_wrong():
    graph = small()
    graph.nodes[0].shape = (4,)
    with pytest.raises(
        AssertionError, match=r"node 0 \(multiply\): rule says float64\[3\], node says float64\[4\]"
    ):
        verify(graph)


def test_verify_names_a_node_that_uses_what_comes_later():
    graph = small()
    graph.nodes.reverse()
    with pytest.raises(AssertionError, match=r"node 0 \(sum\): operand 0 comes later"):
        verify(graph)


def test_verify_names_an_output_that_is_not_computed():
    graph = small()
    graph.outputs = [small().nodes[0]]
    with pytest.raises(AssertionError, match="is not computed"):
        verify(graph)


def test_a_python_scalar_is_weak_and_gives_way():
    assert np.result_type(Aval((), np.dtype(float), weak=True).promoting, np.float32) == np.float32


def test_a_constant_result_is_part_of_the_rebuilt_tree():
    graph, rebuild = graph_of(lambda x: {"y": x + 1, "n": 3}, np.ones(3))
    assert len(graph.outputs) == 1
    assert rebuild(["value"]) == {"y": "value", "n": 3}


def test_an_operand_is_an_input_a_node_or_a_constant():
    graph, _ = graph_of(lambda x: (x * 2) * x, np.ones(3))
    (x,) = graph.inputs
    double, product = graph.nodes
    assert double.operands[0] is x
    assert isinstance(double.operands[1], Const)
    assert (double.operands[1].data, double.operands[1].aval) == (2, Aval((), np.dtype(int), weak=True))
    assert product.operands == (double, x)


@pytest.mark.parametrize("writeable", [True, False])
def test_an_array_that_several_nodes_read_is_one_constant(writeable):
    weights = np.arange(3.0)
    weights.flags.writeable = writeable
    graph, _ = graph_of(lambda x: np.sum(x * weights) + np.dot(x, weights), np.ones(3))
    product, _, dot, _ = graph.nodes
    assert product.operands[1] is dot.operands[1]
    assert product.operands[1].data is weights


def test_verify_lets_a_python_number_that_an_outer_trace_wraps_give_way():
    def loss(scale, x):
        graph, _ = graph_of(lambda x: x * scale, x)
        assert graph.nodes[0].dtype == np.float32
        verify(graph)
        return scale

    assert xg.grad(loss)(2.0, np.ones(3, np.float32)) == 1
