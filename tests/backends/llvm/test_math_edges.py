"""The math functions at zeros, infinities and NaN, and where NumPy's result is to be met exactly."""

import numpy as np
import pytest

from xpgrad.backends.cpu.llvm import build

sp = pytest.importorskip("scipy.special")
if reason := build.available():
    pytest.skip(reason, allow_module_level=True)

from backends.llvm.math_kernels import BINARY, DTYPE, function  # noqa: E402

KINDS = sorted(DTYPE)
EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan]
PAIRS = [*EDGES, 1, -1, 2, -2, 0.5, -0.5, 3, -3, -7.5, 1e-30, 1e30, 1e-40, -1e-40, 1e38, -1e38]
NUMPY = """
exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arctanh
sinc sign floor ceil trunc rint
""".split()
SCIPY = "expit logit erf erfc erfcx ndtr log_ndtr gammaln exp10".split()
EXACT = "fmax fmin copysign fmod remainder floor_divide".split()


def the_same(y, z):
    """Equal, zeros by their signs, NaN to NaN."""
    return (np.isnan(y) & np.isnan(z)) | ((y == z) & (np.signbit(y) == np.signbit(z)))


def pairs(kind):
    with np.errstate(all="ignore"):
        return (v.ravel() for v in np.meshgrid(np.array(PAIRS, DTYPE[kind]), np.array(PAIRS, DTYPE[kind])))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*NUMPY, *SCIPY])
def test_zeros_infinities_and_nan_are_those_of_numpy(name, kind):
    x = np.array(EDGES, DTYPE[kind])
    with np.errstate(all="ignore"):
        expected = getattr(np if name in NUMPY else sp, name)(x)
    y = function(name, kind)(x)
    simple = np.isin(expected, [0, 1, 0.5, np.inf, -np.inf]) | np.isnan(expected)
    assert the_same(y, expected)[simple].all(), (y, expected)
    assert np.allclose(y, expected, rtol=4 * np.finfo(DTYPE[kind]).eps, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_outside_of_its_domain_a_function_is_nan(kind):
    for name, outside in {
        "log": [-1, -1e-40], "log2": [-1], "log10": [-2], "log1p": [-1.5, -np.inf], "sqrt": [-1],
        "logit": [-0.1, 1.1],
        "arcsin": [1.5, -1.5], "arccos": [1.5, -1.5], "arccosh": [0.5, -3, -np.inf], "arctanh": [1.5, -2],
    }.items():  # fmt: skip
        assert np.isnan(function(name, kind)(outside)).all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_poles_and_ends_of_the_domain(kind):
    for name, x, y in [
        ("log1p", -1, -np.inf), ("arctanh", 1, np.inf), ("arctanh", -1, -np.inf), ("arccosh", 1, 0),
        ("arccos", 1, 0), ("softplus", -np.inf, 0), ("softplus", np.inf, np.inf),
        ("logit", 1, np.inf), ("logit", 0.5, 0), ("gammaln", 1, 0), ("gammaln", 2, 0), ("gammaln", -3, np.inf),
        ("arccosh", np.inf, np.inf), ("log", 1, 0),
        ("ndtr", -np.inf, 0), ("ndtr", np.inf, 1),
        ("normal_density", -np.inf, 0), ("normal_density", np.inf, 0),
        ("inv_mills", -np.inf, np.inf), ("inv_mills", np.inf, 0),
    ]:  # fmt: skip
        assert function(name, kind)([x])[0] == y, (name, x)


@pytest.mark.parametrize("kind", KINDS)
def test_exp_underflows_gradually_and_overflows_where_numpy_does(kind):
    info = np.finfo(DTYPE[kind])
    low, high = np.log(info.smallest_subnormal.astype(np.longdouble)), np.log(np.longdouble(info.max))
    x = np.linspace(low - 1, low + 50, 2001).astype(DTYPE[kind])
    y = function("exp", kind)(x)
    with np.errstate(all="ignore"):
        exact = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(y - exact) / np.spacing(np.maximum(y, info.tiny))) <= 1
    assert (np.diff(y) >= 0).all()
    assert (y[0], np.count_nonzero((y > 0) & (y < info.tiny)) > 100) == (0, True)
    edge = DTYPE[kind].type(high)
    inside, outside = np.nextafter(edge, DTYPE[kind].type(0)), np.nextafter(edge, DTYPE[kind].type(np.inf))
    assert np.isfinite(function("exp", kind)([inside])).all()
    assert np.isposinf(function("exp", kind)([outside, 2 * edge])).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["power", "arctan2", "hypot"])
def test_a_function_of_two_has_numpys_edges(name, kind):
    x, y = pairs(kind)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x, y)
    z = function(name, kind)(x, y)
    special = ~np.isfinite(expected) | (expected == 0) | (np.abs(expected) == 1)
    tiny = np.abs(expected) < 2 * np.finfo(DTYPE[kind]).tiny
    wrong = special & ~tiny & ~the_same(z, expected)
    assert not wrong.any(), [(x[i], y[i], z[i], expected[i]) for i in np.flatnonzero(wrong)]
    near = np.isclose(z, expected, rtol=8 * np.finfo(DTYPE[kind]).eps, atol=0, equal_nan=True) | tiny
    assert near.all(), [(x[i], y[i], z[i], expected[i]) for i in np.flatnonzero(~near)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXACT)
def test_choice_and_division_are_numpys_to_the_last_bit(name, kind):
    rng = np.random.default_rng(0)
    x, y = pairs(kind)
    scale = 10.0 ** rng.integers(-12, 13, 50_000)
    more = (rng.uniform(-9, 9, 50_000) * scale).astype(DTYPE[kind])
    whole = rng.integers(-20, 20, (2, 5000)).astype(DTYPE[kind])
    any_number = np.frombuffer(rng.bytes(80_000), DTYPE[kind])[:10_000].reshape(2, -1)
    x = np.concatenate([x, more, whole[0], any_number[0]])
    y = np.concatenate([y, rng.uniform(-9, 9, 50_000).astype(DTYPE[kind]), whole[1], any_number[1]])
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x, y)
    z = function(name, kind)(x, y)
    # Which of two zeros is the larger is left open.
    wrong = ~(the_same(z, expected) | ((z == 0) & (expected == 0) & (x == y)))
    assert not wrong.any(), [(x[i], y[i], z[i], expected[i]) for i in np.flatnonzero(wrong)[:5]]


@pytest.mark.skipif(not build.scales(), reason="this CPU has no instruction that multiplies by powers of two")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", "exp exp2 exp10 expit softplus erfc ndtr normal_density sinh power".split())
def test_one_instruction_for_powers_of_two_gives_the_same_bits(name, kind):
    anywhere = np.frombuffer(np.random.default_rng(0).bytes(160_000), DTYPE[kind])
    x = np.concatenate([anywhere, np.linspace(-800, 800, 20_000, dtype=DTYPE[kind])])
    operands = [np.abs(x), x[::-1].copy()] if name in BINARY else [x]
    plain, scaled = (function(name, kind, scales)(*operands) for scales in (False, True))
    np.testing.assert_array_equal(scaled, plain)
