"""Trees of arrays as one vector, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All numbers of ``value`` in one vector, and the function that makes a tree of such a vector.

    Parameters
    ----------
    value : nested tuples, lists and dicts of arrays and numbers
        The keys of a dict are taken in their order when sorted.
    """
    leaves = _leaves(value)
    flat = np.concatenate([np.ravel(x) for x in leaves]) if leaves else np.zeros(0)
    ends = np.cumsum([0, *(np.size(x) for x in leaves)])

    def unflatten(vector: Any) -> Any:
        parts = iter(
            [np.reshape(vector[a:b], np.shape(x)) for x, a, b in zip(leaves, ends, ends[1:], strict=False)]
        )
        return _rebuilt(value, parts)

    return flat, unflatten


def flatten_func(f: Callable[..., Any], example: Any) -> tuple[Callable[..., Any], Callable[[Any], Any], Any]:
    """``f`` of a tree like ``example`` as a function of vectors, with ``unflatten`` and its vector."""
    vector, unflatten = flatten(example)
    return lambda x, *args: flatten(f(unflatten(x), *args))[0], unflatten, vector


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [x for key in sorted(value) for x in _leaves(value[key])]
    return [x for part in value for x in _leaves(part)] if isinstance(value, (tuple, list)) else [value]


def _rebuilt(value: Any, parts: Any) -> Any:
    if isinstance(value, dict):
        found = {key: _rebuilt(value[key], parts) for key in sorted(value)}
        return {key: found[key] for key in value}
    if isinstance(value, (tuple, list)):
        return type(value)([_rebuilt(part, parts) for part in value])
    return next(parts)
