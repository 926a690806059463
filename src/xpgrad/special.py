"""Special functions by SciPy's names, on NumPy, CuPy and traced arrays alike.

Shapes and dtypes are NumPy's: operands broadcast, float32 stays float32, integers become float64,
lists become arrays. Every function is differentiable to any order in the operands for which its
docstring does not say otherwise. What NumPy cannot do by itself needs SciPy on the CPU; on the GPU
it is CuPy's, and what CuPy lacks is declined by name.

``scipy.special``'s own ufuncs also work on traced arrays, with the derivatives of this module;
SciPy's Python functions (``logsumexp``, ``softmax``, ``polygamma``) do not, and are found here.

Sources: DLMF is the NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from math import log as ln
from math import pi
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.backends.gpu.cupyx import DECLINES
from xpgrad.backends.special import LIBRARY
from xpgrad.core import Op, aval_of
from xpgrad.ops import bessel as _bessel
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops import special as _ops
from xpgrad.ops import tails as _tails
from xpgrad.ops._define import floating
from xpgrad.ops.shape import full_like, reshape
from xpgrad.trace import strip
from xpgrad.trace.functions._table import array
from xpgrad.trace.traced import Traced
from xpgrad.transforms import stop_gradient

_WHAT = {
    "n": "order, a whole number",
    "v": "order, any real number",
    "x": "argument",
    "y": "value of the function that is inverted, or second argument",
    "p": "probability, in [0, 1]",
    "df": "degrees of freedom",
    "a": "first parameter",
    "b": "second parameter",
}


def _function(op: Op, operands: str, summary: str, source: str, range_: str = "") -> Callable[..., Any]:
    """The public face of an elementwise op, with a docstring made from the op's own facts."""
    names = operands.split()
    name = op.name

    def function(*args: Any) -> Any:
        if len(args) != len(names):
            raise TypeError(f"{name}() takes {len(names)} positional arguments, {len(args)} were given")
        return op(*[array(x) for x in args])

    pulls = op.pulls or ()
    fixed = [n for n, rule in zip(names, pulls, strict=False) if rule is None]
    raises = []
    if len(names) > 1:
        raises.append("ShapeError\n    The operands do not broadcast.")
    if fixed:
        in_ = " or ".join(f"``{n}``" for n in fixed)
        raises.append(f"NotDifferentiableError\n    A derivative in {in_} is asked for: none is known.")
    if name in LIBRARY:
        raises.append("DependencyError\n    The arrays are on the CPU and SciPy is not installed.")
    if name in DECLINES:
        raises.append(f"XpgradError\n    The arrays are on the GPU: {DECLINES[name]}.")
    parts = [summary, "Parameters\n----------"]
    parts[1] += "".join(f"\n{n} : float[...]\n    {_WHAT[n].capitalize()}." for n in names)
    parts.append(f"Returns\n-------\nfloat[...]\n    Of the operands' common shape and dtype{range_}.")
    if raises:
        parts.append("Raises\n------\n" + "\n".join(raises))
    parts.append(f"Notes\n-----\n{source}.")
    function.__doc__ = "\n\n".join(parts) + "\n"
    function.__name__ = function.__qualname__ = name
    function.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(n, Parameter.POSITIONAL_ONLY) for n in names]
    )
    return function


