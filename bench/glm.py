"""Fits of generalised linear models to the same objective: ``python -m bench.glm [--json OUT]``.

The problems are in `bench.glm_problems`. Each contender has a process of its own, which is stopped while
another computes (`bench.peers.processes`), and its data in the form that suits it best before the clock starts:
categorical columns of a data frame for glum, codes for xpgrad, columns of zeros and ones for scikit-learn and
statsmodels. A contender is timed with the loosest of `TOLERANCES` whose objective, computed by NumPy in
float64, is within a relative 1e-8 of the best that any contender found. A figure is the median over the rounds
of a whole fit, with what it makes of the data; ``first_s`` is the first fit of a process, with the kernels that
the disk has; ``step_bytes`` is what one fit needs at most beyond the data. A ratio is a contender's median over
that of xpgrad. On a machine that has other work, ``--one-thread`` takes the CPU time of one thread instead.
"""

import argparse
import importlib
import json
import math
import os
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.glm_problems import PROBLEMS, Table
from bench.peers.processes import Answering, Missing, peak_of, serve
from bench.peers.report import conditions

OURS = "xpgrad"
GAP = 1e-8
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10)
_REFERENCE_TOL = 1e-9
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "XPGRAD_NUM_THREADS")


# ── the contenders: from a table to a fit, which takes a tolerance and returns intercept and coefficients ─────
def logistic(eta: Any, y: Any) -> Any:
    """The loss of a sample with a label of 0 or 1."""
    return np.logaddexp(0, eta) - y * eta


def poisson(eta: Any, y: Any) -> Any:
    """The loss of a sample with a count, but for a constant."""
    return np.exp(eta) - y * eta


def by_xpgrad(table: Table) -> Any:
    from xpgrad.optim.linear import Design, LinearObjective, newton_linear

    unit = logistic if table.family == "logistic" else poisson

    def fit(tol: float) -> Any:
        design = Design(table.numbers, table.codes, table.levels)
        objective = LinearObjective(unit, design, (table.y,), scale=1 / len(table.y), l2=table.l2)
        found = newton_linear(objective, tol=tol)
        return found.params[0], found.params[1:], found.n_iter

    return fit


def by_glum(table: Table) -> Any:
    import glum
    import pandas as pd

    x: Any = table.numbers
    if table.codes:
        x = pd.DataFrame(table.numbers, columns=[f"number {j}" for j in range(table.numbers.shape[1])])
        for k, (code, count) in enumerate(zip(table.codes, table.levels, strict=True)):
            x[f"category {k}"] = pd.Categorical.from_codes(code, categories=range(count))
    family = "binomial" if table.family == "logistic" else "poisson"

    def fit(tol: float) -> Any:
        model = glum.GeneralizedLinearRegressor(
            family=family, alpha=table.l2, l1_ratio=0, gradient_tol=tol, max_iter=1000
        ).fit(x, table.y)
        return model.intercept_, model.coef_, model.n_iter_

    return fit


def by_sklearn(table: Table, solver: str, package: str = "sklearn") -> Any:
    models = importlib.import_module(f"{package}.linear_model")
    if not hasattr(models, "PoissonRegressor") and table.family == "poisson":
        raise Missing(f"{package} has no Poisson regression of its own")
    x, n = table.dense() if table.codes else table.numbers, len(table.y)

    def fit(tol: float) -> Any:
        if table.family == "logistic":
            c = 1 / (table.l2 * n) if table.l2 else np.inf
            model: Any = models.LogisticRegression(C=c, tol=tol, solver=solver, max_iter=10_000)
        else:
            model = models.PoissonRegressor(alpha=table.l2, tol=tol, solver=solver, max_iter=10_000)
        model.fit(x, table.y)
        return float(np.ravel(model.intercept_)[0]), model.coef_.reshape(-1), int(np.max(model.n_iter_))

    return fit


def by_statsmodels(table: Table) -> Any:
    import statsmodels.api as sm

    if table.l2:
        raise Missing("statsmodels fits penalised models by coordinate descent, in hours")
    x = sm.add_constant(table.numbers)
    family = sm.families.Poisson() if table.family == "poisson" else sm.families.Binomial()

    def fit(tol: float) -> Any:
        found = sm.GLM(table.y, x, family=family).fit(tol=tol, maxiter=1000)
        return found.params[0], found.params[1:], found.fit_history["iteration"]

    return fit


CONTENDERS = {
    OURS: by_xpgrad,
    "glum": by_glum,
    "sklearn newton-cholesky": lambda table: by_sklearn(table, "newton-cholesky"),
    "sklearn lbfgs": lambda table: by_sklearn(table, "lbfgs"),
    "sklearnex lbfgs": lambda table: by_sklearn(table, "lbfgs", "sklearnex"),
    "statsmodels": by_statsmodels,
}


