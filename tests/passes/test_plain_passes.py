"""fold, cse, simplify and dead: what they take out, and that nothing else changes."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import reference
from xpgrad.compiler import compile
from xpgrad.core import OPS, verify
from xpgrad.passes import PIPELINE, run_passes
from xpgrad.passes.cse import cse
from xpgrad.passes.dead import dead
from xpgrad.passes.fold import fold
from xpgrad.passes.lower import lower
from xpgrad.passes.simplify import simplify
from xpgrad.trace import graph_of

X = np.linspace(-2.0, 2.0, 12).reshape(3, 4)
EDGES = np.array([-np.inf, -1e308, -2.5, -1.0, -1e-310, -0.0, 0.0, 5e-324, 0.7, 1.0, 1e308, np.inf, np.nan])


# ── fold ─────────────────────────────────────────────────────────────────────────────────────
def test_ops_on_constants_are_computed(through):
    found = through([fold, dead], lambda x: x * np.exp(np.zeros_like(x, shape=()) + 0.5), X)
    assert found.ops == ["multiply"]


def test_zeros_of_a_large_shape_are_not_made(through):
    assert "full_like" in through([fold], lambda x: x + np.zeros_like(x, shape=(500, 3, 4)), X).ops


def test_an_output_that_is_constant_stays_a_node(through):
    found = through([fold, dead], lambda x: (x, np.zeros_like(x, shape=()) + 1.0), X)
    assert len(found.ops) >= 1


def inverse_of_zeros(x):
    nothing = np.zeros((2, 2)) + np.zeros_like(x, shape=())
    return x, np.linalg.inv(nothing)


def test_what_fails_is_left_to_fail_when_the_program_runs():
    graph, _ = graph_of(inverse_of_zeros, X)
    out, _ = run_passes(graph)
    assert [node.op.name for node in out.nodes] == ["inv"]
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        reference.run(out, [X])
    compiled = compile(inverse_of_zeros)
    assert "inv" in compiled.explain(X)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        compiled(X)


def test_what_warns_where_warnings_are_errors_is_left_to_do_so_when_the_program_runs():
    graph, _ = graph_of(lambda x: (x, np.mean(np.zeros(0) + np.zeros_like(x, shape=()))), X)
    assert "mean" in [node.op.name for node in fold(graph).nodes]


@pytest.mark.parametrize("bug", [AssertionError, AttributeError, KeyError, NameError, RuntimeError])
def test_a_mistake_of_ours_is_not_taken_for_the_users(monkeypatch, bug):
    def implementation(*_):
        raise bug("a mistake")

    graph, _ = graph_of(inverse_of_zeros, X)
    monkeypatch.setattr(OPS["inv"], "implementations", [implementation] * 4)
    with pytest.raises(bug, match="a mistake"):
        fold(graph)


def test_numbers_of_an_enclosing_trace_are_not_looked_at():
    def outer(x):
        graph, _ = graph_of(lambda y: y * x + x, X)
        for _, one in PIPELINE:
            graph = one(graph, lambda _: None)
            verify(graph)
        return x

    graph_of(outer, X)


# ── cse ──────────────────────────────────────────────────────────────────────────────────────
def test_what_is_written_twice_is_computed_once(through):
    found = through([cse], lambda x: np.exp(x) + np.exp(x), X, exact=True)
    assert found.ops == ["exp", "add"]
    assert found.notes == ["1 of 3 nodes were there already"]


@pytest.mark.parametrize(("a", "b"), [(0.0, -0.0), (1, 1.0), (True, 1), (np.float32(1), np.float64(1))])
def test_scalars_that_only_compare_equal_are_told_apart(through, a, b):
    assert len(through([cse], lambda x: (x / a, x / b), X, exact=True).ops) == 2


def test_nan_is_the_same_as_itself(through):
    assert len(through([cse], lambda x: (x + np.nan, x + float("nan")), X).ops) == 1


def test_arrays_are_the_same_only_as_one_object(through):
    a = np.ones(4)
    assert len(through([cse], lambda x: (x + a, x + a, x + a.copy()), X).ops) == 2


def test_parameters_may_be_slices_dtypes_and_arrays(through):
    i = np.array([0, 2])
    found = through([cse], lambda x: (x[1:], x[1:], x[:1], x.astype("f4"), x.astype(np.float32), x[i], x[i]), X)
    assert found.ops == ["getitem", "getitem", "astype", "getitem"]


def test_axes_are_compared_as_what_they_mean(through):
    f = lambda x: (x.sum(axis=1), x.sum(axis=-1), x.sum(axis=(1,)), x.sum(), x.sum(axis=(0, 1)))
    assert through([simplify], f, X).ops == ["sum", "sum"]


# ── dead ─────────────────────────────────────────────────────────────────────────────────────
def test_what_leads_nowhere_goes_and_inputs_stay(through):
    def f(x, y):
        np.exp(y)
        return x * 2

    found = through([dead], f, X, X)
    assert found.ops == ["multiply"]
    assert len(found.graph.inputs) == 2


# ── simplify ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("f", "ops"),
    [
        (lambda x: x**2, ["square"]),
        (lambda x: x**2.0, ["square"]),
        (lambda x: x**1, []),
        (lambda x: x**-1, ["reciprocal"]),
        (lambda x: 1 / x, ["reciprocal"]),
        (lambda x: x * 1, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1, []),
        (lambda x: x * -1, ["negative"]),
        (lambda x: x / -1, ["negative"]),
        (lambda x: x - 0, []),
        (lambda x: x + 0, ["add"]),
        (lambda x: x - (-0.0), ["subtract"]),
        (lambda x: 0 * x, ["multiply"]),
        (lambda x: np.negative(-x), []),
        (lambda x: 1.5 - (-x), ["add"]),
        (lambda x: -x + 1.5, ["subtract"]),
        (lambda x: (-x) * (-x), ["multiply"]),
        (lambda x: -(2.5 * x), ["multiply"]),
        (lambda x: -(x * 0), ["multiply", "negative"]),
        (lambda x: (-x) * 2.5, ["multiply"]),
        (lambda x: (-x) / 2.5, ["divide"]),
        (lambda x: abs(-x), ["absolute"]),
        (lambda x: np.square(abs(-x)), ["square"]),
        (lambda x: x / 8, ["divide"]),
        (lambda x: x / 3, ["divide"]),
        (lambda x: x / 2.0**-1074, ["divide"]),
        (lambda x: np.where(x > 0, x, x), []),
        (lambda x: +x, []),
        (lambda x: np.conj(x), []),
        (lambda x: x.copy(), []),
        (lambda x: x * np.ones_like(x), []),
        (lambda x: x + np.full_like(x, 2.5), ["add"]),
        (lambda x: x + np.broadcast_to(x.reshape(-1)[:1], x.shape), ["reshape", "getitem", "add"]),
        (lambda x: x.T.T, []),
        (lambda x: x.reshape(-1).reshape(x.shape), []),
        (lambda x: x.astype(x.dtype), []),
        (lambda x: np.broadcast_to(x, x.shape), []),
        (lambda x: x[:], []),
        (lambda x: x[..., None][..., 0], []),
        (lambda x: x[::-1], ["getitem"]),
        (lambda x: xg.stop_gradient(x), []),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_less_work_for_the_same_bits(through, f, ops, dtype):
    with np.errstate(all="ignore"):
        for x in (EDGES.astype(dtype), EDGES.astype(dtype)[None, :], EDGES.astype(dtype)[:, None]):
            found = through([simplify, dead], f, x, exact=True)
    assert found.ops == ops


def test_a_cube_is_two_products(through):
    assert through([simplify], lambda x: x**3, X).ops == ["square", "multiply"]


def test_a_square_root_is_what_numpy_makes_of_the_power(through):
    assert through([simplify], lambda x: x**0.5, EDGES, exact=True).ops == ["sqrt"]


@pytest.mark.parametrize("f", [lambda x: x**2.0, lambda x: x * 1.0, lambda x: -x + 1, lambda x: x / 2])
def test_integers_keep_their_dtypes(through, f):
    through([simplify, dead], f, np.arange(-3, 4), exact=True)
    through([simplify, dead], f, np.arange(7, dtype=np.uint8), exact=True)


def test_a_write_to_all_of_an_array_leaves_nothing_of_it(through):
    def f(x):
        y = np.zeros_like(x)
        y[...] = x[0]
        return y

    assert "index_update" not in through([simplify, dead], f, X, exact=True).ops


def test_a_python_scalar_stays_one(through):
    """Its dtype gives way: what it is multiplied with stays float32."""
    found = through([simplify, lower, dead], lambda w, x: (2 * (w * 1)) * x, 0.5, np.ones(3, np.float32))
    assert found.graph.outputs[0].dtype == np.float32


def test_an_input_that_is_an_output_stays_both(through):
    found = through([one for _, one in PIPELINE], lambda x, y: (x * 1, x, np.negative(-y)), X, X, exact=True)
    assert found.graph.outputs == [found.graph.inputs[0]] * 2 + [found.graph.inputs[1]]
    assert found.ops == []


def test_reports_say_what_each_pass_did():
    def f(z):
        return np.log(1 - 1 / (1 + np.exp(-z)))

    graph, _ = graph_of(f, X)
    out, reports = run_passes(graph)
    assert [r.name for r in reports] == [name for name, _ in PIPELINE]
    assert reports[0].nodes_before == len(graph.nodes)
    assert reports[-1].nodes_after == len(out.nodes)
    (stable,) = [r for r in reports if r.name == "stabilise"]
    assert stable.notes[0].startswith("1 / (1 + exp(-z)) -> expit(z)  at test_plain_passes.py:")
