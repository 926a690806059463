"""Where NumPy's arrays have their fields in memory, which no interpreter need be asked for.

In:  an array of its own, which is looked at once.
Out: the places of the fields, and whether they are where NumPy's stable ABI has them.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

HEAD = object.__basicsize__
DATA, AXES, SHAPE, STRIDES, DTYPE, FLAGS = (HEAD + k for k in (0, 8, 16, 24, 40, 48))
"""The fields of an array, in bytes from the object."""

ALIGNED = 256
"""The bit of the flags for an address that is a multiple of the size of an entry."""


@cache
def is_known() -> bool:
    """Whether an array is laid out as said here."""
    if ctypes.sizeof(ctypes.c_void_p) != 8 or np.ndarray.__basicsize__ < FLAGS + 8:
        return False
    x = np.zeros((3, 5), np.float32)[1:, ::2]

    def word(where: int, kind: type[ctypes.c_int | ctypes.c_int64] = ctypes.c_int64) -> int:
        return kind.from_address(where).value

    at, axes = id(x), range(x.ndim)
    return (
        word(at + DATA) == x.__array_interface__["data"][0]
        and word(at + AXES, ctypes.c_int) == x.ndim
        and [word(word(at + SHAPE) + 8 * a) for a in axes] == [*x.shape]
        and [word(word(at + STRIDES) + 8 * a) for a in axes] == [*x.strides]
        and word(at + DTYPE) == id(x.dtype)
        and word(at + FLAGS, ctypes.c_int) == x.flags.num
        and bool(x.flags.num & ALIGNED) == x.flags.aligned
    )
