"""An estimator of any loss written in NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np

from xpgrad._errors import DataError, ShapeError, message
from xpgrad._trees import flatten, tree_map
from xpgrad.data.derived import converted
from xpgrad.devices import asnumpy, to_device
from xpgrad.devices.door import is_source
from xpgrad.learn import _sklearn as sk
from xpgrad.learn.columns import Design
from xpgrad.learn.files import Saved
from xpgrad.learn.places import Arrival, chosen_device, host
from xpgrad.learn.reading import Reading
from xpgrad.learn.streamed import blocks, classes_of, in_memory
from xpgrad.optim import minimize

# Passes over the data that a fit is expected to take, for the choice of a device.
_PASSES = 100


class _Predict:
    """The method `predict` of a class with a parameter of that name: the function given is kept beside it."""

    def __get__(self, model: Any, owner: Any = None) -> Any:
        return Model._predict if model is None else model._predict

    def __set__(self, model: Any, function: Any) -> None:
        vars(model)["predict"] = function


class Model(Reading, Saved, sk.BaseEstimator):
    """An estimator of a loss of your own.

    Parameters
    ----------
    loss : callable
        ``loss(params, X, y)``, in plain NumPy, with samples in rows: the loss of each sample, float[n], of
        which the (weighted) mean is minimised; or that mean itself, a scalar, which then takes no sample
        weights.
    init : tree or callable
        Where the parameters begin: a tree of arrays, or ``init(X, y)`` that gives one.
    predict : callable
        ``predict(params, X)``, the prediction for each row. Of a classification: probabilities, float[n] of
        the second of two classes, or float[n, k].
    task : {"regression", "classification"}
        In a classification ``y`` may be numbers or text; the loss is given the position of each class in
        ``classes_``: 0.0 or 1.0 of two classes, int32 of more.
    penalty : callable, optional
        ``penalty(params)``, a scalar that is added to the mean loss.
    method : str
        As in `xpgrad.minimize`.
    max_iter : int
    tol : float
        For the largest entry of the gradient.
    batch_size : int, optional
        With a first-order method.
    learning_rate : float, optional
    random_state : int, RandomState or None
        The seed of the order of the samples in minibatches.
    warm_start : bool
        Begin where the last fit ended.
    checkpoint : path, optional
        As in `xg.minimize`: a file from which a fit that was broken off goes on. It is of one fit: data of
        another one, as in a cross-validation, are refused.
    categorical_features : sequence of int, str or bool, optional
        Columns to read as categories, besides those whose type says so. Where there are any, the functions are
        given ``X.numbers``, float[n, p], and ``X.codes``, one int32[n] for each of them, in place of an array;
        at the fit a code runs up to the number of levels less 1.
    device : str
        ``"cpu"``, ``"gpu"``, ``"gpu:1"``, or ``"auto"``: where the fit is expected to end first, by measured
        rates, with the copy of ``X``; a prediction is where its ``X`` is.
    dtype : {"float32", "float64"}, optional
        By default float32 stays float32, and all else is float64.
    memory_limit, cluster : optional
        As in `xg.minimize`, where ``X`` is a source or a table of `xpgrad.data`. The cluster is not saved.

    Attributes
    ----------
    classes_ : array[k]
        Of a classification.
    params_ : tree
        NumPy arrays in the structure of ``init``.
    loss_ : float
        The mean loss there, with the penalty.
    n_iter_ : int
    message_ : str
        How the fit ended.
    device_, device_reason_ : str

    Raises
    ------
    ShapeError
        The loss is neither a scalar nor one number for each sample; probabilities that are not as above.
    DataError
        Sample weights for a loss that is a scalar; categories that are missing, or were not seen at fit.

    Examples
    --------
    >>> import numpy as np
    >>> import xpgrad as xg
    >>> def loss(w, X, y):
    ...     return np.log(np.cosh(y - X @ w))
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> model = xg.learn.Model(loss, init=np.zeros(2), predict=lambda w, X: X @ w)
    >>> np.round(model.fit(X, X @ [2.0, -1.0]).params_, 3)
    array([ 2., -1.])
    """

    predict = _Predict()
    params_: Any
    handle_unknown = "error"
    _may_ignore = False

    _parameter_constraints = {
        "loss": [callable],
        "init": "no_validation",
        "predict": [callable],
        "task": [sk.StrOptions({"regression", "classification"})],
        "penalty": [callable, None],
        "method": [str],
        "max_iter": [sk.Interval(Integral, 1, None, closed="left")],
        "tol": [sk.Interval(Real, 0, None, closed="left")],
        "batch_size": [sk.Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [sk.Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "checkpoint": [str, PathLike, None],
        "categorical_features": ["array-like", None],
        "device": [str],
        "dtype": [sk.StrOptions({"float32", "float64"}), None],
        "memory_limit": [Integral, str, None],
        "cluster": "no_validation",
    }

    def __init__(
        self,
        loss: Callable[..., Any],
        init: Any,
        predict: Callable[..., Any],
        *,
        task: str = "regression",
        penalty: Callable[..., Any] | None = None,
        method: str = "lbfgs",
        max_iter: int = 1000,
        tol: float = 1e-6,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        categorical_features: Any = None,
        device: str = "auto",
        dtype: str | None = None,
        memory_limit: int | str | None = None,
        cluster: Any = None,
    ) -> None:
        self.loss = loss
        self.init = init
        self.predict = predict
        self.task = task
        self.penalty = penalty
        self.method = method
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.categorical_features = categorical_features
        self.device = device
        self.dtype = dtype
        self.memory_limit = memory_limit
        self.cluster = cluster

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {**super().get_params(deep), "predict": vars(self)["predict"]}

    @sk.fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Model:
        """Fit to the samples in the rows of ``X``.

        Parameters
        ----------
        X : table or float[n, p]
        y : array[n]
        sample_weight : float[n], optional
        """
        classifies = self.task == "classification"
        arrival, design, y = self._read(X, y, fit=True, numeric_y=not classifies)
        dtype = design.numbers.dtype
        y = self._codes(y, dtype) if classifies else y if is_source(y) else np.asarray(y, dtype=dtype)
        X = _as_given(design)
        data = {"X": X, "y": y}
        w = self._weights(sample_weight, design)
        if w is not None:
            data["w"] = w / w.mean()
        if self.warm_start and hasattr(self, "params_"):
            start: Any = self.params_
        else:
            start = self.init(X, y) if callable(self.init) else self.init
        start = tree_map(lambda p: np.array(p, dtype=dtype), start)
        passes = min(self.max_iter, _PASSES)
        self.device_, self.device_reason_ = self._chosen_device(arrival, design, passes)
        seed = sk.check_random_state(self.random_state).randint(2**31 - 1)
        fit = minimize(
            _mean_loss(self.loss, self.penalty),
            start,
            (data,),
            method=self.method,
            device=self.device_,
            max_iter=self.max_iter,
            tol=self.tol,
            batch_size=None if self.batch_size is None else min(self.batch_size, len(y)),
            sample_axis=0,
            learning_rate=self.learning_rate,
            seed=int(seed),
            progress=False,
            checkpoint=self.checkpoint,
            memory_limit=self.memory_limit,
            cluster=self.cluster,
        )
        self.params_ = asnumpy(fit.params)
        self.loss_, self.n_iter_, self.message_ = fit.value, max(fit.n_iter, 1), fit.message
        if not all(np.isfinite(p).all() for p in flatten(self.params_)[0]):
            raise DataError(message(f"Model: the fit ended with parameters that are not finite: {fit.message}"))
        if not fit.converged:
            warnings.warn(f"Model did not converge: {fit.message}", sk.ConvergenceWarning, stacklevel=2)
        return self

    def _codes(self, y: Any, dtype: Any) -> Any:
        """The position of each class in ``classes_``, which are learnt."""
        if is_source(y):
            self.classes_, codes = classes_of(y, self.memory_limit)
            return converted(codes, self._code_dtype(dtype))
        sk.check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        return codes.astype(self._code_dtype(dtype))

    def _code_dtype(self, dtype: Any) -> Any:
        if len(self.classes_) < 2:
            only = self.classes_.tolist()[0]
            raise ValueError(f"Model needs at least 2 classes, and y has only one class: {only!r}")
        return np.dtype(dtype if len(self.classes_) == 2 else np.int32)

    def _output(self, X: Any) -> tuple[Arrival, Any]:
        """What the function ``predict`` gives for the rows of ``X``, on the host."""
        sk.check_is_fitted(self)
        arrival, design, _ = self._read(X, fit=False)
        if design.is_streamed:
            parts = blocks([design.numbers, *design.codes], self.memory_limit)
            found = [
                asnumpy(vars(self)["predict"](self.params_, _as_given(Design(x, tuple(codes)))))
                for _, _, (x, *codes) in parts
            ]
            return arrival, np.concatenate(found)
        device = chosen_device(self.device, arrival.device)
        params, X = to_device((self.params_, _as_given(design)), device)
        return arrival, asnumpy(vars(self)["predict"](params, X))

    def _predict(self, X: Any) -> Any:
        """What the function ``predict`` gives for the rows of ``X``; the most probable class of each."""
        arrival, out = self._output(X)
        if self.task != "classification":
            return arrival.follow(out)
        p = self._probabilities(out)
        return arrival.follow(self.classes_[p.argmax(axis=1)])

    @sk.available_if(lambda self: self.task == "classification")
    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, float[n, k]."""
        arrival, out = self._output(X)
        return arrival.follow(self._probabilities(out))

    def _probabilities(self, out: Any) -> Any:
        k = len(self.classes_)
        if np.ndim(out) == 1 and k == 2:
            return np.stack([1 - out, out], axis=1)
        if np.ndim(out) == 2 and out.shape[1] == k:
            return out
        raise ShapeError(
            message(
                f"Model: predict must give the probability of each of {k} classes, (n, {k})"
                + (", or of the second one, (n,)" if k == 2 else ""),
                {"got": out},
            )
        )

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of right classes; of a regression the share of the variance that is explained, R²."""
        from sklearn.metrics import accuracy_score, r2_score

        measure = accuracy_score if self.task == "classification" else r2_score
        found = host(self._predict(X))
        return float(measure(host(in_memory(X, y)), found, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        classifies = self.task == "classification"
        tags.estimator_type = "classifier" if classifies else "regressor"
        tags.classifier_tags = sk.ClassifierTags() if classifies else None
        tags.regressor_tags = None if classifies else sk.RegressorTags()
        tags.target_tags.required = True
        return tags


def _as_given(design: Design) -> Any:
    """What the user's functions are given: an array, or a `Design` where there are categories."""
    return design if design.codes else design.numbers


def _mean_loss(loss: Callable[..., Any], penalty: Callable[..., Any] | None) -> Callable[..., Any]:
    """The function of parameters and data that `minimize` takes."""

    def mean(params: Any, data: Any) -> Any:
        X, y = data["X"], data["y"]
        each = loss(params, X, y)
        shape = np.shape(each)
        if shape not in ((), (len(y),)):
            raise ShapeError(
                message(
                    f"Model: the loss of {len(y)} samples must be a scalar or an array of shape ({len(y)},)",
                    {"loss": each, "y": y},
                )
            )
        if "w" in data:
            if not shape:
                raise DataError(
                    message(
                        "Model: sample_weight needs the loss of each sample, and the loss is a scalar",
                        remedy="leave the mean out of the loss",
                    )
                )
            each = data["w"] * each
        value = np.mean(each) if shape else each
        return value if penalty is None else value + penalty(params)

    return mean
