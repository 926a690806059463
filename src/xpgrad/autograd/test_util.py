"""Checks of derivatives against finite differences, called as autograd's are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from xpgrad.autograd.operators import Argnum, of_arguments
from xpgrad.testing import check_grads as check

Fun = Callable[..., Any]
__all__ = ["check_grads", "combo_check"]
__test__ = False


def check_grads(f: Fun, argnum: Argnum = 0, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> Fun:
    """A function that checks the derivatives of ``f`` in the arguments at ``argnum``, where it is called.

    Raises
    ------
    NumericsError
        A derivative is wrong, as `xpgrad.check_grads` says.
    """

    def at(*args: Any, **kwargs: Any) -> None:
        of_one, x = of_arguments(f, argnum, args, kwargs)
        check(of_one, (x,), order=order, modes=modes)

    return at


def combo_check(f: Fun, *options: Any, **named: Any) -> Fun:
    """`check_grads` for each combination of the arguments that it is called with, each a list."""

    def at(*args: Any, **kwargs: Any) -> None:
        for given in product(*args):
            for values in product(*kwargs.values()):
                check_grads(f, *options, **named)(*given, **dict(zip(kwargs, values, strict=True)))

    return at
