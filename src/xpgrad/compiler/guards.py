"""Guards: the places that a trace has read, with the values that they had.

In:  places (an entry of a dict, an attribute, a cell, a container, an array) as tracing meets them.
Out: whether each still has its value.
Holds: a check looks a place up again as Python does and asks for the same object, or an equal number or
string; nothing else is walked. A place that a trace itself has written to is compared with what traces last
left there, so that no trace makes another one stale.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "nothing"})()

PLAIN = (bool, int, str, bytes, type(None), float, complex)
_PLAIN = frozenset(PLAIN)

Probe = Callable[[], Any]


def equal(a: Any, b: Any) -> bool:
    """Whether ``a`` may stand for ``b``: the same object, or an equal number, string or tuple, bit by bit."""
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is float or kind is complex:
        return repr(a) == repr(b)
    if kind in _PLAIN:
        return bool(a == b)
    if kind is tuple:
        return len(a) == len(b) and all(map(equal, a, b))
    if kind is frozenset:
        return bool(a == b) and all(map(equal, a, b))
    if isinstance(a, np.generic) and not isinstance(a, np.object_):
        return bool(a.dtype == b.dtype and a.tobytes() == b.tobytes())
    return isinstance(a, np.dtype) and bool(a == b)


class Guards:
    """A flat list of cheap checks, by kind of place."""

    __slots__ = ("_attributes", "_cells", "_entries", "_kinds", "_known", "_methods", "_others", "weak")

    def __init__(self, weak: bool = False) -> None:
        self._entries: list[tuple[Any, Any, Any]] = []
        self._attributes: list[tuple[Any, str, Any]] = []
        self._methods: list[tuple[Any, str, Any]] = []
        self._cells: list[tuple[Any, Any]] = []
        self._kinds: list[tuple[Any, type]] = []
        self._others: list[Any] = []
        self._known: set[Any] = set()
        self.weak = weak

    def _new(self, *key: Any) -> bool:
        if key in self._known:
            return False
        self._known.add(key)
        return True

    # ── adding guards ────────────────────────────────────────────────────────────────────────
    def entry(self, mapping: Any, key: Any, value: Any) -> None:
        """``mapping[key]``; ``MISSING`` for none."""
        if self._new("entry", id(mapping), type(key), key):
            get = dict.get.__get__(mapping) if isinstance(mapping, dict) else mapping.get
            self._entries.append((get, key, value))

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """``owner.name``, as Python looks it up; ``MISSING`` for none."""
        if self._new("attribute", id(owner), name):
            if self.weak:
                self._weakly(owner, name, lambda x: getattr(x, name, MISSING), value)
            else:
                self._attributes.append((owner, name, value))

    def method(self, owner: Any, name: str, function: Any) -> None:
        """``owner.name`` is bound to ``function``."""
        if self._new("attribute", id(owner), name):
            if self.weak:
                self._weakly(owner, name, lambda x: getattr(getattr(x, name, None), "__func__", None), function)
            else:
                self._methods.append((owner, name, function))

    def cell(self, cell: Any, value: Any) -> None:
        if self._new("cell", id(cell)):
            if value is MISSING:
                self.call(lambda: content_of(cell), value)
            else:
                self._cells.append((cell, value))

    def kind(self, owner: Any) -> None:
        """The class of ``owner``."""
        if self._new("kind", id(owner)):
            if self.weak:
                self._weakly(owner, "__class__", type, type(owner))
            else:
                self._kinds.append((owner, type(owner)))

    def call(self, probe: Probe, value: Any, key: Any = None, own: bool = False) -> None:
        """The result of ``probe()``; ``own``: a call of the function may change it."""
        if key is None or self._new("call", key):
            self._others.append(_Called(probe, lambda: value, ("call", key or id(probe)), own))

    def other(self, what: str, owner: Any, make: Callable[[], Any]) -> None:
        """Another kind of check, with ``same()`` and ``left()``."""
        if self._new(what, id(owner)):
            self._others.append(make())

    def _weakly(self, owner: Any, name: str, look: Callable[[Any], Any], value: Any) -> None:
        place = "attribute", id(owner), name
        owner = _held(owner)
        self._others.append(_Called(lambda: look(owner()), _held(value), place))

    # ── checking ─────────────────────────────────────────────────────────────────────────────
    def same(self) -> bool:
        """Whether all places have the same values."""
        try:
            for get, key, value in self._entries:
                now = get(key, MISSING)
                if now is not value and not equal(now, value):
                    return False
            for owner, name, value in self._attributes:
                now = getattr(owner, name, MISSING)
                if now is not value and not equal(now, value):
                    return False
            for owner, name, value in self._methods:
                if getattr(owner, name).__func__ is not value:
                    return False
            for cell, value in self._cells:
                now = cell.cell_contents
                if now is not value and not equal(now, value):
                    return False
            for owner, value in self._kinds:
                if type(owner) is not value:
                    return False
            for other in self._others:
                if not other.same():
                    return False
        except Exception:  # what was read is no more to be read: the trace will say why
            return False
        return True

    def places(self) -> list[tuple[bool, Any, str, Any]] | None:
        """The guards, if each is that an entry of a dict or an attribute is the same object, which holds now.

        For each: whether it is an entry, the dict or the object, the key or the name, and the value, which may
        be `MISSING` for an entry. None if there are others, such as an attribute that is not there.
        """
        if self._methods or self._kinds or self._others:
            return None
        found = [(False, *place) for place in (*self._attributes, *_contents(self._cells))]
        if any(x is MISSING or getattr(owner, name, MISSING) is not x for _, owner, name, x in found):
            return None
        for get, key, value in self._entries:
            mapping = getattr(get, "__self__", None)
            if type(mapping) is not dict or type(key) is not str or mapping.get(key, MISSING) is not value:
                return None
            found.append((True, mapping, key, value))
        return found

    def count(self) -> int:
        """The number of checks."""
        lists: list[list[Any]] = [self._entries, self._attributes, self._methods]
        lists += [self._cells, self._kinds, self._others]
        return sum(map(len, lists))

    def settle(self, own: Callable[[Any], bool]) -> bool:
        """After the trace: compare the places that it has changed itself with what traces last left there.

        ``own`` has the names of attributes that it has written, or None for entries of containers. Returns
        whether there are such places."""
        changed = False
        kept: list[Any] = []
        for get, key, value in self._entries:
            if equal(get(key, MISSING), value) or not own(key):
                kept.append((get, key, value))
            else:
                changed = True
                place = ("entry", id(getattr(get, "__self__", get)), key)
                self._others.append(_left(place, partial(get, key, MISSING), get))
        self._entries = kept
        kept = []
        for owner, name, value in self._attributes:
            if equal(getattr(owner, name, MISSING), value) or not own(name):
                kept.append((owner, name, value))
            else:
                changed = True
                place = ("attribute", id(owner), name)
                self._others.append(
                    _left(place, lambda o=owner, n=name: getattr(o, n, MISSING), owner)  # type: ignore[misc]
                )
        self._attributes = kept
        kept = []
        for cell, value in self._cells:
            if equal(content_of(cell), value):
                kept.append((cell, value))
            else:
                changed = True
                self._others.append(_left(("cell", id(cell)), partial(content_of, cell), cell))
        self._cells = kept
        for i, other in enumerate(self._others):
            if not isinstance(other, _Left) and not _still(other) and (other.own or own(None)):
                changed = True
                self._others[i] = other.left()
        return changed

    def absorb(self, more: Guards) -> None:
        """Watch all that ``more`` watches, too: a compiled function was called in this trace."""
        self._entries += more._entries
        self._attributes += more._attributes
        self._methods += more._methods
        self._cells += more._cells
        self._kinds += more._kinds
        self._others += more._others


def _contents(cells: list[tuple[Any, Any]]) -> list[tuple[Any, str, Any]]:
    """Guards of cells, as those of attributes."""
    return [(cell, "cell_contents", value) for cell, value in cells]


def _still(other: Any) -> bool:
    try:
        return bool(other.same())
    except Exception:
        return False


_GONE: Any = object()


def content_of(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _held(x: Any) -> Callable[[], Any]:
    """A weak reference to ``x``, if there can be one."""
    try:
        found = weakref.ref(x)
    except TypeError:
        return lambda: x
    return lambda: _GONE if (now := found()) is None else now


class _Called:
    """The result of a function without arguments."""

    __slots__ = ("_place", "_probe", "_value", "own")

    def __init__(self, probe: Probe, value: Probe, place: Any, own: bool = False) -> None:
        self._probe, self._value, self._place, self.own = probe, value, place, own

    def same(self) -> bool:
        return equal(self._probe(), self._value())

    def left(self) -> _Left:
        return _left(self._place, self._probe, self)


class Contents:
    """The entries of any container: ``take`` gives them as a list."""

    own = False
    __slots__ = ("_take", "_value", "owner")

    def __init__(self, owner: Any, take: Callable[[Any], list[Any]]) -> None:
        self.owner, self._take = owner, take
        self._value = take(owner)

    def same(self) -> bool:
        now = self._take(self.owner)
        if len(now) != len(self._value):
            return False
        return all(map(operator.is_, now, self._value)) or all(map(equal, now, self._value))

    def left(self) -> _Left:
        return _left(("contents", id(self.owner)), lambda: tuple(self._take(self.owner)), self.owner)


class State:
    """The state of an object, as the bytes that a function makes of it."""

    own = False
    __slots__ = ("_say", "_value", "owner")

    def __init__(self, owner: Any, say: Callable[[Any], Any]) -> None:
        self.owner, self._say = owner, say
        self._value = say(owner)

    def same(self) -> bool:
        return bool(self._say(self.owner) == self._value)

    def left(self) -> _Left:
        return _left(("state", id(self.owner)), lambda: self._say(self.owner), self.owner)


class _Record:
    """The value of a place when a trace last left it; ``holds`` keeps the place alive, and its id unique."""

    __slots__ = ("__weakref__", "holds", "value")

    def __init__(self, holds: Any) -> None:
        self.holds = holds
        self.value: Any = MISSING


_records: weakref.WeakValueDictionary[Any, _Record] = weakref.WeakValueDictionary()


class _Left:
    """A place that a trace wrote to, with the value that the last trace left there."""

    __slots__ = ("_probe", "_record")

    def __init__(self, probe: Probe, record: _Record) -> None:
        self._probe, self._record = probe, record

    def same(self) -> bool:
        return equal(self._probe(), self._record.value)

    def left(self) -> _Left:
        return self


def _left(place: Any, probe: Probe, holds: Any) -> _Left:
    record = _records.get(place)
    if record is None:
        record = _records[place] = _Record(holds)
    record.value = probe()
    return _Left(probe, record)
