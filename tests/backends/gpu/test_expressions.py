"""Every op that CUDA kernels write, run behind the shim, against NumPy."""

import numpy as np
import pytest

from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.backends.gpu.cuda.printing import expressions as ex
from xpgrad.core import OPS, Const, Input, Node, aval_of
from xpgrad.plan.loop_nests import Declined

pytest.importorskip("scipy.special")

from backends.gpu import shim
from backends.gpu.nodes import Kernels
from backends.nodes import Case, node_of, operands_of
from backends.op_cases import DECLINED, EXACT, FLOATS, MIXED, WHOLE, assert_the_same

pytestmark = pytest.mark.skipif(shim.missing() is not None, reason=str(shim.missing()))


@pytest.fixture(scope="module")
def floats():
    # A float that becomes a double without being asked to is an error.
    return Kernels(shim.Shim("-Wdouble-promotion", "-Werror"), FLOATS)


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
@pytest.fixture(scope="module")
def whole():
    return Kernels(shim.Shim(), WHOLE)


@pytest.mark.slow
@pytest.mark.parametrize("key", WHOLE, ids="-".join)
def test_a_function_of_integers_is_numpys_overflow_and_division_by_0_included(key, whole):
    case = WHOLE[key]
    assert_the_same(key[0], case.operands, whole.run(key), case.expected())


# ── dtypes that meet ─────────────────────────────────────────────────────────────────────────
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
    of = int if name in ("gcd", "lcm") else float
    node = node_of(name, [np.zeros(3, of)] * operands_of(name))
    with pytest.raises(Declined, match=f"^{name} has no instructions$"):
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
