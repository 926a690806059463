"""Learning rates that change from step to step."""

import numpy as np
import pytest

import xpgrad as xg


def test_a_cosine_falls_to_its_end_and_stays():
    rate = xg.optim.cosine(0.2, 10, final=0.05)
    expected = [0.05 + 0.15 * np.cos(np.pi * k / 20) ** 2 for k in range(11)]
    np.testing.assert_allclose([rate(k) for k in range(11)], expected, rtol=1e-14)
    assert rate(500) == rate(10) == pytest.approx(0.05)


def test_a_cosine_to_zero_has_a_positive_rate_after_its_last_step():
    rate = xg.optim.cosine(0.2, 10)
    assert rate(10) == rate(99) == rate(9) > 0


def test_a_warm_up_leads_to_the_first_rate_of_a_schedule():
    inner = xg.optim.cosine(0.2, 10)
    rate = xg.optim.warmup(inner, 5)
    np.testing.assert_allclose([rate(k) for k in range(5)], np.arange(1, 6) * 0.04)
    assert [rate(5 + k) for k in range(8)] == [inner(k) for k in range(8)]
    assert xg.optim.warmup(0.3, 0)(0) == 0.3


def test_minimize_takes_a_schedule_of_both():
    rate = xg.optim.warmup(xg.optim.cosine(0.3, 40), 5)
    fit = xg.minimize(lambda w: (w - 3.0) ** 2, 0.0, method="gd", learning_rate=rate, max_iter=45, tol=1e-6)
    w = 0.0
    for k in range(fit.n_iter):
        w -= rate(k) * 2 * (w - 3.0)
    assert fit.params == pytest.approx(w, rel=1e-12)
    assert fit.converged


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: xg.optim.cosine(-1.0, 3), "cosine: rate"),
        (lambda: xg.optim.cosine(1.0, 0), "cosine: steps"),
        (lambda: xg.optim.cosine(1.0, 3, final=2.0), "cosine: final"),
        (lambda: xg.optim.warmup(0.1, -1), "warmup: steps"),
        (lambda: xg.optim.warmup(float("nan"), 1), "warmup: rate"),
    ],
)
def test_what_is_out_of_range_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
