"""xpgrad, eager and compiled: the NumPy code as it is."""

from collections.abc import Callable
from typing import Any

import numpy as np

import xpgrad as xg
from bench.peers import problems
from bench.peers.contender import Contender, as_it_comes
from bench.peers.problems import Problem
from bench.peers.processes import Missing


def _contender(
    compiled: bool, loss: Callable[..., Any], params: Any, *data: Any, device: str = "cpu"
) -> Contender:
    if device != "cpu":  # a scalar would stay behind: it lives on no device
        params, data = xg.to_device((tuple(map(np.asarray, params)), data), device)
    if compiled and not callable(getattr(xg, "compile", None)):
        raise Missing("this xpgrad has no compile")

    def function() -> Any:
        f = xg.value_and_grad(loss)
        return xg.compile(f) if compiled else f

    # In `build`, so that a first call is timed with whatever `compile` imports.
    def build() -> Callable[[], Any]:
        f = function()
        return lambda: f(params, *data)

    def explain() -> str:
        return function().explain(params, *data)

    return Contender(build, lambda result: as_it_comes(xg.asnumpy(result)), explain if compiled else None)


def logistic(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    return _contender(compiled, problems.logistic_loss(np), problem.params, *problem.data, **how)


def softmax(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    X, labels = problem.data
    loss = problems.softmax_loss(np, xg.special.logsumexp)
    return _contender(compiled, loss, problem.params, X, problems.one_hot(labels), **how)


def mlp(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    X, labels = problem.data
    loss = problems.mlp_loss(np, xg.special.logsumexp)
    return _contender(compiled, loss, problem.params, X, problems.one_hot(labels), **how)


def black_scholes(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    loss = problems.black_scholes_loss(np, xg.special.ndtr)
    return _contender(compiled, loss, problem.params, *problem.data, **how)


def rosenbrock(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    return _contender(compiled, problems.rosenbrock_loss, problem.params, **how)
