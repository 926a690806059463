"""The body of a loop, from the nodes of all its iterations.

In:  the nodes of a graph that repeat, one list for each iteration.
Out: a Body: the graph of one iteration, and what it reads from outside; or NotRolled, with the iteration that
     differs.
Holds: each operand has been compared in each iteration. It is a value of the same iteration, of an earlier one
(a carry), the same in all (an invariant or a constant), or one of a stack (a slice).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from xpgrad.core import Const, Graph, Input, Node, Operand, Value
from xpgrad.passes.keys import key_of
from xpgrad.passes.rewriting import Rewriting

_MOST_CARRIES = 256


class NotRolled(Exception):
    """The iterations differ.

    Attributes
    ----------
    iteration : int or None
        The first one that differs from those before it; None if it is not known.
    """

    def __init__(self, iteration: int | None) -> None:
        super().__init__(iteration)
        self.iteration = iteration


class Body:
    """One iteration.

    Attributes
    ----------
    graph : Graph
        Inputs: the invariants, the carries, the slices. Outputs: the next carries, then the nodes of ``kept``.
    invariants, inits : list of old values
    slices : list of new values
        Each has the iterations along its first axis.
    kept : dict of int to int
        For the position of a node that is read after the loop, its number among the stacked outputs.
    last : dict of int to int
        For a node that is read of the last iteration alone, the number of the carry that it is.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        place: dict[Value, int],
        start: int,
        period: int,
        count: int,
        is_view: Callable[[Any], bool],
        stacked: Callable[[Sequence[Any]], Any],
        iteration: Callable[[Any], Any],
    ) -> None:
        self._nodes, self._place = nodes, place
        self._start, self._period, self._count = start, period, count
        self._is_view, self._stacked, self._other_loop = is_view, stacked, iteration
        self._r = Rewriting(Graph(), share=True)
        self._made: list[Operand] = []
        self._known: dict[tuple[Any, ...], list[tuple[list[Any], Operand]]] = {}
        self.invariants: list[Any] = []
        self.inits: list[Any] = []
        self.slices: list[Any] = []
        self._invariants: list[Input] = []
        self._carries: list[Input] = []
        self._slices: list[Input] = []
        self._next: list[list[Any]] = []
        self._of_place: dict[int, int] = {}
        for r in range(period):
            self._add(r)
        nexts: list[Operand] = []
        while len(nexts) < len(self._next):
            if len(nexts) > _MOST_CARRIES:
                raise NotRolled(None)
            us = self._next[len(nexts)]
            new = self._operand(us)
            if isinstance(new, Const):
                raise NotRolled(1)
            if new in self._made:
                self._of_place.setdefault(self._made.index(new), len(nexts))
            nexts.append(new)
        self._nexts = nexts

    def finish(self, whole: Sequence[int], last: Sequence[int]) -> None:
        """Set the outputs: nodes at the places ``whole`` are read of many iterations, ``last`` of the last."""
        self.last = {r: self._of_place[r] for r in last if r in self._of_place}
        kept = [*whole, *[r for r in last if r not in self.last]]
        if any(self._made[r].weak for r in kept) or any(self._made[r].weak for r in self.last):
            raise NotRolled(None)  # a Python scalar, which an array would take the place of
        self.kept = {r: k for k, r in enumerate(kept)}
        self.graph = self._r.graph
        self.graph.inputs = [*self._invariants, *self._carries, *self._slices]
        self.graph.outputs = [*self._nexts, *[self._made[r] for r in kept]]  # type: ignore[list-item]

    def _add(self, r: int) -> None:
        """The node at place ``r`` of each iteration."""
        at = [self._nodes[self._start + t * self._period + r] for t in range(self._count)]
        self._r.at = at[0].at
        operands = [self._operand([n.operands[i] for n in at]) for i in range(len(at[0].operands))]
        self._made.append(self._r.copy(at[0], operands))

    def _iteration(self, u: Any) -> tuple[int, int] | None:
        """The iteration and the place of a node of the loop."""
        k = self._place.get(u, -1) - self._start
        return divmod(k, self._period) if 0 <= k < self._period * self._count else None

    def _touches(self, u: Any) -> bool:
        while self._is_view(u):
            u = u.operands[0]
        return self._iteration(u) is not None

    def _operand(self, us: list[Any]) -> Operand:
        """The value of the body that is ``us[t]`` in iteration ``t``."""
        key = tuple([u if not isinstance(u, Const) else None for u in us[:3]])
        for others, value in self._known.get(key, ()):
            n = min(len(us), len(others))
            if us[:n] == others[:n]:
                return value
        value = self._find(us)
        self._known.setdefault(key, []).append((us, value))
        return value

    def _find(self, us: list[Any]) -> Operand:
        first = us[0]
        if isinstance(first, Const) and self._same_constants(us):
            return first
        if not isinstance(first, Const) and all(u is first for u in us):
            self._invariants.append(Input(first.aval))
            self.invariants.append(first)
            return self._invariants[-1]
        at = self._iteration(first)
        if at is not None:
            step, start = self._period, self._start + at[1]
            if at[0] != 0:
                raise NotRolled(None)
            for t, u in enumerate(us):
                if self._place.get(u) != start + t * step:
                    raise NotRolled(t)
            return self._made[at[1]]
        if self._is_view(first) and all(map(self._is_view, us)):
            same = [t for t, u in enumerate(us) if not _same_view(u, first)]
            if not same and (self._touches(us[-1]) or self._touches(us[1])):
                inner = self._operand([u.operands[0] for u in us])
                return self._r.copy(first, [inner])
        if any(map(self._touches, us[1:4])):
            return self._carry(us)
        if len(us) == self._count and not any(map(self._touches, us)):
            found = self._stacked(us)
            if found is not None:
                self._slices.append(Input(first.aval))
                self.slices.append(found)
                return self._slices[-1]
        raise NotRolled(self._first_other(us))

    def _carry(self, us: list[Any]) -> Operand:
        """A value of the iteration before; that of the first comes from outside."""
        first = us[0]
        for t, u in enumerate(us):
            if u.aval != first.aval:
                raise NotRolled(t)
        if len(us) < 3 or self._count - len(us) > 3:
            raise NotRolled(None)
        self._carries.append(Input(first.aval))
        self.inits.append(first)
        self._next.append(us[1:])
        return self._carries[-1]

    def _same_constants(self, us: list[Any]) -> bool:
        if all(u is us[0] for u in us):
            return True
        keys = {None if not isinstance(u, Const) else key_of(_ANY, (u,), {}) for u in us}
        return len(keys) == 1 and None not in keys and all(u.aval == us[0].aval for u in us)

    def _first_other(self, us: Sequence[Any]) -> int | None:
        """The first iteration whose operand is of another kind than the one before it."""
        kinds = [self._kind(u) for u in us]
        for t, (a, b) in enumerate(pairwise(kinds)):
            if a != b:
                return t + 1
        return None

    def _kind(self, u: Any) -> Any:
        at = self._other_loop(u)
        return (type(u), getattr(u, "op", None) if at is None else at[0], u.aval)


_ANY: Any = None


def _same_view(u: Node, v: Node) -> bool:
    return u.op is v.op and u.aval == v.aval and _equal(u.params, v.params)


def _equal(p: Any, q: Any) -> bool:
    return bool(p == q)
