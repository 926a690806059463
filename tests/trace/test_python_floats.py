"""Python floats at poles and beyond the largest float have the values of NumPy's scalars, in every mode."""

import operator

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.core import OPS
from xpgrad.testing.tolerances import close, tolerance

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

EXACT = tolerance(np.float64).value
INF, NAN = np.inf, np.nan
POINTS = [0.0, -0.0, 1.0, -1.0, 0.5, -8.0, 3.0, 1000.0, 1e200, -1e200, INF, -INF, NAN]
OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    lambda x, y: divmod(x, y)[0],
    lambda x, y: divmod(x, y)[1],
]
# For each mode how a function, its derivative and its second derivative are found at a Python float.
ORDERS = {
    "reverse": [
        lambda f, x: xg.vjp(f, x)[0],
        lambda f, x: xg.grad(f)(x),
        lambda f, x: xg.grad(xg.grad(f))(x),
    ],
    "forward": [
        lambda f, x: xg.jvp(f, (x,), (1.0,))[0],
        lambda f, x: _forward(f)(x),
        lambda f, x: _forward(_forward(f))(x),
    ],
    "mixed": [
        lambda f, x: xg.vjp(f, x)[0],
        lambda f, x: xg.grad(f)(x),
        lambda f, x: _forward(xg.grad(f))(x),
    ],
    "compiled": [
        lambda f, x: xg.compile(f)(x),
        lambda f, x: xg.compile(xg.grad(f))(x),
        lambda f, x: xg.compile(xg.grad(xg.grad(f)))(x),
    ],
}


def _forward(f):
    return lambda x: xg.jvp(f, (x,), (1.0,))[1]


# ── the value: NumPy's ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("f", OPERATORS)
def test_the_values_of_operators_are_those_of_numpys_scalars(f):
    for x in POINTS:
        for y in (*POINTS, 0, 2, -1, -3):
            expected = f(np.float64(x), y)
            traced = [xg.vjp(lambda x, y=y: f(x, y), x)[0]]
            if isinstance(y, float):
                traced.append(xg.vjp(lambda y, x=x: f(x, y), y)[0])
                traced.append(xg.vjp(f, x, y)[0])
            for found in traced:
                assert close(np.float64(found), expected, EXACT), (x, y, found, expected)


ELEMENTWISE = {n: op for n, op in OPS.items() if op.is_elementwise and hasattr(np, n)}


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_an_op_of_python_floats_raises_at_no_point(name):
    f, rules = getattr(np, name), ELEMENTWISE[name].pushes
    for x in POINTS:
        for y in (0.0, 1.0, -2.0):
            args = [x, 2] if name == "ldexp" else [x, y, 1.0][: len(rules)]
            for k, rule in enumerate(rules):
                if rule is None:
                    continue
                for order in ORDERS["reverse"][1:] + ORDERS["forward"][1:]:
                    order(_in_operand(f, args, k), args[k])


def _in_operand(f, args, k):
    return lambda x: f(*args[:k], x, *args[k + 1 :])


