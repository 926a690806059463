"""The CUDA device, through CuPy: modules, arrays, launches.

In:  the text of a module, and launches.
Out: work on the current device's current stream.
Holds: a module is compiled once for each text and architecture, in this process or an earlier one.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache, cached_property
from math import prod
from typing import Any

import numpy as np

from xpgrad._errors import DeviceError, message
from xpgrad._version import __version__
from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.backends.gpu.cuda.arguments import Refused
from xpgrad.backends.gpu.limits import Limits
from xpgrad.backends.store import default_store
from xpgrad.devices import cuda_errors, is_refused_capture, note_start

OLDEST = 70
"""The oldest compute capability, times ten: before it threads of a warp had no barrier of their own."""


class CudaDevice:
    """One CUDA device, as `program.Device` asks for it.

    Raises
    ------
    DeviceError
        The card is too old.
    """

    def __init__(self, number: int, limits: Limits | None = None) -> None:
        import cupy

        self.xp = cupy
        self.out_of_memory: type[Exception] = cupy.cuda.memory.OutOfMemoryError
        self.number = number
        self.limits = Limits() if limits is None else limits
        capability = cupy.cuda.Device(number).compute_capability
        if int(capability) < OLDEST:
            card = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
            headline = f"compile: {card} has compute capability {capability}; kernels need {OLDEST}"
            raise DeviceError(
                message(headline, remedy='use device="cpu", or a card of the Volta generation or newer')
            )
        self.arch = f"sm_{capability}"
        self._modules: dict[str, Any] = {}
        self._lock = threading.Lock()

    @cached_property
    def l2(self) -> int:
        """Bytes of the L2 cache."""
        runtime = self.xp.cuda.runtime
        return int(runtime.deviceGetAttribute(runtime.cudaDevAttrL2CacheSize, self.number))

    def is_here(self, x: Any) -> bool:
        return isinstance(x, self.xp.ndarray) and x.device.id == self.number

    def put(self, x: Any) -> Any:
        return self.xp.asarray(x, blocking=True)

    def compile(self, text: str) -> tuple[Any, bool]:
        with self._lock:
            found = self._modules.get(text)
            if found is not None:
                return found, False
            store = default_store()
            built = f"xpgrad {__version__}, NVRTC {nvrtc.version()}, {' '.join(nvrtc.OPTIONS)}, {self.arch}"
            key = f"{built}\n{text}"
            image = store.get(key)
            fresh = image is None
            if image is None:
                image = nvrtc.compile_cubin(text, self.arch).image
                store.put(key, image)
            with self.xp.cuda.Device(self.number):
                module = self.xp.cuda.function.Module()
                module.load(image)
            self._modules[text] = module
            return module, fresh

    def address(self, x: Any) -> int:
        return int(x.data.ptr)

    def stream(self) -> int:
        return int(self.xp.cuda.get_current_stream(self.number).ptr)

    def capture(self, start: Callable[[], None]) -> Callable[[], None]:
        cuda = self.xp.cuda
        with cuda.Device(self.number), cuda.Stream(non_blocking=True) as stream:
            try:
                stream.begin_capture()
                try:
                    start()
                except BaseException:
                    with suppress(RuntimeError):  # the first error is the one to report
                        stream.end_capture()
                    raise
                graph = stream.end_capture()
            except RuntimeError as error:
                if not is_refused_capture(error):
                    raise
                raise Refused(str(error)) from error

        def again() -> None:
            with cuda.Device(self.number):  # each device has a current stream of its own
                graph.launch(cuda.get_current_stream())

        return again

    def staging_buffers(self, shapes: Sequence[tuple[tuple[int, ...], Any]]) -> PinnedBuffers:
        with self.xp.cuda.Device(self.number):
            return PinnedBuffers(self.xp, shapes)

    def working(self) -> AbstractContextManager[None]:
        """A context in which arrays are made on this device, and CUDA's errors have xpgrad's wording."""
        return _Working(self.xp.cuda.Device(self.number))

    def launch(self, module: Any, name: str, grid: int, block: int, args: Sequence[Any], shared: int) -> None:
        note_start(f"kernel {name}, {grid} blocks of {block} threads, {shared} bytes of shared memory,")
        at_once = os.environ.get("CUDA_LAUNCH_BLOCKING") == "1"
        with cuda_errors(f"kernel {name}", is_told_at_once=at_once), self.xp.cuda.Device(self.number):
            module.get_function(name)((grid, 1, 1), (block, 1, 1), tuple(args), shared)


class _Working(cuda_errors):
    """Makes a device the current one. An earlier error that CUDA reports on entry or exit is worded, too."""

    __slots__ = ("_here",)

    def __init__(self, here: Any) -> None:
        super().__init__("compile")
        self._here = here

    def __enter__(self) -> None:
        try:
            self._here.__enter__()
        except RuntimeError as error:
            super().__exit__(type(error), error, None)
            raise

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            self._here.__exit__(kind, error, traceback)
        except RuntimeError as later:
            super().__exit__(type(later), later, None)
            raise
        super().__exit__(kind, error, traceback)


class PinnedBuffers:
    """Two buffers, each on the device and in pinned memory of the host, filled on a stream of their own.

    The host copies a tile into pinned memory while the device computes with the tile before, and the copy to
    the device runs beside the kernels, too. An event for each direction marks when a buffer is free. The memory
    is freed when both events have happened, since the memory pools do not know the copying stream.
    """

    def __init__(self, cupy: Any, shapes: Sequence[tuple[tuple[int, ...], Any]]) -> None:
        self._cupy = cupy
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._slots = [[cupy.empty(shape, dtype) for shape, dtype in shapes] for _ in range(2)]
        self._pinned = [[_pinned(cupy, shape, dtype) for shape, dtype in shapes] for _ in range(2)]
        self._copied = [cupy.cuda.Event(disable_timing=True) for _ in range(2)]
        self._read = [cupy.cuda.Event(disable_timing=True) for _ in range(2)]
        for event in self._read:  # kernels launched earlier may still use the memory of a buffer
            event.record(cupy.cuda.get_current_stream())
        self.arrays = self._slots[0]
        weakref.finalize(self, _wait_for, [*self._copied, *self._read])

    def load(self, k: int, pieces: Sequence[Any]) -> list[Any]:
        s = k % 2
        self._copied[s].synchronize()  # until the pinned memory has been read
        self._stream.wait_event(self._read[s])  # until the device's buffer has been read
        for device, pinned, piece in zip(self._slots[s], self._pinned[s], pieces, strict=True):
            pinned[tuple(map(slice, piece.shape))] = piece
            device.set(pinned, stream=self._stream)
        self._copied[s].record(self._stream)
        self._cupy.cuda.get_current_stream().wait_event(self._copied[s])
        return self._slots[s]

    def used(self, k: int) -> None:
        self._read[k % 2].record(self._cupy.cuda.get_current_stream())


def _wait_for(events: Sequence[Any]) -> None:
    with suppress(RuntimeError):  # CUDA reports the error again at its next call
        for event in events:
            event.synchronize()


def _pinned(cupy: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A NumPy array in memory that the device reads directly."""
    count = prod(shape)
    memory = cupy.cuda.alloc_pinned_memory(max(count, 1) * np.dtype(dtype).itemsize)
    return np.frombuffer(memory, dtype, count).reshape(shape)


@cache
def device(number: int) -> CudaDevice:
    """The device of that number; there is one object per device."""
    return CudaDevice(number)
