"""A device for CUDA programs that is this CPU: kernels behind the shim."""

import ctypes
from contextlib import nullcontext

import numpy as np
from numpy.lib.array_utils import byte_bounds

from backends.gpu.shim import Shim
from xpgrad.backends.gpu.cuda.tiles.host_inputs import PlainBuffers
from xpgrad.backends.gpu.limits import SWITCHES, THREADS, Limits

SHIM = Shim(races=True)

VARIANTS = dict.fromkeys(SWITCHES, True)
"""Every variant switched on, for ``Limits(**VARIANTS)``."""


class ShimDevice:
    """What `xpgrad.backends.gpu.cuda.program.Device` asks for, on NumPy arrays.

    Blocks have ``threads`` threads, 1 or a multiple of a warp; with ``reverse`` the last runs first, so that
    a missing barrier is found. `races.cpp` watches every launch, which then raises RuntimeError.
    """

    xp = np
    working = nullcontext
    l2 = 4 << 20
    out_of_memory = MemoryError

    def __init__(self, limits=None, threads=1, reverse=False):
        self.limits = (limits or Limits())._replace(threads=threads)
        self.threads, self.reverse = threads, reverse
        self.texts = []
        self.launches = []
        self.captured = None

    def is_here(self, x):
        """A memory-mapped array stands for one on the host, any other for one on the device."""
        return isinstance(x, np.ndarray) and not isinstance(x, np.memmap)

    def staging_buffers(self, shapes):
        return PlainBuffers(np, shapes)

    def compile(self, text):
        fresh = text not in self.texts
        if fresh:
            self.texts.append(text)
        return SHIM.module(text), fresh

    def launch(self, module, name, grid, block, args, shared):
        if self.captured is not None:
            self.captured.append((module, name, grid, block, [_address_alone(x) for x in args], shared))
            return
        self.launches.append(name)
        self._run(module, name, grid, args, shared)

    def _run(self, module, name, grid, args, shared):
        module.launch(name, grid, self.threads, args, shared, reverse=self.reverse)

    def put(self, x):
        return np.asarray(x)

    def address(self, x):
        return x.ctypes.data

    def stream(self):
        return 0

    def capture(self, start):
        self.captured = launches = []
        try:
            start()
        finally:
            self.captured = None

        def again():
            self.launches.append("graph")
            for module, name, grid, _, args, shared in launches:
                self._run(module, name, grid, args, shared)

        return again


def _address_alone(x):
    """What a graph keeps of an argument: the address of an array, which keeps nothing alive."""
    if not isinstance(x, np.ndarray) or not x.size:
        return x
    low, high = byte_bounds(x)
    memory = (ctypes.c_char * (high - low)).from_address(low)
    return np.ndarray(x.shape, x.dtype, memory, x.ctypes.data - low, x.strides)


class Collector(ShimDevice):
    """Compiles and runs nothing: ``texts`` holds what a GPU would be given."""

    def __init__(self, limits=None):
        super().__init__(limits, THREADS)

    def compile(self, text):
        fresh = text not in self.texts
        if fresh:
            self.texts.append(text)
        return None, fresh

    def launch(self, module, name, grid, block, args, shared):
        self.launches.append(name)
