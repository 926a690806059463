"""Linear algebra of small matrices, written out in operations on their entries.

To solve two equations takes a few products; to call LAPACK takes as long as a thousand. The pass
`xpgrad.passes.lower_matrices` puts these programs in place of the ops of `linalg` and `decompositions`. Each
entry is an array over the stack.

Elimination chooses its pivots as LAPACK does, multiplies by the reciprocal of the pivot, adds the products up
before it subtracts them, and rounds each (`rounded`): so a matrix is found singular where OpenBLAS finds it so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np

from xpgrad.core import Aval, Op
from xpgrad.ops import elementwise as ew
from xpgrad.ops._define import broadcast
from xpgrad.ops.complex import absolute
from xpgrad.ops.shape import full_like

Rows = list[list[Any]]
"""The entries of a matrix; None for a zero, and the int 1 for a one, that are known."""

# The operand, as an array of its dtype would hold it: a product is not rounded together with a sum.
rounded = Op("rounded", lambda x: x, "written", domain=(-2.0, 2.0), traits="pointwise same")


def _checked(x: Aval, ok: Aval, *, error: str) -> Aval:
    return Aval(broadcast("checked", x, ok), x.dtype)


def _assemble(*xs: Aval, shape: tuple[int, ...]) -> Aval:
    assert len(xs) == prod(shape)
    assert all(x.shape == xs[0].shape for x in xs)
    return Aval((*xs[0].shape, *shape), xs[0].dtype)


# Arrays of this shape, side by side over the axes of the operands, which are their entries in C order.
assemble = Op("assemble", _assemble, "written", traits="entries")

# The first operand; where the second does not hold everywhere, NumPy's LinAlgError with this text.
checked = Op("checked", _checked, "written", traits="raises")


# ── entries ──────────────────────────────────────────────────────────────────────────────────
def entries(x: Any) -> Rows:
    """The entries of each matrix of a stack."""
    lead = (slice(None),) * (len(x.shape) - 2)
    return [[x[(*lead, i, j)] for j in range(x.shape[-1])] for i in range(x.shape[-2])]


def assembled(rows: Rows, like: Any) -> Any:
    """The stack of matrices with these entries; ``like`` is one of the entries that are no known number."""

    def whole(x: Any) -> Any:
        return full_like(like, value=x or 0) if x is None or type(x) is int else x

    return assemble(*[whole(x) for row in rows for x in row], shape=(len(rows), len(rows[0])))


def _product(x: Any, y: Any) -> Any:
    if x is None or y is None:
        return None
    return y if type(x) is int else x if type(y) is int else x * y


def _plus(x: Any, y: Any) -> Any:
    return y if x is None else x if y is None else x + y


def _minus(x: Any, y: Any) -> Any:
    return x if y is None else -y if x is None else x - y


def _sum_of_products(xs: Sequence[Any], ys: Sequence[Any], of: Callable[[Any, Any], Any] = _product) -> Any:
    total = None
    for x, y in zip(xs, ys, strict=True):
        total = _plus(total, of(x, y))
    return total


def _rounded_product(x: Any, y: Any) -> Any:
    return rounded(x * y)


# ── elimination ──────────────────────────────────────────────────────────────────────────────
class Exchange(NamedTuple):
    """Row ``k`` changes places with a later one, or with none.

    Attributes
    ----------
    k : int
    larger : list of bool arrays
        For each later row, whether its entry is larger than all before it: the last such row is taken.
    taken : list of bool arrays
        Whether this later row is the one.
    """

    k: int
    larger: list[Any]
    taken: list[Any]

    def of(self, rows: Sequence[Any]) -> list[Any]:
        """A column after the exchange of rows; or a row after the same exchange of columns."""
        new, first = list(rows), rows[self.k]
        for i, (larger, taken) in enumerate(zip(self.larger, self.taken, strict=True), self.k + 1):
            new[self.k] = ew.where(larger, rows[i], new[self.k])
            new[i] = ew.where(taken, first, rows[i])
        return new


class Factors(NamedTuple):
    """``L U`` of a matrix with exchanged rows.

    Attributes
    ----------
    rows : list of lists
        U on and above the diagonal, L, whose diagonal is 1, below.
    exchanges : list of Exchange
    """

    rows: Rows
    exchanges: list[Exchange]

    @property
    def pivots(self) -> list[Any]:
        return [row[i] for i, row in enumerate(self.rows)]


def factored(a: Rows) -> Factors:
    """The factors of a square matrix; column by column, the largest entry of a column is its pivot."""
    n, rows, exchanges = len(a), [list(row) for row in a], list[Exchange]()
    for j in range(n):
        for i in range(1, n):
            above = min(i, j)
            left, over = rows[i][:above], [rows[p][j] for p in range(above)]
            rows[i][j] = _minus(rows[i][j], _sum_of_products(left, over, _rounded_product))
        if j == n - 1:
            break
        exchange = _largest([rows[i][j] for i in range(n)], j)
        exchanges.append(exchange)
        columns = [exchange.of([row[c] for row in rows]) for c in range(n)]
        rows = [[columns[c][i] for c in range(n)] for i in range(n)]
        reciprocal = 1 / rows[j][j]
        for i in range(j + 1, n):
            rows[i][j] = rows[i][j] * reciprocal
    return Factors(rows, exchanges)


def _largest(column: Sequence[Any], k: int) -> Exchange:
    most, larger, taken = absolute(column[k]), list[Any](), list[Any]()
    for x in column[k + 1 :]:
        size = absolute(x)
        larger.append(size > most)
        most = ew.where(larger[-1], size, most)
    later = None
    for is_larger in reversed(larger):
        taken.append(is_larger if later is None else ew.logical_and(is_larger, ew.logical_not(later)))
        later = is_larger if later is None else ew.logical_or(later, is_larger)
    return Exchange(k, larger, taken[::-1])


def _every(conditions: Iterable[Any]) -> Any:
    return reduce(ew.logical_and, conditions)


def _any(conditions: Iterable[Any]) -> Any:
    return reduce(ew.logical_or, conditions)


def _nonsingular(pivots: Sequence[Any]) -> list[Any]:
    """The pivots; NumPy's error if one is 0. Every solution depends on the last."""
    ok = _every(p != 0 for p in pivots)
    return [*pivots[:-1], checked(pivots[-1], ok, error="Singular matrix")]


