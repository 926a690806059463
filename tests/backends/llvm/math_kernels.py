"""Loops over arrays around the LLVM math functions, and their errors in units of the last place."""

import ctypes
from functools import cache
from inspect import signature

import numpy as np

from xpgrad.backends.cpu.llvm import build
from xpgrad.backends.cpu.llvm.functions import definitions, symbol
from xpgrad.codegen.scalar import functions

DTYPE = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}


def operands_of(name):
    """How many operands the function takes."""
    return len(signature(functions.BODIES[name]).parameters)


BINARY = frozenset(name for name in functions.BODIES if operands_of(name) == 2)


def loop(name, kind, scales=False):
    """A module whose ``f`` stores the function of each element of one array, or several, in another."""
    operands = range(operands_of(name))
    loads = "\n".join(
        f"  %p{j} = getelementptr {kind}, ptr %x{j}, i64 %i\n  %v{j} = load {kind}, ptr %p{j}" for j in operands
    )
    return f"""{definitions([(name, (kind,) * len(operands))], scales)}
define void @f({", ".join(f"ptr noalias %x{j}" for j in operands)}, ptr noalias %y, i64 %n)
    "prefer-vector-width"="512" {{
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %loop, label %end
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{loads}
  %z = call {kind} {symbol(name, kind)}({", ".join(f"{kind} %v{j}" for j in operands)})
  %py = getelementptr {kind}, ptr %y, i64 %i
  store {kind} %z, ptr %py
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}}
"""


@cache
def function(name, kind, scales=False):
    """The math function as a function of NumPy arrays."""
    loaded = build.load(build.compile_ir(loop(name, kind, scales)), ["f"])
    code = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (operands_of(name) + 1), ctypes.c_int64)(loaded["f"])

    def call(*xs):
        xs = [np.ascontiguousarray(x, DTYPE[kind]) for x in np.broadcast_arrays(*xs)]
        y = np.empty_like(xs[0])
        code(*[x.ctypes.data for x in xs], y.ctypes.data, y.size)
        return y

    call.loaded = loaded  # holds the code in memory
    return call


def ulps(y, exact):
    """The distance of ``y`` from ``exact``, of a wider type, in units of the last place of it.

    Infinite where one of both is NaN. An infinity counts as the power of two next to the largest number.
    """
    info = np.finfo(y.dtype)
    wide = exact.dtype.type
    edge = wide(2) ** wide(info.maxexp)
    size = np.abs(exact)
    unit = np.spacing(np.clip(size, wide(info.tiny), wide(info.max)).astype(y.dtype)).astype(wide)
    infinite = np.isinf(y)
    got = np.where(infinite, np.copysign(edge, y.astype(wide)), y.astype(wide))
    error = np.abs(got - np.clip(exact, -edge, edge)) / unit
    error = np.where(np.isnan(y) & np.isnan(exact), 0, error)
    return np.where(np.isnan(y) != np.isnan(exact), np.inf, error)


def worst(error, *xs):
    """The largest error and where it is."""
    i = int(np.argmax(error))
    return float(error[i]), [x[i] for x in xs]
