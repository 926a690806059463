"""A kernel as text: its loop nests, each with the statements of its body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xpgrad._errors import describe
from xpgrad.codegen import kernel_ir as ir
from xpgrad.core import Const, Graph, Value
from xpgrad.core.show import names_of, params_text
from xpgrad.plan.loop_nests import AffineIndex


def show(kernel: ir.Kernel, graph: Graph) -> str:
    """Print ``kernel`` with the names of ``graph``.

    A value without an index is the entry that the same body made. ``i`` is the index of the tile axis; ``j0``,
    ``j1``, ... are those of other axes.

    >>> show(kernel, graph)  # np.sum(np.exp(x) * 2 + y)
    loop i
      c = exp(a[i])
      e = fma(c, 2, b[i])
      f sum= e
    """
    return "\n".join(_Printer(names_of(graph)).lines(kernel))


class _Printer:
    def __init__(self, names: Mapping[Value, str]) -> None:
        self.names = names
        self.indices: dict[ir.Axis, str] = {}

    def lines(self, kernel: ir.Kernel) -> Iterator[str]:
        for nest in kernel.nests:
            axes = sorted(nest.axes, key=lambda e: (not e.is_tile, e.number))
            yield f"{nest.kind} {', '.join(map(self._name, axes))}".rstrip()
            yield from (f"  {self._statement(s)}" for s in nest.body)

    def _name(self, axis: ir.Axis) -> str:
        """The index of a loop axis; the numbers follow the first use."""
        if axis.is_tile:
            return "i"
        return self.indices.setdefault(axis, f"j{len(self.indices)}")

    def _statement(self, s: ir.Statement) -> str:
        match s:
            case ir.Store(buffer, at, value, adds):
                return f"{self._entry(buffer, at)} {'+=' if adds else '='} {self._operand(value)}"
            case ir.Reduce(_, buffer, at, monoid, operand, factors, choice):
                xs = factors if factors is not None else (operand,)
                right = " * ".join(self._operand(x) for x in xs if x is not None)
                moved = "" if choice is None else self._moved(choice.chosen, choice.length, choice.axis)
                return f"{self._entry(buffer, at)}{moved} {monoid}= {right}"
        return f"{self.names[s.node]} = {self._right(s)}"

    def _right(self, s: ir.Statement) -> str:
        match s:
            case ir.Apply(node, operands):
                return f"{node.op.name}({', '.join([*map(self._operand, operands), *params_text(node)])})"
            case ir.MultiplyAdd(_, (x, y), other, negates):
                signs = "-" if negates == "product" else "", "-" if negates == "other" else ""
                product = f"{signs[0]}{self._operand(x)}, {self._operand(y)}"
                return f"fma({product}, {signs[1]}{self._operand(other)})"
            case ir.Gather(_, load, chosen, axis, step, length):
                return f"{self._operand(load)}{self._moved(chosen, length, axis, step)}"
            case ir.OneHot(_, value, chosen, axis_, _):
                here = "0" if axis_ is None else self._name(axis_)
                return f"{self._operand(value)} if {self._operand(chosen)} == {here} else 0"
            case ir.Fill(_, value):
                return self._operand(value)
        raise AssertionError(s)

    def _moved(self, chosen: ir.Operand, length: int, axis: int, step: int = 1) -> str:
        scale = "" if step == 1 else f"{step} * "
        return f" moved by {scale}{self._operand(chosen)} of {length} along axis {axis}"

    def _operand(self, x: ir.Operand) -> str:
        match x:
            case ir.Local(node):
                return self.names[node]
            case ir.Load(buffer, at):
                return self._entry(buffer, at)
            case ir.Argument(source):
                return self.names[source] if isinstance(source, Value) else repr(source)
            case ir.Literal(value):
                return repr(value)

    def _entry(self, buffer: ir.Buffer, at: ir.Index) -> str:
        source = buffer.source
        name = describe(source.data) if isinstance(source, Const) else self.names[source]
        return f"{name}[{', '.join(map(self._index, at))}]" if at else name

    def _index(self, p: AffineIndex[ir.Axis]) -> str:
        if p.axis is None:
            return str(p.offset)
        i = self._name(p.axis)
        product = {1: i, -1: f"-{i}"}.get(p.step, f"{p.step}*{i}")
        return product + (f" + {p.offset}" if p.offset > 0 else f" - {-p.offset}" if p.offset else "")
