"""One node of an elementwise nest as a C++ expression; the CUDA counterpart of `cpu.llvm.scalars`.

In:  a node, and the names of C++ variables that hold its operands.
Out: an expression of the type that values of the node's dtype are computed with.
Holds: NumPy's meaning, its promotion included; an expression on float32 has nothing of type double in it.

For ``np.maximum(x, 0)`` of a float32 ``x`` and an integer held in a ``long long``::

    xg::maximum(v3, static_cast<float>(s0))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad.codegen import kernel_ir
from xpgrad.codegen.scalar import IN_DOUBLE
from xpgrad.core import Const, Node
from xpgrad.plan.loop_nests import Declined, has_loops

DType = np.dtype[Any]
BOOL, INT64, UINT64 = np.dtype(np.bool_), np.dtype(np.int64), np.dtype(np.uint64)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

# By kind and size, for one C type has several names in NumPy.
_TYPES = {
    ("f", 4): "float",
    ("f", 8): "double",
    ("b", 1): "bool",
    ("i", 1): "signed char",
    ("i", 2): "short",
    ("i", 4): "int",
    ("i", 8): "long long",
    ("u", 1): "unsigned char",
    ("u", 2): "unsigned short",
    ("u", 4): "unsigned int",
    ("u", 8): "unsigned long long",
}


# ── types ────────────────────────────────────────────────────────────────────────────────────
def value_type(dtype: DType) -> str | None:
    """The C++ type that values of ``dtype`` are computed with; None if nothing is computed in it."""
    dtype = np.dtype(dtype)
    return _TYPES.get((dtype.kind, dtype.itemsize)) if dtype.isnative else None


def stored_type(dtype: DType) -> str | None:
    """The C++ type of ``dtype`` in memory; None for a dtype that kernels do not read."""
    dtype = np.dtype(dtype)
    if not dtype.isnative:
        return None
    if dtype.kind == "f" and dtype.itemsize == 2:
        return "xg::half"
    return "xg::bfloat16" if dtype.name == "bfloat16" else value_type(dtype)


def read_dtype(dtype: DType) -> DType:
    """The dtype that entries of ``dtype`` have once they are read: float32 for the two of 16 bits."""
    dtype = np.dtype(dtype)
    return FLOAT32 if stored_type(dtype) in ("xg::half", "xg::bfloat16") else dtype


def read(dtype: DType, text: str) -> str:
    """The expression ``text``, an entry in memory, as a value to compute with."""
    return text if value_type(dtype) is not None else f"static_cast<float>({text})"


def converted(text: str, old: DType, new: DType) -> str:
    """``text``, of the value type of ``old``, as a value of ``new``, as NumPy's ``astype`` does it."""
    old, new = read_dtype(old), read_dtype(new)
    kind = value_type(new)
    if kind == value_type(old):
        return text
    return f"({text} != 0)" if new == BOOL else f"static_cast<{kind}>({text})"


def literal(value: Any, dtype: DType) -> str:
    """``value`` as a constant of the value type of ``dtype``."""
    dtype = read_dtype(dtype)
    kind = value_type(dtype)
    assert kind is not None, f"no literals of {dtype}"
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind == "f":
        return _float_literal(float(dtype.type(value)), dtype)
    number = int(value)
    if kind == "long long":
        # The least number is written as a difference: its digits alone are one too large.
        return f"({number + 1}LL - 1)" if number == np.iinfo(INT64).min else f"({number}LL)"
    if kind == "int":
        return f"({number + 1} - 1)" if number == np.iinfo(np.int32).min else f"({number})"
    suffix = {"unsigned int": "u", "unsigned long long": "ULL"}.get(kind)
    return f"{number}{suffix}" if suffix else f"static_cast<{kind}>({number})"


def _float_literal(number: float, dtype: DType) -> str:
    kind = value_type(dtype)
    if number != number:
        return f"xg::nan<{kind}>()"
    if number in (np.inf, -np.inf):
        return f"({'-' if number < 0 else ''}xg::infinity<{kind}>())"
    text = np.format_float_scientific(dtype.type(number), unique=True, trim="0")
    return f"({text}{'f' if kind == 'float' else ''})"


# ── reductions ───────────────────────────────────────────────────────────────────────────────
_MONOIDS = {"sum": "Sum", "prod": "Prod", "max": "Max", "min": "Min", "any": "Any", "all": "All"}


def monoid_type(monoid: str) -> str:
    """The struct of the prelude that combines by ``monoid``: ``xg::Sum`` for ``"sum"``."""
    return f"xg::{_MONOIDS[monoid]}"


def combine(monoid: str, a: str, b: str) -> str:
    """Two values of one type reduced to one."""
    return f"{monoid_type(monoid)}::combine({a}, {b})"