# ── derivatives: closed forms ────────────────────────────────────────────────────────────────
CASES = {
    "log": (np.log, 0.0, [-INF, INF, -INF]),
    "log2": (np.log2, 0.0, [-INF, INF, -INF]),
    "log1p": (np.log1p, -1.0, [-INF, INF, -INF]),
    "sqrt": (np.sqrt, 0.0, [0.0, INF, -INF]),
    "1 / x": (lambda x: 1 / x, 0.0, [INF, -INF, INF]),
    "1 / x, from the left": (lambda x: 1 / x, -0.0, [-INF, -INF, -INF]),
    "3 / x": (lambda x: 3.0 / x, 0.0, [INF, -INF, INF]),
    "np.reciprocal": (np.reciprocal, 0.0, [INF, -INF, INF]),
    "x ** -1": (lambda x: x**-1, 0.0, [INF, -INF, INF]),
    "x ** -0.5": (lambda x: x**-0.5, 0.0, [INF, -INF, INF]),
    "x ** 0.5": (lambda x: x**0.5, 0.0, [0.0, INF, -INF]),
    "x ** 1.5": (lambda x: x**1.5, 0.0, [0.0, 0.0, INF]),
    "x ** 2": (lambda x: x**2, 0.0, [0.0, 0.0, 2.0]),
    "x ** 3, large": (lambda x: x**3, 1e120, [INF, 3e240, 6e120]),
    "x ** (1/3), negative": (lambda x: x ** (1 / 3), -8.0, [NAN, NAN, NAN]),
    "2 ** x": (lambda x: 2.0**x, 2000.0, [INF, INF, INF]),
    "exp": (np.exp, 1000.0, [INF, INF, INF]),
    "x / 0": (lambda x: x / 0.0, 1.0, [INF, INF, 0.0]),
    "x / 0, integer": (lambda x: x / 0, 1.0, [INF, INF, 0.0]),
    "x % 0": (lambda x: x % 0.0, 1.0, [NAN, 1.0, 0.0]),
    "x // 0 + x": (lambda x: x // 0.0 + x, 1.0, [INF, 1.0, 0.0]),
}


@pytest.mark.parametrize("mode", list(ORDERS))
@pytest.mark.parametrize("name", list(CASES))
def test_derivatives_at_a_pole_are_their_limits(name, mode):
    f, x, expected = CASES[name]
    for order, value in zip(ORDERS[mode], expected, strict=True):
        found = order(f, x)
        assert close(np.float64(found), np.float64(value), EXACT), (value, found)


@pytest.mark.parametrize("mode", list(ORDERS))
@pytest.mark.parametrize(
    ("f", "x"), [(np.arctanh, 1.0), (np.arctanh, -1.0), (xg.special.logit, 0.0), (xg.special.logit, 1.0)]
)
def test_what_has_a_pole_on_either_side_has_an_infinite_derivative_and_no_finite_second(f, x, mode):
    _, first, second = ORDERS[mode]
    assert first(f, x) == INF
    assert not np.isfinite(second(f, x))


def test_a_python_float_stays_one_at_a_pole():
    Y = np.ones(3, np.float32)
    value, _ = xg.value_and_grad(lambda x: np.sum(Y / x**-1))(0.0)
    assert value.dtype == np.float32
    assert value == 0
    assert xg.grad(lambda x: np.sum(Y * x**-1))(0.0) == -INF


def test_large_cotangents_are_divided_by_zero_and_by_what_underflows_as_small_ones():
    for n in (3, 100):
        A = np.ones((n, n))
        assert np.all(xg.grad(lambda A: np.sum(np.exp(A) / 0.0))(A) == INF)
        assert np.all(np.isnan(xg.grad(lambda A: np.sum(np.sin(A / 0.0)))(A)))
        found = xg.grad(lambda A: np.sum(np.exp(A * 1e-200 * 1e-200) * 1e300))(A)
        assert close(found / 1e-100, np.ones((n, n)), EXACT)


def test_minimize_says_that_a_python_float_is_at_a_pole():
    for f, x in (
        (np.log, 0.0),
        (lambda p: 1 / p, 0.0),
        (lambda p: p ** (1 / 3), -8.0),
        (lambda p: p % 0.0, 1.0),
    ):
        fit = xg.minimize(f, x, method="lbfgs", max_iter=3)
        assert not fit.converged
        assert "the loss is" in fit.message


def test_what_the_user_wants_raised_names_the_op_and_the_line():
    with xg.debug(nans=True), pytest.raises(xg.NumericsError, match=r"reciprocal[\s\S]*test_python_floats.py"):
        xg.grad(lambda x: 1 / x)(0.0)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="reciprocal"):
        xg.grad(lambda x: 1 / x)(0.0)
