"""The strong Wolfe search on functions of one variable."""

import math

import numpy as np
import pytest

from xpgrad.optim.line_search import (
    MAX_EVALUATIONS,
    Trial,
    cubic_minimum,
    falls_enough,
    is_flat,
    strong_wolfe,
)

# Value and slope at a; the slope at 0 is negative.
FUNCTIONS = {
    "quadratic": lambda a: ((a - 1) ** 2, 2 * (a - 1)),
    "far minimum": lambda a: ((a / 1e4 - 1) ** 2, 2e-4 * (a / 1e4 - 1)),
    "near minimum": lambda a: ((1e5 * a - 1) ** 2, 2e5 * (1e5 * a - 1)),
    "More-Thuente 1": lambda a: (-a / (a**2 + 2), (a**2 - 2) / (a**2 + 2) ** 2),
    "More-Thuente 2": lambda a: (
        (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
    ),
    "waves": lambda a: (-a + 0.5 * math.sin(6 * a) ** 2, -1 + 3 * math.sin(12 * a)),
    "quartic": lambda a: (a**4 - 3 * a**2 - a, 4 * a**3 - 6 * a - 1),
    "wall of NaN at 2": lambda a: ((a - 1.5) ** 2, 2 * (a - 1.5)) if a < 2 else (math.nan, math.nan),
    "barrier": lambda a: (
        (-math.log(0.01 - a) - 200 * a, 1 / (0.01 - a) - 200) if a < 0.01 else (math.inf, math.nan)
    ),
    "hole of -inf": lambda a: (-math.inf, 0.0) if 2 < a < 6 else ((a - 4.5) ** 2, 2 * (a - 4.5)),
    "infinite slope": lambda a: ((a - 1) ** 2, 2 * (a - 1) if a < 5 else math.inf),
}


def search(f, step):
    evaluated = []

    def phi(a):
        evaluated.append(a)
        return Trial(a, *f(a))

    start = Trial(0.0, *f(0.0))
    return start, strong_wolfe(phi, start, step), evaluated


@pytest.mark.parametrize("step", [1e-3, 0.1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_step_found_satisfies_both_conditions(f, step):
    start, found, evaluated = search(f, step)
    assert found is not None
    assert math.isfinite(found.value)
    assert found.value <= start.value + 1e-4 * found.step * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)
    assert len(evaluated) <= MAX_EVALUATIONS


def test_a_step_that_is_good_already_costs_one_evaluation():
    _, found, evaluated = search(FUNCTIONS["quadratic"], 1.0)
    assert (found.step, evaluated) == (1.0, [1.0])


def test_the_conditions_tell_good_steps_from_bad():
    start = Trial(0.0, 1.0, -2.0)
    assert falls_enough(start, Trial(1.0, 0.9997, 0.0))
    assert not falls_enough(start, Trial(1.0, 0.9999, 0.0))
    assert not falls_enough(start, Trial(1.0, math.nan, 0.0))
    assert is_flat(start, Trial(1.0, 0.0, 1.8))
    assert not is_flat(start, Trial(1.0, 0.0, -1.81))
    assert not is_flat(start, Trial(1.0, 0.0, math.nan))


def test_a_function_that_only_rises_gives_none_within_the_budget():
    _, found, evaluated = search(lambda a: (a, -1.0), 1.0)  # its slope lies
    assert found is None
    assert len(evaluated) <= MAX_EVALUATIONS


def test_a_function_without_a_minimum_gives_a_point_that_falls_enough():
    start, found, evaluated = search(lambda a: (-a, -1.0), 1.0)
    assert falls_enough(start, found)
    assert not is_flat(start, found)
    assert len(evaluated) == MAX_EVALUATIONS


def test_nothing_finite_ahead_gives_none():
    _, found, evaluated = search(lambda a: (0.0, -1.0) if a == 0 else (math.nan, math.nan), 1.0)
    assert found is None
    assert len(evaluated) == MAX_EVALUATIONS


def test_the_cubic_through_a_cubic_has_its_minimum():
    f = lambda a: Trial(a, 2 * a**3 - 3 * a**2 - 12 * a, 6 * a**2 - 6 * a - 12)  # minimum at 2
    np.testing.assert_allclose([cubic_minimum(f(0.0), f(3.0)), cubic_minimum(f(3.0), f(0.5))], 2.0, rtol=1e-14)


def test_a_cubic_without_a_minimum_has_none():
    rising = lambda a: Trial(a, a**3 + a, 3 * a**2 + 1)
    assert cubic_minimum(rising(0.0), rising(1.0)) is None
    assert cubic_minimum(rising(1.0), rising(1.0)) is None
    assert cubic_minimum(rising(0.0), Trial(1.0, math.nan, 1.0)) is None
