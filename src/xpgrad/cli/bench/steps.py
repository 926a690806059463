"""The steps of the sweep: value and gradient of four losses, for each contender.

In:  a Cell.
Out: ``step()``, which gives value and gradients as arrays of the contender's library.
Holds: ``X`` is (samples, features) if the layout is ``rows``, and (features, samples) if it is ``columns``, as
the notes have it; both are contiguous in memory. All contenders have the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from xpgrad.cli.bench.processes import Missing
from xpgrad.cli.contenders import loop
from xpgrad.devices import gpu_status, synchronize, to_device

JOBS = ("logistic", "linear", "softmax", "mlp")
LAYOUTS = ("columns", "rows")
CLASSES, HIDDEN = 10, 32

Step = Callable[[], Any]


class Cell(NamedTuple):
    """One cell of the heat map."""

    job: str
    layout: str
    dtype: str
    features: int
    samples: int

    @property
    def bytes(self) -> int:
        """Bytes of ``X``."""
        return self.features * self.samples * np.dtype(self.dtype).itemsize


def data(cell: Cell) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Parameters and data; the numbers of a large ``X`` repeat after 2^20 + 7 entries."""
    job, layout, dtype, n, m = cell
    rng = np.random.default_rng(0)
    X = np.resize(rng.standard_normal(min(n * m, (1 << 20) + 7)).astype(dtype), (n, m))
    if layout == "rows":
        X = X.reshape(m, n)
    widths = {"logistic": [n, 1], "linear": [n, 1], "softmax": [n, CLASSES], "mlp": [n, HIDDEN, 1]}[job]
    params: list[Any] = []
    for a, b in pairwise(widths):
        W, c = rng.standard_normal((a, b)) / np.sqrt(n), rng.standard_normal((1, b))
        params += [W.astype(dtype), c.astype(dtype)]
    if layout == "columns":
        params = [np.ascontiguousarray(p.T) for p in params]
    if job == "softmax":
        Y = np.eye(CLASSES, dtype=dtype)[rng.integers(0, CLASSES, m)]
    elif job == "logistic":
        Y = rng.integers(0, 2, (m, 1)).astype(dtype)
    else:
        Y = rng.standard_normal((m, 1)).astype(dtype)
    return tuple(params), (X, np.ascontiguousarray(Y.T) if layout == "columns" else Y)


def loss(cell: Cell, np: Any) -> Callable[..., Any]:
    """The loss as NumPy code, in the namespace ``np``; samples are along axis 0 (rows) or 1 (columns)."""
    rows, axis = cell.layout == "rows", 1 if cell.layout == "rows" else 0

    def layer(X: Any, W: Any, b: Any) -> Any:
        return X @ W + b if rows else W @ X + b

    def logistic(params: Any, X: Any, Y: Any) -> Any:
        A = 1 / (1 + np.exp(-layer(X, *params)))
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    def softplus(params: Any, X: Any, Y: Any) -> Any:
        Z = layer(X, *params)
        return np.mean(np.logaddexp(0.0, Z) - Y * Z)

    def linear(params: Any, X: Any, Y: Any) -> Any:
        return np.mean((layer(X, *params) - Y) ** 2)

    def softmax(params: Any, X: Any, Y: Any) -> Any:
        Z = layer(X, *params)
        Z = Z - np.max(Z, axis, keepdims=True)
        return np.mean(np.log(np.sum(np.exp(Z), axis)) - np.sum(Y * Z, axis))

    def mlp(params: Any, X: Any, Y: Any) -> Any:
        W1, b1, W2, b2 = params
        return np.mean((layer(np.tanh(layer(X, W1, b1)), W2, b2) - Y) ** 2)

    stable = np.__name__ != "numpy"  # xpgrad makes the notes' lines stable itself; others need it written
    return {
        "logistic": softplus if stable else logistic,
        "linear": linear,
        "softmax": softmax,
        "mlp": mlp,
    }[cell.job]


