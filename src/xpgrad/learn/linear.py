"""What all estimators with a linear predictor share: reading the data, fitting, predicting.

Shapes: ``X`` is (n, p), samples in rows. ``coef_`` has one entry for each column of numbers and one for each
level of each categorical column, in the order of the columns; `coef_names` names them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.devices import namespace, to_device
from xpgrad.learn import _sklearn as sk
from xpgrad.learn.columns import Design, is_table
from xpgrad.learn.families import Family
from xpgrad.learn.files import Saved
from xpgrad.learn.inference import Inference, Sample, infer
from xpgrad.learn.multinomial import infer_classes
from xpgrad.learn.places import Arrival, chosen_device, host
from xpgrad.learn.reading import Reading
from xpgrad.learn.solve import Problem, Solution, predictor, solve
from xpgrad.learn.streamed import blocks, is_streamed
from xpgrad.optim import linear

# The constraints of parameters that every estimator has.
COMMON = {
    "categorical_features": ["array-like", None],
    "handle_unknown": [sk.StrOptions({"error", "ignore"})],
    "checkpoint": [str, PathLike, None],
    "device": [str],
    "dtype": [sk.StrOptions({"float32", "float64"}), None],
    "memory_limit": [Integral, str, None],
    "cluster": "no_validation",
}
# Passes over the data that a fit of each solver is expected to take, for the choice of a device.
_PASSES = {"newton": 15, "lbfgs": 60}
SOLVERS = sk.StrOptions({"auto", "lbfgs", "newton"})


def at_least(low: float, kind: type = Real, closed: str = "left") -> Any:
    """The constraint of a number from ``low`` up."""
    return sk.Interval(kind, low, None, closed=closed)


class LinearEstimator(Reading, Saved, sk.BaseEstimator):
    """A linear predictor fitted by the loss of a family."""

    _takes_sparse = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        return tags

    def _offset(self, offset: Any, exposure: Any, design: Design, outputs: int = 1) -> Any:
        """The offset, with the logarithm of the exposure: float[n], or float[n, k] of several outputs."""
        if exposure is not None:
            exposure = self._per_sample(exposure, design, "exposure")
            if not (exposure > 0).all():
                raise ValueError("exposure must be positive")
            exposure = np.log(exposure)
        if offset is None:
            return exposure
        if outputs > 1:
            return self._per_output(offset, design, outputs)
        offset = self._per_sample(offset, design, "offset")
        return offset if exposure is None else offset + exposure

    # ── fitting ──────────────────────────────────────────────────────────────────────────────
    def _fit_predictor(
        self,
        arrival: Arrival,
        design: Design,
        y: Any,
        family: Family,
        *,
        weights: Any,
        offset: Any = None,
        outputs: int = 1,
        l2: float = 0.0,
        l1: float = 0.0,
        center: Any = None,
        shape: tuple[float, ...] = (),
        start: Solution | None = None,
        quiet: bool = False,
        stage: str = "",
    ) -> Solution:
        """Fit, and set ``coef_``, ``intercept_``, ``n_iter_`` and ``device_``; the solution as it came.

        ``center`` is what the intercept begins with, unless there is a ``start`` or the last fit is gone on
        with. ``stage`` names one of several fits, of which each has a checkpoint of its own.
        """
        dtype = design.numbers.dtype
        passes = _PASSES["newton" if self.solver == "auto" else self.solver]
        self.device_, self.device_reason_ = self._chosen_device(arrival, design, passes)
        many = y.shape[1:] or ((outputs,) if outputs > 1 else ())
        start = self._warm(outputs) if start is None else start
        if start is None:
            center = center if center is not None and self.fit_intercept else 0.0
            b = np.full(many, center, dtype)
            start = self._split(np.zeros((*many, self.columns_.n_coefficients), dtype), b)
        start = start._replace(shape=tuple(np.asarray(s, dtype=dtype) for s in shape))
        problem = Problem(
            family=family,
            design=design,
            sizes=self.columns_.sizes,
            y=y,
            outputs=outputs,
            weights=weights,
            offset=offset,
            intercept=self.fit_intercept,
            l2=l2,
            l1=l1,
            start=start,
            checkpoint=None if self.checkpoint is None else f"{fspath(self.checkpoint)}{stage}",
            memory_limit=self.memory_limit,
            cluster=self.cluster,
        )
        found = solve(
            problem, method=self.solver, tol=self.tol, max_iter=self.max_iter or 1000, device=self.device_
        )
        self.n_iter_ = max(found.n_iter, 1)
        if not found.converged and not quiet:
            warnings.warn(
                f"{type(self).__name__} did not converge: {found.message}. Raise max_iter, or scale the data",
                sk.ConvergenceWarning,
                stacklevel=4,
            )
        coef, intercept = self._joined(found)
        self._follow(arrival, coef, intercept)
        return found

    def _eta_of(self, found: Solution, design: Design) -> Iterator[tuple[slice, Any]]:
        """The linear predictor of each stretch of the samples; of an array, of all at once."""
        if not design.is_streamed:
            yield slice(0, design.size), predictor(found.intercept, found.numbers, found.tables, design)
            return
        for begin, end, (x, *codes) in blocks([design.numbers, *design.codes], self.memory_limit):
            part = Design(x, tuple(codes))
            yield slice(begin, end), predictor(found.intercept, found.numbers, found.tables, part)

    def _follow(self, arrival: Arrival, coef: Any, intercept: Any) -> None:
        self.coef_ = arrival.follow(coef)
        self.intercept_ = arrival.follow(intercept) if np.ndim(intercept) else float(intercept)

    def _warm(self, outputs: int) -> Solution | None:
        """Where the last fit ended, if that is where this one is to begin."""
        if not (getattr(self, "warm_start", False) and hasattr(self, "coef_")):
            return None
        coef, intercept = host(self.coef_), host(self.intercept_)
        many = (outputs,) if outputs > 1 else ()
        if np.size(coef) != (outputs or 1) * self.columns_.n_coefficients:
            return None
        coef = np.reshape(coef, (*many, -1))
        return self._split(coef, np.reshape(np.asarray(intercept, dtype=coef.dtype), many))

    def _split(self, coef: Any, intercept: Any) -> Solution:
        """``coef`` of (P,) or (k, P) as coefficients of the numbers and of each table."""
        at, tables = self.columns_.positions()
        across = coef.T
        return Solution(np.asarray(intercept, dtype=coef.dtype), across[at], tuple(across[t] for t in tables))

    def _joined(self, found: Solution) -> tuple[Any, Any]:
        """The coefficients in the order of the columns, (P,) or (k, P), and the intercept."""
        at, tables = self.columns_.positions()
        many = np.shape(found.numbers)[1:]
        across = np.zeros((self.columns_.n_coefficients, *many), dtype=found.numbers.dtype)
        across[at] = found.numbers
        for where, table in zip(tables, found.tables, strict=True):
            across[where] = table
        return np.ascontiguousarray(across.T), np.asarray(found.intercept)

    # ── inference ────────────────────────────────────────────────────────────────────────────
    def _scored(self) -> Family:
        """The family, with what was fitted beside the coefficients."""
        raise NotImplementedError

    def _is_penalised(self) -> bool:
        return getattr(self, "alpha", 0) > 0

    def _numbers_of(self, y: Any) -> Any:
        """Targets as the loss takes them."""
        return sk.check_array(host(y), dtype=np.float64, ensure_2d=False)

    def inference(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        offset: Any = None,
        exposure: Any = None,
        covariance: str = "nonrobust",
        groups: Any = None,
    ) -> Inference:
        """Standard errors, tests and intervals, from the data that the model was fitted to.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            As in `fit`; a weight counts samples.
        covariance : {"nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster"}
            "nonrobust" trusts the family: the inverse of the expected Hessian times the scale. The others are
            sandwiches that do not; "cluster" allows samples of one group to depend on each other.
        groups : array[n]
            The group of each sample, for "cluster".

        Raises
        ------
        ValueError
            A model with a penalty, of several targets, or without a likelihood.
        DataError
            Collinear columns, by name; no more samples than coefficients.

        Notes
        -----
        Of more than two classes the coefficients are those of each class less those of the first, class by
        class; "HC2" and "HC3" are not defined.
        """
        sk.check_is_fitted(self)
        name = type(self).__name__
        family = self._scored()
        if self._takes_targets and np.ndim(self.coef_) == 2:
            raise ValueError(f"{name}: inference is of one target; fit each by itself, as y of shape (n,)")
        if self._is_penalised():
            raise ValueError(f"{name}: a penalty biases the coefficients; inference needs a fit without one")
        if is_streamed(X):
            remedy = "X.read() of a source that fits"
            raise DataError(message(f"{name}: inference reads all samples in memory", remedy=remedy))
        _, design, _ = self._read(X, fit=False)
        y = self._numbers_of(y)
        sk.check_consistent_length(design.numbers, y)
        coef, intercept = np.atleast_2d(host(self.coef_)), np.atleast_1d(host(self.intercept_))
        weights = self._weights(sample_weight, design)
        offset = self._offset(offset, exposure, design, len(coef))
        wide = [None if x is None else np.asarray(x, dtype=np.float64) for x in (weights, offset)]
        X = design.numbers.astype(np.float64, copy=False) if design.numbers.shape[1] else None
        columns = linear.Design(X, design.codes, self.columns_.sizes, intercept=self.fit_intercept)
        at, tables = self.columns_.positions()
        parts = [intercept[None]] if self.fit_intercept else []
        parts += [coef.T[at], *(coef.T[t] for t in tables)]
        coef = np.concatenate(parts).astype(np.float64)
        names = self.columns_.coefficient_names()
        ordered = [names[i] for i in at] + [label for t in tables for label in names[t]]
        fixed = np.zeros(columns.columns, dtype=bool)
        fixed[[of.start for of in columns.of_levels[0 if self.fit_intercept else 1 :]]] = True
        sample = Sample(
            model=name,
            unit=family.losses,
            mean=family.mean,
            design=columns,
            coef=coef[:, 0] if coef.shape[1] == 1 else coef,
            fixed=fixed,
            names=(["intercept"] if self.fit_intercept else []) + ordered,
            y=y,
            weights=wide[0],
            offset=wide[1],
            distribution=family.distribution,
            fitted_on=f"{self.device_} ({getattr(self, 'device_reason_', 'not noted in the file')})",
            least=family.least(y),
        )
        if coef.shape[1] > 1:
            return infer_classes(sample, self.classes_.tolist(), covariance, groups)
        return infer(sample, covariance, groups)

    # ── predicting ───────────────────────────────────────────────────────────────────────────
    def _eta(self, X: Any, method: str, offset: Any = None, exposure: Any = None) -> tuple[Arrival, Any]:
        """The linear predictor, float[n] or float[n, k], on the device of the computation."""
        sk.check_is_fitted(self)
        if not is_table(X) and not is_streamed(X):
            sk.check_same_namespace(X, self, attribute="coef_", method=method)
        arrival, design, _ = self._read(X, fit=False)
        coef = host(self.coef_)
        intercept = host(self.intercept_)
        if coef.ndim == 2 and len(coef) == 1:
            coef, intercept = coef[0], np.reshape(intercept, ())
        at = self._split(coef, intercept)
        tables = tuple(np.concatenate([t, np.zeros_like(t[:1])]) for t in at.tables)
        device = chosen_device(self.device, arrival.device)
        intercept, slopes, tables = to_device((at.intercept, at.numbers, tables), device)
        if design.is_streamed:
            parts = self._eta_of(Solution(intercept, slopes, tables), design)
            eta = np.concatenate(
                [np.broadcast_to(x, (at.stop - at.start, *np.shape(x)[1:])) for at, x in parts]
            )
        else:
            eta = predictor(intercept, slopes, tables, design.on(device))
        offset = self._offset(offset, exposure, design, len(coef) if coef.ndim == 2 else 1)
        if offset is not None:
            eta = eta + to_device(offset, device)
        if np.ndim(eta) == (coef.ndim - 1):  # there are no columns at all but the intercept
            eta = eta + namespace(eta).zeros((design.size, *eta.shape))
        return arrival, eta

    @property
    def coef_names(self) -> list[str]:
        """The name of each coefficient: that of the column, with the level of a category in brackets."""
        sk.check_is_fitted(self)
        names: list[str] = self.columns_.coefficient_names()
        return names


def refuse_targets(y: Any, family: Family, name: str) -> None:
    """Raise where a target is out of the range of the family."""
    for begin, _, (part,) in blocks([y]) if is_streamed(y) else [(0, len(y), (y,))]:
        wrong = part <= family.lowest if family.open else part < family.lowest
        if is_streamed(y) and not np.isfinite(part).all():
            raise DataError(message(f"{name}: Input y contains NaN or infinity: {y.name}"))
        if not wrong.any():
            continue
        i = int(np.flatnonzero(wrong)[0])
        rule = "positive" if family.open else "0 or more"
        others = int(wrong.sum()) - 1
        more = f", and {others} others are not" if others else ""
        raise DataError(message(f"{name}: targets must be {rule}; y[{begin + i}] is {part[i]}{more}"))
