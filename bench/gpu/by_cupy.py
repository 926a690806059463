"""CuPy by hand, twice: NumPy's lines (``bench.peers.by_numpy``) with CuPy for NumPy, and fused.

The fused ones are what a user of CuPy writes who counts kernel launches: `cupy.fuse` makes one kernel
of each function here whose arguments are arrays, matrix products are left to cuBLAS, reductions to CUB
(a fused reduction does not use it), classes come first, so that sums over them read side by side, and
factors go where a kernel runs anyway.

With ``device="cpu"`` the same lines run on NumPy, unfused: so they are tested where there is no GPU.
"""

from collections.abc import Callable
from importlib import import_module
from math import pi, sqrt
from typing import Any

import numpy as np

from bench.peers import by_numpy, problems
from bench.peers.contender import Contender
from bench.peers.problems import RATE, Problem


def _library(device: str) -> tuple[Any, Any, Callable[[Any], Any]]:
    """Array module, special functions, and what fuses."""
    if device == "cpu":
        return np, import_module("scipy.special"), lambda f: f
    xp = import_module("cupy")
    return xp, import_module("cupyx.scipy.special"), xp.fuse


def _moved(problem: Problem, xp: Any) -> Problem:
    return Problem(*(tuple(map(xp.asarray, group)) for group in (problem.params, problem.data)))


def _contender(xp: Any, step: Callable[[], Any]) -> Contender:
    def unpack(result: Any) -> Any:
        value, gradient = result
        return to_host(value), tuple(map(to_host, gradient))

    def to_host(x: Any) -> Any:
        return x if xp is np else xp.asnumpy(x)

    return Contender(lambda: step, unpack)


def _by_numpy(job: str, problem: Problem, xp: Any) -> Contender:
    contender: Contender = getattr(by_numpy, job)(_moved(problem, xp), xp)
    return _contender(xp, contender.build())


def logistic(problem: Problem, *, fused: bool, device: str = "gpu") -> Contender:
    xp, _, fuse = _library(device)
    if not fused:
        return _by_numpy("logistic", problem, xp)
    moved = _moved(problem, xp)
    (W, b), (X, Y) = moved.params, moved.data
    weight = 1 / X.shape[1]

    @fuse
    def losses_and_dz(Z: Any, b: Any, Y: Any) -> Any:
        Z = Z + b
        E = xp.exp(-xp.abs(Z))
        loss = xp.maximum(Z, 0) - Y * Z + xp.log1p(E)
        A = xp.where(Z >= 0, 1, E) / (1 + E)
        return weight * loss, weight * (A - Y)

    def step() -> Any:
        losses, dz = losses_and_dz(xp.dot(W.T, X), b, Y)
        return losses.sum(), (xp.dot(X, dz.T), dz.sum())

    return _contender(xp, step)


def _cross_entropy(xp: Any, fuse: Callable[[Any], Any]) -> Callable[..., Any]:
    """``f(Z, Y)``: mean cross-entropy, and its derivative in the logits; classes first."""

    @fuse
    def shifted(Z: Any, top: Any) -> Any:
        return xp.exp(Z - top)

    @fuse
    def losses_and_dz(Z: Any, top: Any, E: Any, total: Any, Y: Any, weight: Any) -> Any:
        return weight * Y * (xp.log(total) + top - Z), weight * (E / total - Y)

    def f(Z: Any, Y: Any) -> Any:
        top = Z.max(axis=0)
        E = shifted(Z, top)
        losses, dz = losses_and_dz(Z, top, E, E.sum(axis=0), Y, 1 / Y.shape[1])
        return losses.sum(), dz

    return f


def _classes_first(labels: Any, xp: Any) -> Any:
    return xp.asarray(np.ascontiguousarray(problems.one_hot(labels).T))


def softmax(problem: Problem, *, fused: bool, device: str = "gpu") -> Contender:
    xp, _, fuse = _library(device)
    if not fused:
        return _by_numpy("softmax", problem, xp)
    (W, b), (X, labels) = problem.params, problem.data
    W, b, X, Y = xp.asarray(W), xp.asarray(b[:, None]), xp.asarray(X), _classes_first(labels, xp)
    cross_entropy = _cross_entropy(xp, fuse)

    def step() -> Any:
        Z = xp.dot(W.T, X.T)
        Z += b
        value, dz = cross_entropy(Z, Y)
        return value, (xp.dot(dz, X).T, dz.sum(axis=1))

    return _contender(xp, step)


def mlp(problem: Problem, *, fused: bool, device: str = "gpu") -> Contender:
    xp, _, fuse = _library(device)
    if not fused:
        return _by_numpy("mlp", problem, xp)
    W1, b1, W2, b2, W3, b3 = _moved(problem, xp).params
    X, Y = xp.asarray(problem.data[0]), _classes_first(problem.data[1], xp)
    b3 = b3[:, None]
    cross_entropy = _cross_entropy(xp, fuse)

    @fuse
    def relu(Z: Any, b: Any) -> Any:
        return xp.maximum(Z + b, 0)

    @fuse
    def where_open(g: Any, A: Any) -> Any:
        return g * (A > 0)

    def step() -> Any:
        A1 = relu(xp.dot(X, W1), b1)
        A2 = relu(xp.dot(A1, W2), b2)
        Z = xp.dot(W3.T, A2.T)
        Z += b3
        value, dz3 = cross_entropy(Z, Y)
        dz2 = where_open(xp.dot(dz3.T, W3.T), A2)
        dz1 = where_open(xp.dot(dz2, W2.T), A1)
        gradient = (
            xp.dot(X.T, dz1),
            dz1.sum(axis=0),
            xp.dot(A1.T, dz2),
            dz2.sum(axis=0),
            xp.dot(dz3, A2).T,
            dz3.sum(axis=1),
        )
        return value, gradient

    return _contender(xp, step)


def black_scholes(problem: Problem, *, fused: bool, device: str = "gpu") -> Contender:
    xp, special, fuse = _library(device)
    if not fused:
        return _by_numpy("black_scholes", problem, xp)
    moved = _moved(problem, xp)
    (S, sigma), (K, T) = moved.params, moved.data

    @fuse
    def price_delta_vega(S: Any, sigma: Any, K: Any, T: Any) -> Any:
        root = xp.sqrt(T)
        spread = sigma * root
        d1 = (xp.log(S / K) + (RATE + 0.5 * sigma * sigma) * T) / spread
        delta = special.ndtr(d1)
        price = S * delta - K * xp.exp(-RATE * T) * special.ndtr(d1 - spread)
        return price, delta, S * root * xp.exp(-0.5 * d1 * d1) * (1 / sqrt(2 * pi))

    def step() -> Any:
        price, delta, vega = price_delta_vega(S, sigma, K, T)
        return price.sum(), (delta, vega)

    return _contender(xp, step)


def rosenbrock(problem: Problem, *, fused: bool, device: str = "gpu") -> Contender:
    xp, _, fuse = _library(device)
    if not fused:
        return _by_numpy("rosenbrock", problem, xp)
    (x,) = _moved(problem, xp).params

    @fuse
    def parts(head: Any, tail: Any) -> Any:
        d = tail - head * head
        e = 1 - head
        return 100 * d * d + e * e, -400 * head * d - 2 * e, 200 * d

    def step() -> Any:
        terms, left, right = parts(x[:-1], x[1:])
        g = xp.zeros_like(x)
        g[:-1] = left
        g[1:] += right
        return terms.sum(), (g,)

    return _contender(xp, step)
