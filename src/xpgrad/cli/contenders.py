"""The same step, computed in several ways: the loss of a logistic regression and its gradient.

In:  X float32[n_x, m], Y float32[1, m] and a point (W float32[n_x, 1], b float32[1, 1]).
Out: contenders, each a function of nothing that returns ``(loss, (dW, db))`` as its own arrays.
Holds: every contender does all of the step on every call; nothing is kept from one call to the next.

With samples in columns, as in the notes::

    Z = W.T X + b,  A = 1 / (1 + exp(-Z)),  L = -mean(Y log A + (1 - Y) log(1 - A))
    dZ = A - Y,  dW = X dZ.T / m,  db = sum(dZ) / m
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpgrad.backends import choose
from xpgrad.cli.problem import Array, Problem
from xpgrad.compiler import compile
from xpgrad.devices import gpu_status, to_device
from xpgrad.transforms import value_and_grad

LOOP_ROWS = 2000  # all of them take the loop seconds (bench/results/race.json), and no row takes longer
LARGEST_Z = 2.0  # at the point of the race: neither log(A) nor log(1 - A) saturates in float32

Point = tuple[Array, Array]


@dataclass(frozen=True)
class Contender:
    """One way to compute the step.

    Attributes
    ----------
    key, label : str
        For machines, for people.
    device, dtype : str
        Where it computes and in what.
    rows : int
        It is timed on the first ``rows`` samples.
    step : callable
        ``() -> (loss, (dW, db))``.
    preparation : callable, optional
        What the first call did besides the step, in words, to be asked after it.
    """

    key: str
    label: str
    device: str
    dtype: str
    rows: int
    step: Callable[[], tuple[Any, tuple[Any, Any]]]
    preparation: Callable[[], str] | None = None


@dataclass(frozen=True)
class Absent:
    """A contender that does not run, why, and what would change that."""

    key: str
    label: str
    reason: str
    remedy: str = ""


def loss(params: Point, X: Array, Y: Array) -> Any:
    """The notes' loss, as they write it: all that xpgrad is given."""
    W, b = params
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def loss_by_codes(params: Point, X: Array, numbers: Array, categories: Sequence[Any], Y: Array) -> Any:
    """The notes' loss, from codes where the rows of ``X`` are categories.

    Parameters
    ----------
    X : float32[n_numbers, m]
        The rows that are no categories.
    numbers : int[n_numbers]
        Their places among all rows.
    categories : sequence of (int, int, float32[n_levels, n_rows], int32[m])
        The first row of a category and the one after the last, what these hold at each level, and the level of
        each sample.
    """
    W, b = params
    Z = np.dot(W[numbers].T, X) + b
    for first, last, levels, codes in categories:
        Z = Z + (levels @ W[first:last, 0])[codes]
    A = 1 / (1 + np.exp(-Z))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def by_hand(params: Point, X: Array, Y: Array) -> tuple[Any, tuple[Array, Array]]:
    """The notes' vectorized step: the loss, and the gradient derived with pencil and paper."""
    W, b = params
    m = X.shape[1]
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    value = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    dz = A - Y
    dw = np.dot(X, dz.T) / m
    db = dz.sum() / m
    return value, (dw, db)


def loop(
    w: list[float], b: float, samples: list[list[float]], labels: list[float]
) -> tuple[float, tuple[list[float], float]]:
    """The step one sample at a time, in plain Python and therefore in float64."""
    value, dw, db = 0.0, [0.0] * len(w), 0.0
    for x, y in zip(samples, labels, strict=True):
        z = b
        for w_j, x_j in zip(w, x, strict=True):
            z += w_j * x_j
        a = 1 / (1 + math.exp(-z))
        value -= y * math.log(a) + (1 - y) * math.log(1 - a)
        dz = a - y
        for j, x_j in enumerate(x):
            dw[j] += x_j * dz
        db += dz
    m = len(samples)
    return value / m, ([d / m for d in dw], db / m)


def starting_point(X: Array, seed: int = 0) -> Point:
    """A random ``(W, b)`` at which the gradient is not trivial and no ``|W.T X|`` exceeds ``LARGEST_Z``."""
    W = np.random.default_rng(seed).standard_normal((X.shape[0], 1)).astype(np.float32)
    W *= np.float32(LARGEST_Z) / np.abs(np.dot(W.T, X)).max()
    return W, np.full((1, 1), 0.1, np.float32)


