"""NumPy by hand: gradients derived on paper, arrays reused where they are no longer needed.

In float64 these are what all contenders are held against. ``xp`` is the array module: with CuPy for NumPy
the same lines run on a GPU.
"""

from importlib import import_module
from math import pi, sqrt
from typing import Any

import numpy as np

from bench.peers.contender import Contender
from bench.peers.problems import RATE, Problem


def logistic(problem: Problem, xp: Any = np) -> Contender:
    """The notes, with one logarithm instead of two: ``-log(A)`` is ``log(1 + exp(-Z))``,
    and ``-log(1 - A)`` is that plus Z."""
    (W, b), (X, Y) = problem.params, problem.data
    m = X.shape[1]

    def step() -> Any:
        Z = xp.dot(W.T, X)
        Z += b
        T = xp.negative(Z)
        xp.exp(T, out=T)
        T += 1
        Z *= 1 - Y
        value = xp.mean(Z) + xp.mean(xp.log(T))
        dz = xp.reciprocal(T, out=T)
        dz -= Y
        return value, (xp.dot(X, dz.T) / m, xp.mean(dz))

    return Contender(lambda: step)


def softmax(problem: Problem, xp: Any = np) -> Contender:
    (W, b), (X, labels) = problem.params, problem.data
    which = (labels, xp.arange(len(labels)))

    def step() -> Any:
        value, dz = _cross_entropy(xp, xp.dot(X, W), b, which)
        return value, (xp.dot(dz, X).T, dz.sum(axis=1))

    return Contender(lambda: step)


def _cross_entropy(xp: Any, product: Any, b: Any, which: Any) -> Any:
    """Value, and its derivative in the logits float[10, m].

    With samples along the last axis, maxima and sums over the classes are vectorized: 20 % of the
    whole softmax step, on one core of an AMD EPYC (Zen 4).
    """
    Z = xp.empty(product.shape[::-1], product.dtype)
    xp.add(product.T, b[:, None], out=Z)
    Z -= Z.max(axis=0)
    value = -xp.mean(Z[which])
    E = xp.exp(Z, out=Z)
    s = E.sum(axis=0)
    value += xp.mean(xp.log(s))
    E /= s
    E[which] -= 1
    E /= len(s)
    return value, E


def mlp(problem: Problem, xp: Any = np) -> Contender:
    (W1, b1, W2, b2, W3, b3), (X, labels) = problem.params, problem.data
    which = (labels, xp.arange(len(labels)))

    def step() -> Any:
        A1 = _relu(xp, xp.dot(X, W1), b1)
        A2 = _relu(xp, xp.dot(A1, W2), b2)
        value, dz3 = _cross_entropy(xp, xp.dot(A2, W3), b3, which)
        dz2 = xp.dot(dz3.T, W3.T)
        dz2 *= A2 > 0
        dz1 = xp.dot(dz2, W2.T)
        dz1 *= A1 > 0
        gradient = (
            xp.dot(X.T, dz1),
            dz1.sum(axis=0),
            xp.dot(A1.T, dz2),
            dz2.sum(axis=0),
            xp.dot(dz3, A2).T,
            dz3.sum(axis=1),
        )
        return value, gradient

    return Contender(lambda: step)


def _relu(xp: Any, Z: Any, b: Any) -> Any:
    Z += b
    return xp.maximum(Z, 0, out=Z)


def black_scholes(problem: Problem, xp: Any = np) -> Contender:
    """Delta is ``ndtr(d1)``; vega is ``S sqrt(T)`` times the normal density at d1."""
    ndtr = import_module("scipy.special" if xp is np else "cupyx.scipy.special").ndtr
    (S, sigma), (K, T) = problem.params, problem.data

    def step() -> Any:
        root = xp.sqrt(T)
        spread = sigma * root
        d1 = xp.log(S / K)
        d1 += (RATE + 0.5 * sigma * sigma) * T
        d1 /= spread
        delta = ndtr(d1)
        price = S * delta
        spread = ndtr(xp.subtract(d1, spread, out=spread), out=spread)
        spread *= K
        spread *= xp.exp(-RATE * T)
        price -= spread
        d1 *= d1
        d1 *= -0.5
        vega = xp.exp(d1, out=d1)
        vega *= S
        vega *= root
        vega *= 1 / sqrt(2 * pi)
        return xp.sum(price), (delta, vega)

    return Contender(lambda: step)


def rosenbrock(problem: Problem, xp: Any = np) -> Contender:
    (x,) = problem.params

    def step() -> Any:
        head = x[:-1]
        d = x[1:] - head * head
        e = 1 - head
        g = xp.empty_like(x)
        g[:-1] = -400 * head * d - 2 * e
        g[-1] = 0
        g[1:] += 200 * d
        return 100 * xp.dot(d, d) + xp.dot(e, e), (g,)

    return Contender(lambda: step)
