"""Distributions of vectors and matrices, with SciPy's shapes: one of them, any number of points.

Sources: Anderson, An Introduction to Multivariate Statistical Analysis; the names and parameters are SciPy's.
"""

from __future__ import annotations

from math import log as ln
from math import pi
from typing import Any, ClassVar

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import aval_of
from xpgrad.devices import namespace
from xpgrad.ops import reductions as red
from xpgrad.ops.decompositions import cholesky
from xpgrad.ops.elementwise import exp, log, log1p, sqrt
from xpgrad.ops.linalg import T, diagonal, embed_diagonal, inv_lower
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import reshape
from xpgrad.ops.special import gammaln, xlogy
from xpgrad.special import multigammaln
from xpgrad.stats._base import Absent, as_float, quiet
from xpgrad.stats._draws import Source
from xpgrad.trace.functions import TABLE
from xpgrad.transforms import stop_gradient


class Multivariate:
    """A family of distributions of vectors or matrices."""

    name: ClassVar[str] = ""
    methods: ClassVar[tuple[str, ...]] = ("pdf", "logpdf", "rvs")

    def __dir__(self) -> list[str]:
        return list(self.methods)

    def _fits(self, what: str, x: Any, expected: Any) -> None:
        if aval_of(x).shape != expected:
            rule = f"{self.name}: {what} must have the shape {expected}"
            raise ShapeError(message(rule, {what: x}))


def _no_cdf(name: str) -> Absent:
    return Absent(name, "cdf", "it is an integral over several dimensions, which SciPy does by random points")


def _total_log(x: Any) -> Any:
    """The sum of the logarithms of the diagonals."""
    return red.sum(log(diagonal(x)), axis=-1)


class MultivariateNormal(Multivariate):
    """The normal distribution of vectors.

    Methods: ``pdf(x, mean, cov)``, ``logpdf(x, mean, cov)``, ``rvs(mean, cov, size, rng)``.

    Parameters
    ----------
    x : float[..., d]
        Points, whose other axes are kept. For d = 1, where mean and cov are scalars or of one entry, float[...]
        too.
    mean : float[d], optional
        Zeros by default.
    cov : float[d, d], float[d] or float scalar
        The covariances, or variances of independent entries; positive definite. 1 by default.

    Raises
    ------
    ShapeError
        The shapes do not fit.
    numpy.linalg.LinAlgError
        ``cov`` is not positive definite (only its lower triangle is read).

    Notes
    -----
    By the Cholesky factor L of ``cov``: ``-(d log(2 pi) + |inv(L) (x - mean)|^2) / 2 - log(det(L))``. Draws are
    ``mean + L z`` with normal z. `scipy.stats.multivariate_normal`.
    """

    name = "multivariate_normal"
    cdf = logcdf = _no_cdf("multivariate_normal")

    @quiet
    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1) -> Any:
        """Logarithm of the density: float[...]."""
        x = as_float(x)
        mean, factor = _location_and_factor(self, mean, cov)
        squares, half_log_det = _distance(x, mean, factor)
        return -0.5 * squares - (half_log_det + factor.shape[-1] * 0.5 * ln(2 * pi))

    @quiet
    def pdf(self, x: Any, mean: Any = None, cov: Any = 1) -> Any:
        """Density: float[...]."""
        return exp(self.logpdf(x, mean, cov))

    @quiet
    def rvs(self, mean: Any = None, cov: Any = 1, size: Any = (), rng: Any = None) -> Any:
        """Random vectors: float[*size, d], differentiable in both parameters."""
        mean, factor = _location_and_factor(self, mean, cov)
        source = Source(self.name, rng, size, [mean, factor], event=(factor.shape[-1],))
        return mean + source.normal() @ T(factor)