# ── NumPy by hand ────────────────────────────────────────────────────────────────────────────
def by_numpy(cell: Cell) -> Step:
    """Gradients derived on paper; arrays are written in place where they are no longer needed."""
    params, (X, Y) = data(cell)
    rows = cell.layout == "rows"
    axis = 1 if rows else 0
    m = cell.samples

    def layer(A: Any, W: Any, b: Any) -> Any:
        Z = A @ W if rows else W @ A
        Z += b
        return Z

    def pull(A: Any, dZ: Any) -> tuple[Any, Any]:
        return (A.T @ dZ, dZ.sum(0, keepdims=True)) if rows else (dZ @ A.T, dZ.sum(1, keepdims=True))

    def logistic() -> Any:
        Z = layer(X, *params)
        T = np.exp(-Z)
        T += 1
        Z *= 1 - Y
        value = np.mean(Z) + np.mean(np.log(T))
        dZ = np.reciprocal(T, out=T)
        dZ -= Y
        dZ /= m
        return value, pull(X, dZ)

    def linear() -> Any:
        D = layer(X, *params)
        D -= Y
        flat = D.ravel()
        value = flat @ flat / m
        D *= 2 / m
        return value, pull(X, D)

    def softmax() -> Any:
        Z = layer(X, *params)
        Z -= Z.max(axis, keepdims=True)
        value = -(Z.ravel() @ Y.ravel()) / m
        E = np.exp(Z, out=Z)
        s = E.sum(axis, keepdims=True)
        value += np.mean(np.log(s))
        E /= s
        E -= Y
        E /= m
        return value, pull(X, E)

    def mlp() -> Any:
        W1, b1, W2, b2 = params
        A = np.tanh(layer(X, W1, b1))
        D = layer(A, W2, b2)
        D -= Y
        flat = D.ravel()
        value = flat @ flat / m
        D *= 2 / m
        dA = D @ W2.T if rows else W2.T @ D
        second = pull(A, D)
        A *= A
        dA *= np.subtract(1, A, out=A)
        return value, (*pull(X, dA), *second)

    return {"logistic": logistic, "linear": linear, "softmax": softmax, "mlp": mlp}[cell.job]


def by_loop(cell: Cell) -> Step:
    """One sample at a time, in plain Python: the notes' slow beginning, of the logistic loss alone."""
    assert (cell.job, cell.layout) == ("logistic", "columns")
    (W, b), (X, Y) = data(cell)
    given = W[0].tolist(), float(b[0, 0]), X.T.tolist(), Y[0].tolist()

    def step() -> Any:
        value, (dW, db) = loop(*given)
        return value, (np.array(dW), np.array(db))

    return step


# ── libraries ────────────────────────────────────────────────────────────────────────────────
def by_xpgrad(cell: Cell, compiled: bool, device: str = "cpu", threads: int | None = None) -> Step:
    import xpgrad as xg

    status = gpu_status()
    if device == "gpu" and not status.available:
        raise Missing(status.reason)
    params, given = to_device(data(cell), device)
    f = xg.value_and_grad(loss(cell, np))
    g = xg.compile(f, threads=threads) if compiled else f

    def step() -> Any:
        result = g(params, *given)
        synchronize(device)
        return result

    return step


def by_jax(cell: Cell) -> Step:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", cell.dtype == "float64")
    params, given = jax.block_until_ready(jax.tree.map(jnp.array, data(cell)))
    f = jax.jit(jax.value_and_grad(loss(cell, jnp)))
    return lambda: jax.block_until_ready(f(params, *given))


def by_torch(cell: Cell, compiled: bool) -> Step:
    import torch

    params, given = data(cell)
    leaves = tuple(torch.tensor(p, requires_grad=True) for p in params)
    tensors = tuple(map(torch.tensor, given))
    f = loss(cell, _Torch(torch))
    if compiled:
        torch._dynamo.reset()
        f = torch.compile(f, dynamic=False)

    def step() -> Any:
        value = f(leaves, *tensors)
        return value, torch.autograd.grad(value, leaves)

    return step


class _Torch:
    """NumPy's names for the functions that the losses call."""

    __name__ = "torch"

    def __init__(self, torch: Any) -> None:
        self.exp, self.log, self.tanh, self.mean, self.sum = (
            torch.exp,
            torch.log,
            torch.tanh,
            torch.mean,
            torch.sum,
        )
        self.max = torch.amax
        self._softplus = torch.nn.functional.softplus

    def logaddexp(self, zero: float, Z: Any) -> Any:
        return self._softplus(Z)


CONTENDERS: dict[str, Callable[[Cell], Step]] = {
    "numpy": by_numpy,
    "loop": by_loop,
    "xpgrad": lambda cell: by_xpgrad(cell, False),
    "xpgrad.compile": lambda cell: by_xpgrad(cell, True),
    "xpgrad, GPU": lambda cell: by_xpgrad(cell, False, "gpu"),
    "xpgrad.compile, GPU": lambda cell: by_xpgrad(cell, True, "gpu"),
    "jax.jit": by_jax,
    "torch": lambda cell: by_torch(cell, False),
    "torch.compile": lambda cell: by_torch(cell, True),
}
THREADS = " threads="  # after "xpgrad.compile": on so many


def step_of(name: str, cell: Cell) -> Step:
    """The step of a contender, which may be ``"xpgrad.compile threads=2"``."""
    base, _, threads = name.partition(THREADS)
    return by_xpgrad(cell, True, threads=int(threads)) if threads else CONTENDERS[base](cell)
