"""Every op that CUDA kernels write, run behind the shim, against its NumPy row."""

import numpy as np
import pytest

from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.backends.gpu.cuda.printing import expressions as ex
from xpgrad.core import OPS, Const, Input, Node, aval_of
from xpgrad.passes.lower_pointwise import POINTWISE
from xpgrad.plan.loop_nests import Declined
from xpgrad.testing import tolerance

pytest.importorskip("scipy.special")

from backends.gpu import samples, shim
from backends.gpu.nodes import ELEMENTWISE, Case, Kernels, node_of, operands_of

pytestmark = pytest.mark.skipif(shim.missing() is not None, reason=str(shim.missing()))

DECLINED = set(
    """
    erfi dawsn ndtri_exp gammainc gammaincc gammaincinv gammainccinv betainc betaincc betaincinv
    jv yv iv ive k0 k0e k1 k1e kn kv kve expi exp1
    left_shift right_shift gcd lcm
    """.split()
)
OF_INTEGERS = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert"}
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
LOWERED = {op.name for op in POINTWISE} & set(ELEMENTWISE)
KNOWN = sorted(set(ELEMENTWISE) - DECLINED - LOWERED)
FLOATS = {
    (name, dtype): Case(name, samples.floats(name, dtype))
    for name in KNOWN
    if name not in OF_INTEGERS
    for dtype in ("float32", "float64")
}


@pytest.fixture(scope="module")
def floats():
    # A float that becomes a double without being asked to is an error.
    return Kernels(shim.Shim("-Wdouble-promotion", "-Werror"), FLOATS)


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


@pytest.mark.sweep
@pytest.mark.parametrize("key", FLOATS, ids="-".join)
def test_a_function_of_floats_is_numpys(key, floats):
    name, case = key[0], FLOATS[key]
    y = floats.run(key)
    if name in EXACT:
        assert_the_same(name, case.operands, y, case.expected(), exact=True)
        return
    # NumPy's in float64, rounded, for float32 too: its float32 cancels where ours need not.
    z = case.expected(np.float64)
    assert case.node.dtype == case.expected().dtype
    with np.errstate(all="ignore"):
        assert_the_same(name, case.operands, y, z.astype(case.node.dtype))


# ── integers and truth values ────────────────────────────────────────────────────────────────
def _of_integers():
    found = {}
    for dtype in samples.INTEGERS:
        for name in KNOWN:
            if name in ("where", "ldexp", "polygamma", "yn", "power"):
                continue
            try:
                case = Case(name, samples.integers(dtype, operands_of(name)))
                ex.check(case.node)
            except (Declined, TypeError):  # nothing that kernels compute, or nothing that NumPy has
                continue
            if case.node.dtype.kind != "f" or name in ("divide", "rint", "arctan2", "exp"):
                found[name, dtype] = case
    for dtype in samples.INTEGERS[5:]:
        x, exponents = samples.integers(dtype)[0], np.array([0, 1, 5, 64], dtype)
        found["power", dtype] = Case("power", [np.repeat(x, 4), np.tile(exponents, len(x))])
    return found


WHOLE = _of_integers()


@pytest.fixture(scope="module")
def whole():
    return Kernels(shim.Shim(), WHOLE)


@pytest.mark.sweep
@pytest.mark.parametrize("key", WHOLE, ids="-".join)
def test_a_function_of_integers_is_numpys_overflow_and_division_by_0_included(key, whole):
    case = WHOLE[key]
    assert_the_same(key[0], case.operands, whole.run(key), case.expected())


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


@pytest.fixture(scope="module")
def mixed():
    return Kernels(shim.Shim(), MIXED)


@pytest.mark.parametrize("key", MIXED, ids="-".join)
def test_operands_of_two_dtypes_meet_as_in_numpy(key, mixed):
    case = MIXED[key]
    assert_the_same(key[0], case.operands, mixed.run(key), case.expected())


