"""The names that a code object reads, taken from its instructions.

In:  a code object.
Out: its Reads: chains that begin at a variable, and the names of attributes whose owner is unknown.
Holds: each attribute, global, free variable and import that the code may load is in a chain or among the
loose names. The value at the end of a chain is in the hands of the code.

    CONFIG["k"] * self.model.rate + layers[i].bias    # self is never assigned

    chains  global CONFIG ["k"];  local self .model .rate;  global layers
    loose   bias
"""

from __future__ import annotations

import dis
import types
from functools import lru_cache
from typing import Any, NamedTuple

Step = tuple[str, Any]
"""``("attr", name)`` or ``("item", constant)``."""


class Chain(NamedTuple):
    """A variable and the steps that are read from it; ``kind`` is global, free, local or import."""

    kind: str
    name: str
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return self.name + "".join(f".{x}" if kind == "attr" else f"[{x!r}]" for kind, x in self.steps)


class Reads(NamedTuple):
    """The reads and writes of a code object.

    Attributes
    ----------
    chains : tuple of Chain
    loose : frozenset of str
        Attributes of values that no chain leads to.
    stores : frozenset of str
        Names of globals, free variables and attributes that it assigns or deletes.
    writes_items : bool
        Whether it writes to entries of a container.
    uses_super : bool
        Whether it may ask a class for what its object, or another class, has under the same name.
    """

    chains: tuple[Chain, ...]
    loose: frozenset[str]
    stores: frozenset[str]
    writes_items: bool
    uses_super: bool


_KEYS = (str, int, bool, bytes, float, type(None), tuple)


@lru_cache(maxsize=4096)
def reads_of(code: types.CodeType) -> Reads:
    """The Reads of ``code``, without those of functions that it makes."""
    reader = _Reader(code)
    for instruction in dis.get_instructions(code):
        reader.take(instruction)
    reader.end()
    return reader.reads()


class _Reader:
    def __init__(self, code: types.CodeType) -> None:
        self._code = code
        self._top: Chain | None = None  # what is known to be on top of the stack
        self._key: tuple[Any] | None = None  # a constant above it
        self._chains: dict[Chain, None] = {}
        self._loose: set[str] = set()
        self._stores: set[str] = set()
        self._stored: set[str] = set()
        self._writes_items = False
        self._super = False

    def take(self, i: dis.Instruction) -> None:
        name, value = i.opname, i.argval
        if name in ("CACHE", "NOP", "RESUME", "EXTENDED_ARG", "NOT_TAKEN"):
            return
        if i.is_jump_target:
            self.end()
        if (
            name in ("LOAD_CONST", "LOAD_SMALL_INT")
            and self._top
            and not self._key
            and isinstance(value, _KEYS)
        ):
            self._key = (value,)
        elif (
            (name == "BINARY_SUBSCR" or (name == "BINARY_OP" and i.argrepr == "[]")) and self._top and self._key
        ):
            self._extend(("item", self._key[0]))
        elif name in ("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE"):
            self._writes_items = True
            if self._top and self._key:
                self._top = self._key = None  # written to, not read
            self.end()
        elif name == "COPY" and value == 1 and self._top and not self._key:
            pass
        elif name in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
            self._attribute(name, value)
        elif name in ("STORE_ATTR", "DELETE_ATTR"):
            self._stores.add(value)
            if not self._key:
                self._top = None
            self.end()
        else:
            self.end()
            self._other(name, value)

    def _attribute(self, opname: str, name: str) -> None:
        if self._key or not self._top:
            self.end()
            self._loose.add(name)
        elif opname == "IMPORT_FROM":  # leaves the module where it is
            self._chains[self._top._replace(steps=(*self._top.steps, ("attr", name)))] = None
        else:
            self._extend(("attr", name))

    def _other(self, name: str, value: Any) -> None:
        if name in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            self._top = Chain("global", value)
            self._super |= value in ("super", "type")
        elif name in ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"):
            self._top = Chain("free" if value in self._code.co_freevars else "local", value)
        elif name == "STORE_FAST_LOAD_FAST":
            self._stored.add(value[0])
            self._top = Chain("local", value[1])
        elif name == "LOAD_FAST_AND_CLEAR":
            self._stored.add(value)
        elif name.startswith("LOAD_FAST"):
            for each in value if isinstance(value, tuple) else (value,):
                self.end()
                self._top = Chain("local", each)
        elif name == "MATCH_CLASS":
            self._loose.add("__dict__")  # of any names
        elif name == "IMPORT_NAME":
            self._top = Chain("import", value)
        elif name in ("LOAD_SUPER_ATTR", "LOAD_SUPER_METHOD", "LOAD_ZERO_SUPER_ATTR", "LOAD_ZERO_SUPER_METHOD"):
            self._super = True
            self._loose.add(value)
        elif name in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_NAME", "DELETE_NAME"):
            self._stores.add(value)
        elif name in ("STORE_DEREF", "DELETE_DEREF"):
            self._stores.add(value)
            self._stored.add(value)
        elif name.startswith(("STORE_FAST", "DELETE_FAST")):
            self._stored |= set(value if isinstance(value, tuple) else (value,))

    def _extend(self, step: Step) -> None:
        assert self._top is not None
        self._top, self._key = self._top._replace(steps=(*self._top.steps, step)), None

    def end(self) -> None:
        """What is on top goes to what no chain follows."""
        if self._top is not None:
            self._chains[self._top] = None
        self._top = self._key = None

    def reads(self) -> Reads:
        code = self._code
        count = code.co_argcount + code.co_kwonlyargcount
        given = set(code.co_varnames[: count + bool(code.co_flags & 4) + bool(code.co_flags & 8)])
        held = given - self._stored
        chains = dict(self._chains)
        loose = set(self._loose)
        for chain in self._chains:
            if chain.kind == "local" and chain.name not in held:
                del chains[chain]
                loose |= {name for kind, name in chain.steps if kind == "attr"}
        for name in given - held:
            chains[Chain("local", name)] = None
        if self._super and code.co_argcount:
            chains[Chain("local", code.co_varnames[0])] = None
        return Reads(tuple(chains), frozenset(loose), frozenset(self._stores), self._writes_items, self._super)
