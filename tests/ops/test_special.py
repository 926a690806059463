"""Special functions as ops: every one by its derivatives, and those along an axis."""

import numpy as np
import pytest
import scipy.special

import xpgrad as xg
from cases.special_ops import (
    ALONG_AXES,
    F32,
    F64,
    NAMES,
    ONCE,
    SHAPES,
    WITHOUT_A_NAME,
    in_known_operands,
    operands,
)
from xpgrad import NotDifferentiableError, ShapeError
from xpgrad.backends.gpu import cupyx
from xpgrad.backends.registry import cpu_backend
from xpgrad.core import OPS
from xpgrad.ops import bessel, special, tails
from xpgrad.testing import check_grads, close, tolerance


# ── every op ─────────────────────────────────────────────────────────────────────────────────
def test_the_list_of_ops_is_complete():
    stated = {op.name for m in (special, bessel, tails) for op in vars(m).values() if type(op) is xg.core.Op}
    ours = {n for n in stated if cpu_backend().has(n)}
    assert set(NAMES) | set(ALONG_AXES) | {"gammasgn", "softmax_or_zero"} == ours - {
        "cos",
        "exp",
        "expm1",
        "sin",
        "log",
        "log1p",
        "where",
        "sign",
        "sqrt",
    }


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_derivatives_agree_with_differences_to_order_two(name, shapes):
    f, xs = in_known_operands(OPS[name], operands(OPS[name], SHAPES[shapes]))
    xs, once = [x if x.shape else x[()] for x in xs], ONCE.get(name, 0)
    check_grads(f, xs, order=1 if once else 2)
    check_grads(lambda *rest: f(*xs[:once], *rest), xs[once:])


@pytest.mark.parametrize("name", [n for n in NAMES if n not in WITHOUT_A_NAME])
def test_values_are_scipys(name):
    xs = operands(OPS[name], SHAPES["broadcast"])
    expected = getattr(scipy.special, name)(*xs[: len(OPS[name].pulls)])
    assert close(OPS[name](*xs[: len(OPS[name].pulls)]), expected, tolerance(F64).value)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_in_value_and_derivatives(name):
    op = OPS[name]
    f, xs = in_known_operands(op, operands(op, SHAPES["broadcast"], F32))
    assert all(y.dtype == F32 for y in (f(*xs), *xg.vjp(f, *xs)[1](np.ones_like(f(*xs)))))
    assert xg.jvp(f, xs, xs)[1].dtype == F32
    wide = op(*[x.astype(F64) for x in operands(op, SHAPES["broadcast"], F32)])
    assert close(f(*xs), wide, tolerance(F32).value)


@pytest.mark.parametrize("name", NAMES)
def test_every_backend_gives_the_same_values_and_cotangents(backend, name):
    if backend.name == "gpu" and name in cupyx.DECLINES:
        pytest.skip(cupyx.DECLINES[name])
    f, xs = in_known_operands(OPS[name], operands(OPS[name], SHAPES["broadcast"]))
    out, pullback = xg.vjp(f, *xs)
    g = np.ones_like(out)
    assert close(backend.run(f, *xs), out, tolerance(F64).value)
    for a, b in zip(backend.pull(f, g, *xs), pullback(g), strict=True):
        assert close(a, b, tolerance(F64).value)


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_an_array_of_its_own(name):
    xs = operands(OPS[name], SHAPES["same"])
    out = OPS[name](*xs)
    assert out.base is None
    assert not any(np.shares_memory(out, x) for x in xs)


@pytest.mark.parametrize("name", NAMES)
def test_the_shape_rule_says_what_comes_out(name):
    for dtype in (F64, F32):
        xs = operands(OPS[name], SHAPES["broadcast"], dtype)
        out = OPS[name](*xs)
        ruled = OPS[name].shape(*map(xg.core.aval_of, xs))
        assert (out.shape, out.dtype) == (ruled.shape, ruled.dtype)


@pytest.mark.parametrize("name", [n for n in NAMES if any(r is None for r in OPS[n].pulls)])
def test_a_derivative_that_is_not_known_is_refused_by_name(name):
    op = OPS[name]
    xs = operands(op, SHAPES["same"])
    i = next(i for i, rule in enumerate(op.pulls) if rule is None)

    def f(x):
        return op(*xs[:i], x, *xs[i + 1 :])

    with pytest.raises(NotDifferentiableError, match=f"{name}: no derivative is known in operand {i}"):
        xg.vjp(f, xs[i])[1](np.ones((2, 3)))
    with pytest.raises(NotDifferentiableError, match=f"{name}: no derivative is known in operand {i}"):
        xg.jvp(f, (xs[i],), (xs[i],))


def test_the_sign_of_gamma_has_derivative_zero():
    x = np.array([-2.5, -1.5, -0.5, 0.5])
    out, pullback = xg.vjp(special.gammasgn, x)
    assert np.array_equal(out, [-1, 1, -1, 1])
    assert np.array_equal(pullback(np.ones(4))[0], np.zeros(4))


# ── along an axis ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("name", ALONG_AXES)
def test_functions_along_axes_agree_with_scipy_and_with_differences(name, axis):
    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    assert close(OPS[name](x, axis=axis), getattr(scipy.special, name)(x, axis=axis), tolerance(F64).value)
    check_grads(lambda x: OPS[name](x, axis=axis), [x])


