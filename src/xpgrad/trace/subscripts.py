"""Reading and writing traced arrays at an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, OutOfBoundsError, message
from xpgrad.core import aval_of
from xpgrad.devices import device_of, to_device
from xpgrad.ops.elementwise import where
from xpgrad.ops.indexing import apart, getitem, index_update, without_masks
from xpgrad.ops.shape import astype, reshape
from xpgrad.trace import debugging
from xpgrad.trace.functions._table import array
from xpgrad.trace.leaving import constant_under
from xpgrad.trace.tape import Record, Tape
from xpgrad.trace.traced import Traced, record
from xpgrad.trace.views import View, check_array


def read(x: Any, index: Any) -> Any:
    """``x[index]``: an int or a slice of an array on a tape written out, the rest by the general way."""
    if x._view is not None:
        x.refresh()
    tape = x._trace
    data = x._below
    if (
        (type(index) is not slice and type(index) is not int)
        or type(tape) is not Tape
        or tape.closed
        or debugging.nans
        or type(data) is not np.ndarray
    ):
        return _read(x, index)
    try:
        out = data[index]
    except IndexError:
        return _read(x, index)  # which words the error
    node = x._node
    if node is None:
        part = Traced(tape, None, out)
    else:
        record = Record(getitem, (node,), {"index": index}, out.shape, out.dtype)
        record.saved = (record, node)
        tape.records.append(record)
        part = Traced(tape, record, out)
    if out.ndim:
        part._view = View(x, getitem, {"index": index})
    return part


def _read(x: Any, index: Any) -> Any:
    spec, arrays = _apart(index)
    if _is_truth(spec, arrays):  # which adds an axis, of length 1 or 0
        return read(read(x, None), slice(0, int(arrays[0])))
    if arrays and not any(type(a) is Traced for a in arrays):
        spec, arrays = without_masks(x.shape, spec, arrays)
    return record(getitem, (x, *arrays), {"index": spec})


def _apart(index: Any) -> tuple[Any, list[Any]]:
    """As `apart`, with the numbers of traced indices where they are known."""
    spec, arrays = apart(index)
    return spec, [a if type(a) is not Traced or (k := constant_under(a)) is None else k for a in arrays]


def _is_truth(spec: Any, arrays: list[Any]) -> bool:
    """Whether the index is one truth value, which is known."""
    if len(arrays) != 1 or len(spec) != 1 or type(arrays[0]) is Traced:
        return False
    return arrays[0].dtype.kind == "b" and not arrays[0].shape


def write(x: Any, index: Any, value: Any) -> None:
    """``x[index] = value``."""
    if type(value) is Traced and value._view is not None and value._view.is_of(x, index):
        return  # A[i] += v has written through the view A[i] already.
    check_array(x, "setitem")
    spec, arrays = _apart(index)
    value = array(value)
    if aval_of(value).dtype.kind == "c" and x.dtype.kind != "c":
        raise DTypeError(
            message("setitem: a complex value does not fit a real array", {"array": x, "value": value})
        )
    if _is_truth(spec, arrays):
        if not arrays[0]:
            return
        value = reshape(value, shape=value.shape[1:]) if len(getattr(value, "shape", ())) > x.ndim else value
        spec, arrays = (...,), []
    mask = arrays[0] if len(arrays) == 1 and len(spec) == 1 else None
    if mask is not None and mask.dtype.kind == "b" and not getattr(value, "shape", ()):
        x.become(_masked(x, mask, value))
    else:
        if arrays and not any(type(a) is Traced for a in arrays):
            spec, arrays = without_masks(x.shape, spec, arrays)
        x.become(record(index_update, (x, value, *arrays), {"index": spec}))


def _masked(x: Any, mask: Any, value: Any) -> Any:
    """``value`` where the mask holds: unlike a selection, known by its shape alone."""
    shape = x.shape[: mask.ndim]
    if mask.shape != shape:
        raise OutOfBoundsError(message("setitem: the mask does not fit the array", {"array": x, "mask": mask}))
    mask = mask if type(mask) is Traced else to_device(mask, device_of(x))
    if mask.ndim < x.ndim:
        mask = reshape(mask, shape=(*shape, *(1,) * (x.ndim - mask.ndim)))
    new = where(mask, value, x)
    return new if new.dtype == x.dtype else astype(new, dtype=x.dtype)


def _iterate(x: Any) -> Any:
    return (x[i] for i in range(len(x)))


def install() -> None:
    """Give `Traced` its subscripts."""
    for name, method in {"__getitem__": read, "__setitem__": write, "__iter__": _iterate}.items():
        setattr(Traced, name, method)


install()
