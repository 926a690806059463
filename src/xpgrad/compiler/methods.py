"""Compiled methods: each object has traces of its own.

In:  a compiled function that is found in a class, and an object.
Out: the compiled method of the object.
Holds: the traces do not keep the object alive; a method that is held does, as a Python method does.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any

Fun = Callable[..., Any]


class Method:
    """A method of an object, which it does not keep alive."""

    def __init__(self, f: Fun, owner: Callable[[], Any]) -> None:
        self._f, self._owner = f, owner
        update_wrapper(self, f, updated=())

    def bound(self) -> Fun:
        return MethodType(self._f, self._owner())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._f(self._owner(), *args, **kwargs)

    def __watched__(self) -> list[Any]:
        return [self._f, self._owner()]


class CompiledMethod:
    """A compiled method of an object, which it keeps alive, as a Python method does."""

    def __init__(self, function: Any, instance: Any, own: Any) -> None:
        self.__func__, self.__self__, self._own = function, instance, own

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._own(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_own"), name)

    def __eq__(self, other: Any) -> bool:
        same: bool = type(other) is CompiledMethod and self._own is other._own
        return same

    def __hash__(self) -> int:
        return hash(self._own)

    def __watched__(self) -> list[Any]:
        return [self.__func__, self.__self__]

    def __copy__(self) -> CompiledMethod:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.__func__.__get__(copy.deepcopy(self.__self__, memo))

    def __reduce__(self) -> Any:
        return _bound, (self.__func__, self.__self__)


def _bound(of: Any, instance: Any) -> Any:
    return of.__get__(instance)


def alive_of(instance: Any, gone: Callable[[Any], None]) -> Callable[[], Any]:
    """A weak reference; a strong one if the object's ``__slots__`` have no ``__weakref__``."""
    try:
        return weakref.ref(instance, gone)
    except TypeError:
        return lambda: instance
