"""What `xpgrad bench` measures, one function for each section of its page.

In:  a `Bench`: the processes of the contenders, the sizes, how often to repeat.
Out: records that JSON can hold.
Holds: one process computes at a time; a contender that is not there is named with the reason, once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from xpgrad.cli.bench.cells import HAND, OURS, Measured, measured
from xpgrad.cli.bench.floors import least_seconds, operations
from xpgrad.cli.bench.processes import Answering, Died
from xpgrad.cli.bench.solvers import SOLVERS
from xpgrad.cli.bench.steps import JOBS, THREADS, Cell
from xpgrad.cli.info import usable_cores

MODULE = "xpgrad.cli.bench.worker"
GPU = ("xpgrad, GPU", "xpgrad.compile, GPU")
PEERS = ("jax.jit", "torch", "torch.compile")
CONTROL = Cell("logistic", "columns", "float32", 32, 100_000)
LOOP_SAMPLES = 2000  # all of them take a plain loop seconds
LIMIT_S = 240.0  # for one answer: nothing that is measured takes as long


@dataclass(frozen=True)
class Sizes:
    """How large the problems are.

    Attributes
    ----------
    samples, fewer : int
        Of the steps that are compared one by one, and of those whose first call is looked at.
    scaling : sequence of int
        Samples, at ``features`` features.
    grid : (sequence of int, sequence of int)
        Features and samples of the heat map.
    fits : (int, int)
        Samples and features of the model that is fitted.
    rounds : int
        Of each comparison.
    """

    samples: int
    fewer: int
    scaling: Sequence[int]
    grid: tuple[Sequence[int], Sequence[int]]
    fits: tuple[int, int]
    rounds: int
    features: int = 32


SIZES = {
    "tiny": Sizes(500, 100, (100, 500), ((2, 3), (10, 50)), (200, 3), 1, features=3),
    "quick": Sizes(
        500_000, 20_000, (1_000, 10_000, 100_000, 1_000_000), ((1, 32, 784), (100, 10_000)), (20_000, 16), 5
    ),
    "full": Sizes(
        2_000_000,
        100_000,
        (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
        ((1, 8, 32, 185, 784, 2000), (10, 100, 1_000, 10_000, 100_000)),
        (100_000, 32),
        9,
    ),
}


@dataclass
class Bench:
    """The processes of the contenders: each starts when it is first needed.

    Attributes
    ----------
    absent : dict of str to str
        Contenders that cannot be here, and why.
    control : list of float
        Times of a fixed step by NumPy in us, one after each section: where they differ, the machine was busy.
    """

    sizes: Sizes
    with_peers: bool = True
    say: Callable[[str], None] = lambda what: None
    absent: dict[str, str] = field(default_factory=dict)
    control: list[float] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _workers: dict[str, Answering] = field(default_factory=dict)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def process(self, name: str, environment: dict[str, str] | None = None) -> Answering:
        """A new process of a contender."""
        return Answering(MODULE, name, name=name, environment=environment)

    def measure(self, cell: Cell, names: Sequence[str], *, memory: bool = False) -> Measured:
        """One cell, by those of the contenders who are here; NumPy by hand comes first."""
        self.say(f"{cell.job} {cell.features} x {cell.samples:,} {cell.dtype}")
        found: Measured | None = None
        while found is None:
            workers = {name: self._worker(name) for name in names if name not in self.absent}
            try:
                found = measured(cell, workers, self.sizes.rounds, memory=memory)
            except Died as died:
                self._drop(workers, died)
        for name, why in found["missing"].items():
            self._leave_out(name, why)
        return found

    def _worker(self, name: str) -> Answering:
        if name not in self._workers:
            self._workers[name] = self._stack.enter_context(self.process(name))
        return self._workers[name]

    def _drop(self, workers: dict[str, Answering], died: Died) -> None:
        """Leave out the peer whose process ended; ours, or NumPy's, is an error."""
        name = next(name for name, worker in workers.items() if worker.process.poll() is not None)
        if name not in PEERS:
            raise died
        self._leave_out(name, str(died).strip().splitlines()[-1])

    def _leave_out(self, name: str, why: str) -> None:
        self.absent[name] = why
        self._workers.pop(name).kill()

    def check_pace(self) -> None:
        """Time the control."""
        found = measured(CONTROL, {HAND: self._worker(HAND)}, 3)
        self.control.append(found["us"][HAND])

    @property
    def peers(self) -> tuple[str, ...]:
        return PEERS if self.with_peers else ()


