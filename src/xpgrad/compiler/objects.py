"""The kinds of objects that the walk tells apart: leaves, containers, and opaque objects.

In:  any object.
Out: its kind, its entries, its state.
Holds: the type alone decides the kind; no code of the user's runs.
"""

from __future__ import annotations

import collections
import functools
import operator
import pickle
import random
import sys
import types
import weakref
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.compiler import homes, lookup
from xpgrad.compiler.guards import MISSING, PLAIN
from xpgrad.trace import Traced

_LEAVES = (
    *PLAIN, Traced, np.dtype, np.ufunc, range, slice, types.CodeType, type(...),
    type(sys.version_info), type(NotImplemented), types.MethodDescriptorType, types.WrapperDescriptorType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.ClassMethodDescriptorType,
)  # fmt: skip
_leaf: dict[type, bool] = {}


def is_leaf(x: Any) -> bool:
    """Whether ``x`` has nothing in it to watch."""
    kind = type(x)
    found = _leaf.get(kind)
    if found is None:
        plain = issubclass(kind, np.generic) and not issubclass(kind, np.void)  # a void looks into an array
        found = plain or (issubclass(kind, _LEAVES) and not issubclass(kind, PLAIN))
        _leaf[kind] = found = found or kind in PLAIN
    return found


def is_a(x: Any, kinds: Any) -> bool:
    """`isinstance` by the type alone: an object may compute its ``__class__`` by code of its own."""
    return issubclass(type(x), kinds)


BY_NAME = frozenset(
    id(f) for f in (getattr, hasattr, setattr, delattr, vars, dir, globals, locals, eval, exec,
                    operator.attrgetter, operator.methodcaller, pickle.dumps)
)  # fmt: skip
ALL = frozenset(("__dict__", "__getattribute__", "__getattr__", "__reduce_ex__", "__reduce__", "__getstate__"))
WRITERS = frozenset(
    ("append", "add", "extend", "insert", "appendleft", "extendleft", "discard", "update", "clear")
)
LRU: type = type(functools.lru_cache(maxsize=None)(lambda: None))
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
STOP: Any = object()
"""What an attribute gives is not to be followed further: code answers, or there is nothing."""


def of_dict(x: Any) -> list[Any]:
    return [*dict.keys(x), *dict.values(x)]


def of_mapping(x: Any) -> list[Any]:
    return [*x.keys(), *x.values()]


CONTAINERS: dict[type, Callable[[Any], list[Any]]] = {
    dict: of_dict,
    list: lambda x: list.__getitem__(x, slice(None)),
    tuple: lambda x: list(tuple.__iter__(x)),
    set: lambda x: list(set.__iter__(x)),
    frozenset: lambda x: list(frozenset.__iter__(x)),
    collections.deque: lambda x: list(collections.deque.__iter__(x)),
    array: lambda x: [x.typecode, x.tobytes()],
    bytearray: lambda x: [bytes(x)],
    memoryview: lambda x: [x.tobytes()],
    np.void: lambda x: [x.tobytes()],
    types.MappingProxyType: of_mapping,
    type({}.keys()): list,
    type({}.values()): list,
    type({}.items()): lambda x: [y for pair in x for y in pair],
}


def is_opaque(x: Any) -> bool:
    """Whether an object is compared as a whole."""
    if is_a(x, (type, types.ModuleType, types.FunctionType)):
        return False
    return is_a(x, _WHOLE) or homes.home_of_class(type(x)) is not homes.USER


_WHOLE = (types.BuiltinFunctionType, types.MethodType, functools.partial, weakref.ref, *GENERATORS)


def has(value: Any, name: str) -> bool:
    if is_a(value, types.ModuleType):
        return name in value.__dict__
    if is_a(value, type):
        return lookup.in_class(value, name) is not MISSING or lookup.in_class(type(value), name) is not MISSING
    held = lookup.dict_of(value)
    if held is not None and name in held:
        return True
    return lookup.in_class(type(value), name) is not MISSING or lookup.has_hooks(type(value))


def pickled(x: Any) -> Any:
    if is_of_ctypes(x):
        if x._objects is not None:
            raise TypeError("it points to memory elsewhere")
        return bytes(x)
    return pickle.dumps(x, 5)


def is_of_ctypes(x: Any) -> bool:
    return any(base.__module__ == "_ctypes" for base in type(x).__mro__)


def state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    if isinstance(generator, np.random.RandomState):
        return repr(generator.get_state(legacy=False))
    return generator.getstate()
