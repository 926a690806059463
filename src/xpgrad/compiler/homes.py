"""Whose code and whose classes: the user's, which are watched, or a library's, which are not looked into.

In:  a file of code, or a class.
Out: USER, WALKED, QUIET or UNSEEN.
Holds: of a library's object the state is compared whole; what its code reads besides is not followed.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import types
from functools import lru_cache
from typing import Any

import numpy as np

USER, WALKED, QUIET, UNSEEN = "user", "walked", "quiet", "unseen"
"""The user's; Python's own, which is like the user's where the user calls it; a library's, which may call the
user's; what leaves no mark on a result, with all that it calls."""

LIBRARIES = frozenset(
    """cloudpickle joblib numpy scipy xpgrad cupy cupyx optree threadpoolctl pandas polars
    pyarrow torch jax jaxlib tensorflow xarray dask numba llvmlite matplotlib pytest _pytest
    pluggy hypothesis IPython ipykernel""".split()
)

# Of the standard library, what is Python like the user's own: it reads what the user gave it.
_WALKED = frozenset(
    """os posixpath ntpath collections _collections_abc weakref _weakrefset dataclasses enum contextlib types
    functools copy abc _py_abc operator argparse reprlib builtins numbers typing""".split()
)
_UNSEEN = frozenset(
    """logging warnings traceback linecache tokenize inspect importlib zipimport codecs encodings pdb bdb gc
    tracemalloc pprint textwrap locale gettext""".split()
)
# Objects of these do not change, or hold nothing that a number comes from.
_INERT = frozenset(
    """datetime decimal fractions uuid pathlib re zoneinfo ipaddress logging threading _thread typing
    types abc _abc     functools inspect code ast string""".split()
)

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# What makes kernels and runs them looks for files, processors and caches; the user's code it does not call.
_MAKING = tuple(
    _HERE + os.path.join("backends", *path.split("/"))
    for path in (
        "choose.py",
        "definition.py",
        "layouts.py",
        "program.py",
        "store.py",
        "cpu/llvm/",
        "cpu/pool.py",
        "gpu/cuda/",
    )
)
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep
_PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


@lru_cache(maxsize=4096)
def home_of_file(filename: str) -> str:
    """Whose code a file has."""
    if filename.startswith(_HERE):
        return UNSEEN if filename.startswith(_MAKING) else QUIET
    for part in _PACKAGES:
        if part in filename:
            package = filename.partition(part)[2].partition(os.sep)[0].removesuffix(".py")
            return QUIET if package in LIBRARIES else USER
    if filename == "<string>":
        return WALKED
    if filename.startswith("<frozen "):
        return _of_stdlib(filename[8:-1].partition(".")[0])
    if filename.startswith(_STDLIB):
        return _of_stdlib(filename[len(_STDLIB) :].partition(os.sep)[0].removesuffix(".py"))
    return USER


def is_users_own(filename: str) -> bool:
    """Whether a file is of no package that is installed."""
    return not filename.startswith((_HERE, _STDLIB, "<frozen ")) and not any(p in filename for p in _PACKAGES)


def _of_stdlib(module: str) -> str:
    return WALKED if module in _WALKED else UNSEEN if module in _UNSEEN else QUIET


def package_of(module: object) -> str:
    return module.partition(".")[0] if isinstance(module, str) else ""


def home_of_class(kind: Any) -> str:
    """USER where attributes tell the state; QUIET where a library holds it; UNSEEN where there is none."""
    return _home_of_class(kind)


@lru_cache(maxsize=4096)
def _home_of_class(kind: type) -> str:
    found = UNSEEN
    for base in kind.__mro__:
        package = package_of(base.__module__)
        if base is object or package in ("typing", "abc", "collections", "enum", "dataclasses", "contextlib"):
            continue
        if base in _TRANSPARENT:
            found = USER
            continue
        if package in LIBRARIES:
            return QUIET
        if package in sys.stdlib_module_names or package == "builtins":
            if package in _WALKED or issubclass(base, BaseException):
                found = USER
            elif package not in _INERT:
                return QUIET
        elif base.__flags__ & _HEAP:
            found = USER
        else:
            return QUIET  # a class of C, whose state is out of sight
    return (
        USER
        if found == UNSEEN and kind.__flags__ & _HEAP and package_of(kind.__module__) not in _INERT
        else found
    )


_HEAP = 1 << 9
_TRANSPARENT = frozenset((threading.local, np.ndarray, np.memmap, np.recarray, np.matrix))


def is_library(module: types.ModuleType) -> bool:
    """Whether a module's functions are taken as they are."""
    return package_of(module.__name__) in LIBRARIES
