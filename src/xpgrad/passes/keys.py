"""Keys of nodes: two nodes are the same if op, parameters and operands are equal.

Two scalars are the same if type and bits are: 1, 1.0 and True differ, and so do 0.0 and -0.0; a NaN
equals itself. Arrays are the same only if they are one object, for they may be large, and the user
may write to them.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from xpgrad.core import Const, Op, Operand
from xpgrad.trace.traced import Traced


def key_of(op: Op, operands: Sequence[Operand], params: Mapping[str, Any]) -> Hashable:
    """A key that is equal for nodes that compute the same."""
    return (
        op,
        tuple([_key(x.data) if isinstance(x, Const) else x for x in operands]),
        tuple([(name, _key(x)) for name, x in sorted(params.items())]) if params else (),
    )


def _key(x: Any) -> Hashable:
    kind = type(x)
    if kind in (int, bool, str, type(None)):
        return kind, x
    if kind is float:
        return kind, struct.pack("d", x)
    if kind is complex:
        return kind, struct.pack("dd", x.real, x.imag)
    if kind in (tuple, list):
        return kind, tuple([_key(part) for part in x])
    if kind is slice:
        return kind, _key(x.start), _key(x.stop), _key(x.step)
    if isinstance(x, np.generic):
        return kind, x.tobytes()
    if isinstance(x, np.dtype):
        return "dtype", x.str
    if isinstance(x, type) and issubclass(x, (np.generic, bool, int, float, complex)):
        return "dtype", np.dtype(x).str
    if kind is Traced:  # a handle on a value; there may be several
        return kind, id(x._trace), id(x._node), id(x._below)
    return "object", id(x)
