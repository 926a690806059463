"""Kernels of the CUDA generator run on the CPU: compiled by g++ behind ``shim.h``.

A source is what NVRTC would be given, the prelude included. Its kernels are found by their heads::

    extern "C" __global__ void f(const float* __restrict__ x, float* __restrict__ y, long long n)

and to each a launcher is added, which runs the blocks one after another::

    extern "C" int shim_f(unsigned grid, unsigned block, unsigned long shared, bool reverse, void** args) {
        return xg_shim_run(grid, block, shared, reverse, [=] {
            f(*(float**)args[0], *(float**)args[1], *(long long*)args[2]);
        });
    }
"""

import atexit
import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

import numpy as np
from numpy.lib.array_utils import byte_bounds

HEADER = Path(__file__).with_name("shim.h")
# Kernels are compiled once and run a few times on few entries: -Og and gold take half the time of -O1 and ld.
OPTIONS = "-std=c++17 -Og -shared -fPIC -ffp-contract=off -fno-strict-aliasing".split()
if shutil.which("ld.gold"):
    OPTIONS.append("-fuse-ld=gold")
# A call that is made of a loop is not instrumented. The libraries are named since the option brings another.
WATCHED = "-DXG_SHIM_RACES -fsanitize=thread -fno-tree-loop-distribute-patterns".split()
LIBRARIES = "-Wl,-Bsymbolic -nodefaultlibs -lstdc++ -lm -lc".split()
_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?void\s+'
    r"(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)"
)
_DTYPES = {
    "float": "float32", "double": "float64", "bool": "bool", "signed char": "int8", "short": "int16",
    "int": "int32", "long long": "int64", "unsigned char": "uint8", "unsigned short": "uint16",
    "unsigned int": "uint32", "unsigned": "uint32", "unsigned long long": "uint64", "xg::half": "float16",
    "xg::bfloat16": "bfloat16",
}  # fmt: skip
_FAILURES = {
    1: "asks for more threads or more shared memory than the shim has",
    2: "writes beyond its shared memory",
    3: "has threads that wait for one another in vain",
    4: "shuffles with lanes that are gone",
}
_LAUNCHER = [ctypes.c_uint, ctypes.c_uint, ctypes.c_ulong, ctypes.c_bool, ctypes.c_void_p]
_ARRAY = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_bool]
# A module has one threadIdx.
_running = threading.Lock()


@cache
def missing():
    """Why no kernel can be run; None where it can."""
    if sys.platform != "linux":
        return f"kernels are run on the CPU by g++ on Linux, not on {sys.platform}"
    return None if shutil.which("g++") else "there is no g++ to compile the kernels with"


