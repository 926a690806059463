"""The layouts of arrays in memory: shapes, dtypes and strides, known before a plan is made.

In:  a Graph and the arrays that it was traced for.
Out: for each input, and each view of one, an array of the same layout whose entries are never read.
Holds: no argument is kept alive. Strides decide whether a reshape is a view.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from xpgrad.core import Const, Graph, Input, Node, Operand, Value
from xpgrad.plan.axes import is_view
from xpgrad.plan.loop_nests import Declined

_RESHAPE_TAKES_COPY = (
    np.lib.NumpyVersion(np.__version__) >= "2.1.0"
)  # where setting a shape is deprecated later


class InMemory(NamedTuple):
    """The arrays in memory before a graph runs.

    Attributes
    ----------
    held : dict of Value to array
        The layout of each input, and of each view of an input or a constant.
    views : list of Node
        The views, in order.
    """

    held: dict[Value, Any]
    views: list[Node]

    def unit_axes(self) -> dict[Value, int]:
        """For each array that has one, the axis along which it is contiguous."""
        found: dict[Value, int] = {}
        for value, x in self.held.items():
            for a, (n, s) in enumerate(zip(x.shape, x.strides, strict=True)):
                if n != 1 and s == x.itemsize:
                    found.setdefault(value, a)
        return found


def in_memory(graph: Graph, arrays: Sequence[Any], entries: bool = True) -> InMemory:
    """The arrays in memory before ``graph`` runs on arrays with the layouts of ``arrays``.

    ``entries``: whether a single entry of an array is a view of it, with an address of its own.
    """
    held: dict[Value, Any] = {v: layout_of(x) for v, x in zip(graph.inputs, arrays, strict=True)}
    views = []
    for node in graph.nodes:
        if not entries and node.op.name == "getitem" and not node.ndim:
            continue
        if is_view(node) and (isinstance(node.operands[0], Const) or node.operands[0] in held):
            found = _looked_at(node, held)
            if found is not None:
                held[node] = found
                views.append(node)
    return InMemory(held, views)


def _looked_at(node: Node, held: Mapping[Value, Any]) -> Any:
    """The layout of a view; None if it is not one."""
    (source,) = node.operands
    x = layout_of(np.asarray(source.data)) if isinstance(source, Const) else held[source]
    if node.op.name == "reshape":
        try:
            return _reshaped(x, node.shape)
        except ValueError:
            return None
    if node.op.name == "getitem":  # with an ellipsis NumPy gives a view, even if no axis is left
        index = node.params["index"]
        index = index if type(index) is tuple else (index,)
        return x[index if Ellipsis in index else (*index, ...)]
    return node.op(x, **node.params)


def form_of_view(value: Value, base: Value) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The shape, the strides and the offset in bytes of ``value``, which looks into ``base``, in C order.

    Raises
    ------
    ValueError
        It is no view of such an array: a reshape that takes a copy, entries of another dtype, or one entry of
        ``base`` in two places.
    """
    x = whole = np.empty(base.shape, base.dtype)
    chain: list[Node] = []
    while value is not base:
        assert isinstance(value, Node)
        chain.insert(0, value)
        value = value.operands[0]
    for node in chain:
        found = _looked_at(node, {node.operands[0]: x})
        if found is None:
            raise ValueError("an output takes a copy of an array")
        x = found
    repeated = any(n > 1 and s == 0 for n, s in zip(x.shape, x.strides, strict=True))
    if repeated or x.dtype != whole.dtype:
        raise ValueError("an output shows an array in a form that is not its own")
    start: int = x.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return x.shape, x.strides, start


def _reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    """``x`` in another shape, without a copy; raises ValueError if that takes a copy."""
    if _RESHAPE_TAKES_COPY:
        return np.reshape(x, shape, copy=False)
    y = x.view()
    try:
        y.shape = shape
    except AttributeError as error:
        raise ValueError(str(error)) from None
    return y


class Layouts(NamedTuple):
    """The arrays that lie in memory before a kernel runs, known when it is made.

    Attributes
    ----------
    held : dict of Value to array
        Inputs and views of them, as `layout_of` gives them.
    alive : set of Value
        The values that later steps or the outputs read.
    dying : collection of Value
        Those of which a kernel may take over the array: nothing reads it after the kernel.
    """

    held: dict[Value, Any]
    alive: set[Value]
    dying: Collection[Value] = ()


def layout_of(x: Any) -> Any:
    """An array with the shape, dtype and strides of ``x``, whose entries must not be read.

    A program keeps it instead of the arguments that it was planned for.
    """
    return placed(x.shape, x.dtype, x.strides)


def placed(shape: Sequence[int], dtype: Any, strides: Sequence[int]) -> Any:
    """As `layout_of`, for an array that does not exist yet."""
    return as_strided(np.empty(1, dtype), shape, strides)


def check_strides(node: Node, held: Mapping[Value, Any]) -> None:
    """Decline an array whose strides are no multiple of the item size, such as a field of records."""
    for u in node.operands:
        array: Any = u.data if isinstance(u, Const) else held.get(u)
        if any(s % array.itemsize for s in getattr(array, "strides", ())):
            raise Declined(node, "of an array whose entries are not a whole number of entries apart")


def origin(node: Operand) -> Input | None:
    """The input that a view looks into."""
    while isinstance(node, Node) and node.operands:
        node = node.operands[0]
    return node if isinstance(node, Input) else None
