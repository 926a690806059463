"""A compiled call without Python: a native function checks its arguments and runs it.

In:  a program of one call; the arguments of a call and the form of its result; what the function read.
Out: a function of the tuple of arguments: the result, or None where the usual way must be taken.
Holds: it takes a call only if each argument has the type, the layout and, where it is no array or float, the
identity of the one that it was made for, and what was read from outside is the same object. Every other call,
and every error, is left to the usual way. `entry_text` has its text.
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np

from xpgrad.backends.cpu.llvm import entry_text
from xpgrad.backends.cpu.llvm.array_layout import HEAD, is_known
from xpgrad.backends.cpu.llvm.buffer_pool import address
from xpgrad.backends.cpu.llvm.entry_tables import (
    ARRAY,
    DICT,
    DOUBLE,
    FLOAT,
    GUARD,
    HEADER,
    OUTPUT,
    PATCH,
    PIECE,
    RECORD,
    SAME,
    SEQUENCE,
)
from xpgrad.backends.cpu.llvm.repeated import MAIN
from xpgrad.backends.cpu.llvm.single_call import COPIED, Memory, SingleCall
from xpgrad.codegen.kernel_ir import c_strides
from xpgrad.core import Value

_POINTER = ctypes.c_void_p
_NUMBERS: dict[type, int] = {float: DOUBLE, np.float64: DOUBLE, np.float32: FLOAT}
_SAME = frozenset((bool, int, str, type(None)))

MOST = 1 << 10
"""The most outputs, and the most pieces of a result: they lie on the stack of the native function."""

Guard = tuple[bool, Any, str, Any]
"""Whether it is an entry of a dict; the dict or object; the key or attribute; the value."""


class _MethodDef(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = [("name", ctypes.c_char_p), ("function", _POINTER), ("flags", ctypes.c_int), ("doc", _POINTER)]


_FASTCALL = 0x80


class _NotHere(Exception):
    """The call has no such entry."""


def entry(
    call: SingleCall, args: tuple[Any, ...], result: Any, guards: Sequence[Guard], missing: Any, ready: Any
) -> Any:
    """A function of the tuple ``args`` that runs ``call``; None where there is none.

    Parameters
    ----------
    call : SingleCall
    args : tuple
        The arguments of a call: arrays, numbers, and tuples, lists and dicts of these. A later call has the
        same form.
    result : tree of int
        The result, in tuples and lists; an int is an output of the graph.
    guards : sequence of Guard
        Attributes, and entries of dicts, that must be the same objects.
    missing : object
        The value of an entry that must not be there.
    ready : callable
        It compiles and loads a module.
    """
    if len(call.outputs) > MOST or not is_supported():
        return None
    try:
        return _Entry(call, args, result, guards, missing, ready).function()
    except _NotHere:
        return None


class _Entry:
    """The tables of one native function."""

    def __init__(
        self,
        call: SingleCall,
        args: tuple[Any, ...],
        result: Any,
        guards: Sequence[Guard],
        missing: Any,
        ready: Any,
    ) -> None:
        graph = call.plan.graph
        self._missing = missing
        self._held: list[Any] = [call, guards]  # what an address is of lives as long
        self._records: list[list[int]] = []
        self._loose: set[int] = set()  # records within lists and dicts, where others may come during a call
        self._leaves: list[tuple[int, Any]] = []  # records of arrays and numbers, in the order of the inputs
        self._record(args, -1, 0)
        if len(self._leaves) != len(graph.inputs):
            raise _NotHere
        arrays = [v for v, (_, x) in zip(graph.inputs, self._leaves, strict=True) if type(x) is np.ndarray]
        call.forget()
        early = [v for v in call.outputs if v.ndim and _is_whole(call, v)]
        memory = self._memory = Memory(call, arrays, early)
        patches: list[list[int]] = []
        for u, (k, x) in zip(graph.inputs, self._leaves, strict=True):
            if type(x) is np.ndarray:
                patches += [[address(a) + 8 * slot, k, offset] for a, slot, offset in memory.spots[u]]
            else:
                if u.dtype != (np.float32 if type(x) is np.float32 else np.float64):
                    raise _NotHere
                self._records[k][RECORD.index("a")] = address(memory.place(u))
        outputs = []
        for j, v in enumerate(call.outputs):
            if v in early:
                view = call.shown.get(v)
                shape = v.shape if view is None else view.shape
                outputs.append([0, self._of(np.empty), self._of((shape, v.dtype))])
                source = len(self._records) + j
                patches += [[address(a) + 8 * slot, source, offset] for a, slot, offset in memory.spots[v]]
                continue
            if v.size * v.dtype.itemsize > COPIED:
                raise _NotHere
            place = memory.shown(v)
            given: Any = ((),) if not place.ndim else ()
            outputs.append([1, self._of(place.copy if place.ndim else place.__getitem__), self._of(given)])
        pieces: list[list[int]] = []
        _pieces(result, pieces)
        if len(pieces) > MOST:
            raise _NotHere
        size = len(self._records) + len(outputs)
        loaded, _ = ready(entry_text.text(), ("enter",))
        run, table, end, enough = call.loaded[MAIN], address(memory.table), memory.end, 0
        if call.work and call.threads > 1:
            driver = memory.driver()
            if driver is None:
                raise _NotHere
            self._held.append(driver)
            run, table, end, enough = driver.drive, address(driver.words), len(driver.stages), driver.enough
        objects = np.zeros(size, np.int64)
        self._held.append(objects)
        loose = [k for k, x in self._leaves if type(x) is np.ndarray and k in self._loose]
        held = [[address(objects) + 8 * k] for k in loose]
        words = {
            "busy": 0,
            "guards": self._table([self._guard(*guard) for guard in guards], GUARD),
            "guard_count": len(guards),
            "records": self._table(self._records, RECORD),
            "record_count": len(self._records),
            "objects": address(objects),
            "addresses": self._table([[0]] * size, "x"),
            "outputs": self._table(outputs, OUTPUT),
            "output_count": len(outputs),
            "patches": self._table(patches, PATCH),
            "patch_count": len(patches),
            "main": run,
            "table": table,
            "end": end,
            "flags": self._table([[address(x)] for x in memory.outside], "x"),
            "flag_count": len(memory.outside),
            "pieces": self._table(pieces, PIECE),
            "piece_count": len(pieces),
            "release": 0 if call.is_brief and not enough else _python("PyEval_SaveThread"),
            "acquire": _python("PyEval_RestoreThread"),
            "none": id(None),
            "get_attribute": _python("PyObject_GetAttr"),
            "decref": _python("Py_DecRef"),
            "incref": _python("Py_IncRef"),
            "clear": _python("PyErr_Clear"),
            "call": _python("PyObject_Call"),
            "as_double": _python("PyFloat_AsDouble"),
            "next": _python("PyDict_Next"),
            "get_entry": _python("PyDict_GetItem"),
            "matches": _python("PyErr_ExceptionMatches"),
            "exception": id(Exception),
            "held": self._table(held, "x"),
            "held_count": len(held),
            "enough": enough,
        }
        self._leaves = []  # no argument is kept alive
        self._header = np.array([words[name] for name in HEADER], np.int64)
        self._method = _method(loaded["enter"])

    def function(self) -> Any:
        """The function, which keeps this object alive."""
        return _new_function()(ctypes.byref(self._method), self._header, self)

    def _of(self, x: Any) -> int:
        """The address of an object that is kept alive."""
        self._held.append(x)
        return id(x)

    def _guard(self, of_dict: bool, owner: Any, name: str, value: Any) -> list[int]:
        found = 0 if value is self._missing else self._of(value)
        return [int(of_dict), self._of(owner), self._of(name if of_dict else sys.intern(name)), found]

    def _table(self, rows: Sequence[Sequence[int]], fields: Sequence[str]) -> int:
        table = np.array(rows, np.int64).reshape(-1, len(fields))
        self._held.append(table)
        return address(table) if table.size else 0

    def _record(self, x: Any, parent: int, index: int) -> None:
        """The record of an argument, and those of what is in it."""
        kind, k = type(x), len(self._records)
        row = [SAME, parent, index, self._of(kind), 0, 0, 0, 0]
        self._records.append(row)
        if kind is list or kind is dict or parent in self._loose:
            self._loose.add(k)
        if kind is tuple or kind is list:
            name = "Tuple" if kind is tuple else "List"
            row[0], row[4:7] = SEQUENCE, [_python(f"Py{name}_Size"), len(x), _python(f"Py{name}_GetItem")]
            for i, item in enumerate(x):
                self._record(item, k, i)
        elif kind is dict and all(type(key) is str for key in x):
            # In the order of the dict, as PyDict_Next gives them; the inputs are in that of the keys.
            row[0], row[4:7] = DICT, [_python("PyDict_Size"), len(x), 0]
            before, found = self._leaves, {}
            for key, item in x.items():
                self._leaves = []
                self._record(item, k, self._of(key))
                found[key] = self._leaves
            self._leaves = before
            for key in sorted(found):
                self._leaves += found[key]
        elif kind is np.ndarray:
            form = np.array([*x.shape, *x.strides], np.int64)
            self._held.append(form)
            row[0], row[4:7] = ARRAY, [self._of(x.dtype), x.ndim, address(form) if x.ndim else 0]
            self._leaves.append((k, x))
        elif kind in _NUMBERS:
            row[0] = _NUMBERS[kind]
            self._leaves.append((k, x))
        elif kind in _SAME:
            row[4] = self._of(x)
        else:
            raise _NotHere


@cache
def _method(function: int) -> _MethodDef:
    """The definition of a method, which is never freed: a function that dies with a cycle reads it last."""
    return _MethodDef(b"enter", function, _FASTCALL, None)


@cache
def _new_function() -> Any:
    """CPython's maker of built-in functions: a definition, the object that they get, and one that they hold."""
    make = ctypes.pythonapi["PyCFunction_NewEx"]  # not the attribute, whose signature others may set
    make.restype, make.argtypes = ctypes.py_object, [_POINTER, ctypes.py_object, ctypes.py_object]
    return make


def _is_whole(call: SingleCall, v: Value) -> bool:
    """Whether an output is an array made for the call, in C order."""
    view = call.shown.get(v)
    if view is None:
        return True
    steps = tuple(s * v.dtype.itemsize for s in c_strides(view.shape))
    return bool(view.shape) and not view.offset and view.strides == steps and prod(view.shape) == v.size


def _pieces(result: Any, found: list[list[int]]) -> None:
    """The steps that build the result from the outputs, on a stack."""
    if isinstance(result, int):
        found.append([0, 0, result])
        return
    for part in result:
        _pieces(part, found)
    name = "Tuple" if type(result) is tuple else "List"
    found.append([_python(f"Py{name}_New"), _python(f"Py{name}_SetItem"), len(result)])


def _python(name: str) -> int:
    """The address of a function of CPython's."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), _POINTER).value or 0


@cache
def is_supported() -> bool:
    """Whether objects are laid out here as the native function reads them, under a GIL."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    return is_known() and ctypes.c_int64.from_address(id(None) + HEAD - 8).value == id(type(None))