def test_logsumexp_keeps_its_axes_when_asked():
    x = np.random.default_rng(0).normal(size=(2, 3))
    assert special.logsumexp(x, axis=1, keepdims=True).shape == (2, 1)
    check_grads(lambda x: special.logsumexp(x, axis=0, keepdims=True), [x])


@pytest.mark.parametrize("name", ALONG_AXES)
def test_a_short_last_axis_is_as_any_other(name):
    x = np.random.default_rng(0).normal(size=(100, 4, 3))
    x[0, 0] = -np.inf, 1, -np.inf
    expected = getattr(scipy.special, name)(x, axis=2)
    for y in (x, np.asfortranarray(x), x.astype(np.float32)):
        out = OPS[name](y, axis=-1)
        assert close(out, expected, tolerance(y.dtype).value)
        assert out.dtype == y.dtype
        assert out.base is None
    g = np.random.default_rng(1).normal(size=expected.shape)
    wide = xg.vjp(lambda x: OPS[name](x, axis=0), np.moveaxis(x, 2, 0).copy())[1]
    rows = xg.vjp(lambda x: OPS[name](x, axis=2), x)[1]
    g_wide = g if name == "logsumexp" else np.moveaxis(g, 2, 0)
    assert close(rows(g)[0], np.moveaxis(wide(g_wide)[0], 0, 2), tolerance(F64).value)


def test_logsumexp_keeps_a_short_last_axis_when_asked():
    x = np.random.default_rng(0).normal(size=(400, 3))
    expected = scipy.special.logsumexp(x, axis=1, keepdims=True)
    assert close(special.logsumexp(x, axis=1, keepdims=True), expected, tolerance(F64).value)


@pytest.mark.parametrize("dtype", [F64, F32])
def test_logsumexp_and_softmax_are_exact_at_ten_thousand(dtype):
    x = np.array([[1e4, -1e4, 1e4 - 1], [-1e4, -1e4, -1e4 - 2]], dtype)
    e = np.exp(np.array([[0, -np.inf, -1], [0, 0, -2]]))
    p = e / e.sum(axis=1, keepdims=True)
    out, pullback = xg.vjp(lambda x: special.logsumexp(x, axis=1), x)
    bound = tolerance(dtype).value
    assert close(out, x.max(axis=1).astype(F64) + np.log(e.sum(axis=1)), bound)
    assert close(pullback(np.ones(2, dtype))[0], p, bound)
    assert close(special.softmax(x, axis=1), p, bound)
    hessian = xg.hessian(lambda x: special.logsumexp(x))(x[1])
    assert close(hessian, np.diag(p[1]) - np.outer(p[1], p[1]), bound)


def test_logsumexp_of_nothing_is_minus_infinity_without_slope():
    x = np.full((2, 3), -np.inf)
    x[1, 0] = 1.0
    out, pullback = xg.vjp(lambda x: special.logsumexp(x, axis=1), x)
    assert np.array_equal(out, [-np.inf, 1])
    assert np.array_equal(pullback(np.ones(2))[0], [[0, 0, 0], [1, 0, 0]])
    assert np.array_equal(xg.jvp(lambda x: special.logsumexp(x, axis=1), (x,), (np.ones((2, 3)),))[1], [0, 1])


def test_one_infinity_takes_all():
    x = np.array([0.0, np.inf, 2.0])
    out, pullback = xg.vjp(special.logsumexp, x)
    assert out == np.inf
    assert np.array_equal(pullback(np.float64(1.0))[0], [0, 1, 0])
    assert np.array_equal(special.softmax(x), [0, 1, 0])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_masked_entries_have_no_weight_and_no_slope(name):
    x = np.array([[-np.inf, 1.0, 2.0], [-np.inf, -np.inf, 5.0]])
    op, g = OPS[name], np.array([[0.0, 3.0, -1.0], [0.0, 0.0, 2.0]])
    out, pullback = xg.vjp(lambda x: op(x, axis=1), x)
    free, free_pullback = xg.vjp(op, x[0, 1:])
    assert close(out[0, 1:], free, tolerance(F64).value)
    assert close(pullback(g)[0][0], np.append(0, free_pullback(g[0, 1:])[0]), tolerance(F64).value)
    assert np.array_equal(pullback(g)[0][1], [0, 0, 0])
    assert np.all(np.isfinite(xg.jvp(lambda x: pullback_of(op, x, g), (x,), (np.ones((2, 3)),))[1]))


def pullback_of(op, x, g):
    return xg.vjp(lambda x: op(x, axis=1), x)[1](g)[0]


@pytest.mark.parametrize("name", ALONG_AXES)
def test_an_empty_axis_and_a_wrong_axis_are_shape_errors(name):
    with pytest.raises(ShapeError, match=f"{name}: no entries"):
        xg.vjp(lambda x: OPS[name](x, axis=1), np.zeros((2, 0)))
    with pytest.raises(ShapeError, match=f"{name}: axis 2 does not fit"):
        xg.vjp(lambda x: OPS[name](x, axis=2), np.zeros((2, 3)))
