"""Every kernel of the corpus is compiled to machine code for three generations of cards, without one.

Registers and spills of the workloads' kernels: ``bench/results/kernels.json``, by ``python -m bench.kernels``.
"""

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import Collector
from cases.programs import CASES
from xpgrad.backends import programs
from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.compiler import compile

if reason := nvrtc.available():
    pytest.skip(reason, allow_module_level=True)

ARCHITECTURES = ("sm_70", "sm_80", "sm_90")


def texts_of(f, args):
    """The modules that the CUDA generator writes for ``f``, each once."""
    device = Collector()
    with programs.use("cuda", None, device):
        compile(f).explain(*args)
    return device.texts


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_the_kernels_of_the_corpus_compile(name, dtype, arch):
    case = CASES[name]
    args = case.args(33, dtype)
    f = xg.value_and_grad(case.f) if case.scalar else case.f
    for text in texts_of(f, args):
        found = nvrtc.compile_cubin(text, arch).resources
        assert set(found) == set(kernels_in(text))
        for kernel, used in found.items():
            assert 0 < used.registers <= 255, kernel


def kernels_in(text):
    return [line.split("(256) ")[1].split("(")[0] for line in text.splitlines() if '"C" __global__' in line]


def test_float32_kernels_have_no_float64_arithmetic_but_sums_of_blocks():
    f = xg.value_and_grad(CASES["notes_loss_columns"].f)
    (text, *_) = texts_of(f, CASES["notes_loss_columns"].args(33, np.float32))
    start = text.index('extern "C" __global__')
    lines = [line.strip() for line in text[start:].splitlines() if "double" in line]
    allowed = ("__global__", "xg_sums", "static_cast<float>", "combine", "total", "double a =")
    assert [line for line in lines if not any(word in line for word in allowed)] == []
