"""hoist: what depends on the data alone goes into a program of its own, where that saves reading."""

import numpy as np
import pytest

from xpgrad.backends import reference
from xpgrad.core import verify
from xpgrad.passes import run_passes
from xpgrad.passes.hoist import hoisted
from xpgrad.special import gammaln
from xpgrad.trace import graph_of

RNG = np.random.default_rng(0)
W, X, Y = RNG.normal(size=3), RNG.normal(size=(3, 40)), (RNG.random(40) < 0.4).astype(float)
LABELS = RNG.integers(0, 3, 40)


def parts(f, *args):
    """The ops of the outputs of the first part, and whether both parts together give what ``f`` does."""
    graph, _ = run_passes(graph_of(f, *args)[0])
    found = hoisted(graph, 1)
    if found is None:
        return [], None
    verify(found.prior)
    verify(found.rest)
    values = reference.run(found.prior, args)
    (out,) = reference.run(found.rest, [*args, *values])
    np.testing.assert_allclose(out, f(*args), rtol=1e-12)
    return [v.op.name for v in found.prior.outputs], found


def test_sums_of_the_data_are_hoisted_and_what_is_made_of_them():
    ops, found = parts(lambda w, X, Y: np.sum(w @ X) * np.log(np.mean(Y)), W, X, Y)
    assert ops == ["log"]
    assert [v.shape for v in found.prior.outputs] == [()]
    assert not any(n.op.name in ("log", "mean") for n in found.rest.nodes)


def test_standardisation_is_hoisted_as_its_means_and_deviations_and_stays_fused():
    def f(w, X):
        return np.sum(np.exp(w @ ((X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True))))

    _, found = parts(f, W, X)
    assert {v.shape for v in found.prior.outputs} == {(3, 1)}
    assert {"subtract", "divide"} <= {n.op.name for n in found.rest.nodes}


@pytest.mark.parametrize(
    "f",
    [
        lambda w, X, Y: np.sum((1 - Y) * (w @ X)),
        lambda w, X, Y: np.sum(np.exp(X.T) @ w),
        lambda w, X, Y: np.sum(w @ np.concatenate([X, X, X])[3:6]),
        lambda w, X, Y: np.sum((w @ X) * np.concatenate([Y[1:], Y[:1]])),
        lambda w, X, Y: np.sum((Y[:, None] * Y) @ np.ones(40)) * w[0],
    ],
    ids=["1 - Y", "exp of a transpose", "joined data", "rolled data", "a larger array"],
)
def test_no_array_as_long_as_the_data_is_made_of_pointwise_code(f):
    _, found = parts(f, W, X, Y)
    assert found is None or all(v.size < 40 for v in found.prior.outputs)


def test_classes_chosen_by_labels_stay_codes():
    _, found = parts(lambda w, table, labels: np.sum(table[labels] @ w), W, np.eye(3), LABELS)
    assert found is None


def test_a_slow_function_is_hoisted_where_its_values_take_the_place_of_the_data():
    ops, _ = parts(lambda w, y: np.sum(np.exp(w[0]) - gammaln(y + 1.5) * w[1]), W, Y)
    assert ops == ["gammaln"]


def test_a_decomposition_of_the_data_is_hoisted_as_the_parts_that_are_read():
    ops, _ = parts(lambda w, X: np.sum(np.linalg.eigh(X @ X.T)[0] * w), W, X)
    assert ops == ["pick"]


def test_sorted_data_are_hoisted():
    ops, found = parts(lambda w, y: np.sum(np.sort(y) * w[0]), W, Y)
    assert [v.shape for v in found.prior.outputs] == [(40,)]
    assert len(ops) == 1


def test_an_output_of_the_data_alone_is_given_anew_in_each_call():
    graph, _ = run_passes(graph_of(lambda w, X: (np.sum(w @ X), np.sum(X)), W, X)[0])
    found = hoisted(graph, 1)
    rest, values = (graph, []) if found is None else (found.rest, reference.run(found.prior, (W, X)))
    first, second = reference.run(rest, [W, X, *values])
    np.testing.assert_allclose([first, second], [np.sum(W @ X), np.sum(X)], rtol=1e-12)


def test_what_depends_on_a_parameter_is_not_hoisted():
    assert parts(lambda w, X: np.sum(np.sum(w) + X * np.sum(w @ X)), W, X)[1] is None