def ladder(bench: Bench) -> dict[str, Any]:
    """The notes' step, from the loop over the samples to the GPU, with peaks of memory."""
    sizes = bench.sizes
    cell = Cell("logistic", "columns", "float32", sizes.features, sizes.samples)
    slow = cell._replace(samples=min(LOOP_SAMPLES, cell.samples))
    loop = bench.measure(slow, (HAND, "loop"))["us"]["loop"]
    threads = [f"{OURS}{THREADS}{n}" for n in _powers(usable_cores())]
    found = bench.measure(cell, (HAND, "xpgrad", OURS, *GPU, *threads), memory=True)
    found["us"] = {"loop": loop * cell.samples / slow.samples} | found["us"]
    return found | {"loop_samples": slow.samples}


def _powers(most: int) -> list[int]:
    """1, 2, 4 … and ``most``."""
    found = [1]
    while found[-1] < most:
        found.append(min(2 * found[-1], most))
    return found


def peers(bench: Bench) -> list[Measured]:
    """Each job beside the other libraries, large enough to come from memory."""
    sizes = bench.sizes
    cells = [Cell(job, "columns", "float32", sizes.features, sizes.samples) for job in JOBS]
    return [bench.measure(cell, (HAND, "xpgrad", OURS, *bench.peers, *GPU)) for cell in cells]


def grid(bench: Bench) -> list[Measured]:
    """Compiled against NumPy by hand over features and samples."""
    features, samples = bench.sizes.grid
    return [
        bench.measure(Cell(job, "columns", "float32", n, m), (HAND, OURS))
        for job in JOBS
        for n in features
        for m in samples
    ]


def scaling(bench: Bench) -> list[Measured]:
    """How time grows with the samples, by contender; where the GPU takes over from the CPU."""
    names = (HAND, "xpgrad", OURS, *(name for name in bench.peers if name != "torch.compile"), *GPU)
    cells = [Cell("logistic", "columns", "float32", bench.sizes.features, m) for m in bench.sizes.scaling]
    return [bench.measure(cell, names) for cell in cells]


def roofline(bench: Bench, cells: Sequence[Measured]) -> dict[str, Any]:
    """The machine's rates, and what of them the steps of ``cells`` reach."""
    bench.say("rates of memory and of products of matrices")
    rates = bench._worker(HAND).ask("floors", within_s=LIMIT_S)
    rows = []
    for found in cells:
        cell = Cell(*(found[name] for name in Cell._fields))
        least = least_seconds(cell, rates)
        shares = {name: 1e6 * least / found["us"][name] for name in (HAND, OURS) if name in found["us"]}
        rows.append(
            {**cell._asdict(), "bytes": cell.bytes, "operations": operations(cell), "least_s": least}
            | {"share": shares}
        )
    return {"rates": rates, "rows": rows}


def first_calls(bench: Bench) -> list[dict[str, Any]]:
    """What comes before the first result: with nothing cached, with kernels cached on disk, and a step "
    "after that."""
    found = []
    for job in JOBS:
        cell = Cell(job, "columns", "float32", bench.sizes.features, bench.sizes.fewer)
        bench.say(f"first calls of {job}")
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = (_first_call(bench, cell, {"XPGRAD_CACHE_DIR": cache}) for _ in range(2))
        row = {**cell._asdict(), "cold_s": cold["first_s"], "warm_s": warm["first_s"], "step_s": warm["warm_s"]}
        found.append(row)
    return found


def _first_call(bench: Bench, cell: Cell, environment: dict[str, str]) -> dict[str, Any]:
    with bench.process(OURS, environment) as process:
        process.ask(
            "prepare", cell=list(cell._replace(features=1, samples=2))
        )  # imports take part in no figure
        answer: dict[str, Any] = process.ask("prepare", cell=list(cell))
    return answer


def fits(bench: Bench) -> list[dict[str, Any]]:
    """One model by several solvers: seconds, and the gap to the best objective that any of them reaches."""
    samples, features = bench.sizes.fits
    rows = []
    for solver in SOLVERS:
        if not bench.with_peers and not solver.startswith("xpgrad"):
            continue
        bench.say(f"fit by {solver}")
        with bench.process(HAND) as process:
            answer = process.ask("solve", solver=solver, samples=samples, features=features, within_s=LIMIT_S)
        rows.append({"solver": solver, "samples": samples, "features": features} | answer)
    best = min(row["objective"] for row in rows if "objective" in row)
    for row in rows:
        if "objective" in row:
            row["gap"] = (row["objective"] - best) / abs(best)
    return rows
