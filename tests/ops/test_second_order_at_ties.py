"""Second derivatives where the operands tie, against closed forms: a logistic regression starts there."""

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
