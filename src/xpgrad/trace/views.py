"""Views: traced arrays that share memory with others, so that a write to one shows in both.

A traced array is a handle whose value can be replaced. A view remembers its base and how it was
read; a write to the view is written back to the base, and a write to the base is seen when the
view is next read. A write that cannot be taken back to the base is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, TraceError, message
from xpgrad.core import SCALAR_TYPES, Const, Input, Node, Op
from xpgrad.ops.indexing import apart, getitem, index_update
from xpgrad.ops.shape import copy, inverse_axes, reshape, transpose


class View:
    """The relation of a view to its base.

    Attributes
    ----------
    base : Traced
        The array that it looks into, which may be a view itself.
    root : Traced
        The base of all its bases; its `_stamp` counts the writes to any array of the family.
    seen : int
        The count when this one was last read.
    """

    __slots__ = ("base", "op", "params", "root", "seen")

    def __init__(self, base: Any, op: Op, params: Mapping[str, Any]) -> None:
        self.base = base
        self.root = base if base._view is None else base._view.root
        self.op = op
        self.params = params
        self.seen = self.root._stamp

    def stale(self) -> bool:
        """Whether any array of the family has been written to since this one was read."""
        return bool(self.root._stamp != self.seen)

    def read(self) -> Any:
        """The view, read from the base again."""
        return self.op(self.base, **self.params)

    def is_of(self, base: Any, index: Any) -> bool:
        """Whether this is the view ``base[index]``, and up to date."""
        if self.op is not getitem or self.base is not base or self.stale():
            return False
        spec, arrays = apart(index)
        return not arrays and bool(self.params["index"] == spec)

    def check_writable(self, view: Any) -> None:
        """Refuse, by name, a write that cannot be taken back to the base."""
        if self.op not in (getitem, transpose, reshape):
            raise TraceError(
                message(
                    f"write through a view: what {self.op.name} returns cannot be written to",
                    {"view": view, "of": self.base},
                    remedy="write to a copy: x.copy()",
                )
            )

    def put(self, view: Any) -> Any:
        """The base, with the view's new value in its place."""
        if self.op is getitem:
            return index_update(self.base, view, index=self.params["index"])
        if self.op is transpose:
            return transpose(view, axes=inverse_axes(self.params["axes"]))
        return reshape(view, shape=self.base.shape)


class UnsureView(View):
    """A reshape of which it is not known whether NumPy would copy."""

    __slots__ = ()

    def check_writable(self, view: Any) -> None:
        raise TraceError(
            message(
                "write through a view: with shapes alone it is not known whether this reshape is a copy",
                {"view": view, "of": self.base},
                remedy="write before the reshape, or to a copy: x.reshape(...).copy()",
            )
        )

    def read(self) -> Any:
        raise TraceError(
            message(
                "read of a view: with shapes alone it is not known whether this reshape is a copy, and "
                "the array it came from has been written to",
                {"of": self.base},
                remedy="reshape after the write, or a copy before it: x.copy().reshape(...)",
            )
        )


class Derived(View):
    """A view that a function of several ops reads, such as a diagonal; it cannot be written to."""

    __slots__ = ("again", "name")

    def __init__(self, base: Any, name: str, again: Callable[[Any], Any]) -> None:
        super().__init__(base, getitem, {})
        self.name = name
        self.again = again

    def read(self) -> Any:
        return self.again(self.base)

    def is_of(self, base: Any, index: Any) -> bool:
        return False

    def check_writable(self, view: Any) -> None:
        raise TraceError(
            message(
                f"write through a view: what {self.name} returns cannot be written to",
                {"view": view, "of": self.base},
                remedy="write to a copy: x.copy()",
            )
        )


def derived(base: Any, name: str, function: Callable[[Any], Any]) -> Any:
    """``function(base)``, which in NumPy is a view: it follows the base, and refuses writes by name."""
    out = fresh(function(base))
    if hasattr(base, "_view") and type(out) is type(base):
        out._view = Derived(base, name, function)
    return out


