"""The workloads: sizes, who runs them, and what xpgrad is meant to reach (DESIGN, section 11).

The sizes and targets are those of the CPU rows there. ``tiny`` ones are for tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.peers import problems
from bench.peers.problems import Problem

ALL = ("numpy", "autograd", "torch", "torch.compile", "jax.jit", "sklearn", "xpgrad", "xpgrad.compile")
WITHOUT_SKLEARN = tuple(name for name in ALL if name != "sklearn")


@dataclass(frozen=True)
class Workload:
    """One row of the table: ``problem(**full)`` is what is timed.

    Attributes
    ----------
    job : str
        The function in each contender's module.
    target : float
        How many times as fast as the best peer ``ours`` is to be.
    dtype : str
        Of parameters and gradient.
    extra_mb : float, optional
        What ``ours`` may need in memory beyond its inputs, in 1e6 bytes.
    """

    title: str
    job: str
    problem: Callable[..., Problem]
    full: dict[str, Any]
    tiny: dict[str, Any]
    contenders: tuple[str, ...]
    target: float
    ours: str = "xpgrad.compile"
    dtype: str = "float32"
    extra_mb: float | None = None

    def make(self, size: str) -> Problem:
        return self.problem(**getattr(self, size))


WORKLOADS = {
    "logistic-32": Workload(
        "logistic, X 32 x 2,000,000 float32, samples in columns",
        "logistic",
        problems.logistic,
        {"n_x": 32, "m": 2_000_000},
        {"n_x": 32, "m": 500},
        ALL,
        target=1.8,
        extra_mb=8.0,
    ),
    "logistic-784": Workload(
        "logistic, X 784 x 60,000 float32, samples in columns",
        "logistic",
        problems.logistic,
        {"n_x": 784, "m": 60_000},
        {"n_x": 784, "m": 1000},  # with fewer, the rounding of the notes' ``1 - A`` does not average out
        ALL,
        target=1.2,
    ),
    "softmax": Workload(
        "softmax, X 60,000 x 784 float32, samples in rows, 10 classes",
        "softmax",
        problems.softmax,
        {"m": 60_000, "n_x": 784},
        {"m": 100, "n_x": 784},
        ALL,
        target=2.5,
    ),
    "mlp": Workload(
        "MLP 784-512-256-10, relu, 8,192 samples float32",
        "mlp",
        problems.mlp,
        {"m": 8192, "widths": (784, 512, 256, 10)},
        {"m": 32, "widths": (784, 64, 32, 10)},
        WITHOUT_SKLEARN,
        target=1.0,
    ),
    "black-scholes": Workload(
        "Black-Scholes, summed price, delta and vega of 4,000,000 options float32",
        "black_scholes",
        problems.black_scholes,
        {"n": 4_000_000},
        {"n": 1000},
        WITHOUT_SKLEARN,
        target=1.2,
    ),
    "rosenbrock": Workload(
        "Rosenbrock, n = 10, float64, compiled",
        "rosenbrock",
        problems.rosenbrock,
        {},
        {},
        WITHOUT_SKLEARN,
        target=1.3,
        dtype="float64",
    ),
    "rosenbrock-eager": Workload(
        "Rosenbrock, n = 10, float64, eager",
        "rosenbrock",
        problems.rosenbrock,
        {},
        {},
        ("autograd", "torch", "jax", "xpgrad"),
        target=1.2,
        ours="xpgrad",
        dtype="float64",
    ),
}

FIRST_CALL_S = {"cold": 2.0, "warm": 0.15}  # of xpgrad.compile, kernel not cached and cached on disk
