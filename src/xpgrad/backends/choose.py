"""The choice of a generator for an optimised Graph.

In:  a Graph and the arrays that it was traced for.
Out: a program: ``run(arrays) -> outputs``.
Holds: a plainer generator runs what another declines, and `explain` gives the reason.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

import numpy as np

from xpgrad._errors import DependencyError, ShapeError, at_line, message
from xpgrad.backends import reference
from xpgrad.backends.cpu.interpret import Interpreter
from xpgrad.backends.cpu.pool import thread_count
from xpgrad.backends.describe import NOTHING, UNWRITTEN, describe_step, explain
from xpgrad.backends.interface import Runnable
from xpgrad.backends.layouts import InMemory, in_memory, placed
from xpgrad.backends.outputs import unshared
from xpgrad.backends.reference import run_node
from xpgrad.backends.streaming import Streaming
from xpgrad.core import SCALAR_TYPES, Const, Graph, Value
from xpgrad.devices import device_of, free_memory
from xpgrad.devices.door import is_source
from xpgrad.plan import Plan, Target, make_plan

__all__ = ["build", "explain", "generator", "thread_count", "use"]

_wanted: ContextVar[str] = ContextVar("generator", default="auto")
_target: ContextVar[Target | None] = ContextVar("target", default=None)
_device: ContextVar[Any] = ContextVar("device", default=None)

CHUNK = 1 << 18
"""Bytes of a chunk: its sums are combined in little time beside those that it takes to read so much."""

READ_WHOLE = 1 << 20
"""Bytes of all sources of a program together, up to which they are read whole: less than one piece takes."""

TILE = 1 << 18
"""The most bytes of a tile. On an Intel CPU with 1 MiB of L2 cache, where the tiles of 784 features of 60,000
samples in float32 had 768 KiB, the logistic step took 1.05 times as long, and 1.4 times with prefetching."""

SCATTERED = 1 << 11
"""Bytes of a sample in columns from which on a few of them are not taken tile by tile: each entry of a sample
is in another page of memory, and these are more pages than a CPU knows the addresses of."""

_SURELY_FITS = 256 << 20  # bytes; the device is asked about its free memory only above it


@contextmanager
def use(name: str, target: Target | None = None, device: Any = None) -> Iterator[None]:
    """Build programs with one generator only: ``"llvm"``, ``"interpreter"``, ``"cuda"`` or ``"auto"``.

    ``"definition"`` is the interpreter of the kernel IR, with which the others are compared. ``target``
    replaces the machine's: with a cache of a few hundred bytes a small array has many tiles. ``device``
    replaces the CUDA device (`backends.gpu.cuda.program.Device`).
    """
    tokens = _wanted.set(name), _target.set(target), _device.set(device)
    try:
        yield
    finally:
        _wanted.reset(tokens[0])
        _target.reset(tokens[1])
        _device.reset(tokens[2])


def generator() -> tuple[str, str]:
    """The present generator for the CPU; the reason, if it is not LLVM's."""
    wanted = _wanted.get()
    if wanted in ("interpreter", "definition"):
        return wanted, "the interpreter was asked for"
    from xpgrad.backends.cpu.llvm.build import available

    reason = available()
    return ("llvm", "") if reason is None else ("interpreter", reason)


class NodeByNode:
    """A graph with arrays of several devices: the library runs each op, or says what is wrong."""

    compiled = 0

    def __init__(self, graph: Graph, reason: str) -> None:
        self._graph, self._reason = graph, reason

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        known: dict[Value, Any] = dict(zip(self._graph.inputs, inputs, strict=True))
        for node in self._graph.nodes:
            with at_line(node.at):  # for the error where an operand is on another device
                known[node] = run_node(node, known)
        return unshared([known[v] for v in self._graph.outputs], inputs)

    def describe(self, source: bool) -> list[str]:
        none = ["  no source: the library's functions have none here"] if source else []
        return [f"each node by the library: {self._reason}", *none]


