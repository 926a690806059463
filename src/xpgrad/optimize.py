"""Roots, fixed points and minima by SciPy's names: SciPy solves, with our derivatives.

``root`` and ``fixed_point`` are differentiable in ``args`` to any order, by the implicit function theorem.
Parameters are trees of arrays on either device; SciPy sees one vector, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import DependencyError, NumericsError, TraceError, message
from xpgrad._trees import flatten, tree_map
from xpgrad.core import aval_of, is_inexact
from xpgrad.devices import asnumpy, common_device, namespace, using
from xpgrad.optim.flat import Flat
from xpgrad.trace import Traced
from xpgrad.transforms import hessian, hvp, implicit, jacobian, stop_gradient, value_and_grad

__all__ = ["fixed_point", "minimize_scipy", "root"]

Fun = Callable[..., Any]

# What each method of scipy.optimize takes; those that are not here take no derivative.
_JACOBIAN = frozenset({"hybr", "lm"})
_GRADIENT = frozenset(
    "cg bfgs newton-cg l-bfgs-b tnc slsqp dogleg trust-ncg trust-exact trust-krylov trust-constr".split()
)
_PRODUCTS = frozenset({"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"})
_MATRIX = frozenset({"dogleg", "trust-exact"})


def root(
    fun: Fun, x0: Any, args: Any = (), method: str = "hybr", tol: float | None = None, options: Any = None
) -> Any:
    """A root of ``fun``, differentiable in ``args``.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)``: a tree of float arrays with as many entries as ``x``.
    x0 : tree of float arrays or scalars
        Where the search begins; n entries in all. The root does not depend on it.
    args : tuple of trees of arrays
        What else ``fun`` gets; anything but a tuple is a single one. What is traced must be passed here.
    method, tol, options
        As in `scipy.optimize.root`. Methods "hybr" and "lm" are given the Jacobian of ``fun``.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x`` has the structure, shapes and dtypes of ``x0``. Where ``args`` are traced there are ``x`` and
        ``success`` alone; else all that SciPy gives.

    Raises
    ------
    NumericsError
        ``args`` are traced, and SciPy found no root: its derivative would have no meaning.
    TraceError
        Within `compile`: SciPy needs numbers. Or ``fun`` depends on a traced array that is not in ``args``.
    ShapeError
        ``fun`` has more entries than ``x``, or fewer.
    DependencyError
        SciPy is not installed.

    Notes
    -----
    `xpgrad.implicit` has the mathematics and the cost. SciPy's "hybr" is MINPACK's, Powell 1970.
    """
    scipy = _scipy("root")
    args, x0 = _tuple(args), _floats(x0)
    traced = _is_traced(args)
    results: list[Any] = []

    def solution(args: Any) -> Any:
        problem = _Problem("root", fun, x0, args)
        jac = problem.jacobian if method in _JACOBIAN else None
        result = scipy.root(problem.residual, problem.start, jac=jac, method=method, tol=tol, options=options)
        results[:] = [result]
        if traced and not result.success:
            raise NumericsError(message(f"root: method {method!r} found none: {result.message}"))
        return problem.tree(result.x)

    x = implicit(solution, lambda x, args: fun(x, *args))(args)
    if traced:
        return scipy.OptimizeResult(x=x, success=True)
    results[0].x = x
    return results[0]


def fixed_point(
    func: Fun, x0: Any, args: Any = (), xtol: float = 1e-8, maxiter: int = 500, method: str = "del2"
) -> Any:
    """A fixed point ``x = func(x, *args)``, differentiable in ``args``.

    Parameters
    ----------
    func : callable
        ``func(x, *args)``: a tree of float arrays with the structure and shapes of ``x``.
    x0 : tree of float arrays or scalars
        Where the iteration begins; the fixed point does not depend on it.
    args : tuple of trees of arrays
        What else ``func`` gets; anything but a tuple is a single one. What is traced must be passed here.
    xtol, maxiter, method
        As in `scipy.optimize.fixed_point`; derivatives have the relative accuracy ``xtol`` too.

    Returns
    -------
    tree
        It has the structure, shapes and dtypes of ``x0``.

    Raises
    ------
    NumericsError
        No convergence in ``maxiter`` iterations.
    TraceError
        Within `compile`: SciPy needs numbers. Or ``func`` depends on a traced array that is not in ``args``.
    ShapeError
        ``func(x)`` has another number of entries than ``x``.
    DependencyError
        SciPy is not installed.

    Notes
    -----
    Steffensen's method with Aitken's acceleration (Burden, Faires, *Numerical Analysis*, section 2.5);
    `xpgrad.implicit` has the mathematics of the derivative.
    """
    scipy = _scipy("fixed_point")
    args, x0 = _tuple(args), _floats(x0)

    def solution(args: Any) -> Any:
        problem = _Problem("fixed_point", func, x0, args)
        try:
            x = scipy.fixed_point(problem.residual, problem.start, (), xtol, maxiter, method)
        except RuntimeError as error:
            raise NumericsError(message(f"fixed_point: {error}")) from error
        return problem.tree(x)

    def condition(x: Any, args: Any) -> Any:
        return tree_map(lambda new, old: new - old, func(x, *args), x)

    return implicit(solution, condition)(args)


def minimize_scipy(
    fun: Fun,
    x0: Any,
    args: Any = (),
    method: str | None = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Fun | None = None,
    options: Any = None,
    *,
    compile: bool = False,
) -> Any:
    """A minimum of ``fun`` by `scipy.optimize.minimize`, with our gradient and Hessian.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)``: a real scalar.
    x0 : tree of float or complex arrays or scalars
        Where the search begins; SciPy sees one vector, in which a complex entry counts as two.
    args : tuple of trees of arrays
        What else ``fun`` gets; anything but a tuple is a single one.
    method : str, optional
        As in SciPy; None: "BFGS", or "L-BFGS-B" with bounds, or "SLSQP" with constraints. Every method that
        takes derivatives gets them: the gradient; "Newton-CG", "trust-ncg", "trust-krylov" and "trust-constr"
        products with the Hessian; "dogleg" and "trust-exact" the Hessian.
    bounds, constraints, tol
        As in SciPy, for the vector of parameters. The ``fun`` of a constraint that is a dict gets the tree, and
        its Jacobian is ours.
    callback : callable, optional
        ``callback(x)`` after each iteration, with the tree.
    options : dict, optional
        As in SciPy.
    compile : bool
        Whether value and gradient are compiled.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x`` has the structure, shapes and dtypes of ``x0``, on its device. The other fields are SciPy's, of
        vectors.

    Raises
    ------
    TraceError
        ``x0``, ``args`` or an array that ``fun`` reads is traced: this is no differentiable function.
    DependencyError
        SciPy is not installed.

    Notes
    -----
    `xpgrad.minimize` keeps parameters on their device, and compiles; this is for what only SciPy has, such as
    constraints.
    """
    scipy = _scipy("minimize_scipy")
    args = _tuple(args)
    if _is_traced((x0, args)):
        raise _not_differentiable()
    problem = _Problem("minimize_scipy", fun, _floats(x0), args)
    name = (method or "").lower()
    given: dict[str, Any] = {"jac": not method or name in _GRADIENT}
    if name in _PRODUCTS:
        given["hessp"] = problem.product
    if name in _MATRIX:
        given["hess"] = problem.hessian
    both = problem.objective(compile)
    if callback is not None:
        given["callback"] = lambda x, *_: callback(problem.tree(x))
    result = scipy.minimize(
        both if given["jac"] else lambda v: both(v)[0],
        problem.start,
        method=method,
        bounds=bounds,
        constraints=problem.constraints(constraints),
        tol=tol,
        options=options,
        **given,
    )
    result.x = problem.tree(result.x)
    return result


class _Problem:
    """A function of a tree, on the device of its arguments, as one of SciPy's vectors."""

    def __init__(self, name: str, fun: Fun, x0: Any, args: Any) -> None:
        self._fun, self._args = fun, args
        self._device = common_device((x0, *args), name="args", operation=name)
        self._xp = namespace(self._device)
        with using(self._device):
            self._flat = Flat(x0, self._xp)
            self.start = asnumpy(self._flat.vector(x0)).astype(float)

    def tree(self, v: Any) -> Any:
        """The parameters in a vector of SciPy's."""
        with using(self._device):
            return self._flat.tree(self._xp.asarray(np.array(v, self._flat.dtype)))

    def residual(self, v: Any) -> Any:
        """All entries of the function, as a vector."""
        return _host(self._entries(self._fun)(self.tree(v)))

    def jacobian(self, v: Any, fun: Fun | None = None) -> Any:
        """The Jacobian of the function (or of ``fun``), a matrix."""
        tree = jacobian(self._entries(fun or self._fun))(self.tree(v))
        columns = [np.reshape(x, (np.shape(x)[0], -1)) for x in map(_host, flatten(tree)[0])]
        return np.concatenate(columns, axis=1).astype(float)

    def objective(self, compile: bool) -> Fun:
        """Value and gradient."""
        both = value_and_grad(self._fun)
        if compile:
            from xpgrad.compiler import compile as compiled

            both = compiled(both)

        def of_vector(v: Any) -> tuple[float, Any]:
            value, gradient = both(self.tree(v), *self._args)
            if _is_traced(value):
                raise _not_differentiable()
            return float(asnumpy(value)), self._vector(gradient)

        return of_vector

    def product(self, v: Any, t: Any) -> Any:
        """The Hessian at ``v`` times ``t``."""
        return self._vector(hvp(self._fun)(self.tree(v), *self._args, self.tree(t)))

    def hessian(self, v: Any) -> Any:
        """The Hessian, one product for each column where there is more than a single array."""
        x = self.tree(v)
        leaves, structure = flatten(x)
        if structure is None and aval_of(leaves[0]).dtype.kind == "f":
            return np.reshape(_host(hessian(self._fun)(x, *self._args)), (v.size, v.size)).astype(float)
        return np.stack([self.product(v, e) for e in np.eye(v.size)])

    def constraints(self, given: Any) -> Any:
        """The constraints, with the Jacobian of those that are dicts."""
        if isinstance(given, dict):
            return self._constraint(given)
        if not isinstance(given, (list, tuple)):
            return given
        return [self._constraint(c) if isinstance(c, dict) else c for c in given]

    def _constraint(self, c: Any) -> Any:
        more = _tuple(c.get("args", ()))

        def fun(x: Any, *_: Any) -> Any:
            return c["fun"](x, *more)

        return {
            "type": c["type"],
            "fun": lambda v: _host(self._entries(fun)(self.tree(v))),
            "jac": lambda v: self.jacobian(v, fun),
        }

    def _entries(self, fun: Fun) -> Fun:
        def entries(x: Any) -> Any:
            leaves = [np.reshape(leaf, -1) for leaf in flatten(fun(x, *self._args))[0]]
            return leaves[0] if len(leaves) == 1 else np.concatenate(leaves)

        return entries

    def _vector(self, gradient: Any) -> Any:
        with using(self._device):
            return asnumpy(self._flat.gradient_vector(gradient)).astype(float)


def _not_differentiable() -> TraceError:
    return TraceError(
        message(
            "minimize_scipy: a traced array, and SciPy's minimum is no differentiable function of it",
            remedy="xg.implicit(solver, xg.grad(fun)) makes it one",
        )
    )


def _host(x: Any) -> Any:
    return np.asarray(asnumpy(x))


def _tuple(args: Any) -> tuple[Any, ...]:
    return args if type(args) is tuple else (args,)


def _floats(x0: Any) -> Any:
    """``x0``, which SciPy begins with, as numbers; integers are floats."""
    return tree_map(lambda x: x if is_inexact(x) else np.asarray(x, float)[()], stop_gradient(x0))


def _is_traced(tree: Any) -> bool:
    return any(type(x) is Traced for x in flatten(tree)[0])


def _scipy(name: str) -> Any:
    try:
        import scipy.optimize
    except ImportError as error:
        raise DependencyError(message(f"{name}: needs SciPy: pip install scipy")) from error
    return scipy.optimize
