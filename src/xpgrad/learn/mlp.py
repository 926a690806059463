"""Networks of dense layers: the losses are those of the linear models."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad import special
from xpgrad.devices import asnumpy
from xpgrad.learn import _sklearn as sk
from xpgrad.learn import families
from xpgrad.learn.families import Family
from xpgrad.learn.network import Network


class MLPClassifier(sk.ClassifierMixin, Network):
    """A network of dense layers with the loss of logistic regression.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
    activation : {"identity", "logistic", "tanh", "relu"}
    solver : {"adam", "sgd", "lbfgs"}
        "sgd" has momentum; "lbfgs" takes all samples in each step.
    alpha : float
        The strength of the penalty on the squares of the weights, ``alpha / (2 n)``.
    batch_size : int or "auto"
        "auto" is 200, or all samples if there are fewer.
    learning_rate : {"constant", "cosine", "invscaling"} or callable
        "cosine" falls to 0 in ``max_iter`` passes; "invscaling" is ``learning_rate_init / (samples seen + 1) **
        power_t``, by passes; a callable maps the steps done to the rate of the next. Unused by "lbfgs".
    learning_rate_init : float
    warmup_iter : int
        Passes in which the rate first rises, linearly.
    power_t : float
    max_iter : int
        Passes over the data; with "lbfgs", steps.
    random_state : int, RandomState or None
        Of the weights to begin with, and the order of the samples.
    tol : float
        A pass that lowers the loss by less has not improved it; for "lbfgs", the largest entry of the gradient.
    warm_start : bool
    momentum : float
        Of "sgd".
    nesterovs_momentum : bool
    early_stopping : bool
        Whether to watch the loss of samples held out, and to end with the weights at its best.
    validation_fraction : float
        The share of those samples.
    n_iter_no_change : int
        Passes without improvement after which the fit ends.
    checkpoint : path, optional
        As in `LogisticRegression`; of `fit`, not of `partial_fit`. With ``early_stopping`` give a
        ``random_state``, which chooses the samples held out.
    device : str
        ``"cpu"``, ``"gpu"``, ``"gpu:1"``, or ``"auto"``: where the fit is expected to end first, by measured
        rates, with the copy of ``X``; a prediction is where its ``X`` is.
    dtype : {"float32", "float64"}, optional
        By default float32 stays float32, and all else is float64.

    Attributes
    ----------
    classes_ : array[k]
    coefs_, intercepts_ : list of arrays
        One for each layer: float[inputs, outputs] and float[outputs].
    loss_ : float
    loss_curve_ : list of float
        Of each pass.
    n_iter_ : int
    device_, device_reason_ : str

    Raises
    ------
    ValueError
        NaN or infinity; an option out of range; a loss that becomes infinite.
    """

    def _family(self) -> Family:
        return families.logistic if len(self.classes_) <= 2 else families.softmax

    def _targets(self, y: Any, dtype: Any) -> tuple[Any, int]:
        codes = np.searchsorted(self.classes_, y)
        wrong = self.classes_[np.minimum(codes, len(self.classes_) - 1)] != y
        if wrong.any():
            raise ValueError(f"y has classes that are not among {self.classes_!r}: {np.unique(y[wrong])!r}")
        k = len(self.classes_)
        return (codes.astype(dtype), 1) if k <= 2 else (codes.astype(np.int32), k)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Go on for one pass over the samples in the rows of ``X``; ``classes`` are all there will be."""
        fitted: MLPClassifier = self._partial(X, y, sample_weight, classes)
        return fitted

    def predict(self, X: Any) -> Any:
        """The class of the largest probability, for each sample."""
        arrival, eta = self._eta(X)
        eta = asnumpy(eta)
        chosen = (eta > 0).astype(int) if eta.ndim == 1 else eta.argmax(axis=1)
        return arrival.follow(self.classes_[np.minimum(chosen, len(self.classes_) - 1)])

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, float[n, k]."""
        arrival, eta = self._eta(X)
        if len(self.classes_) == 1:
            return arrival.follow(np.ones((len(eta), 1)))
        if eta.ndim == 1:
            return arrival.follow(asnumpy(np.stack([special.expit(-eta), special.expit(eta)], axis=1)))
        return arrival.follow(asnumpy(special.softmax(eta, axis=1)))

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of the probability of each class, float[n, k]."""
        return np.log(self.predict_proba(X))


class MLPRegressor(sk.RegressorMixin, Network):
    """A network of dense layers with the squared loss, ``(y - z)² / 2``, or its mean over several targets.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, warmup_iter
        As in `MLPClassifier`.
    power_t, max_iter, random_state, tol, warm_start, momentum, nesterovs_momentum, early_stopping
        As in `MLPClassifier`.
    validation_fraction, n_iter_no_change, checkpoint, device, dtype
        As in `MLPClassifier`.

    Attributes
    ----------
    coefs_, intercepts_, loss_, loss_curve_, n_iter_, device_, device_reason_
        As in `MLPClassifier`.
    """

    _many = False  # targets

    def _family(self) -> Family:
        return families.normals if self._many else families.normal

    def _targets(self, y: Any, dtype: Any) -> tuple[Any, int]:
        if y.ndim == 2 and y.shape[1] == 1:
            y = sk.column_or_1d(y, warn=True)
        y = np.asarray(y, dtype=dtype)
        self._many = y.ndim == 2
        return y, y.shape[1] if self._many else 1

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Go on for one pass over the samples in the rows of ``X``."""
        fitted: MLPRegressor = self._partial(X, y, sample_weight, None)
        return fitted

    def predict(self, X: Any) -> Any:
        """The expected target of each sample, float[n], or targets, float[n, k]."""
        arrival, eta = self._eta(X)
        return arrival.follow(asnumpy(eta))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
