"""Special functions as ops: derivatives, digits at the ends of their domains, and what SciPy is for."""

import sys

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import xpgrad as xg
from xpgrad._errors import DependencyError, NotDifferentiableError, ShapeError, TraceError, XpgradError
from xpgrad.backends.cpu import scipy_rows
from xpgrad.backends.gpu import cupyx_rows
from xpgrad.backends.registry import Backend, cpu_backend
from xpgrad.backends.special_rows import LIBRARY, library_row, special_rows
from xpgrad.core import OPS
from xpgrad.ops import bessel, special
from xpgrad.testing import check_grads, close, tolerance

_NAMES = """
    expit log_expit softplus logit xlogy xlog1py entr xlog_ratio rel_entr kl_div
    erf erfc erfi erfcx dawsn erfinv erfcinv ndtr log_ndtr ndtri ndtri_exp inv_mills inv_mills_excess
    gammaln loggamma gamma digamma polygamma zeta rgamma beta betaln gamma_kernel beta_kernel
    gammainc gammaincc gammaincinv gammainccinv betainc betaincc betaincinv
    j0 j1 jv y0 y1 yn yv i0 i0e i1 i1e iv ive k0 k0e k1 k1e kn kv kve exprel exp10 cosm1 expi exp1
"""
NAMES = _NAMES.split()
ALONG_AXES = ("logsumexp", "softmax", "log_softmax")
WITHOUT_A_NAME = (
    "inv_mills",
    "inv_mills_excess",
    "gamma_kernel",
    "beta_kernel",
    "softmax_or_zero",
    "xlog_ratio",
    "softplus",  # new in SciPy 1.16
)
SHAPES = {"same": [(2, 3)] * 4, "broadcast": [(2, 1), (3,), (1, 1), (2, 3)], "scalars": [()] * 4}
F64, F32 = np.dtype(np.float64), np.dtype(np.float32)


def operands(op, shapes, dtype=F64):
    """Arrays drawn from the op's domain."""
    rng = np.random.default_rng(3)
    domain = op.domain if isinstance(op.domain[0], tuple) else (op.domain,) * len(op.pulls)
    return [rng.uniform(*d, size=s).astype(dtype) for d, s in zip(domain, shapes, strict=False)]


def in_known_operands(op, xs, f=None):
    """``f`` (or the op) as a function of the operands in which the op has a derivative; and those."""
    places = [i for i, rule in enumerate(op.pulls) if rule is not None]

    def g(*given):
        full = list(xs)
        for i, x in zip(places, given, strict=True):
            full[i] = x
        return (f or op)(*full)

    return g, [xs[i] for i in places]


def derivatives(f, x):
    """Value, first and second derivative of an elementwise function, at each entry of ``x``."""
    ones = np.ones_like(x)

    def slope(x):
        return xg.vjp(f, x)[1](ones)[0]

    return f(x), slope(x), xg.vjp(slope, x)[1](ones)[0]


# ── every op ─────────────────────────────────────────────────────────────────────────────────
def test_the_list_of_ops_is_complete():
    stated = {op.name for m in (special, bessel) for op in vars(m).values() if type(op) is xg.core.Op}
    ours = {n for n in stated if n in LIBRARY or n in cpu_backend().table}
    assert set(NAMES) | set(ALONG_AXES) | {"gammasgn", "softmax_or_zero"} == ours - {
        "cos",
        "exp",
        "sin",
        "where",
        "sign",
    }


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_derivatives_agree_with_differences_to_order_two(name, shapes):
    f, xs = in_known_operands(OPS[name], operands(OPS[name], SHAPES[shapes]))
    check_grads(f, [x if x.shape else x[()] for x in xs])


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
    if backend.name == "gpu" and name in cupyx_rows.DECLINES:
        pytest.skip(cupyx_rows.DECLINES[name])
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


# ── the ends of the domains, against 50 digits ───────────────────────────────────────────────
def _mills(x):
    return mp.npdf(x) / mp.ncdf(x)