class Interpreted:
    """A plan that the NumPy interpreter runs."""

    compiled = 0

    def __init__(self, plan: Plan, threads: int, reason: str) -> None:
        self.plan, self._reason = plan, reason
        self._interpreter = Interpreter(plan, threads)

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        try:
            return self._interpreter.run(inputs)
        except IndexError:  # of a tile: the index is of the whole array, and the line the user's
            return unshared(reference.run(self.plan.graph, inputs), inputs)

    def describe(self, source: bool) -> list[str]:
        lines = [
            f"by the NumPy interpreter ({self._reason}): {UNWRITTEN}"
            if source
            else f"by the NumPy interpreter ({self._reason})"
        ]
        for k, step in enumerate(self.plan.steps):
            lines += describe_step(self.plan, k, step)
        return lines if self.plan.steps else [NOTHING]


def stays_on_host(x: Any, place: str) -> bool:
    """Whether an array stays on the host when the arguments are moved to ``place``.

    It does if it is a mapped file, or larger than half of the GPU's free memory.
    """
    if place == "cpu" or not isinstance(x, np.ndarray) or not x.ndim:
        return False
    return isinstance(x, np.memmap) or (x.nbytes > _SURELY_FITS and x.nbytes > free_memory(place) // 2)


def build(
    graph: Graph,
    arrays: Sequence[Any],
    threads: int,
    streams: bool = False,
    streaming: Streaming | None = None,
) -> Runnable:
    """A program for ``graph``, planned for the layouts of ``arrays``.

    ``streams``: arrays on the host, beside arrays on a GPU, are copied to it tile by tile. ``streaming``: how
    sources among the arrays are read.
    """
    if any(map(is_source, arrays)):
        return _streamed(graph, arrays, threads, streaming or Streaming())
    # NumPy's scalars combine with arrays on any device.
    constants = [x for x in _constants(graph) if not isinstance(x, SCALAR_TYPES)]
    given = [*[x for x in arrays if not isinstance(x, SCALAR_TYPES)], *constants]
    devices = {device_of(x) for x in given} or {"cpu"}
    if streams and len(devices) > 1 and all(device_of(x) != "cpu" for x in constants):
        devices.discard("cpu")
    if devices != {"cpu"} or _device.get() is not None:
        return _on_gpu(graph, arrays, given, devices)
    name, reason = generator()
    memory = in_memory(graph, [np.asarray(x) for x in arrays])
    if name == "interpreter":
        # Each call into NumPy has its cost, and the GIL is handed over between two: larger tiles than a
        # cache holds are the lesser evil.
        cache = 4 * cache_size()
        return Interpreted(_planned(graph, memory, Target(cache, chunk=cache)), threads, reason)
    plan = _planned(graph, memory, _target_of_llvm())
    if name == "definition":
        from xpgrad.backends import definition

        return definition.Interpreted(plan, memory)
    from xpgrad.backends.cpu.llvm.program import LLVMProgram

    return LLVMProgram(plan, memory.held, threads, partial(_of_body, threads))


def _streamed(graph: Graph, arrays: Sequence[Any], threads: int, streaming: Streaming) -> Runnable:
    """A program that reads sources piece by piece; one that reads them whole where they are small."""
    name, reason = generator()
    if name != "llvm":
        remedy = 'pip install "xpgrad[cpu]", or source.read() to compute in memory'
        raise DependencyError(message(f"sources are read by compiled kernels: {reason}", remedy=remedy))
    from xpgrad.backends.cpu.llvm import streamed
    from xpgrad.backends.cpu.llvm.program import LLVMProgram
    from xpgrad.backends.cpu.llvm.read_whole import ReadWhole

    sources: dict[Value, Any] = {v: x for v, x in zip(graph.inputs, arrays, strict=True) if is_source(x)}
    if len({x.samples for x in sources.values()}) > 1:
        got = {x.name: f"{x.samples} samples" for x in sources.values()}
        raise ShapeError(message("the sources differ in their number of samples", got))

    def laid_out(capacity: int) -> InMemory:
        layouts = [
            placed(x.shape, x.dtype, x.strides(capacity)) if is_source(x) else np.asarray(x) for x in arrays
        ]
        return in_memory(graph, layouts)

    used = [x for v, x in sources.items() if any(v in n.operands for n in graph.nodes)] or [*sources.values()]
    memory = laid_out(used[0].samples)
    plan = _planned(graph, memory, _target_of_llvm())
    if sum(x.nbytes for x in used) <= READ_WHOLE:
        return ReadWhole(LLVMProgram(plan, memory.held, threads, partial(_of_body, threads)))
    capacity = streamed.capacity_of(plan, used)
    return streamed.StreamedProgram(plan, laid_out(capacity), sources, capacity, threads, streaming)


def _of_body(threads: int, graph: Graph, repeated: bool) -> Any:
    """A program for the body of a loop."""
    from xpgrad.backends.cpu.llvm.program import LLVMProgram

    memory = in_memory(graph, [np.empty(v.shape, v.dtype) for v in graph.inputs], entries=not repeated)
    plan = _planned(graph, memory, _target_of_llvm())
    return LLVMProgram(plan, memory.held, threads, partial(_of_body, threads), repeated)


def _target_of_llvm() -> Target:
    from xpgrad.backends.cpu.llvm.sums import BLOCK

    return Target(min(3 * cache_size() // 4, TILE), chunk=CHUNK, group=BLOCK, scattered=SCATTERED)


def _planned(graph: Graph, memory: InMemory, target: Target) -> Plan:
    """The plan for ``target``, or for the one that `use` puts in its place."""
    return make_plan(graph, _target.get() or target, memory.views, memory.unit_axes())


def _on_gpu(graph: Graph, arrays: Sequence[Any], given: Sequence[Any], devices: set[str]) -> Runnable:
    """A program of CUDA kernels; node by node where the arrays are not all CuPy's and on one device."""
    if len(devices) > 1:
        return NodeByNode(graph, f"arrays on {' and '.join(sorted(devices))}")
    from xpgrad.backends.gpu.cuda.program import CudaProgram
    from xpgrad.backends.gpu.cuda.tiles.host_inputs import NotTileable

    device = _device.get()
    if device is None:
        cupy = sys.modules.get("cupy")  # where there are arrays of its, it is imported
        ours = [x for x in given if device_of(x) in devices]
        strange = next((type(x) for x in ours if cupy is None or not isinstance(x, cupy.ndarray)), None)
        if strange is not None:
            return NodeByNode(graph, f"{strange.__name__} is no array of CuPy's")
        from xpgrad.backends.gpu.cuda.device import device as cuda_device

        device = cuda_device(int(devices.pop().partition(":")[2] or 0))
    arrays = [np.asarray(x) if isinstance(x, SCALAR_TYPES) else x for x in arrays]
    hosts = {v for v, x in zip(graph.inputs, arrays, strict=True) if x.ndim and not device.is_here(x)}
    whole: dict[Value, str] = {}
    placed = list(arrays)
    with device.working():
        while True:
            memory = in_memory(graph, placed)
            try:
                plan = _planned(graph, memory, Target(device.limits.plan_cache))
                program = CudaProgram(plan, memory.held, device, hosts - set(whole))
                return Moving(program, whole) if whole else program
            except NotTileable as error:
                whole[error.value] = error.reason
                placed = [
                    device.xp.asarray(x) if v is error.value else x
                    for v, x in zip(graph.inputs, placed, strict=True)
                ]


def _constants(graph: Graph) -> Iterator[Any]:
    """The constants of the graph without index arrays, which a GPU takes from the host."""
    for node in graph.nodes:
        for k, u in enumerate(node.operands):
            if isinstance(u, Const) and not (k and node.op.host_indices):
                yield u.data


class Moving:
    """A CUDA program that copies whole inputs from the host; ``whole`` has the reason for each."""

    def __init__(self, program: Any, whole: dict[Value, str]) -> None:
        self._program, self._whole = program, whole
        self.compiled: int = program.compiled

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        device, graph = self._program.device, self._program.plan.graph
        with device.working():
            given = [
                device.xp.asarray(x) if v in self._whole else x
                for v, x in zip(graph.inputs, inputs, strict=True)
            ]
            return list(self._program.run(given))

    def describe(self, source: bool) -> list[str]:
        moved = [f"{v.aval} is copied from the host in each call: {why}" for v, why in self._whole.items()]
        return [*moved, *self._program.describe(source)]


@cache
def cache_size() -> int:
    """Bytes of the L2 cache of one core; 512 KiB if the system does not say."""
    try:
        with open("/sys/devices/system/cpu/cpu0/cache/index2/size") as file:
            text = file.read().strip()
        return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}[text[-1]]
    except (OSError, ValueError, KeyError):
        return 1 << 19
