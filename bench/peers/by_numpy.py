"""NumPy by hand: gradients derived on paper, arrays reused where they are no longer needed.

In float64 these are what all contenders are held against.
"""

from math import pi, sqrt
from typing import Any

import numpy as np

from bench.peers.contender import Contender
from bench.peers.problems import RATE, Problem


def logistic(problem: Problem) -> Contender:
    """The notes, with one logarithm instead of two: ``-log(A)`` is ``log(1 + exp(-Z))``,
    and ``-log(1 - A)`` is that plus Z."""
    (W, b), (X, Y) = problem.params, problem.data
    m = X.shape[1]

    def step() -> Any:
        Z = np.dot(W.T, X)
        Z += b
        T = np.negative(Z)
        np.exp(T, out=T)
        T += 1
        Z *= 1 - Y
        value = np.mean(Z) + np.mean(np.log(T))
        dz = np.reciprocal(T, out=T)
        dz -= Y
        return value, (np.dot(X, dz.T) / m, np.mean(dz))

    return Contender(lambda: step)


def softmax(problem: Problem) -> Contender:
    (W, b), (X, labels) = problem.params, problem.data
    which = (labels, np.arange(len(labels)))

    def step() -> Any:
        value, dz = _cross_entropy(np.dot(X, W), b, which)
        return value, (np.dot(dz, X).T, dz.sum(axis=1))

    return Contender(lambda: step)


def _cross_entropy(product: Any, b: Any, which: Any) -> Any:
    """Value, and its derivative in the logits float[10, m].

    With samples along the last axis, maxima and sums over the classes are vectorized: 20 % of the
    whole softmax step, on one core of an AMD EPYC (Zen 4).
    """
    Z = np.add(product.T, b[:, None], order="C")
    Z -= Z.max(axis=0)
    value = -np.mean(Z[which])
    E = np.exp(Z, out=Z)
    s = E.sum(axis=0)
    value += np.mean(np.log(s))
    E /= s
    E[which] -= 1
    E /= len(s)
    return value, E


def mlp(problem: Problem) -> Contender:
    (W1, b1, W2, b2, W3, b3), (X, labels) = problem.params, problem.data
    which = (labels, np.arange(len(labels)))

    def step() -> Any:
        A1 = _relu(np.dot(X, W1), b1)
        A2 = _relu(np.dot(A1, W2), b2)
        value, dz3 = _cross_entropy(np.dot(A2, W3), b3, which)
        dz2 = np.dot(dz3.T, W3.T)
        dz2 *= A2 > 0
        dz1 = np.dot(dz2, W2.T)
        dz1 *= A1 > 0
        gradient = (
            np.dot(X.T, dz1),
            dz1.sum(axis=0),
            np.dot(A1.T, dz2),
            dz2.sum(axis=0),
            np.dot(dz3, A2).T,
            dz3.sum(axis=1),
        )
        return value, gradient

    return Contender(lambda: step)


def _relu(Z: Any, b: Any) -> Any:
    Z += b
    return np.maximum(Z, 0, out=Z)


def black_scholes(problem: Problem) -> Contender:
    """Delta is ``ndtr(d1)``; vega is ``S sqrt(T)`` times the normal density at d1."""
    from scipy.special import ndtr

    (S, sigma), (K, T) = problem.params, problem.data

    def step() -> Any:
        root = np.sqrt(T)
        spread = sigma * root
        d1 = np.log(S / K)
        d1 += (RATE + 0.5 * sigma * sigma) * T
        d1 /= spread
        delta = ndtr(d1)
        price = S * delta
        spread = ndtr(np.subtract(d1, spread, out=spread), out=spread)
        spread *= K
        spread *= np.exp(-RATE * T)
        price -= spread
        d1 *= d1
        d1 *= -0.5
        vega = np.exp(d1, out=d1)
        vega *= S
        vega *= root
        vega *= 1 / sqrt(2 * pi)
        return np.sum(price), (delta, vega)

    return Contender(lambda: step)


def rosenbrock(problem: Problem) -> Contender:
    (x,) = problem.params

    def step() -> Any:
        head = x[:-1]
        d = x[1:] - head * head
        e = 1 - head
        g = np.empty_like(x)
        g[:-1] = -400 * head * d - 2 * e
        g[-1] = 0
        g[1:] += 200 * d
        return 100 * np.dot(d, d) + np.dot(e, e), (g,)

    return Contender(lambda: step)