EXTREMES = {
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), [-1000, -700, -40, 0, 40, 700, 1000]),
    "log_expit": (lambda x: -mp.log1p(mp.exp(-x)), [-1000, -40, 0, 40, 1000]),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), [-1000, -40, 0, 40, 1000]),
    "logit": (lambda x: mp.log(x / (1 - x)), [2**-30, 0.25, 0.5 - 2**-20, 0.5, 0.75, 1 - 2**-20]),
    "entr": (lambda x: -x * mp.log(x), [2**-60, 1, 2**60]),
    "erf": (mp.erf, [-30, -1e-5, 0, 30]),
    "erfc": (mp.erfc, [-30, 5, 25]),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), [-4, 0, 5, 100, 1e4]),
    "dawsn": (lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), [-1000, 0, 10]),
    "ndtr": (mp.ncdf, [-30, -8, 0, 30]),
    "log_ndtr": (lambda x: mp.log(mp.ncdf(x)), [-1e4, -1000, -30, -5.5, -4.5, 0, 5, 30, 100]),
    "inv_mills": (_mills, [-30, -5.5, -4.5, 0, 5, 30]),
    "inv_mills_excess": (lambda x: x + _mills(x), [-30, -5.5, -4.5, 0, 5]),
    "gammaln": (mp.loggamma, [2**-20, 1, 2, 1e6, 1e10]),
    "digamma": (mp.digamma, [2**-8, 1, 1e6, 1e10]),
    "rgamma": (mp.rgamma, [-3, -2, -1, 0, 1, 30]),
    "exprel": (lambda x: mp.expm1(x) / x if x else mp.mpf(1), [-700, -1, -0.5, 0, 2**-30, 0.5, 1, 80]),
    "j0": (lambda x: mp.besselj(0, x), [0, 2**-20, 0.5, 1, 1000]),
    "j1": (lambda x: mp.besselj(1, x), [0, 2**-20, 0.5, 1, -2, 1000]),
    "i1": (lambda x: mp.besseli(1, x), [0, 2**-20, 0.5, 1, -2, 20]),
    "i0e": (lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), [-800, -2, 0.5, 1e4]),
    "i1e": (lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), [-800, -2, 0.5, 1e4]),
    "k0e": (lambda x: mp.exp(x) * mp.besselk(0, x), [0.01, 1, 1000]),
}


def fifty_digits(f, x):
    """Value, first and second derivative."""
    with mp.workdps(50):
        x = mp.mpf(float(x))
        return [float(mp.diff(f, x, n)) if n else float(f(x)) for n in range(3)]


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", EXTREMES)
def test_value_and_two_derivatives_have_their_digits_at_the_ends(name, dtype):
    f, points = EXTREMES[name]
    x = np.array(points, dtype)
    expected = np.array([fifty_digits(f, p) for p in x]).T
    for actual, right in zip(derivatives(OPS[name], x), expected, strict=True):
        for a, b in zip(actual, right, strict=True):
            assert close(a, b.astype(dtype), 4 * tolerance(dtype).value), (name, actual, right)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("expit", [-300, -40, 30]),
        ("log_expit", [-20, 40, 300]),
        ("softplus", [-300, -40]),
        ("erfcx", [100, 1e5]),
        ("log_ndtr", [-1e6, -1e3, 8]),
        ("inv_mills", [-1e6, -6, -5.01, -4.99]),
        ("exprel", [-300, -1e-9]),
    ],
)
def test_first_derivatives_keep_relative_digits_in_the_tails(name, points):
    x = np.array(points, float)
    expected = np.array([fifty_digits(EXTREMES[name][0], p)[1] for p in x])
    assert np.max(np.abs(derivatives(OPS[name], x)[1] / expected - 1)) < tolerance(F64).value


def test_where_x_is_zero_x_log_y_and_its_slopes_are_limits():
    x, y = np.zeros(3), np.array([0.0, 2.0, np.inf])
    out, pullback = xg.vjp(special.xlogy, x, y)
    dx, dy = pullback(np.ones(3))
    assert np.array_equal(out, np.zeros(3))
    assert np.array_equal(dx, [-np.inf, np.log(2.0), np.inf])
    assert np.array_equal(dy, np.zeros(3))
    assert np.array_equal(xg.vjp(special.xlogy, x, y)[1](np.zeros(3))[0], np.zeros(3))


def test_the_mixed_derivative_of_x_log_y_is_one_over_y_at_zero_too():
    def slope_in_y(x):
        return xg.vjp(lambda y: special.xlogy(x, y), np.array([2.0]))[1](np.ones(1))[0]

    assert xg.jvp(slope_in_y, (np.zeros(1),), (np.ones(1),))[1] == 0.5


