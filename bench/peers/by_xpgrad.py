"""xpgrad, eager and compiled: the NumPy code as it is."""

from collections.abc import Callable
from typing import Any

import numpy as np

import xpgrad as xg
from bench.peers import problems
from bench.peers.contender import Contender, Missing
from bench.peers.problems import Problem


def _contender(compiled: bool, loss: Callable[..., Any], params: Any, *data: Any) -> Contender:
    if compiled and not callable(getattr(xg, "compile", None)):
        raise Missing("this xpgrad has no compile")

    # In `build`, so that a first call is timed with whatever `compile` imports.
    def build() -> Callable[[], Any]:
        f = xg.value_and_grad(loss)
        if compiled:
            f = xg.compile(f)
        return lambda: f(params, *data)

    return Contender(build)


def logistic(problem: Problem, *, compiled: bool) -> Contender:
    return _contender(compiled, problems.logistic_loss(np), problem.params, *problem.data)


def softmax(problem: Problem, *, compiled: bool) -> Contender:
    X, labels = problem.data
    loss = problems.softmax_loss(np, xg.special.logsumexp)
    return _contender(compiled, loss, problem.params, X, problems.one_hot(labels))


def mlp(problem: Problem, *, compiled: bool) -> Contender:
    X, labels = problem.data
    loss = problems.mlp_loss(np, xg.special.logsumexp)
    return _contender(compiled, loss, problem.params, X, problems.one_hot(labels))


def black_scholes(problem: Problem, *, compiled: bool) -> Contender:
    loss = problems.black_scholes_loss(np, xg.special.ndtr)
    return _contender(compiled, loss, problem.params, *problem.data)


def rosenbrock(problem: Problem, *, compiled: bool) -> Contender:
    return _contender(compiled, problems.rosenbrock_loss, problem.params)