def attach(out: Any, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> None:
    """Make ``out`` a view of its first operand where NumPy would."""
    base = operands[0]
    if type(base) is not type(out):
        return
    if op is getitem:
        if len(operands) > 1 or not (out.shape or _has_ellipsis(params["index"])):
            return
        if is_scalar(base):
            return  # which has no memory to look into
    elif op is reshape:
        if is_scalar(base):
            return
        shares = _shares(base, out)
        if shares is None and _squeezed(base.shape) != _squeezed(out.shape):
            out._view = UnsureView(base, op, params)
            return
        if shares is False:
            return
    elif op.name in ("real", "imag") and base.dtype.kind != "c":
        return
    out._view = View(base, op, params)


def fresh(x: Any) -> Any:
    """``x`` as an array of its own, where NumPy's function returns a copy."""
    if getattr(x, "_view", None) is not None:
        x.refresh()
        x._view = None
    return x


def in_place(base: Any, out: Any) -> Any:
    """``out``, a reshape of ``base`` that was asked for without a copy.

    Where only shapes are known it is a view, as it is in NumPy wherever NumPy gives a result at all.

    Raises
    ------
    ShapeError
        The array underneath lies in memory so that the reshape is a copy.
    """
    x = base if 0 in out.shape else out  # of no entries any layout will do
    while (view := getattr(x, "_view", None)) is not None and x is not base:
        if type(view) is UnsureView:
            x._view = View(view.base, view.op, view.params)
        x = view.base
    if x is not base and not is_scalar(base):
        raise ShapeError(
            message(
                f"reshape: copy=False, but shape {tuple(out.shape)} needs a copy of this layout",
                {"array": base},
            )
        )
    return out


def duplicate(x: Any, order: str = "K") -> Any:
    """A copy of ``x`` as NumPy's own: an array is a new one, a scalar, which is immutable, stays a scalar."""
    return x.snapshot() if hasattr(x, "_view") and is_scalar(x) else copy(x, order=order)


def as_array(x: Any) -> Any:
    """``x``, as what NumPy's function makes an array of: a scalar becomes one without axes."""
    if isinstance(x, SCALAR_TYPES):
        return np.asarray(x)
    return copy(x, order="K") if hasattr(x, "_view") and is_scalar(x) else x


def check_array(x: Any, what: str) -> None:
    """Refuse to write to a scalar, which is immutable in Python and in NumPy; portable code has none."""
    if is_scalar(x) and not getattr(x, "_trace", x).portable:
        raise TraceError(
            message(
                f"{what}: a scalar cannot be written to, only an array",
                {"scalar": x},
                remedy="bind the name anew: x = ..., or make an array without axes of it: np.copy(x)",
            )
        )


def _has_ellipsis(index: Any) -> bool:
    return type(index) is tuple and any(part is Ellipsis for part in index)


def is_scalar(x: Any) -> bool:
    """Whether the traced array stands for a scalar, Python's or NumPy's, which no one can write to.

    With shapes alone the op decides that made it: most of NumPy's functions give no array without axes,
    but a scalar. An argument is what it was when it was passed in.
    """
    if x.shape:
        return False
    while hasattr(x, "_trace"):
        if x._below is None:
            return bool(x._trace.gives_scalar(x._node))
        x = x._below
    return isinstance(x, SCALAR_TYPES)


# What gives a scalar for a scalar, and an array for an array.
_AS_OPERAND = frozenset("astype stop_gradient reshape transpose real imag".split())
# What gives arrays even without axes; an integer index does not, but an Ellipsis does.
_GIVES_ARRAYS = frozenset("broadcast_to copy full_like where index_update scatter_add scatter_sum pad".split())


def is_scalar_output(op: Op, params: Mapping[str, Any], of_scalar: Callable[[], bool]) -> bool:
    """Whether the output of ``op``, without axes, is a scalar; ``of_scalar()`` says it of the operand."""
    if op.name in _AS_OPERAND:
        return of_scalar()
    return not _has_ellipsis(params["index"]) if op is getitem else op.name not in _GIVES_ARRAYS


def symbol_is_scalar(value: Any, scalars: Any) -> bool:
    """`is_scalar` of a value without axes in a graph; ``scalars`` has the inputs that are."""
    while isinstance(value, Node) and not value.weak and value.op.name in _AS_OPERAND:
        value = value.operands[0]
        if isinstance(value, Const) or value.shape:
            return False
    if value.weak:
        return True
    if isinstance(value, Const):
        return isinstance(value.data, SCALAR_TYPES)
    if isinstance(value, Input):
        return value in scalars
    return is_scalar_output(value.op, value.params, lambda: False)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _under(x: Any) -> Any:
    """The data of a traced array: its own, those of its samples, or None."""
    return getattr(x._node, "data", None) if x._below is None else x._below


def _shares(base: Any, out: Any) -> bool | None:
    """Whether both have the same memory; None when only shapes are known."""
    while type(out) is type(base) and hasattr(out, "_trace"):
        base, out = _under(base), _under(out)
    if out is None:
        return None
    if isinstance(out, np.ndarray):
        return bool(np.may_share_memory(base, out))
    pointer = getattr(getattr(out, "data", None), "ptr", None)
    return pointer is not None and pointer == base.data.ptr
