"""A profiler hook that records every frame of the user's code while a function is traced.

In:  the calls, returns and calls of C functions in one thread.
Out: they are handed to a Walk.
Holds: the hook is this thread's alone, and the one that was there is called too and put back. Debuggers and
coverage use the other hook, `sys.settrace`, which is left alone.
"""

from __future__ import annotations

import dis
import gc
import sys
import types
from collections.abc import Iterator
from threading import local
from typing import Any

from xpgrad.compiler import homes, refusals
from xpgrad.compiler.guards import MISSING, content_of
from xpgrad.compiler.values import Context
from xpgrad.compiler.walk import Walk
from xpgrad.trace import Traced, quiet

_MUTATORS = frozenset(
    """append appendleft add extend extendleft insert discard remove pop popleft popitem update clear setdefault
    sort reverse rotate fill put itemset resize partition set setattr delattr __setattr__ __delattr__
    __setitem__ __delitem__ shuffle setflags byteswap next cache_clear reset""".split()
)
_WATCHED = _MUTATORS | refusals.SUSPECTS
_END = frozenset(
    ("RETURN_VALUE", "RETURN_CONST", "YIELD_VALUE", "RETURN_GENERATOR", "INSTRUMENTED_RETURN_VALUE")
)


_FOLLOWED = (homes.USER, homes.WALKED)


class _Here(local):
    recorder: Recorder | None = None


_here = _Here()
active = 0
"""The number of threads that are recording."""


def current() -> Recorder | None:
    """The recorder of this thread."""
    return _here.recorder


