"""What is computed: parameters, data, and each loss as NumPy code.

In:  sizes.
Out: a Problem, the same numbers for every contender.
Holds: float32 throughout, but for Rosenbrock's float64; labels are whole numbers, and those who
want them one-hot make them so, once.

Shapes: logistic regression has samples in columns (the notes), the others in rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import workloads

SEED = workloads.SEED
CLASSES = 10
RATE = 0.02  # interest, a year


@dataclass(frozen=True)
class Problem:
    """``params`` are differentiated, in the order in which gradients are compared; ``data`` are not."""

    params: tuple[Any, ...]
    data: tuple[Any, ...]

    def in_float64(self) -> "Problem":
        """The same numbers in float64; labels stay integers."""
        return Problem(*(tuple(map(_widened, group)) for group in (self.params, self.data)))


def _widened(x: Any) -> Any:
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def logistic(n_x: int, m: int) -> Problem:
    """W float32[n_x, 1], b float32; X float32[n_x, m], Y float32[1, m]."""
    W, b, X, Y = workloads.logistic_data((n_x, m))
    return Problem((W, b), (X, Y))


def softmax(m: int, n_x: int) -> Problem:
    """W float32[n_x, 10], b float32[10]; X float32[m, n_x], labels int64[m]."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((m, n_x), np.float32)
    W = 0.1 * rng.standard_normal((n_x, CLASSES), np.float32)
    b = 0.1 * rng.standard_normal(CLASSES, np.float32)
    return Problem((W, b), (X, rng.integers(0, CLASSES, m)))


def mlp(m: int, widths: tuple[int, ...]) -> Problem:
    """W, b of each of three layers, ``x @ W + b``; X float32[m, widths[0]], labels int64[m].

    A relu whose argument lies within rounding of 0 would open in one library and stay shut in
    another, and the gradients of both would be right. So the numbers are multiples of powers of 2,
    coarse enough that float32 holds the arguments of both relus exactly, in whatever order they are
    summed; and the biases are odd multiples of half the step, so that no argument is 0.
    """
    rng = np.random.default_rng(SEED)
    X = rng.integers(0, 8, (m, widths[0])) / 2**3
    params = []
    step = 2.0**-3  # of the entries of a layer's input
    for n_in, n_out, grid in zip(widths[:-1], widths[1:], (2.0**-6, 2.0**-5, 2.0**-8), strict=True):
        W = np.round(rng.normal(scale=np.sqrt(2 / n_in), size=(n_in, n_out)) / grid) * grid
        step *= grid / 2
        b = (2 * rng.integers(-8, 8, n_out) + 1) * step
        params += [W.astype(np.float32), b.astype(np.float32)]
    return Problem(tuple(params), (X.astype(np.float32), rng.integers(0, CLASSES, m)))


def black_scholes(n: int) -> Problem:
    """Spot S and volatility sigma float32[n]; strike K and years to expiry T float32[n]."""
    rng = np.random.default_rng(SEED)
    S, K, T, sigma = (
        rng.uniform(low, high, n).astype(np.float32)
        for low, high in ((50, 150), (50, 150), (0.1, 2.0), (0.1, 0.5))
    )
    return Problem((S, sigma), (K, T))


def rosenbrock() -> Problem:
    """x float64[10]."""
    return Problem((workloads.rosenbrock_data(),), ())


def one_hot(labels: Any) -> Any:
    """float32[m, 10]."""
    return np.eye(CLASSES, dtype=np.float32)[labels]


# The losses of those who differentiate NumPy code: `loss(params, *data)` in the namespace `np`.
logistic_loss = workloads.notes_loss


def softmax_loss(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
    def loss(params: Any, X: Any, Y: Any) -> Any:
        W, b = params
        return cross_entropy(np, logsumexp, np.dot(X, W) + b, Y)

    return loss


def mlp_loss(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
    def loss(params: Any, X: Any, Y: Any) -> Any:
        W1, b1, W2, b2, W3, b3 = params
        A1 = np.maximum(np.dot(X, W1) + b1, 0)
        A2 = np.maximum(np.dot(A1, W2) + b2, 0)
        return cross_entropy(np, logsumexp, np.dot(A2, W3) + b3, Y)

    return loss


def cross_entropy(np: Any, logsumexp: Callable[..., Any], Z: Any, Y: Any) -> Any:
    """Of logits Z float[m, k] and one-hot labels Y float[m, k], averaged over the samples."""
    return np.mean(logsumexp(Z, axis=1) - np.sum(Y * Z, axis=1))


def black_scholes_loss(np: Any, cdf: Callable[[Any], Any]) -> Callable[..., Any]:
    """The summed price of European calls: its gradient holds each option's own delta and vega."""

    def loss(params: Any, K: Any, T: Any) -> Any:
        S, sigma = params
        spread = sigma * np.sqrt(T)
        d1 = (np.log(S / K) + (RATE + 0.5 * sigma * sigma) * T) / spread
        return np.sum(S * cdf(d1) - K * np.exp(-RATE * T) * cdf(d1 - spread))

    return loss


def rosenbrock_loss(params: Any) -> Any:
    (x,) = params
    return workloads.rosenbrock(x)
