"""The ways to run a compiled function, which must all agree."""

import os
import re
import zlib
from functools import cache

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from xpgrad._trees import flatten, tree_map
from xpgrad.backends import choose, reference
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.backends.gpu.limits import SWITCHES, Limits
from xpgrad.compiler import compile
from xpgrad.plan import Target
from xpgrad.trace import graph_of


class Reference:
    """Traced for its shapes, and run one node at a time: what a graph means."""

    name, share = "reference", 1

    def compile(self, f, threads=None):
        def run(*args):
            graph, rebuild = graph_of(f, *args)
            with np.errstate(all="ignore"):
                return rebuild(reference.run(graph, flatten(args)[0]))

        return run


class Compiled:
    """`xg.compile` with one generator."""

    def __init__(self, name):
        self.name = name

    @property
    def share(self):
        """One of so many random programs is compiled, for that costs more than to interpret it."""
        few = os.environ["XPGRAD_TEST_SHARE"] != "1"
        return {"interpreter": 1, "definition": 2, "llvm": 8 if few else 3, "cuda": 12, "gpu": 8}[self.name]

    def compile(self, f, threads=None):
        compiled = compile(f, threads=threads)
        target = _target(f)

        def run(*args):
            with choose.use(self.name, target):
                return compiled(*args)

        return run

    def explain(self, f, *args):
        """What becomes of ``f`` on the machine that this stands for."""
        with choose.use(self.name):
            return compile(f).explain(*args)


def _target(f):
    """This machine, or, for every other program, a cache so small that a few entries fill it."""
    chance = _chance(f)
    if chance % 2:
        return None
    return Target(
        cache=(64, 256, 1024, 4096)[chance // 2 % 4], grain=(1, 4, 16)[chance // 8 % 3], run=1, small=0
    )


def _chance(f):
    """A number for a function in a test, the same in every run."""
    name = re.sub(" at 0x[0-9a-f]+", "", str(getattr(f, "__wrapped__", f)))
    return zlib.crc32(f"{os.environ.get('PYTEST_CURRENT_TEST', '')} {name}".encode())


class Shimmed(Compiled):
    """`xg.compile` with the CUDA generator, behind the shim: blocks of one thread or of two warps."""

    def __init__(self):
        super().__init__("cuda")

    def compile(self, f, threads=None):
        compiled = compile(f, threads=threads)
        chance = _chance(f) // 64
        target, device = _target(f), ShimDevice(_limits(f), (1, 64)[chance % 2], chance // 2 % 2 == 1)

        def run(*args):
            with choose.use("cuda", target, device):
                return compiled(*args)

        return run

    def explain(self, f, *args):
        with choose.use("cuda", None, ShimDevice()):
            return compile(f).explain(*args)


class OnCard(Compiled):
    """`xg.compile` on a real GPU: arguments are put there in their layout, results are brought back."""

    def __init__(self):
        super().__init__("gpu")

    def compile(self, f, threads=None):
        compiled = compile(f, threads=threads)
        target = _target(f)

        def run(*args):
            args = tree_map(_put, args)
            before = [_bytes(x) for x in flatten(args)[0]]
            with choose.use("cuda", target, _card(_limits(f))):
                out = compiled(*args)
            assert before == [_bytes(x) for x in flatten(args)[0]], "an argument was written to"
            return tree_map(_brought, out)

        return run

    def explain(self, f, *args):
        return compile(f).explain(*tree_map(_put, args))


@cache
def _card(limits):
    """The first GPU, with these limits; one object for each, since it keeps the modules that it has loaded."""
    from xpgrad.backends.gpu.cuda.device import CudaDevice

    return CudaDevice(0, limits)


def _put(x):
    """An array of NumPy's on the GPU with the strides that it has here; anything else as it is."""
    if not isinstance(x, np.ndarray):
        return x
    there = xg.to_device(x, "gpu")
    if there.strides == x.strides or not x.size or any(s % x.itemsize for s in x.strides):
        return there
    reach = [s * (n - 1) for n, s in zip(x.shape, x.strides, strict=True)]
    first = -sum(r for r in reach if r < 0)
    cp = xg.namespace("gpu")
    memory = cp.zeros((first + sum(r for r in reach if r > 0)) // x.itemsize + 1, there.dtype)
    laid_out = cp.ndarray(x.shape, there.dtype, memory.data + first, x.strides)
    laid_out[...] = there
    return laid_out


def _brought(x):
    return xg.asnumpy(x) if hasattr(x, "__cuda_array_interface__") else x


def _bytes(x):
    return _brought(x).tobytes() if hasattr(x, "tobytes") else x


def _limits(f):
    """The generator's own, or, with a small target, such that a few entries make many tiles and blocks.

    Every other program has all variants switched on, the others have none.
    """
    target, variants = _target(f), dict.fromkeys(SWITCHES, _chance(f) // 256 % 2 == 1)
    if target is None:
        return Limits(**variants)
    return Limits(target.grain, 5, target.cache, 64, **variants)


COMPILERS = [Reference(), Compiled("interpreter"), Compiled("definition")]
if available() is None:
    COMPILERS.append(Compiled("llvm"))
if missing() is None:
    COMPILERS.append(Shimmed())


ON_CARD = pytest.param(OnCard(), marks=pytest.mark.gpu)


# The C++ compiler takes longer than all that a case does besides.
PARAMS = [pytest.param(c, marks=pytest.mark.slow if c.name == "cuda" else ()) for c in COMPILERS]


def _name(compiler):
    return compiler.name


def _there(request):
    """The compiler of the test; one for a GPU that is not there is skipped."""
    if request.param.name == "gpu":
        request.getfixturevalue("real_gpu")
    return request.param


@pytest.fixture(params=[*PARAMS, ON_CARD], ids=_name)
def compiler(request):
    return _there(request)


@pytest.fixture(params=["here", pytest.param("gpu", marks=pytest.mark.gpu)])
def compilers(request):
    """All of this machine's, for a test that takes long to say what is right; or that for a GPU."""
    if request.param == "gpu":
        request.getfixturevalue("real_gpu")
        return [ON_CARD.values[0]]
    return COMPILERS


@pytest.fixture(params=[*PARAMS[1:], ON_CARD], ids=_name)
def generator(request):
    """`xg.compile` alone, for what the reference does not have: `explain`, results that are copies."""
    return _there(request)


@pytest.fixture(params=[*(p for p in PARAMS if p.values[0].name == "cuda"), ON_CARD], ids=_name)
def for_cuda(request):
    """Those that print CUDA C++: behind the shim, or on a GPU."""
    return _there(request)


@pytest.fixture(params=[c for c in COMPILERS if c.name in ("interpreter", "llvm")], ids=_name)
def threaded(request):
    """Those that share the work among threads of ours."""
    return request.param
