"""PyTorch, eager and through ``torch.compile`` in its default mode; ``how`` changes what `_contender` does.

Of the ways to write each step the fastest that was found is used: losses from ``torch.nn.functional``;
weights as ``torch.nn.Linear`` keeps them, (out, in), not ``X @ W``; and for elementwise work
``torch.func.grad_and_value`` inside the compiled function, so that forward and backward are fused.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from bench.peers import problems
from bench.peers.contender import Contender
from bench.peers.problems import Problem


def _contender(
    compiled: bool,
    loss: Callable[..., Any],
    params: Any,
    *data: Any,
    fused: bool = False,
    turned: bool = False,
    device: str = "cpu",
    mode: str = "default",
) -> Contender:
    """``fused``: compile value and gradient together. ``turned``: matrices among ``params`` as (out, in).

    ``device`` and ``mode`` are torch's words; "reduce-overhead" replays CUDA graphs.
    """
    if turned:
        params = [np.ascontiguousarray(p.T) for p in params]
    leaves = tuple(torch.tensor(p, device=device, requires_grad=not (compiled and fused)) for p in params)
    tensors = tuple(torch.tensor(d, device=device) for d in data)
    if mode == "reduce-overhead":  # otherwise it copies its arguments, X among them, before each replay
        for t in (*leaves, *tensors):
            torch._dynamo.mark_static_address(t)

    def build() -> Callable[[], Any]:
        # One shape in a process is what the default specialises on too. Said here, it holds as well
        # where memory is measured, after a first run on a tiny problem.
        if compiled and fused:
            f = torch.compile(torch.func.grad_and_value(loss), dynamic=False, mode=mode)
            return lambda: f(leaves, *tensors)[::-1]
        f = torch.compile(loss, dynamic=False, mode=mode) if compiled else loss

        def step() -> Any:
            value = f(leaves, *tensors)
            return value, torch.autograd.grad(value, leaves)

        return step

    def unpack(result: Any) -> Any:
        value, gradient = result
        arrays = [g.cpu().numpy() for g in gradient]
        return value.item(), tuple(g.T if turned else g for g in arrays)

    return Contender(build, unpack)


def logistic(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    """Eager, its fused loss is the fastest; compiled, the plain formula is what gets fused best."""

    def loss(params: Any, X: Any, Y: Any) -> Any:
        W, b = params
        Z = W.T @ X + b
        return torch.mean(F.softplus(Z) - Y * Z) if compiled else F.binary_cross_entropy_with_logits(Z, Y)

    return _contender(compiled, loss, problem.params, *problem.data, **how)


def softmax(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    def loss(params: Any, X: Any, labels: Any) -> Any:
        return F.cross_entropy(F.linear(X, *params), labels)

    return _contender(compiled, loss, problem.params, *problem.data, turned=True, **how)


def mlp(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    def loss(params: Any, X: Any, labels: Any) -> Any:
        W1, b1, W2, b2, W3, b3 = params
        A1 = F.relu(F.linear(X, W1, b1))
        A2 = F.relu(F.linear(A1, W2, b2))
        return F.cross_entropy(F.linear(A2, W3, b3), labels)

    return _contender(compiled, loss, problem.params, *problem.data, turned=True, **how)


def black_scholes(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    loss = problems.black_scholes_loss(torch, torch.special.ndtr)
    return _contender(compiled, loss, problem.params, *problem.data, **{"fused": True} | how)


def rosenbrock(problem: Problem, *, compiled: bool, **how: Any) -> Contender:
    return _contender(compiled, problems.rosenbrock_loss, problem.params, **{"fused": True} | how)
