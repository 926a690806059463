"""Products with the identity matrix, the basis of `jacobian` and `hessian`; the layout of what BLAS reads."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import reference
from xpgrad.passes import run_passes
from xpgrad.testing import close, tolerance
from xpgrad.trace import graph_of

EXACT = tolerance(np.float64).value
A = np.cos(np.arange(20.0)).reshape(5, 4)
S = np.arange(1.0, 5.0)
W = np.sin(np.arange(4.0))

# A linear map of w by the matrix a, with fewer inputs than outputs; its Jacobian.
LINEAR = {
    "the matrix": (lambda w, a: a @ w, lambda a: a),
    "from the other side": (lambda w, a: w @ a.T, lambda a: a),
    "a factor for each column": (lambda w, a: a @ (w * S), lambda a: a * S),
    "a factor in front": (lambda w, a: a @ (S * w), lambda a: a * S),
    "a quotient, a sign and a number": (lambda w, a: a @ (-(w * 3.0) / S), lambda a: a * (-3.0 / S)),
    "a column": (lambda w, a: a @ np.reshape(w, (4, 1)), lambda a: a[:, None]),
    "a row": (lambda w, a: np.reshape(w, (4, 1)).T @ a.T, lambda a: a[None]),
}


def passed(f, *args):
    graph, rebuild = graph_of(f, *args)
    out, _ = run_passes(graph)
    return [node.op.name for node in out.nodes], rebuild(reference.run(out, list(args)))


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("infinite", [False, True])
def test_the_jacobian_of_a_linear_map_is_its_matrix_without_a_product(name, infinite):
    f, expected = LINEAR[name]
    a = A.copy()
    if infinite:
        a[1, 2] = np.inf  # which a product with a zero of the basis would make NaN of
    ops, found = passed(xg.jacobian(f), W, a)
    assert "dot" not in ops
    assert "embed_diagonal" not in ops
    assert close(found, expected(a), EXACT)


@pytest.mark.parametrize("scale", [2.0, np.arange(4.0)])
def test_a_matrix_that_is_no_identity_is_multiplied(scale):
    def f(w, a):
        return a @ np.diag(w * scale)

    ops, found = passed(f, W, A)
    assert "dot" in ops
    assert close(found, A * (W * scale), EXACT)


def weighted(X, d, e):
    return (X.T * d + X.T / e) @ X


def test_a_weighted_product_stores_the_matrix_as_it_lies():
    X, d = np.cos(np.arange(30.0)).reshape(10, 3), np.arange(1.0, 11.0)
    ops, found = passed(weighted, X, d, d)
    assert ops.index("transpose") > ops.index("add")
    assert close(found, (X.T * (d + 1 / d)) @ X, EXACT)


def test_the_hessian_of_a_logistic_loss_is_one_weighted_product():
    X = np.cos(np.arange(200.0)).reshape(50, 4)
    y = (np.arange(50) % 2).astype(float)

    def loss(w, X, y):
        p = 1 / (1 + np.exp(-(X @ w)))
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    ops, found = passed(xg.hessian(loss), W, X, y)
    p = 1 / (1 + np.exp(-(X @ W)))
    assert ops.count("dot") == 2
    assert close(found, (X.T * (p * (1 - p) / 50)) @ X, EXACT)
