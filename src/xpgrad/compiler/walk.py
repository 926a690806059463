"""The walk from the reads of code to guards, along chains of attributes and entries.

In:  frames of the user's code, as `recording` meets them, and the Guards to add to.
Out: a guard for each place outside that the code may have read.
Holds: a guarded place can be reached from outside the trace: from a global, a cell, a class or an argument.
An attribute is looked up without running code of the user's; if such code computes it, that runs as a frame.
"""

from __future__ import annotations

import collections
import importlib.util
import sys
import types
import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from xpgrad.compiler import homes, lookup
from xpgrad.compiler.guards import MISSING, Contents, content_of, equal
from xpgrad.compiler.objects import (
    BY_NAME,
    CONTAINERS,
    GENERATORS,
    STOP,
    WRITERS,
    has,
    is_a,
    is_leaf,
    is_opaque,
    of_dict,
    of_mapping,
)
from xpgrad.compiler.reads import Chain, Reads, reads_of
from xpgrad.compiler.values import Context, Values


class Walk(Values):
    """Adds the reads of a trace's code to ``guards``."""

    # ── frames ───────────────────────────────────────────────────────────────────────────────
    def run(self, context: Context, frame_globals: dict[str, Any], frame_builtins: Any, local: Any) -> None:
        """Handle code that begins to run, or goes on; ``local()`` has its variables."""
        self._run(context, context.reads, frame_globals, frame_builtins, local)

    def _run(self, context: Context, reads: Reads, frame_globals: Any, frame_builtins: Any, local: Any) -> None:
        held = None
        for chain in reads.chains:
            if chain.kind == "global":
                key: Any = chain, id(frame_globals)
                if key not in context.done:
                    context.done.add(key)
                    self._from_global(context, chain, frame_globals, frame_builtins)
                continue
            if chain.kind == "import":
                key = chain, id(frame_globals)
                if key not in context.done:
                    context.done.add(key)
                    self._from_import(context, chain, frame_globals)
                continue
            if held is None:
                held = local()
            value = held.get(chain.name, MISSING)
            key = chain, id(value)
            if value is MISSING or is_leaf(value) or key in context.done:
                continue
            context.done.add(key)
            context.seen.setdefault(-id(value), value)  # alive, so that its id stays its own
            self._begin(context, chain, value, id(value) in self.outside)

    def again(self) -> None:
        """Follow the chains again, after the trace has written to places that they read."""
        for _ in range(2):  # what is found outside in the first round, frames have in their hands in the second
            for context in self.contexts.values():
                context.seen.clear()
            for context, chain, first, extra in list(self._frames.values()):
                if chain.kind == "global":
                    self._from_global(context, chain, first, extra)
                else:
                    self._begin(context, chain, first, extra)
            for context, value in list(self._given.values()):
                self.consider(context, value, False)

    def given(self, context: Context, value: Any) -> None:
        """Handle a function that returns ``value`` to code."""
        self._given[id(context), id(value)] = context, value
        self.consider(context, value, False)

    def _begin(self, context: Context, chain: Chain, value: Any, outside: bool) -> None:
        self._frames[id(context), chain, id(value)] = context, chain, value, outside
        self._follow(context, chain, value, outside)

    def _from_global(self, context: Context, chain: Chain, names: dict[str, Any], built: Any) -> None:
        self._frames[id(context), chain, id(names)] = context, chain, names, built
        value = names.get(chain.name, MISSING)
        self.guards.entry(names, chain.name, value)
        if value is MISSING:
            value = built.get(chain.name, MISSING)
            self.guards.entry(built, chain.name, value)
            if id(value) in BY_NAME:
                if chain.name in ("globals", "eval", "exec"):
                    self._contents(names, of_dict)
                self._asks_by_name(context)
        if value is not MISSING:
            self._follow(context, chain, value, True)

    def _from_import(self, context: Context, chain: Chain, names: dict[str, Any]) -> None:
        wanted = chain.name or str(names.get("__package__") or "")
        for name in {wanted, wanted.partition(".")[0]}:
            module = sys.modules.get(name)
            if module is None and names.get("__package__"):
                try:
                    name = importlib.util.resolve_name("." + wanted, names["__package__"])
                except ImportError:
                    continue
                module = sys.modules.get(name)
            if module is not None:
                self.guards.entry(sys.modules, name, module)
                self._begin(context, chain, module, True)

    def _follow(self, context: Context, chain: Chain, value: Any, outside: bool) -> None:
        for k, (kind, name) in enumerate(chain.steps):
            if is_leaf(value):
                return
            self._place = str(chain._replace(steps=chain.steps[:k]))
            if outside:
                self.outside.setdefault(id(value), value)
            else:
                outside = id(value) in self.outside
            owner = value
            if kind == "item":
                value = self._item(context, owner, name, outside)
            else:
                value = self._attribute(context, owner, name, outside)
            if value is STOP:
                if context.static:
                    self.consider(context, owner, outside)
                self._ask(context, {x for what, x in chain.steps[k + 1 :] if what == "attr"})
                return
        self._place = str(chain)
        self.consider(context, value, outside)

    # ── one step ─────────────────────────────────────────────────────────────────────────────
    def _item(self, context: Context, owner: Any, key: Any, outside: bool) -> Any:
        kind = type(owner)
        if kind in (dict, collections.OrderedDict):
            value = dict.get(owner, key, MISSING)
            if outside:
                self.guards.entry(owner, key, value)
            return STOP if value is MISSING else value
        if kind is tuple and isinstance(key, int) and -len(owner) <= key < len(owner):
            return owner[key]
        self.consider(context, owner, outside)
        return STOP

    def _attribute(self, context: Context, owner: Any, name: str, outside: bool) -> Any:
        if is_a(owner, types.ModuleType):
            return self._of_module(owner, name, outside)
        if is_a(owner, weakref.ProxyTypes):
            owner = owner.__init__.__self__
        kind = type(owner)
        if is_a(owner, type):
            found = lookup.of_class(owner, name)
        elif kind in CONTAINERS or kind in (
            collections.OrderedDict,
            collections.defaultdict,
            collections.Counter,
        ):
            if name not in WRITERS:
                self.consider(context, owner, outside)
            return STOP
        elif kind is np.ndarray or is_opaque(owner):
            self.consider(context, owner, outside)
            return STOP
        else:
            found = lookup.of_instance(owner, name)
        if is_a(owner, types.FunctionType) and found.how == "value" and name in ("__defaults__", "__closure__"):
            self.consider(context, owner, outside)
        elif not is_a(owner, (type, types.FunctionType, types.MethodType)):
            self._class_of(owner, outside)
            if is_a(owner, tuple(CONTAINERS)):
                self.consider(context, owner, outside)
        if name == "__dict__":
            self._asks_by_name(context)
            self.consider(context, owner, outside)
            return STOP
        if name == "__class__":
            return kind
        guarded = outside or is_a(owner, type)
        if is_a(owner, type) and not owner.__flags__ & homes._HEAP:
            return STOP  # a class of C stays as it is
        if found.how == "value":
            if not is_a(owner, type) and not equal(lookup.of_instance(owner, name).value, found.value):
                self.consider(context, owner, outside)  # made anew each time, as the transpose of an array
                return STOP
            if guarded:
                self.guards.attribute(owner, name, found.value)
            else:
                self._class_attribute(kind, name)
            return found.value
        if found.how == "method":
            if guarded:
                self.guards.method(owner, name, found.value)
            else:
                self._class_attribute(kind, name)
            self._function(found.value, True)
            if context.static:
                self.static_call(found.value)
            return STOP
        if found.how == "absent":
            if guarded:
                self.guards.attribute(owner, name, MISSING)
            return STOP
        # By code, or by a descriptor: which, is the class's to say, unless the object has one of its own.
        self._class_attribute(owner if is_a(owner, type) else kind, name)
        held = lookup.dict_of(owner)
        if held is not None and guarded and not is_a(owner, type) and not isinstance(found.value, property):
            self.guards.entry(held, name, held.get(name, MISSING))
        if found.how == "function":
            self.consider(context, found.value, True)
            return STOP
        if isinstance(found.value, property):
            self.consider(context, found.value.fget, True)
        elif found.value is not MISSING:
            self.consider(context, found.value, True)
        return STOP

    def _of_module(self, module: types.ModuleType, name: str, outside: bool) -> Any:
        value = module.__dict__.get(name, MISSING)
        if not homes.is_library(module):
            self.guards.entry(module.__dict__, name, value)
        if value is MISSING or (homes.is_library(module) and not is_a(value, types.ModuleType)):
            if is_a(value, GENERATORS):
                return value
            return STOP
        return value

    # ── functions that run, or may have run ──────────────────────────────────────────────────────
    def found(self, f: types.FunctionType) -> None:
        """Handle a function that runs, and existed before."""
        self._function(f, True)

    def found_in_class(self, kind: type, name: str, f: Any) -> None:
        """Handle a function that runs as a method, under its name in a class."""
        self._class_attribute(kind, name)
        self._function(f, True)

    def missed(self, context: Context) -> None:
        """Handle code that has raised, for an attribute that it read may have been absent."""
        if context.absent:
            return
        context.absent = True
        for value in list(context.seen.values()):
            if not is_leaf(value) and type(value) not in CONTAINERS and not is_opaque(value):
                self._ask_of(context, value, id(value) in self.outside, context.loose)

    def static_call(self, f: Any) -> None:
        """Follow the reads of a function and of what it calls, without knowing its arguments."""
        if not isinstance(f, types.FunctionType) or homes.home_of_file(f.__code__.co_filename) not in (
            homes.USER,
            homes.WALKED,
        ):
            return
        context, reads = self.static, reads_of(f.__code__)
        key = "static", id(f.__code__), tuple(map(id, f.__closure__ or ()))
        if key in context.done:
            return
        context.done.add(key)
        self._function(f, True)
        cells = {
            name: content
            for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
            if (content := content_of(cell)) is not MISSING
        }
        if Context(f.__code__).by_name:
            self._asks_by_name(context)
        own = {
            name
            for chain in reads.chains
            if chain.kind == "local"
            for what, name in chain.steps
            if what == "attr"
        }
        self._ask(context, own | reads.loose)
        self._each(context, f.__defaults__ or (), True)
        of: Any = f  # types do not know `__builtins__`
        self._run(context, reads, f.__globals__, of.__builtins__, lambda: cells)

    # ── names without an owner ───────────────────────────────────────────────────────────────
    def _ask(self, context: Context, names: set[str]) -> None:
        """Handle code that reads more attributes of the values that it holds."""
        names = names - context.loose
        if not names:
            return
        context.loose |= names
        for value in list(context.seen.values()):
            if not is_leaf(value) and type(value) not in CONTAINERS and not is_opaque(value):
                self._ask_of(context, value, id(value) in self.outside, names)

    def _ask_of(self, context: Context, value: Any, outside: bool, names: Iterable[str]) -> None:
        if is_a(value, np.ndarray):
            return
        place = self._place
        for name in list(names):
            if not context.absent and not has(value, name):
                continue
            found = self._attribute(context, value, name, outside)
            if found is not STOP:
                self._place = f"{place}.{name}"
                self.consider(context, found, outside)
        if context.reads.uses_super:
            for base in type(value).__mro__:
                for name in names:
                    if base.__flags__ & homes._HEAP and name in base.__dict__:
                        self.guards.call(
                            partial(base.__dict__.get, name, MISSING),
                            base.__dict__[name],
                            (id(base), name),
                        )
                        found = base.__dict__[name]
                        self.consider(context, found, True)
        self._place = place

    def _asks_by_name(self, context: Context) -> None:
        if context.by_name:
            return
        context.by_name = True
        for value in list(context.seen.values()):
            self._all_of(context, value, id(value) in self.outside)

    def _all_of(self, context: Context, value: Any, outside: bool) -> None:
        """Every attribute of an object, of its class, or of a module of the user's."""
        if is_leaf(value) or is_a(value, np.ndarray) or type(value) in CONTAINERS:
            return
        if is_a(value, types.ModuleType):
            if homes.is_library(value) or value.__name__ in sys.stdlib_module_names:
                return
            held: Any = value.__dict__
        elif is_a(value, type):
            held = None
        elif is_opaque(value) or is_a(value, (types.FunctionType, types.BuiltinFunctionType)):
            return
        else:
            held = lookup.dict_of(value)
            for name in lookup.slots_of(type(value)):
                found = lookup.of_instance(value, name)
                if outside:
                    self.guards.attribute(value, name, found.value)
                self.consider(context, found.value, outside)
        if held is not None:
            if outside:
                if lookup.has_hooks(type(value)):
                    self.guards.call(partial(lookup.dict_of, value), held, ("dict", id(value)))
                else:
                    self.guards.attribute(value, "__dict__", held)
                self._contents(held, of_dict)
            self._each(context, list(held.values()), outside)
        for base in (value if is_a(value, type) else type(value)).__mro__:
            if base.__flags__ & homes._HEAP and homes.home_of_class(base) is homes.USER:
                self._contents_of_class(context, base)

    def _contents_of_class(self, context: Context, base: type) -> None:
        if id(base) in self.outside and ("all", id(base)) in context.done:
            return
        context.done.add(("all", id(base)))
        self.outside[id(base)] = base
        held = base.__dict__
        self.guards.other("contents", base, lambda: Contents(base, lambda b: of_mapping(b.__dict__)))
        self._each(context, [x for name, x in held.items() if not name.startswith("__")], True)