def line_up(problem: Problem, point: Point, device: str) -> list[Contender | Absent]:
    """Everyone who can run here, in the order of the table.

    Parameters
    ----------
    device : str
        As asked for: with ``"cpu"`` no GPU takes part.
    """
    X, Y = problem.X, problem.Y
    m = X.shape[1]
    return [
        _loop(point, X, Y),
        Contender("numpy", "NumPy by hand, as in the notes", "cpu", "float32", m, lambda: by_hand(point, X, Y)),
        _xpgrad(point, X, Y, "cpu"),
        _compiled(point, X, Y, "cpu"),
        *_by_codes(problem, point, "cpu"),
        *_on_gpu(problem, point, device),
    ]


def _loop(point: Point, X: Array, Y: Array) -> Contender:
    rows = min(LOOP_ROWS, X.shape[1])
    w, b = point[0][:, 0].tolist(), float(point[1][0, 0])
    samples, labels = X[:, :rows].T.tolist(), Y[0, :rows].tolist()
    label = "Python loop over the samples"
    return Contender("loop", label, "cpu", "float64", rows, lambda: loop(w, b, samples, labels))


def _xpgrad(point: Point, X: Array, Y: Array, device: str) -> Contender:
    there, X_there, Y_there = to_device((point, X, Y), device)
    step = value_and_grad(loss)
    where = "CPU" if device == "cpu" else "GPU"
    return Contender(
        f"xpgrad-{where.lower()}",
        f"xpgrad from the loss alone, {where}",
        device,
        "float32",
        X.shape[1],
        lambda: step(there, X_there, Y_there),
    )


def _compiled(point: Point, X: Array, Y: Array, device: str) -> Contender:
    return _compiled_step(loss, (point, X, Y), X.shape[1], device)


def _by_codes(problem: Problem, point: Point, device: str) -> list[Contender]:
    """The compiled step on codes, if the data has categories."""
    if not problem.categories:
        return []
    X, known = problem.X, problem.categories
    numbers = np.setdiff1d(np.arange(len(X)), np.concatenate([np.arange(*c.rows) for c in known]))
    given = X[numbers], [(c.levels, c.codes) for c in known], problem.Y

    def of_codes(params: Point, numeric: Array, coded: Sequence[Any], Y: Array) -> Any:
        categories = [(*c.rows, *arrays) for c, arrays in zip(known, coded, strict=True)]
        return loss_by_codes(params, numeric, numbers, categories, Y)

    what = f", {len(known)} columns of codes"
    return [_compiled_step(of_codes, (point, *given), X.shape[1], device, "-codes", what)]


def _compiled_step(f: Any, args: Any, rows: int, device: str, key: str = "", what: str = "") -> Contender:
    there = to_device(args, device)
    step = compile(value_and_grad(f))
    on_cpu = device == "cpu"

    def preparation() -> str:
        name, reason = choose.generator() if on_cpu else ("cuda", "")
        if name == "interpreter":
            return f"tracing and planning for the NumPy interpreter; {reason}"
        kernels = f"{step.compilations} kernel{'' if step.compilations == 1 else 's'}"
        return f"tracing and compiling {kernels}" if step.compilations else "tracing; its kernels were cached"

    label = f"xpgrad compiled, {'CPU' if on_cpu else 'GPU'}{what}"
    name = f"xpgrad-compiled{'' if on_cpu else '-gpu'}{key}"
    return Contender(name, label, device, "float32", rows, lambda: step(*there), preparation)


def _on_gpu(problem: Problem, point: Point, device: str) -> list[Contender | Absent]:
    """The eager and the compiled steps on the GPU, or why there are none."""
    status = gpu_status()
    X, Y = problem.X, problem.Y
    if device != "cpu" and status.available:
        gpu = device if device.startswith("gpu") else "gpu"
        return [
            _xpgrad(point, X, Y, gpu),
            _compiled(point, X, Y, gpu),
            *_by_codes(problem, point, gpu),
        ]
    label = "xpgrad, GPU"
    if device == "cpu":
        return [Absent("xpgrad-gpu", label, "not asked for: --device cpu")]
    return [Absent("xpgrad-gpu", label, status.reason, status.remedy)]
