"""Repeated calls with the same buffers as one CUDA graph: launched at once instead of kernel by kernel.

In:  a program whose steps are all kernels of ours, and in each call its inputs.
Out: its outputs, copied out of the buffers that the graph writes.
Holds: a graph is told apart by the addresses and scalars that its kernels were given, and by the queue that
orders them; while it is kept, what it writes to is nobody else's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from xpgrad.backends.gpu.cuda.arguments import Device

AFTER = 3
"""Calls with the same buffers until they are captured: a graph that is used once costs more than it saves."""

KEPT = 8
"""Graphs of one program: a loop that makes its arrays anew is given the same few addresses again."""

Prepare = Callable[[Sequence[Any]], tuple[Callable[[], None], list[Any]]]


class Replay:
    """The graphs of one program.

    Parameters
    ----------
    device : Device
    prepare : callable
        Of inputs: a function that starts all kernels and allocates nothing, and the outputs that they fill.
    """

    def __init__(self, device: Device, prepare: Prepare) -> None:
        self._device, self._prepare = device, prepare
        self._lock = threading.Lock()
        self._seen: OrderedDict[Any, int] = OrderedDict()
        self._kept: OrderedDict[Any, tuple[Callable[[], None], list[Any], Any]] = OrderedDict()

    @property
    def count(self) -> int:
        """How many graphs are kept."""
        return len(self._kept)

    def run(self, inputs: Sequence[Any]) -> list[Any] | None:
        """The outputs, or None where no graph of these buffers is there yet."""
        with self._lock:  # of two threads one copies its outputs before the other's graph begins
            return self._run(inputs)

    def _run(self, inputs: Sequence[Any]) -> list[Any] | None:
        key = self._device.queue(), *[self._device.address(x) for x in inputs]
        found = self._kept.get(key)
        if found is None:
            times = self._seen[key] = self._seen.pop(key, 0) + 1
            while len(self._seen) > 4 * KEPT:
                self._seen.popitem(last=False)
            if times < AFTER:
                return None
            del self._seen[key]
            start, outputs = self._prepare(inputs)
            # Scalars that went to the device, say, live as long as the graph.
            found = self._kept[key] = self._device.capture(start), outputs, start
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        found[0]()
        return [x.copy() if self._device.is_here(x) else x for x in found[1]]
