"""Implementations of special functions that NumPy and CuPy share.

`special_implementations` needs the array module alone. `library_implementation` takes the rest from SciPy's
module or from CuPy's copy of it, and sets right what that does to dtypes: float32 stays float32 whatever the
order beside it, as NumPy promotes.

Holds: no implementation warns, whatever it is given; infinities and NaN are what the function is there.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from xpgrad.backends.tails import beta_tails, gamma_tails
from xpgrad.core import Implementation

_quiet = np.errstate(all="ignore")


def special_implementations(xp: Any) -> dict[str, Implementation]:
    """The implementations written in the functions of the array module ``xp``, by name of op."""

    def in_place(f: Any, x: Any) -> Any:
        """``f(x)`` into ``x``, an array of our own; a scalar cannot be written to."""
        return f(x, out=x) if getattr(x, "shape", ()) else f(x)

    def done(x: Any) -> Any:
        """A result of ``where``, with a scalar for an array without axes."""
        return x if x.shape else x[()]

    @_quiet
    def expit(x: Any) -> Any:
        # exp may overflow: 1 / inf is the limit.
        e = in_place(xp.exp, -_float(x))
        e += 1
        return in_place(xp.reciprocal, e)

    def softness(x: Any) -> Any:
        """log(1 + exp(-abs(x)))."""
        return in_place(xp.log1p, in_place(xp.exp, in_place(xp.negative, xp.abs(x))))

    @_quiet
    def softplus(x: Any) -> Any:
        x = _float(x)
        out = softness(x)
        out += xp.maximum(x, 0)
        return out

    @_quiet
    def log_expit(x: Any) -> Any:
        x = _float(x)
        return xp.minimum(x, 0) - softness(x)

    @_quiet
    def logit(x: Any) -> Any:
        x = _float(x)
        return xp.log(x) - xp.log1p(-x)

    def log_ratio(x: Any, y: Any) -> Any:
        """``log(x / y)`` for positive operands: near 1 by the difference, far off without a quotient."""
        ratio = xp.divide(x, y)
        near = xp.abs(ratio - 1) < 0.5
        far = (ratio < 1e-30) | (ratio > 1e30)
        out = xp.where(near, xp.log1p(xp.divide(x - y, y)), xp.log(ratio))
        return xp.where(far, xp.log(x) - xp.log(y), out)

    @_quiet
    def xlog_ratio(w: Any, x: Any, y: Any) -> Any:
        w, x, y = _float(w), _float(x), _float(y)
        nothing = ((w == 0) & (x == x) & (y == y)) | ((x == 0) & (y == 0))
        return done(xp.where(nothing, 0, w * log_ratio(x, y)))

    def divergence(x: Any, y: Any, inside: Any, at_zero: Any) -> Any:
        """``inside`` for positive operands, ``at_zero`` for x = 0 <= y, elsewhere inf (or NaN)."""
        outside = xp.where((x != x) | (y != y), xp.nan, xp.inf)
        out = xp.where((x > 0) & (y > 0), inside, outside.astype(inside.dtype))
        return done(xp.where((x == 0) & (y >= 0), at_zero, out))

    @_quiet
    def rel_entr(x: Any, y: Any) -> Any:
        x, y = _float(x), _float(y)
        return divergence(x, y, x * log_ratio(x, y), 0)

    @_quiet
    def kl_div(x: Any, y: Any) -> Any:
        x, y = _float(x), _float(y)
        return divergence(x, y, x * log_ratio(x, y) - x + y, y)

    @_quiet
    def logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        x = _float(xp.asarray(x))
        if is_short(x, axis) and not keepdims:
            return logsumexp(columns(x), axis=0)
        top = xp.max(x, axis=axis, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0)
        total = xp.sum(in_place(xp.exp, x - top), axis=axis, keepdims=keepdims)
        return xp.log(total) + (top if keepdims else xp.reshape(top, total.shape))

    def shaped_alike(f: Implementation) -> Implementation:
        """The implementation of ``f(x, axis)``, quiet and by columns where that is faster."""

        @_quiet
        def implementation(x: Any, *, axis: Any = None) -> Any:
            x = _float(xp.asarray(x))
            if is_short(x, axis):
                out = np.empty_like(x, order="C")
                out[...] = np.moveaxis(f(columns(x), 0), 0, -1)
                return out
            return f(x, axis)

        return implementation

    def shifted(x: Any, axis: Any) -> tuple[Any, Any]:
        """``x - top``, and ``top``, the largest; +inf counts as the largest number: it takes all."""
        top = xp.max(x, axis=axis, keepdims=True)
        if not all_finite(top):
            largest = xp.finfo(x.dtype).max
            x, top = xp.minimum(x, largest), xp.minimum(top, largest)
        return x - top, top

    def all_finite(x: Any) -> bool:
        """Whether all entries are known to be finite; a GPU is not asked, for that would wait for it."""
        return xp is np and bool(np.isfinite(x).all())

    def softmax(x: Any, axis: Any) -> Any:
        z, _ = shifted(x, axis)
        e = in_place(xp.exp, z)
        e /= xp.sum(e, axis=axis, keepdims=True)
        return e

    def softmax_or_zero(x: Any, axis: Any) -> Any:
        z, top = shifted(x, axis)
        e = in_place(xp.exp, z)
        e /= xp.sum(e, axis=axis, keepdims=True)
        return e if all_finite(top) else xp.where(top == -xp.inf, 0, e)

    def log_softmax(x: Any, axis: Any) -> Any:
        z, _ = shifted(x, axis)
        z -= xp.log(xp.sum(xp.exp(z), axis=axis, keepdims=True))
        return z

    def is_short(x: Any, axis: Any) -> bool:
        """Whether the last axis is so short that NumPy's overhead for each row would dominate.

        A reduction over the last axis starts anew for each row, a reduction over the first axis of the
        transpose adds whole rows to one another; for longer rows the transpose is not worth making.
        """
        return xp is np and x.ndim > 1 and axis in (-1, x.ndim - 1) and x.shape[-1] <= 16 and x.size > 1000

    def columns(x: Any) -> Any:
        """``x`` with its last axis first, also in memory."""
        return np.ascontiguousarray(np.moveaxis(x, -1, 0))

    return {
        "expit": expit,
        "softplus": softplus,
        "log_expit": log_expit,
        "logit": logit,
        "xlog_ratio": xlog_ratio,
        "rel_entr": rel_entr,
        "kl_div": kl_div,
        "logsumexp": logsumexp,
        "softmax": shaped_alike(softmax),
        "softmax_or_zero": shaped_alike(softmax_or_zero),
        "log_softmax": shaped_alike(log_softmax),
    }


_IN_LIBRARY = """
    erf erfc erfi erfcx dawsn erfinv erfcinv ndtr normal_density log_ndtr ndtri ndtri_exp
    inv_mills inv_mills_excess gamma gammaln loggamma gammasgn rgamma digamma polygamma zeta beta betaln
    gammainc gammaincc gammaincinv gammainccinv betainc betaincc betaincinv gamma_kernel beta_kernel
    log_gammainc log_gammaincc gamma_score_below gamma_score_above gamma_curvature_below gamma_curvature_above
    log_betainc beta_score_a beta_score_b stdtr stdtrit
    j0 j1 jv y0 y1 yn yv i0 i0e i1 i1e iv ive k0 k0e k1 k1e kn kv kve exprel exp10 cosm1 expi exp1
