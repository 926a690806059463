"""A network of dense layers, fitted by the loss of a family."""

from __future__ import annotations

import warnings
from itertools import pairwise
from math import sqrt
from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np

from xpgrad._trees import flatten
from xpgrad.devices import asnumpy, to_device, using
from xpgrad.devices.sparse import csr_on, is_sparse
from xpgrad.learn import _sklearn as sk
from xpgrad.learn.checked import validated
from xpgrad.learn.columns import Design
from xpgrad.learn.families import Family
from xpgrad.learn.files import Saved
from xpgrad.learn.layers import ACTIVATIONS, first_weights, forward, onward
from xpgrad.learn.linear import at_least
from xpgrad.learn.passes import Progress, fit_in_passes
from xpgrad.learn.places import Arrival, arrived, chosen_device, host
from xpgrad.learn.watch import callback
from xpgrad.learn.where import choose_device
from xpgrad.optim import Optimizer, adam, cosine, minimize, momentum, warmup
from xpgrad.optim.batches import Batches
from xpgrad.optim.checkpoints import kept_in
from xpgrad.optim.evaluation import Objective
from xpgrad.optim.linear.products import ThroughProducts, minimize_through_products
from xpgrad.optim.schedules import inverse_scaling


class Network(Saved, sk.BaseEstimator):
    """A network that is fitted by the loss of a family."""

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", at_least(1, Integral)],
        "activation": [sk.StrOptions(set(ACTIVATIONS))],
        "solver": [sk.StrOptions({"lbfgs", "sgd", "adam"})],
        "learning_rate": [sk.StrOptions({"constant", "cosine", "invscaling"}), callable],
        "warmup_iter": [at_least(0, Integral)],
        "power_t": [at_least(0)],
        "alpha": [at_least(0)],
        "batch_size": [sk.StrOptions({"auto"}), at_least(1, Integral)],
        "learning_rate_init": [at_least(0, Real, "neither")],
        "max_iter": [at_least(1, Integral)],
        "random_state": ["random_state"],
        "tol": [at_least(0)],
        "warm_start": ["boolean"],
        "momentum": [sk.Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [sk.Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [at_least(1, Integral)],
        "checkpoint": [str, PathLike, None],
        "device": [str],
        "dtype": [sk.StrOptions({"float32", "float64"}), None],
    }

    coefs_: list[Any]
    intercepts_: list[Any]

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        warmup_iter: int = 0,
        power_t: float = 0.5,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        checkpoint: Any = None,
        device: str = "auto",
        dtype: str | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.warmup_iter = warmup_iter
        self.power_t = power_t
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype

    def _family(self) -> Family:
        raise NotImplementedError

    def _targets(self, y: Any, dtype: Any) -> tuple[Any, int]:
        """The targets as the loss takes them, and the number of outputs of the network."""
        raise NotImplementedError

    # ── fitting ──────────────────────────────────────────────────────────────────────────────
    @sk.fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit to the samples in the rows of ``X``.

        Parameters
        ----------
        X : float[n, p]
        y : array[n], or float[n, k] of several targets
        sample_weight : float[n], optional
        """
        arrival, X, y, weights = self._read(X, y, sample_weight, reset=True)
        if not isinstance(self, sk.RegressorMixin):
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                name, only = type(self).__name__, self.classes_.tolist()[0]
                raise ValueError(f"{name} needs at least 2 classes, and y has only one class: {only!r}")
        going_on = self.warm_start and hasattr(self, "coefs_")
        data, layers = self._begin(X, y, weights, fresh=not going_on)
        self._choose(arrival, X, self.max_iter)
        if self.solver == "lbfgs":
            self._by_lbfgs(layers, data)
        else:
            self._by_batches(layers, data)
        return self

    @sk.fit_context(prefer_skip_nested_validation=True)
    def _partial(self, X: Any, y: Any, sample_weight: Any, classes: Any) -> Any:
        if self.solver == "lbfgs":
            raise AttributeError('partial_fit needs the solver "adam" or "sgd"')
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_")
        arrival, X, y, weights = self._read(X, y, sample_weight, reset=first)
        if not isinstance(self, sk.RegressorMixin):
            if first and classes is None:
                raise ValueError("classes must be given at the first call of partial_fit")
            if first:
                self.classes_ = np.unique(classes)
            elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(f"classes are {classes!r}, and were {self.classes_!r} at the first call")
        data, layers = self._begin(X, y, weights, fresh=first)
        self._choose(arrival, X, 1)
        self._by_batches(layers, data, passes=1)
        return self

    def _read(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Arrival, Any, Any, Any]:
        arrival = arrived(X, type(self).__name__, sparse=True)
        dtype = [np.float64, np.float32] if self.dtype is None else np.dtype(self.dtype)
        numeric = isinstance(self, sk.RegressorMixin)
        X, y = validated(
            self,
            arrival.X,
            host(y),
            categories=False,
            accept_sparse="csr",
            dtype=dtype,
            y_numeric=numeric,
            multi_output=numeric,
            reset=reset,
        )
        if not numeric:
            sk.check_classification_targets(y)
        weights = None
        if sample_weight is not None:
            weights = sk.check_sample_weight(host(sample_weight), X, dtype=X.dtype, ensure_non_negative=True)
        return arrival, X, y, weights

    def _choose(self, arrival: Arrival, X: Any, passes: int) -> None:
        size = Design(X).nbytes
        self.device_, self.device_reason_ = choose_device(self.device, arrival.device, size, passes)

    def _begin(self, X: Any, y: Any, weights: Any, *, fresh: bool) -> tuple[dict[str, Any], Any]:
        """The data of the loss, and the layers to begin with."""
        target, outputs = self._targets(y, X.dtype)
        data = {"X": X, "y": target}
        if weights is not None:
            data["w"] = weights / weights.mean()
        # The penalty is of the mean over the samples that the weights stand for.
        self._total = float(len(y) if weights is None else weights.sum())
        if not fresh:
            if outputs != self.n_outputs_:
                raise ValueError(f"y has {outputs} targets, and had {self.n_outputs_} at the first fit")
            return data, tuple(zip(self.coefs_, self.intercepts_, strict=True))
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes))
        if sizes.size and (sizes <= 0).any():
            raise ValueError(f"hidden_layer_sizes must be > 0, got {self.hidden_layer_sizes}")
        self._random = sk.check_random_state(self.random_state)
        self._state: Any = None
        self.loss_curve_: list[float] = []
        self.n_iter_ = 0
        widths = [X.shape[1], *map(int, sizes), outputs]
        return data, tuple(self._glorot(a, b, X.dtype) for a, b in pairwise(widths))

    def _glorot(self, inputs: int, outputs: int, dtype: Any) -> tuple[Any, Any]:
        """Glorot and Bengio, Understanding the difficulty of training deep networks (2010), section 4.2.1."""
        bound = sqrt((2 if self.activation == "logistic" else 6) / (inputs + outputs))
        W = self._random.uniform(-bound, bound, (inputs, outputs)).astype(dtype)
        return W, self._random.uniform(-bound, bound, outputs).astype(dtype)

    def _loss(self) -> Any:
        """The loss of layers and of the product of ``X`` with the weights of the first."""
        unit, activation = self._family().unit, self.activation
        strength = 0.5 * float(self.alpha) / self._total

        def loss(layers: Any, product: Any, data: Any) -> Any:
            each = unit(onward(layers, product, activation), data["y"])
            value = np.mean(data["w"] * each if "w" in data else each)
            for W, _ in layers:
                value = value + strength * np.sum(W * W)
            return value

        return loss

    def _by_lbfgs(self, layers: Any, data: Any) -> None:
        loss, X = self._loss(), data["X"]
        options: dict[str, Any] = {"tol": self.tol, "max_iter": self.max_iter, "checkpoint": self.checkpoint}
        options["callback"] = callback(self.max_iter)
        if is_sparse(X):
            rest = {k: x for k, x in data.items() if k != "X"}
            X = csr_on(X, self.device_)
            fit = minimize_through_products(loss, layers, X, (rest,), slopes=first_weights, **options)
        else:
            fit = minimize(
                lambda layers, data: loss(layers, data["X"] @ layers[0][0], data),
                layers,
                (data,),
                method="lbfgs",
                device=self.device_,
                sample_axis=0,
                progress=False,
                **options,
            )
        self.n_iter_, self.loss_ = max(fit.n_iter, 1), fit.value
        self._keep(fit.params)
        if not fit.converged:
            self._warn(fit.message)

    def _by_batches(self, layers: Any, data: Any, passes: int | None = None) -> None:
        """Passes over the data until the loss, or that of held-out samples, no longer improves."""
        held = None
        if self.early_stopping and passes is None:
            data, held = self._split(data)
        n = len(data["y"])
        size = min(200, n) if self.batch_size == "auto" else min(int(self.batch_size), n)
        optimizer = self._optimizer(n, -(-n // size))
        path = self.checkpoint if passes is None else None
        with using(self.device_):
            X, rest = csr_on(data["X"], self.device_) if is_sparse(data["X"]) else None, data
            if X is not None:
                rest = {**data, "X": np.arange(n)}
            layers, rest = to_device((layers, rest), self.device_)
            batches = Batches((rest,), size, 0, int(self._random.randint(2**31 - 1)))
            state = optimizer.init(layers) if self._state is None else to_device(self._state, self.device_)
            progress = Progress(layers, state, self.n_iter_, self.loss_curve_)
            told = rest if X is None else (rest, X.data, X.indices)
            with kept_in(path, layers, told, self._facts(size), self.device_) as kept:
                progress, cut = fit_in_passes(
                    self._objective(X, rest),
                    progress,
                    batches,
                    optimizer,
                    passes=passes or self.max_iter,
                    tol=self.tol,
                    patience=self.n_iter_no_change,
                    watched=None if held is None else lambda layers: self._error(layers, held),
                    checkpoint=kept,
                )
        self.n_iter_, self.loss_curve_ = progress.done, progress.losses
        self.loss_ = self.loss_curve_[-1]
        if not np.isfinite(self.loss_):
            raise ValueError(
                f"{type(self).__name__}: the loss is {self.loss_} after {self.n_iter_} passes; scale "
                "the data or lower learning_rate_init"
            )
        if cut and passes is None:
            self._warn(f"the loss was still improving after max_iter={self.max_iter} passes")
        self._state = asnumpy(progress.state)
        self._keep(progress.params if held is None else progress.kept)

    def _objective(self, X: Any, data: Any) -> Any:
        """Value and gradient of a batch; of sparse ``X`` the batch has the rows."""
        loss, name = self._loss(), type(self).__name__
        if X is None:
            dense = lambda layers, data: loss(layers, data["X"] @ layers[0][0], data)  # noqa: E731
            return Objective(dense, (data,), method=name)
        through = ThroughProducts(loss, X, (data,), first_weights)
        return lambda layers, batch: through(layers, X[batch[0]["X"]], batch)

    def _facts(self, size: int) -> dict[str, Any]:
        """What must be the same for a fit to go on from a checkpoint."""
        names = ("solver", "alpha", "activation", "learning_rate", "learning_rate_init", "warmup_iter")
        facts = {"batch_size": size, **{name: getattr(self, name) for name in (*names, "momentum")}}
        return facts | {"max_iter": self.max_iter} if self.learning_rate == "cosine" else facts

    def _optimizer(self, samples: int, per_pass: int) -> Optimizer:
        rate: Any = float(self.learning_rate_init)
        rise = self.warmup_iter * per_pass
        if callable(self.learning_rate):
            rate = self.learning_rate
        elif self.learning_rate == "cosine":
            rate = cosine(rate, max(self.max_iter * per_pass - rise, 1))
        elif self.learning_rate == "invscaling":
            rate = inverse_scaling(rate, self.power_t, per_pass, samples)
        if rise:
            rate = warmup(rate, rise)
        if self.solver == "adam":
            return adam(rate)
        return momentum(rate, float(self.momentum), self.nesterovs_momentum)

    def _split(self, data: Any) -> tuple[Any, Any]:
        """The samples to fit, and those held out."""
        n = len(data["y"])
        order = self._random.permutation(n)
        out = int(np.ceil(self.validation_fraction * n))
        if out < 2 or out >= n:
            raise ValueError(f"validation_fraction={self.validation_fraction} holds out {out} of {n} samples")
        chosen = (order[out:], order[:out])
        kept, held = ({name: x[rows] for name, x in data.items()} for rows in chosen)
        return kept, held

    def _error(self, layers: Any, held: Any) -> float:
        """The mean loss of held-out samples, without the penalty."""
        X = Design(held["X"]).on(self.device_).numbers
        eta = asnumpy(forward(layers, X, self.activation))
        return float(np.average(asnumpy(self._family().losses(eta, held["y"])), weights=held.get("w")))

    def _keep(self, layers: Any) -> None:
        layers = asnumpy(layers)
        if not all(np.isfinite(x).all() for x in flatten(layers)[0]):
            raise ValueError(
                f"{type(self).__name__}: the fit ended with weights that are not finite; scale the data"
            )
        self.coefs_ = [W for W, _ in layers]
        self.intercepts_ = [b for _, b in layers]
        self.n_layers_ = len(layers) + 1
        self.n_outputs_ = layers[-1][0].shape[1]

    def _warn(self, text: str) -> None:
        warnings.warn(f"{type(self).__name__} did not converge: {text}", sk.ConvergenceWarning, stacklevel=4)

    # ── predicting ───────────────────────────────────────────────────────────────────────────
    def _eta(self, X: Any) -> tuple[Arrival, Any]:
        sk.check_is_fitted(self)
        arrival = arrived(X, type(self).__name__, sparse=True)
        dtype = [np.float64, np.float32] if self.dtype is None else np.dtype(self.dtype)
        X = validated(self, arrival.X, categories=False, accept_sparse="csr", dtype=dtype, reset=False)
        layers = tuple(zip(self.coefs_, self.intercepts_, strict=True))
        device = chosen_device(self.device, arrival.device)
        layers, design = to_device(layers, device), Design(X).on(device)
        return arrival, forward(layers, design.numbers, self.activation)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