@pytest.mark.slow
@pytest.mark.skipif(nvrtc.available() is not None, reason=str(nvrtc.available()))
def test_every_expression_compiles_for_a_gpu_and_spills_no_register(floats, whole, mixed):
    for kernels in (floats, whole, mixed):
        resources = nvrtc.compile_cubin(kernels.source(), "sm_80").resources
        assert len(resources) == len(kernels)
        assert not [name for name, of in resources.items() if of.spill_stores]


HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)


def test_16_bits_are_read_and_computed_with_as_float32():
    others = np.linspace(-3, 3, len(HALVES), dtype=np.float32)
    cases = {
        "astype": Case("astype", [HALVES], {"dtype": np.dtype(np.float32)}),
        "multiply": Case("multiply", [HALVES, others]),
        "less": Case("less", [HALVES, HALVES[::-1].copy()]),
        "isnan": Case("isnan", [HALVES]),
    }
    kernels = Kernels(shim.Shim(), cases)
    for key, case in cases.items():
        assert_the_same(key, case.operands, kernels.run(key), case.expected(), exact=True)


def test_bfloat16_is_read_as_float32():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.arange(2**16, dtype=np.uint16).view(bfloat16)
    cases = {"astype": Case("astype", [x], {"dtype": np.dtype(np.float32)})}
    y = Kernels(shim.Shim(), cases).run("astype")
    assert np.array_equal(y, x.astype(np.float32), equal_nan=True)


# ── what there is no expression for ──────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", sorted(DECLINED))
def test_an_op_without_an_expression_is_declined_by_name(name):
    of = int if name in ("left_shift", "right_shift", "gcd", "lcm") else float
    node = node_of(name, [np.zeros(3, of)] * operands_of(name))
    with pytest.raises(Declined, match=f"^{name} has no CUDA expression$"):
        ex.check(node)


@pytest.mark.parametrize(
    ("name", "xs", "said"),
    [
        ("add", [np.zeros(3, np.float16)] * 2, "gives float16"),
        ("exp", [np.zeros(3, np.complex64)], "gives complex64"),
        ("real", [np.zeros(3, np.complex64)], "reads complex64"),
        ("less", [np.zeros(3, np.float16), 0.1], "compares in float16"),
        ("sum", [np.zeros(3, np.float16)], "gives float16"),
        ("power", [np.ones(3, np.int64)] * 2, "of integers"),
        ("round", [np.ones(3, np.int64)], "of int64 to -1 decimals"),
    ],
)
def test_a_dtype_without_an_expression_is_declined_by_name(name, xs, said):
    with pytest.raises(Declined, match=said):
        ex.check(node_of(name, xs, {"decimals": -1} if name == "round" else None))


def test_integers_have_powers_with_a_constant_exponent_of_0_or_more():
    x = np.arange(-4, 5)
    for exponent in (3, -1):
        node = Node(OPS["power"], [Input(aval_of(x)), Const(exponent)], {}, aval_of(x))
        if exponent < 0:
            with pytest.raises(Declined, match="of 0 or more"):
                ex.check(node)
        else:
            ex.check(node)


def test_reductions_and_movers_pass_if_their_dtypes_do():
    for name, params in [("sum", {"axis": None, "keepdims": False}), ("full_like", {"value": 1})]:
        ex.check(node_of(name, [np.ones(3)], params))


@pytest.mark.parametrize("decimals", [-1, 0, 3])
def test_round_and_nan_to_num_take_their_parameters(decimals):
    x = np.array([0.12345, -1234.5678, 15.0, 25.0, np.nan, np.inf, -np.inf], np.float32)
    cases = {
        "round": Case("round", [x], {"decimals": decimals}),
        "nan_to_num": Case("nan_to_num", [x], {"nan": 2.5, "posinf": None, "neginf": -7.0}),
    }
    kernels = Kernels(shim.Shim(), cases)
    for key, case in cases.items():
        assert_the_same(key, [x], kernels.run(key), case.expected(), exact=True)