class Worker:
    """Has a problem in the form of one contender, and fits it."""

    def __init__(self, name: str, clock: Any = time.perf_counter) -> None:
        self.name = name
        self.clock = clock

    def prepare(self, problem: str, rows: int | None) -> dict[str, Any]:
        """Make the data ready; the first fit is timed."""
        self.table = PROBLEMS[problem](rows)
        try:
            self.fit = CONTENDERS[self.name](self.table)
        except ModuleNotFoundError as error:
            raise Missing(f"{error.name} is not installed") from error
        return {"first_s": self.seconds(TOLERANCES[0])["seconds"]}

    def result(self, tol: float) -> dict[str, Any]:
        """The objective, and the iterations."""
        intercept, coef, iterations = self.fit(tol)
        return {"objective": self.table.objective(intercept, coef), "iterations": int(iterations)}

    def seconds(self, tol: float) -> dict[str, float]:
        """Seconds of a fit."""
        start = self.clock()
        self.fit(tol)
        return {"seconds": self.clock() - start}

    def peak(self, tol: float) -> dict[str, Any]:
        """Bytes of a fit beyond the data."""
        return peak_of(lambda: self.fit(tol))


# ── the run ──────────────────────────────────────────────────────────────────────────────────
def measured(
    problem: str, rows: int | None, workers: dict[str, Answering], rounds: int, within_s: float
) -> dict[str, Any]:
    """The times of one problem, in seconds by contender, and what they found."""
    found: dict[str, Any] = {"problem": problem, "rows": rows, "missing": {}, "results": {}}
    for name, worker in workers.items():
        answer = worker.ask("prepare", problem=problem, rows=rows)
        if "missing" in answer:
            found["missing"][name] = answer["missing"]
        else:
            found["results"][name] = answer
    results = found["results"]
    best = workers[OURS].ask("result", tol=_REFERENCE_TOL)["objective"]
    for name, result in results.items():
        result |= _within(workers[name], best, within_s)
        best = min(best, result["objective"])
    for result in results.values():
        result["gap"] = (result["objective"] - best) / abs(best)
    times: dict[str, list[float]] = {name: [] for name in results}
    for k in range(rounds):
        for name in list(results) if k % 2 else list(results)[::-1]:
            times[name].append(workers[name].ask("seconds", tol=results[name]["tol"])["seconds"])
    for name, seconds in times.items():
        results[name] |= {"median_s": median(seconds), "least_s": min(seconds)}
        results[name] |= workers[name].ask("peak", tol=results[name]["tol"])
    ours = results[OURS]["median_s"]
    found["ratio"] = {name: round(result["median_s"] / ours, 2) for name, result in results.items()}
    return found


def _within(worker: Answering, best: float, within_s: float) -> dict[str, Any]:
    """The loosest tolerance that is within the gap; the last one tried if none is, or time is up."""
    started, answer = time.perf_counter(), {}
    for tol in TOLERANCES:
        answer = worker.ask("result", tol=tol) | {"tol": tol}
        if answer["objective"] - best <= GAP * abs(best) or time.perf_counter() - started > within_s:
            break
    return answer


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.glm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rows", type=int, help="fewer rows than the problems have")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--search-s", type=float, default=300, help="seconds to search for a tolerance")
    parser.add_argument("--json", "--out", type=Path, metavar="FILE")
    parser.add_argument("--one-thread", action="store_true", help="time of the CPU, with one thread for each")
    parser.add_argument("--worker", metavar="CONTENDER", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        serve(Worker(args.worker, time.process_time if args.one_thread else time.perf_counter))
        return
    if args.one_thread:
        os.environ |= dict.fromkeys(_THREADS, "1")
    report: dict[str, Any] = conditions(
        (
            "numpy",
            "scipy",
            "xpgrad",
            "llvmlite",
            "glum",
            "tabmat",
            "scikit-learn",
            "scikit-learn-intelex",
            "statsmodels",
        )
    )
    report["clock"] = "CPU time, one thread" if args.one_thread else "wall"
    report |= {"rounds": args.rounds, "gap": GAP, "problems": []}
    for problem in args.problems:  # new processes: none has another problem's memory
        with ExitStack() as stack:
            workers = {
                name: stack.enter_context(
                    Answering("bench.glm", "--worker", name, *["--one-thread"] * args.one_thread, name=name)
                )
                for name in dict.fromkeys((OURS, *args.contenders))
            }
            found = measured(problem, args.rows, workers, args.rounds, args.search_s)
        report["problems"].append(found)
        _show(found)
        if args.json:
            args.json.write_text(json.dumps(report, indent=1) + "\n")


def _show(found: dict[str, Any]) -> None:
    for name, r in found["results"].items():
        peak = r.get("step_bytes", math.nan) / 2**20
        print(
            f"{found['problem']:8} {name:24} {r['median_s']:8.3f} s  ratio {found['ratio'][name]:6.2f}  "
            f"first {r['first_s']:7.3f} s  {r['iterations']:4} iterations  gap {r['gap']:8.1e} "
            f"at tol {r['tol']:g}  peak {peak:7.1f} MiB",
            flush=True,
        )
    for name, why in found["missing"].items():
        print(f"{found['problem']:8} {name:24} {why}")


if __name__ == "__main__":
    main()
