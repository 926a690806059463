"""One node of an elementwise nest as a C++ expression, the counterpart of `cpu.llvm.scalars`.

In:  a node, and the names of C++ variables that hold its operands.
Out: the statement of `xpgrad.codegen.scalar.ops` as an expression, of the type in which values of the node's
     dtype are computed.

For ``np.maximum(x, 0)`` of a float32 ``x`` and an integer held in a ``long long``::

    xg::maximum(v3, static_cast<float>(s0))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad.backends.gpu.cuda.printing import functions
from xpgrad.backends.gpu.cuda.printing.functions import NAMES, TYPES, Callee
from xpgrad.codegen import kernel_ir
from xpgrad.codegen.scalar import ops
from xpgrad.codegen.scalar.ir import cast
from xpgrad.codegen.scalar.ops import is_short, kind_of, read_dtype
from xpgrad.core import Node
from xpgrad.plan.loop_nests import Declined, has_loops

DType = np.dtype[Any]


# ── types ────────────────────────────────────────────────────────────────────────────────────
def value_type(dtype: DType) -> str | None:
    """The C++ type that values of ``dtype`` are computed with; None if nothing is computed in it."""
    return TYPES.get(kind_of(dtype) or "")


def stored_type(dtype: DType) -> str | None:
    """The C++ type of ``dtype`` in memory; None for a dtype that kernels do not read."""
    dtype = np.dtype(dtype)
    if is_short(dtype) and dtype.isnative:
        return "xg::bfloat16" if dtype.name == "bfloat16" else "xg::half"
    return value_type(dtype)


def read(dtype: DType, text: str) -> str:
    """The expression ``text``, an entry in memory, as a value to compute with."""
    return text if value_type(dtype) is not None else f"static_cast<float>({text})"


def converted(text: str, old: DType, new: DType) -> str:
    """``text``, of the value type of ``old``, as a value of ``new``, as NumPy's ``astype`` does it."""
    kind, of = _kind(new), _kind(old)
    return text if kind == of else functions.expression("cast", lambda x: cast(x, kind), [of], [text], set())


def literal(value: Any, dtype: DType) -> str:
    """``value`` as a constant of the value type of ``dtype``."""
    return functions.literal(_kind(dtype), value)


def _kind(dtype: DType) -> str:
    kind = kind_of(read_dtype(dtype))
    assert kind is not None, f"nothing is computed in {dtype}"
    return kind


# ── reductions ───────────────────────────────────────────────────────────────────────────────
def monoid_type(monoid: str) -> str:
    """The struct of the prelude that combines by ``monoid``: ``xg::Sum`` for ``"sum"``."""
    return f"xg::{monoid.capitalize()}"


def combine(monoid: str, a: str, b: str) -> str:
    """Two values of one type reduced to one."""
    return f"{monoid_type(monoid)}::combine({a}, {b})"


def identity(monoid: str, dtype: DType) -> str:
    """The identity of ``monoid``, as a constant of ``dtype``."""
    return literal(kernel_ir.identity(monoid, read_dtype(dtype)), dtype)


# ── nodes ────────────────────────────────────────────────────────────────────────────────────
def check(node: Node) -> None:
    """Raise `Declined` if `expression` cannot write ``node``, or a kernel cannot read its operands."""
    if value_type(node.dtype) is None:
        raise Declined(node, f"gives {node.dtype}, in which CUDA kernels do not compute")
    for u in node.operands:
        if stored_type(u.dtype) is None:
            raise Declined(node, f"reads {u.dtype}, which CUDA kernels do not read")
    if not has_loops(node.op):
        ops.statement(node, NAMES)


def expression(node: Node, operands: Sequence[str], dtypes: Sequence[DType], calls: set[Callee]) -> str:
    """``node`` as an expression.

    Parameters
    ----------
    node : Node
        A node that `check` accepts, and no reduction, matmul or movement of entries.
    operands : sequence of str
        Names of variables, or expressions in parentheses.
    dtypes : sequence of dtype
        The dtypes of the operands: float64 or int64 for a Python scalar, float32 for an entry of 16 bits.
    calls : set
        The set to which the functions that it calls are added.

    Returns
    -------
    str
        An expression of type ``value_type(node.dtype)``, in parentheses or a call.
    """
    said = ops.statement(node, NAMES)
    xs = [converted(x, old, new) for x, old, new in zip(operands, dtypes, said.dtypes, strict=True)]
    kinds = [_kind(dtype) for dtype in said.dtypes]
    xs += [functions.literal(kinds[0], c) for c in said.constants]
    kinds += kinds[:1] * len(said.constants)
    return converted(functions.expression(said.name, said.body, kinds, xs, calls), said.result, node.dtype)


def multiply_add(dtype: DType, operands: Sequence[str], negates: str) -> str:
    """The product of two operands and a third, of ``dtype``, rounded once; ``negates`` as in the kernel IR."""
    body = ops.multiply_add(negates)
    return functions.expression("multiply_add", body, [_kind(dtype)] * 3, operands, set())
