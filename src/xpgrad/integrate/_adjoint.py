"""Gradients of solutions by the adjoint equation, solved backward in time.

With ``g[i]`` the cotangent of the solution at ``t[i]``, the adjoint ``w`` jumps by ``g[i]`` there and obeys
``dw/dt = -w df/dy`` between; the gradient in what ``f`` depends on is the integral of ``w df/dargs``, that in
``t[i]`` is ``g[i] f``. Chen, Rubanova, Bettencourt, Duvenaud, *Neural ordinary differential equations* (2018),
appendix B. The solution is taken from the outputs at each of them, and solved again between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._trees import flatten, tree_map, unflatten
from xpgrad.autodiff import custom_vjp
from xpgrad.core import is_inexact
from xpgrad.transforms import vjp

Fun = Callable[..., Any]


def by_adjoint(solve: Fun, f: Fun, y0: Any, t: Any, args: tuple[Any, ...]) -> Any:
    """The solution of ``dy/dt = f(t, y, *args)`` at ``t``, by ``solve(f, y0, t)``, with this gradient."""
    leaves, structure = flatten(args)
    floats = [is_inexact(x) for x in leaves]

    def joined(moving: Any, others: Any) -> Any:
        first, second = iter(moving), iter(others)
        return unflatten(structure, [next(first) if is_float else next(second) for is_float in floats])

    @custom_vjp
    def solution(y0: Any, t: Any, moving: Any, others: Any) -> Any:
        given = joined(moving, others)
        return solve(lambda t, y: f(t, y, *given), y0, t)

    def forward(y0: Any, t: Any, moving: Any, others: Any) -> Any:
        given = joined(moving, others)
        ys = solve(lambda t, y: f(t, y, *given), y0, t)
        return ys, (ys, t, moving, others)

    def backward(kept: Any, g: Any) -> Any:
        ys, t, moving, others = kept

        def slope(t: Any, y: Any, moving: Any) -> Any:
            return f(t, y, *joined(moving, others))

        def back(t: Any, state: Any) -> Any:
            y, w, _ = state
            dy, pull = vjp(lambda y, moving: slope(t, y, moving), y, moving)
            wy, wp = pull(w)
            return dy, tree_map(lambda x: -x, wy), tree_map(lambda x: -x, wp)

        n = t.shape[0]
        w = _at(g, n - 1)
        total = tree_map(lambda x: x * 0.0, moving)
        dt = []
        for i in range(n - 1, 0, -1):
            y = _at(ys, i)
            dt.append(_product(_at(g, i), slope(t[i], y, moving)))
            span = np.stack([t[i], t[i - 1]])
            _, w, total = tree_map(lambda x: x[-1], solve(back, (y, w, total), span))
            w = tree_map(lambda a, b: a + b, w, _at(g, i - 1))
        # The start: what comes at t[0] is y0 itself, and the time moves all that follows.
        first = _at(g, 0)
        later = tree_map(lambda a, b: a - b, w, first)
        dt.append(-_product(later, slope(t[0], _at(ys, 0), moving)))
        return w, np.stack(dt[::-1]), total, None

    solution.defvjp(forward, backward)
    moving = [x for x, is_float in zip(leaves, floats, strict=True) if is_float]
    others = [x for x, is_float in zip(leaves, floats, strict=True) if not is_float]
    return solution(y0, t, moving, others)


def _at(tree: Any, i: int) -> Any:
    return tree_map(lambda x: x[i], tree)


def _product(a: Any, b: Any) -> Any:
    """The sum of the products of the entries of two trees, real."""
    total: Any = 0.0
    for x, y in zip(flatten(a)[0], flatten(b)[0], strict=True):
        total = total + np.real(np.sum(x * y))
    return total
