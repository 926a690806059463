"""The body of each op: what it computes of one entry of each operand.

In:  a node of an op of single entries.
Out: `Statement`: the dtypes that its operands are brought to, and a body of `ir.Value`, or why there is none.
Holds: NumPy's meaning, its promotion included. Of two integers the comparison is exact, whatever their signs.

What a device computes and reads (float16, integers of 8 bits) is for its generator to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad.codegen.scalar import arithmetic, integers
from xpgrad.codegen.scalar.bounds import Body
from xpgrad.codegen.scalar.floats import INF
from xpgrad.codegen.scalar.functions import BODIES, OWN_ALONE
from xpgrad.codegen.scalar.ir import Number, Value, eq, fabs, fma, isnan, ne, roundeven, same, select
from xpgrad.core import Const, Node, Operand
from xpgrad.plan.loop_nests import Declined

DType = np.dtype[Any]
BOOL, INT64, UINT64 = np.dtype(np.bool_), np.dtype(np.int64), np.dtype(np.uint64)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

# By NumPy's kind and size, for one type has several names in NumPy.
_KINDS = {("f", 4): "float", ("f", 8): "double", ("b", 1): "i1"} | {
    (letter, size): f"{letter}{8 * size}" for letter in "iu" for size in (1, 2, 4, 8)
}


# ── dtypes ───────────────────────────────────────────────────────────────────────────────────
def kind_of(dtype: DType) -> str | None:
    """The type of an `ir.Value` of ``dtype``; None if nothing is computed in it."""
    dtype = np.dtype(dtype)
    return _KINDS.get((dtype.kind, dtype.itemsize)) if dtype.isnative else None


def dtype_of(kind: str) -> DType:
    """The dtype of an `ir.Value` of ``kind``."""
    letter, size = next(found for found, name in _KINDS.items() if name == kind)
    return np.dtype(f"{letter}{size}")


def is_short(dtype: DType) -> bool:
    """A float of 16 bits."""
    dtype = np.dtype(dtype)
    return dtype.name == "bfloat16" or (dtype.kind == "f" and dtype.itemsize == 2)


def read_dtype(dtype: DType) -> DType:
    """The dtype that entries of ``dtype`` have once they are read: float32 for the two of 16 bits."""
    return FLOAT32 if is_short(dtype) else np.dtype(dtype)


# ── what operands are brought to ─────────────────────────────────────────────────────────────
Brought = Callable[[Node], Sequence[DType]]


def _result(node: Node) -> list[DType]:
    return [node.dtype] * len(node.operands)


def _truth(node: Node) -> list[DType]:
    return [BOOL] * len(node.operands)


def _choice(node: Node) -> list[DType]:
    return [BOOL, node.dtype, node.dtype]


def _with_exponent(node: Node) -> list[DType]:
    return [node.dtype, INT64]


def _operand(node: Node) -> list[DType]:
    return [read_dtype(node.operands[0].dtype)]


def _in_double(node: Node) -> list[DType]:
    """A difference of large numbers, for which float32 has not the digits."""
    return [FLOAT64] * len(node.operands)


def _compared(node: Node) -> list[DType]:
    avals = [u.aval for u in node.operands]
    dtypes = [a.dtype for a in avals]
    if all(d.kind in "biu" for d in dtypes):
        if dtypes[0] == dtypes[1]:
            return dtypes
        for number, other in ((0, 1), (1, 0)):
            if _fits(node.operands[number], dtypes[other]):
                return [dtypes[other]] * 2
        if UINT64 not in dtypes:
            return [INT64, INT64]
        return [UINT64 if d == UINT64 or d.kind in "bu" else INT64 for d in dtypes]
    common = np.result_type(*[a.promoting for a in avals])
    if kind_of(read_dtype(common)) is None or (is_short(common) and any(a.weak for a in avals)):
        # NumPy rounds the Python scalar to 16 bits; float32 would compare with another number.
        raise Declined(node, f"compares in {common}, in which kernels do not compute")
    return [read_dtype(common)] * 2


def _fits(u: Operand, dtype: DType) -> bool:
    """Whether an operand is a Python number that an integer type has, too."""
    if not (isinstance(u, Const) and u.weak and dtype.kind in "iu"):
        return False
    return bool(np.iinfo(dtype).min <= u.data <= np.iinfo(dtype).max)


# ── bodies ───────────────────────────────────────────────────────────────────────────────────
def _of_kinds(floats: Body | None = None, whole: Body | None = None) -> Body:
    """One body for floats, another for integers and truth values."""

    def either(*xs: Value) -> Value:
        body = floats if xs[0].is_float else whole
        assert body is not None
        return body(*xs)

    return either


def _first(x: Value, *_: Value) -> Value:
    return x


def _always(value: bool) -> Body:
    return lambda x: Value(x.block, "i1", Number(value))


def _compare(floats: Body, mixed: Body) -> Body:
    """Of operands of one type, and of integers of which one has a sign."""
    return lambda x, y: floats(x, y) if x.kind == y.kind else mixed(x, y)


def _add(x: Value, y: Value) -> Value:
    return x | y if x.is_truth else x + y


def _multiply(x: Value, y: Value) -> Value:
    return x & y if x.is_truth else x * y


def _not(x: Value) -> Value:
    return ~x


class ScalarOp(NamedTuple):
    """An op.

    Attributes
    ----------
    body : callable
        Of values of the operands' types, one for each.
    letters : str
        NumPy's letters for the dtypes that the operands may be brought to.
    brought : callable
        The dtypes that a node's operands are brought to.
    """

    body: Body
    letters: str = "f"
    brought: Brought = _result


_ANY = "fiub"
SCALAR_OPS: dict[str, ScalarOp] = {name: ScalarOp(body) for name, body in (BODIES | OWN_ALONE).items()} | {
    # ── arithmetic ──
    "add": ScalarOp(_add, _ANY),
    "subtract": ScalarOp(lambda x, y: x - y, "fiu"),
    "multiply": ScalarOp(_multiply, _ANY),
    "divide": ScalarOp(lambda x, y: x / y),
    "negative": ScalarOp(lambda x: -x, "fiu"),
    "square": ScalarOp(lambda x: x * x, "fiu"),
    "reciprocal": ScalarOp(lambda x: 1.0 / x),
    "absolute": ScalarOp(_of_kinds(fabs, integers.absolute), _ANY),
    "sign": ScalarOp(_of_kinds(arithmetic.sign, integers.sign), "fiu"),
    "floor_divide": ScalarOp(_of_kinds(arithmetic.floor_divide, integers.floor_divide), "fiu"),
    "remainder": ScalarOp(_of_kinds(arithmetic.remainder, integers.remainder), "fiu"),
    "fmod": ScalarOp(_of_kinds(arithmetic.fmod, integers.rest), "fiu"),
    "power": ScalarOp(_of_kinds(arithmetic.power, integers.power), "fiu"),
    "float_power": ScalarOp(arithmetic.power),
    "root": ScalarOp(BODIES["sqrt"]),
    "ldexp": ScalarOp(arithmetic.scaled_by, _ANY, _with_exponent),
    # ── choice ──
    "maximum": ScalarOp(_of_kinds(arithmetic.maximum, integers.maximum), _ANY),
    "minimum": ScalarOp(_of_kinds(arithmetic.minimum, integers.minimum), _ANY),
    "fmax": ScalarOp(_of_kinds(arithmetic.fmax, integers.maximum), _ANY),
    "fmin": ScalarOp(_of_kinds(arithmetic.fmin, integers.minimum), _ANY),
    "where": ScalarOp(select, _ANY, _choice),
    "heaviside": ScalarOp(arithmetic.heaviside),
    "nan_to_num": ScalarOp(arithmetic.nan_to_num),
    # ── rounding ──
    **{name: ScalarOp(_of_kinds(BODIES[name], _first), _ANY) for name in ("floor", "ceil", "trunc")},
    # ── complex ──
    "angle": ScalarOp(arithmetic.angle),
    "imag": ScalarOp(lambda x: same(x, 0), _ANY),
    # ── bits ──
    "bitwise_and": ScalarOp(lambda x, y: x & y, "iub"),
    "bitwise_or": ScalarOp(lambda x, y: x | y, "iub"),
    "bitwise_xor": ScalarOp(lambda x, y: x ^ y, "iub"),
    "invert": ScalarOp(_not, "iub"),
    "left_shift": ScalarOp(integers.left_shift, "iu"),
    "right_shift": ScalarOp(integers.right_shift, "iu"),
    # ── truth values ──
    "logical_and": ScalarOp(lambda x, y: x & y, _ANY, _truth),
    "logical_or": ScalarOp(lambda x, y: x | y, _ANY, _truth),
    "logical_xor": ScalarOp(lambda x, y: x ^ y, _ANY, _truth),
    "logical_not": ScalarOp(_not, _ANY, _truth),
    "equal": ScalarOp(_compare(eq, integers.equal), _ANY, _compared),
    "not_equal": ScalarOp(_compare(ne, lambda x, y: ~integers.equal(x, y)), _ANY, _compared),
    "less": ScalarOp(_compare(lambda x, y: x < y, integers.less), _ANY, _compared),
    "greater": ScalarOp(_compare(lambda x, y: x > y, lambda x, y: integers.less(y, x)), _ANY, _compared),
    "less_equal": ScalarOp(_compare(lambda x, y: x <= y, lambda x, y: ~integers.less(y, x)), _ANY, _compared),
    "greater_equal": ScalarOp(
        _compare(lambda x, y: x >= y, lambda x, y: ~integers.less(x, y)), _ANY, _compared
    ),
    "isnan": ScalarOp(_of_kinds(isnan, _always(False)), _ANY, _operand),
    "isinf": ScalarOp(_of_kinds(lambda x: eq(fabs(x), INF), _always(False)), _ANY, _operand),
    "isfinite": ScalarOp(_of_kinds(lambda x: fabs(x) < INF, _always(True)), _ANY, _operand),
    "signbit": ScalarOp(_of_kinds(arithmetic.signbit, lambda x: x < 0), _ANY, _operand),
    # ── in float64 ──
    **{name: ScalarOp(BODIES[name], "f", _in_double) for name in ("gamma_kernel", "beta_kernel")},
}


# Ops that are another's function.
_FUNCTION = {"float_power": "power", "root": "sqrt"}


# ── statements ───────────────────────────────────────────────────────────────────────────────
class Statement(NamedTuple):
    """What a node computes.

    Attributes
    ----------
    name : str
        Of the function that the body is, where a generator writes one.
    body : callable
    dtypes : sequence of dtype
        What the operands are brought to, each.
    result : dtype
        What the body gives; the node's, or wider.
    constants : tuple of float
        The body's operands after the node's.
    """

    name: str
    body: Body
    dtypes: Sequence[DType]
    result: DType
    constants: tuple[float, ...] = ()


def statement(node: Node, own: frozenset[str] = frozenset()) -> Statement:
    """The statement of ``node``; ``own``: functions that the target has itself.

    Raises
    ------
    Declined
        The op has no body, or none for these dtypes or parameters.
    """
    name = node.op.name
    if "same" in node.op.traits:
        return Statement("same", _first, _result(node), node.dtype)
    if name in _WITH_PARAMETERS:
        return _WITH_PARAMETERS[name](node)
    stated = SCALAR_OPS.get(name)
    if stated is None or (name in OWN_ALONE and name not in own):
        raise Declined(node, "has no instructions")
    dtypes = stated.brought(node)
    if kind_of(dtypes[-1]) is None or dtypes[-1].kind not in stated.letters:
        raise Declined(node, f"has no instructions for {dtypes[-1]}")
    if name == "power":
        _check_exponent(node)
    return Statement(
        _FUNCTION.get(name, name), stated.body, dtypes, FLOAT64 if stated.brought is _in_double else node.dtype
    )


def _check_exponent(node: Node) -> None:
    """NumPy raises where a whole number has a negative exponent; a kernel cannot."""
    exponent = node.operands[1]
    known = isinstance(exponent, Const) and not np.any(np.less(exponent.data, 0))
    if node.dtype.kind == "i" and exponent.dtype.kind not in "bu" and not known:
        raise Declined(node, "of integers is known for constant exponents, of 0 or more")


def _rounded(node: Node) -> Statement:
    decimals = int(node.params.get("decimals", 0))
    if node.dtype.kind != "f":
        if decimals < 0 or node.dtype == BOOL:
            raise Declined(node, f"of {node.dtype} to {decimals} decimals has no instructions")
        return Statement("same", _first, [node.dtype], node.dtype)
    factor = 10.0 ** abs(decimals)

    def body(x: Value) -> Value:
        if decimals == 0:
            return roundeven(x)
        return roundeven(x * factor) / factor if decimals > 0 else roundeven(x / factor) * factor

    return Statement("round", body, [node.dtype], node.dtype)


def _numbered(node: Node) -> Statement:
    if node.dtype.kind != "f":
        return Statement("same", _first, [node.dtype], node.dtype)
    largest = float(np.finfo(node.dtype).max)
    defaults = {"nan": 0.0, "posinf": largest, "neginf": -largest}
    chosen = (v if node.params.get(k) is None else float(node.params[k]) for k, v in defaults.items())
    return Statement("nan_to_num", arithmetic.nan_to_num, [node.dtype], node.dtype, tuple(chosen))


_WITH_PARAMETERS = {"round": _rounded, "nan_to_num": _numbered}


def multiply_add(negates: str) -> Body:
    """``x y + z``, rounded once; what is negated: ``"product"``, ``"other"`` or nothing."""
    if negates == "product":
        return lambda x, y, z: fma(-x, y, z)
    return (lambda x, y, z: fma(x, y, -z)) if negates else fma