def _substituted(f: Factors, pivots: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """The solution for one right-hand side, whose rows are exchanged already."""
    n, y = len(pivots), list[Any]()
    for i in range(n):
        y.append(_minus(b[i], _sum_of_products(f.rows[i][:i], y)))
    x: list[Any] = [None] * n
    for i in reversed(range(n)):
        rest = _minus(y[i], _sum_of_products(f.rows[i][i + 1 :], x[i + 1 :]))
        x[i] = None if rest is None else rest / pivots[i]
    return x


def solution(a: Any, b: Any) -> Any:
    """``inv(a) @ b``, for a stack of square matrices and one of right-hand sides."""
    f = factored(entries(a))
    pivots, sides, found = _nonsingular(f.pivots), entries(b), list[list[Any]]()
    for c in range(b.shape[-1]):
        side = [row[c] for row in sides]
        for exchange in f.exchanges:
            side = exchange.of(side)
        found.append(_substituted(f, pivots, side))
    return assembled([list(row) for row in zip(*found, strict=True)], found[0][0])


def inverse(x: Any) -> Any:
    """The inverses of a stack of matrices: ``inv(U) inv(L)``, with exchanged columns."""
    f = factored(entries(x))
    n, pivots = len(f.rows), _nonsingular(f.pivots)
    units = [[1 if i == c else None for i in range(n)] for c in range(n)]
    columns = [_substituted(f, pivots, unit) for unit in units]
    rows = [list(row) for row in zip(*columns, strict=True)]
    for exchange in reversed(f.exchanges):
        rows = [exchange.of(row) for row in rows]
    return assembled(rows, rows[0][0])


def lower_inverse(x: Any) -> Any:
    """The inverses of a stack of lower triangular matrices."""
    a = entries(x)
    n = len(a)
    pivots = _nonsingular([a[i][i] for i in range(n)])
    rows: Rows = [[None] * n for _ in range(n)]
    for c in range(n):
        for i in range(c, n):
            known = _sum_of_products(a[i][c:i], [rows[p][c] for p in range(c, i)])
            rows[i][c] = (1 if i == c else -known) / pivots[i]
    return assembled(rows, rows[0][0])


# ── determinants ─────────────────────────────────────────────────────────────────────────────
class _Determinant:
    """What is known of the determinant of a stack of matrices."""

    def __init__(self, x: Any) -> None:
        f = factored(entries(x))
        self.pivots, self.is_zero = f.pivots, _any(p == 0 for p in f.pivots)
        odd = [_any(exchange.larger) for exchange in f.exchanges]
        self._odd = reduce(ew.not_equal, odd) if odd else None

    def signed(self, x: Any) -> Any:
        """``x``, with the other sign if the number of exchanges is odd."""
        return x if self._odd is None else ew.where(self._odd, -x, x)


def determinant(x: Any) -> Any:
    """The determinants of a stack of matrices."""
    d = _Determinant(x)
    return ew.where(d.is_zero, 0, d.signed(reduce(ew.multiply, d.pivots)))


def sign_of_determinant(x: Any) -> Any:
    """1, -1, or 0 for a singular matrix; one with NaN in it has a sign too, as in NumPy."""
    d = _Determinant(x)
    negative = reduce(ew.not_equal, [p < 0 for p in d.pivots])
    sign = ew.where(negative, full_like(d.pivots[0], value=-1), full_like(d.pivots[0], value=1))
    return ew.where(d.is_zero, 0, d.signed(sign))


def log_of_determinant(x: Any) -> Any:
    """The logarithms of the determinants' absolute values."""
    d = _Determinant(x)
    found = reduce(ew.add, [ew.log(absolute(p)) for p in d.pivots])
    return ew.where(d.is_zero, -np.inf, found)


class _Minors:
    """The determinants of the parts of a matrix, and how they change along another matrix."""

    def __init__(self, x: Rows, t: Rows | None = None) -> None:
        self._x, self._t, self._n = x, t, len(x)
        self._known: dict[Any, tuple[Any, Any]] = {}

    def of(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> tuple[Any, Any]:
        """The determinant of these rows and columns, and its change; expanded by the first row."""
        if not rows:
            return 1, None
        key = rows, columns
        if key not in self._known:
            value, change = None, None
            for k, c in enumerate(columns):
                x = self._x[rows[0]][c]
                t = None if self._t is None else self._t[rows[0]][c]
                v, w = self.of(rows[1:], columns[:k] + columns[k + 1 :])
                add = _minus if k % 2 else _plus
                value = add(value, _product(x, v))
                change = add(change, _plus(_product(t, v), _product(x, w)))
            self._known[key] = value, change
        return self._known[key]

    def adjugate(self, which: int) -> Rows:
        """The entries of the adjugate (0), or of its change (1)."""
        n, rows = self._n, list[list[Any]]()
        for i in range(n):
            rows.append([])
            for j in range(n):
                found = self.of(_without(n, j), _without(n, i))[which]
                rows[-1].append(_minus(None, found) if (i + j) % 2 and found is not None else found)
        return rows


def _without(n: int, i: int) -> tuple[int, ...]:
    return (*range(i), *range(i + 1, n))


def adjugate(x: Any) -> Any:
    """The transposed cofactors of a stack of matrices."""
    a = entries(x)
    return assembled(_Minors(a).adjugate(0), a[0][0])


def adjugate_change(x: Any, t: Any) -> Any:
    """The derivative of `adjugate` at ``x`` along ``t``."""
    a, b = entries(x), entries(t)
    return assembled(_Minors(a, b).adjugate(1), a[0][0])


# ── Cholesky ─────────────────────────────────────────────────────────────────────────────────
def cholesky(x: Any) -> Any:
    """Lower triangular ``z`` with ``z T(z) = x``, from the lower triangles of a stack of matrices."""
    a = entries(x)
    n = len(a)
    rows: Rows = [[None] * n for _ in range(n)]
    remainders = []
    for j in range(n):
        last = _minus(a[j][j], _sum_of_products(rows[j][:j], rows[j][:j], _rounded_product))
        remainders.append(last)
        rows[j][j] = ew.sqrt(last)
        for i in range(j + 1, n):
            rest = _minus(a[i][j], _sum_of_products(rows[i][:j], rows[j][:j], _rounded_product))
            rows[i][j] = rest * (1 / rows[j][j])
    ok, error = ew.logical_not(_any(x <= 0 for x in remainders)), "Matrix is not positive definite"
    rows = [[None if z is None else checked(z, ok, error=error) for z in row] for row in rows]
    return assembled(rows, rows[0][0])
