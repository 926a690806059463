"""The walk into values that code holds, for all that it may read from them.

In:  an object, and the Context of the code that has it.
Out: guards for its contents, and the objects that it leads to.
Holds: what cannot be watched is refused by name.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import contextvars
import functools
import gc
import operator
import types
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, message
from xpgrad.compiler import homes, lookup, refusals
from xpgrad.compiler.arrays import Numbers, OnDevice, Read
from xpgrad.compiler.guards import MISSING, PLAIN, Contents, Guards, State, content_of
from xpgrad.compiler.objects import (
    ALL,
    BY_NAME,
    CONTAINERS,
    GENERATORS,
    LRU,
    is_a,
    is_leaf,
    of_dict,
    pickled,
    state_of,
)
from xpgrad.compiler.reads import Chain, reads_of
from xpgrad.devices.door import is_data


class Context:
    """The facts about one code object while tracing.

    Attributes
    ----------
    loose : set of str
        Attributes that it may read from any value that it holds.
    seen : dict
        The values that it holds, by id.
    by_name : bool
        It reads attributes by a name that it computes.
    absent : bool
        It may notice that an attribute is not there.
    static : bool
        It stands for code that does not run now: all that it may call is taken to be called.
    """

    def __init__(self, code: types.CodeType) -> None:
        self.code, self.reads = code, reads_of(code)
        self.loose = set(self.reads.loose)
        self.seen: dict[int, Any] = {}
        self.done: set[Any] = set()
        named = {name for chain in self.reads.chains for kind, name in chain.steps if kind == "attr"}
        self.by_name = not ALL.isdisjoint(self.loose | named)
        self.absent = bool(code.co_exceptiontable)
        self.static = False


class Values(ABC):
    """Adds the contents of values to ``guards``; a Walk follows what code reads from them."""

    def __init__(self, guards: Guards, name: str) -> None:
        self.guards, self.name = guards, name
        self.contexts: dict[int, Context] = {}
        self.outside: dict[int, Any] = {}
        self.functions: dict[int, list[types.FunctionType]] = {}
        self.states: list[tuple[Any, Any]] = []
        self.error: TraceError | None = None
        self.neutral = Context((lambda: None).__code__)
        self.static = Context((lambda: None).__code__)
        self.static.static = True
        self._frames: dict[Any, tuple[Context, Chain, Any, Any]] = {}
        self._given: dict[Any, tuple[Context, Any]] = {}
        self._place = "what it is given"

    def context(self, code: types.CodeType) -> Context:
        found = self.contexts.get(id(code))
        if found is None:
            found = self.contexts[id(code)] = Context(code)
        return found

    @abstractmethod
    def static_call(self, f: Any) -> None: ...

    @abstractmethod
    def _ask_of(self, context: Context, value: Any, outside: bool, names: Iterable[str]) -> None: ...

    @abstractmethod
    def _asks_by_name(self, context: Context) -> None: ...

    @abstractmethod
    def _all_of(self, context: Context, value: Any, outside: bool) -> None: ...

    def _class_attribute(self, kind: type, name: str) -> None:
        """That of a class, as it stands in the class or one of its bases."""
        for base in kind.__mro__:
            if base.__flags__ & homes._HEAP:
                found = base.__dict__.get(name, MISSING)
                self.guards.call(partial(base.__dict__.get, name, MISSING), found, (id(base), name))
                if found is not MISSING:
                    return

    def _class_of(self, owner: Any, outside: bool) -> None:
        """The class of an object, and how many attributes it has: a new one may take the place of another."""
        if outside:
            self.guards.kind(owner)
        for base in type(owner).__mro__:
            if base.__flags__ & homes._HEAP and homes.home_of_class(base) is homes.USER:
                self.guards.call(partial(len, base.__dict__), len(base.__dict__), (id(base),))
                self.outside.setdefault(id(base), base)

    def consider(self, context: Context, value: Any, outside: bool) -> None:
        """Look into a value that code holds."""
        if is_leaf(value) or id(value) in context.seen:
            return
        context.seen[id(value)] = value
        if outside:
            self.outside.setdefault(id(value), value)
        else:
            outside = id(value) in self.outside
        self._look_into(context, value, outside)

    def _look_into(self, context: Context, value: Any, outside: bool) -> None:
        kind = type(value)
        if kind in weakref.ProxyTypes:
            self.consider(context, value.__init__.__self__, outside)
            return
        if is_a(value, np.ndarray):
            if outside:
                self.guards.other("numbers", value, lambda: Numbers(value))
            if value.dtype.hasobject:
                self._each(context, value.flat, outside)
            if kind in (np.ndarray, np.memmap):
                return
        take = CONTAINERS.get(kind) or next((t for k, t in CONTAINERS.items() if is_a(value, k)), None)
        if take is not None:
            self._look_into_container(context, value, take, outside)
            if kind in CONTAINERS:
                return
        if is_a(value, types.FunctionType):
            self._function(value, outside)
            if context.static:
                self.static_call(value)
        elif is_a(value, types.MethodType):
            self.consider(context, value.__self__, outside)
            self.consider(context, value.__func__, outside)
            return
        elif is_a(value, functools.partial):
            self._each(context, (value.func, *value.args), outside)
            self.consider(context, value.keywords, outside)
            return
        elif is_a(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
            if id(value) in BY_NAME:
                self._asks_by_name(context)
            if not isinstance(value.__self__, types.ModuleType):
                self.consider(context, value.__self__, outside)
            return
        elif is_a(value, weakref.ref):
            there = functools.partial(weakref.ref.__call__, value)
            if outside:
                self.guards.call(there, there(), (id(value),))
            self.consider(context, there(), outside)
            if kind is weakref.ref:
                return
        elif is_a(value, contextvars.ContextVar):
            self.guards.call(lambda: value.get(MISSING), value.get(MISSING), (id(value),))
            self.consider(context, value.get(MISSING), outside)
            return
        elif is_a(value, LRU):
            self._cached(context, value)
            return
        elif is_a(value, GENERATORS):
            if outside:
                self.states.append((value, state_of(value)))
            return
        elif is_a(value, (operator.attrgetter, operator.methodcaller)):
            self._asks_by_name(context)
            return
        elif is_a(value, (staticmethod, classmethod)):
            self.consider(context, value.__func__, outside)
            return
        elif id(value) in BY_NAME:
            self._asks_by_name(context)
            return
        elif is_a(value, types.ModuleType):
            if homes.is_library(value) or value is builtins:
                return
        elif is_a(value, type):
            if homes.home_of_class(value) is not homes.USER:
                return
        elif not self._instance(context, value, outside):
            return
        self._ask_of(context, value, outside, context.loose)
        if context.by_name:
            self._all_of(context, value, outside)

    def _instance(self, context: Context, value: Any, outside: bool) -> bool:
        """An object of some class; whether its attributes are to be followed."""
        kind = type(value)
        if outside:
            refused = refusals.of_object(value)
            if refused is not None:
                self.refuse(*refused)
        elif hasattr(kind, "__next__") and not kind.__flags__ & homes._HEAP:
            self._each(context, gc.get_referents(value), False)  # what it goes through
            return False
        if homes.package_of(kind.__module__) == "xpgrad":
            self._ours(context, value, outside)
            return False
        if hasattr(kind, "__cuda_array_interface__") and homes.package_of(kind.__module__) == "cupy":
            if outside:
                self.guards.other("numbers", value, lambda: OnDevice(value))
            return False
        home = homes.home_of_class(kind)
        if home is homes.QUIET and outside:
            self.guards.other("state", value, lambda: self._state(value))
        if home is homes.USER:
            self._class_of(value, outside)
            return True
        return False

    def _ours(self, context: Context, value: Any, outside: bool) -> None:
        """An object of our own: a compiled function, a rule."""
        hidden = getattr(value, "__watched__", None)
        parts = hidden() if hidden is not None else list((lookup.dict_of(value) or {}).values())
        if hidden is None and outside and lookup.dict_of(value) is not None:
            self._contents(value.__dict__, of_dict)
        self._each(context, parts, outside)

    def _look_into_container(self, context: Context, value: Any, take: Any, outside: bool) -> None:
        parts = take(value)
        if outside and not is_a(value, (tuple, frozenset)):
            self._contents(value, take)
        if is_a(value, collections.defaultdict):
            parts = [*parts, value.default_factory]
        self._each(context, parts, outside)

    def _contents(self, value: Any, take: Any) -> None:
        self.guards.other("contents", value, lambda: Contents(value, take))

    def _each(self, context: Context, values: Iterable[Any], outside: bool) -> None:
        for x in values:
            if type(x) not in PLAIN:
                self.consider(context, x, outside)

    def _state(self, value: Any) -> Any:
        """The state of a library's object, as it is pickled; the numbers of data that cannot be pickled."""
        with contextlib.suppress(Exception):
            found = State(value, pickled)
            if homes.package_of(type(value).__module__) != "multiprocessing" and found.same():
                return found
        if is_data(value):
            return Read(value)
        what, remedy = refusals.HIDDEN
        self.refuse(what % type(value).__name__, remedy)
        raise AssertionError("refused")

    def _function(self, f: Any, outside: bool) -> None:
        if not isinstance(f, types.FunctionType):
            return
        known = self.functions.setdefault(id(f.__code__), [])
        if any(g is f for g in known):
            return
        known.append(f)
        home = homes.home_of_file(f.__code__.co_filename)
        ours = homes.package_of(f.__globals__.get("__name__")) == "xpgrad"
        if home not in (homes.USER, homes.WALKED) and not ours:
            return
        context = self.context(f.__code__)
        if outside and not ours:
            for name in ("__code__", "__defaults__", "__kwdefaults__"):
                self.guards.attribute(f, name, getattr(f, name))
        self._each(context, f.__defaults__ or (), outside)
        if f.__kwdefaults__:
            self.consider(context, f.__kwdefaults__, outside)
        for cell in f.__closure__ or ():
            content = content_of(cell)
            if outside and not ours:
                self.guards.cell(cell, content)
            if content is MISSING or is_leaf(content):
                continue
            if outside:
                self.outside.setdefault(id(content), content)
            if ours:  # a transform never writes to what it closes over, and calls it
                self.consider(self.neutral, content, outside)

    def _cached(self, context: Context, f: Any) -> None:
        """A function of `functools.lru_cache`, which may have run before, so it is taken to run now."""
        self.guards.call(lambda: tuple(f.cache_info())[1:], tuple(f.cache_info())[1:], (id(f),), own=True)
        self.static_call(f.__wrapped__)

    def refuse(self, what: str, remedy: str) -> None:
        text = f"compile: {self.name} {what.format(self._place)}"
        error = TraceError(message(text, at=refusals.line(), remedy=remedy))
        self.error = self.error or error
        raise error
