"""Arrays of traced scalars that NumPy makes of lists: ``np.array([x0, x1])``, and back.

In:  ``np.array([x0, x1])``, ``np.sum([x0, x1])``, ``np.full(n, x0)``, for which NumPy calls `__array__`.
Out: an array of objects, each a traced scalar. Where it meets an op, or is returned from a function, it is one
     traced array again.
Holds: the derivative is never lost. A conversion of the objects to plain numbers is a TraceError. So is an
       array of more than `LIMIT` traced entries, and an entry that becomes complex.

NumPy's own arithmetic on such an array is that of its entries, one op for each. The entries of an array know
where they stood, so arrays that are only put together again (``np.array([u, v])``) are joined in a few ops.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, TraceError, message
from xpgrad._trees import flatten, register_objects, unflatten
from xpgrad.devices import asnumpy
from xpgrad.devices.door import SCALARS
from xpgrad.ops.shape import broadcast_to, inverse_axes, reshape, transpose
from xpgrad.trace.callers import check_start
from xpgrad.trace.functions import TABLE
from xpgrad.trace.leaving import constant_under, leaves_trace, looked_at
from xpgrad.trace.traced import (
    STACK,
    Traced,
    made,
    refuse_choice,
    refuse_complex,
    strip,
)
from xpgrad.trace.views import fresh, is_scalar

_OBJECT = np.dtype(object)
LIMIT = 1_000
"""The most traced entries of an array of objects."""


# What an operand of these, whose own methods were called with a traced array, is to be written as.
_LIBRARIES = {
    "numpy.ma": "write m.filled(value), or np.ma.getdata(m) with the mask as weights, for a masked array m",
    "numpy.linalg": "write np.stack([x0, x1]) for the list [x0, x1]; of rows, np.stack of each row first",
    "numpy.matrixlib": "write np.stack([x0, x1]) for the list [x0, x1], and @ for the product of matrices",
    "numpy.fft": "write np.stack([x0, x1]) for the list [x0, x1]",
    "numpy._core._methods": "write np.mean(np.stack([x0, x1])) for np.mean([x0, x1]); np.var, np.std likewise",
    "pandas": "write s.to_numpy(dtype=float) for a Series or DataFrame s",
    "scipy.sparse": "write S.toarray() for a sparse S, or state the product with xg.custom_vjp",
    "scipy": "xg.special, xg.stats, xg.linalg, xg.interpolate and xg.signal have SciPy's functions; "
    "many of SciPy's own work where SCIPY_ARRAY_API=1 is set before SciPy is imported",
    "sklearn": "write the formula in NumPy; xg.learn has scikit-learn's estimators; some functions work where "
    "SCIPY_ARRAY_API=1 is set before SciPy is imported, by sklearn.set_config(array_api_dispatch=True)",
}
_BY_OBJECTS = ("norm", "multi_dot")  # functions of np.linalg that compute with objects
_INDEXED = "np.take_along_axis(a, i, axis) takes one; or pass the array too as an argument of what is compiled"
_READ = [*dis.get_instructions(compile("a[i]", "", "eval"))][
    -2
]  # an opcode of its own, or from Python 3.14 one of BINARY_OP


def to_objects(x: Any, frame: Any, dtype: Any = None, copy: Any = None) -> Any:
    """An array like ``x``, each entry a traced scalar, as an object.

    Parameters
    ----------
    x : Traced
    frame : frame
        That which asks for it.
    dtype, copy
        As NumPy gives them.

    Raises
    ------
    TraceError
        Another dtype is asked for, or a view; ``x`` is complex, or has more than `LIMIT` entries, or is the
        index of a plain array.
    """
    if _indexes(frame, x.dtype.kind):
        raise TraceError(message("a plain array cannot have a traced index", {"index": x}, remedy=_INDEXED))
    if looked_at(frame) and type(strip(x)) is not Traced:
        return asnumpy(strip(x))
    if frame.f_code.co_name == "as_strided" and _of_numpy(frame):
        what = "as_strided reads memory beside that of the array it is given, and a traced array has none"
        remedy = "x[i[:, None] + j] with integers i and j; sliding_window_view(x, n); xg.linalg.toeplitz(x)"
        raise TraceError(message(what, {"array": x}, remedy=remedy))
    if (known := constant_under(x)) is not None:
        return np.array(asnumpy(known), dtype=dtype)
    asked_by = frame.f_globals.get("__name__", "")
    for library, remedy in _LIBRARIES.items():
        if f"{asked_by}.".startswith(f"{library}.") and frame.f_code.co_name not in _BY_OBJECTS:
            raise leaves_trace(x, f"conversion to a NumPy array, by {library},", remedy, remedy)
    if (dtype is not None and np.dtype(dtype) != object) or copy is False:
        parts = (
            "leave dtype= out; np.stack or np.where builds an array of traced parts, "
            "np.zeros_like(x, shape=...) one to write into"
        )
        raise leaves_trace(
            x, "conversion to a NumPy array", f"{parts}; xg.stop_gradient(x) gives the plain array", parts
        )
    if x.dtype.kind == "c":
        raise refuse_complex(x)
    if x.size > LIMIT:
        raise TraceError(
            message(
                f"conversion to a NumPy array: one of objects has at most {LIMIT:,} traced entries",
                {"array": x},
                remedy="leave np.array out, x.copy() makes a copy; np.stack([x, y]) for np.array([x, y])",
            )
        )
    while "numpy" in frame.f_code.co_filename and frame.f_back is not None:
        frame = frame.f_back
    if "nan_to_num" in frame.f_code.co_names:  # it leaves objects as they are
        raise TraceError(message("np.nan_to_num does nothing to an array of objects", remedy=f"write {STACK}"))
    made.count += 1
    made.at = (frame.f_code.co_filename, frame.f_lineno)
    cells = np.empty(x.size, object)
    if not x.shape:
        cells[0] = x if is_scalar(x) else x[()]
    else:
        flat = fresh(reshape(x.snapshot(), shape=(-1,)))
        for i in range(x.size):
            entry = cells[i] = flat[i]
            entry._origin = (flat, i)
    return cells.reshape(x.shape)


def _of_numpy(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("numpy.")


def _indexes(frame: Any, kind: str) -> bool:
    """Whether the instruction that ``frame`` is at is ``a[i]``, or ``a[i] = b`` of a ``kind`` that indexes."""
    opcode, arg = frame.f_code.co_code[frame.f_lasti :][:2]
    if opcode == _READ.opcode and _READ.arg in (None, arg):
        return True
    return dis.opname[opcode] == "STORE_SUBSCR" and kind in "iub"


def gathered(x: Any) -> Any:
    """The traced array of the objects in ``x``; if none of them is traced a plain one of the numbers, or ``x``.

    Raises
    ------
    DTypeError
        Another object is no number.
    TraceError
        There are too many.
    """
    order = sorted(range(x.ndim), key=lambda k: -abs(x.strides[k]))  # of memory: a transpose is one here, too
    cells = x.transpose(order)
    flat = cells.ravel().tolist()
    numbers = [e for e in flat if type(e) is not Traced]
    if len(numbers) == len(flat):  # what NumPy has made of traced objects may hold none: their signs
        plain = made.count and numbers and all(type(e) in SCALARS for e in numbers)
        if not plain:
            return x
        found = np.array(numbers)
        if found.dtype.kind in "iu":  # signs, or all of a maximum with 2: of floats
            found = found.astype(float)
        return found.reshape(cells.shape).transpose(np.argsort(order))
    sources, places = _places(flat, numbers)
    starts = np.concatenate([[0], np.cumsum([s.size for s in sources])])
    at = np.array([starts[k] + i for k, i in places])
    if len(at) > 1 and (at == at[0]).all():
        k, i = places[0]
        joined = broadcast_to(reshape(sources[k], shape=(-1,))[i], shape=(len(at),))
    else:
        parts = [reshape(s, shape=(-1,)) for s in sources]
        table = parts[0] if len(parts) == 1 else TABLE[np.concatenate](parts)
        if (np.diff(at) == 1).all():
            joined = table if len(at) == starts[-1] else table[int(at[0]) : int(at[-1]) + 1]
        else:
            joined = table[at]
    out = reshape(joined, shape=cells.shape)
    return fresh(out if order == sorted(order) else transpose(out, axes=inverse_axes(tuple(order))))


def _places(flat: Sequence[Any], numbers: Sequence[Any]) -> tuple[list[Any], list[tuple[int, int]]]:
    """The arrays that the entries come from, and for each entry which of them and where in it."""
    sources: list[Any] = []
    known: dict[int, int] = {}
    places: list[tuple[int, int]] = []
    plain, seen = -1, 0
    for entry in flat:
        if type(entry) is not Traced:
            if plain < 0:
                plain = len(sources)
                sources.append(_plain(numbers))
            places.append((plain, seen))
            seen += 1
            continue
        source, place = getattr(entry, "_origin", (entry, 0))
        k = known.get(id(source))
        if k is None:
            if source is entry and entry.shape:
                raise TraceError(message("an array of objects has traced arrays for entries", {"entry": entry}))
            k = known[id(source)] = len(sources)
            sources.append(source)
        places.append((k, place))
    traced = sum(s.size for s in sources if type(s) is Traced)
    if traced > LIMIT:
        raise TraceError(
            message(
                f"an array of objects has at most {LIMIT:,} traced entries, got {traced:,}",
                remedy=f"write {STACK}, where it is made",
            )
        )
    return sources, places


def _plain(numbers: Sequence[Any]) -> Any:
    """The entries that are not traced, in an array of numbers."""
    found = np.array(numbers)
    if found.dtype.kind not in "biufc" or found.ndim != 1:
        kinds = sorted({type(e).__name__ for e in numbers})
        raise DTypeError(
            message(f"an array of traced entries and of others that are no numbers: {', '.join(kinds)}")
        )
    return found


def settled(tree: Any) -> Any:
    """``tree``, the result of a user's function, with one traced array for each array of traced objects."""
    if type(tree) is Traced:
        return tree
    leaves, structure = flatten(tree)
    for x in leaves:
        if getattr(x, "dtype", None) is _OBJECT and any(type(e) is Traced for e in np.asarray(x).flat):
            what = (
                f"the function returns a {type(x).__name__} of traced numbers, whose derivative would be lost"
            )
            raise TraceError(message(what, remedy="return an array: np.stack([x0, x1])"))
    return unflatten(structure, leaves)


def operand(x: Any) -> Any:
    """``x``, an argument of a function or method, as one traced array if it has traced objects."""
    return gathered(x) if type(x) is np.ndarray and x.dtype is _OBJECT else x


# NumPy's ufuncs on objects call a method of that name.
_METHODS = """sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh exp exp2 expm1 log log2
    log10 log1p sqrt cbrt fabs floor ceil trunc rint degrees radians deg2rad rad2deg arctan2 hypot fmod"""


def _method(ufunc: Any) -> Callable[..., Any]:
    return lambda self, *others: ufunc(self, *others)


def _logical_xor(self: Any, other: Any) -> Any:
    refuse_choice(check_start, sys._getframe(1))
    return np.logical_xor(self, other)


def install() -> None:
    """Give `Traced` the conversion, and the methods that NumPy calls on objects."""
    register_objects(gathered)
    Traced.__array__ = lambda self, dtype=None, copy=None: to_objects(self, sys._getframe(1), dtype, copy)
    for name in _METHODS.split():
        setattr(Traced, name, _method(getattr(np, name)))
    Traced.logical_xor = _logical_xor


install()
