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
from xpgrad.devices import asnumpy, to_device
from xpgrad.learn import _sklearn as sk
from xpgrad.learn.files import Saved
from xpgrad.learn.places import arrived, chosen_device, host
from xpgrad.optim import minimize


class _Predict:
    """The method `predict` of a class with a parameter of that name: the function given is kept beside it."""

    def __get__(self, model: Any, owner: Any = None) -> Any:
        return Model._predict if model is None else model._predict

    def __set__(self, model: Any, function: Any) -> None:
        vars(model)["predict"] = function


class Model(sk.RegressorMixin, Saved, sk.BaseEstimator):
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
        ``predict(params, X)``, the prediction for each row.
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
    device : str
        ``"cpu"``, ``"gpu"``, ``"gpu:1"``, or ``"auto"``: where ``X`` is.
    dtype : {"float32", "float64"}, optional
        By default float32 stays float32, and all else is float64.

    Attributes
    ----------
    params_ : tree
        NumPy arrays in the structure of ``init``.
    loss_ : float
        The mean loss there, with the penalty.
    n_iter_ : int
    message_ : str
        How the fit ended.
    device_ : str

    Raises
    ------
    ShapeError
        The loss is neither a scalar nor one number for each sample.
    DataError
        Sample weights for a loss that is a scalar.

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

    _parameter_constraints = {
        "loss": [callable],
        "init": "no_validation",
        "predict": [callable],
        "penalty": [callable, None],
        "method": [str],
        "max_iter": [sk.Interval(Integral, 1, None, closed="left")],
        "tol": [sk.Interval(Real, 0, None, closed="left")],
        "batch_size": [sk.Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [sk.Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "checkpoint": [str, PathLike, None],
        "device": [str],
        "dtype": [sk.StrOptions({"float32", "float64"}), None],
    }

    def __init__(
        self,
        loss: Callable[..., Any],
        init: Any,
        predict: Callable[..., Any],
        *,
        penalty: Callable[..., Any] | None = None,
        method: str = "lbfgs",
        max_iter: int = 1000,
        tol: float = 1e-6,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        device: str = "auto",
        dtype: str | None = None,
    ) -> None:
        self.loss = loss
        self.init = init
        self.predict = predict
        self.penalty = penalty
        self.method = method
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {**super().get_params(deep), "predict": vars(self)["predict"]}

    @sk.fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Model:
        """Fit to the samples in the rows of ``X``.

        Parameters
        ----------
        X : float[n, p]
        y : float[n]
        sample_weight : float[n], optional
        """
        arrival = arrived(X, "Model")
        dtype = [np.float64, np.float32] if self.dtype is None else np.dtype(self.dtype)
        X, y = sk.validate_data(self, arrival.X, host(y), dtype=dtype, y_numeric=True, multi_output=False)
        y = np.asarray(y, dtype=X.dtype)
        data = {"X": X, "y": y}
        if sample_weight is not None:
            w = sk.check_sample_weight(host(sample_weight), X, dtype=X.dtype, ensure_non_negative=True)
            data["w"] = w / w.mean()
        if self.warm_start and hasattr(self, "params_"):
            start: Any = self.params_
        else:
            start = self.init(X, y) if callable(self.init) else self.init
        start = tree_map(lambda p: np.array(p, dtype=X.dtype), start)
        self.device_ = chosen_device(self.device, arrival.device)
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
        )
        self.params_ = asnumpy(fit.params)
        self.loss_, self.n_iter_, self.message_ = fit.value, max(fit.n_iter, 1), fit.message
        if not all(np.isfinite(p).all() for p in flatten(self.params_)[0]):
            raise DataError(message(f"Model: the fit ended with parameters that are not finite: {fit.message}"))
        if not fit.converged:
            warnings.warn(f"Model did not converge: {fit.message}", sk.ConvergenceWarning, stacklevel=2)
        return self

    def _predict(self, X: Any) -> Any:
        """What the function ``predict`` gives for the rows of ``X``."""
        sk.check_is_fitted(self)
        arrival = arrived(X, "Model")
        X = sk.validate_data(self, arrival.X, dtype=[np.float64, np.float32], reset=False)
        device = chosen_device(self.device, arrival.device)
        params, X = to_device((self.params_, X), device)
        return arrival.follow(asnumpy(vars(self)["predict"](params, X)))


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
