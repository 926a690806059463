"""JAX: ``jax.jit(jax.value_and_grad(loss))``, waited for with ``block_until_ready``.

Of the ways to write each loss the fastest that was found is used: softplus for the logistic loss, not
the notes' lines; weights as (classes, features) for softmax; ``erf`` for the normal distribution, not
``ndtr``.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.peers import problems
from bench.peers.contender import Contender, as_it_comes
from bench.peers.problems import Problem


def _contender(
    compiled: bool,
    loss: Callable[..., Any],
    params: Any,
    *data: Any,
    unpack: Callable[..., Any] = as_it_comes,
    queued: bool = False,
) -> Contender:
    """``queued``: the step does not wait, whoever times it does."""
    params, data = jax.block_until_ready(jax.tree.map(jnp.array, (params, data)))

    def build() -> Callable[[], Any]:
        f = jax.value_and_grad(loss)
        if compiled:
            f = jax.jit(f)
        if queued:
            return lambda: f(params, *data)
        return lambda: jax.block_until_ready(f(params, *data))

    return Contender(build, unpack)


def logistic(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    def loss(params: Any, X: Any, Y: Any) -> Any:
        W, b = params
        Z = W.T @ X + b
        return jnp.mean(jax.nn.softplus(Z) - Y * Z)

    return _contender(compiled, loss, problem.params, *problem.data, **how)


def _cross_entropy(Z: Any, Y: Any) -> Any:
    return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(Z, axis=1), axis=1))


def softmax(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    (W, b), (X, labels) = problem.params, problem.data

    def loss(params: Any, X: Any, Y: Any) -> Any:
        W, b = params
        return _cross_entropy(X @ W.T + b, Y)

    return _contender(
        compiled,
        loss,
        (np.ascontiguousarray(W.T), b),
        X,
        problems.one_hot(labels),
        unpack=lambda result: (result[0], (np.asarray(result[1][0]).T, result[1][1])),
        **how,
    )


def mlp(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    X, labels = problem.data

    def loss(params: Any, X: Any, Y: Any) -> Any:
        W1, b1, W2, b2, W3, b3 = params
        A1 = jax.nn.relu(X @ W1 + b1)
        A2 = jax.nn.relu(A1 @ W2 + b2)
        return _cross_entropy(A2 @ W3 + b3, Y)

    return _contender(compiled, loss, problem.params, X, problems.one_hot(labels), **how)


def black_scholes(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    def cdf(x: Any) -> Any:
        return 0.5 * (1 + jax.lax.erf(x * sqrt(0.5)))

    return _contender(compiled, problems.black_scholes_loss(jnp, cdf), problem.params, *problem.data, **how)


def rosenbrock(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    jax.config.update("jax_enable_x64", True)
    return _contender(compiled, problems.rosenbrock_loss, problem.params, **how)
