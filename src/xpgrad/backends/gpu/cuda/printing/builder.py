"""The values of a kernel in its text: which are in registers, and where the others are read.

In:  a step of a plan, lowered to the kernel IR.
Out: C++ for one entry of any of its values, given the names of the indices.
Holds: every address is a sum of indices times arguments; nothing here knows how threads divide the indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

import numpy as np

from xpgrad.backends.gpu.cuda.printing.expressions import (
    check,
    combine,
    expression,
    literal,
    multiply_add,
    read,
    stored_type,
    value_type,
)
from xpgrad.backends.gpu.cuda.printing.functions import Callee
from xpgrad.backends.gpu.cuda.printing.layout import KernelArgs, Registers, Text, address_of
from xpgrad.backends.gpu.limits import Limits
from xpgrad.backends.layouts import Layouts, check_strides, origin
from xpgrad.codegen import kernel_ir as ir
from xpgrad.codegen.kernel_ir import c_strides, index_axes, operands_of
from xpgrad.codegen.lower import lower
from xpgrad.codegen.one_hot import table_axes, without_choices
from xpgrad.codegen.scalar.ops import read_dtype
from xpgrad.core import Input, Node, Value
from xpgrad.plan import Plan
from xpgrad.plan.codes import adds_by_code
from xpgrad.plan.loop_nests import Declined, is_assembled, is_contraction
from xpgrad.plan.plan import Step
from xpgrad.plan.relations import is_blas_sized

Values = dict[Node, str]


class KernelBuilder:
    """Everything about a kernel except the division of its indices among threads.

    Attributes
    ----------
    ir : kernel_ir.Kernel
    unrolled : frozenset of Axis
        The axes whose loops are unrolled: their lengths stand in the text, their values are in registers.
    calls : set of (str, tuple of str)
        The functions of `xpgrad.codegen.scalar` that are called, each with the types of its operands.
    registers : dict of Buffer to Registers
        The buffers that are in registers.
    read : set of Buffer
        The buffers that the kernel reads.
    """

    def __init__(self, step: Step, plan: Plan, layouts: Layouts, limits: Limits) -> None:
        self.step, self.plan, self.layouts, self.limits = step, plan, layouts, limits

        def checked(node: Node) -> None:
            _check(node)
            check_strides(node, layouts.held)
            if adds_by_code(node) and node.size > limits.one_hot:
                raise Declined(
                    node, f"to a table of {node.size} entries is the library's, which adds in any order"
                )

        self.ir = lower(step, plan, layouts.held, layouts.alive, checked)
        self._tables = table_axes(self.ir.nests)
        self.ir.nests = without_choices(self.ir.nests)
        self.tile_axis = self.ir.tile_axis
        self.args = KernelArgs(limits.constants)
        self.calls: set[Callee] = set()
        self.registers: dict[ir.Buffer, Registers] = {}
        self._names: dict[ir.Buffer, str] = {}
        self.read = {x.buffer for nest in self.ir.nests for x in nest.loads()}
        self.unrolled = self._unrolled()

    def _unrolled(self) -> frozenset[ir.Axis]:
        if self.tile_axis is None:  # threads divide all axes: any of them may be the samples'
            return frozenset()
        nests = [nest for nest in self.ir.nests if nest.kind != "slices"]
        short = {e for nest in nests for e in nest.axes if not e.is_tile and e.extent <= self.limits.unrolled}
        if sum(e.extent for e in self._tables) > self.limits.registers:
            short.difference_update(self._tables)
        for nest in nests:
            own = sorted((e for e in nest.axes if e in short), key=lambda e: (e.extent, e.number))
            while prod(e.extent for e in own) > self.limits.registers:
                short.discard(own.pop())
        return frozenset(short)

    # ── indices ──────────────────────────────────────────────────────────────────────────────
    def extent(self, axis: ir.Axis) -> str:
        """The length of a loop, in the text or as an argument; along the tile axis it is the tile's."""
        if axis.is_tile:
            return "m"
        return str(axis.extent) if axis in self.unrolled else self.args.number(("extent", axis), axis.extent)

    def index(self, axis: ir.Axis, in_tile: bool = False) -> str:
        """The index variable of an axis; along the tile axis it counts within the tile, or from sample 0."""
        if axis.is_tile:
            return "t" if in_tile else "g"
        return f"i{axis.number}"

    @contextmanager
    def loops(self, w: Text, axes: Sequence[ir.Axis]) -> Iterator[None]:
        """Loops over whole axes in one thread; short ones are unrolled."""
        with ExitStack() as stack:
            for e in axes:
                if e in self.unrolled:
                    w("#pragma unroll")
                i, kind = self.index(e, in_tile=True), "int" if e in self.unrolled else "long long"
                stack.enter_context(w.block(f"for ({kind} {i} = 0; {i} < {self.extent(e)}; ++{i})"))
                if e.is_tile:
                    w("const long long g = begin + t;")
            yield

    # ── addresses ────────────────────────────────────────────────────────────────────────────
    def name(self, buffer: ir.Buffer) -> str:
        """The pointer to ``buffer`` in the text."""
        if buffer not in self._names:
            source: Value = buffer.source
            if buffer.space == "memory":
                source, buffer.offset = self._seen_from_origin(buffer)
                self._names[buffer] = self.args.pointer(source, f"const {ctype_of(buffer)}", source)
            else:
                assert buffer.space == "output", "a workspace is named where it is laid out"
                self._names[buffer] = self.args.pointer(source, ctype_of(buffer), source)
        return self._names[buffer]

    def named(self, buffer: ir.Buffer, name: str) -> None:
        """Give ``buffer`` the name ``name``, which the text declares."""
        self._names[buffer] = name

    def _seen_from_origin(self, buffer: ir.Buffer) -> tuple[Value, int]:
        """The input that a view looks into, and the number of entries between their beginnings.

        The compiler then sees that several views of one array read the same entries.
        """
        source, held = buffer.source, self.layouts.held
        array, whole = held.get(source), origin(source)
        base = None if whole is None else held.get(whole)
        if array is None or whole is None or base is None or base.dtype != array.dtype or not array.size:
            return source, 0
        between = address_of(array) - address_of(base)
        return (source, 0) if between % array.itemsize else (whole, between // array.itemsize)

    def address(self, buffer: ir.Buffer, at: ir.Index) -> str:
        """The index into ``buffer`` of the entry at ``at``."""
        terms = self.beginning(buffer)
        for p, stride, n in zip(at, strides_of(buffer), buffer.shape, strict=True):
            if p.offset and n:
                terms.append(self.distance(buffer, p.offset * stride))
            if p.axis is None or p.step * stride == 0:
                continue
            step = self.distance(buffer, p.step * stride)
            i = self.index(p.axis, buffer.is_tiled)
            terms.append(i if step == "1" else f"{i} * {step}")
        return " + ".join(terms) or "0"

    def place(self, buffer: ir.Buffer, at: ir.Index) -> str:
        """The entry at ``at``, in registers or in memory, as it is stored."""
        if buffer in self.registers:
            return self.register(self.registers[buffer], at)
        name = self.name(buffer)
        return f"{name}[{self.address(buffer, at)}]"

    def beginning(self, buffer: ir.Buffer) -> list[str]:
        """The distance of the first entry from the pointer, or nothing where it is 0."""
        self.name(buffer)
        return [self.distance(buffer, buffer.offset)] if buffer.offset else []

    def distance(self, buffer: ir.Buffer, entries: int) -> str:
        """A distance in an array. Equal distances are one argument, so the compiler sees equal addresses."""
        return self.args.number(("distance", self.name(buffer), entries), entries)

    def register(self, held: Registers, at: ir.Index) -> str:
        """The register of the entry at ``at``."""
        return f"{held.name}[{self.register_index(held, at)}]"

    def register_index(self, held: Registers, at: ir.Index) -> str:
        """The index into an array of registers; it is constant once the loops are unrolled."""
        terms = []
        for stride, p in zip(held.strides, at, strict=True):
            if stride and p.axis is not None:
                terms.append(f"({self.index(p.axis)} * {p.step} + {p.offset}) * {stride}")
            elif stride and p.offset:
                terms.append(str(p.offset * stride))
        return " + ".join(terms) or "0"

    def declared(
        self, w: Text, name: str, lengths: Sequence[int], dtype: np.dtype[Any], begin: str | None = None
    ) -> Registers:
        """Declare registers with axes of these ``lengths``, each initialised with ``begin``."""
        strides = tuple(s if n > 1 else 0 for s, n in zip(c_strides(lengths), lengths, strict=True))
        count = max(prod(lengths), 1)
        w(f"{value_type(dtype)} {name}[{count}];")
        if begin is not None:
            w("#pragma unroll")
            w(f"for (int k = 0; k < {count}; ++k) {name}[k] = {begin};")
        return Registers(name, strides, dtype)

    # ── entries ──────────────────────────────────────────────────────────────────────────────
    def operand(self, x: ir.Operand, values: Values) -> tuple[str, np.dtype[Any]]:
        """C++ for an operand at the indices in scope, and its dtype."""
        match x:
            case ir.Local(node):
                return values[node], node.dtype
            case ir.Literal(value, dtype):
                return literal(value, dtype), dtype
            case ir.Argument(source, dtype):
                kind = "f" if dtype.kind == "f" else "i"
                key = source if isinstance(source, Input) else ("constant", kind, repr(source))
                return self.args.scalar(key, kind, source), np.dtype(np.float64 if kind == "f" else np.int64)
            case ir.Load(buffer, at):
                return self.entry(buffer, self.place(buffer, at))

    def entry(self, buffer: ir.Buffer, text: str) -> tuple[str, np.dtype[Any]]:
        """``text``, an entry of ``buffer``, as a value to compute with, and its dtype."""
        stored = self.registers[buffer].stored if buffer in self.registers else buffer.dtype
        return read(stored, text), read_dtype(stored)

    def typed(self, x: ir.Operand, dtype: np.dtype[Any], values: Values) -> str:
        """An operand as a value of ``dtype``."""
        text, found = self.operand(x, values)
        return text if value_type(found) == value_type(dtype) else f"({value_type(dtype)})({text})"

    def emit(self, w: Text, assignments: Sequence[ir.Assignment], values: Values) -> None:
        """Declare a variable for the result of each assignment, and put its name into ``values``."""
        for s in assignments:
            text = self._assigned(s, values)
            name = values[s.node] = w.fresh()
            w(f"const {value_type(s.node.dtype)} {name} = {text};")

    def _assigned(self, s: ir.Assignment, values: Values) -> str:
        dtype = s.node.dtype
        match s:
            case ir.Apply(node, operands):
                found = [self.operand(x, values) for x in operands]
                texts, dtypes = [text for text, _ in found], [kind for _, kind in found]
                return expression(node, texts, dtypes, self.calls)
            case ir.MultiplyAdd(_, factors, other, negates):
                given = [self.typed(x, dtype, values) for x in (*factors, other)]
                return multiply_add(dtype, given, negates)
            case ir.Gather(_, load, chosen, axis, step, length):
                return self._gathered(load, self._chosen(s, chosen, length, values), axis, step)
            case ir.OneHot(_, value, chosen, axis_, length):
                here = "0" if axis_ is None else self.index(axis_)
                hit = f"{self._chosen(s, chosen, length, values)} == {here}"
                return f"({hit} ? {self.typed(value, dtype, values)} : {literal(0, dtype)})"
            case ir.Fill(_, argument):
                return self.typed(argument, dtype, values)

    def _chosen(self, s: ir.Assignment, x: ir.Operand, length: int, values: Values) -> str:
        """A label as an index; a negative one counts from the end, as in NumPy."""
        n = self.args.number(("length", s.node), length)
        return f"xg::from_end((long long)({self.operand(x, values)[0]}), {n})"

    def _gathered(self, load: ir.Load, chosen: str, axis: int, step: int) -> str:
        buffer, at = load
        if buffer in self.registers:
            held = self.registers[buffer]
            text = f"{held.name}[{self.register_index(held, at)} + {chosen} * {held.strides[axis] * step}]"
        else:
            stride = self.distance(buffer, strides_of(buffer)[axis] * step)
            text = f"{self.name(buffer)}[{self.address(buffer, at)} + {chosen} * {stride}]"
        return self.entry(buffer, text)[0]

    def term(self, s: ir.Reduce, values: Values) -> str:
        """The term that a reduction adds at the indices in scope."""
        if s.factors is not None:
            x, y = (self.typed(f, s.node.dtype, values) for f in s.factors)
            return f"{x} * {y}"
        assert s.operand is not None
        return self.typed(s.operand, s.node.dtype, values)

    def added(self, s: ir.Reduce, held: str, dtype: np.dtype[Any], values: Values) -> str:
        """The reduction ``held``, of ``dtype``, with the term at the indices in scope."""
        ctype = value_type(dtype)
        if s.factors is None:
            return combine(s.monoid, held, f"({ctype})({self.term(s, values)})")
        x, y = (self.typed(f, s.node.dtype, values) for f in s.factors)
        return f"xg::fma(({ctype})({x}), ({ctype})({y}), {held})"

    # ── the contiguous axis ──────────────────────────────────────────────────────────────────
    def lane(self, axes: Iterable[ir.Axis], statements: Iterable[ir.Statement]) -> ir.Axis | None:
        """The axis along which neighbouring threads take neighbouring indices: contiguous in most reads."""
        votes = dict.fromkeys(axes, 0)
        for s in statements:
            for x in operands_of(s):
                if not isinstance(x, ir.Load) or x.buffer in self.registers or x.buffer.space == "workspace":
                    continue
                unit = x.buffer.unit
                if unit is None:
                    continue
                axis = x.at[unit].axis
                if axis in votes and x.at[unit].step == 1:
                    votes[axis] += 1 + prod(x.buffer.shape)
            if isinstance(s, (ir.Store, ir.Reduce)) and s.buffer.space == "output":
                own = index_axes(s.at)
                if own and own[-1] in votes:
                    votes[own[-1]] += 1 + prod(s.buffer.shape)
        return max(votes, key=lambda e: (votes[e], e.extent, e.number)) if votes else None


def made_by(nest: ir.LoopNest, statements: Iterable[ir.Store | ir.Reduce]) -> list[ir.Statement]:
    """``statements``, each after the assignment whose result it stores."""
    made = {s.node: s for s in nest.assignments()}
    found: list[ir.Statement] = []
    for s in statements:
        found += [made[x.node] for x in operands_of(s) if isinstance(x, ir.Local) and isinstance(s, ir.Store)]
        found.append(s)
    return found


def strides_of(buffer: ir.Buffer) -> tuple[int, ...]:
    """The strides of a buffer that has been laid out."""
    assert buffer.strides is not None
    return buffer.strides


def ctype_of(buffer: ir.Buffer) -> str:
    """The C++ type of a buffer's entries."""
    found = stored_type(buffer.dtype)
    assert found is not None
    return found


def _check(node: Node) -> None:
    """Raise Declined where ``node`` has no expression, or where the library computes it faster."""
    check(node)
    if is_assembled(node):
        raise Declined(node, "is put together entry by entry")
    if not is_contraction(node):
        return
    if is_blas_sized(node):
        raise Declined(node, "of two large matrices is the library's")
    if any(u.weak for u in node.operands) or node.dtype.kind != "f":
        raise Declined(node, f"of {node.operands[0].aval} and {node.operands[1].aval} has no loops of ours")
