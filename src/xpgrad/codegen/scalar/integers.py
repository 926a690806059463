"""Arithmetic of integers as in NumPy: they wrap around, and a division by 0 gives 0.

The instructions leave a division by 0 and the one quotient that overflows undefined, and a shift by as many
bits as there are; so the operands are chosen first.
"""

from __future__ import annotations

from xpgrad.codegen.scalar.ir import Value, cast, convert, eq, ne, rem, repeat, same, select


def _divisor(a: Value, b: Value) -> Value:
    """``b``, and 1 where it is 0, or where -1 would overflow."""
    known = eq(b, 0) if a.is_unsigned else eq(b, 0) | eq(b, -1)
    return select(known, 1, b)


def quotient(a: Value, b: Value) -> Value:
    """Towards 0."""
    found = a / _divisor(a, b)
    if not a.is_unsigned:
        found = select(eq(b, -1), -a, found)
    return select(eq(b, 0), 0, found)


def rest(a: Value, b: Value) -> Value:
    """What the quotient towards 0 leaves."""
    found = rem(a, _divisor(a, b))
    return select(eq(b, 0), 0, found) if a.is_unsigned else found


def floor_divide(a: Value, b: Value) -> Value:
    down = quotient(a, b)
    if a.is_unsigned:
        return down
    return down - convert(ne(rest(a, b), 0) & ((a < 0) ^ (b < 0)), a.kind)


def remainder(a: Value, b: Value) -> Value:
    """With the sign of the divisor."""
    left = rest(a, b)
    if a.is_unsigned:
        return left
    return select(ne(left, 0) & ((left < 0) ^ (b < 0)), left + b, left)


def power(x: Value, n: Value) -> Value:
    """``x**n``, n >= 0, by the bits of n."""
    bits = int(n.kind[1:])
    result, *_ = repeat(
        bits,
        [same(x, 1), x, n],
        lambda result, square, left: [
            select(eq(left & 1, 0), result, result * square),
            square * square,
            left >> 1,
        ],
        lambda _result, _square, left: ne(left, 0),
    )
    return result


def left_shift(x: Value, n: Value) -> Value:
    inside = _inside(n)
    return select(inside, x << select(inside, n, 0), 0)


def right_shift(x: Value, n: Value) -> Value:
    """By all bits or more only the sign is left, if there is one."""
    inside = _inside(n)
    if x.is_unsigned:
        return select(inside, x >> select(inside, n, 0), 0)
    return x >> select(inside, n, int(n.kind[1:]) - 1)


def _inside(n: Value) -> Value:
    """Whether a shift by ``n`` leaves bits."""
    below = n < int(n.kind[1:])
    return below if n.is_unsigned else below & (n >= 0)


def maximum(x: Value, y: Value) -> Value:
    return x | y if x.is_truth else select(x > y, x, y)


def minimum(x: Value, y: Value) -> Value:
    return x & y if x.is_truth else select(x < y, x, y)


def absolute(x: Value) -> Value:
    return x if x.is_unsigned else select(x < 0, -x, x)


def sign(x: Value) -> Value:
    if x.is_unsigned:
        return cast(ne(x, 0), x.kind)
    return select(x > 0, 1, select(x < 0, -1, 0, like=x))


# ── integers of both signs, of 64 bits, compared as numbers ──────────────────────────────────
def less(a: Value, b: Value) -> Value:
    if a.kind == b.kind:
        return a < b
    if a.is_unsigned:
        return (b > 0) & (a < convert(b, a.kind))
    return (a < 0) | (convert(a, b.kind) < b)


def equal(a: Value, b: Value) -> Value:
    if a.kind == b.kind:
        return eq(a, b)
    if a.is_unsigned:
        return equal(b, a)
    return (a >= 0) & eq(convert(a, b.kind), b)
