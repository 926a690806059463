"""The key of a call's arguments, by which its trace is found.

In:  the arguments of a call.
Out: a key: shapes, dtypes and strides of arrays, the classes of traced numbers, and the values of all others.
Holds: two calls with equal keys run the same program.
"""

from __future__ import annotations

from inspect import CO_VARKEYWORDS
from types import FunctionType
from typing import Any

import numpy as np

from xpgrad.devices.door import is_array, is_source


def known_key(args: Any) -> tuple[Any, list[Any]]:
    """Key and arrays of arguments that are arrays, numbers, and tuples, lists and dicts of these.

    For any other argument the key is None. This finds a known program without `flatten`, which would take much
    of the time of a call on ten numbers.
    """
    key: list[Any] = []
    leaves: list[Any] = []
    for x in args:
        kind = type(x)
        if kind is np.ndarray:
            key.append((x.shape, x.dtype, x.strides))
            leaves.append(x)
        elif kind in _NUMBERS:
            key.append(kind)
            leaves.append(x)
        elif kind is tuple or kind is list:
            inner, more = known_key(x)
            if inner is None:
                return None, leaves
            key.append((kind, inner))
            leaves += more
        elif kind is dict and all(type(k) is str for k in x):
            inner, more = known_key([x[k] for k in sorted(x)])  # the order of `flatten`
            if inner is None:
                return None, leaves
            key.append((dict, tuple(x), inner))
            leaves += more
        elif kind in _PLAIN:
            key.append((kind, x))
        else:
            return None, leaves
    return tuple(key), leaves


_NUMBERS = frozenset((float, np.float32, np.float64))
"""Scalars that are traced; the program is the same for all numbers."""

_PLAIN = frozenset((bool, int, str, type(None)))
"""Arguments that are known when a function is traced."""


def is_traced(x: Any) -> bool:
    return is_array(x) or isinstance(x, (float, complex)) or is_source(x)


def signature_of(x: Any) -> Any:
    if type(x) is np.ndarray:
        return x.shape, x.dtype, x.strides
    if isinstance(x, (float, complex)) and not isinstance(x, np.generic):
        return type(x)
    if is_array(x):
        return tuple(x.shape), np.dtype(x.dtype), getattr(x, "strides", None), type(x), _number(x)
    if is_source(x):
        return "source", x.shape, x.dtype, x.axis, x.layout
    return type(x), x, id(x) if isinstance(type(x).__eq__, FunctionType) else 0


def order_of(tree: Any) -> Any:
    """The keys of the dicts in ``tree``, in their order, which a loop over one sees; None where there are none.

    The structure of a tree does not say it: its leaves come by sorted keys.
    """
    if isinstance(tree, dict):
        return tuple([(key, order_of(x)) for key, x in tree.items()])
    if isinstance(tree, (tuple, list)):
        found = [order_of(x) for x in tree]
        return tuple(found) if any(order is not None for order in found) else None
    if hasattr(type(tree), "__dataclass_fields__"):
        return order_of([getattr(tree, name, None) for name in type(tree).__dataclass_fields__])
    return None


def order_of_call(f: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """`order_of` the arguments of ``f``; the order of its keywords counts where it takes any."""
    code = getattr(f, "__code__", None)
    if code is not None and code.co_flags & CO_VARKEYWORDS:
        return order_of((args, kwargs))
    return order_of((args, [kwargs[name] for name in sorted(kwargs)]))


def _number(x: Any) -> Any:
    """The number of the device that an array is on."""
    return getattr(getattr(x, "device", None), "id", None)
