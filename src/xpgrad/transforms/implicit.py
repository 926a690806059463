"""`implicit`: the derivative of a solution, by the condition that it fulfils.

In:  a solver, and a condition that is zero at what it finds.
Out: the solver as a function with a derivative, by the implicit function theorem.
Holds: the solver sees numbers and is never differentiated. The backward pass is made of ops on the solution and
the parameters, and the solution that it reads has the same rule one level down: so every order is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, TraceError, describe, message
from xpgrad._trees import flatten, paths, unflatten
from xpgrad.autodiff import Batch, call_with_rule
from xpgrad.core import aval_of
from xpgrad.ops.shape import astype, full_like
from xpgrad.trace import Traced
from xpgrad.trace.traced import is_symbolic
from xpgrad.transforms.derivatives import named, vjp
from xpgrad.transforms.matrices import jacobian

Fun = Callable[..., Any]


def implicit(solution: Fun, condition: Fun) -> Fun:
    """The function ``solution``, differentiated by the condition that its result fulfils.

    Parameters
    ----------
    solution : callable
        ``solution(params) -> x``: any solver, its own libraries and control flow included. It is called with
        arrays of numbers, which it must not write to, and is not differentiated. ``params`` is a tree of
        arrays, ``x`` a tree of float arrays, n entries in all.
    condition : callable
        ``condition(x, params)``: a tree of float arrays with n entries in all, which are zero at the solution.
        It can be differentiated as far as the result is to be.

    Returns
    -------
    callable
        ``f(params) -> x``, with derivatives of every order in both modes. Within `vmap` the solver is called
        for one sample after another. Within `compile` it is traced, if it can be.

    Raises
    ------
    ShapeError
        The condition has more entries than the solution, or fewer.
    DTypeError
        The solution has entries that are no real floats.
    TraceError
        Where only shapes are traced: the solver looks at numbers. Or the condition depends on a traced array
        that is not among ``params``, of which no derivative would be known.
    LinAlgError
        In the derivative: the Jacobian of the condition is singular on the CPU. On the GPU the result is not
        finite.

    Notes
    -----
    ``J_x dx = -J_p dp`` with the Jacobians of the condition at the solution (Krantz, Parks, *The Implicit
    Function Theorem*, theorem 3.3.1). A derivative takes time of the order of n^3 and memory of n^2, for
    ``J_x`` is a dense matrix. It is as exact as the solution: an error e in ``x`` is one of order e here.

    Examples
    --------
    >>> def root(p):
    ...     lo, hi = 0.0, 1.0 + p
    ...     while hi - lo > 1e-13:
    ...         mid = (lo + hi) / 2
    ...         lo, hi = (mid, hi) if mid**2 < p else (lo, mid)
    ...     return lo
    >>> round(xg.grad(xg.implicit(root, lambda x, p: x**2 - p))(4.0), 6)
    0.25
    """

    def solved(params: Any) -> Any:
        leaves, structure = flatten(params)
        batch = _innermost(leaves)
        if batch is not None:
            return _each(solved, batch, leaves, structure)
        if not any(map(is_symbolic, leaves)):
            return _checked(solution(params), params, condition)
        try:
            return _checked(solution(params), params, condition)
        except TraceError as error:
            raise TraceError(
                message(
                    "implicit: only shapes are traced here, and the solver looks at numbers",
                    {"params": ", ".join(map(describe, leaves))},
                    remedy="call it outside of what is compiled, and pass the result",
                )
            ) from error

    def fwd(params: Any) -> Any:
        x = implicitly(params)
        return x, (params, x)

    def bwd(residuals: Any, g: Any) -> Any:
        params, x = residuals
        leaves, structure = flatten(params)
        floating = [i for i, leaf in enumerate(leaves) if aval_of(leaf).dtype.kind in "fc"]
        xs, x_structure = flatten(x)
        at = _flat(xs)

        def of_solution(flat: Any) -> Any:
            return _flat(flatten(condition(unflatten(x_structure, _parted(flat, xs)), params))[0])

        def of_params(*ps: Any) -> Any:
            given = dict(zip(floating, ps, strict=True))
            tree = unflatten(structure, [given.get(i, leaf) for i, leaf in enumerate(leaves)])
            return _flat(flatten(condition(x, tree))[0])

        out, pullback = vjp(of_params, *[leaves[i] for i in floating])
        multiplier = -np.linalg.solve(np.transpose(jacobian(of_solution)(at)), _flat(flatten(g)[0]))
        found = [full_like(leaf, value=0) for leaf in leaves]
        for i, c in zip(floating, pullback(astype(multiplier, dtype=aval_of(out).dtype)), strict=True):
            found[i] = c
        return (unflatten(structure, found),)

    def implicitly(params: Any) -> Any:
        return call_with_rule(solved, fwd, bwd, (params,), "implicit", implicitly)

    return named(implicitly, implicit, solution, condition)


def _innermost(leaves: Sequence[Any]) -> Batch | None:
    """The batch that the innermost traced leaves belong to, if it is one."""
    traces = [x._trace for x in leaves if type(x) is Traced]
    trace = max(traces, key=lambda t: t.level, default=None)
    return trace if isinstance(trace, Batch) else None


def _each(f: Fun, batch: Batch, leaves: Sequence[Any], structure: Any) -> Any:
    """``f`` of one sample of ``batch`` after another."""
    parts = [batch.taken(x) for x in leaves]
    if not any(mapped for _, mapped in parts):
        return f(unflatten(structure, [x for x, _ in parts]))
    found = [
        flatten(f(unflatten(structure, [x[i] if mapped else x for x, mapped in parts])))
        for i in range(batch.size)
    ]
    columns = zip(*[xs for xs, _ in found], strict=True)
    return unflatten(found[0][1], [batch.enter(np.stack(column)) for column in columns])


def _checked(x: Any, params: Any, condition: Fun) -> Any:
    """``x``, if the condition has an equation for each of its entries and depends on ``params`` alone."""
    leaves = flatten(x)[0]
    for leaf, path in zip(leaves, paths(x), strict=True):
        if aval_of(leaf).dtype.kind != "f":
            complex_ = aval_of(leaf).dtype.kind == "c"
            remedy = "give real and imaginary parts" if complex_ else "give floats"
            got = {f"x{path}": leaf}
            raise DTypeError(
                message("implicit: the solution has entries that are no real floats", got, remedy=remedy)
            )
    given = {id(p._trace) for p in flatten((params, x))[0] if type(p) is Traced}
    rest = flatten(condition(x, params))[0]
    if any(type(r) is Traced and id(r._trace) not in given for r in rest):
        raise TraceError(
            message("implicit: a traced array reaches the condition from outside", remedy="pass it in params")
        )
    if sum(aval_of(r).size for r in rest) != sum(aval_of(leaf).size for leaf in leaves):
        raise ShapeError(
            message(
                "implicit: the condition needs one equation for each entry of the solution",
                {"condition": ", ".join(map(describe, rest)), "solution": ", ".join(map(describe, leaves))},
            )
        )
    return x


def _flat(leaves: Sequence[Any]) -> Any:
    """All entries as one vector."""
    if len(leaves) == 1:
        return np.reshape(leaves[0], -1)
    return np.concatenate([np.reshape(leaf, -1) for leaf in leaves])


def _parted(flat: Any, leaves: Sequence[Any]) -> list[Any]:
    """The entries of ``flat`` with the shapes and dtypes of ``leaves``."""
    found, start = [], 0
    for leaf in leaves:
        aval = aval_of(leaf)
        part = np.reshape(flat[start : start + aval.size], aval.shape)
        found.append(part if aval_of(part).dtype == aval.dtype else astype(part, dtype=aval.dtype))
        start += aval.size
    return found
