"""SciPy's special functions: one statement each, serving both modes and every order.

Rules keep their relative accuracy in the tails and never meet ``0 * inf`` where the derivative has
a limit: they call ops that were made for it (`softmax_or_zero`, `inv_mills`, `beta_kernel`), which are
named below where they are stated and are no names of SciPy's.

Sources: DLMF is the NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, pi
from math import log as ln
from math import sqrt as root
from typing import Any

from xpgrad._errors import ShapeError, message
from xpgrad.core import SCALAR_TYPES, Aval, Op
from xpgrad.ops import reductions as red
from xpgrad.ops._batching import along, over_axes
from xpgrad.ops._define import constant, elementwise, floating
from xpgrad.ops.elementwise import cos, exp, expm1, log, log1p, sin, where


def special(
    name: str,
    *rules: Any,
    domain: Any = (-2.0, 2.0),
    dtype: Callable[..., Any] = floating,
    composed: Callable[..., Any] | None = None,
) -> Op:
    """An elementwise op of real operands whose result is never an integer."""
    return elementwise(name, *rules, dtype=dtype, domain=domain, holomorphic=False, composed=composed)


# ── the logistic function, softplus and log_expit ────────────────────────────────────────────
# 1 - expit(x) is expit(-x), which keeps its digits where expit(x) has rounded to 1.
expit = special("expit", lambda t, z, x: t * (z * expit(-x)), domain=(-4.0, 4.0))
log_expit = special("log_expit", lambda t, _z, x: t * expit(-x), domain=(-4.0, 4.0))
softplus = special("softplus", lambda t, _z, x: t * expit(x), domain=(-4.0, 4.0))
logit = special("logit", lambda t, _z, x: t / (x * (1 - x)), domain=(0.1, 0.9))
# The derivative is 1 / expm1(x), written so that its own has no infinity over infinity.
log1mexp = special(
    "log1mexp",
    lambda t, _z, x: t * (exp(-x) / -expm1(-x)),
    domain=(0.1, 4.0),
    composed=lambda x: where(x < ln(2), log(-expm1(-x)), log1p(-exp(-x))),
)

# ── x log y with 0 log 0 = 0. Being linear in x, it is its own tangent: 0 log 0 stays 0 there too ──
xlogy = special(
    "xlogy",
    lambda t, _z, _x, y: xlogy(t, y),
    lambda t, _z, x, y: t * _quotient(x, y),
    domain=((-2.0, 2.0), (0.3, 3.0)),
    composed=lambda x, y: where((x == 0) & (y == y), 0.0, x * log(y)),
)
xlog1py = special(
    "xlog1py",
    lambda t, _z, _x, y: xlog1py(t, y),
    lambda t, _z, x, y: t * _quotient(x, 1 + y),
    domain=((-2.0, 2.0), (-0.7, 2.0)),
    composed=lambda x, y: where((x == 0) & (y == y), 0.0, x * log1p(y)),
)
entr = special(
    "entr",
    lambda t, _z, x: -(xlogy(t, x) + t),
    domain=(0.3, 3.0),
    composed=lambda x: where(x == 0, 0.0, where(x < 0, -inf, -x * log(x))),
)

# w log(x / y), 0 where w is 0 or x and y both are: without overflow or underflow of the quotient.
xlog_ratio = special(
    "xlog_ratio",
    lambda t, _z, _w, x, y: xlog_ratio(t, x, y),
    lambda t, _z, w, x, _y: t * _quotient(w, x),
    lambda t, _z, w, _x, y: -t * _quotient(w, y),
    domain=((-2.0, 2.0), (0.3, 3.0), (0.3, 3.0)),
)
rel_entr = special(
    "rel_entr",
    lambda t, _z, x, y: xlog_ratio(t, x, y) + t,
    lambda t, _z, x, y: -t * _quotient(x, y),
    domain=(0.3, 3.0),
)
kl_div = special(
    "kl_div",
    lambda t, _z, x, y: xlog_ratio(t, x, y),
    lambda t, _z, x, y: t * (1 - _quotient(x, y)),
    domain=(0.3, 3.0),
)


def _quotient(x: Any, y: Any) -> Any:
    """``x / y``, and 0 where both are 0, with all its derivatives: there the term is taken to be absent."""
    absent = (x == 0) & (y == 0)
    return where(absent, 0, x / where(absent, 1, y))


# ── over an axis ─────────────────────────────────────────────────────────────────────────────
def _along(name: str, kept: bool) -> Callable[..., Aval]:
    def shape(x: Aval, *, axis: red.Axis = None, keepdims: bool = False) -> Aval:
        axes = red.axes_of(name, x, axis)
        if x.size == 0:
            raise ShapeError(message(f"{name}: no entries along the axis", {"operand": str(x)}))
        if kept:
            return Aval(x.shape, floating(x))
        ones = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        left = tuple(n for a, n in enumerate(x.shape) if a not in axes)
        return Aval(ones if keepdims else left, floating(x))

    return shape


def _softmax_rule(t: Any, z: Any, _x: Any, *, axis: red.Axis = None) -> Any:
    """diag(z) - z z^T is symmetric: the map is its own transpose."""
    return z * (t - red.sum(z * t, axis=axis, keepdims=True))


def _softmax(name: str) -> Op:
    rules = (_softmax_rule,)
    return Op(
        name,
        _along(name, kept=True),
        "general",
        pushes=rules,
        pulls=rules,
        reads=[[True, False]],
        batching=along,
    )


softmax = _softmax("softmax")
# Where every entry is -inf, softmax is NaN, and this is 0.
softmax_or_zero = _softmax("softmax_or_zero")
# Its derivative is not exp(x - z): z has lost the digits of x that are small beside it.
logsumexp = Op(
    "logsumexp",
    _along("logsumexp", kept=False),
    "general",
    pushes=(
        lambda t, _z, x, *, axis=None, keepdims=False: red.sum(
            t * softmax_or_zero(x, axis=axis), axis=axis, keepdims=keepdims
        ),
    ),
    pulls=(
        lambda g, _z, x, *, axis=None, keepdims=False: (
            red.expand(g, x, axis, keepdims) * softmax_or_zero(x, axis=axis)
        ),
    ),
    reads=[[False, True]],
    takes_scalar=True,
    batching=over_axes,
)
log_softmax = Op(
    "log_softmax",
    _along("log_softmax", kept=True),
    "general",
    pushes=(lambda t, z, _x, *, axis=None: t - red.sum(exp(z) * t, axis=axis, keepdims=True),),
    pulls=(lambda g, z, _x, *, axis=None: g - exp(z) * red.sum(g, axis=axis, keepdims=True),),
    reads=[[True, False]],
    batching=along,
)

# ── error functions and the normal distribution ──────────────────────────────────────────────
_gauss = 2 / root(pi)
erf = special("erf", lambda t, _z, x: (_gauss * t) * exp(-x * x))
erfc = special("erfc", lambda t, _z, x: (-_gauss * t) * exp(-x * x))
erfi = special("erfi", lambda t, _z, x: (_gauss * t) * exp(x * x))
# 2 x z - 2 / sqrt(pi), without its cancellation at large x.
erfcx = special("erfcx", lambda t, z, x: (-root(2) * t) * (z * inv_mills_excess(-root(2) * x)))
dawsn = special("dawsn", lambda t, z, x: t * (1 - 2 * x * z))
erfinv = special("erfinv", lambda t, z, _x: (t / _gauss) * exp(z * z), domain=(-0.8, 0.8))
erfcinv = special("erfcinv", lambda t, z, _x: (-t / _gauss) * exp(z * z), domain=(0.3, 1.7))
ndtr = special("ndtr", lambda t, _z, x: t * normal_density(x))
normal_density = special("normal_density", lambda t, z, x: -(t * z) * x)
log_ndtr = special("log_ndtr", lambda t, _z, x: t * inv_mills(x), domain=(-4.0, 4.0))
ndtri = special("ndtri", lambda t, z, _x: (root(2 * pi) * t) * exp(0.5 * z * z), domain=(0.1, 0.9))
ndtri_exp = special("ndtri_exp", lambda t, z, _x: t / inv_mills(z), domain=(-3.0, -0.2))
# The inverse of Mills' ratio at -x, phi(x) / Phi(x), and what it has over its asymptote -x. With it
# two derivatives of log_ndtr keep all their digits far on the left; the third cancels there.
inv_mills = special("inv_mills", lambda t, z, x: -t * (z * inv_mills_excess(x)), domain=(-8.0, 3.0))
inv_mills_excess = special("inv_mills_excess", lambda t, z, x: t * (1 - inv_mills(x) * z), domain=(-8.0, 3.0))

# ── gamma and beta ───────────────────────────────────────────────────────────────────────────
_positive = (0.5, 3.0)
gammaln = special("gammaln", lambda t, _z, x: t * digamma(x), domain=_positive)
loggamma = special("loggamma", lambda t, _z, x: t * digamma(x), domain=_positive)
gamma = special("gamma", lambda t, z, x: t * (z * digamma(x)), domain=_positive)
digamma = special("digamma", lambda t, _z, x: t * polygamma(1, x), domain=_positive)
polygamma = special(
    "polygamma", None, lambda t, _z, n, x: t * polygamma(n + 1, x), domain=((1.0, 1.0), _positive)
)
zeta = special("zeta", None, lambda t, _z, s, q: -t * (s * zeta(s + 1, q)), domain=((1.5, 3.0), (0.5, 2.0)))


def _rgamma(t: Any, z: Any, x: Any) -> Any:
    """The derivative by reflection for x < 1/2, where digamma has poles and 1 / gamma has none (DLMF 5.5.3)."""
    left = x < 0.5
    a, b = where(left, x, 0), where(left, 1, x)
    mirrored = gamma(1 - a) * (cos(pi * a) - digamma(1 - a) * sin(pi * a) / pi)
    return t * where(left, mirrored, -digamma(b) * where(left, 0, z))


rgamma = special("rgamma", _rgamma, domain=(-1.7, 2.0))
beta = special(
    "beta",
    lambda t, z, a, b: t * (z * (digamma(a) - digamma(a + b))),
    lambda t, z, a, b: t * (z * (digamma(b) - digamma(a + b))),
    domain=_positive,
)
betaln = special(
    "betaln",
    lambda t, _z, a, b: t * (digamma(a) - digamma(a + b)),
    lambda t, _z, a, b: t * (digamma(b) - digamma(a + b)),
    domain=_positive,
)
# x^p exp(-x - c) and x^p (1 - x)^q exp(-c): densities, with c the logarithm of their normaliser.
gamma_kernel = special(
    "gamma_kernel",
    lambda t, z, _p, x, _c: t * xlogy(z, x),
    lambda t, z, p, x, c: t * (p * gamma_kernel(_lowered(p), x, c) - z),
    lambda t, z, _p, _x, _c: -t * z,
    dtype=lambda p, x, _c: floating(p, x),
    domain=((0.5, 2.0), (0.3, 3.0), (0.0, 1.0)),
)
beta_kernel = special(
    "beta_kernel",
    lambda t, z, _p, _q, x, _c: t * xlogy(z, x),
    lambda t, z, _p, _q, x, _c: t * xlog1py(z, -x),
    lambda t, _z, p, q, x, c: (
        t * (p * beta_kernel(_lowered(p), q, x, c) - q * beta_kernel(p, _lowered(q), x, c))
    ),
    lambda t, z, _p, _q, _x, _c: -t * z,
    dtype=lambda p, q, x, _c: floating(p, q, x),
    domain=((0.5, 2.0), (0.5, 2.0), (0.2, 0.8), (0.0, 1.0)),
)


def _lowered(p: Any) -> Any:
    """``p - 1``; at 0, where a factor 0 stands before the power, 0: the power is then no pole."""
    known = isinstance(p, SCALAR_TYPES)
    if known:
        return p - 1 if p != 0 else p
    return where(p == 0, 0, p - 1)


gammasgn = constant("gammasgn", lambda x: Aval(x.shape, floating(x)), domain=_positive, traits="pointwise")
