"""Scalar functions as data: ``a * b + 1`` on `Value` objects appends instructions to a `Block`.

In:  Python operators and the functions below, on values of one block.
Out: the instructions of one function, without branches but for `repeat`, which printers write as LLVM IR and as
CUDA C++.
Holds: each instruction rounds once, as IEEE 754 says, and none is contracted or reordered; a number takes the
type of the value beside it, rounded to it.

    >>> block = Block()
    >>> x = block.parameter("double", "x")
    >>> _ = fma(x, x, 1.0)
    >>> block.instructions
    [fma double x, x, 1.0]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

Body = Callable[..., "Value"]
INTEGER = {"float": "i32", "double": "i64"}
FLOAT = {"i32": "float", "i64": "double"}


class Number(NamedTuple):
    """A number among the operands of an instruction."""

    number: float | int


class Instruction(NamedTuple):
    """One operation.

    Attributes
    ----------
    op : str
        ``add sub mul neg``, of floats or of integers that wrap around; ``div``, of integers towards 0, and
        ``rem``, of integers, whose divisor is not 0; ``and or xor shl shr``; ``eq ne lt le gt ge`` and
        ``unordered`` (one is NaN), which give i1; ``select``;
        ``fma sqrt fabs copysign floor ceil trunc roundeven ldexp``; ``bits`` and ``from_bits``, which keep the
        bits; ``convert``, to the nearest number of another type, to an integer towards 0, or to the low bits
        of one; ``library``; ``call``; ``loop carry going next``, of `repeat`.
    kind : str
        The type of the result.
    operands : tuple of Value
    function : str
        Of ``library``: which function, of the C library or of `functions.RARE`, gives the result where the
        first operand is NaN and the others, which are its arguments, are finite; elsewhere the result is the
        first operand. Of ``call``: which function of the target. Of ``loop``: how many turns, at most.
    """

    op: str
    kind: str
    operands: tuple[Value, ...]
    function: str = ""

    def __repr__(self) -> str:
        return f"{self.op} {self.kind} {', '.join(map(repr, self.operands))}"


class Block:
    """The body of one function: its instructions, in order.

    ``scales``: the processor multiplies vectors by powers of two in one instruction. ``own``: functions that
    the target has itself.
    """

    def __init__(self, scales: bool = False, own: frozenset[str] = frozenset()) -> None:
        self.scales, self.own = scales, own
        self.instructions: list[Instruction] = []

    def parameter(self, kind: str, name: str) -> Value:
        return Value(self, kind, name)

    def emit(self, op: str, kind: str, *operands: Value, function: str = "") -> Value:
        """Append an instruction; the value is its result, of type ``kind``."""
        self.instructions.append(Instruction(op, kind, operands, function))
        return Value(self, kind, len(self.instructions) - 1)


class Value:
    """An operand: the result of an instruction (its number), a parameter (its name), or a number.

    ``kind``: float, double, i1 (a truth value), i8 to i64, or u8 to u64 without a sign.
    """

    __slots__ = ("block", "kind", "source")

    def __init__(self, block: Block, kind: str, source: int | str | Number) -> None:
        self.block, self.kind, self.source = block, kind, source

    def __repr__(self) -> str:
        source = self.source
        return (
            str(source.number)
            if isinstance(source, Number)
            else source
            if isinstance(source, str)
            else f"%{source}"
        )

    @property
    def is_float(self) -> bool:
        return self.kind in INTEGER

    @property
    def is_truth(self) -> bool:
        return self.kind == "i1"

    @property
    def is_unsigned(self) -> bool:
        return self.kind == "i1" or self.kind[0] == "u"

    def _binary(self, op: str, other: Operand) -> Value:
        return self.block.emit(op, self.kind, self, same(self, other))

    def _compare(self, op: str, other: Operand) -> Value:
        return self.block.emit(op, "i1", self, same(self, other))

    def __add__(self, other: Operand) -> Value:
        return self._binary("add", other)

    def __radd__(self, other: float | int) -> Value:
        return same(self, other) + self

    def __sub__(self, other: Operand) -> Value:
        return self._binary("sub", other)

    def __rsub__(self, other: float | int) -> Value:
        return same(self, other) - self

    def __mul__(self, other: Operand) -> Value:
        return self._binary("mul", other)

    def __rmul__(self, other: float | int) -> Value:
        return same(self, other) * self

    def __truediv__(self, other: Operand) -> Value:
        return self._binary("div", other)

    def __rtruediv__(self, other: float | int) -> Value:
        return same(self, other) / self

    def __neg__(self) -> Value:
        return self.block.emit("neg", self.kind, self) if self.is_float else same(self, 0) - self

    def __lt__(self, other: Operand) -> Value:
        return self._compare("lt", other)

    def __le__(self, other: Operand) -> Value:
        return self._compare("le", other)

    def __gt__(self, other: Operand) -> Value:
        return self._compare("gt", other)

    def __ge__(self, other: Operand) -> Value:
        return self._compare("ge", other)

    def __and__(self, other: Operand) -> Value:
        return self._binary("and", other)

    def __or__(self, other: Operand) -> Value:
        return self._binary("or", other)

    def __xor__(self, other: Operand) -> Value:
        return self._binary("xor", other)

    def __invert__(self) -> Value:
        return self._binary("xor", -1)

    def __lshift__(self, count: Operand) -> Value:
        return self._binary("shl", count)

    def __rshift__(self, count: Operand) -> Value:
        """The sign is kept, if there is one."""
        return self._binary("shr", count)


Operand = Value | float | int


def same(like: Value, x: Operand) -> Value:
    """``x`` as a value of the type of ``like``."""
    if isinstance(x, Value):
        assert x.kind == like.kind, (x.kind, like.kind)
        return x
    return Value(like.block, like.kind, Number(x))


def _call(name: str, x: Value, *others: Operand) -> Value:
    return x.block.emit(name, x.kind, x, *(same(x, o) for o in others))


def fma(x: Value, y: Operand, z: Operand) -> Value:
    """``x y + z``, rounded once."""
    return _call("fma", x, y, z)


def sqrt(x: Value) -> Value:
    return _call("sqrt", x)


def fabs(x: Value) -> Value:
    return _call("fabs", x)


def copysign(x: Value, sign: Value) -> Value:
    return _call("copysign", x, sign)


def floor(x: Value) -> Value:
    return _call("floor", x)


def ceil(x: Value) -> Value:
    return _call("ceil", x)


def trunc(x: Value) -> Value:
    return _call("trunc", x)


def roundeven(x: Value) -> Value:
    return _call("roundeven", x)


def eq(x: Value, y: Operand) -> Value:
    return x.block.emit("eq", "i1", x, same(x, y))


def ne(x: Value, y: Operand) -> Value:
    """True of a NaN."""
    return x.block.emit("ne", "i1", x, same(x, y))


def rem(x: Value, y: Operand) -> Value:
    """The remainder of integers, with the sign of x."""
    return x.block.emit("rem", x.kind, x, same(x, y))


def isnan(x: Value) -> Value:
    return x.block.emit("unordered", "i1", x, x)


def select(where: Value, x: Operand, y: Operand, like: Value | None = None) -> Value:
    """``x`` where the condition holds, else ``y``; ``like`` gives the type if both are numbers."""
    model = x if isinstance(x, Value) else y if isinstance(y, Value) else like
    assert model is not None
    a, b = same(model, x), same(model, y)
    return where.block.emit("select", a.kind, where, a, b)


def bits(x: Value) -> Value:
    """The integer with the same bits."""
    return x.block.emit("bits", INTEGER[x.kind], x)


def from_bits(i: Value) -> Value:
    """The float with the same bits."""
    return i.block.emit("from_bits", FLOAT[i.kind], i)


def convert(x: Value, kind: str) -> Value:
    return x.block.emit("convert", kind, x)


def cast(x: Value, kind: str) -> Value:
    """``x`` as NumPy's ``astype`` has it."""
    if x.kind == kind:
        return x
    return ne(x, 0) if kind == "i1" else convert(x, kind)


