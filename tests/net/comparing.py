"""Whether what we computed is what NumPy computes: shape, dtype, values, the sign of zero, the error.

A value is held to what rounding alone can do to that very entry (`net.rounding.rounding`); an
entry that rounding can move by much more than its size, as one behind a tie that rounding decides, is not
compared, and is counted.
"""

import re

import numpy as np

from xpgrad._trees import flatten
from xpgrad.testing.tolerances import tolerance

# Of so many units may an entry move before it is not compared.
_WILD = 1e6
# Sums start from 0.0, or from their first term: a zero that they give has a sign that says nothing.
_SIGNED = re.compile(
    r"np\.(max|min|sort|abs|absolute|maximum|minimum|copysign|where|negative|sign|ceil|floor|trunc|rint|fmax|fmin|"
    r"sqrt|cbrt|sin|tan|arcsin|arctan|sinh|tanh|arcsinh|arctanh|expm1|log1p|take|roll|flip|concatenate|stack|"
    r"transpose|reshape|ravel|clip|copy|repeat|tile|fabs)\("
)
_UNSIGNED = re.compile(
    r"sum|mean|einsum|dot|@|\+|-=|kron|outer|cumsum|var|std|log\(|exp\(|average|norm|trace|inner"
)


class Difference(AssertionError):
    """What xpgrad gives is not what NumPy, or a difference quotient, gives."""


def same(got, want, moved=None, *, what, coarse=np.float64, finite_only=False, signs=False, overflows=False):
    """Compare trees leaf by leaf; ``moved`` has what rounding can do; how many entries were not compared."""
    (a_leaves, a_tree), (b_leaves, b_tree) = flatten(got), flatten(want)
    if a_tree != b_tree:
        raise Difference(f"{what}: the structures differ: {a_tree}, {b_tree}")
    traced = [x for x in (*a_leaves, *b_leaves) if type(x).__name__ == "Traced"]
    if traced:
        raise Difference(f"{what}: a traced array is left in the result")
    skipped = 0
    for k, (a, b) in enumerate(zip(map(np.asarray, a_leaves), map(np.asarray, b_leaves), strict=True)):
        name = f"{what}, output {k}" if len(b_leaves) > 1 else what
        if a.shape != b.shape:
            raise Difference(f"{name}: shape {a.shape}, not {b.shape}")
        if a.dtype != b.dtype:
            raise Difference(f"{name}: dtype {a.dtype}, not {b.dtype}")
        unit = np.zeros(b.shape) if moved is None else moved[k]
        skipped += _entries(name, a, b, unit, coarse, finite_only, signs, overflows)
    return skipped


def _entries(name, a, b, unit, coarse, finite_only, signs, overflows):
    if b.dtype.kind not in "fc":
        clear = unit == 0
        if np.any((a != b) & clear):
            raise Difference(f"{name}: {_short(a)}\n  instead of {_short(b)}")
        return int(np.sum(~clear))
    row = tolerance(np.promote_types(coarse, np.float32) if b.dtype.itemsize > 4 else np.float32)
    tiny = np.finfo(b.dtype).tiny
    finite = np.isfinite(b)
    size = np.abs(np.where(finite, b, 0))
    clear = unit <= _WILD * np.maximum(size, tiny / np.finfo(b.dtype).eps)
    if np.any(unit > 0) and b.size:
        clear |= unit <= 100 * np.max(size)
    with np.errstate(all="ignore"):
        allowed = row.value * np.maximum(size, np.minimum(unit, np.finfo(b.dtype).max)) + 4 * tiny
        apart = np.where(finite, np.abs(a - b), 0)
        wrong = ~(apart <= allowed)
        if overflows:  # which terms do depends on their order
            wrong &= finite & np.isfinite(a)
        elif not finite_only:
            alike = (a == b) | (np.isnan(a) & np.isnan(b))
            wrong |= ~finite & ~alike
        elif np.any(~finite):
            wrong &= finite
    wrong &= clear
    if np.any(wrong):
        at = np.argwhere(wrong)[0]
        e = tuple(at)
        raise Difference(
            f"{name}: {_short(a)}\n  instead of {_short(b)}"
            f"\n  first at {e}: {a[e]!r}, not {b[e]!r}, allowed {allowed[e]:.1e} apart"
        )
    if signs and b.dtype.kind == "f":
        zero = (a == 0) & (b == 0) & (unit == 0)
        if np.any(np.signbit(a[zero]) != np.signbit(b[zero])):
            raise Difference(f"{name}: the sign of zero: {_short(a)}\n  instead of {_short(b)}")
    return int(np.sum(~clear))


def signs_matter(source):
    """Whether each op of a program says which zero it gives."""
    body = source.split("def program", 1)[1]
    return bool(_SIGNED.search(body)) and not _UNSIGNED.search(body)


def fits(error, expected):
    """Whether ``error`` may stand for NumPy's ``expected``: one of its classes, or of that family."""
    return isinstance(
        error, tuple(k for k in type(expected).__mro__ if issubclass(k, Exception) and k is not Exception)
    )


def _short(x):
    with np.printoptions(threshold=12, precision=17):
        return np.array2string(np.asarray(x))
