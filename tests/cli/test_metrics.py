"""Metrics, against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from xpgrad.cli import metrics as ours


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40))
def test_the_auc_is_scikit_learns_with_ties(pairs):
    z, y = (np.array(part, float) for part in zip(*pairs, strict=True))
    if y.min() == y.max():
        assert ours.roc_auc(z, y) is None
        assert ours.roc_curve(z, y) == []
    else:
        assert ours.roc_auc(z, y) == pytest.approx(theirs.roc_auc_score(y, z))


def test_the_auc_of_equal_scores_is_one_half():
    assert ours.roc_auc(np.zeros(5), np.array([0.0, 1, 0, 1, 1])) == 0.5


def test_log_loss_and_accuracy_are_scikit_learns():
    rng = np.random.default_rng(2)
    z, y = rng.normal(size=200), (rng.random(200) < 0.3).astype(float)
    p = 1 / (1 + np.exp(-z))
    assert ours.log_loss(z, y) == pytest.approx(theirs.log_loss(y, p))
    assert ours.accuracy(z, y) == theirs.accuracy_score(y, p > 0.5)


def test_log_loss_is_finite_at_extreme_log_odds():
    assert ours.log_loss(np.array([1000.0, -1000.0]), np.array([0.0, 0.0])) == 500


def test_the_area_under_the_thinned_curve_is_the_auc():
    rng = np.random.default_rng(3)
    y = (rng.random(5000) < 0.3).astype(float)
    z = y + rng.normal(size=5000)
    curve = ours.roc_curve(z, y)
    assert curve[0] == (0, 0)
    assert curve[-1] == (1, 1)
    assert len(curve) <= 201
    assert theirs.auc(*zip(*curve, strict=True)) == pytest.approx(ours.roc_auc(z, y), abs=1e-3)


def test_calibration_groups_are_of_equal_size_and_count_every_row():
    z = np.linspace(-2, 2, 103)
    groups = ours.calibration(z, (z > 0).astype(float))
    assert sum(group["rows"] for group in groups) == 103
    assert {group["rows"] for group in groups} == {10, 11}
    assert [group["observed"] for group in groups[:4]] == [0] * 4
    assert groups == sorted(groups, key=lambda group: group["predicted"])
