"""Derivatives by autograd's names and conventions, in terms of xpgrad's transforms."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import xpgrad.transforms as xg
from xpgrad._errors import DTypeError, message
from xpgrad._trees import flatten, tree_map
from xpgrad.core import aval_of

Fun = Callable[..., Any]
Argnum = int | tuple[int, ...] | list[int]


def of_arguments(f: Fun, argnum: Argnum, args: Any, kwargs: Any) -> tuple[Fun, Any]:
    """``f`` as a function of the arguments at ``argnum``, one or a tuple of several, and their values."""
    several = not isinstance(argnum, int)
    places = tuple(argnum) if not isinstance(argnum, int) else (argnum,)

    def of_them(x: Any) -> Any:
        given = list(args)
        for k, value in zip(places, x if several else (x,), strict=True):
            given[k] = value
        return f(*given, **kwargs)

    return of_them, tuple(args[k] for k in places) if several else args[argnum]


def _nary(operator: Fun) -> Fun:
    """``operator(f, x)`` for a function of one argument, as one for ``f(*args, **kwargs)`` and ``argnum``."""

    def of_function(f: Fun, argnum: Argnum = 0, *options: Any, **named: Any) -> Fun:
        def at(*args: Any, **kwargs: Any) -> Any:
            return operator(*of_arguments(f, argnum, args, kwargs), *options, **named)

        at.__name__ = f"{operator.__name__}_of_{getattr(f, '__name__', 'f')}"
        at.__doc__ = operator.__doc__
        return at

    of_function.__name__, of_function.__doc__ = operator.__name__, operator.__doc__
    return of_function


def _ones(tree: Any) -> Any:
    return tree_map(np.ones_like, tree)


@_nary
def grad(f: Fun, x: Any) -> Any:
    """The gradient of a real loss of one entry, with the structure of the argument."""
    return xg.grad(f)(x)


@_nary
def value_and_grad(f: Fun, x: Any) -> Any:
    """The loss and its gradient."""
    return xg.value_and_grad(f)(x)


@_nary
def grad_and_aux(f: Fun, x: Any) -> Any:
    """The gradient of the first of two results, and the second one."""
    return xg.grad(f, has_aux=True)(x)


@_nary
def elementwise_grad(f: Fun, x: Any) -> Any:
    """The sum of the rows of the Jacobian: its diagonal, where ``f`` works entry by entry.

    Raises
    ------
    DTypeError
        The result is complex.
    """
    out, pullback = xg.vjp(f, x)
    if any(aval_of(y).dtype.kind == "c" for y in flatten(out)[0]):
        raise DTypeError(message("elementwise_grad: the function returns complex numbers", {"result": out}))
    return pullback(_ones(out))[0]


@_nary
def deriv(f: Fun, x: Any) -> Any:
    """The derivative along an argument all of ones, in forward mode."""
    return xg.jvp(f, (x,), (_ones(x),))[1]


@_nary
def jacobian(f: Fun, x: Any) -> Any:
    """The Jacobian, of the shape of the result followed by that of the argument."""
    return xg.jacobian(f)(x)


@_nary
def hessian(f: Fun, x: Any) -> Any:
    """The matrix of second derivatives, of the shape of the argument twice."""
    return xg.jacobian(xg.jacobian(f))(x)


@_nary
def holomorphic_grad(f: Fun, x: Any) -> Any:
    """The derivative of a holomorphic function of one entry: the gradient of its real part."""
    return xg.grad(lambda z: np.real(f(z)))(x)


@_nary
def make_vjp(f: Fun, x: Any) -> Any:
    """``(vjp, value)``, where ``vjp(g)`` is the cotangent of the argument."""
    value, pullback = xg.vjp(f, x)
    return lambda g: pullback(g)[0], value


@_nary
def make_jvp(f: Fun, x: Any) -> Any:
    """``jvp``, where ``jvp(v)`` is the value and the derivative along ``v``."""
    return lambda v: xg.jvp(f, (x,), (v,))


@_nary
def make_hvp(f: Fun, x: Any) -> Any:
    """``(hvp, gradient)``, where ``hvp(v)`` is the product of the Hessian and ``v``."""
    value, pullback = xg.vjp(xg.grad(f), x)
    return lambda v: pullback(v)[0], value


def hessian_tensor_product(f: Fun, argnum: int = 0) -> Fun:
    """The product of the Hessian and a tensor, which is the last argument of the function that is returned."""

    def product(*args: Any, **kwargs: Any) -> Any:
        *rest, v = args
        of_one, x = of_arguments(f, argnum, rest, kwargs)
        return xg.hvp(of_one)(x, v)

    return product


def tensor_jacobian_product(f: Fun, argnum: int = 0) -> Fun:
    """The product of a tensor, the last argument, and the Jacobian.

    The tensor is contracted with as many axes of the result as it has itself.
    """

    def product(*args: Any, **kwargs: Any) -> Any:
        *rest, v = args
        of_one, x = of_arguments(f, argnum, rest, kwargs)
        return xg.jacobian(lambda y: np.tensordot(v, of_one(y), axes=np.ndim(v)))(x)

    return product


hessian_vector_product, vector_jacobian_product = hessian_tensor_product, tensor_jacobian_product


def grad_named(f: Fun, argname: str) -> Fun:
    """The gradient in the positional argument of that name."""
    fun: Fun = grad(f, list(inspect.signature(f).parameters).index(argname))
    return fun


def multigrad_dict(f: Fun) -> Fun:
    """The gradients in all arguments, as a dict by their names."""

    def gradients(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = inspect.signature(f).bind(*args, **kwargs)
        bound.apply_defaults()

        def of_names(named: dict[str, Any]) -> Any:
            again = inspect.BoundArguments(bound.signature, {**bound.arguments, **named})
            return f(*again.args, **again.kwargs)

        found: dict[str, Any] = xg.grad(of_names)(dict(bound.arguments))
        return found

    return gradients


def _half_square(x: Any) -> Any:
    return 0.5 * np.sum(x**2, axis=-1)


def make_ggnvp(f: Fun, g: Fun = _half_square, f_argnum: int = 0) -> Fun:
    """Products with the Gauss-Newton matrix of ``g(f(x))``: the Hessian of ``g`` between two Jacobians."""

    def at(*args: Any, **kwargs: Any) -> Fun:
        of_one, x = of_arguments(f, f_argnum, args, kwargs)
        value, pullback = xg.vjp(of_one, x)

        def product(v: Any) -> Any:
            along = xg.jvp(of_one, (x,), (v,))[1]
            return pullback(xg.hvp(lambda y: np.sum(g(y)))(value, along))[0]

        return product

    return at


def checkpoint(f: Fun) -> Fun:
    """``f``, computed again in the backward sweep instead of kept."""
    return xg.checkpoint(f)
