"""Every kernel of the corpus is compiled to machine code for three generations of cards, without one.

Registers and spills of the workloads' kernels: ``bench/results/kernels.json``, by ``python -m bench.kernels``.
"""

import re

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import Collector
from backends.gpu.test_texts import arguments, logistic, softmax
from cases.programs import CASES
from xpgrad.backends import programs
from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.compiler import compile
from xpgrad.plan import Target

if reason := nvrtc.available():
    pytest.skip(reason, allow_module_level=True)

# That of CUDA 13 compiles for nothing older than sm_75.
ARCHITECTURES = ("sm_70", "sm_80", "sm_90") if nvrtc.version()[0] == 12 else ("sm_80", "sm_90")


# This size is small for a loop over samples; with the second there is one.
TARGETS = {"in one block": None, "in a loop": Target(1 << 12, small=0)}


def texts_of(f, args, target=None):
    """The modules that the CUDA generator writes for ``f``, each once."""
    device = Collector()
    with programs.use("cuda", target, device):
        compile(f).explain(*args)
    return device.texts


def check(f, args, target, arch):
    for text in texts_of(f, args, TARGETS[target]):
        found = nvrtc.compile_cubin(text, arch).resources
        assert set(found) == set(kernels_in(text))
        for kernel, used in found.items():
            assert 0 < used.registers <= 255, kernel


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_the_kernels_of_the_corpus_compile(name, dtype, target, arch):
    case = CASES[name]
    check(xg.value_and_grad(case.f) if case.scalar else case.f, case.args(33, dtype), target, arch)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("features", [32, 784])
@pytest.mark.parametrize("f", [logistic, softmax])
def test_kernels_for_many_features_compile(f, features, dtype, arch):
    check(xg.value_and_grad(f), (*arguments(f, features, 1000, dtype), 0.1), "in a loop", arch)


@pytest.mark.parametrize("arch", [a for a in ARCHITECTURES if a != "sm_70"])
@pytest.mark.parametrize("classes", [0, 10])
def test_sums_that_warps_own_are_in_registers(classes, arch):
    def loss(W, X):
        Z = W.T @ X
        return np.sum(np.logaddexp(0, Z)) if Z.ndim == 1 else np.sum(xg.special.logsumexp(Z, axis=0))

    args = np.zeros((784, classes) if classes else 784, "f4"), np.zeros((784, 2000), "f4")
    (text,) = [t for t in texts_of(xg.value_and_grad(loss), args, TARGETS["in a loop"]) if "region(" in t]
    assert "warp_totals" in text.partition("region(")[2]
    used = nvrtc.compile_cubin(text, arch).resources["region"]
    assert (used.stack, used.spill_stores) == (0, 0)


def kernels_in(text):
    return re.findall(r'"C" __global__ void __launch_bounds__\([^)]*\) (\w+)\(', text)


def test_float32_kernels_have_no_float64_arithmetic_but_sums_of_blocks():
    f = xg.value_and_grad(CASES["notes_loss_columns"].f)
    (text, *_) = texts_of(f, CASES["notes_loss_columns"].args(33, np.float32))
    start = text.index('extern "C" __global__')
    lines = [line.strip() for line in text[start:].splitlines() if "double" in line]
    allowed = ("__global__", "xg_sums", "static_cast<float>", "combine", "total", "double a =")
    assert [line for line in lines if not any(word in line for word in allowed)] == []