def test_entropies_are_finite_at_zero_and_infinite_outside():
    x = np.array([0.0, 0.0, 0.0, 1.0, -1.0, np.nan])
    y = np.array([0.0, 2.0, -1.0, 0.0, 1.0, 1.0])
    assert np.array_equal(special.rel_entr(x, y), scipy.special.rel_entr(x, y), equal_nan=True)
    assert np.array_equal(special.kl_div(x, y), scipy.special.kl_div(x, y), equal_nan=True)
    assert np.array_equal(special.entr(x), scipy.special.entr(x), equal_nan=True)
    dx, dy = xg.vjp(special.rel_entr, x[:2], y[:2])[1](np.ones(2))
    assert np.array_equal(dy, [0, 0])
    assert np.array_equal(dx, [1, -np.inf])
    assert xg.vjp(special.entr, x[:1])[1](np.ones(1))[0] == np.inf


def test_the_logarithm_of_a_ratio_survives_its_overflow():
    x, y = np.array([1e200, 1e-200, 1 + 1e-12]), np.array([1e-200, 1e200, 1.0])
    with mp.workdps(50):
        right = [float(mp.mpf(a) * mp.log(mp.mpf(a) / mp.mpf(b))) for a, b in zip(x, y, strict=True)]
    assert np.max(np.abs(special.rel_entr(x, y) / right - 1)) < tolerance(F64).value


def test_logit_keeps_relative_digits_about_one_half():
    x = 0.5 + np.array([-0.2, -1.2345e-9, 3.3e-12, 0.1])
    expected = [fifty_digits(EXTREMES["logit"][0], p)[0] for p in x]
    assert np.max(np.abs(special.logit(x) / expected - 1)) < tolerance(F64).value


@pytest.mark.parametrize("a", [1, np.array(1)], ids=["scalar", "array"])
def test_a_whole_parameter_needs_no_array(a):
    _, first, second = derivatives(lambda x: special.gammainc(a, x), np.zeros(1))
    assert (first, second) == (1, -1)


def test_densities_have_their_limits_at_the_ends_of_the_support():
    a = np.array([1.0, 2.0, 3.0])
    _, first, second = derivatives(lambda x: special.gammainc(a, x), np.zeros(3))
    assert np.array_equal(first, [1, 0, 0])
    assert np.array_equal(second, [-1, 1, 0])
    _, first, second = derivatives(lambda x: special.betainc(a, 2.0, x), np.zeros(3))
    assert close(first, [2, 0, 0], tolerance(F64).value)
    assert close(second, [-2, 6, 0], tolerance(F64).value)
    _, first, second = derivatives(lambda x: special.betainc(0.5, 0.5, x), np.array([0.5]))
    assert close(first, [2 / np.pi], tolerance(F64).value)
    assert close(second, [0], tolerance(F64).value)


def test_third_derivatives_at_removable_singularities():
    def third(f):
        x = np.zeros(1)
        return derivatives(lambda x: xg.vjp(f, x)[1](np.ones(1))[0], x)[2][0]

    bound = tolerance(F64).value
    assert close(third(bessel.j1), -3 / 8, bound)
    assert close(third(bessel.i1), 3 / 8, bound)
    assert close(third(bessel.exprel), 1 / 4, bound)
    assert close(third(special.rgamma), fifty_digits_third(mp.rgamma), bound)


def fifty_digits_third(f):
    with mp.workdps(50):
        return float(mp.diff(f, 0, 3))


# ── SciPy ────────────────────────────────────────────────────────────────────────────────────
UFUNCS = sorted(n for n, f in vars(scipy.special).items() if isinstance(f, np.ufunc))
_OF_NUMPY = ("cbrt", "exp2", "expm1", "log1p", "round")
_ALSO_CALLED = {"psi": "digamma", "jn": "jv"}


@pytest.mark.parametrize("name", sorted(set(UFUNCS) & {*NAMES, *_ALSO_CALLED}))
def test_scipys_ufuncs_on_traced_arrays_have_our_derivatives(name):
    op = OPS[_ALSO_CALLED.get(name, name)]
    xs = operands(op, SHAPES["same"])
    f, given = in_known_operands(op, xs)
    theirs, _ = in_known_operands(op, xs, getattr(scipy.special, name))
    out, pullback = xg.vjp(theirs, *given)
    g = np.ones_like(out)
    for a, b in zip(pullback(g), xg.vjp(f, *given)[1](g), strict=True):
        assert close(a, b, tolerance(F64).value)