def _location_and_factor(of: Multivariate, mean: Any, cov: Any) -> tuple[Any, Any]:
    """The mean, float[d] or a scalar, and the Cholesky factor of the covariances, float[d, d]."""
    cov = as_float(cov)
    known = aval_of(cov).shape
    mean = None if mean is None else as_float(mean)
    d = (known or (1,) if mean is None else aval_of(mean).shape or known or (1,))[0]
    if len(known) < 2:
        cov = embed_diagonal(cov * namespace("cpu").ones(d) if not known else cov)
    of._fits("the matrix of scale", cov, (d, d))
    mean = 0.0 if mean is None else mean
    if aval_of(mean).shape:
        of._fits("the location", mean, (d,))
    return mean, cholesky(cov)


def _distance(x: Any, mean: Any, factor: Any) -> tuple[Any, Any]:
    """The squared distance of points by the inverse covariances, and half the log of their determinant."""
    d = factor.shape[-1]
    shape = aval_of(x).shape
    if d == 1 and shape[-1:] != (1,):
        x = reshape(x, shape=(*shape, 1)) if hasattr(x, "shape") else np.full(1, x)
    elif shape[-1:] != (d,):
        raise ShapeError(message(f"points of {(shape or (1,))[-1]} entries, and parameters of {d}", {"x": x}))
    z = (x - mean) @ T(inv_lower(factor))
    return red.sum(z * z, axis=-1), _total_log(factor)


class MultivariateT(Multivariate):
    """Student's distribution of vectors.

    Methods: ``pdf(x, loc, shape, df)``, ``logpdf(x, loc, shape, df)``, ``rvs(loc, shape, df, size, rng)``.

    Parameters
    ----------
    x : float[..., d]
        Points.
    loc : float[d], optional
        Zeros by default.
    shape : float[d, d] or float scalar
        Positive definite; 1 by default.
    df : float scalar
        Degrees of freedom, positive; 1 by default.

    Raises
    ------
    ShapeError, numpy.linalg.LinAlgError
        As `multivariate_normal`.
    DataError
        ``df`` is not positive.

    Notes
    -----
    Kotz, Nadarajah, Multivariate t Distributions and Their Applications, eq. 1.1. `scipy.stats.multivariate_t`.
    """

    name = "multivariate_t"
    cdf = _no_cdf("multivariate_t")

    @quiet
    def logpdf(self, x: Any, loc: Any = None, shape: Any = 1, df: Any = 1) -> Any:
        """Logarithm of the density: float[...]."""
        x, df = as_float(x), _positive(self, as_float(df))
        loc, factor = _location_and_factor(self, loc, shape)
        squares, half_log_det = _distance(x, loc, factor)
        d = factor.shape[-1]
        half = 0.5 * (df + d)
        constant = gammaln(half) - gammaln(0.5 * df) - 0.5 * d * (log(df) + ln(pi)) - half_log_det
        return constant - half * log1p(squares / df)

    @quiet
    def pdf(self, x: Any, loc: Any = None, shape: Any = 1, df: Any = 1) -> Any:
        """Density: float[...]."""
        return exp(self.logpdf(x, loc, shape, df))

    @quiet
    def rvs(self, loc: Any = None, shape: Any = 1, df: Any = 1, size: Any = (), rng: Any = None) -> Any:
        """Random vectors: float[*size, d], differentiable in all parameters."""
        df = _positive(self, as_float(df))
        loc, factor = _location_and_factor(self, loc, shape)
        source = Source(self.name, rng, size, [loc, factor, df], event=(factor.shape[-1],))
        normal = source.normal() @ T(factor)
        source.event = (1,)
        return loc + normal * sqrt(0.5 * df / source.gamma(0.5 * df))


def _positive(of: Multivariate, df: Any) -> Any:
    return demand(df, df > 0, f"{of.name}: df must be positive", "df")


