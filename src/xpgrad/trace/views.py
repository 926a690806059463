"""Arrays that look into others: writing to the one shows in the other, as in NumPy.

A traced array is a handle whose value can be replaced. A view remembers its base and how it was
read; a write to the view is written back to the base, and a write to the base is seen when the
view is next read. A write that cannot be taken back to the base is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, message
from xpgrad.core import Op
from xpgrad.ops.indexing import apart, getitem, index_update
from xpgrad.ops.shape import inverse_axes, reshape, transpose


class View:
    """How one traced array looks into another."""

    __slots__ = ("base", "op", "params", "seen")

    def __init__(self, base: Any, op: Op, params: Mapping[str, Any]) -> None:
        self.base = base
        self.op = op
        self.params = params
        self.seen = base._stamp

    def stale(self) -> bool:
        """Whether the base has been written to since it was read."""
        if self.base._view is not None:
            self.base.refresh()
        return bool(self.base._stamp != self.seen)

    def read(self) -> Any:
        """The view, read from the base again."""
        return self.op(self.base, **self.params)

    def is_of(self, base: Any, index: Any) -> bool:
        """Whether this is the view ``base[index]``, and up to date."""
        if self.op is not getitem or self.base is not base or self.seen != base._stamp:
            return False
        spec, arrays = apart(index)
        return not arrays and bool(self.params["index"] == spec)

    def write(self, view: Any) -> None:
        """Write the view's new value back to the base."""
        base = self.base
        if self.op is getitem:
            new = index_update(base, view, index=self.params["index"])
        elif self.op is transpose:
            new = transpose(view, axes=inverse_axes(self.params["axes"]))
        elif self.op is reshape:
            new = reshape(view, shape=base.shape)
        else:
            raise TraceError(
                message(
                    f"write through a view: what {self.op.name} returns cannot be written to",
                    {"view": view, "of": base},
                    remedy="write to a copy: x.copy()",
                )
            )
        base.become(new)


class UnsureView(View):
    """A reshape of which it is not known whether NumPy would copy."""

    __slots__ = ()

    def write(self, view: Any) -> None:
        raise TraceError(
            message(
                "write through a view: with shapes alone it is not known whether this reshape is a copy",
                {"view": view, "of": self.base},
                remedy="write before the reshape, or to a copy: x.reshape(...).copy()",
            )
        )


def attach(out: Any, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> None:
    """Make ``out`` a view of its first operand where NumPy would."""
    base = operands[0]
    if type(base) is not type(out):
        return
    if op is getitem:
        if len(operands) > 1 or not (out.shape or _has_ellipsis(params["index"])):
            return
        out._view = View(base, op, params)
    elif op is reshape:
        shares = _shares(base, out)
        if shares is None and _squeezed(base.shape) != _squeezed(out.shape):
            out._view = UnsureView(base, op, params)
        elif shares is not False:
            out._view = View(base, op, params)
    else:
        out._view = View(base, op, params)


def fresh(x: Any) -> Any:
    """``x`` as an array of its own, where NumPy's function returns a copy."""
    if getattr(x, "_view", None) is not None:
        x.refresh()
        x._view = None
    return x


def _has_ellipsis(index: Any) -> bool:
    return type(index) is tuple and any(part is Ellipsis for part in index)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _shares(base: Any, out: Any) -> bool | None:
    """Whether both have the same memory; None when only shapes are known."""
    while type(out) is type(base) and hasattr(out, "_trace"):
        base, out = base._data, out._data
    if out is None:
        return None
    if isinstance(out, np.ndarray):
        return bool(np.may_share_memory(base, out))
    pointer = getattr(getattr(out, "data", None), "ptr", None)
    return pointer is not None and pointer == base.data.ptr
