"""Classifiers with a linear predictor."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np

from xpgrad import special
from xpgrad.data.derived import converted
from xpgrad.devices import asnumpy
from xpgrad.devices.door import is_source
from xpgrad.learn import _sklearn as sk
from xpgrad.learn import families
from xpgrad.learn.linear import COMMON, SOLVERS, LinearEstimator, at_least
from xpgrad.learn.places import host
from xpgrad.learn.streamed import classes_of, counts_of, in_memory


class LogisticRegression(sk.ClassifierMixin, LinearEstimator):
    """Logistic regression of two or more classes, with scikit-learn's objective and defaults.

    Parameters
    ----------
    penalty : {"auto", "l2", "l1", "elasticnet", None}
        Of the coefficients, not of the intercept. "auto" is as ``l1_ratio`` says.
    C : float
        One over the strength of the penalty; infinity is none.
    l1_ratio : float
        The share of the absolute values in the penalty, the rest being of the squares; unused by "l2" and "l1".
    tol : float
        For the largest entry of the gradient of the mean loss; with "lbfgs", the columns being standardised.
    fit_intercept : bool
    class_weight : dict, "balanced" or None
        Weights of the classes, which multiply those of the samples. "balanced": ``n / (k counts)``.
    random_state : None
        Unused; nothing is random.
    solver : {"auto", "newton", "lbfgs"}
    max_iter : int
    warm_start : bool
        Begin where the last fit ended.
    categorical_features : sequence of int, str or bool, optional
        Columns to read as categories, besides those whose type says so.
    handle_unknown : {"error", "ignore"}
        What `predict` does with a category that the fit has not seen; ignored, its coefficient is 0.
    checkpoint : path, optional
        As in `xg.minimize`: a file from which a fit that was broken off goes on. It is of one fit: data of
        another one, as in a cross-validation, are refused.
    device : str
        ``"cpu"``, ``"gpu"``, ``"gpu:1"``, or ``"auto"``: where the fit is expected to end first, by measured
        rates, with the copy of ``X``; a prediction is where its ``X`` is.
    dtype : {"float32", "float64"}, optional
        By default float32 stays float32, and all else is float64.
    memory_limit : int or str, optional
        Bytes, or ``"800MB"``, where ``X`` is a source or a table of `xpgrad.data`, as in `xg.minimize`.
    cluster : distributed.Client, optional
        Workers of Dask's share the passes over the sources, with the same bits. It is not saved.

    Attributes
    ----------
    classes_ : array[k]
    coef_ : float[1, P] of two classes, float[k, P] of more
    intercept_ : float[1] or float[k]
    coef_names : list of str
    n_iter_ : int
    device_, device_reason_ : str
        Where it was fitted, and why there.

    Raises
    ------
    ValueError
        One class only; NaN or infinity; an option out of range.
    DataError
        Missing columns, or categories that are missing or were not seen at fit.

    Notes
    -----
    Minimises ``C sum(w loss) + (1 - l1_ratio) |coef|² / 2 + l1_ratio |coef|₁``. The loss of two classes is
    ``log(1 + exp(z)) - y z``, that of more is ``logsumexp(z) - z[y]``, of the linear predictor ``z``. Without a
    penalty classes that a hyperplane separates have no finite minimum: the fit ends where the gradient is
    within ``tol``, with a ConvergenceWarning that says so.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> import xpgrad as xg
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> round(xg.learn.LogisticRegression(max_iter=1000).fit(X, y).score(X, y), 2)
    0.96
    """

    _parameter_constraints = {
        "penalty": [sk.StrOptions({"auto", "l1", "l2", "elasticnet"}), None],
        "C": [sk.Interval(Real, 0, None, closed="right")],
        "l1_ratio": [sk.Interval(Real, 0, 1, closed="both")],
        "tol": [at_least(0)],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, sk.StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
        "solver": [SOLVERS],
        "max_iter": [at_least(1, Integral)],
        "warm_start": ["boolean"],
        **COMMON,
    }

    def __init__(
        self,
        penalty: str | None = "auto",
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
        solver: str = "auto",
        max_iter: int = 100,
        warm_start: bool = False,
        categorical_features: Any = None,
        handle_unknown: str = "error",
        checkpoint: Any = None,
        device: str = "auto",
        dtype: str | None = None,
        memory_limit: int | str | None = None,
        cluster: Any = None,
    ) -> None:
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.memory_limit = memory_limit
        self.cluster = cluster

    @sk.fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None) -> LogisticRegression:
        """Fit to the samples in the rows of ``X``.

        Parameters
        ----------
        X : table or float[n, p]
            Or a source or table of `xpgrad.data`, read by parts, with the bits of the same samples in memory.
        y : array[n]
            Classes: numbers or text. Of a table of `xpgrad.data` also the name of a column.
        sample_weight : float[n], optional
        offset : float[n] or float[n, k], optional
            Added to the linear predictor with a coefficient of 1.
        """
        arrival, design, y = self._read(X, y, fit=True, numeric_y=False)
        weights = self._weights(sample_weight, design)
        if is_source(y):
            self.classes_, codes = classes_of(y, self.memory_limit)
        else:
            sk.check_classification_targets(y)
            self.classes_, codes = np.unique(y, return_inverse=True)
        k = len(self.classes_)
        if k < 2:
            raise ValueError(
                "LogisticRegression needs at least 2 classes, and y has only one class: "
                f"{self.classes_.tolist()[0]!r}"
            )
        weights = self._class_weights(y, codes, weights, design.numbers.dtype)
        family = families.logistic if k == 2 else families.softmax
        wanted = design.numbers.dtype if k == 2 else np.dtype(np.int32)
        target = converted(codes, wanted) if is_source(codes) else codes.astype(wanted)
        total = len(codes) if weights is None else float(weights.sum())
        strength = 0.0 if self.penalty is None else 1 / (self.C * total)
        share = {"l1": 1.0, "l2": 0.0}.get(self.penalty or "", float(self.l1_ratio))
        found = self._fit_predictor(
            arrival,
            design,
            target,
            family,
            weights=weights,
            offset=self._offset(offset, None, design, 1 if k == 2 else k),
            outputs=1 if k == 2 else k,
            l2=strength * (1 - share),
            l1=strength * share,
        )
        if strength == 0:
            self._say_if_separable(found, design, codes, weights)
        return self

    def _class_weights(self, y: Any, codes: Any, weights: Any, dtype: Any) -> Any:
        """The weights of the samples times those of their classes."""
        if self.class_weight is None:
            return weights
        given = {"y": y, "sample_weight": weights}
        if is_source(codes):  # a sample of each class, which weighs as much as all of it
            given = {"y": self.classes_, "sample_weight": counts_of(codes, weights, len(self.classes_))}
        of_class = sk.compute_class_weight(self.class_weight, classes=self.classes_, **given)
        of_sample = of_class.astype(dtype)[host(codes)]
        return of_sample if weights is None else weights * of_sample

    def _follow(self, arrival: Any, coef: Any, intercept: Any) -> None:
        super()._follow(arrival, np.atleast_2d(coef), np.atleast_1d(intercept))

    def _say_if_separable(self, found: Any, design: Any, codes: Any, weights: Any) -> None:
        """Warn if the fitted hyperplanes tell all samples apart: then no finite coefficients are the best."""
        for at, eta in self._eta_of(found, design):
            own = codes.read(at.start, at.stop) if is_source(codes) else codes[at]
            if eta.ndim == 1:
                apart = np.where(own == 1, eta > 0, eta < 0)
            else:
                apart = (eta < np.take_along_axis(eta, own[:, None], axis=1)).sum(axis=1) == eta.shape[1] - 1
            if weights is not None:
                apart = apart | (weights[at] == 0)
            if not apart.all():
                return
        if design.size:
            warnings.warn(
                "LogisticRegression: the classes are separable, so that without a penalty the coefficients "
                "grow without bound; these are where the fit ended. A penalty (a finite C) makes them finite",
                sk.ConvergenceWarning,
                stacklevel=3,
            )

    # ── predicting ───────────────────────────────────────────────────────────────────────────
    def decision_function(self, X: Any, *, offset: Any = None) -> Any:
        """The linear predictor: float[n] of two classes, float[n, k] of more."""
        arrival, eta = self._eta(X, "decision_function", offset)
        return arrival.follow(asnumpy(eta))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of right classes."""
        return float(super().score(X, in_memory(X, y), sample_weight))

    def predict(self, X: Any, *, offset: Any = None) -> Any:
        """The class of the largest probability, for each sample."""
        arrival, eta = self._eta(X, "predict", offset)
        eta = asnumpy(eta)
        chosen = (eta > 0).astype(int) if eta.ndim == 1 else eta.argmax(axis=1)
        return arrival.follow(self.classes_[chosen])

    def predict_proba(self, X: Any, *, offset: Any = None) -> Any:
        """The probability of each class, float[n, k]."""
        arrival, eta = self._eta(X, "predict_proba", offset)
        if eta.ndim == 1:
            p = asnumpy(families.logistic.mean(eta))
            return arrival.follow(np.stack([asnumpy(families.logistic.mean(-eta)), p], axis=1))
        return arrival.follow(asnumpy(families.softmax.mean(eta)))

    def predict_log_proba(self, X: Any, *, offset: Any = None) -> Any:
        """The logarithm of the probability of each class, float[n, k]."""
        arrival, eta = self._eta(X, "predict_log_proba", offset)
        eta = asnumpy(eta)
        if eta.ndim == 1:
            return arrival.follow(np.stack([-np.logaddexp(0, eta), -np.logaddexp(0, -eta)], axis=1))
        return arrival.follow(special.log_softmax(eta, axis=1))

    # ── inference ────────────────────────────────────────────────────────────────────────────
    def _scored(self) -> Any:
        return families.logistic if len(self.classes_) == 2 else families.softmax

    def _is_penalised(self) -> bool:
        return self.penalty is not None and bool(np.isfinite(self.C))

    def _numbers_of(self, y: Any) -> Any:
        y = sk.column_or_1d(host(y))
        known = np.isin(y, self.classes_)
        if not known.all():
            raise ValueError(f"y has classes that are not among {self.classes_!r}: {np.unique(y[~known])!r}")
        if len(self.classes_) > 2:
            return np.searchsorted(self.classes_, y).astype(np.int32)
        return (y == self.classes_[1]).astype(np.float64)
