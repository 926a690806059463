"""The check of derivatives finds what is wrong and lets pass what is right."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import close, tolerance

X = np.array([0.7, -0.4, 1.2])


def with_slope(f, slope):
    """``f``, whose rule says that its derivative is ``slope``."""
    g = xg.custom_vjp(f)
    g.defvjp(lambda x: (f(x), x), lambda x, g: (g * slope(x),))
    return g


@pytest.mark.parametrize("mode", ["rev", "fwd"])
@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
def test_a_wrong_derivative_is_found_at_every_scale(scale, mode):
    def f(slope):
        return with_slope(lambda x: scale * np.sin(x), lambda x: scale * slope * np.cos(x))

    xg.check_grads(f(1.0), (X,), modes=(mode,))
    for wrong in (-5.0, 1.2, 0.0):
        with pytest.raises(xg.NumericsError, match="disagree"):
            xg.check_grads(f(wrong), (X,), order=1, modes=(mode,))


def test_a_wrong_second_derivative_of_a_small_function_is_found():
    f = with_slope(lambda x: 1e-7 * np.sin(x), lambda x: 1e-7 * np.cos(xg.stop_gradient(x)))
    with pytest.raises(xg.NumericsError, match="fwd of fwd"):
        xg.check_grads(f, (X,), modes=("fwd",))


def test_a_wrong_derivative_beside_a_large_output_is_found():
    wrong = with_slope(np.sin, lambda x: -5 * np.cos(x))
    with pytest.raises(xg.NumericsError, match="disagree"):
        xg.check_grads(lambda x: np.stack([x[0] * 1e7, wrong(x)[1]]), (X,), order=1)


def test_derivatives_that_are_zero_but_for_rounding_pass():
    def f(x):
        p = np.exp(x - np.max(x))
        return np.sum(p / np.sum(p))

    xg.check_grads(f, (X,))
    xg.check_grads(lambda x: x - x, (X,))


@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_what_is_not_finite_never_passes(mode):
    wrong = with_slope(np.sin, lambda x: -5 * np.cos(x))
    for factor in (np.nan, np.inf):
        with pytest.raises(xg.NumericsError, match="not finite"), np.errstate(invalid="ignore"):
            xg.check_grads(lambda x, k=factor: wrong(x) * np.array([1, 1, k]), (X,), order=1, modes=(mode,))
    nan_slope = with_slope(np.sin, lambda x: np.nan * x)
    with pytest.raises(xg.NumericsError, match="not finite"):
        xg.check_grads(nan_slope, (X,), order=1, modes=(mode,))


def test_modes_from_a_generator_are_all_checked():
    wrong = with_slope(np.sin, lambda x: -5 * np.cos(x))
    with pytest.raises(xg.NumericsError, match="fwd"):
        xg.check_grads(wrong, (X,), modes=(mode for mode in ("fwd",)))


def test_no_modes_no_arguments_and_no_order_are_refused():
    with pytest.raises(ValueError, match="not none"):
        xg.check_grads(np.sin, (X,), modes=())
    with pytest.raises(ValueError, match="no argument"):
        xg.check_grads(lambda: 1.0, ())
    with pytest.raises(ValueError, match="order"):
        xg.check_grads(np.sin, (X,), order=0)


@pytest.mark.parametrize("n", [2, True, np.array([1, 2, 3])])
def test_an_argument_that_is_no_float_is_named(n):
    with pytest.raises(xg.DTypeError, match="argument 1 is no float"):
        xg.check_grads(lambda x, n: x**n, (X, n))


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_a_dtype_without_a_tolerance_is_named(dtype):
    with pytest.raises(xg.DTypeError, match=r"no tolerance for this dtype[^!]*argument 0"):
        xg.check_grads(np.sin, (X.astype(dtype),))
    with pytest.raises(xg.DTypeError, match="no tolerance for this dtype"):
        xg.check_grads(lambda x: x.astype(dtype), (X,))
    with pytest.raises(xg.DTypeError, match="no tolerance for this dtype"):
        tolerance(dtype)


def test_integer_and_boolean_outputs_are_left_out():
    xg.check_grads(lambda x: (np.argmax(x), x > 0, np.sin(x)), (X,))
    with pytest.raises(xg.NumericsError, match="disagree"):
        xg.check_grads(lambda x: (np.argmax(x), with_slope(np.sin, np.sin)(x)), (X,), order=1)
    with pytest.raises(xg.DTypeError, match="returns no float"):
        xg.check_grads(np.argmax, (X,))


def test_a_single_precision_output_of_double_precision_is_checked_as_single():
    xg.check_grads(lambda x: np.sin(x.astype(np.float32)), (X,))


def test_values_are_close_relative_to_one_or_the_largest():
    assert close([1e-9, 0.0], [0.0, 0.0], 1e-8)
    assert close([1e6 + 1e-3], [1e6], 1e-8)
    assert not close([1.0], [1.0 + 1e-7], 1e-8)
    assert not close([np.nan], [1.0], 1e-8)
    assert close([np.nan, np.inf], [np.nan, np.inf], 1e-8)
