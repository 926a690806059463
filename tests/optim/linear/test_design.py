"""Designs and their weighted products, against the same columns written out."""

from itertools import combinations
from math import prod

import numpy as np
import pytest

import xpgrad as xg
from optim.linear.problems import dense, logistic, softmax, table
from xpgrad import DTypeError, OutOfBoundsError, ShapeError
from xpgrad.optim.linear import Design, LinearObjective, weighted_gram
from xpgrad.optim.linear import gram as gram_module
from xpgrad.optim.linear.design import covering, merged
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value

SHAPES = {
    "numbers": (3, ()),
    "one category": (0, (4,)),
    "both": (2, (5, 3)),
    "many categories": (1, (3, 2, 4, 3, 2)),
    "many numbers": (30, (3, 2)),
}


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_the_weighted_product_is_that_of_the_columns_written_out(name, intercept, put):
    q, levels = SHAPES[name]
    X, codes = table(200, q, levels)
    d = np.random.default_rng(1).normal(size=200)  # of either sign: a loss need not be convex
    found = weighted_gram(Design(*put((X, codes)), levels, intercept=intercept), put(d))
    columns = dense(X, codes, levels, intercept)
    assert close(found, (columns.T * d) @ columns, EXACT)


@pytest.mark.parametrize("q", [3, 30])
def test_float32_numbers_are_summed_to_float32_rounding(q):
    X, codes = table(3000, q, (4,))
    d = np.random.default_rng(1).random(3000)
    found = weighted_gram(Design(X.astype(np.float32), codes, (4,)), d.astype(np.float32))
    columns = dense(X, codes, (4,))
    assert found.dtype == np.float64
    assert close(found, (columns.T * d) @ columns, tolerance(np.float32).value)


def test_categories_with_many_combinations_are_summed_pair_by_pair(monkeypatch):
    monkeypatch.setattr(gram_module, "_WIDE", 4)
    X, codes = table(500, 2, (300, 250, 7))
    design = Design(X, codes, (300, 250, 7))
    d = np.random.default_rng(1).random(500)
    assert (0, 1) in design.pairs
    columns = dense(X, codes, (300, 250, 7))
    assert close(weighted_gram(design, d), (columns.T * d) @ columns, EXACT)


@pytest.mark.parametrize("seed", range(20))
def test_groups_hold_each_category_once_and_coverings_each_two_together(seed):
    rng = np.random.default_rng(seed)
    levels = tuple(int(k) for k in rng.integers(1, 200, rng.integers(1, 9)))
    groups = merged(levels, 1000)
    assert sorted(k for group in groups for k in group) == list(range(len(levels)))
    assert all(prod(levels[k] for k in group) <= 1000 for group in groups if len(group) > 1)
    pairs = covering(levels, 5000)
    together = {pair for group in pairs for pair in combinations(group, 2)}
    assert together == set(combinations(range(len(levels)), 2))
    assert all(prod(levels[k] for k in group) <= 5000 for group in pairs if len(group) > 2)


@pytest.mark.parametrize("unit", [logistic, softmax])
@pytest.mark.parametrize("name", ["numbers", "one category", "many categories"])
def test_value_and_gradient_are_those_of_the_columns_written_out(name, unit, put):
    q, levels = SHAPES[name]
    X, codes = table(150, q, levels)
    rng = np.random.default_rng(2)
    outputs = 3 if unit is softmax else None
    tail = (3,) if outputs else ()
    y = np.eye(3)[rng.integers(0, 3, 150)] if outputs else rng.integers(0, 2, 150) * 1.0
    weights, offset = rng.random(150), rng.normal(size=(150, *tail))
    columns = dense(X, codes, levels)
    coef, l2 = rng.normal(size=(columns.shape[1], *tail)), rng.random(columns.shape[1])
    objective = LinearObjective(
        unit,
        Design(*put((X, codes)), levels),
        (put(y),),
        outputs=outputs,
        weights=put(weights),
        offset=put(offset),
        scale=0.3,
        l2=l2,
    )
    point = objective.at(coef)
    eta = columns @ coef + offset
    if outputs:
        share = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
        slope, ridge = weights[:, None] * (share - y), l2[:, None]
        bends = weights * (share[:, :, None] * np.eye(3) - share[:, :, None] * share[:, None, :]).transpose(
            1, 2, 0
        )
        hessian = np.einsum("nk,cdn,nl->kcld", columns, bends, columns).reshape(3 * len(coef), -1)
    else:
        share = 1 / (1 + np.exp(-eta))
        slope, ridge = weights * (share - y), l2
        hessian = (columns.T * (weights * share * (1 - share))) @ columns
    value = 0.3 * np.sum(weights * unit(eta, y)) + np.sum(ridge * coef**2) / 2
    assert close(point.value, value, EXACT)
    assert close(point.gradient, 0.3 * columns.T @ slope + ridge * coef, EXACT)
    expected = 0.3 * hessian + np.diag(np.broadcast_to(ridge, coef.shape).reshape(-1))
    assert close(objective.hessian(point), expected, EXACT)


def test_the_penalty_of_a_number_leaves_the_intercept_free():
    X, codes = table(20, 2, (3,))
    objective = LinearObjective(logistic, Design(X, codes), (np.zeros(20),), l2=2.0, l1=1.0)
    assert objective.l2.tolist() == [0, 2, 2, 2, 2, 2]
    assert objective.l1.tolist() == [0, 1, 1, 1, 1, 1]


def test_codes_stay_in_few_bytes():
    _, codes = table(1000, 0, (12, 7, 300, 300))
    design = Design(None, codes)
    assert design.joint((0, 1)).dtype == np.uint8
    assert design.joint((0, 2)).dtype == np.uint16
    assert design.joint((2, 3)).dtype == np.int32
    assert np.array_equal(design.joint((0, 2)), codes[0] * 300 + codes[2])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((None, ()), ShapeError, "neither numbers nor codes"),
        ((np.ones(3),), ShapeError, "two axes"),
        ((np.ones((3, 2)), [np.zeros((3, 1), int)]), ShapeError, "vectors"),
        ((np.ones((3, 2)), [np.zeros(4, int)]), ShapeError, "differ in their number of samples"),
        ((np.ones((3, 2), int),), DTypeError, "float32 or float64"),
        ((None, [np.zeros(3)]), DTypeError, "codes must be integers"),
        ((None, [np.array([0, 3])], [3]), OutOfBoundsError, "codes from 0 to 3, and 3 levels"),
        ((None, [np.array([-1, 0])]), OutOfBoundsError, "codes from -1 to 0"),
        ((None, [np.array([0, 1])], [2, 2]), ShapeError, "1 vectors of codes, and 2 numbers"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        Design(*arguments)


@pytest.mark.parametrize("options", [{"weights": np.ones(3)}, {"offset": np.ones((4, 2))}])
def test_weights_and_offsets_of_another_shape_are_refused(options):
    with pytest.raises(ShapeError, match=f"{next(iter(options))} must have shape"):
        LinearObjective(logistic, Design(np.ones((4, 2))), (np.ones(4),), **options)


def test_a_design_without_samples_is_refused():
    with pytest.raises(xg.DataError, match="no samples"):
        LinearObjective(logistic, Design(np.ones((0, 2))), (np.ones(0),))


@pytest.mark.parametrize("penalty", [-1.0, np.nan, np.array([1.0, -1.0, 0.0])])
def test_a_negative_penalty_is_refused(penalty):
    with pytest.raises(xg.DataError, match="l2 must be finite and not negative"):
        LinearObjective(logistic, Design(np.ones((4, 2))), (np.ones(4),), l2=penalty)
