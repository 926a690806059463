"""The workloads on a GPU: sizes, who runs them, and what xpgrad is meant to reach (DESIGN, section 11).

Those of `bench.peers.table`, and logistic regression at ten times as many samples. ``quick`` sizes take
seconds altogether; they show that everything runs, not how fast.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

from bench.gpu.contenders import CPU, PEERS
from bench.peers import table
from bench.peers.problems import CLASSES, Problem

# In the order of a round.
COMPILED = (*CPU, "xpgrad.compile", *PEERS, "xpgrad")
EAGER = ("cpu:xpgrad", "xpgrad", "torch")


@dataclass(frozen=True)
class Workload(table.Workload):
    """One row: ``problem(**full)`` is what is timed.

    Attributes
    ----------
    of_copy : float, optional
        The part of the copy bandwidth that ``ours`` is to reach, counting the first array of the data once.
    """

    quick: dict[str, Any] = field(default_factory=dict)
    of_copy: float | None = None

    @property
    def peers(self) -> tuple[str, ...]:
        """Those whose best ``ours`` is held against."""
        return tuple(name for name in self.contenders if name in PEERS or name == "torch")

    @property
    def on_cpu(self) -> str:
        """The row of ``ours`` on the CPU."""
        return f"cpu:{self.ours}"

    def floor(self, size: str, problem: Problem) -> dict[str, int]:
        """What any program must do: bytes read and written once each, and operations in matrix products."""
        in_and_out = sum(2 * p.nbytes for p in problem.params) + sum(d.nbytes for d in problem.data)
        first = problem.data[0].nbytes if problem.data else 0
        return {"bytes": in_and_out, "x_bytes": first, "flop": FLOP[self.job](**getattr(self, size))}


def _mlp_flop(m: int, widths: tuple[int, ...]) -> int:
    """Forward, and back to weights and to all inputs but X."""
    layers = [2 * m * a * b for a, b in pairwise(widths)]
    return 3 * sum(layers) - layers[0]


FLOP: dict[str, Callable[..., int]] = {
    "logistic": lambda n_x, m: 4 * n_x * m,
    "softmax": lambda m, n_x: 4 * n_x * m * CLASSES,
    "mlp": _mlp_flop,
    "black_scholes": lambda n: 0,
    "rosenbrock": lambda: 0,
}


def _on_gpu(name: str, **changes: Any) -> Workload:
    row = table.WORKLOADS[name]
    same = {f.name: getattr(row, f.name) for f in fields(row)}
    return Workload(**same | {"contenders": COMPILED, "target": 1.0, "extra_mb": None} | changes)


# In the order in which a budget of time is spent.
WORKLOADS = {
    "logistic-32-20m": _on_gpu(
        "logistic-32",
        title="logistic, X 32 x 20,000,000 float32, samples in columns",
        full={"n_x": 32, "m": 20_000_000},
        quick={"n_x": 32, "m": 200_000},
        target=1.3,
        of_copy=0.6,
    ),
    "softmax": _on_gpu("softmax", quick={"m": 6000, "n_x": 784}),
    "mlp": _on_gpu("mlp", quick={"m": 512, "widths": (784, 512, 256, 10)}),
    "black-scholes": _on_gpu("black-scholes", quick={"n": 100_000}),
    # By the notes' lines in float32 most of the difference is the rounding of `1 - A` for the few largest A:
    # 3e-5 for 6000 samples, beyond the tolerance, and 6e-6 for these.
    "logistic-784": _on_gpu("logistic-784", quick={"n_x": 784, "m": 16_000}),
    "logistic-32": _on_gpu("logistic-32", quick={"n_x": 32, "m": 20_000}),
    "rosenbrock": _on_gpu("rosenbrock"),
    "rosenbrock-eager": _on_gpu("rosenbrock-eager", contenders=EAGER),
}
