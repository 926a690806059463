"""Memory that may be used: a limit in bytes or in words, and what is free.

In:  ``None``, a number of bytes, or a text such as ``"800MB"``.
Out: bytes; or memory for an array.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from typing import Any

import numpy as np

from xpgrad._errors import message

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SHARE = 4


def limit_of(memory_limit: Any) -> int:
    """The bytes of a ``memory_limit``; None is a quarter of what is free now.

    Raises
    ------
    ValueError
        It is neither a positive number of bytes nor a text such as ``"800MB"`` or ``"2GiB"``.
    """
    if memory_limit is None:
        return free() // _SHARE
    found = -1.0
    if isinstance(memory_limit, str):
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([kmgt]?)(i?)b?\s*", memory_limit.lower())
        if match is not None and (match[2] or not match[3]):
            power = "kmgt".find(match[2]) + 1 if match[2] else 0
            found = float(match[1]) * (1024**power if match[3] else _UNITS[match[2]])
    elif isinstance(memory_limit, (int, float)) and not isinstance(memory_limit, bool):
        found = memory_limit
    if not 0 < found < float("inf"):
        wanted = 'memory_limit must be a number of bytes, or a text such as "800MB" or "2GiB"'
        raise ValueError(message(f"{wanted}, got {memory_limit!r}"))
    return int(found)


def free() -> int:
    """Bytes that this process can still take: of the machine, of its cgroup and of its own limit."""
    known = [_of_machine(), _of_group(), _of_process()]
    return max(min(x for x in known if x is not None), 0)


def _of_machine() -> int:
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) << 10
    except (OSError, ValueError):
        pass
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) // 2


def _of_group(root: str = "/sys/fs/cgroup") -> int | None:
    try:
        with open(f"{root}/memory.max") as most, open(f"{root}/memory.current") as now:
            return int(most.read()) - int(now.read())
    except (OSError, ValueError):
        return None  # no group, or "max"


def _of_process() -> int | None:
    try:
        import resource
    except ImportError:  # of Unix alone
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return None
    try:
        with open("/proc/self/statm") as file:
            return most - int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return most


def room(shape: tuple[int, ...], dtype: Any, limit: int) -> Any:
    """Memory for a value of each sample; where it is much beside the limit, a file that nobody else sees."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= limit // 4:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="xpgrad-") as file:
        file.truncate(size)
        return np.asarray(np.memmap(file, dtype, "r+", shape=shape))
