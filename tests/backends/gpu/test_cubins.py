"""Every kernel of the corpus is compiled to machine code for three generations of cards, without one.

Registers and spills of the workloads' kernels: ``bench/results/kernels.json``, by ``python -m bench.kernels``.
"""

import re

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import VARIANTS, Collector
from backends.gpu.test_texts import arguments, logistic, softmax
from cases.programs import CASES
from xpgrad.backends import choose
from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.backends.gpu.cuda.printing.source import prelude
from xpgrad.backends.gpu.limits import Limits
from xpgrad.compiler import compile
from xpgrad.plan import Target

if reason := nvrtc.available():
    pytest.skip(reason, allow_module_level=True)

# That of CUDA 13 compiles for nothing older than sm_75.
ARCHITECTURES = ("sm_70", "sm_80", "sm_90") if nvrtc.version()[0] == 12 else ("sm_80", "sm_90")


# This size is small for a loop over samples; with the second there is one.
TARGETS = {"in one block": None, "in a loop": Target(1 << 12, small=0)}


# A call of NVRTC for one kernel reads the prelude for most of its time; one for many programs does so once.
NAMES = list(CASES)
PARTS = [NAMES[k : k + 8] for k in range(0, len(NAMES), 8)]
_HEAD = r'("C" __global__ void __launch_bounds__\([^)]*\) )(\w+)(?=\()'


def texts_of(f, args, target=None, limits=None):
    """The modules that the CUDA generator writes for ``f``, each once."""
    device = Collector(limits)
    with choose.use("cuda", target, device):
        compile(f).explain(*args)
    return device.texts


def joined(texts):
    """One module of several: prelude and functions once, each text's kernels under other names."""
    begins = prelude()
    functions, bodies = {}, []
    for name, text in texts.items():
        assert text.startswith(begins)
        called, end, body = text.removeprefix(begins).rpartition("}  // namespace xg\n")
        functions |= dict.fromkeys(called.removesuffix(end).strip().split("\n\n")[1:])
        body = re.sub(_HEAD, rf"\1{name}_\2", body)
        bodies.append(f"namespace of_{name} {{\n{body}\n}}")
    return "\n".join([begins, "namespace xg {", *functions, "}", *bodies])


def check(drawn, arch):
    """Every kernel of the programs ``(name, f, args, target, limits)`` becomes machine code for ``arch``."""
    texts = {}
    for name, f, args, target, limits in drawn:
        for k, text in enumerate(texts_of(f, args, TARGETS[target], limits)):
            if text not in texts.values():
                texts[f"{name}_{target.replace(' ', '_')}_{k}"] = text
    found = nvrtc.compile_cubin(joined(texts), arch).resources
    assert set(found) == {f"{name}_{kernel}" for name, text in texts.items() for kernel in kernels_in(text)}
    for kernel, used in found.items():
        assert 0 < used.registers <= 255, kernel


@pytest.mark.slow
@pytest.mark.parametrize("part", range(len(PARTS)), ids=[f"{p[0]} to {p[-1]}" for p in PARTS])
def test_the_kernels_of_the_corpus_compile(part):
    """Each part for one of the cards: what differs between them is tried whole by the test below."""
    names, arch = PARTS[part], ARCHITECTURES[part % len(ARCHITECTURES)]
    drawn = []
    for k, name in enumerate(names):
        case = CASES[name]
        f = xg.value_and_grad(case.f) if case.scalar else case.f
        # One dtype with every variant, the other with none.
        drawn += [
            (f"{name}_{dtype}", f, case.args(33, np.dtype(dtype).type), target, Limits(**on))
            for dtype, on in zip(("float64", "float32"), ({}, VARIANTS)[:: 1 if k % 2 else -1], strict=True)
            for target in TARGETS
        ]
    check(drawn, arch)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kernels_for_many_features_compile(arch):
    drawn = [
        (
            f"{f.__name__}_{features}_{dtype}_{'variants' if on else 'plain'}",
            xg.value_and_grad(f),
            (*arguments(f, features, 1000, np.dtype(dtype).type), 0.1),
            "in a loop",
            Limits(**on),
        )
        for f in (logistic, softmax)
        for features in (32, 784)
        for dtype in ("float64", "float32")
        for on in ({}, VARIANTS)
    ]
    check(drawn, arch)


@pytest.mark.parametrize("arch", [a for a in ARCHITECTURES if a != "sm_70"])
@pytest.mark.parametrize("classes", [0, 10])
def test_sums_that_warps_hold_are_in_registers(classes, arch):
    def loss(W, X):
        Z = W.T @ X
        return np.sum(np.logaddexp(0, Z)) if Z.ndim == 1 else np.sum(xg.special.logsumexp(Z, axis=0))

    args = np.zeros((784, classes) if classes else 784, "f4"), np.zeros((784, 2000), "f4")
    found = texts_of(xg.value_and_grad(loss), args, TARGETS["in a loop"], Limits(matmul_by_warp=True))
    (text,) = [t for t in found if "region(" in t]
    assert "warp_totals" in text.partition("region(")[2]
    used = nvrtc.compile_cubin(text, arch).resources["region"]
    assert (used.stack, used.spill_stores) == (0, 0)


def kernels_in(text):
    return [name for _, name in re.findall(_HEAD, text)]


def test_float32_kernels_have_no_float64_arithmetic_but_long_sums():
    """Of a thread the loss and the gradient of the bias, and of blocks all sums."""
    f = xg.value_and_grad(CASES["notes_loss_columns"].f)
    (text, *_) = texts_of(f, CASES["notes_loss_columns"].args(33, np.float32))
    start = text.index('extern "C" __global__')
    lines = [line.strip() for line in text[start:].splitlines() if "double" in line]
    held = [line for line in lines if re.fullmatch(r"double \w+\[1\];", line)]
    added = [
        line for line in lines if re.fullmatch(r"(\w+\[0\]) = xg::Sum::combine\(\1, \(double\)\(\w+\)\);", line)
    ]
    assert len(held) == len(added) == 2
    allowed = ("__global__", "xg_sums", "static_cast<float>", "total", "double a =")
    assert [line for line in {*lines} - {*held, *added} if not any(word in line for word in allowed)] == []
