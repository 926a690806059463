"""The one door for users' data: each leaf becomes an array of numbers, or is refused.

In:  a leaf of the arguments of a transform, `compile`, `minimize` or a transfer; or an operand that meets a
     traced array within a user's function.
Out: a NumPy array of numbers in the byte order of the machine (``ndarray`` or ``memmap``, no other
     subclass), an array of another backend (of another library's array on a GPU, the same memory), a traced
     array, a scalar; or, unchanged, an object that is no data: a string, a function.
Holds: a converted object has the entries that ``np.asarray`` gives it, all of them numbers, and loses nothing
       that has a meaning in arithmetic (a mask, a unit, a product of its own); everything else is refused,
       with the type's name and what to write.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from numbers import Number
from typing import Any

import numpy as np

from xpgrad._errors import DeviceError, DTypeError, TraceError, message
from xpgrad._trees import flatten, leaf, paths
from xpgrad.core.op import is_dispatched

_NUMPYS = (np.ndarray, np.memmap)
# Scalars of these very types need no look at all.
SCALARS = frozenset([bool, int, float, complex, *[np.dtype(char).type for char in "?bBhHiIlLqQefdgFDG"]])
_INT64, _UINT64 = np.iinfo(np.int64), np.iinfo(np.uint64)
_KINDS = frozenset("biufc")
_USERS = 24  # from here on the numbers of dtypes that other packages define
_PROTOCOLS = ("__array__", "__array_interface__", "__array_struct__", "__cuda_array_interface__", "__dlpack__")
_CUDA = (2, 13)  # DLPack's numbers of CUDA devices and of memory that CUDA manages
# What a subclass of ndarray may have of its own without being another kind of array.
_HARMLESS = frozenset(
    """__new__ __init__ __init_subclass__ __array_finalize__ __repr__ __str__ __format__ __reduce__
    __reduce_ex__ __setstate__ __getstate__ __del__ __dir__ __copy__ __deepcopy__ __class_getitem__
    __array_priority__ __doc__ __module__ __dict__ __weakref__ __slots__ __class__""".split()
)
# The first of these that a subclass has of its own is named in the error.
_TELLING = ("__mul__", "__array_ufunc__", "__array_function__", "__array_wrap__", "__add__", "__getitem__")

# For a type of each library, by the name of the package, the way to make an array of numbers of it.
_REMEDIES = {
    "pandas": "x.to_numpy(dtype=float), with na_value=np.nan where entries are missing; text as x.cat.codes",
    "polars": "x.cast(pl.Float64).to_numpy()",
    "pyarrow": 'x.cast("double").to_numpy(zero_copy_only=False), of a table column by column',
    "torch": "x.detach(), of bfloat16 x.detach().float(); cupy.from_dlpack(x.detach()) leaves it on the GPU",
    "jax": "np.asarray(x, dtype=np.float32), outside of what JAX traces",
    "jaxlib": "np.asarray(x, dtype=np.float32), outside of what JAX traces",
    "xarray": 'x.to_numpy(), of a Dataset one variable: x["name"].to_numpy()',
    "scipy": "x.toarray()",
    "sparse": "x.todense()",
    "dask": "x.compute()",
}

Where = Callable[..., str]


def is_numeric(dtype: Any) -> bool:
    """Whether a dtype is one of NumPy's own of numbers, in the byte order of the machine."""
    return dtype.kind in _KINDS and dtype.num < _USERS and dtype.isnative


def is_cupy(x: Any) -> bool:
    """Whether ``x`` is a CuPy array, without importing CuPy: if nobody did, it is none."""
    cp = sys.modules.get("cupy")
    return cp is not None and hasattr(cp, "ndarray") and isinstance(x, cp.ndarray)


def is_traced(x: Any) -> bool:
    return isinstance(getattr(x, "xpgrad_device", None), str)


def is_array(x: Any) -> bool:
    """Whether ``x``, from behind the door, is an array or a scalar of NumPy's."""
    return isinstance(x, (np.ndarray, np.generic)) or is_dispatched(type(x)) or is_cupy(x)


def is_source(x: Any) -> bool:
    """Whether ``x`` is a source of samples (`xpgrad.data`), which is read by parts."""
    return getattr(type(x), "xpgrad_source", False) is True


def is_data(x: Any) -> bool:
    """Whether ``x`` holds numbers for an array to be made of; strings, functions and other objects do not."""
    kind: Any = type(x)
    return isinstance(x, Number) or _holds_data(kind) or is_traced(x)


