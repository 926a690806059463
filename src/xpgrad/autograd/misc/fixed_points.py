"""Fixed points, differentiated by the equation that they fulfil."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpgrad._trees import tree_map
from xpgrad.transforms import implicit


def fixed_point(f: Callable[[Any], Callable[[Any], Any]], a: Any, x0: Any, distance: Any, tol: float) -> Any:
    """The fixed point of ``f(a)``, reached from ``x0``, with its derivative in ``a``.

    Parameters
    ----------
    f : callable
        ``f(a)(x)`` is the next ``x``.
    a : tree
    x0 : array
        Where the iteration begins; the fixed point does not depend on it.
    distance : callable
        Of two iterates; below ``tol`` the iteration ends.
    tol : float
    """

    def solution(a: Any) -> Any:
        step = f(a)
        x, before = step(x0), x0
        while distance(x, before) > tol:
            x, before = step(x), x
        return x

    return implicit(solution, lambda x, a: tree_map(lambda new, old: new - old, f(a)(x), x))(a)
