"""Compile LLVM IR to machine code, and load it.

In:  the text of an LLVM module; later the object that it became, perhaps in another process.
Out: an object file for this CPU as bytes; the addresses of its functions in this process.
Holds: only this module imports llvmlite, when one of its functions is called. An address is valid as long
       as its `Loaded` is referenced, also in a forked child. Each object is linked into a library of its
       own, so that objects may define the same names.

Loading and compiling are set up apart: a process whose kernels are all in the store runs no part of the
compiler.
"""

from __future__ import annotations

import os
import re
import struct
import threading
import weakref
from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

from xpgrad._version import __version__

REMEDY = 'pip install "xpgrad[cpu]"'

# llvmlite 0.45 is LLVM 20: the first without typed pointers, and without a call to initialise LLVM.
OLDEST = (0, 45)

# It changes when the same IR is compiled to other code: another option, pipeline or code model.
_RECIPE = 2

# JITLink places the sections of an object next to each other, so that code reaches its constants by an
# offset of 32 bits (the small code model). On Windows llvmlite links ELF objects with the older linker,
# which promises no such thing.
_WINDOWS = os.name == "nt"
_CODE_MODEL = "jitdefault" if _WINDOWS else "small"

# Every function here that calls llvmlite holds it, for llvmlite's objects are not thread-safe. It is
# reentrant because the garbage collector may unload a library in the middle of another call.
_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child forked while another thread compiles would find LLVM's locks taken, for ever.
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)

_names = count()


class Loaded:
    """An object file that is linked into this process.

    ``loaded[name]`` is the address of a function. The code is unmapped when the last reference to this
    object is gone, so a caller of the address holds one.
    """

    __slots__ = ("__weakref__", "_addresses")

    def __init__(self, addresses: dict[str, int], tracker: Any) -> None:
        self._addresses = addresses
        # Not at exit: a thread may still be in the code, and LLVM has been taken down by then.
        weakref.finalize(self, _unload, tracker).atexit = False

    def __getitem__(self, name: str) -> int:
        return self._addresses[name]


@cache
def available() -> str | None:
    """None if llvmlite can be used; otherwise the reason, and what to type."""
    with _LOCK:
        try:
            import llvmlite

            version = tuple(map(int, re.findall(r"\d+", llvmlite.__version__)[:2]))
            if version < OLDEST:
                oldest = ".".join(map(str, OLDEST))
                return f"llvmlite {llvmlite.__version__} is older than {oldest}; {REMEDY}"
            _machine()
        except ImportError as error:
            return f"llvmlite cannot be imported ({error}); {REMEDY}"
        except OSError as error:
            return f"llvmlite cannot load its library ({error}); {REMEDY}"
        except RuntimeError as error:
            return f"LLVM has no native target for this machine ({error})"
    return None


@cache
def fingerprint() -> str:
    """What besides the IR decides the machine code: a part of every key of the store.

    ``xpgrad 0.1.0, recipe 1, llvmlite 0.50.0, LLVM 22.1.0, x86_64-unknown-linux-gnu, 64 bit, znver4,
    +adx,+aes,...``
    """
    import llvmlite

    with _LOCK:
        llvm = _binding()
        machine = _machine()
        parts = [
            f"xpgrad {__version__}",
            f"recipe {_RECIPE}",
            f"llvmlite {llvmlite.__version__}",
            f"LLVM {'.'.join(map(str, llvm.llvm_version_info))}",
            str(machine.triple),
            f"{8 * struct.calcsize('P')} bit",
            *_host(),
        ]
    return ", ".join(parts)


def scales() -> bool:
    """Whether vectors are multiplied by powers of two in one instruction (AVX-512: ``vscalefps``).

    LLVM selects the instruction since version 22; before, it called the C library for each element.
    """
    features = _host()[1].split(",")
    known = _binding().llvm_version_info[0] >= 22
    return bool(known and "+avx512f" in features and "+avx512vl" in features)


def vectors_in_registers() -> int:
    """The number of vectors of 64 bytes that the registers of this CPU hold."""
    features = _host()[1].split(",")
    if "+avx512f" in features:
        return 32
    return 8 if "+avx" in features or "+neon" in features else 4


def is_x86() -> bool:
    """Whether this is an x86 CPU of 64 bits."""
    return str(_machine().triple).startswith("x86_64")


def compile_ir(text: str) -> bytes:
    """Compile an LLVM module for this CPU: check, optimise, vectorise, emit.

    Parameters
    ----------
    text : str
        LLVM IR. It needs neither a triple nor a data layout.

    Returns
    -------
    bytes
        A position-independent object file, for `load` here or in a later process with the same
        `fingerprint`.
    """
    with _LOCK:
        return _compile(text)


def _compile(text: str) -> bytes:
    # It is a function of its own so that llvmlite's objects are disposed of while the lock is held.
    llvm = _binding()
    machine = _machine()
    _printer()
    context = llvm.create_context()
    try:
        module = llvm.parse_assembly(text, context)
        module.verify()
    except RuntimeError as error:
        raise AssertionError(_complaint(error, text)) from None
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    inline = llvm.create_new_module_pass_manager()
    inline.add_always_inliner_pass()  # for the functions that the vectoriser calls (`slow_path`)
    inline.run(module, builder)
    return bytes(machine.emit_object(module))


def load(obj: bytes, names: Sequence[str]) -> Loaded:
    """Link an object from `compile_ir` into this process.

    Parameters
    ----------
    obj : bytes
        The object file. It may call functions of the process: the C library, the mathematical functions.
    names : sequence of str
        The functions whose addresses are wanted.
    """
    with _LOCK:
        library = _binding().JITLibraryBuilder().add_object_img(obj).add_current_process()
        for name in names:
            library.export_symbol(name)
        try:
            # The name of a library cannot be used again, even when the library is gone.
            tracker = library.link(_linker(), f"xpgrad.{next(_names)}")
        except RuntimeError as error:
            raise AssertionError(f"object with {', '.join(names)} does not link: {error}") from None
        return Loaded({name: tracker[name] for name in names}, tracker)


def _unload(tracker: Any) -> None:
    with _LOCK:
        tracker.close()


def _binding() -> Any:
    import llvmlite.binding

    return llvmlite.binding


@cache
def _host() -> tuple[str, str]:
    """The name and the features of this CPU in LLVM's spelling."""
    llvm = _binding()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@cache
def _machine() -> Any:
    llvm = _binding()
    llvm.initialize_native_target()
    cpu, features = _host()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel=_CODE_MODEL
    )


@cache
def _printer() -> None:
    _binding().initialize_native_asmprinter()


@cache
def _linker() -> Any:
    """The linker of the process. It lives to the end, for every library needs it."""
    return _binding().create_lljit_compiler(_machine(), use_jit_link=not _WINDOWS, suppress_errors=True)


def _complaint(error: RuntimeError, text: str, head: int = 20) -> str:
    """The error, the first lines of the IR, and the line that LLVM names."""
    lines = text.splitlines()
    shown = list(range(min(head, len(lines))))
    named = re.search(r"<string>:(\d+):", str(error))
    if named and head < int(named[1]) <= len(lines):
        shown.append(int(named[1]) - 1)
    listing = "\n".join(f"{i + 1:5} {lines[i]}" for i in shown)
    return f"LLVM refuses our IR: {error}\n{listing}"
