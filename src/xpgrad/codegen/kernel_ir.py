"""The kernel IR: a step of a plan as loops, loads and stores, for any device.

    loop i0, i1:                         ; z = x @ w, one axis in tiles
        z[i0] sum= x[i0, i1] * w[i1]
    loop i0:                             ; y = tanh(z), and its sum
        a = tanh(z[i0])
        y[i0] = a
        s[] sum= a

In:  nothing; `lower` makes it.
Out: a `Kernel`: loop nests in order, each with the statements of its body, and the buffers that they touch.
Holds: every index is affine in the loop axes. A value has the name of the node whose entry it is. A nest reads
the values that it makes in the iteration that makes them; an earlier nest stored all others. `interpret` is the
definition of each statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from xpgrad.core import Input, Node
from xpgrad.plan.loop_nests import AffineIndex
from xpgrad.plan.plan import Step


@dataclass(eq=False)
class Axis:
    """A loop axis.

    Attributes
    ----------
    number : int
        The key that it is ordered by.
    extent : int
        Its length; for the tile axis the length of all tiles together.
    is_tile : bool
        Whether it is the region's axis, which the kernel runs through tile by tile.
    """

    number: int
    extent: int
    is_tile: bool = False

    def __repr__(self) -> str:
        return f"i{self.number}"


Index = tuple[AffineIndex[Axis], ...]


@dataclass(eq=False)
class Buffer:
    """An array that a kernel reads or writes.

    Attributes
    ----------
    source : Value
        The value that it holds. A workspace that holds no value has any unique object here.
    space : str
        ``memory`` (there before the step runs), ``output`` (filled here, read later), ``partial`` (reductions
        over the tile axis, in wide dtypes, one set for each chunk) or ``workspace`` (for one tile).
    dtype : dtype
    shape : tuple of int
    strides : tuple of int, or None
        In entries; None until a generator has laid the buffer out, or if it keeps it in registers.
    offset : int
        Entries from the beginning of the buffer to its first entry.
    is_tiled : bool
        Whether it holds one tile of the tile axis, and not all.
    """

    source: Any
    space: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    offset: int = 0
    is_tiled: bool = False

    @property
    def unit(self) -> int | None:
        """The axis whose neighbours are neighbours in memory."""
        for a, (n, s) in enumerate(zip(self.shape, self.strides or (), strict=self.strides is not None)):
            if n != 1 and s == 1:
                return a
        return None


def strides_in_order(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Strides, in entries, of an array whose axes follow ``order``, the last one contiguous."""
    strides = [0] * len(shape)
    step = 1
    for a in reversed(order):
        strides[a] = step
        step *= max(shape[a], 1)
    return tuple(strides)


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in entries, of an array in C order."""
    return strides_in_order(shape, range(len(shape)))


# ── operands ─────────────────────────────────────────────────────────────────────────────────
class Local(NamedTuple):
    """The entry of ``node`` that the same body made before."""

    node: Node


class Load(NamedTuple):
    """One entry of a buffer."""

    buffer: Buffer
    at: Index


class Argument(NamedTuple):
    """A Python or NumPy scalar, passed by value.

    ``source`` is the graph's input, or the number. ``key`` identifies a number of the user's code.
    """

    source: Input | float
    dtype: np.dtype[Any]
    key: Any


class Literal(NamedTuple):
    """A number that is written into the text."""

    value: float
    dtype: np.dtype[Any]


Operand = Local | Load | Argument | Literal


# ── statements ───────────────────────────────────────────────────────────────────────────────
class Apply(NamedTuple):
    """``node = op(operands)``, on one entry of each."""

    node: Node
    operands: tuple[Operand, ...]


class MultiplyAdd(NamedTuple):
    """``node = x * y + z``, rounded once.

    ``negates`` names the term with the sign minus: ``"product"``, ``"other"`` or ``""``.
    """

    node: Node
    factors: tuple[Operand, Operand]
    other: Operand
    negates: str = ""


class Gather(NamedTuple):
    """``node = buffer[…, chosen, …]``: an integer operand chooses the entry along one axis of the buffer.

    A negative choice counts from the end of ``length`` entries. A choice outside is an error of the whole call.
    """

    node: Node
    load: Load
    chosen: Operand
    axis: int
    step: int
    length: int


class Choice(NamedTuple):
    """The entry of a table that an integer operand chooses, for a `Reduce`; as in `Gather`.

    Attributes
    ----------
    chosen : Operand
    axis, length : int
        The axis of the table that it chooses along, and its length.
    whole : Index
        The index of the table's own loops, with an axis in the place of the choice.
    """

    chosen: Operand
    axis: int
    length: int
    whole: Index


class OneHot(NamedTuple):
    """``node = value if chosen == axis's index else 0``; ``chosen`` is as in `Gather`."""

    node: Node
    value: Operand
    chosen: Operand
    axis: Axis | None
    length: int


class Fill(NamedTuple):
    """``node = value``; the value is a number of the user's code."""

    node: Node
    value: Argument


class Store(NamedTuple):
    """``buffer[at] = value``, or ``+=``."""

    buffer: Buffer
    at: Index
    value: Operand
    adds: bool = False


