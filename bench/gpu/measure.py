"""Run the contenders of one workload: agreement, then rounds.

In:  a workload's name, contenders, how long.
Out: JSON-able dicts, by contender.
Holds: one process computes at a time, but for the imports, which nobody times. A contender that is
missing, fails or takes too long is a row with the reason, and the others go on.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.gpu.contenders import REFERENCE
from bench.gpu.table import WORKLOADS
from bench.gpu.worker import put
from bench.peers.agreement import Disagreement, check, read
from bench.peers.measure import spread
from bench.peers.processes import Answering, Died

# No memory is taken before it is needed; nobody multiplies float32 in TF32, as cupy.matmul does not; and a
# library that sees no GPU says so. In a dry run JAX is asked for the CPU.
ENVIRONMENT = {
    "gpu": {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_PLATFORMS": "cuda",
        "CUPY_TF32": "0",
        "NVIDIA_TF32_OVERRIDE": "0",
    },
    "cpu": {"JAX_PLATFORMS": "cpu"},
}
CACHES_FULL = 4  # data smaller than this many L2 caches would partly stay there
AT_MOST_S = 150.0  # for one contender's compilation, of all of its variants
NO_CACHE_BYTES = 1 << 20  # data smaller than this an optimiser has just written: it lies in the cache anyway

Say = Callable[[str], None]


class Settings(NamedTuple):
    """``round_s``: how long a contender is timed in each round, in each of three ways."""

    size: str
    device: str
    rounds: int
    round_s: float
    explain: bool = False


class Budget:
    """Time that the whole run may take."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self.end - time.monotonic())


def workload(
    name: str, contenders: Sequence[str], card: dict[str, Any], settings: Settings, budget: Budget, say: Say
) -> dict[str, Any]:
    """Each contender's times by round, with what it differs by; or why there are none."""
    w = WORKLOADS[name]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        say(f"{name}: data")
        problem = w.make(settings.size)
        floor = w.floor(settings.size, problem)
        put(problem, folder)
        del problem
        processes = {
            who: stack.enter_context(_process(name, who, settings, folder)) for who in (*contenders, REFERENCE)
        }
        say(f"{name}: imports")
        with ThreadPoolExecutor(len(processes)) as pool:
            rows = dict(
                zip(processes, pool.map(lambda p: _ask(p, "start", budget), processes.values()), strict=True)
            )
        expected = _expected(processes, rows, folder, budget)
        flush = flush_bytes(floor["bytes"], card)
        for who in contenders:
            if not _stopped(rows[who]):
                say(f"{name}: {who}")
                rows[who] |= _ready(
                    processes[who], f"{who} on {name}", folder, expected, w.dtype, budget, settings
                )
        _rounds(
            {who: processes[who] for who in contenders},
            rows,
            flush,
            settings,
            budget,
            lambda k: say(f"{name}: {k}"),
        )
    return {"floor": floor, "flush_bytes": flush, "contenders": rows}


def flush_bytes(nbytes: int, card: dict[str, Any]) -> int:
    """What to write before each timed call that drives the data out of the cache; 0 where none is needed."""
    cached = NO_CACHE_BYTES <= nbytes < CACHES_FULL * card["l2_bytes"]
    return int(card["flush_bytes"]) if cached else 0


def _process(name: str, who: str, settings: Settings, folder: Path) -> Answering:
    return Answering(
        "bench.gpu.worker",
        name,
        who,
        settings.size,
        settings.device,
        str(folder),
        name=f"{who} on {name}",
        environment=ENVIRONMENT[settings.device],
    )


def _ask(process: Answering, do: str, budget: Budget, **arguments: Any) -> dict[str, Any]:
    """Its answer, or ``{"failed": why}``."""
    try:
        answer: dict[str, Any] = process.ask(do, within_s=_within(budget), **arguments)
    except Died as died:
        return {"failed": str(died)}
    return answer


def _within(budget: Budget) -> float:
    return min(AT_MOST_S, budget.left() + 1)


def _stopped(row: dict[str, Any]) -> bool:
    return "missing" in row or "failed" in row


def _expected(
    processes: dict[str, Answering], rows: dict[str, dict[str, Any]], folder: Path, budget: Budget
) -> list[Any] | str:
    """Value and gradient by hand in float64, or why there are none. Its process ends: it holds much memory."""
    answer = rows.pop(REFERENCE)
    process = processes.pop(REFERENCE)
    for do, arguments in (("first_call", {}), ("save", {"path": str(folder / "expected.npz")})):
        if not _stopped(answer):
            answer = _ask(process, do, budget, **arguments)
    process.kill()
    return answer.get("failed") or answer.get("missing") or read(folder / "expected.npz")


def _ready(
    process: Answering,
    who: str,
    folder: Path,
    expected: list[Any] | str,
    dtype: str,
    budget: Budget,
    settings: Settings,
) -> dict[str, Any]:
    """Have it compile and be held against float64."""
    row = _ask(process, "first_call", budget, seconds=_within(budget))
    if _stopped(row):
        return row
    if settings.explain:
        row |= _ask(process, "explain", budget)
    saved = _ask(process, "save", budget, path=str(folder / "got.npz"))
    if _stopped(saved):
        return row | saved
    return row | agreement(who, read(folder / "got.npz"), saved["dtypes"], expected, dtype)


def agreement(
    who: str, found: list[Any], dtypes: list[str], expected: list[Any] | str, dtype: str
) -> dict[str, Any]:
    """Whether value and gradient are those of float64, by how much they differ, or why that is not known."""
    if isinstance(expected, str):
        return {"agrees": False, "disagreement": f"there is nothing to hold it against: {expected}"}
    try:
        return {"agrees": True, "differences": check(who, found, dtypes, expected, dtype)}
    except Disagreement as error:
        return {"agrees": False, "disagreement": str(error)}


def _rounds(
    processes: dict[str, Answering],
    rows: dict[str, dict[str, Any]],
    flush: int,
    settings: Settings,
    budget: Budget,
    say: Say,
) -> None:
    """Time all in turn, and write medians and spreads into the rows; one round, however late it is."""
    times: dict[str, list[dict[str, Any]]] = {who: [] for who in processes if not _stopped(rows[who])}
    for k in range(settings.rounds):
        if k and not budget.left():
            break
        say(f"round {k + 1} of {settings.rounds}")
        for who in list(times):
            answer = _ask(processes[who], "time", budget, seconds=settings.round_s, flush_bytes=flush)
            if _stopped(answer):
                rows[who] |= answer
                del times[who]
            else:
                times[who].append(answer)
    for who, by_round in times.items():
        rows[who] |= summary(by_round)


def summary(by_round: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and spreads over rounds of what a worker answered; seconds become milliseconds.

    ``median_ms`` and its like are by the clock of the wall. ``device`` is by events, ``queued`` for a
    step among many that nobody waited for.
    """
    wall = [1e3 * median(r["wall_s"]) for r in by_round]
    found: dict[str, Any] = {"rounds_ms": wall, "calls": sum(len(r["wall_s"]) for r in by_round)} | spread(wall)
    if all(r["device_s"] for r in by_round):
        found["device"] = spread([1e3 * median(r["device_s"]) for r in by_round])
    if all(r["queued_s"] for r in by_round):
        found["queued"] = spread([1e3 * r["queued_s"] for r in by_round])
    return found