@lru_cache(256)
def _holds_data(kind: Any) -> bool:
    if issubclass(kind, (np.generic, memoryview)) or kind.__module__ == "array":
        return True
    return any(hasattr(kind, name) for name in _PROTOCOLS) or _is_sparse(kind)


def _is_sparse(kind: type) -> bool:
    return hasattr(kind, "tocsr") and hasattr(kind, "toarray")


def admitted(x: Any, where: Where, *of: Any) -> Any:
    """``x`` as what xpgrad computes with, or untouched if it is no data.

    Parameters
    ----------
    x : object
    where : callable
        ``where(*of)`` names the operation and the leaf, for an error: ``"compile: args[1]['y']"``.

    Raises
    ------
    DTypeError
        What is no array of numbers, or more than one.
    """
    kind: Any = type(x)
    if kind is np.ndarray and is_numeric(x.dtype):
        return x
    if kind is int and not _INT64.min <= x <= _UINT64.max:
        raise _refused(x, "is beyond 64 bits, of which NumPy makes an object", "float(x)", where, of)
    if kind in SCALARS or is_traced(x) or is_cupy(x) or (kind not in _NUMPYS and is_dispatched(kind)):
        return x
    if isinstance(x, np.ndarray):
        if x.dtype == object and (read := leaf(x)) is not x:
            return read
        return _of_numbers(_plain(x, where, of), x, where, of)
    if isinstance(x, np.generic):
        _of_numbers(np.asarray(x), x, where, of)
        return x
    if isinstance(x, (int, float, complex)):
        return x
    if isinstance(x, Number):
        raise _refused(x, "is no int, float or complex", "float(x)", where, of)
    if is_source(x):
        return x
    if isinstance(x, Iterator):
        raise _refused(x, "can be read only once", "list(x), or what next(x) gives", where, of)
    return _converted(x, where, of) if _holds_data(kind) else x


def admitted_leaves(tree: Any, what: str) -> tuple[list[Any], Any]:
    """The leaves of a tree, each `admitted`, and its structure; ``what`` names the tree in an error."""
    leaves, structure = flatten(tree)
    return [admitted(x, named_leaf, what, tree, i) for i, x in enumerate(leaves)], structure


def named_leaf(what: str, tree: Any, i: int) -> str:
    """The Python expression of leaf ``i``: ``"jvp: tangents[0]['W']"``."""
    return what + paths(tree)[i]


def array_of(x: Any, where: Where, *of: Any) -> Any:
    """`admitted`, where only an array or a number will do.

    Raises
    ------
    DTypeError
        As `admitted`, and for what is no data.
    """
    if is_data(x) or isinstance(x, Iterator):
        return admitted(x, where, *of)
    raise DTypeError(message(f"{where(*of)} is no array and no number", {"got": x}))


# ── subclasses of ndarray ────────────────────────────────────────────────────────────────────
def _plain(x: Any, where: Where, of: Any) -> Any:
    """An array as NumPy's own class, if it loses nothing by that; a memory map stays one."""
    kind: Any = type(x)
    if kind in _NUMPYS:
        return x
    if isinstance(x, np.ma.MaskedArray):
        hidden = int(np.ma.getmaskarray(x).sum()) if x.dtype.names is None else 0
        if hidden:
            remedy = "x.filled(value), x.compressed(), or np.ma.getdata(x) with the mask as weights"
            raise _refused(x, f"has {hidden} masked entries, which would be read as numbers", remedy, where, of)
    elif own := _own_arithmetic(kind):
        remedy = "np.asarray(x), if it may lose that"
        raise _refused(x, f"has a {own} of its own", remedy, where, of)
    return x.view(np.ndarray) if type(x) is not np.ma.MaskedArray else np.ma.getdata(x).view(np.ndarray)


@lru_cache(256)
def _own_arithmetic(kind: Any) -> str:
    """The first of ndarray's attributes that a subclass has in another way; empty if there is none."""
    if issubclass(kind, np.recarray):
        return ""  # fields by attribute: its dtype says what it holds
    names = {name for parent in kind.__mro__[: kind.__mro__.index(np.ndarray)] for name in vars(parent)}
    own = [name for name in sorted(names - _HARMLESS) if hasattr(np.ndarray, name)]
    return next((name for name in _TELLING if name in own), own[0] if own else "")


