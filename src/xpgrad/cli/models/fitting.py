"""Fit an estimator of `xpgrad.learn` to a design, and watch it.

In:  Options, the design and the targets of the rows of training.
Out: the fitted estimator, and how it went.
Holds: ``penalty`` has one meaning for all models: the sum of the losses plus ``penalty / 2 |coef|²`` is
minimised, numbers being standardised.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpgrad import learn
from xpgrad._errors import DataError, XpgradError, message
from xpgrad.cli.frames import listed
from xpgrad.cli.models.targets import CLASSES, Target
from xpgrad.cli.models.watch import Watch
from xpgrad.cli.problem import Array
from xpgrad.learn._sklearn import ConvergenceWarning
from xpgrad.learn.watch import watching

# Where no penalty is asked for. That of the network is its estimator's default.
PENALTIES = {"softmax": 1.0, "ridge": 1.0, "mlp": 1e-4}
Frames = Callable[[], Iterable[tuple[Any, Array]]]
TOLERANCE = 1e-8  # for the largest entry of the gradient of the mean loss


@dataclass(frozen=True)
class Options:
    """What is fitted, and how.

    Attributes
    ----------
    model : str
        One of `targets.MODELS`.
    penalty : float or None
        None is the model's own.
    power : float
        Of "tweedie".
    hidden : tuple of int
        The widths of the hidden layers of "mlp".
    max_iter : int or None
    seed : int
    device : str
        ``"cpu"``, ``"gpu"``, ...
    memory_limit, cluster
        As in `xpgrad.minimize`, for a table that is read by parts.
    """

    model: str
    penalty: float | None = None
    power: float = 1.5
    hidden: tuple[int, ...] = (100,)
    max_iter: int | None = None
    seed: int = 0
    device: str = "cpu"
    memory_limit: str | None = None
    cluster: Any = None

    @property
    def strength(self) -> float:
        return PENALTIES.get(self.model, 0.0) if self.penalty is None else self.penalty


def estimator(options: Options, target: Target, rows: int) -> Any:
    """The estimator, not yet fitted, for so many rows."""
    # A Hessian of several classes costs more than the L-BFGS iterations that it saves.
    solver = "lbfgs" if len(target.classes) > 2 else "auto"
    most = options.max_iter or {"mlp": 200}.get(options.model, 1000 if solver == "lbfgs" else 100)
    strength = options.strength
    if options.model == "mlp":
        network = learn.MLPClassifier if target.kind == CLASSES else learn.MLPRegressor
        return network(
            options.hidden,
            alpha=strength,
            max_iter=most,
            random_state=options.seed,
            dtype="float32",
            device=options.device,
        )
    common: dict[str, Any] = {"handle_unknown": "ignore", "device": options.device}
    common |= {"max_iter": most, "tol": TOLERANCE, "solver": solver}
    common |= {"memory_limit": options.memory_limit, "cluster": options.cluster}
    if target.kind == CLASSES:
        return learn.LogisticRegression(
            "l2" if strength else None, C=1 / strength if strength else np.inf, **common
        )
    if options.model == "linear" and not strength:
        return learn.LinearRegression(**common)
    if options.model in ("linear", "ridge"):
        return learn.Ridge(strength, **common)
    if options.model == "tweedie":
        return learn.TweedieRegressor(power=options.power, alpha=strength / rows, **common)
    glm = {"poisson": learn.PoissonRegressor, "gamma": learn.GammaRegressor}[options.model]
    return glm(alpha=strength / rows, **common)


def fit(
    options: Options, target: Target, design: Any, y: Array, frames: Frames | None = None
) -> tuple[Any, dict[str, Any]]:
    """Fit, and say how it went.

    Parameters
    ----------
    design : pandas.DataFrame, or table of sources
        Of the rows of training.
    y : float[k] or labels[k]
    frames : callable, optional
        The design in parts, each with its targets; by default it is one part.

    Returns
    -------
    model : estimator
        Its parameter ``device`` is ``"auto"``, so that it predicts wherever it is loaded.
    record : dict
        With ``loss`` by iteration, and ``converged``.
    """
    model = estimator(options, target, len(y))
    X = one_hot(design) if options.model == "mlp" else design
    watch = Watch("train")
    begun = time.perf_counter()
    with warnings.catch_warnings(record=True) as said, watching(watch.note), watch:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
        except XpgradError:
            raise
        except ValueError as error:
            raise DataError(message(f"train: {error}", at="")) from error
    seconds = time.perf_counter() - begun
    without_bound = unbounded(model, frames or (lambda: [(design, y)])) if not options.strength else []
    remarks = [str(w.message) for w in said if issubclass(w.category, ConvergenceWarning)]
    for other in said:
        if not issubclass(other.category, ConvergenceWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    record = {
        "device": model.device_,
        "device_reason": model.device_reason_,
        "iterations": int(model.n_iter_),
        "seconds": seconds,
        "converged": not remarks,
        "separable": any("separable" in text for text in remarks),
        "remarks": [*(_for_the_command(text) for text in remarks), *_said(without_bound, remarks)],
        "loss": [loss for loss in watch.losses if np.isfinite(loss)],
    }
    model.set_params(device="auto")
    if options.cluster is not None:
        model.set_params(cluster=None)
    return model, record


def _for_the_command(text: str) -> str:
    """A warning of an estimator, with the options of `xpgrad train` in the place of its parameters."""
    if "separable" in text:
        return (
            "the classes are separable: without a penalty the best coefficients are infinite, and these are "
            "where the fit ended; --penalty 1 makes them finite"
        )
    text = text.partition(": ")[2].replace(
        "Raise max_iter, or scale the data", "--max-iter allows more iterations"
    )
    text = text.replace("max_iter=", "--max-iter ")
    return f"the fit did not converge: {text}"


def unbounded(model: Any, frames: Frames) -> list[str]:
    """The columns of zeros and ones, and the levels, whose best coefficient is infinite.

    In all their rows of training there is one of two classes alone, or a target of 0 whose mean is positive.
    """
    by_class = len(getattr(model, "classes_", ())) == 2
    if not by_class and not isinstance(model, (learn.PoissonRegressor, learn.TweedieRegressor)):
        return []
    extremes = (0.0, 1.0) if by_class else (0.0,)
    rows: dict[str, Array] = {}
    sums: dict[str, Array] = {}
    labels: dict[str, list[str]] = {}
    for design, y in frames():
        values = (y == model.classes_[1]).astype(np.float64) if by_class else np.asarray(y, dtype=np.float64)
        for name in design.columns:
            series = design[name]
            if series.dtype == "category":
                codes, of = series.cat.codes.to_numpy(), [f"{name}[{c}]" for c in series.cat.categories]
            else:
                numbers = series.to_numpy()
                if name in labels and not labels[name]:
                    continue
                if not np.isin(numbers, (0.0, 1.0)).all():
                    labels[name] = []
                    continue
                codes, of = numbers.astype(int), [f"{name} = 0", name]
            labels[name] = of
            rows[name] = rows.get(name, 0) + np.bincount(codes, minlength=len(of))
            sums[name] = sums.get(name, 0) + np.bincount(codes, values, len(of))
    return [
        label
        for name, of in labels.items()
        if of
        for label, n, total in zip(of, rows[name], sums[name], strict=True)
        if n and total / n in extremes
    ]


def _said(without_bound: list[str], remarks: list[str]) -> list[str]:
    """A remark on infinite coefficients, unless the classes are separable altogether."""
    if not without_bound or any("separable" in text for text in remarks):
        return []
    return [
        f"the target is the same in all rows with {listed(without_bound, 5)}: without a penalty the best "
        "coefficient there is infinite, and intervals mean nothing; --penalty 1 makes it finite"
    ]


def one_hot(design: Any) -> Any:
    """A column of zeros and ones for each level: a network takes numbers alone."""
    columns: dict[str, Any] = {}
    for name in design.columns:
        series = design[name]
        if series.dtype != "category":
            columns[name] = series.to_numpy(np.float64)
            continue
        codes = series.cat.codes.to_numpy()
        for k, level in enumerate(series.cat.categories):
            columns[f"{name}[{level}]"] = (codes == k).astype(np.float64)
    return np.stack(list(columns.values()), axis=1)


def predict(model: Any, target: Target, design: Any) -> dict[str, Array]:
    """The predictions for the rows of a design.

    Returns
    -------
    dict
        ``label`` and ``probability`` float[n, k] of classes, ``value`` float[n] of a number.
    """
    X = one_hot(design) if hasattr(model, "coefs_") else design
    if target.kind == CLASSES:
        probability = np.asarray(model.predict_proba(X), dtype=np.float64)
        return {"label": model.predict(X), "probability": probability}
    value = np.asarray(model.predict(X), dtype=np.float64)
    return {"value": value * target.scale + target.mean}
