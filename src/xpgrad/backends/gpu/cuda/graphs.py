"""CUDA graphs: a repeated call with the same buffers is one launch, not one for each kernel.

In:  a program whose steps are all kernels of ours, and the inputs of each call.
Out: its outputs, copied out of the memory that the graph writes.
Holds: a graph is identified by the stream and by the addresses and scalars that its kernels received. The graph
keeps the memory that it writes. It does not keep the inputs: the same address is the same input to its kernels,
whoever owns the memory by then.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.gpu.cuda.arguments import Device, Refused
from xpgrad.backends.outputs import base_of
from xpgrad.core import Value

ALIGNMENT = 256
"""Bytes: each output begins at a multiple, as CuPy's arrays do."""


class OutputArena:
    """Several arrays in one piece of memory, so that one call copies them all."""

    def __init__(self, xp: Any, nodes: Iterable[Value]) -> None:
        self._begins: dict[Value, int] = {}
        size = 0
        for node in nodes:
            self._begins[node] = size
            size += -(-_bytes(node) // ALIGNMENT) * ALIGNMENT
        self._memory = xp.empty(size, np.uint8)
        self.arrays = self._within(self._memory)

    def copies(self) -> dict[Value, Any]:
        """The present contents of the arrays, in new memory."""
        return self._within(self._memory.copy())

    def _within(self, memory: Any) -> dict[Value, Any]:
        return {
            node: memory[begin : begin + _bytes(node)].view(node.dtype).reshape(node.shape)
            for node, begin in self._begins.items()
        }


def _bytes(node: Value) -> int:
    return prod(node.shape) * node.dtype.itemsize


class Prepared(NamedTuple):
    """A run of a program that allocates no memory when it is launched.

    Attributes
    ----------
    start : callable
        Launches all kernels.
    outputs : list of (Value, array)
        The outputs that they fill.
    arena : OutputArena
        The memory of most outputs.
    used : callable
        The arrays that the kernels received, once they have been launched.
    """

    start: Callable[[], None]
    outputs: list[tuple[Value, Any]]
    arena: OutputArena
    used: Callable[[], list[Any]]


class CapturedGraph(NamedTuple):
    """Captured kernels, and the memory that they use besides the inputs."""

    launch: Callable[[], None]
    outputs: list[tuple[Value, Any]]
    arena: OutputArena
    memory: list[Any]


class CudaGraphs:
    """The graphs of one program.

    Parameters
    ----------
    device : Device
    prepare : callable
        ``prepare(inputs)`` gives a `Prepared`.

    Attributes
    ----------
    refused : str
        Why the device captures no graph; empty as long as it does.
    """

    def __init__(self, device: Device, prepare: Callable[[Sequence[Any]], Prepared]) -> None:
        self._device, self._prepare = device, prepare
        self.refused = ""
        self._lock = threading.Lock()
        self._calls: OrderedDict[Any, int] = OrderedDict()
        self._graphs: OrderedDict[Any, CapturedGraph] = OrderedDict()

    @property
    def count(self) -> int:
        """The number of graphs."""
        return len(self._graphs)

    def run(self, inputs: Sequence[Any]) -> list[Any] | None:
        """The outputs, or None where these buffers have no graph yet."""
        with self._lock:  # one thread copies its outputs before another's graph begins
            return self._run(inputs)

    def _run(self, inputs: Sequence[Any]) -> list[Any] | None:
        limits = self._device.limits
        key = self._device.stream(), *map(self._identity, inputs)
        found = self._graphs.get(key)
        if found is None:
            calls = self._calls[key] = self._calls.pop(key, 0) + 1
            while len(self._calls) > 4 * limits.graphs_kept:
                self._calls.popitem(last=False)
            if calls < limits.graph_calls:
                return None
            del self._calls[key]
            prepared = self._prepare(inputs)
            try:
                launch = self._device.capture(prepared.start)
            except Refused as error:
                self.refused = str(error)
                return None
            theirs = {id(base_of(x)) for x in inputs}
            # Scalars that were copied to the device, for example, live as long as the graph.
            memory = [x for x in prepared.used() if id(base_of(x)) not in theirs]
            found = self._graphs[key] = CapturedGraph(launch, prepared.outputs, prepared.arena, memory)
            while len(self._graphs) > limits.graphs_kept:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        found.launch()
        copies = found.arena.copies()
        return [copies.pop(v) if v in copies else x.copy() for v, x in found.outputs]

    def _identity(self, x: Any) -> Any:
        """The part of an input that the kernels receive: the address of an array, the bits of a scalar."""
        if self._device.is_here(x):
            return self._device.address(x)
        return type(x), np.asarray(x).tobytes()