# ── the logistic function, entropies ─────────────────────────────────────────────────────────
expit = _function(
    _ops.expit, "x", "The logistic sigmoid ``1 / (1 + exp(-x))``.", "Bishop, PRML, eq. 4.59", ", in [0, 1]"
)
log_expit = _function(_ops.log_expit, "x", "``log(expit(x)) = -softplus(-x)``.", "Bishop, PRML, eq. 4.59")
softplus = _function(
    _ops.softplus, "x", "``log(1 + exp(x))``, without overflow.", "Glorot, Bordes, Bengio 2011, section 3"
)
logit = _function(_ops.logit, "p", "Log-odds ``log(p / (1 - p))``.", "Bishop, PRML, eq. 4.61", ", in nats")
xlogy = _function(_ops.xlogy, "x y", "``x log(y)``, and 0 where ``x`` is 0.", "Limit of x log x at 0")
xlog1py = _function(_ops.xlog1py, "x y", "``x log(1 + y)``, and 0 where ``x`` is 0.", "Limit of x log x at 0")
entr = _function(_ops.entr, "x", "``-x log(x)``, 0 at 0 and -inf below.", "Cover, Thomas, eq. 2.1", ", in nats")
rel_entr = _function(
    _ops.rel_entr,
    "x y",
    "``x log(x / y)`` for positive operands, 0 for ``x = 0 <= y``, inf elsewhere.",
    "Boyd, Vandenberghe, section 3.2.6",
    ", in nats",
)
kl_div = _function(
    _ops.kl_div,
    "x y",
    "``x log(x / y) - x + y`` for positive operands, ``y`` for ``x = 0 <= y``, inf elsewhere.",
    "Boyd, Vandenberghe, section 3.2.6",
    ", in nats",
)
log1mexp = _function(
    _ops.log1mexp,
    "x",
    "``log(1 - exp(-x))`` for positive ``x``.",
    "Maechler 2012, Accurately computing ``log(1 - exp(-|a|))``",
)
expm1 = _function(ew.expm1, "x", "``exp(x) - 1``.", "DLMF 4.2.19")
log1p = _function(ew.log1p, "x", "``log(1 + x)``.", "DLMF 4.2.2")
exp2 = _function(ew.exp2, "x", "``2**x``.", "DLMF 4.2.26")
exp10 = _function(_bessel.exp10, "x", "``10**x``.", "DLMF 4.2.26")
cbrt = _function(ew.cbrt, "x", "The real cube root.", "DLMF 4.2.26")
cosm1 = _function(_bessel.cosm1, "x", "``cos(x) - 1``.", "DLMF 4.14.2")
sinc = _function(ew.sinc, "x", "``sin(pi x) / (pi x)``, 1 at 0.", "NumPy's convention")
exprel = _function(_bessel.exprel, "x", "``(exp(x) - 1) / x``, 1 at 0.", "DLMF 4.2.19")
expi = _function(_bessel.expi, "x", "The exponential integral Ei.", "DLMF 6.2.5")
exp1 = _function(_bessel.exp1, "x", "The exponential integral E1.", "DLMF 6.2.1")

# ── error functions and the normal distribution ──────────────────────────────────────────────
erf = _function(_ops.erf, "x", "The error function.", "DLMF 7.2.1", ", in [-1, 1]")
erfc = _function(_ops.erfc, "x", "``1 - erf(x)``.", "DLMF 7.2.2", ", in [0, 2]")
erfcx = _function(_ops.erfcx, "x", "``exp(x**2) erfc(x)``.", "DLMF 7.2.3, with z = ix")
erfi = _function(_ops.erfi, "x", "``-i erf(i x)``.", "DLMF 7.2.1, with z = ix")
dawsn = _function(_ops.dawsn, "x", "Dawson's integral.", "DLMF 7.2.5")
erfinv = _function(_ops.erfinv, "y", "The inverse of `erf`.", "DLMF 7.17.1")
erfcinv = _function(_ops.erfcinv, "y", "The inverse of `erfc`.", "DLMF 7.17.1")
ndtr = _function(_ops.ndtr, "x", "The normal distribution function.", "DLMF 7.18.1", ", in [0, 1]")
log_ndtr = _function(_ops.log_ndtr, "x", "``log(ndtr(x))``.", "DLMF 7.18.1")
ndtri = _function(_ops.ndtri, "p", "The inverse of `ndtr`: the normal quantile.", "DLMF 7.17.1")
ndtri_exp = _function(_ops.ndtri_exp, "y", "The inverse of `log_ndtr`.", "DLMF 7.17.1")

# ── gamma and beta ───────────────────────────────────────────────────────────────────────────
gamma = _function(_ops.gamma, "x", "The gamma function.", "DLMF 5.2.1")
gammaln = _function(_ops.gammaln, "x", "``log(abs(gamma(x)))``.", "DLMF 5.2.1")
loggamma = _function(_ops.loggamma, "x", "``log(gamma(x))``, NaN below 0.", "DLMF 5.2.1")
gammasgn = _function(_ops.gammasgn, "x", "The sign of ``gamma(x)``; its derivative is 0.", "DLMF 5.2.1")
rgamma = _function(_ops.rgamma, "x", "``1 / gamma(x)``, 0 at the poles.", "DLMF 5.2.1")
digamma = psi = _function(_ops.digamma, "x", "The derivative of ``log(gamma(x))``.", "DLMF 5.2.2")
polygamma = _function(_ops.polygamma, "n x", "The n-th derivative of `digamma`.", "DLMF 5.15.1")
beta = _function(_ops.beta, "a b", "The beta function.", "DLMF 5.12.1")
betaln = _function(_ops.betaln, "a b", "``log(abs(beta(a, b)))``.", "DLMF 5.12.1")
gammainc = _function(
    _tails.gammainc, "a x", "The regularized lower incomplete gamma function P.", "DLMF 8.2.4", ", in [0, 1]"
)
gammaincc = _function(
    _tails.gammaincc, "a x", "The regularized upper incomplete gamma function Q.", "DLMF 8.2.4", ", in [0, 1]"
)
gammaincinv = _function(_tails.gammaincinv, "a y", "The inverse of `gammainc` in ``x``.", "DLMF 8.12")
gammainccinv = _function(_tails.gammainccinv, "a y", "The inverse of `gammaincc` in ``x``.", "DLMF 8.12")
betainc = _function(
    _tails.betainc, "a b x", "The regularized incomplete beta function.", "DLMF 8.17.2", ", in [0, 1]"
)
betaincc = _function(
    _tails.betaincc, "a b x", "``1 - betainc(a, b, x)``.", "DLMF 8.17.2, 8.17.4", ", in [0, 1]"
)
betaincinv = _function(_tails.betaincinv, "a b y", "The inverse of `betainc` in ``x``.", "DLMF 8.17.2")

