"""``w log(x / y)`` and the divergences made of it, with their limits at 0."""

from __future__ import annotations

from xpgrad.codegen.scalar.bounds import bounded_in_double
from xpgrad.codegen.scalar.exponential import log, log1p
from xpgrad.codegen.scalar.floats import INF, NAN
from xpgrad.codegen.scalar.ir import Value, eq, fabs, isnan, select


def log_ratio(x: Value, y: Value) -> Value:
    """log(x / y) of positive operands: near 1 by the difference, far off without a quotient."""
    ratio = x / y
    near = log1p((x - y) / y)
    far = (ratio < 1e-30) | (ratio > 1e30)
    return select(fabs(ratio - 1.0) < 0.5, near, select(far, log(x) - log(y), log(ratio)))


@bounded_in_double(2.5)
def xlog_ratio(w: Value, x: Value, y: Value) -> Value:
    nothing = eq(w, 0.0) & ~(isnan(x) | isnan(y)) | eq(x, 0.0) & eq(y, 0.0)
    return select(nothing, 0.0, w * log_ratio(x, y))


def _divergence(x: Value, y: Value, inside: Value, at_zero: Value | float) -> Value:
    """``inside`` for positive operands, ``at_zero`` for x = 0 <= y, elsewhere infinity or NaN."""
    outside = select(isnan(x) | isnan(y), NAN, INF, like=x)
    found = select((x > 0.0) & (y > 0.0), inside, outside)
    return select(eq(x, 0.0) & (y >= 0.0), at_zero, found)


@bounded_in_double(2.5)
def rel_entr(x: Value, y: Value) -> Value:
    return _divergence(x, y, x * log_ratio(x, y), 0.0)


# Relative to x + y at least.
@bounded_in_double(2.5)
def kl_div(x: Value, y: Value) -> Value:
    return _divergence(x, y, x * log_ratio(x, y) - x + y, y)
