"""Cases for every op that kernels compute of single entries, and when a result is NumPy's.

A generator's tests run them: floats at edges and anywhere, integers with their ends, dtypes that meet.
"""

import numpy as np
import pytest

from xpgrad.codegen.scalar.ops import statement
from xpgrad.core import OPS, aval_of
from xpgrad.passes.lower_pointwise import POINTWISE
from xpgrad.plan.loop_nests import Declined
from xpgrad.testing import tolerance

pytest.importorskip("scipy.special")

from backends import samples
from backends.nodes import ELEMENTWISE, Case, operands_of

DECLINED = set(
    """
    erfi dawsn ndtri_exp gammainc gammaincc gammaincinv gammainccinv betainc betaincc betaincinv
    log_gammainc log_gammaincc gamma_score_below gamma_score_above gamma_curvature_below gamma_curvature_above
    log_betainc beta_score_a beta_score_b stdtr stdtrit
    jv yv iv ive k0 k0e k1 k1e kn kv kve expi exp1
    gcd lcm nextafter
    """.split()
)
OF_INTEGERS = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"}
# Rounded once, or not at all: to the last bit.
EXACT = set(
    """
    add subtract multiply divide negative positive square reciprocal absolute fabs sqrt root sign copysign copy
    floor ceil trunc rint round maximum minimum fmax fmin where heaviside fmod remainder floor_divide ldexp
    nan_to_num conjugate real imag astype stop_gradient
    """.split()
)
# Where the result is a difference, or between zeros: relative to 1, as `close` has it.
CANCELS = set("sinc kl_div digamma polygamma zeta gammaln loggamma betaln j0 j1 y0 y1 yn".split())
# Which of two zeros it is is left open.
ANY_ZERO = set("maximum minimum fmax fmin erfinv erfcinv ndtri cosm1 i1 i1e".split())

# The passes write these in other ops, and no kernel meets them.
LOWERED = ({op.name for op in POINTWISE} & set(ELEMENTWISE)) | {n for n, op in OPS.items() if op.composed}
KNOWN = sorted(set(ELEMENTWISE) - DECLINED - LOWERED)
FLOATS = {
    (name, dtype): Case(name, samples.floats(name, dtype))
    for name in KNOWN
    if name not in OF_INTEGERS
    for dtype in ("float32", "float64")
}


def assert_the_same(name, xs, y, z, *, exact=False):
    """Each entry within the table's tolerance of itself, or exactly; zeros by their signs."""
    assert y.dtype == z.dtype
    if y.dtype.kind != "f":
        wrong = y != z
    else:
        finite = np.isfinite(z)
        size = np.where(finite, np.abs(z), 0)
        floor = 1 if name in CANCELS else np.finfo(z.dtype).tiny
        allowed = 0 if exact else tolerance(z.dtype).value * np.maximum(size, floor)
        apart = np.abs(np.where(finite, y, 0) - np.where(finite, z, 0))
        wrong = np.where(finite, ~(apart <= allowed), ~((y == z) | (np.isnan(y) & np.isnan(z))))
        if name not in ANY_ZERO | CANCELS:
            wrong |= (y == 0) & (z == 0) & (np.signbit(y) != np.signbit(z))
    shown = [(*[x if np.ndim(x) == 0 else x[i] for x in xs], y[i], z[i]) for i in np.flatnonzero(wrong)[:5]]
    assert not wrong.any(), f"{name}: operands, result, NumPy's: {shown}, {wrong.sum()} of {wrong.size}"


# ── integers and truth values ────────────────────────────────────────────────────────────────
def _of_integers():
    found = {}
    for dtype in samples.INTEGERS:
        for name in KNOWN:
            if name in ("where", "ldexp", "polygamma", "yn", "power"):
                continue
            try:
                case = Case(name, samples.integers(dtype, operands_of(name)))
                statement(case.node)
            except (Declined, TypeError):  # nothing that kernels compute, or nothing that NumPy has
                continue
            if case.node.dtype.kind != "f" or name in ("divide", "rint", "arctan2", "exp"):
                found[name, dtype] = case
    for dtype in samples.INTEGERS[5:]:
        x, exponents = samples.integers(dtype)[0], np.array([0, 1, 5, 64], dtype)
        found["power", dtype] = Case("power", [np.repeat(x, 4), np.tile(exponents, len(x))])
    return found


WHOLE = _of_integers()


# ── dtypes that meet ─────────────────────────────────────────────────────────────────────────
def _mixed():
    rng = np.random.default_rng(1)
    f32, f64 = rng.normal(size=40).astype(np.float32), rng.normal(size=40)
    i8, i32, i64 = (rng.integers(-100, 100, 40).astype(t) for t in (np.int8, np.int32, np.int64))
    u64 = rng.integers(0, 100, 40).astype(np.uint64)
    i64[:3], u64[:3], f32[:2] = [-1, -1, 2**62 + 1], [2**64 - 1, 1, 2**62], [np.nan, np.inf]
    u8, truth = u64.astype(np.uint8), f32 > 0
    pairs = [(f32, f64), (f32, i8), (f32, i32), (f64, u64), (i8, i32), (i8, u8), (i32, u8), (i64, u64)]
    pairs += [(u64, i64), (truth, f32), (i8, truth), (u64, truth)]
    pairs += [(f32, 2), (2.5, f32), (f64, 7), (i32, 3), (i32, 0.5), (-1, i64)]
    comparisons = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    yield from (
        Case(name, [x, y]) for name in ("add", "maximum", "logical_and", "less", "equal") for x, y in pairs
    )
    yield from (Case(name, xs) for name in comparisons for xs in ([i64, u64], [u64, i64], [u8, i32]))
    yield from (
        Case("where", [c, x, y]) for c in (truth, f32, i32) for x, y in ((f32, 0), (i32, f32), (1, f64))
    )
    yield from (Case("power", [f32, 3]), Case("power", [2, f64]), Case("float_power", [f32, i8]))
    yield from (Case("ldexp", [f32, i8]), Case("ldexp", [f64, i32]))
    yield from (Case("sin", [i32]), Case("isnan", [i32]))
    for x, dtypes in [
        (f32, "float64 bool"),
        (f64, "float32 int32 int8 bool"),
        (i64, "float32 int8 uint8 uint64 bool"),
    ]:
        yield from (Case("astype", [x], {"dtype": np.dtype(t)}) for t in dtypes.split())


MIXED = {
    (case.name, *[str(aval_of(x).dtype) for x in case.operands], str(i)): case
    for i, case in enumerate(_mixed())
}