stdtr = _function(_tails.stdtr, "df x", "Student's distribution function.", "DLMF 8.17.2", ", in [0, 1]")
stdtrit = _function(_tails.stdtrit, "df p", "The inverse of `stdtr` in ``x``.", "DLMF 8.17.2")

# ── Bessel functions ─────────────────────────────────────────────────────────────────────────
j0 = _function(_bessel.j0, "x", "Bessel function of the first kind, order 0.", "DLMF 10.2.2")
j1 = _function(_bessel.j1, "x", "Bessel function of the first kind, order 1.", "DLMF 10.2.2")
jv = jn = _function(_bessel.jv, "v x", "Bessel function of the first kind.", "DLMF 10.2.2")
y0 = _function(_bessel.y0, "x", "Bessel function of the second kind, order 0.", "DLMF 10.2.3")
y1 = _function(_bessel.y1, "x", "Bessel function of the second kind, order 1.", "DLMF 10.2.3")
yn = _function(_bessel.yn, "n x", "Bessel function of the second kind.", "DLMF 10.2.3")
yv = _function(_bessel.yv, "v x", "Bessel function of the second kind.", "DLMF 10.2.3")
i0 = _function(_bessel.i0, "x", "Modified Bessel function of the first kind, order 0.", "DLMF 10.25.2")
i0e = _function(_bessel.i0e, "x", "``exp(-abs(x)) i0(x)``.", "DLMF 10.25.2")
i1 = _function(_bessel.i1, "x", "Modified Bessel function of the first kind, order 1.", "DLMF 10.25.2")
i1e = _function(_bessel.i1e, "x", "``exp(-abs(x)) i1(x)``.", "DLMF 10.25.2")
iv = _function(_bessel.iv, "v x", "Modified Bessel function of the first kind.", "DLMF 10.25.2")
ive = _function(_bessel.ive, "v x", "``exp(-abs(x)) iv(v, x)``.", "DLMF 10.25.2")
k0 = _function(_bessel.k0, "x", "Modified Bessel function of the second kind, order 0.", "DLMF 10.27.4")
k0e = _function(_bessel.k0e, "x", "``exp(x) k0(x)``.", "DLMF 10.27.4")
k1 = _function(_bessel.k1, "x", "Modified Bessel function of the second kind, order 1.", "DLMF 10.27.4")
k1e = _function(_bessel.k1e, "x", "``exp(x) k1(x)``.", "DLMF 10.27.4")
kn = _function(_bessel.kn, "n x", "Modified Bessel function of the second kind.", "DLMF 10.27.4")
kv = _function(_bessel.kv, "v x", "Modified Bessel function of the second kind.", "DLMF 10.27.4")
kve = _function(_bessel.kve, "v x", "``exp(x) kv(v, x)``.", "DLMF 10.27.4")


# ── functions with parameters ────────────────────────────────────────────────────────────────
def zeta(x: Any, q: Any = 1) -> Any:
    """Hurwitz's zeta function; Riemann's for ``q = 1``.

    Parameters
    ----------
    x : float[...]
        Exponent, greater than 1.
    q : float[...]
        Shift, positive.

    Returns
    -------
    float[...]
        It has the operands' common shape and dtype.

    Raises
    ------
    NotDifferentiableError
        A derivative in ``x`` is asked for: none is known.
    DependencyError
        The arrays are on the CPU and SciPy is not installed.

    Notes
    -----
    ``sum of (k + q)**-x over k >= 0``. DLMF 25.11.1.
    """
    return _ops.zeta(array(x), array(q))