@cache
def _folder():
    """Where libraries are kept: for all processes of one run of the tests, or for this one."""
    if "XPGRAD_SHIM_DIR" in os.environ:
        return Path(os.environ["XPGRAD_SHIM_DIR"])
    folder = tempfile.mkdtemp(prefix="xpgrad-shim-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


class Parameter:
    """One parameter of a kernel: its type without qualifiers, and the dtype where that is known."""

    def __init__(self, text):
        words = re.sub(r"\b(const|__restrict__|__grid_constant__)\b", " ", text)
        ctype, self.name = re.fullmatch(r"\s*(.*?[\s*])\s*(\w+)\s*", words, re.DOTALL).groups()
        self.is_pointer = "*" in ctype
        self.is_written = self.is_pointer and not re.search(r"\bconst\b[^*]*\*", text)
        self.base = " ".join(ctype.replace("*", " ").split())
        self.dtype = _DTYPES.get(self.base)
        self.label = self.name.encode()
        self.ctype = self.base + "*" * ctype.count("*")

    def held(self, given):
        """``given`` in memory, as ctypes has it; raises TypeError if it is not of the parameter's type."""
        if self.is_pointer:
            if given is not None and not isinstance(given, np.ndarray):
                raise TypeError(f"{self.name} is a {self.ctype}, not a {type(given).__name__}")
            if given is not None and self.dtype is not None and given.dtype.name != self.dtype:
                raise TypeError(f"{self.name} points to {self.dtype}, not {given.dtype}")
            return ctypes.c_void_p(None if given is None else given.ctypes.data)
        if isinstance(given, np.generic) and self.dtype is not None and given.dtype.name != self.dtype:
            raise TypeError(f"{self.name} is a {self.dtype}, not a {given.dtype}")
        if isinstance(given, np.ndarray):
            raise TypeError(f"{self.name} is a {self.ctype}, not an array")
        scalar = given if isinstance(given, np.generic) else np.dtype(self.dtype).type(given)
        return ctypes.create_string_buffer(scalar.tobytes(), scalar.nbytes)


class Module:
    """A compiled source."""

    def __init__(self, path, kernels):
        self.kernels = kernels
        self._library = ctypes.CDLL(str(path))

    def launch(self, name, grid, block, args, shared=0, reverse=False):
        """Run the kernel ``name``.

        Parameters
        ----------
        grid, block : int
            Blocks, and threads in each: 1, or a multiple of 32.
        args : sequence of arrays and scalars
            Arrays are passed by their address, whatever their strides; scalars have the parameter's dtype.
        shared : int
            Bytes of dynamic shared memory.
        reverse : bool
            Run the last block first, and of each block the last thread: what depends on the order shows.

        Raises
        ------
        TypeError
            The arguments are not the kernel's.
        RuntimeError
            The kernel writes beyond its shared memory, its threads wait in vain, or what watches it has found
            something.
        """
        if block != 1 and block % 32:
            raise ValueError(f"{name}: a block has one thread or a multiple of 32, not {block}")
        parameters = self.kernels[name]
        if len(parameters) != len(args):
            raise TypeError(f"{name} takes {len(parameters)} arguments, not {len(args)}")
        held = [p.held(x) for p, x in zip(parameters, args, strict=True)]
        places = (ctypes.c_void_p * max(len(held), 1))(*[ctypes.addressof(x) for x in held])
        launcher = getattr(self._library, f"shim_{name}")
        launcher.argtypes = _LAUNCHER
        with _running:
            self._begin(parameters, args)
            failure = launcher(grid, block, shared, reverse, places)
            found = self._found()
        if found:
            raise RuntimeError(f"{name}, {grid} blocks of {block} threads: {found}")
        if failure:
            raise RuntimeError(f"{name} {_FAILURES[failure]} ({block} threads, {shared} bytes)")

    def _begin(self, parameters, args):
        """Before a launch."""

    def _found(self):
        """What its threads did wrong."""
        return ""


class WatchedModule(Module):
    """A compiled source whose accesses `races.cpp` watches."""

    def __init__(self, path, kernels, with_lines, source):
        super().__init__(path, kernels)
        self._with_lines, self._lines = with_lines, source.splitlines()
        self._library.xg_race_array.argtypes = _ARRAY
        self._library.xg_race_found.restype = ctypes.c_char_p
        self._library.xg_race_where.restype = ctypes.c_ulong

    def _begin(self, parameters, args):
        self._library.xg_race_begin()
        for p, x in zip(parameters, args, strict=True):
            if p.is_pointer and x is not None:
                low, high = byte_bounds(x) if x.size else (x.ctypes.data,) * 2
                self._library.xg_race_array(p.label, low, high, x.itemsize, p.is_written)

    def _found(self):
        found = self._library.xg_race_found().decode()
        if not found:
            return ""
        # The same code at the same addresses; lines are asked for seldom, and take time.
        where = ["addr2line", "-i", "-e", str(self._with_lines()), hex(self._library.xg_race_where())]
        told = subprocess.run(where, capture_output=True, text=True, check=False).stdout
        lines = [int(k) for k in re.findall(r"(?:^|/)source:(\d+)", told, re.MULTILINE)]
        return "\n    ".join([found, *(f"line {k}: {self._lines[k - 1].strip()}" for k in lines)])


class Shim:
    """A compiler for this process, with further options for g++; what it has compiled it keeps.

    With ``races`` a launch also raises RuntimeError where two threads that do not wait for one another share an
    entry that one of them writes, and where a thread reads or writes outside the arguments.
    """

    def __init__(self, *options, races=False):
        self._options = [*OPTIONS, *options, *(WATCHED if races else ())]
        self._races = races
        self._modules = {}

    def module(self, source):
        """``source``, compiled.

        Raises
        ------
        RuntimeError
            With the compiler's message, which has the line of the source.
        """
        if source not in self._modules:
            self._modules[source] = self._made(source)
        return self._modules[source]

    def _made(self, source):
        kernels = {
            name: [Parameter(p) for p in params.split(",") if p.strip()]
            for name, params in _KERNEL.findall(source)
        }
        if len(kernels) != source.count("__global__"):
            raise RuntimeError(f"kernels whose heads are not understood, beside {', '.join(kernels)}")
        library = self._library(source, kernels)
        if not self._races:
            return Module(library, kernels)
        return WatchedModule(library, kernels, lambda: self._library(source, kernels, "-g1"), source)

    def _library(self, source, kernels, *more):
        """The path of ``source`` compiled, by this process or by another of the same run."""
        options = [*self._options, *more]
        key = hashlib.sha256("\n".join([*options, source]).encode()).hexdigest()[:24]
        library = _folder() / f"{key}.so"
        if not library.exists():
            text = "\n".join(
                [
                    "#define XG_SHIM",
                    f'#include "{HEADER}"',
                    '#line 1 "source"',
                    source,
                    *[_launcher(name, parameters) for name, parameters in kernels.items()],
                ]
            )
            watcher = [_watcher(), *LIBRARIES] if self._races else []
            _compile(source, library, text, *options, "-xc++", "-", "-xnone", *watcher)
        return library


def _compile(source, made, text, *options):
    """Have g++ make the file ``made`` of ``text``, whole or not at all; its complaints are about ``source``."""
    handle, scratch = tempfile.mkstemp(dir=_folder())
    os.close(handle)
    command = ["g++", *map(str, options), "-o", scratch]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(_complaint(done.stderr, source))
    os.replace(scratch, made)


@cache
def _watcher():
    """`races.cpp`, compiled."""
    made = _folder() / "races.o"
    if not made.exists():
        text = HEADER.with_name("races.cpp").read_text(encoding="utf-8")
        options = "-std=c++17 -O2 -fPIC -fno-exceptions -Wall -Wextra -Werror -c -xc++ -".split()
        _compile("", made, text, *options)
    return made


def _launcher(name, parameters):
    args = ", ".join(f"*({p.ctype}*)args[{i}]" for i, p in enumerate(parameters))
    head = f'extern "C" XG_SHIM_OWN int shim_{name}(unsigned grid, unsigned block, unsigned long shared, '
    body = f"return xg_shim_run(grid, block, shared, reverse, [=]() XG_SHIM_OWN {{ {name}({args}); }});"
    return f"{head}bool reverse, void** args) {{\n    {body}\n}}"


def _complaint(message, source):
    """The compiler's errors, each with its line."""
    lines = source.splitlines()
    found = []
    for number, text in re.findall(r"^source:(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", message, re.MULTILINE):
        k = int(number)
        found.append(f"line {k}: {text}\n    {lines[k - 1].strip() if k <= len(lines) else ''}")
    return "g++ refuses the source:\n" + ("\n".join(found) if found else message)
