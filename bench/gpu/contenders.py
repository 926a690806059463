"""Who takes part on a GPU, and how each is told to.

A contender has variants: ways to write the same step, of which the fastest on this card is timed. Those
whose names start with ``cpu:`` run on the CPU, in the same run, for the speed-up.
"""

from typing import Any, NamedTuple

from bench.peers.contender import Contender, load
from bench.peers.problems import Problem


class Row(NamedTuple):
    """``variants``: what the functions of ``module`` are told, by a name to read.

    ``clock`` is the name in `bench.gpu.clocks`; of ``distributions`` the versions count.
    """

    module: str
    clock: str
    variants: dict[str, dict[str, Any]]
    distributions: tuple[str, ...]


_CUPY = ("cupy-cuda12x", "cupy-cuda13x", "scipy", "nvidia-cublas", "nvidia-cublas-cu12")
_TORCH = ("torch", "triton")
_JAX = ("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin")
_COMPILED = {"compiled": True}
_EAGER = {"compiled": False}

CONTENDERS = {
    "torch.compile": Row(
        "bench.peers.by_torch",
        "torch",
        {
            "value and gradient compiled together": {"compiled": True, "fused": True},
            "loss compiled, then autograd": {"compiled": True, "fused": False},
            # Last: the memory of its graphs would count for those that come after.
            "together, replayed as a CUDA graph": {"compiled": True, "fused": True, "mode": "reduce-overhead"},
        },
        _TORCH,
    ),
    "jax.jit": Row("bench.peers.by_jax", "jax", {"jit": _COMPILED}, _JAX),
    "cupy": Row(
        "bench.gpu.by_cupy",
        "cupy",
        {"NumPy's lines": {"fused": False}, "elementwise steps fused": {"fused": True}},
        _CUPY,
    ),
    "torch": Row("bench.peers.by_torch", "torch", {"eager": _EAGER}, _TORCH),
    "xpgrad": Row("bench.peers.by_xpgrad", "cupy", {"eager": _EAGER}, ("xpgrad", *_CUPY)),
    "xpgrad.compile": Row("bench.peers.by_xpgrad", "cupy", {"compile": _COMPILED}, ("xpgrad", *_CUPY)),
    "cpu:numpy": Row("bench.peers.by_numpy", "host", {"by hand": {}}, ("numpy", "scipy")),
    "cpu:xpgrad": Row("bench.peers.by_xpgrad", "host", {"eager": _EAGER}, ("xpgrad",)),
    "cpu:xpgrad.compile": Row("bench.peers.by_xpgrad", "host", {"compile": _COMPILED}, ("xpgrad", "llvmlite")),
}
PEERS = ("torch.compile", "jax.jit", "cupy")
OURS = ("xpgrad.compile", "xpgrad")
OURS_ON_CPU = ("cpu:xpgrad.compile", "cpu:xpgrad")
CPU = ("cpu:numpy", "cpu:xpgrad.compile")

REFERENCE = "float64"  # NumPy by hand in float64, on the CPU


def make(name: str, variant: str, job: str, problem: Problem, where: dict[str, Any]) -> Contender:
    """A variant of a contender for ``job``, its data in place; ``where`` says on which device."""
    row = CONTENDERS[name]
    return load(row.module, job, problem, row.variants[variant] | where)