class Recorder:
    """A context in which each frame of the user's code is handed to ``walk``."""

    def __init__(self, walk: Walk) -> None:
        self._walk, self.guards = walk, walk.guards
        self._home: dict[int, tuple[str, types.CodeType]] = {}
        self._silent: set[int] = set()  # of the codes in ``_home`` whose frames are nothing to the walk
        self._made: set[int] = set()
        self._unseen: Any = None
        self.mutates = False

    def __enter__(self) -> Recorder:
        global active
        self._outer, self._before = _here.recorder, sys.getprofile()
        _here.recorder = self
        active += 1
        self._chained = self._before if self._outer is None and callable(self._before) else None
        hook = self._event if self._chained is not None else self._without_silent()
        self._quiet, quiet.here.hook = quiet.here.hook, None if callable(self._before) else hook
        sys.setprofile(hook)
        return self

    def __exit__(self, *_: object) -> None:
        global active
        before: Any = self._before
        quiet.here.hook = self._quiet
        if hasattr(before, "enable"):  # of cProfile, whose hook is in C
            sys.setprofile(None)
            before.enable()
        else:
            sys.setprofile(before)
        active -= 1
        _here.recorder = self._outer

    def own(self, name: Any) -> bool:
        """Whether the code that ran may have written to a place of that name; None: an entry of a container."""
        reads = [context.reads for context in self._walk.contexts.values()]
        return self.mutates or any(
            r.writes_items or (name is None and r.stores) or name in r.stores for r in reads
        )

    # ── events ───────────────────────────────────────────────────────────────────────────────
    def _without_silent(self) -> Any:
        """`_event`, asked only for what it may do something about: most events are of our own code."""
        silent, event_of = self._silent, self._event

        def hook(frame: types.FrameType, event: Any, arg: Any) -> None:
            if event == "call" or event == "return":
                if id(frame.f_code) not in silent:
                    event_of(frame, event, arg)
            elif event == "c_call" and arg.__name__ in _WATCHED:
                event_of(frame, event, arg)

        return hook

    def _event(self, frame: types.FrameType, event: Any, arg: Any) -> None:
        if self._chained is not None:
            self._chained(frame, event, arg)
        if self._unseen is not None:
            if event == "return" and frame is self._unseen:
                self._unseen = None
            return
        if event == "c_call":
            name = arg.__name__
            if name in refusals.SUSPECTS:
                self._suspect(frame, arg)
            elif name in _MUTATORS and self._home_of(frame.f_code) in _FOLLOWED:
                self.mutates = True
            return
        if event == "call":
            code = frame.f_code
            known = self._home.get(id(code))
            home = known[0] if known is not None else self._home_of(code)
            if home is homes.USER or (home is homes.WALKED and self._for_user(frame)):
                self._called(frame, code)
            elif home is homes.UNSEEN:
                self._unseen = frame
        elif event == "return":
            code = frame.f_code
            known = self._home.get(id(code))
            if known is not None and known[0] in _FOLLOWED and id(code) in self._walk.contexts:
                self._returned(frame, code, arg)

    def _home_of(self, code: types.CodeType) -> str:
        known = self._home.get(id(code))
        if known is None:
            known = self._home[id(code)] = (
                (homes.UNSEEN if _is_collectors(code) else homes.home_of_file(code.co_filename)),
                code,
            )
            if known[0] is homes.QUIET:
                self._silent.add(id(code))
            if known[0] in _FOLLOWED:
                self._made |= {id(x) for x in code.co_consts if isinstance(x, types.CodeType)}
        return known[0]

    def _for_user(self, frame: types.FrameType) -> bool:
        """Whether Python's own code runs for the user's, and not for a library's."""
        module = str(frame.f_globals.get("__name__"))
        if homes.package_of(module) in homes.LIBRARIES or module.startswith("namedtuple_"):
            return False  # what `dataclasses` has written for a class of ours
        caller: Any = frame.f_back
        while caller is not None and self._home_of(caller.f_code) is homes.WALKED:
            caller = caller.f_back
        if caller is None:
            return False
        home = self._home_of(caller.f_code)
        return home is homes.USER or frame.f_code.co_filename == "<string>"

    def _suspect(self, frame: types.FrameType, function: Any) -> None:
        refused = refusals.of_call(function)
        # The clock, a library may ask for its own sake: to wait, or to measure what it does.
        if refused is not None and not (
            refused is refusals.CLOCK and self._home_of(frame.f_code) is homes.QUIET
        ):
            self._walk.refuse(*refused)

    def _called(self, frame: types.FrameType, code: types.CodeType) -> None:
        context = self._walk.context(code)
        if id(code) not in self._walk.functions:
            self._find(frame, code)
        self._walk.run(context, frame.f_globals, frame.f_builtins, lambda: frame.f_locals)

    def _find(self, frame: types.FrameType, code: types.CodeType) -> None:
        """The function whose code runs, if no name has led to it: a special method, or a hidden one."""
        walk = self._walk
        if code.co_argcount:
            first = frame.f_locals.get(code.co_varnames[0], MISSING)
            for kind in (type(first), first) if issubclass(type(first), type) else (type(first),):
                for name, f in _in_class(kind, code):
                    walk.found_in_class(kind, name, f)
                    return
        if code.co_name in ("<module>", "<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>") and (
            id(code) in self._made or code.co_name == "<module>"
        ):
            return
        if id(code) in self._made or not code.co_flags & 2:  # made while tracing, or no function's
            return
        for f in gc.get_referrers(code):
            if isinstance(f, types.FunctionType) and f.__code__ is code:
                cells = zip(code.co_freevars, f.__closure__ or (), strict=True)
                if all(content_of(cell) is frame.f_locals.get(name, MISSING) for name, cell in cells):
                    walk.found(f)

    def _returned(self, frame: types.FrameType, code: types.CodeType, value: Any) -> None:
        if value is None:
            if dis.opname[code.co_code[frame.f_lasti]] not in _END:
                self._walk.missed(self._walk.context(code))
            return
        if type(value) is Traced:
            return
        caller: Any = frame.f_back
        while caller is not None and id(caller.f_code) not in self._walk.contexts:
            caller = caller.f_back
        if caller is not None:
            context: Context | None = self._walk.contexts.get(id(caller.f_code))
            if context is not None:
                self._walk.given(context, value)


def _is_collectors(code: types.CodeType) -> bool:
    """Whether code runs when objects are freed, whatever else is running then."""
    return code.co_name == "__del__" or any(getattr(f, "__code__", None) is code for f in gc.callbacks)


def _in_class(kind: type, code: types.CodeType) -> Iterator[tuple[str, Any]]:
    """Under which names a class, or one of its bases, has the function with that code."""
    for base in kind.__mro__:
        for name, found in list(base.__dict__.items()):
            f = found if type(found) is types.FunctionType else getattr(found, "__func__", None)
            if type(f) is types.FunctionType and f.__code__ is code:
                yield name, f
