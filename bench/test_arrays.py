"""The routines of `bench.arrays`, small: compiled and by hand each is what it is in NumPy."""

import numpy as np
import pytest

from bench.arrays import ROUTINES, contender, flat, steps_of

SIZES = {"tracer": (7, 6, 5), "shallow": (9, 8)}


@pytest.mark.parametrize("routine", ROUTINES)
def test_a_routine_compiled_and_by_hand_is_what_it_is_in_numpy(routine):
    step, _, by_hand, arguments, _ = ROUTINES[routine]
    args = arguments(*SIZES[routine])
    expected = flat(step(*args))
    np.testing.assert_allclose(flat(by_hand(*args)), expected, rtol=1e-12, atol=1e-12)
    compiled, steps = contender(routine, "xpgrad")
    np.testing.assert_allclose(flat(compiled(*args)), expected, rtol=1e-12, atol=1e-12)
    assert sum(steps(*args).values()) > 0


@pytest.mark.parametrize("routine", ROUTINES)
def test_its_compiled_gradient_is_the_eager_one(routine):
    args = ROUTINES[routine][3](*SIZES[routine])
    eager, compiled = (flat(contender(routine, f"gradient, {how}")[0](*args)) for how in ("eager", "xpgrad"))
    np.testing.assert_allclose(compiled, eager, rtol=1e-11, atol=1e-11)


def test_steps_are_counted_as_explain_names_them():
    text = """
      step 0: one loop over 8 entries: add
        done by NumPy: only looks at what is stored: getitem
      step 1: without a loop over tiles (too small): multiply
        done by NumPy: has no loops of ours: sort
    """
    assert steps_of(text) == {"loops over tiles": 1, "runs without tiles": 1, "calls of NumPy": 1}
