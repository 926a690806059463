"""Trees of arrays: tuples, lists, dicts, namedtuples and dataclasses, flattened and rebuilt.

None is a tree without leaves. Dataclasses are taken apart by their fields, without registration.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_NAMESPACE = "xpgrad"
_lock = threading.Lock()
_registered: set[type] = set()
_OBJECT = np.dtype(object)
_gather: list[Callable[[Any], Any]] = []
_leaf_types: set[type] = {float, int, complex, bool, np.ndarray, np.float64, np.float32}


def _optree() -> Any:
    """optree, imported when the first container is met: it is slow to import."""
    import optree

    return optree


def register_objects(gather: Callable[[Any], Any]) -> None:
    """Let ``gather(x)`` be read for leaves that are arrays of objects."""
    _gather.append(gather)


def leaf(x: Any) -> Any:
    """``x``, which is no container, or what it stands for if it is an array of objects."""
    return _gather[0](x) if type(x) is np.ndarray and x.dtype is _OBJECT and _gather else x


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """The leaves of ``tree`` in order, and its structure (None for a single leaf)."""
    if type(tree) in _leaf_types:
        return [leaf(tree)], None
    optree = _optree()
    leaves, treedef = optree.tree_flatten(tree, namespace=_NAMESPACE)
    if _register([type(x) for x in leaves]):
        return flatten(tree)
    return [leaf(x) for x in leaves], None if treedef.is_leaf() else treedef


def unflatten(treedef: Any, leaves: Sequence[Any]) -> Any:
    """The tree of structure ``treedef`` with ``leaves``."""
    return leaves[0] if treedef is None else treedef.unflatten(leaves)


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply ``f`` to each leaf, and to the leaves of ``rest`` at the same places."""
    leaves, treedef = flatten(tree)
    others = [flatten(t)[0] for t in rest]
    return unflatten(treedef, [f(*xs) for xs in zip(leaves, *others, strict=True)])


def paths(tree: Any) -> list[str]:
    """The Python expression of each leaf: ``"[0]['W']"``, in the order of the leaves."""
    flatten(tree)
    return ["".join(f"[{part!r}]" for part in p) for p in _optree().tree_paths(tree, namespace=_NAMESPACE)]


def _register(kinds: Sequence[type]) -> bool:
    """Register the first dataclass among ``kinds``; whether there was one."""
    import dataclasses

    kind = next(filter(dataclasses.is_dataclass, kinds), None)
    if kind is None:
        return False
    names = [f.name for f in dataclasses.fields(kind)]
    with _lock:
        if kind not in _registered:  # another thread may have been first, and optree takes a type only once
            _optree().register_pytree_node(
                kind,
                lambda x: ([getattr(x, n) for n in names], None, names),
                lambda _, children: _rebuild(kind, names, children),
                namespace=_NAMESPACE,
            )
            _registered.add(kind)
    return True


def _rebuild(kind: type, names: Sequence[str], children: Sequence[Any]) -> Any:
    """An instance with these fields, without running ``__init__`` (leaves may be of any type)."""
    instance: Any = object.__new__(kind)
    for name, child in zip(names, children, strict=True):
        object.__setattr__(instance, name, child)
    return instance


def prefix_leaves(prefix: Any, tree: Any) -> list[Any] | None:
    """For each leaf of ``tree`` the entry of ``prefix`` that stands for it; None if it is no prefix.

    A prefix has the form of the tree near the root; its leaves, ints or None, stand for whole branches.
    """
    if prefix is None or type(prefix) is int:
        return [prefix] * len(flatten(tree)[0])
    parts, form = _one_level(prefix)
    branches, other = _one_level(tree)
    if form.type is None or other.type is None:
        return [prefix] if form.type is other.type else None
    if form.entries() != other.entries() or not _same_kind(form.type, other.type):
        return None
    found: list[Any] = []
    for part, branch in zip(parts, branches, strict=True):
        leaves = prefix_leaves(part, branch)
        if leaves is None:
            return None
        found += leaves
    return found


def _same_kind(one: type, other: type) -> bool:
    return one is other or {one, other} <= {tuple, list}


def _one_level(tree: Any) -> tuple[list[Any], Any]:
    """The branches of ``tree`` and the form of its root; a leaf has no type."""
    flatten(tree)  # which registers a dataclass
    branches, form = _optree().tree_flatten(tree, is_leaf=lambda x: x is not tree, namespace=_NAMESPACE)
    return branches, form
