"""Functions with derivatives that the user states: ``primitive``, ``defvjp`` and their kin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from xpgrad._errors import NotDifferentiableError, TraceError, message
from xpgrad._trees import flatten, tree_map
from xpgrad.autodiff import custom_vjp
from xpgrad.trace import Traced
from xpgrad.transforms import stop_gradient, vjp

Fun = Callable[..., Any]
_SAME = "same"


class primitive:
    """A function that is not looked into: it gets plain arrays, and its derivative is what `defvjp` says.

    Parameters
    ----------
    f : callable
        Takes arrays among its positional arguments; keyword arguments have no derivative.
    """

    __name__: str = "f"

    def __init__(self, f: Fun) -> None:
        self._f = f
        self._vjps: dict[int, Fun | None] = {}
        self._jvps: dict[int, Any] = {}
        self._together: Fun | None = None  # of `defvjp_argnums`
        update_wrapper(self, f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        places = [i for i, x in enumerate(args) if any(type(leaf) is Traced for leaf in _leaves(x))]
        if not places:
            return self._f(*args, **kwargs)

        def filled(xs: Sequence[Any]) -> list[Any]:
            given = dict(zip(places, xs, strict=True))
            return [given.get(i, x) for i, x in enumerate(args)]

        def forward(*xs: Any) -> Any:
            out = self(*filled(xs), **kwargs)  # which may be traced further out
            return out, (out, xs)

        def backward(residuals: Any, g: Any) -> tuple[Any, ...]:
            out, xs = residuals
            return self._cotangents(places, out, filled(xs), kwargs, g)

        call = custom_vjp(lambda *xs: self._f(*filled(xs), **kwargs))
        call.__name__ = self.__name__
        call.defvjp(forward, backward)
        return call(*[args[i] for i in places])

    def _cotangents(self, places: list[int], out: Any, args: list[Any], kwargs: Any, g: Any) -> tuple[Any, ...]:
        if self._together is not None:
            return tuple(self._together(places, out, args, kwargs)(g))
        found = []
        for i in places:
            if i in self._vjps:
                maker = self._vjps[i]
                found.append(None if maker is None else maker(out, *args, **kwargs)(g))
            elif i in self._jvps:
                found.append(self._transposed(i, out, args, kwargs, g))
            else:
                raise NotDifferentiableError(
                    message(
                        f"{self.__name__}: no derivative is stated in argument {i}",
                        {"argument": args[i]},
                        remedy=f"defvjp({self.__name__}, ...); None for an argument that has none",
                    )
                )
        return tuple(found)

    def _transposed(self, i: int, out: Any, args: list[Any], kwargs: Any, g: Any) -> Any:
        """The cotangent of argument ``i`` by the derivative along it, which is linear."""
        rule = self._jvps[i]
        if rule is None:
            return None
        if rule == _SAME:

            def along(t: Any) -> Any:
                return self._f(*[t if k == i else x for k, x in enumerate(args)], **kwargs)
        else:

            def along(t: Any) -> Any:
                return rule(t, out, *args, **kwargs)

        return vjp(along, tree_map(np.zeros_like, args[i]))[1](g)[0]


def _leaves(x: Any) -> list[Any]:
    return [x] if type(x) is Traced else list(flatten(x)[0]) if isinstance(x, (tuple, list, dict)) else []


def _rules(f: Any, rules: Sequence[Any], argnums: Any) -> dict[int, Any]:
    if not isinstance(f, primitive):
        raise TraceError(
            message(
                f"{getattr(f, '__name__', f)!s} is no primitive",
                remedy="decorate it with @primitive, then state it",
            )
        )
    return dict(zip(range(len(rules)) if argnums is None else argnums, rules, strict=False))


def defvjp(f: primitive, *vjpmakers: Fun | None, argnums: Sequence[int] | None = None) -> None:
    """State cotangents: ``maker(out, *args, **kwargs)`` returns a function of the cotangent of ``out``.

    Parameters
    ----------
    f : primitive
    vjpmakers : callables or None
        One for each argument, or for each of ``argnums``; None where there is no derivative.
    """
    rules = _rules(f, vjpmakers, argnums)
    f._vjps.update(rules)


def defvjp_argnum(f: primitive, vjpmaker: Fun) -> None:
    """State cotangents by one maker, which gets the number of the argument first."""

    def together(places: Sequence[int], out: Any, args: Any, kwargs: Any) -> Fun:
        return lambda g: [vjpmaker(i, out, args, kwargs)(g) for i in places]

    f._together = together


def defvjp_argnums(f: primitive, vjpmaker: Fun) -> None:
    """State cotangents by one maker, ``maker(argnums, out, args, kwargs)``, for several arguments at once."""
    f._together = vjpmaker


def defjvp(f: primitive, *jvpfuns: Any, argnums: Sequence[int] | None = None) -> None:
    """State derivatives along each argument: ``rule(t, out, *args, **kwargs)``, or ``"same"`` for a linear one.

    Where no cotangent is stated, it is the transpose of this.
    """
    rules = _rules(f, jvpfuns, argnums)
    f._jvps.update(rules)


def def_linear(f: primitive) -> None:
    """State that ``f`` is linear in each argument."""
    f._jvps.update(dict.fromkeys(range(f._f.__code__.co_argcount), _SAME))


def notrace_primitive(f: Fun) -> Fun:
    """``f`` of plain arrays, whose result has no derivative."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        return f(*stop_gradient(args), **stop_gradient(kwargs))

    update_wrapper(plain, f)
    return plain