# ── arrays of other libraries ────────────────────────────────────────────────────────────────
def _converted(x: Any, where: Where, of: Any) -> Any:
    """``np.asarray(x)``; of an array on a GPU, CuPy's view of it, and of one that has DLPack alone, NumPy's."""
    if _is_sparse(type(x)):
        raise _refused(x, "is sparse, and has no counterpart among traced arrays", "x.toarray()", where, of)
    kind: Any = type(x)
    try:
        if _on_gpu(x):
            return _of_cupy(x)
        array = np.from_dlpack(x) if _by_dlpack(kind) else np.asarray(x)
    except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError, BufferError) as error:
        if isinstance(error, (DeviceError, TraceError)):
            raise
        said = str(error).strip().partition("\n")[0]
        raise _refused(x, f"makes no array of NumPy's: {said}", _remedy(x), where, of) from error
    return _of_numbers(_plain(array, where, of), x, where, of)


@lru_cache(256)
def _by_dlpack(kind: Any) -> bool:
    """Whether DLPack is the only way to the numbers of a type."""
    others = [name for name in _PROTOCOLS if name not in ("__dlpack__", "__cuda_array_interface__")]
    return hasattr(kind, "__dlpack_device__") and not any(hasattr(kind, name) for name in others)


def _on_gpu(x: Any) -> bool:
    """Whether ``x`` says that its numbers are on a CUDA device."""
    if hasattr(x, "__dlpack_device__"):
        return int(x.__dlpack_device__()[0]) in _CUDA
    return bool(getattr(x, "__cuda_array_interface__", None))


def _of_cupy(x: Any) -> Any:
    """The memory of ``x`` as a CuPy array; a DeviceError where CuPy cannot be used."""
    from xpgrad.devices import cupy  # which imports this module

    cp = cupy()
    return cp.from_dlpack(x) if hasattr(x, "__dlpack__") else cp.asarray(x)


def _remedy(x: Any) -> str:
    return _REMEDIES.get(type(x).__module__.partition(".")[0], "np.asarray(x, dtype=float)")


# ── dtypes ───────────────────────────────────────────────────────────────────────────────────
def _of_numbers(array: Any, x: Any, where: Where, of: Any) -> Any:
    """``array``, which was made of ``x``, in the machine's byte order; refused if it holds no numbers."""
    dtype = array.dtype
    if is_numeric(dtype):
        return array
    if dtype.kind in _KINDS and dtype.num < _USERS:
        return np.asarray(array, dtype=dtype.type)
    raise _refused(x, *_not_numbers(array, x), where, of)


def _not_numbers(array: Any, x: Any) -> tuple[str, str]:
    """A description of the objects in an array that are no numbers, and what to write instead."""
    dtype = array.dtype
    foreign = not isinstance(x, (np.ndarray, np.generic))
    if dtype.names is not None:
        first = dtype.names[0]
        return (
            f"has fields, {', '.join(dtype.names)}, and is no array of numbers",
            f"one of them, x[{first!r}], or all: np.lib.recfunctions.structured_to_unstructured(x)",
        )
    if dtype.kind == "O":
        kinds = list(dict.fromkeys(type(entry).__name__ for entry in array.flat[:1000]))
        what = f"gives dtype object, of {', '.join(kinds[:4])}" if kinds else "gives dtype object"
        plain = "np.asarray(x, dtype=float); of a DataFrame: df.to_numpy(dtype=float)"
        return what if foreign else what.replace("gives", "has"), _remedy(x) if foreign else plain
    if dtype.kind in "UST":
        return "holds text", "the place of each in a sorted list: np.unique(x, return_inverse=True)[1]"
    if dtype.kind == "M":
        return "holds dates", "a number of days: (x - x[0]) / np.timedelta64(1, 'D')"
    if dtype.kind == "m":
        return "holds durations", "a number of seconds: x / np.timedelta64(1, 's')"
    return f"has dtype {dtype}, which is none of NumPy's own", "x.astype(np.float32)"


def _refused(x: Any, what: str, remedy: str, where: Where, of: Any) -> DTypeError:
    kind = type(x)
    if kind is np.ndarray:
        name = "an array that"
    elif kind.__module__ in ("builtins", "__main__"):
        name = f"a {kind.__name__} that"
    else:
        name = f"a {kind.__module__.partition('.')[0]}.{kind.__name__} that"
    got = {"got": x} if isinstance(x, (np.ndarray, np.generic, int)) else {"got": kind.__name__}
    return DTypeError(message(f"{where(*of)}: {name} {what}", got, remedy=f"write {remedy}"))