class Wishart(Multivariate):
    """The distribution of ``sum of z z^T`` over ``df`` normal vectors z with the covariances ``scale``.

    Methods: ``pdf(x, df, scale)``, ``logpdf(x, df, scale)``, ``rvs(df, scale, size, rng)``.

    Parameters
    ----------
    x : float[p, p] or float[p, p, n]
        Positive definite matrices; the samples come last, as in SciPy.
    df : float scalar
        Degrees of freedom, greater than ``p - 1``.
    scale : float[p, p]
        Positive definite.

    Raises
    ------
    ShapeError
        The shapes do not fit.
    DataError
        ``df`` is too small.
    numpy.linalg.LinAlgError
        A matrix is not positive definite (only lower triangles are read).

    Notes
    -----
    Anderson, section 7.2; draws by Bartlett's decomposition. `scipy.stats.wishart`.
    """

    name = "wishart"

    @quiet
    def logpdf(self, x: Any, df: Any, scale: Any) -> Any:
        """Logarithm of the density: float scalar or float[n]."""
        x, scale = as_float(x), as_float(scale)
        p = (aval_of(scale).shape or (0,))[-1]
        self._fits("scale", scale, (p, p))
        df = self._enough(as_float(df), p)
        if len(aval_of(x).shape) > 2:
            x = TABLE[np.moveaxis](x, -1, 0) if hasattr(x, "_trace") else namespace(x).moveaxis(x, -1, 0)
        if aval_of(x).shape[-2:] != (p, p):
            raise ShapeError(message(f"wishart: matrices of {p} rows are due", {"x": x, "scale": scale}))
        factor = cholesky(scale)
        inverse = inv_lower(factor)
        root = inverse @ cholesky(x)
        constant = 0.5 * df * p * ln(2) + df * _total_log(factor) + multigammaln(0.5 * df, p)
        # log(det(x)) by its factor's, and the trace of inv(scale) x as a sum of squares.
        log_det = _total_log(root) + _total_log(factor)
        return (df - p - 1) * log_det - 0.5 * red.sum(root * root, axis=(-2, -1)) - constant

    @quiet
    def pdf(self, x: Any, df: Any, scale: Any) -> Any:
        """Density: float scalar or float[n]."""
        return exp(self.logpdf(x, df, scale))

    @quiet
    def rvs(self, df: Any, scale: Any, size: Any = (), rng: Any = None) -> Any:
        """Random matrices: float[*size, p, p], differentiable in both parameters."""
        scale = as_float(scale)
        p = (aval_of(scale).shape or (0,))[-1]
        self._fits("scale", scale, (p, p))
        df = self._enough(as_float(df), p)
        factor = cholesky(scale)
        source = Source(self.name, rng, size, [factor, df], event=(p,))
        diagonals = sqrt(2 * source.gamma(0.5 * (df - source.of(np.arange(float(p))))))
        source.event = (p, p)
        below = source.normal() * source.of(np.tri(p, k=-1))
        root = factor @ (embed_diagonal(diagonals) + below)
        return root @ T(root)

    def _enough(self, df: Any, p: int) -> Any:
        return demand(df, df > p - 1, f"wishart: df must be greater than p - 1 = {p - 1}", "df")


class Dirichlet(Multivariate):
    """The distribution of parts of a whole.

    Methods: ``pdf(x, alpha)``, ``logpdf(x, alpha)``, ``rvs(alpha, size, rng)``.

    Parameters
    ----------
    x : float[k] or float[k, ...]
        Parts, which sum to 1 over the first axis, as in SciPy.
    alpha : float[k]
        Positive.

    Raises
    ------
    ShapeError
        The first axes differ.
    DataError
        ``alpha`` is not positive, or ``x`` has negative parts or does not sum to 1 within 1e-9 (float32: 1e-4).

    Notes
    -----
    The parts are taken as they are: the derivative in one is that with the others fixed. Draws are gamma
    variates over their sum, differentiable in ``alpha``. Bishop, PRML, eq. 2.38. `scipy.stats.dirichlet`.
    """

    name = "dirichlet"

    @quiet
    def logpdf(self, x: Any, alpha: Any) -> Any:
        """Logarithm of the density: float[...]."""
        x, alpha = as_float(x), as_float(alpha)
        k = (aval_of(x).shape or (0,))[0]
        self._fits("alpha", alpha, (k,))
        alpha = demand(alpha, alpha > 0, "dirichlet: alpha must be positive", "alpha")
        total = red.sum(stop_gradient(x), axis=0)
        x = demand(x, x >= 0, "dirichlet: parts must be 0 or more", "x")
        close = 1e-9 if aval_of(x).dtype == np.float64 else 1e-4
        x = demand(x, abs(total - 1) < close, "dirichlet: parts must sum to 1", "sum", seen=total)
        wide = reshape(alpha, shape=(k, *(1,) * (len(aval_of(x).shape) - 1)))
        constant = red.sum(gammaln(alpha)) - gammaln(red.sum(alpha))
        return red.sum(xlogy(wide - 1, x), axis=0) - constant

    @quiet
    def pdf(self, x: Any, alpha: Any) -> Any:
        """Density: float[...]."""
        return exp(self.logpdf(x, alpha))

    @quiet
    def rvs(self, alpha: Any, size: Any = (), rng: Any = None) -> Any:
        """Random parts: float[*size, k]."""
        alpha = as_float(alpha)
        alpha = demand(alpha, alpha > 0, "dirichlet: alpha must be positive", "alpha")
        source = Source(self.name, rng, size, [alpha], event=aval_of(alpha).shape)
        parts = source.gamma(alpha)
        return parts / red.sum(parts, axis=-1, keepdims=True)