def identity(monoid: str, dtype: DType) -> str:
    """What changes nothing that it is combined with."""
    dtype = read_dtype(dtype)
    return literal(kernel_ir.identity(monoid, dtype), dtype)


# ── what an op is written as ─────────────────────────────────────────────────────────────────
_COMPARE = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}
_LOGICAL = {
    "logical_and": "({0} && {1})",
    "logical_or": "({0} || {1})",
    "logical_xor": "({0} != {1})",
    "logical_not": "(!{0})",
}

# For each kind of dtype that the operands are brought to (f float, i signed, u unsigned, b truth), the text.
_TEXTS: dict[str, dict[str, str]] = {
    "add": {"f": "({0} + {1})", "iu": "xg::add({0}, {1})", "b": "({0} || {1})"},
    "subtract": {"f": "({0} - {1})", "iu": "xg::subtract({0}, {1})"},
    "multiply": {"f": "({0} * {1})", "iu": "xg::multiply({0}, {1})", "b": "({0} && {1})"},
    "divide": {"f": "({0} / {1})"},
    "negative": {"f": "(-{0})", "iu": "xg::negative({0})"},
    "square": {"f": "({0} * {0})", "iu": "xg::multiply({0}, {0})"},
    "reciprocal": {"f": "xg::reciprocal({0})"},
    "absolute": {"fi": "xg::absolute({0})", "ub": "{0}"},
    "sign": {"fiu": "xg::sign({0})"},
    "maximum": {"fiub": "xg::maximum({0}, {1})"},
    "minimum": {"fiub": "xg::minimum({0}, {1})"},
    "fmax": {"f": "xg::fmax({0}, {1})", "iub": "xg::maximum({0}, {1})"},
    "fmin": {"f": "xg::fmin({0}, {1})", "iub": "xg::minimum({0}, {1})"},
    "floor_divide": {"fiu": "xg::floor_divide({0}, {1})"},
    "remainder": {"fiu": "xg::remainder({0}, {1})"},
    "fmod": {"fiu": "xg::fmod({0}, {1})"},
    "power": {"f": "xg::power({0}, {1})", "iu": "xg::whole_power({0}, {1})"},
    "bitwise_and": {"iu": "xg::bitwise_and({0}, {1})", "b": "({0} && {1})"},
    "bitwise_or": {"iu": "xg::bitwise_or({0}, {1})", "b": "({0} || {1})"},
    "bitwise_xor": {"iu": "xg::bitwise_xor({0}, {1})", "b": "({0} != {1})"},
    "invert": {"iu": "xg::invert({0})", "b": "(!{0})"},
    "floor": {"f": "xg::floor({0})", "iub": "{0}"},
    "ceil": {"f": "xg::ceil({0})", "iub": "{0}"},
    "trunc": {"f": "xg::trunc({0})", "iub": "{0}"},
    "isnan": {"f": "xg::isnan({0})", "iub": "false"},
    "isinf": {"f": "xg::isinf({0})", "iub": "false"},
    "isfinite": {"f": "xg::isfinite({0})", "iub": "true"},
    "signbit": {"f": "xg::signbit({0})", "i": "({0} < 0)", "ub": "false"},
    "float_power": {"f": "xg::power({0}, {1})"},
    "root": {"f": "xg::sqrt({0})"},
}
# Functions of the prelude by the op's own name, of float32 and float64.
_FUNCTIONS = frozenset(
    """
    exp exp2 exp10 expm1 log log2 log10 log1p sqrt cbrt hypot sin cos tan sinh cosh tanh arcsin arccos arctan
    arctan2 arcsinh arccosh arctanh sinc copysign heaviside rint angle logaddexp2
    expit softplus logit xlog_ratio rel_entr kl_div cosm1 exprel
    erf erfc erfcx erfinv erfcinv ndtr ndtri normal_density log_ndtr inv_mills inv_mills_excess
    gamma gammaln loggamma gammasgn rgamma digamma polygamma zeta beta betaln gamma_kernel beta_kernel
    j0 j1 y0 y1 yn i0 i1 i0e i1e
    """.split()
)


def check(node: Node) -> None:
    """Raise `Declined` if `expression` cannot write ``node``, or a kernel cannot read its operands."""
    if value_type(node.dtype) is None:
        raise Declined(node, f"gives {node.dtype}, in which CUDA kernels do not compute")
    for i in range(len(node.operands)):
        dtype = node.operands[i].dtype
        if stored_type(dtype) is None:
            raise Declined(node, f"reads {dtype}, which CUDA kernels do not read")
    if not has_loops(node.op):
        _text(node)


