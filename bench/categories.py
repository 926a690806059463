"""Categories as codes, value and gradient: ``python -m bench.categories [--json OUT]``.

    columns    a logistic regression on seven columns of codes and twelve of numbers, 262,144 rows
    embedding  a logistic regression on a table of 1,000,000 rows of 16, read at 262,144 codes

Each contender has a process of its own, which is stopped while another computes (`bench.peers.processes`). In
each round every contender in turn makes one call that is not counted, and is then timed; a figure is the median
over the rounds. A ratio is a contender's median over that of ``xpgrad.compile``: above 1, compiled is faster.
Values and the norms of gradients are held against NumPy by hand. The bytes of compiled results are compared for
1, 2 and 7 threads.
"""

import argparse
import json
import math
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.peers.processes import Answering, Missing, serve
from bench.peers.report import conditions
from xpgrad.testing.tolerances import tolerance

LEVELS = (12, 31, 7, 24, 16, 105, 3)
"""Levels of the columns of codes: as many as the flights of `xpgrad race` have of months, days and so on."""

NUMBERS, ROWS = 12, 262_144
EMBEDDED, WIDTH = 1_000_000, 16
THREADS = (1, 2, 7)
ROUND_S = 0.02  # calls shorter than this are timed several at a time
OURS, HAND = "xpgrad.compile", "numpy"


# ── the problems ─────────────────────────────────────────────────────────────────────────────
def columns(rows: int) -> tuple[Any, Any]:
    """Weights, offset and a table for each column of codes; the numbers, the labels and the codes."""
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, k, rows).astype(np.int32) for k in LEVELS]
    X = rng.standard_normal((rows, NUMBERS)).astype(np.float32)
    y = (rng.random(rows) < 0.3).astype(np.float32)
    tables = [0.1 * rng.standard_normal(k).astype(np.float32) for k in LEVELS]
    w = 0.1 * rng.standard_normal(NUMBERS).astype(np.float32)
    return (w, np.zeros(1, np.float32), *tables), (X, y, *codes)


def embedding(rows: int) -> tuple[Any, Any]:
    """The table and the weights of its columns; the labels and the codes."""
    rng = np.random.default_rng(0)
    n = EMBEDDED * rows // ROWS or 1
    table = rng.standard_normal((n, WIDTH)).astype(np.float32)
    v = rng.standard_normal(WIDTH).astype(np.float32) / 4
    y = (rng.random(rows) < 0.3).astype(np.float32)
    return (table, v), (y, rng.integers(0, n, rows).astype(np.int32))


def losses(np: Any) -> dict[str, Any]:
    """The losses as NumPy code, in the namespace ``np``."""

    def of_columns(params: Any, X: Any, y: Any, *codes: Any) -> Any:
        w, b, *tables = params
        z = X @ w + b
        for table, code in zip(tables, codes, strict=True):
            z = z + table[code]
        return np.mean(np.logaddexp(0.0, z) - y * z)

    def of_embedding(params: Any, y: Any, codes: Any) -> Any:
        table, v = params
        z = table[codes] @ v
        return np.mean(np.logaddexp(0.0, z) - y * z)

    return {"columns": of_columns, "embedding": of_embedding}


PROBLEMS = {"columns": columns, "embedding": embedding}


# ── the contenders ───────────────────────────────────────────────────────────────────────────
def by_numpy(problem: str, params: Any, data: Any) -> Any:
    """Gradients derived on paper; sums by code are `bincount`'s, column by column."""

    def finished(z: Any, y: Any) -> Any:
        t = np.exp(-np.abs(z))
        value = np.mean(np.maximum(z, 0) + np.log1p(t) - y * z)
        dz = np.where(z >= 0, 1 / (1 + t), t / (1 + t))
        dz -= y
        dz /= np.float32(len(y))
        return value, dz

    def of_columns() -> Any:
        w, b, *tables = params
        X, y, *codes = data
        z = X @ w
        z += b
        for table, code in zip(tables, codes, strict=True):
            z += table[code]
        value, dz = finished(z, y)
        found = [np.bincount(c, dz, len(t)).astype(np.float32) for t, c in zip(tables, codes, strict=True)]
        return value, (dz @ X, dz.sum(keepdims=True), *found)

    def of_embedding() -> Any:
        table, v = params
        y, codes = data
        read = table[codes]
        value, dz = finished(read @ v, y)
        added = np.bincount(codes, dz, len(table)).astype(np.float32)
        return value, (np.multiply.outer(added, v), dz @ read)

    return {"columns": of_columns, "embedding": of_embedding}[problem]


def by_xpgrad(problem: str, params: Any, data: Any, compiled: bool = True, threads: int | None = None) -> Any:
    import xpgrad as xg

    f = xg.value_and_grad(losses(np)[problem])
    g = xg.compile(f, threads=threads) if compiled else f
    return lambda: g(params, *data)


def by_jax(problem: str, params: Any, data: Any) -> Any:
    import jax
    import jax.numpy as jnp

    params, data = jax.block_until_ready(jax.tree.map(jnp.array, (params, data)))
    f = jax.jit(jax.value_and_grad(losses(jnp)[problem]))
    return lambda: jax.block_until_ready(f(params, *data))


