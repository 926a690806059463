"""Every op that LLVM kernels write of single entries, compiled, against NumPy."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from xpgrad.backends.cpu.llvm import build, kernel
from xpgrad.backends.cpu.llvm import scalars as ll
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.core import OPS, SCALAR_TYPES, Const, Input, Node, aval_of
from xpgrad.plan.loop_nests import Declined

if reason := build.available():
    pytest.skip(reason, allow_module_level=True)

from backends.nodes import Case, node_of, operands_of
from backends.op_cases import DECLINED, EXACT, FLOATS, MIXED, WHOLE, assert_the_same

# Kernels compute in these; of the others they read some.
COMPUTED = {"float32", "float64", "bool", "int32", "int64"}
READ = COMPUTED | {"int8", "int16", "uint8", "uint16", "uint32"}
OWN_ALONE = {"yn"}  # CUDA has it, and LLVM nothing


def is_known(case):
    dtypes = {aval_of(x).dtype.name for x in case.operands}
    return case.node.dtype.name in COMPUTED and dtypes <= READ and case.name not in OWN_ALONE


FLOATS = {key: case for key, case in FLOATS.items() if is_known(case)}
WHOLE = {key: case for key, case in WHOLE.items() if is_known(case)}
MIXED = {key: case for key, case in MIXED.items() if is_known(case)}


def run(node, operands):
    """What the kernel of a node gives for each entry of ``operands``, arrays and Python scalars."""
    w = Writer("f", [*(f"ptr %p{k}" for k in range(len(operands))), "ptr %y", "i64 %n"], public=True)
    calls = set()
    with w.loop("%n") as i:
        given = []
        for k, x in enumerate(operands):
            if isinstance(x, SCALAR_TYPES):
                kind = "double" if isinstance(x, float) else "i64"
                given.append(ll.Scalar(number(x, kind), kind))
            else:
                given.append(ll.loaded(w, x.dtype, f"%p{k}", i))
        ll.kept(w, ll.emit(w, node, given, calls), "%y", i)
    code = build.load(
        build.compile_ir(kernel.module([SimpleNamespace(calls=calls, functions=w.text())])), ["f"]
    )
    arrays = [None if isinstance(x, SCALAR_TYPES) else x for x in operands]
    y = np.zeros(max(len(x) for x in arrays if x is not None), node.dtype)
    f = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(operands) + 1), ctypes.c_int64)(code["f"])
    f(*[None if x is None else x.ctypes.data for x in arrays], y.ctypes.data, len(y))
    return y


@pytest.mark.sweep
@pytest.mark.parametrize("key", FLOATS, ids="-".join)
def test_a_function_of_floats_is_numpys(key):
    name, case = key[0], FLOATS[key]
    ll.check(case.node)
    y = run(case.node, case.operands)
    if name in EXACT:
        assert_the_same(name, case.operands, y, case.expected(), exact=True)
        return
    with np.errstate(all="ignore"):
        assert_the_same(name, case.operands, y, case.expected(np.float64).astype(case.node.dtype))


@pytest.mark.sweep
@pytest.mark.parametrize("key", WHOLE, ids="-".join)
def test_a_function_of_integers_is_numpys_overflow_and_division_by_0_included(key):
    case = WHOLE[key]
    assert_the_same(key[0], case.operands, run(case.node, case.operands), case.expected())


@pytest.mark.sweep
@pytest.mark.parametrize("key", MIXED, ids="-".join)
def test_operands_of_two_dtypes_meet_as_in_numpy(key):
    case = MIXED[key]
    assert_the_same(key[0], case.operands, run(case.node, case.operands), case.expected())


@pytest.mark.parametrize("name", sorted(DECLINED | OWN_ALONE))
def test_an_op_without_instructions_is_declined_by_name(name):
    of = int if name in ("gcd", "lcm") else float
    node = node_of(name, [np.zeros(3, of)] * operands_of(name))
    with pytest.raises(Declined, match=f"^{name} has no instructions$"):
        ll.check(node)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("exponent", [0, 1, 2, 5, 31, 62, 64])
def test_integers_have_powers_that_wrap_around(exponent, dtype):
    x = np.array([*range(-4, 5), np.iinfo(dtype).max, np.iinfo(dtype).min], dtype)
    node = Node(OPS["power"], [Input(aval_of(x)), Const(exponent)], {}, aval_of(x))
    with np.errstate(over="ignore"):
        assert np.array_equal(run(node, [x, exponent]), x**exponent)


def test_what_numpy_does_faster_is_left_to_it():
    x = np.arange(1, 5)
    for name, y in [("fmod", x), ("power", 2), ("floor_divide", np.int64(7))]:
        with pytest.raises(Declined, match=f"{name} of int64 is left to NumPy, which is faster"):
            ll.check(Node(OPS[name], [Input(aval_of(x)), Const(y)], {}, aval_of(x)))
    ll.check(Node(OPS["floor_divide"], [Input(aval_of(x)), Input(aval_of(x))], {}, aval_of(x)))


@pytest.mark.parametrize("decimals", [-1, 0, 3])
def test_round_and_nan_to_num_take_their_parameters(decimals):
    x = np.array([0.12345, -1234.5678, 15.0, 25.0, np.nan, np.inf, -np.inf], np.float32)
    for case in (
        Case("round", [x], {"decimals": decimals}),
        Case("nan_to_num", [x], {"nan": 2.5, "posinf": None, "neginf": -7.0}),
    ):
        assert_the_same(case.name, [x], run(case.node, [x]), case.expected(), exact=True)
