"""A device for CUDA programs that is this CPU: kernels behind the shim, one thread in a block."""

import numpy as np

from backends.gpu.shim import Shim
from xpgrad.backends.gpu.cuda.kernel import Limits
from xpgrad.backends.gpu.cuda.stream import PlainStage

SHIM = Shim()


class ShimDevice:
    """What `xpgrad.backends.gpu.cuda.program.Device` asks for, on NumPy arrays."""

    xp = np
    slot = 64 << 20
    out_of_memory = MemoryError

    def __init__(self, limits=None):
        self.limits = limits or Limits()
        self.texts = []
        self.launches = []
        self.captured = None

    def is_here(self, x):
        """A memory-mapped array stands for one on the host, any other for one on the device."""
        return isinstance(x, np.ndarray) and not isinstance(x, np.memmap)

    def stage(self, shapes):
        return PlainStage(np, shapes)

    def compile(self, text):
        fresh = text not in self.texts
        if fresh:
            self.texts.append(text)
        return SHIM.module(text), fresh

    def launch(self, module, name, grid, block, args, shared):
        if self.captured is not None:
            self.captured.append((module, name, grid, block, args, shared))
            return
        self.launches.append(name)
        module.launch(name, grid, 1, args, shared)

    def address(self, x):
        return x.ctypes.data if self.is_here(x) else x

    def queue(self):
        return 0

    def capture(self, start):
        self.captured = []
        start()
        launches, self.captured = self.captured, None

        def again():
            self.launches.append("graph")
            for module, name, grid, _, args, shared in launches:
                module.launch(name, grid, 1, args, shared)

        return again


class Collector(ShimDevice):
    """Compiles and runs nothing: ``texts`` holds what it was given."""

    def compile(self, text):
        fresh = text not in self.texts
        if fresh:
            self.texts.append(text)
        return None, fresh

    def launch(self, module, name, grid, block, args, shared):
        self.launches.append(name)