"""
LIBRARY = frozenset(_IN_LIBRARY.split())


def library_implementation(name: str, special: Any, xp: Any) -> Implementation:
    """The implementation of an op in `LIBRARY`, from the functions of ``special``."""
    f = _written_in(special, xp).get(name) or getattr(special, name)

    def implementation(*operands: Any) -> Any:
        out = f(*operands)
        if out.dtype == np.float64 and all(getattr(x, "dtype", None) != np.float64 for x in operands):
            out = out.astype(_float_dtype(operands))
        return out if out.shape else out[()]

    return implementation


def _written_in(special: Any, xp: Any) -> dict[str, Implementation]:
    """The functions that SciPy lacks, written in those that it has."""

    def normal_density(x: Any) -> Any:
        return xp.exp(-0.5 * x * x) * (1 / sqrt(2 * pi))

    def inv_mills(x: Any) -> Any:
        return sqrt(2 / pi) / special.erfcx(-sqrt(0.5) * x)

    @_quiet
    def inv_mills_excess(x: Any) -> Any:
        # Left of -5 the sum would cancel; the continued fraction has converged after 26 terms
        # (DLMF 7.9.3; checked against 50 digits).
        u = xp.maximum(-x, 5)
        q = 0 / u  # at -inf, too
        for k in range(26, 0, -1):
            q = k / (u + q)
        return xp.where(x < -5, q, x + inv_mills(x))

    @_quiet
    def gamma_kernel(p: Any, x: Any, c: Any) -> Any:
        p, x = _double(xp, p), _double(xp, x)
        log = xp.where(p == 0, 0, p * xp.log(x))
        return xp.where(x == xp.inf, 0, xp.exp(log - x - c))

    @_quiet
    def beta_kernel(p: Any, q: Any, x: Any, c: Any) -> Any:
        p, q, x = _double(xp, p), _double(xp, q), _double(xp, x)
        log = xp.where(p == 0, 0, p * xp.log(x)) + xp.where(q == 0, 0, q * xp.log1p(-x))
        return xp.exp(log - c)

    return {
        "polygamma": lambda n, x: special.polygamma(xp.asarray(n), xp.asarray(x)),
        "normal_density": _quiet(normal_density),
        "inv_mills": _quiet(inv_mills),
        "inv_mills_excess": inv_mills_excess,
        "gamma_kernel": gamma_kernel,
        "beta_kernel": beta_kernel,
        **{name: _quiet(f) for name, f in (gamma_tails(xp, special) | beta_tails(xp, special)).items()},
    }


def _double(xp: Any, x: Any) -> Any:
    """``x`` in float64: the exponent is a difference of large numbers, for which float32 has too few digits."""
    return xp.asarray(x, dtype=np.float64)


def _float(x: Any) -> Any:
    """``x``, with integers and booleans as float64."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return float(x)
    return x.astype(np.float64) if dtype.kind in "biu" else x


def _float_dtype(operands: Any) -> np.dtype[Any]:
    """NumPy's promotion; a Python scalar gives way, integers alone become float64."""
    dtype = np.result_type(*[getattr(x, "dtype", x) for x in operands])
    return dtype if dtype.kind == "f" else np.dtype(np.float64)
