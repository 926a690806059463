"""CuPy by hand for `bench.gpu`: right on NumPy, one kernel for each fused step, and right on a GPU."""

import numpy as np
import pytest

from bench.gpu import by_cupy
from bench.gpu.table import WORKLOADS
from bench.peers.agreement import check
from bench.peers.contender import make
from xpgrad.devices import gpu_status

BY_HAND = [name for name, w in WORKLOADS.items() if "cupy" in w.contenders]
NO_GPU = not gpu_status().available


def agrees(name, contender):
    """Hold a contender against NumPy in float64, at the tiny size."""
    w = WORKLOADS[name]
    expected = unpacked(make("numpy", w.job, w.make("tiny").in_float64()))
    found = unpacked(contender)
    check(name, found, [str(g.dtype) for g in found[1:]], expected, w.dtype)


def unpacked(contender):
    value, gradient = contender.unpack(contender.build()())
    return [np.float64(value), *map(np.asarray, gradient)]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", BY_HAND)
def test_cupy_by_hand_agrees_with_float64_where_numpy_stands_in_for_it(name, fused):
    w = WORKLOADS[name]
    agrees(name, getattr(by_cupy, w.job)(w.make("tiny"), fused=fused, device="cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason=gpu_status().reason)
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", BY_HAND)
def test_cupy_by_hand_agrees_with_float64_on_the_gpu(name, fused):
    w = WORKLOADS[name]
    agrees(name, getattr(by_cupy, w.job)(w.make("tiny"), fused=fused))


class OnPaper:
    """CuPy, whose arrays stay NumPy's: what is fused can be traced, and nothing runs."""

    asarray = staticmethod(np.asarray)

    def __init__(self, cupy):
        self.cupy = cupy

    def __getattr__(self, name):
        return getattr(self.cupy, name)


@pytest.mark.skipif(not NO_GPU, reason="its arrays point nowhere, and a GPU would read them")
@pytest.mark.parametrize("name", BY_HAND)
def test_cupy_fuses_each_step_into_one_kernel_that_keeps_the_dtype(name, monkeypatch):
    cupy = pytest.importorskip("cupy")
    w, functions, calls = WORKLOADS[name], [], {}

    def noting_calls(f):
        def called(*args):
            calls.setdefault(f.__name__, args)
            return f(*args)

        return called

    special = pytest.importorskip("scipy.special")
    monkeypatch.setattr(by_cupy, "_library", lambda device: (np, special, noting_calls))
    getattr(by_cupy, w.job)(w.make("tiny"), fused=True).build()()
    on_paper = (OnPaper(cupy), pytest.importorskip("cupyx.scipy.special"), lambda f: functions.append(f) or f)
    monkeypatch.setattr(by_cupy, "_library", lambda device: on_paper)
    getattr(by_cupy, w.job)(w.make("tiny"), fused=True)

    assert functions
    for f in functions:
        fused = cupy.fuse(f)
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):  # it is launched, after it was traced
            fused(*(nowhere(cupy, a) for a in calls[f.__name__]))
        assert fused.new_fusion is None  # what it falls back on, and is slower
        ((kernel, _),) = fused._memo.values()
        assert {str(p.dtype) for p in kernel.out_params} == {w.dtype}


def nowhere(cupy, x):
    """A CuPy array of that shape and dtype at an address that nobody may read; numbers as they are."""
    if not isinstance(x, np.ndarray | np.generic):
        return x
    memory = cupy.cuda.memory.UnownedMemory(4096, max(x.nbytes, 1), object(), 0)
    return cupy.ndarray(x.shape, x.dtype, cupy.cuda.memory.MemoryPointer(memory, 0))
