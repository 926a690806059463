"""Standard errors, tests and intervals of coefficients that were fitted without a penalty.

In:  a fitted estimator, and the data it was fitted to.
Out: an `Inference`.
Holds: derivatives of the loss are the engine's; categories stay codes. Weights count samples: a weight of 2 is
two.

McCullagh and Nelder, Generalized Linear Models (1989), section 2.5; White, Econometrica 48 (1980), 817;
MacKinnon and White, Journal of Econometrics 29 (1985), 305.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.learn.report import html, text
from xpgrad.optim import linear
from xpgrad.transforms import grad, jvp

COVARIANCES = ("nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster")


@dataclass(frozen=True)
class Sample:
    """What a covariance is computed from.

    Attributes
    ----------
    model : str
        The name of the estimator.
    unit : callable
        ``unit(eta, y)``, the loss of each sample.
    mean : callable
        The inverse link.
    design : linear.Design
    coef : float64[p]
        In the order of the design.
    fixed : bool[p]
        Coefficients that are 0 by definition.
    names : list of str
        Of all coefficients.
    y, weights, offset : float64[n]; the last two may be None
    distribution : {"normal", "bernoulli", "poisson", "gamma", "tweedie", "negative binomial", ""}
    fitted_on : str
        The device, and why it was chosen.
    least : float64[n]
        The least loss of each sample.
    """

    model: str
    unit: Any
    mean: Any
    design: linear.Design
    coef: Any
    fixed: Any
    names: list[str]
    y: Any
    weights: Any
    offset: Any
    distribution: str
    fitted_on: str
    least: Any


@dataclass(frozen=True)
class Inference:
    """The coefficients of a model with their uncertainty.

    Attributes
    ----------
    model : str
    covariance : str
        How the covariance was computed.
    fitted_on : str
        The device of the fit, and why it was chosen.
    names : list of str
        The intercept first, if there is one; reference levels are left out.
    params, bse, statistic, pvalues : float64[p]
        Coefficients, standard errors, their quotients, and two-sided p-values: by the normal distribution, and
        of least squares by Student's with ``df_resid`` degrees of freedom.
    n : float
        Samples, or the sum of their weights.
    df_resid : float
    scale : float
        The dispersion: the residual variance of least squares, Pearson's of the gamma and Tweedie families, or
        1.
    deviance, log_likelihood, aic, bic : float
        NaN where the family has no density of closed form.
    """

    model: str
    covariance: str
    fitted_on: str
    names: list[str]
    params: Any
    bse: Any
    statistic: Any
    pvalues: Any
    n: float
    df_resid: float
    scale: float
    deviance: float
    log_likelihood: float
    aic: float
    bic: float
    _cov: Any
    _student: bool

    def cov_params(self) -> Any:
        """The covariance of the coefficients, float64[p, p]."""
        return self._cov.copy()

    def conf_int(self, level: float = 0.95) -> Any:
        """Confidence intervals, float64[p, 2]."""
        from scipy import stats

        if not 0 < level < 1:
            raise ValueError(f"conf_int: level must be between 0 and 1, got {level!r}")
        at = (1 + level) / 2
        width = self.bse * (stats.t.ppf(at, self.df_resid) if self._student else stats.norm.ppf(at))
        return np.stack([self.params - width, self.params + width], axis=1)

    def summary(self) -> str:
        """A table as text."""
        return text(self)

    def _repr_html_(self) -> str:
        return html(self)

    def __str__(self) -> str:
        return self.summary()


def infer(sample: Sample, covariance: str, groups: Any) -> Inference:
    """The inference from a sample.

    Raises
    ------
    ValueError
        An unknown covariance, or groups where they are not used, or none where they are.
    DataError
        Collinear columns, by name; no more samples than coefficients.
    """
    if covariance not in COVARIANCES:
        raise ValueError(f"covariance must be one of {', '.join(COVARIANCES)}, got {covariance!r}")
    if (covariance == "cluster") != (groups is not None):
        raise ValueError('covariance="cluster" needs groups, and only it takes them')
    design, y, w = sample.design, sample.y, sample.weights
    free = ~sample.fixed
    n = float(len(y) if w is None else w.sum())
    p = int(free.sum())
    if n <= p:
        raise DataError(message(f"{sample.model}: {n:g} samples are too few for {p} coefficients"))
    df = n - p
    eta = predictor_of(design, sample.coef) + (0 if sample.offset is None else sample.offset)
    mu = sample.mean(eta)
    slope, bend = _derivatives(sample.unit, eta, y, w)
    _, expected = _derivatives(sample.unit, eta, mu, w)
    names = [name for name, keep in zip(sample.names, free, strict=True) if keep]
    scale = _scale(sample, mu, expected, eta, df)
    robust = covariance != "nonrobust"
    inverse = inverse_of(linear.weighted_gram(design, bend if robust else expected), free, names, sample.model)
    if robust:
        meat = _meat(sample, covariance, groups, slope, expected, free, names, n, df)
        cov = inverse @ meat @ inverse
    else:
        cov = inverse * scale
    excess = sample.unit(eta, y) - sample.least
    return assembled(
        sample,
        covariance,
        names,
        sample.coef[free],
        cov,
        scale=scale,
        n=n,
        df=df,
        deviance=2 * float(np.sum(excess if w is None else w * excess)),
        log_likelihood=_log_likelihood(sample, scale, n, df),
    )


def assembled(
    sample: Sample,
    covariance: str,
    names: list[str],
    params: Any,
    cov: Any,
    *,
    scale: float,
    n: float,
    df: float,
    deviance: float,
    log_likelihood: float,
) -> Inference:
    """The tests of coefficients with a covariance."""
    from scipy import stats

    bse = np.sqrt(np.diag(cov))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = params / bse
    student = sample.distribution == "normal"
    tail = stats.t.sf(abs(statistic), df) if student else stats.norm.sf(abs(statistic))
    p = len(params)
    return Inference(
        model=sample.model,
        covariance=covariance,
        fitted_on=sample.fitted_on,
        names=names,
        params=params,
        bse=bse,
        statistic=statistic,
        pvalues=2 * tail,
        n=n,
        df_resid=df,
        scale=scale,
        deviance=deviance,
        log_likelihood=log_likelihood,
        aic=2 * p - 2 * log_likelihood,
        bic=p * np.log(n) - 2 * log_likelihood,
        _cov=cov,
        _student=student,
    )


def predictor_of(design: linear.Design, coef: Any) -> Any:
    """The linear predictor without an offset: float64[n], or float64[n, k] of coefficients (p, k)."""
    eta = coef[0] if design.intercept else 0.0
    if design.is_sparse:
        eta = eta + design.numbers.times(coef[design.of_numbers])
    elif design.numbers is not None:
        eta = eta + design.numbers @ coef[design.of_numbers]
    for at, codes in zip(design.of_levels, design.codes, strict=True):
        eta = eta + coef[at][codes]
    return eta


def _derivatives(unit: Any, eta: Any, y: Any, weights: Any) -> tuple[Any, Any]:
    """First and second derivatives of the weighted loss of each sample in its predictor."""

    def total(eta: Any) -> Any:
        each = unit(eta, y)
        return np.sum(each if weights is None else weights * each)

    return jvp(grad(total), (eta,), (np.ones_like(eta),))


def _scale(sample: Sample, mu: Any, expected: Any, eta: Any, df: float) -> float:
    """1 for counts and classes; else Pearson's statistic over its degrees of freedom.

    The variance is ``(d mu / d eta)² / expected curvature``, up to the dispersion.
    """
    if sample.distribution in ("bernoulli", "poisson", "negative binomial"):
        return 1.0
    _, rate = jvp(sample.mean, (eta,), (np.ones_like(eta),))
    return float(np.sum((sample.y - mu) ** 2 * expected / rate**2) / df)


def inverse_of(hessian: Any, free: Any, names: list[str], model: str) -> Any:
    """The inverse among the free coefficients, or an error that names columns that depend on each other."""
    hessian = hessian[np.ix_(free, free)]
    size = np.sqrt(np.maximum(np.diag(hessian), 0))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(hessian / np.outer(size, size))
    null = values <= len(values) * 1e-13 * max(values[-1], 0.0)
    if null.any():
        part = np.abs(vectors[:, null]).max(axis=1)
        which = ", ".join(name for name, share in zip(names, part, strict=True) if share > 1e-6)
        raise DataError(
            message(
                f"{model}: the coefficients of these columns cannot be told apart: {which}",
                remedy="leave one of them out",
            )
        )
    return (vectors / values) @ vectors.T / np.outer(size, size)


def _meat(
    sample: Sample,
    covariance: str,
    groups: Any,
    slope: Any,
    expected: Any,
    free: Any,
    names: list[str],
    n: float,
    df: float,
) -> Any:
    """The sum of the outer products of the gradients of the samples, or of the groups."""
    design, w = sample.design, sample.weights
    if covariance == "cluster":
        group, count = cluster_groups(groups, len(slope), sample.model)
        sums = by_group(design, slope, group, count)[:, free]
        return sums.T @ sums * (count / (count - 1) * (n - 1) / df)
    square = slope**2 if w is None else np.divide(slope**2, w, out=np.zeros_like(slope), where=w > 0)
    if covariance in ("HC2", "HC3"):
        inverse = np.zeros((design.columns, design.columns))
        gram = linear.weighted_gram(design, expected)
        inverse[np.ix_(free, free)] = inverse_of(gram, free, names, sample.model)
        share = np.ones_like(expected) if w is None else w
        share = np.divide(expected, share, out=np.zeros_like(expected), where=share > 0)
        leverage = share * _quadratic(design, inverse)
        square = square / (1 - leverage) ** (1 if covariance == "HC2" else 2)
    meat = linear.weighted_gram(design, square)[np.ix_(free, free)]
    return meat * (n / df) if covariance == "HC1" else meat


def cluster_groups(groups: Any, n: int, model: str) -> tuple[Any, int]:
    """The number of the group of each sample, int[n], and how many there are."""
    found, group = np.unique(np.asarray(groups), return_inverse=True)
    if len(group) != n:
        raise ValueError(f"groups has {len(group)} entries for {n} samples")
    if len(found) < 2:
        raise DataError(message(f"{model}: all samples are in one group"))
    return group, len(found)


def by_group(design: linear.Design, slope: Any, group: Any, count: int) -> Any:
    """The gradients of the samples, summed by group: float64[count, p]."""
    out = np.zeros((count, design.columns))
    if design.intercept:
        out[:, 0] = np.bincount(group, slope, count)
    if design.is_sparse:
        out[:, design.of_numbers] = design.numbers.by_code(slope, group, count)
    elif design.numbers is not None:
        for k in range(design.numbers.shape[1]):
            out[:, design.of_numbers.start + k] = np.bincount(group, slope * design.numbers[:, k], count)
    for at, codes in zip(design.of_levels, design.codes, strict=True):
        width = at.stop - at.start
        table = np.bincount(group * width + codes, slope, count * width)
        out[:, at] = table.reshape(count, width)
    return out


def _quadratic(design: linear.Design, A: Any) -> Any:
    """``x' A x`` of each sample, for a symmetric ``A``."""
    X, numbers = design.numbers, design.of_numbers
    out = np.full(design.size, A[0, 0] if design.intercept else 0.0)
    if design.is_sparse:
        out += X.quadratic(A[numbers, numbers])
        if design.intercept:
            out += 2 * X.times(A[0, numbers])
    elif X is not None:
        out += np.einsum("ij,ij->i", X @ A[numbers, numbers], X)
        if design.intercept:
            out += 2 * (X @ A[0, numbers])
    tables = list(zip(design.of_levels, design.codes, strict=True))
    for k, (at, codes) in enumerate(tables):
        out += A[at, at][codes, codes]
        if design.intercept:
            out += 2 * A[0, at][codes]
        if X is not None:
            out += 2 * np.einsum("ij,ij->i", X, A[at, numbers][codes])
        for other, more in tables[k + 1 :]:
            out += 2 * A[at, other][codes, more]
    return out


def _log_likelihood(sample: Sample, scale: float, n: float, df: float) -> float:
    from scipy.special import gammaln

    y, w = sample.y, sample.weights
    eta = predictor_of(sample.design, sample.coef) + (0 if sample.offset is None else sample.offset)
    each = sample.unit(eta, y)
    if sample.distribution == "normal":
        variance = scale * df / n
        each = 0.5 * np.log(2 * np.pi * variance) + each / variance
    elif sample.distribution == "poisson":
        each = each + gammaln(y + 1)
    elif sample.distribution == "gamma":
        shape = 1 / scale
        each = shape * each - shape * np.log(shape) - (shape - 1) * np.log(y) + gammaln(shape)
    elif sample.distribution not in ("bernoulli", "negative binomial"):
        return float("nan")
    return -float(np.sum(each if w is None else w * each))