class Reduce(NamedTuple):
    """``buffer[at]`` combined with an entry, over the axes of the nest that are not in ``at``.

    Attributes
    ----------
    node : Node
        The reduction, or the contraction.
    monoid : str
        ``sum max min prod any all``.
    operand : Operand or None
    factors : pair of Operands, or None
        Given instead of ``operand``: their product is added, unrounded.
    choice : Choice or None
        Codes choose the entry of the buffer along one axis, where ``at`` has index 0. The monoid is ``sum``,
        and an entry that is never chosen is 0.
    """

    node: Node
    buffer: Buffer
    at: Index
    monoid: str
    operand: Operand | None
    factors: tuple[Operand, Operand] | None
    choice: Choice | None = None


Assignment = Apply | MultiplyAdd | Gather | OneHot | Fill
Statement = Assignment | Store | Reduce
ASSIGNMENTS = (Apply, MultiplyAdd, Gather, OneHot, Fill)


def operands_of(s: Statement) -> tuple[Operand, ...]:
    """The operands that a statement reads; for a `Gather` the entry at choice 0."""
    match s:
        case Apply(_, operands):
            return operands
        case MultiplyAdd(_, factors, other):
            return (*factors, other)
        case Gather(_, load, chosen):
            return (load, chosen)
        case OneHot(_, value, chosen):
            return (value, chosen)
        case Fill(_, value) | Store(_, _, value):
            return (value,)
        case Reduce(operand=Local() | Load() | Argument() | Literal() as operand, choice=Choice(chosen)):
            return (operand, chosen)
        case Reduce(factors=None, operand=Local() | Load() | Argument() | Literal() as operand):
            return (operand,)
        case Reduce(factors=(x, y)):
            return (x, y)
    raise AssertionError(s)


@dataclass(eq=False)
class LoopNest:
    """Loops over ``axes`` around the statements of ``body``.

    Attributes
    ----------
    kind : str
        ``loop``; ``matmul``: one contraction of two arrays of at most two axes; ``slices``: one slice write;
        ``scatter``: reductions with choices, and nothing else.
    axes : tuple of Axis
        They include the axes that a `Reduce` reduces.
    body : list of Statement
    """

    kind: str
    axes: tuple[Axis, ...]
    body: list[Statement] = field(default_factory=list)

    def assignments(self) -> Iterator[Assignment]:
        return (s for s in self.body if isinstance(s, ASSIGNMENTS))

    def stores(self) -> Iterator[Store]:
        return (s for s in self.body if isinstance(s, Store))

    def reductions(self) -> Iterator[Reduce]:
        return (s for s in self.body if isinstance(s, Reduce))

    def loads(self) -> Iterator[Load]:
        """The loads of its statements, as often as they occur."""
        return (x for s in self.body for x in operands_of(s) if isinstance(x, Load))

    def cone(self, wanted: Sequence[Statement]) -> list[Assignment]:
        """The assignments that ``wanted`` depend on, in order."""
        made = {s.node: s for s in self.assignments()}
        found: set[Node] = set()
        waiting: list[Statement] = list(wanted)
        while waiting:
            for x in operands_of(waiting.pop()):
                if isinstance(x, Local) and x.node not in found:
                    found.add(x.node)
                    waiting.append(made[x.node])
        return [s for s in self.assignments() if s.node in found]


@dataclass(eq=False)
class Kernel:
    """A step of a plan.

    Attributes
    ----------
    step : Region or Untiled
    tile_axis : Axis or None
        None: there are no tiles.
    nests : list of LoopNest
        In order.
    buffers : dict of Node to Buffer
        Those of the values that it makes.
    in_place : dict of Node to Node
        For outputs that it writes a slice of, the value whose array they take over, with all its other entries.
    """

    step: Step
    tile_axis: Axis | None
    nests: list[LoopNest] = field(default_factory=list)
    buffers: dict[Node, Buffer] = field(default_factory=dict)
    in_place: dict[Node, Node] = field(default_factory=dict)

    def axes(self) -> list[Axis]:
        """All loop axes, in order."""
        found = {e for nest in self.nests for e in nest.axes}
        return sorted(found, key=lambda e: e.number)

    def reads(self) -> set[Any]:
        """The values whose arrays must be in memory before the step."""
        loaded = {x.buffer.source for nest in self.nests for x in nest.loads() if x.buffer.space == "memory"}
        return loaded | set(self.in_place.values())

    def made(self, space: str) -> list[Node]:
        """The values whose buffers are in ``space``, in the order in which they are made."""
        return [v for v, b in self.buffers.items() if b.space == space]


def index_axes(index: Index) -> tuple[Axis, ...]:
    """The loop axes in an index."""
    return tuple(p.axis for p in index if p.axis is not None)


def reduced_axes(s: Reduce, nest: LoopNest) -> frozenset[Axis]:
    """The axes over which a `Reduce` of ``nest`` combines."""
    return frozenset(nest.axes) - frozenset(index_axes(s.at))


COMBINE: dict[str, np.ufunc] = {
    "sum": np.add,
    "max": np.maximum,
    "min": np.minimum,
    "prod": np.multiply,
    "any": np.logical_or,
    "all": np.logical_and,
}
"""For each monoid the function that combines two parts of a reduction."""


def identity(monoid: str, dtype: np.dtype[Any]) -> float:
    """The initial value of a reduction in ``dtype``; the maximum of no entries is less than any number."""
    if monoid in ("max", "min"):
        if dtype.kind == "b":
            return monoid == "min"
        if dtype.kind == "f":
            return float("-inf") if monoid == "max" else float("inf")
        limits = np.iinfo(dtype)
        return int(limits.min if monoid == "max" else limits.max)
    return 1 if monoid in ("prod", "all") else 0
