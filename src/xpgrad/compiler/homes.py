"""The origin of code and classes: the user's are watched, a library's are not.

In:  a file of code, or a class.
Out: USER, WALKED, QUIET or UNSEEN.
Holds: the state of a library's object is compared whole; what its code reads besides is not followed.
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
"""Code of the user; of Python, which counts as the user's where the user calls it; of a library, which may call
the user's; and code that does not influence a result, with all that it calls."""

LIBRARIES = frozenset(
    """cloudpickle joblib numpy scipy xpgrad cupy cupyx optree threadpoolctl pandas polars
    pyarrow torch jax jaxlib tensorflow xarray dask numba llvmlite matplotlib pytest _pytest
    pluggy hypothesis IPython ipykernel""".split()
)

# Modules of the standard library that are Python like the user's own: they read what the user gives them.
_WALKED = frozenset(
    """os posixpath ntpath collections _collections_abc weakref _weakrefset dataclasses enum contextlib types
    functools copy abc _py_abc operator argparse reprlib builtins numbers typing""".split()
)
_UNSEEN = frozenset(
    """logging warnings traceback linecache tokenize inspect importlib zipimport codecs encodings pdb bdb gc
    tracemalloc pprint textwrap locale gettext""".split()
)
# Objects of these modules do not change, or hold nothing that a number comes from.
_INERT = frozenset(
    """datetime decimal fractions uuid pathlib re zoneinfo ipaddress logging threading _thread typing
    types abc _abc     functools inspect code ast string""".split()
)

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Modules that make and run kernels look for files, processors and caches; they do not call the user's code.
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
    """The origin of the code in a file."""
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
    """Whether a file belongs to no installed package."""
    return not filename.startswith((_HERE, _STDLIB, "<frozen ")) and not any(p in filename for p in _PACKAGES)


def _of_stdlib(module: str) -> str:
    return WALKED if module in _WALKED else UNSEEN if module in _UNSEEN else QUIET


def package_of(module: object) -> str:
    return module.partition(".")[0] if isinstance(module, str) else ""


def home_of_class(kind: Any) -> str:
    """USER if the state is in attributes; QUIET if a library holds it; UNSEEN if there is none."""
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
    """Whether a module's functions are not looked into."""
    return package_of(module.__name__) in LIBRARIES
