"""Derivatives at ties, zeros and tiny numbers, and dtypes of small integers, against closed forms and NumPy."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("z", [-3.0, 0.0, 1.0, 40.0])
@pytest.mark.parametrize(("f", "scale"), [(np.logaddexp, 1.0), (np.logaddexp2, np.log(2))])
def test_logaddexp_of_equal_operands_has_its_curvature(f, scale, z, compiled):
    for g in (lambda x: f(x, z), lambda x: f(z, x)):
        hessian = xg.hessian(g)
        found = (xg.compile(hessian) if compiled else hessian)(np.array(z))
        assert close(found, scale / 4, EXACT)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_the_hessian_of_a_logistic_regression_at_0_is_that_of_the_formula(compiled):
    X = np.random.default_rng(0).normal(size=(3, 50))
    Y = (X[0] > 0).astype(float)

    def loss(w):
        Z = w @ X
        return np.mean(np.logaddexp(0.0, Z) - Y * Z)

    hessian = xg.compile(xg.hessian(loss)) if compiled else xg.hessian(loss)
    assert close(hessian(np.zeros(3)), X @ X.T / 4 / 50, EXACT)


def test_of_equal_infinities_each_takes_half():
    for z in (np.inf, -np.inf):
        with np.errstate(all="ignore"):
            assert xg.grad(lambda x, z=z: np.logaddexp(x, z))(z) == 0.5


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("x", [0.5, 2.0, 3.0])
@pytest.mark.parametrize("y", [0.0, 1.0, 2.0])
def test_the_hessian_of_a_power_is_the_formulas_where_the_exponent_is_0_too(x, y, compiled):
    hessian = xg.hessian(lambda p: p[0] ** p[1])
    found = (xg.compile(hessian) if compiled else hessian)(np.array([x, y]))
    mixed = x ** (y - 1) * (1 + y * np.log(x))
    expected = [[y * (y - 1) * x ** (y - 2), mixed], [mixed, x**y * np.log(x) ** 2]]
    assert close(found, np.array(expected), EXACT)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e-300, 1e150])
def test_no_square_underflows_in_the_gradients_of_hypot_and_arctan2(scale, compiled):
    at = np.array([3.0, 4.0]) * scale
    for f, expected in ((np.hypot, [0.6, 0.8]), (np.arctan2, [0.16 / scale, -0.12 / scale])):
        gradient = xg.grad(lambda p, f=f: f(p[0], p[1]))
        found = (xg.compile(gradient) if compiled else gradient)(at)
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("f", [np.hypot, np.arctan2])
def test_at_the_origin_no_derivative_exists_and_each_is_0(f):
    hessian = xg.hessian(lambda p: f(p[0], p[1]))
    for h in (hessian, xg.compile(hessian)):
        assert np.array_equal(h(np.zeros(2)), np.zeros((2, 2)))


@pytest.mark.parametrize("dtype", "?bBhHiIlLefdFD")
@pytest.mark.parametrize("f", [np.angle, np.round])
def test_the_dtype_of_small_integers_is_numpys(f, dtype):
    x = np.ones(2, dtype)
    assert xg.compile(f)(x).dtype == f(x).dtype
    assert xg.compile(lambda x: np.mean(f(x)))(x).dtype == np.mean(f(x)).dtype
