"""Repeated calls with the same buffers as one CUDA graph: launched at once instead of kernel by kernel.

In:  a program whose steps are all kernels of ours, and in each call its inputs.
Out: its outputs, copied out of the memory that the graph writes.
Holds: a graph is told apart by the addresses and scalars that its kernels were given, and by the queue that
orders them; while it is kept, what it writes to is nobody else's. The inputs are not kept: the same address
is the same input to its kernels, whoever has it by then.
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

AFTER = 3
"""Calls with the same buffers until they are captured: a graph that is used once costs more than it saves."""

KEPT = 8
"""Graphs of one program: a loop that makes its arrays anew is given the same few addresses again."""

APART = 256
"""Bytes: each output begins at a multiple, as CuPy's arrays do."""


class Slab:
    """Arrays side by side in one piece of memory, which one call copies."""

    def __init__(self, xp: Any, nodes: Iterable[Value]) -> None:
        self._begins: dict[Value, int] = {}
        size = 0
        for node in nodes:
            self._begins[node] = size
            size += -(-_bytes(node) // APART) * APART
        self._memory = xp.empty(size, np.uint8)
        self.arrays = self._within(self._memory)

    def copies(self) -> dict[Value, Any]:
        """What the arrays hold now, in memory of its own."""
        return self._within(self._memory.copy())

    def _within(self, memory: Any) -> dict[Value, Any]:
        return {
            node: memory[begin : begin + _bytes(node)].view(node.dtype).reshape(node.shape)
            for node, begin in self._begins.items()
        }


def _bytes(node: Value) -> int:
    return prod(node.shape) * node.dtype.itemsize


class Prepared(NamedTuple):
    """A run of a program that allocates nothing when it is started.

    Attributes
    ----------
    start : callable
        Starts all kernels.
    outputs : list of (Value, array)
        What they fill.
    slab : Slab
        Where most of it lies.
    used : callable
        The arrays that the kernels were given, once they have been started.
    """

    start: Callable[[], None]
    outputs: list[tuple[Value, Any]]
    slab: Slab
    used: Callable[[], list[Any]]


class Graph(NamedTuple):
    """Captured kernels, and the memory that they use beside the inputs."""

    again: Callable[[], None]
    outputs: list[tuple[Value, Any]]
    slab: Slab
    memory: list[Any]


class Replay:
    """The graphs of one program.

    Parameters
    ----------
    device : Device
    prepare : callable
        Of inputs.

    Attributes
    ----------
    refused : str
        Why the device captures none of it; empty while it does.
    """

    def __init__(self, device: Device, prepare: Callable[[Sequence[Any]], Prepared]) -> None:
        self._device, self._prepare = device, prepare
        self.refused = ""
        self._lock = threading.Lock()
        self._seen: OrderedDict[Any, int] = OrderedDict()
        self._kept: OrderedDict[Any, Graph] = OrderedDict()

    @property
    def count(self) -> int:
        """How many graphs are kept."""
        return len(self._kept)

    def run(self, inputs: Sequence[Any]) -> list[Any] | None:
        """The outputs, or None where no graph of these buffers is there yet."""
        with self._lock:  # of two threads one copies its outputs before the other's graph begins
            return self._run(inputs)

    def _run(self, inputs: Sequence[Any]) -> list[Any] | None:
        key = self._device.queue(), *map(self._told, inputs)
        found = self._kept.get(key)
        if found is None:
            times = self._seen[key] = self._seen.pop(key, 0) + 1
            while len(self._seen) > 4 * KEPT:
                self._seen.popitem(last=False)
            if times < AFTER:
                return None
            del self._seen[key]
            prepared = self._prepare(inputs)
            try:
                again = self._device.capture(prepared.start)
            except Refused as error:
                self.refused = str(error)
                return None
            theirs = {id(base_of(x)) for x in inputs}
            # Scalars that went to the device, say, live as long as the graph.
            memory = [x for x in prepared.used() if id(base_of(x)) not in theirs]
            found = self._kept[key] = Graph(again, prepared.outputs, prepared.slab, memory)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        found.again()
        copies = found.slab.copies()
        return [copies.pop(v) if v in copies else x.copy() for v, x in found.outputs]

    def _told(self, x: Any) -> Any:
        """What the kernels are told of an input: the address of an array, the bits of a scalar."""
        if self._device.is_here(x):
            return self._device.address(x)
        return type(x), np.asarray(x).tobytes()