class Multinomial(Multivariate):
    """Counts of ``n`` trials by their outcome.

    Methods: ``pmf(x, n, p)``, ``logpmf(x, n, p)``, ``rvs(n, p, size, rng)``.

    Parameters
    ----------
    x : int[..., k]
        Counts; the derivative in them, and in ``n``, is 0.
    n : int scalar
        Trials.
    p : float[k]
        Probabilities that sum to 1.

    Raises
    ------
    ShapeError
        The last axes differ.
    DataError
        ``p`` has negative entries or does not sum to 1 within 1e-9 (float32: 1e-4); ``x`` has entries that are
        no counts, or does not sum to ``n``.

    Notes
    -----
    The probabilities are taken as they are: the derivative in one is that with the others fixed. (SciPy
    gives NaN and -inf where this raises.) Bishop, PRML, eq. 2.34. `scipy.stats.multinomial`.
    """

    name = "multinomial"
    methods = ("pmf", "logpmf", "rvs")

    @quiet
    def logpmf(self, x: Any, n: Any, p: Any) -> Any:
        """Logarithm of the probability: float[...]."""
        x, n, p = stop_gradient(as_float(x)), stop_gradient(as_float(n)), self._probabilities(p)
        if aval_of(x).shape[-1:] != aval_of(p).shape:
            raise ShapeError(
                message("multinomial: counts and probabilities differ in number", {"x": x, "p": p})
            )
        x = demand(x, (x >= 0) & (x == x // 1), "multinomial: counts must be whole numbers, 0 or more", "x")
        total = red.sum(x, axis=-1)
        x = demand(x, total == n, "multinomial: counts must sum to n", "sum", seen=total)
        return gammaln(n + 1) + red.sum(xlogy(x, p) - gammaln(x + 1), axis=-1)

    @quiet
    def pmf(self, x: Any, n: Any, p: Any) -> Any:
        """Probability: float[...]."""
        return exp(self.logpmf(x, n, p))

    @quiet
    def rvs(self, n: Any, p: Any, size: Any = (), rng: Any = None) -> Any:
        """Random counts: float[*size, k]; the parameters must not be traced."""
        p = self._probabilities(p)
        source = Source(self.name, rng, size, [p], event=aval_of(p).shape)
        return source.of(
            source.rng.multinomial(source.whole(n), np.asarray(source.fixed("p", p), float), source.size)
        )

    def _probabilities(self, p: Any) -> Any:
        p = as_float(p)
        total = red.sum(stop_gradient(p))
        p = demand(p, p >= 0, "multinomial: probabilities must be 0 or more", "p")
        close = 1e-9 if aval_of(p).dtype == np.float64 else 1e-4
        return demand(p, abs(total - 1) < close, "multinomial: probabilities must sum to 1", "sum", seen=total)
