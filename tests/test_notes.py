"""The notes that xpgrad grew from: their lines run unchanged, and their gradients are ours."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import tolerance
from xpgrad.trace import graph_of

# The notes' formulas and ours are to agree to this, in float64.
NOTES = 1e-12


def loss(params, X, Y):
    W, b = params
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def by_hand(params, X, Y):
    W, b = params
    m = X.shape[1]
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    dz = A - Y
    dw = np.dot(X, dz.T) / m
    db = dz.sum() / m
    return dw, db


def problem(dtype, n_x=5, m=400, n_y=1):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(n_x, m)).astype(dtype)
    Y = (rng.random((n_y, m)) < 0.4).astype(dtype)
    W = (0.5 * rng.normal(size=(n_x, n_y))).astype(dtype)
    return (W, 0.3), X, Y


def test_gradients_are_the_notes_formulas():
    params, X, Y = problem(np.float64)
    value, (dW, db) = xg.value_and_grad(loss)(params, X, Y)
    dw, db_by_hand = by_hand(params, X, Y)
    assert value == loss(params, X, Y)
    assert np.max(np.abs(dW - dw)) < NOTES
    assert abs(db - db_by_hand) < NOTES


def test_in_float32_everything_stays_float32():
    params, X, Y = problem(np.float32)
    value, (dW, db) = xg.value_and_grad(loss)(params, X, Y)
    dw, db_by_hand = by_hand(params, X, Y)
    assert [np.asarray(x).dtype for x in (value, dW, db)] == [np.float32] * 3
    assert np.max(np.abs(dW - dw)) < tolerance(np.float32).value
    assert abs(db - db_by_hand) < tolerance(np.float32).value


def test_the_five_lines_run_on_traced_arrays():
    params, X, Y = problem(np.float64)
    (dw, db), _ = xg.vjp(lambda W, b: by_hand((W, b), X, Y), *params)
    expected = by_hand(params, X, Y)
    assert np.array_equal(dw, expected[0])
    assert db == expected[1]
    xg.check_grads(lambda W, b: by_hand((W, b), X, Y), params)


def test_several_outputs_with_a_bias_each():
    (W, _), X, Y = problem(np.float64, n_y=3)
    b = np.array([[0.1], [0.2], [-0.3]])
    dW, db = xg.grad(loss)((W, b), X, Y)
    A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
    assert np.max(np.abs(dW - np.dot(X, (A - Y).T) / Y.size)) < NOTES
    assert np.max(np.abs(db - (A - Y).sum(axis=1, keepdims=True) / Y.size)) < NOTES


def test_samples_in_rows_give_the_same():
    (W, b), X, Y = problem(np.float64)

    def in_rows(params, X, Y):
        W, b = params
        A = 1 / (1 + np.exp(-(X @ W + b)))
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    dW, db = xg.grad(in_rows)((W, b), X.T, Y.T)
    dw, db_by_hand = by_hand((W, b), X, Y)
    assert np.max(np.abs(dW - dw)) < NOTES
    assert abs(db - db_by_hand) < NOTES


def test_with_shapes_alone_the_whole_step_is_one_graph():
    params, X, Y = problem(np.float64)
    graph, _ = graph_of(xg.value_and_grad(loss), params, X, Y)
    names = [node.op.name for node in graph.nodes]
    assert names.count("dot") == 2
    assert len(graph.outputs) == 3


def test_the_printed_line_without_parentheses_is_no_sigmoid():
    z = np.array([-2.0, 0.0, 2.0])
    assert np.all(1 / 1 + np.exp(-z) > 1)
    assert np.all(1 / (1 + np.exp(-z)) < 1)


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_over_columns_and_rows(axis):
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(
        xg.grad(lambda x: np.sum(x.sum(axis=axis) ** 2))(x), 2 * x.sum(axis, keepdims=True) + 0 * x
    )


def test_define_initialise_loop():
    (W, b), X, Y = problem(np.float64)
    start = loss((W, b), X, Y)
    for _ in range(200):
        dW, db = xg.grad(loss)((W, b), X, Y)
        W, b = W - 0.5 * dW, b - 0.5 * db
    fit = xg.minimize(loss, (W, b), (X, Y), method="lbfgs")
    assert fit.value <= loss((W, b), X, Y) < start
    assert loss((W, b), X, Y) - fit.value < 1e-3
