"""Attribute lookup as Python does it, without running any code of the user's.

In:  an object and a name.
Out: the value, and how it is bound.
"""

from __future__ import annotations

import threading
import types
from typing import Any, NamedTuple

from xpgrad.compiler.guards import MISSING


class Found(NamedTuple):
    """The result of a lookup.

    ``how`` is ``value`` (as it is), ``method`` (a function, bound to the owner), ``function`` (of a static or
    class method), ``computed`` (by a property, or by code of the user's) or ``absent``."""

    how: str
    value: Any = MISSING


_PYTHON = (types.FunctionType, types.MethodType, property)


def in_class(kind: type, name: str) -> Any:
    """The entry of that name in the dict of the class or of one of its bases."""
    for base in kind.__mro__:
        found = base.__dict__.get(name, MISSING)
        if found is not MISSING:
            return found
    return MISSING


def has_hooks(kind: type) -> bool:
    """Whether a class computes attributes by code of its own."""
    got = in_class(kind, "__getattribute__")
    return in_class(kind, "__getattr__") is not MISSING or isinstance(got, types.FunctionType)


def of_instance(owner: Any, name: str) -> Found:
    """``owner.name`` for an object that is neither a class nor a module."""
    kind = type(owner)
    raw = in_class(kind, name)
    how = type(raw)
    if raw is not MISSING and (hasattr(how, "__set__") or hasattr(how, "__delete__")):
        return Found("computed", raw) if _by_python(raw) else _taken(owner, name)
    held = dict_of(owner)
    if held is not None and name in held:
        return Found("value", held[name])
    if raw is MISSING:
        return Found("computed") if has_hooks(kind) else Found("absent")
    if how is types.FunctionType:
        return Found("method", raw)
    if how is staticmethod or how is classmethod:
        return Found("function", raw.__func__)
    if hasattr(how, "__get__"):
        return Found("computed", raw) if _by_python(raw) else Found("function", raw)
    return Found("value", raw)


def of_class(owner: type, name: str) -> Found:
    """``owner.name`` for a class."""
    raw = in_class(owner, name)
    how = type(raw)
    meta = in_class(type(owner), name)
    if meta is not MISSING and raw is MISSING:
        return Found("computed", meta) if _by_python(meta) else _taken(owner, name)
    if raw is MISSING:
        return Found("computed") if has_hooks(type(owner)) else Found("absent")
    if how is types.FunctionType or how is property:
        return Found("value", raw)
    if how is staticmethod or how is classmethod:
        return Found("function", raw.__func__)
    if hasattr(how, "__get__"):
        return Found("computed", raw) if _by_python(raw) else Found("function", raw)
    return Found("value", raw)


def _by_python(descriptor: Any) -> bool:
    if isinstance(descriptor, property):
        return True
    return any(isinstance(in_class(type(descriptor), n), types.FunctionType) for n in ("__get__", "__set__"))


def _taken(owner: Any, name: str) -> Found:
    try:
        return Found("value", getattr(owner, name))
    except Exception:
        return Found("absent")


def dict_of(owner: Any) -> Any:
    """The dict of an object's attributes, if it has one."""
    try:
        if isinstance(owner, threading.local):
            return owner.__dict__
        held = object.__getattribute__(owner, "__dict__")
    except AttributeError:
        return None
    return held if isinstance(held, dict) else None


def slots_of(kind: type) -> list[str]:
    """The names of a class's slots."""
    return [
        name
        for base in kind.__mro__
        for name, x in base.__dict__.items()
        if isinstance(x, types.MemberDescriptorType)
    ]