@pytest.mark.parametrize("name", sorted(set(UFUNCS) - {*NAMES, *_ALSO_CALLED, *_OF_NUMPY, "gammasgn"}))
def test_scipys_other_ufuncs_are_refused_by_name(name):
    ufunc = getattr(scipy.special, name)
    with pytest.raises(NotDifferentiableError, match=f"{ufunc.__name__}: no derivative is known"):
        xg.vjp(lambda x: ufunc(*[x] * ufunc.nin), np.array([0.4, 0.7]))


def test_hurwitz_zeta_of_scipy_is_ours():
    q = np.array([0.5, 1.5])
    check_grads(lambda q: scipy.special.zeta(2.5, q), [q])


@pytest.mark.parametrize(
    "call",
    [
        scipy.special.logsumexp,
        scipy.special.softmax,
        scipy.special.log_softmax,
        lambda x: scipy.special.multigammaln(x, 2),
        lambda x: scipy.special.polygamma(1, x),
    ],
)
def test_scipys_python_functions_point_to_ours(call):
    with pytest.raises(TraceError, match=r"xg\.special has SciPy's functions"):
        xg.vjp(call, np.array([1.5, 2.5]))


def test_without_scipy_the_error_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    scipy_rows._scipy_special.cache_clear()
    backend = Backend("numpy", {}, late=dict.fromkeys(LIBRARY, scipy_rows.scipy_row))
    with pytest.raises(DependencyError, match="erf: needs SciPy on the CPU: pip install scipy"):
        backend.row(OPS["erf"])
    assert "erf" not in backend.table


def test_every_op_has_a_row_or_is_declined_by_name():
    cpu = cpu_backend()
    for name in (*NAMES, *ALONG_AXES, "gammasgn", "softmax_or_zero"):
        assert name in cpu.table or name in cpu.late
        assert name in cpu.table or name in cupyx_rows.NAMES or name in cupyx_rows.DECLINES
    with pytest.raises(XpgradError, match=r"jv: not available on cupy: cupyx\.scipy\.special has no jv"):
        Backend("cupy", {}, declines=cupyx_rows.DECLINES).row(OPS["jv"])


def test_what_cupy_is_said_to_lack_it_lacks():
    theirs = pytest.importorskip("cupyx.scipy.special", exc_type=ImportError)
    for name in LIBRARY.union(cupyx_rows.SHORTER).difference(WITHOUT_A_NAME):
        assert hasattr(theirs, name) != (name in cupyx_rows.DECLINES), name


class OtherModule:
    """An array module that is not NumPy, but computes like it: the rows take the ways of the GPU."""

    def __init__(self):
        self.asked = set()

    def __getattr__(self, name):
        self.asked.add(name)
        return getattr(np, name)


def test_rows_for_another_array_module_agree_with_numpys():
    xp = OtherModule()
    table = special_rows(xp)
    x = np.array([[-np.inf, 1.0, 1e4], [-np.inf] * 3, [np.inf, 0.0, -5.0], [0.1, 0.2, 0.3]])
    for name in NAMES:
        row = table.get(name) or library_row(name, scipy.special, xp)
        xs = operands(OPS[name], SHAPES["broadcast"])
        for zs in (xs, [x.astype(F32) for x in xs], [1.0, *xs[1:]] if len(xs) > 1 else xs):
            assert close(row(*zs), OPS[name](*zs), tolerance(F64).value), name
    for name in (*ALONG_AXES, "softmax_or_zero"):
        assert close(table[name](x, axis=1), OPS[name](x, axis=1), tolerance(F64).value), name
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    assert all(hasattr(cupy, name) for name in xp.asked)


@pytest.mark.parametrize("name", ["i0e", "i1e", "k0e", "k1e"])
def test_scaled_bessel_functions_on_the_gpu_have_a_series_where_cupys_kernel_is_nan(name):
    x = np.array([1.0, 59.9, 60.1, 100.0, 800.0, 1e6])
    x = x if name[0] == "k" else np.concatenate([-x, x])

    def kernel(x):
        assert np.max(np.abs(x)) <= 60
        return getattr(scipy.special, name)(x)

    ours = cupyx_rows.scaled(kernel, name, np)(x)
    assert np.max(np.abs(ours / getattr(scipy.special, name)(x) - 1)) < tolerance(F64).value