def by_torch(problem: str, params: Any, data: Any) -> Any:
    import torch

    class Names:
        mean = torch.mean

        @staticmethod
        def logaddexp(_zero: float, z: Any) -> Any:
            return torch.nn.functional.softplus(z)

    leaves = tuple(torch.tensor(p, requires_grad=True) for p in params)
    given = tuple(torch.tensor(x).long() if x.dtype.kind == "i" else torch.tensor(x) for x in data)
    f = torch.compile(losses(Names)[problem], dynamic=False)

    def step() -> Any:
        value = f(leaves, *given)
        return value.detach(), torch.autograd.grad(value, leaves)

    return step


CONTENDERS = {
    HAND: by_numpy,
    "xpgrad": lambda problem, params, data: by_xpgrad(problem, params, data, compiled=False),
    OURS: by_xpgrad,
    "jax.jit": by_jax,
    "torch.compile": by_torch,
}


class Worker:
    """Prepares a problem for one contender, then times it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, problem: str, rows: int) -> dict[str, Any]:
        """Seconds of a call, the value, and the norms of the gradients; the first call is not counted."""
        params, data = PROBLEMS[problem](rows)
        try:
            self.step = CONTENDERS[self.name](problem, params, data)
            value, gradient = self.step()
        except ModuleNotFoundError as error:
            raise Missing(f"{error.name} is not installed") from error
        norms = [float(np.linalg.norm(np.asarray(g, np.float64))) for g in gradient]
        return {"warm_s": self._seconds(1), "value": float(value), "norms": norms}

    def _seconds(self, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            self.step()
        return (time.perf_counter() - start) / calls

    def time(self, calls: int) -> dict[str, float]:
        """Seconds of a call, after one that is not counted."""
        self.step()
        return {"seconds": self._seconds(calls)}

    def same_bits(self, problem: str, rows: int) -> dict[str, Any]:
        """The numbers of threads of which compiled results have the same bytes, all or not."""
        params, data = PROBLEMS[problem](rows)
        found = set()
        for threads in THREADS:
            value, gradient = by_xpgrad(problem, params, data, threads=threads)()
            found.add(b"".join(np.asarray(g).tobytes() for g in (value, *gradient)))
        return {"threads": THREADS, "same_bits": len(found) == 1}


# ── the run ──────────────────────────────────────────────────────────────────────────────────
def measured(problem: str, rows: int, workers: dict[str, Answering], rounds: int) -> dict[str, Any]:
    """The medians of one problem, in ms by contender, and the ratios to ours."""
    found: dict[str, Any] = {"problem": problem, "rows": rows, "missing": {}}
    calls: dict[str, int] = {}
    expected: dict[str, Any] = {}
    for name, worker in workers.items():
        answer = worker.ask("prepare", problem=problem, rows=rows)
        if "missing" in answer:
            found["missing"][name] = answer["missing"]
            continue
        expected = expected or answer
        _check(f"{name}, {problem}", answer, expected)
        calls[name] = max(1, math.ceil(ROUND_S / answer["warm_s"]))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(rounds):
        for name in list(calls) if k % 2 else list(calls)[::-1]:
            times[name].append(workers[name].ask("time", calls=calls[name])["seconds"])
    found["ms"] = {name: round(1e3 * median(ts), 3) for name, ts in times.items()}
    found["least_ms"] = {name: round(1e3 * min(ts), 3) for name, ts in times.items()}
    found["ratio"] = {name: round(ms / found["ms"][OURS], 2) for name, ms in found["ms"].items()}
    return found | workers[OURS].ask("same_bits", problem=problem, rows=rows)


def _check(where: str, answer: dict[str, Any], expected: dict[str, Any]) -> None:
    """End if a contender computes something else."""
    bound = tolerance(np.float32).value
    pairs = [(answer["value"], expected["value"]), *zip(answer["norms"], expected["norms"], strict=True)]
    for got, wanted in pairs:
        if not abs(got - wanted) <= bound * max(1, abs(wanted)):
            sys.exit(f"{where}: {got} where NumPy by hand gives {wanted}")


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.categories",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--worker", metavar="CONTENDER", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        serve(Worker(args.worker))
        return
    report: dict[str, Any] = conditions(("numpy", "xpgrad", "llvmlite", "jax", "jaxlib", "torch"))
    report |= {"rounds": args.rounds, "problems": []}
    for problem in args.problems:  # new processes: none has another problem's memory
        with ExitStack() as stack:
            workers = {
                name: stack.enter_context(Answering("bench.categories", "--worker", name, name=name))
                for name in dict.fromkeys((HAND, OURS, *args.contenders))
            }
            found = measured(problem, args.rows, workers, args.rounds)
        report["problems"].append(found)
        ratios = "  ".join(f"{name} {ratio:.2f}" for name, ratio in found["ratio"].items() if name != OURS)
        print(f"{problem:10} {args.rows} rows  {found['ms'][OURS]:8.3f} ms   {ratios}", flush=True)
        print(f"{'':10} {'the same bits' if found['same_bits'] else 'OTHER BITS'} with {THREADS} threads")
        if args.json:
            args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
