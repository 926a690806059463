"""HIPS autograd: the NumPy code through its own namespace. ``grad`` is wrapped once, before the loop."""

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as anp
from autograd.scipy.special import logsumexp
from autograd.scipy.stats import norm

from bench.peers import problems
from bench.peers.contender import Contender
from bench.peers.problems import Problem


def _contender(loss: Callable[..., Any], params: Any, *data: Any) -> Contender:
    def build() -> Callable[[], Any]:
        f = autograd.value_and_grad(loss)
        return lambda: f(params, *data)

    return Contender(build)


def logistic(problem: Problem) -> Contender:
    return _contender(problems.logistic_loss(anp), problem.params, *problem.data)


def softmax(problem: Problem) -> Contender:
    X, labels = problem.data
    return _contender(problems.softmax_loss(anp, logsumexp), problem.params, X, problems.one_hot(labels))


def mlp(problem: Problem) -> Contender:
    X, labels = problem.data
    return _contender(problems.mlp_loss(anp, logsumexp), problem.params, X, problems.one_hot(labels))


def black_scholes(problem: Problem) -> Contender:
    return _contender(problems.black_scholes_loss(anp, norm.cdf), problem.params, *problem.data)


def rosenbrock(problem: Problem) -> Contender:
    return _contender(problems.rosenbrock_loss, problem.params)
