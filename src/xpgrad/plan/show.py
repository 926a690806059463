"""A plan as text: its steps with their loop nests, each value with its index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xpgrad.core import Node
from xpgrad.core.show import names_of, operand_text, params_text
from xpgrad.plan.loop_nests import AffineIndex, Declined, LoopNests
from xpgrad.plan.plan import Plan, Region, Step
from xpgrad.plan.slice_writes import SliceWrite, slice_writes_of


def show(plan: Plan) -> str:
    """Print ``plan``.

    ``i0``, ``i1``, ... are loop indices, ``p0``, ``p1``, ... those of one slice write. An index that only
    operands have is reduced; ``:`` reads an axis whole.

    >>> show(plan)  # np.sum(np.exp(X.T @ w)), in tiles of 16
    in   a  float64[3, 40]
    in   b  float64[3]
    view c = transpose(a, axes=(1, 0))
    region over i0 < 40, tile 16, chunk 16
      matmul over i0
        d[i0] = dot(c[i0, i1], b[i1])
      loop over i0
        e[i0] = exp(d[i0])
        f = sum(e[i0])
      sums f
    out  f
    """
    return "\n".join(_Printer(plan).lines())


class _Printer:
    """``indices`` has one for each loop axis, in the order of the nodes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.names = names_of(plan.graph)
        self.indices: dict[int, str] = {}
        for node in plan.graph.nodes:
            if node not in plan.axes.memory:
                for e in (*plan.axes.loop_axes(node), *plan.axes.reduced(node)):
                    if e is not None and e not in self.indices:
                        self.indices[e] = f"i{len(self.indices)}"

    def lines(self) -> Iterator[str]:
        for value in self.plan.graph.inputs:
            yield f"in   {self.names[value]}  {value.aval}"
        for view in self.plan.views:
            yield f"view {self._whole(view)}"
        for step in self.plan.steps:
            yield from self._step(step)
        yield f"out  {', '.join(self.names[v] for v in self.plan.graph.outputs)}"

    def _step(self, step: Step) -> Iterator[str]:
        if isinstance(step, Region):
            over = f"{self.indices[step.loop_axis]} < {step.extent}"
            yield f"region over {over}, tile {step.tile}, chunk {step.chunk}"
        else:
            yield f"untiled: {step.reason}"
        try:
            yield from list(self._nests(LoopNests(step, self.plan, lambda _: None)))
        except Declined as error:
            yield f"  no loop nests: {error}"
            yield from (f"    {self._whole(node)}" for node in step.nodes)
        if isinstance(step, Region):
            yield from (f"  sums {self.names[node]}" for node in step.sums)
            yield from (f"  stores {self.names[node]}" for node in step.stores)

    def _nests(self, nests: LoopNests) -> Iterator[str]:
        yield from (f"  view {self._whole(node)}" for node in nests.step.nodes if nests.is_view(node))
        for nest in nests.nests:
            axes = [index for e, index in self.indices.items() if e in nest.loop_axes]
            yield f"  {nest.kind} over {', '.join(axes)}" if axes else f"  {nest.kind}"
            for node in nest.nodes:
                if nest.kind == "slices":
                    yield from (f"    {self._slice_write(nests, node, s)}" for s in slice_writes_of(node))
                    continue
                own = [self._index(AffineIndex(e)) for e in self.plan.axes.loop_axes(node)]
                left = _at(self.names[node], own)
                operands = [self._read(nests, node, i) for i in range(len(node.operands))]
                yield f"    {left} = {node.op.name}({', '.join(operands)})"

    def _whole(self, node: Node) -> str:
        """``node`` as in a graph."""
        operands = [operand_text(self.names, u) for u in node.operands]
        return f"{self.names[node]} = {node.op.name}({', '.join([*operands, *params_text(node)])})"

    def _read(self, nests: LoopNests, node: Node, i: int) -> str:
        """Operand ``i`` with the index at which it is read."""
        u, access = node.operands[i], nests.access(node, i)
        loop_axes = self.plan.axes.operand_loop_axes(node, i)
        # For each axis of the array: the axis of the operand along it, and the step.
        along: Sequence[tuple[int | None, int]] = [(a, 1) for a in range(u.ndim)]
        if nests.is_view(u):
            along = [(a, step) for a, step, _ in nests.view_axes(u)]
        index = []
        for p, (a, step) in zip(access.at, along, strict=True):
            whole = a is not None and loop_axes[a] is None and u.shape[a] != 1
            text = ":" if (p.offset, step) == (0, 1) else f"{p.offset}::{step}"
            index.append(text if whole else self._index(p))
        return _at(operand_text(self.names, access.root), index)

    def _index(self, p: AffineIndex[int]) -> str:
        if p.axis is None:
            return str(p.offset)
        return _linear(self.indices[p.axis], p.step, p.offset)

    def _slice_write(self, nests: LoopNests, node: Node, write: SliceWrite) -> str:
        """One write of ``node``, whose loops have indices of their own."""
        left, bounds, own = [], [], {}
        for k, (length, start, step, axis) in enumerate(write.slices):
            left.append(str(start) if length == 1 else _linear(f"p{k}", step, start))
            if length != 1:
                bounds.append(f"p{k} < {length}")
                own[axis] = f"p{k}"
        right = "0" if write.operand is None else self._read_in_slice(nests, node, write.operand, own)
        sign = "+=" if write.adds else "="
        return f"{_at(self.names[node], left)} {sign} {right}  {', '.join(bounds)}".rstrip()

    def _read_in_slice(self, nests: LoopNests, node: Node, i: int, own: dict[int | None, str]) -> str:
        u = node.operands[i]
        along: Sequence[tuple[int | None, int, int]] = [(a, 1, 0) for a in range(u.ndim)]
        if nests.is_view(u):
            along = nests.view_axes(u)
        index = [
            str(start) if a is None or a not in own or u.shape[a] == 1 else _linear(own[a], step, start)
            for a, step, start in along
        ]
        return _at(operand_text(self.names, nests.access(node, i).root), index)


def _at(name: str, index: Sequence[str]) -> str:
    return f"{name}[{', '.join(index)}]" if index else name


def _linear(index: str, step: int, offset: int) -> str:
    """``step * index + offset``."""
    product = {1: index, -1: f"-{index}"}.get(step, f"{step}*{index}")
    return product + (f" + {offset}" if offset > 0 else f" - {-offset}" if offset else "")