def multigammaln(a: Any, d: int) -> Any:
    """Logarithm of the multivariate gamma function.

    Parameters
    ----------
    a : float[...]
        Greater than ``(d - 1) / 2``.
    d : int
        Dimension, at least 1.

    Returns
    -------
    float[...]
        It has the shape of ``a``.

    Raises
    ------
    DataError
        ``d`` is no positive whole number, or ``a`` is too small (known unless only shapes are traced).
    DependencyError
        The array is on the CPU and SciPy is not installed.

    Notes
    -----
    ``d (d - 1) / 4 log(pi) + sum of gammaln(a - j / 2) over j < d``. DLMF 35.3.4.
    """
    a = array(a)
    if d != int(d) or d < 1:
        raise DataError(message(f"multigammaln: d must be a positive whole number, not {d}"))
    plain = strip(a)
    if (
        type(plain) is not Traced
        and np.size(plain)
        and not bool((plain > (d - 1) / 2).all() if hasattr(plain, "all") else plain > (d - 1) / 2)
    ):
        raise DataError(message(f"multigammaln: a must be greater than (d - 1) / 2 = {(d - 1) / 2}", {"a": a}))
    total: Any = d * (d - 1) / 4 * ln(pi)
    for j in range(int(d)):
        total = total + _ops.gammaln(a - j / 2)
    return total


def logsumexp(
    a: Any, axis: red.Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """``log(sum(b * exp(a)))``, without overflow.

    Parameters
    ----------
    a : float[...]
        Any values; -inf counts for nothing.
    axis : int, tuple of int, or None
        Summed over; None: all.
    b : float[...], optional
        Factors, of any sign; broadcasts with ``a``.
    keepdims : bool
        Keep the axes summed over, with length 1.
    return_sign : bool
        Return also the sign of the sum, as SciPy does.

    Returns
    -------
    out : float[...]
        The logarithm of the sum; of its absolute value with ``return_sign``, else NaN where the
        sum is negative. -inf where it is 0; its derivative there is taken to be 0.
    sign : float[...]
        Only with ``return_sign``.

    Raises
    ------
    ShapeError
        ``axis`` does not fit, the axis is empty, or ``a`` and ``b`` do not broadcast.

    Notes
    -----
    ``m + log(sum(b * exp(a - m)))`` with the largest entry m. Blanchard, Higham, Higham,
    Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. Anal. 2021.
    """
    a = array(a)
    if b is None:
        out = _ops.logsumexp(a, axis=axis, keepdims=keepdims)
        return (out, full_like(out, value=1)) if return_sign else out
    total, top = _scaled_sum(a, array(b), axis)
    if not keepdims:
        axes = red.axes_of("logsumexp", total, axis)
        left = tuple(n for k, n in enumerate(total.shape) if k not in axes)
        total, top = reshape(total, shape=left), reshape(top, shape=left)
    nothing = total == 0
    size = abs(ew.where(nothing, 1, total))
    out = ew.where(nothing, -np.inf, ew.log(size) + top)
    if return_sign:
        return out, ew.sign(total)
    return ew.where(total < 0, np.nan, out)


def _scaled_sum(a: Any, b: Any, axis: red.Axis) -> tuple[Any, Any]:
    """``sum(b exp(a - top))`` and ``top``, the largest entry that counts, keeping the axes.

    A factor 0 takes its entry out of the choice of ``top``; what that leaves above ``top`` is
    held below overflow, for 0 * inf is NaN.
    """
    nothing = b == 0
    top = red.max(ew.where(nothing, -np.inf, stop_gradient(a)), axis=axis, keepdims=True)
    top = ew.where(ew.isfinite(top), top, 0)
    above = a - top
    room = ln(float(np.finfo(floating(aval_of(a), aval_of(b))).max)) / 2
    return red.sum(b * ew.exp(ew.where(nothing, ew.minimum(above, room), above)), axis=axis, keepdims=True), top


def softmax(x: Any, axis: red.Axis = None) -> Any:
    """``exp(x) / sum(exp(x))``.

    Parameters
    ----------
    x : float[...]
        -inf gives 0, +inf takes all.
    axis : int, tuple of int, or None
        Along which the result sums to 1; None, as in SciPy: over all axes together.

    Returns
    -------
    float[...]
        It has the shape and dtype of ``x``, in [0, 1]; NaN along an axis where every entry is -inf.

    Raises
    ------
    ShapeError
        ``axis`` does not fit, or the axis is empty.

    Notes
    -----
    Bishop, Pattern Recognition and Machine Learning, eq. 4.62.
    """
    return _ops.softmax(array(x), axis=axis)


def log_softmax(x: Any, axis: red.Axis = None) -> Any:
    """``x - logsumexp(x)``, the logarithm of `softmax`.

    Parameters, errors and source are those of `softmax`; the result is in nats, at most 0.
    """
    return _ops.log_softmax(array(x), axis=axis)


def __dir__() -> list[str]:
    return sorted(n for n, f in globals().items() if getattr(f, "__module__", None) == __name__ and n[0] != "_")
