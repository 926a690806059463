"""The CUDA kernels of the workloads, compiled without a GPU: registers, spills, shared memory.

    python -m bench.kernels --out bench/results/kernels.json

For each workload of the peers and each architecture the kernels of value and gradient, as they are by default
and with every variant switched on: their resources, as ptxas reports them. Sizes are small; a kernel's text
does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection
from contextlib import nullcontext
from typing import Any

import numpy as np

import xpgrad as xg
from bench.peers import problems
from bench.peers.problems import Problem, one_hot
from xpgrad.backends import choose
from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.backends.gpu.limits import SWITCHES, Limits
from xpgrad.devices import namespace

ARCHITECTURES = ("sm_70", "sm_80", "sm_90")
FORMS = {"plain": Limits(), "variants": Limits(**dict.fromkeys(SWITCHES, True))}


class Texts:
    """A device that compiles and runs nothing, and keeps what it is given."""

    xp = namespace("cpu")
    working = nullcontext
    l2 = 40 << 20

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.found: dict[str, None] = {}

    def is_here(self, x: Any) -> bool:
        return isinstance(x, np.ndarray)

    def compile(self, text: str) -> tuple[None, bool]:
        self.found[text] = None
        return None, False

    def launch(self, *_: Any) -> None:
        raise AssertionError("nothing runs here")


def workloads() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """For each workload the loss and its arguments."""

    def of(loss: Any, problem: Problem, *data: Any) -> tuple[Any, tuple[Any, ...]]:
        return loss, (problem.params, *(data or problem.data))

    logistic = problems.logistic_loss(np)
    softmax, mlp = problems.softmax(4096, 784), problems.mlp(1024, (784, 512, 256, 10))
    options = problems.black_scholes(20_000)
    rosenbrock = problems.rosenbrock()
    return {
        "logistic 32": of(logistic, problems.logistic(32, 20_000)),
        "logistic 784": of(logistic, problems.logistic(784, 4096)),
        "softmax": of(
            problems.softmax_loss(np, xg.special.logsumexp), softmax, softmax.data[0], one_hot(softmax.data[1])
        ),
        "mlp": of(problems.mlp_loss(np, xg.special.logsumexp), mlp, mlp.data[0], one_hot(mlp.data[1])),
        "black_scholes": of(problems.black_scholes_loss(np, xg.special.ndtr), options),
        "rosenbrock": (problems.rosenbrock_loss, (rosenbrock.params,)),
    }


def record(names: Collection[str] = ()) -> dict[str, Any]:
    """The kernels and their resources, for each workload or those of ``names``, each form and architecture."""
    rows: dict[str, Any] = {}
    for name, (loss, args) in workloads().items():
        if names and name not in names:
            continue
        rows[name] = {}
        for form, limits in FORMS.items():
            device = Texts(limits)
            with choose.use("cuda", None, device):
                xg.compile(xg.value_and_grad(loss)).explain(*args)
            rows[name][form] = {
                arch: [
                    {"kernel": kernel, **used._asdict()}
                    for text in device.found
                    for kernel, used in sorted(nvrtc.compile_cubin(text, arch).resources.items())
                ]
                for arch in ARCHITECTURES
            }
    return {"NVRTC": ".".join(map(str, nvrtc.version())), "options": nvrtc.OPTIONS, "kernels": rows}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", metavar="FILE", help="write the JSON there; else it is printed")
    args = parser.parse_args(argv)
    if reason := nvrtc.available():
        print(f"bench.kernels: {reason}", file=sys.stderr)
        return 1
    text = json.dumps(record(), indent=1) + "\n"
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