def expression(node: Node, operands: Sequence[str], dtypes: Sequence[DType]) -> str:
    """``node`` as an expression.

    Parameters
    ----------
    node : Value
        One that `check` accepts, no reduction, product or mover of entries.
    operands : sequence of str
        Names of variables, or expressions that stand for themselves in any surrounding.
    dtypes : sequence of dtype
        Of whose value types the variables are: float64 or int64 for a Python scalar's, float32 or the
        dtype itself for what was read from 16 bits.

    Returns
    -------
    str
        Of type ``value_type(node.dtype)``, in parentheses or a call.
    """
    text, wanted = _text(node)
    xs = [converted(x, old, new) for x, old, new in zip(operands, dtypes, wanted, strict=True)]
    out = text.format(*xs)
    return converted(out, FLOAT64, node.dtype) if node.op.name in IN_DOUBLE else out


def _text(node: Node) -> tuple[str, list[DType]]:
    """The text of ``node`` with places for its operands, and the dtypes to bring them to."""
    name = node.op.name
    count = len(node.operands)
    if "same" in node.op.traits:
        return "{0}", [node.dtype] * count
    if name in _COMPARE:
        return _comparison(node, _COMPARE[name])
    if name in _LOGICAL:
        return _LOGICAL[name], [BOOL] * count
    if name == "where":
        return "({0} ? {1} : {2})", [BOOL, node.dtype, node.dtype]
    if name == "ldexp":
        return "xg::ldexp({0}, {1})", [node.dtype, INT64]
    written = _WITH_PARAMETERS.get(name)
    if written is not None:
        return written(node), [node.dtype] * count
    dtype = node.dtype
    if "bits" in node.op.traits:
        dtype = read_dtype(node.operands[0].dtype)
    elif name in IN_DOUBLE:
        dtype = FLOAT64
    if name == "power" and dtype.kind == "i":
        _check_exponent(node)
    if name in _FUNCTIONS and dtype.kind == "f":
        return f"xg::{name}({', '.join(f'{{{i}}}' for i in range(count))})", [dtype] * count
    for kinds, text in _TEXTS.get(name, {}).items():
        if dtype.kind in kinds:
            return text, [dtype] * count
    if name in _FUNCTIONS or name in _TEXTS:
        raise Declined(node, f"has no CUDA expression for {dtype}")
    raise Declined(node, "has no CUDA expression")


def _comparison(node: Node, sign: str) -> tuple[str, list[DType]]:
    """Integers are compared exactly, whatever their signs; what holds a float, in NumPy's common dtype."""
    avals = [node.operands[i].aval for i in range(2)]
    text = f"({{0}} {sign} {{1}})"
    if all(a.dtype.kind in "biu" for a in avals):
        dtypes = [a.dtype for a in avals]
        if dtypes[0] == dtypes[1]:
            return text, dtypes
        if UINT64 not in dtypes:
            return text, [INT64, INT64]
        if all(d.kind in "bu" for d in dtypes):
            return text, [UINT64, UINT64]
        return f"xg::{node.op.name}({{0}}, {{1}})", [d if d == UINT64 else INT64 for d in dtypes]
    common = np.result_type(*[a.promoting for a in avals])
    if stored_type(common) is None or (value_type(common) is None and any(a.weak for a in avals)):
        # NumPy rounds the Python scalar to 16 bits; float32 would compare with another number.
        raise Declined(node, f"compares in {common}, in which CUDA kernels do not compute")
    return text, [read_dtype(common)] * 2


def _check_exponent(node: Node) -> None:
    """NumPy raises where a whole number has a negative exponent; a kernel cannot."""
    exponent = node.operands[1]
    known = isinstance(exponent, Const) and not np.any(np.less(exponent.data, 0))
    if exponent.dtype.kind not in "bu" and not known:
        raise Declined(node, "of integers is known for constant exponents, of 0 or more")


def _rounded(node: Node) -> str:
    decimals = int(node.params.get("decimals", 0))
    if node.dtype.kind != "f":
        if decimals < 0 or node.dtype == BOOL:
            raise Declined(node, f"of {node.dtype} to {decimals} decimals has no CUDA expression")
        return "{0}"
    if decimals == 0:
        return "xg::rint({0})"
    factor = literal(10.0 ** abs(decimals), node.dtype)
    return f"(xg::rint({{0}} {'*/'[decimals < 0]} {factor}) {'/*'[decimals < 0]} {factor})"


def _numbered(node: Node) -> str:
    if node.dtype.kind != "f":
        return "{0}"
    largest = float(np.finfo(node.dtype).max)
    defaults = {"nan": 0.0, "posinf": largest, "neginf": -largest}
    chosen = {k: v if node.params.get(k) is None else node.params[k] for k, v in defaults.items()}
    return f"xg::nan_to_num({{0}}, {', '.join(literal(v, node.dtype) for v in chosen.values())})"


_WITH_PARAMETERS: dict[str, Callable[[Node], str]] = {
    "round": _rounded,
    "nan_to_num": _numbered,
    "imag": lambda node: literal(0, node.dtype),
}
