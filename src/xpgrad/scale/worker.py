"""What a worker does: the partials of a share of the chunks of one step.

In:  a program as bytes, the values that the step reads, and a range of chunks.
Out: their partials.
Holds: a program is made once for each process; its sources are opened there, and its pieces stay in its memory.
One share runs at a time in a process, on as many threads as the worker has for Dask's tasks.
"""

from __future__ import annotations

import platform
import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from xpgrad._errors import DeviceError, message
from xpgrad._version import __version__
from xpgrad.core import Value
from xpgrad.scale.packing import Packed, Part, Place, places, unpacked

KEPT = 8
"""Programs that a process keeps: those of a fit, and of the one before it."""

_programs: OrderedDict[Any, Any] = OrderedDict()
_turn = threading.Lock()


def facts() -> dict[str, str]:
    """What must be the same in all processes, so that their bits are: versions and the machine code."""
    from xpgrad.backends.cpu.llvm import build

    return {
        "xpgrad": __version__,
        "numpy": np.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "machine code": build.fingerprint(),
    }


def share(
    program: Packed,
    expected: dict[str, str],
    step: int,
    values: dict[Place, Any],
    chunks: tuple[int, int],
    memory_limit: Any,
) -> Any:
    """The partials of chunks ``chunks[0]`` to ``chunks[1]`` of a step, and what it gives for each sample."""
    refuse_other(facts(), expected, "a worker that has come later")
    with _turn:
        made, sources, at = _program(program, memory_limit)
        env: dict[Value, Any] = {at[k]: x.whole() if isinstance(x, Part) else x for k, x in values.items()}
        env |= {v: _laid_out(env[v], like) for v, like in made.laid_out.items() if v in env}
        env |= sources
        work = made.steps[step]
        env |= {node: np.empty(node.shape, node.dtype) for node in work.kernel.outs}
        found = np.array(work.partials(env, range(*chunks), made.streaming))
        outs = [np.ascontiguousarray(work.part_of(node, env[node], chunks)) for node in work.kernel.outs]
    return found, outs


def _laid_out(x: Any, like: Any) -> Any:
    """The array with the strides that the program was made for; travelling makes it contiguous."""
    if getattr(x, "strides", None) in (None, like.strides):
        return x
    least = sum((n - 1) * s for n, s in zip(like.shape, like.strides, strict=True) if s < 0)
    most = sum((n - 1) * s for n, s in zip(like.shape, like.strides, strict=True) if s > 0)
    memory = np.empty(most - least + like.itemsize, np.uint8)
    found: Any = np.ndarray(like.shape, like.dtype, memory, -least, like.strides)
    found[...] = x
    return found


def refuse_other(found: dict[str, str], expected: dict[str, str], who: str) -> None:
    """Raise the DeviceError of a process whose bits may be others."""
    differ = {
        name: f"{found.get(name)} there, {x} here" for name, x in expected.items() if found.get(name) != x
    }
    if differ:
        what = f"cluster: {who} differs from where the fit runs, so that bits may differ"
        remedy = "install the same versions, and use workers with the same kind of CPU"
        raise DeviceError(message(what, differ, remedy=remedy))


def _program(program: Packed, memory_limit: Any) -> Any:
    key = program.digest, memory_limit
    if key not in _programs:
        threads, limit = _of_worker(memory_limit)
        made, sources = unpacked(program.content, threads, limit)
        at = {place: value for value, place in places(made.plan.graph).items()}
        _programs[key] = made, sources, at
        while len(_programs) > KEPT:
            _programs.popitem(last=False)
    _programs.move_to_end(key)
    return _programs[key]


def _of_worker(memory_limit: Any) -> tuple[int, Any]:
    """The threads and the memory limit of this worker: what Dask gave it, and a quarter of its memory."""
    from distributed import get_worker

    worker = get_worker()
    given = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    return max(worker.state.nthreads, 1), given // 4 if memory_limit is None and given else memory_limit
