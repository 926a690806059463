"""Copies and pickles of compiled functions: they behave as Python functions, with their options.

In:  a function and the options it was compiled with.
Out: what pickle keeps, and a copy.
Holds: traces, kernels and locks are never pickled. A function that is found by its qualified name, as a
decorated one is, is pickled by that name.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from functools import partial, reduce
from types import MethodType
from typing import Any

Fun = Callable[..., Any]


def found_by_name(x: Any) -> bool:
    """Whether its module has ``x`` under its qualified name, and the pickler goes by names."""
    module, name = getattr(x, "__module__", None), getattr(x, "__qualname__", None)
    if module is None or name is None or module not in sys.modules or "<locals>" in name:
        return False
    try:
        found = reduce(getattr, name.split("."), sys.modules[module])
    except AttributeError:
        return False
    return found is x and not (module == "__main__" and _by_value())


def _by_value() -> bool:
    """Whether cloudpickle is at work, which pickles functions of ``__main__`` by value."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in ("cloudpickle", "dill"):
            return True
        frame = frame.f_back
    return False


class Recipe:
    """The transform that made a function, with its arguments; it is pickled instead of the unnamed function."""

    def __init__(self, maker: Fun, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.maker, self.args, self.kwargs = maker, args, kwargs

    def __reduce__(self) -> Any:
        kwargs = {name: picklable(x) for name, x in self.kwargs.items()}
        return _made, (self.maker, tuple(map(picklable, self.args)), kwargs)


def _made(maker: Fun, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return maker(*args, **kwargs)


def picklable(f: Any) -> Any:
    """``f``, or its recipe; both are unpickled as such a function."""
    if type(f) is partial:
        return Recipe(partial, (f.func, *f.args), f.keywords)
    made = getattr(f, "__dict__", {}).get("_made_by")
    return f if made is None else Recipe(made[0], made[1], {})


def copied(f: Fun, memo: dict[int, Any]) -> Fun:
    """A deep copy of a function: itself, but for a method's object and the arguments of a ``partial``."""
    return copy.deepcopy(f, memo) if isinstance(f, (MethodType, partial)) else f
