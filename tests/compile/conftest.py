"""The ways to run a compiled function, which must all agree."""

import zlib

import numpy as np
import pytest

from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from xpgrad._trees import flatten
from xpgrad.backends import programs, reference
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.backends.gpu.cuda.kernel import Limits
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
        # One of so many random programs: what is compiled costs more than what is interpreted.
        self.name, self.share = name, {"interpreter": 1, "llvm": 3, "cuda": 12}[name]

    def compile(self, f, threads=None):
        compiled = compile(f, threads=threads)
        target = _target(f)

        def run(*args):
            with programs.use(self.name, target):
                return compiled(*args)

        return run


def _target(f):
    """This machine, or, for every other program, a cache so small that a few entries fill it."""
    chance = zlib.crc32(str(getattr(f, "__wrapped__", f)).encode())
    if chance % 2:
        return None
    return Target(
        cache=(64, 256, 1024, 4096)[chance // 2 % 4], grain=(1, 4, 16)[chance // 8 % 3], run=1, small=0
    )


class Shimmed(Compiled):
    """`xg.compile` with the CUDA generator, behind the shim: blocks of one thread or of two warps."""

    def __init__(self):
        super().__init__("cuda")

    def compile(self, f, threads=None):
        compiled = compile(f, threads=threads)
        chance = zlib.crc32(str(getattr(f, "__wrapped__", f)).encode()) // 64
        target, device = _target(f), ShimDevice(_limits(f), (1, 64)[chance % 2], chance // 2 % 2 == 1)

        def run(*args):
            with programs.use("cuda", target, device):
                return compiled(*args)

        return run


def _limits(f):
    """The generator's own, or, with a small target, such that a few entries make many tiles and blocks."""
    target = _target(f)
    return None if target is None else Limits(target.grain, 5, target.cache, 64)


COMPILERS = [Reference(), Compiled("interpreter")]
if available() is None:
    COMPILERS.append(Compiled("llvm"))
if missing() is None:
    COMPILERS.append(Shimmed())


@pytest.fixture(params=COMPILERS, ids=lambda c: c.name)
def compiler(request):
    return request.param


@pytest.fixture(params=COMPILERS[1:], ids=lambda c: c.name)
def generator(request):
    """`xg.compile` alone, for what the reference does not have: threads, `explain`, results that are copies."""
    return request.param