def widen(x: Value) -> Value:
    return convert(x, "double")


def narrow(x: Value) -> Value:
    return convert(x, "float")


def own(name: str) -> Callable[[Body], Body]:
    """Of a function: on a target that has its own ``name`` of the same operands, that is called."""

    def wrap(body: Body) -> Body:
        @wraps(body)
        def either(*xs: Value, **options: Any) -> Value:
            return called(name, *xs) if name in xs[0].block.own else body(*xs, **options)

        return either

    return wrap


def called(name: str, *xs: Value) -> Value:
    """The target's own function ``name``, whose result has the type of its first float."""
    block, kind = xs[0].block, next(x.kind for x in xs if x.is_float)
    assert name in block.own, f"{name} is no function of the target"
    return block.emit("call", kind, *xs, function=name)


def library(function: str, y: Value, *xs: Value) -> Value:
    """``y``, or where it is NaN and ``xs`` are finite ``function`` of these.

    For rare arguments: a function of the C library, in float64, or of `functions.RARE`.
    """
    return y.block.emit("library", y.kind, y, *xs, function=function)


def repeat(
    count: int,
    start: Sequence[Operand],
    turn: Callable[..., Sequence[Operand]],
    going: Callable[..., Value] | None = None,
) -> tuple[Value, ...]:
    """The values that ``count`` turns make of ``start``; once ``going`` does not hold of them, they stay.

    ``going`` depends on the carried values alone, so that it goes on not to hold. Some of ``start`` is a value,
    whose type numbers have.

        %0 = loop                       for (int i = 0; i < count; ++i) {
        %1 = carry double x
        ...                                 condition = ...
        going %5                            if (!condition) break;
        ...
        next %9                             x = ...
                                        }
    """
    model = next(x for x in start if isinstance(x, Value))
    block = model.block
    first = [same(model, x) if not isinstance(x, Value) else x for x in start]
    block.emit("loop", "", function=str(count))
    carried = tuple(block.emit("carry", x.kind, x) for x in first)
    if going is not None:
        block.emit("going", "", going(*carried))
    block.emit("next", "", *[same(c, x) for c, x in zip(carried, turn(*carried), strict=True)])
    return carried


def where_needed(needed: Value, found: Callable[[], Value], otherwise: Value) -> Value:
    """``found()`` where the condition holds, else ``otherwise``; a branch where loops are not made vectors."""
    (result,) = repeat(1, [otherwise], lambda _: [found()], lambda _: needed)
    return result
