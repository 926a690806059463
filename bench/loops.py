"""Loops of many iterations, value and gradient: ``python -m bench.loops [--json OUT]``.

    map      x = sin(x) * .9 + .1 * x, for x of 10 and of 10,000 entries: 50, 200 and 2,000 iterations
    heat     u[1:-1, 1:-1] += k * laplacian(u) in place, 500 iterations on 512 x 512, with the gradient in k
    fit      Lotka-Volterra by the classical Runge-Kutta method, 400 and 2,000 iterations
    kalman   the likelihood of a Kalman filter with two states, 200 and 2,000 iterations

Each contender has a process of its own, which is stopped while another computes (`bench.peers.processes`).
The first call is timed by itself: it traces and compiles, with an empty store of kernels. Then, in each round,
every contender in turn is timed after one call that is not counted. A ratio is the peer's time over ours: above
1, ours is faster. Ours is a Python loop, which `compile` rolls back; the peer's is `jax.lax.scan`. Values and
norms of gradients are held against ours.
"""

import argparse
import json
import math
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.peers.processes import Answering, Missing, serve
from bench.peers.report import conditions
from xpgrad.testing.tolerances import tolerance

ROUND_S = 0.02  # calls shorter than this are timed several at a time
OURS, PEER = "xpgrad.compile", "jax.lax.scan"


# ── the problems: arguments, and the body of the loop in the namespace ``np`` ─────────────────
def python_loop(step: Any, carry: Any, xs: Any, n: int) -> tuple[Any, Any]:
    """The carry, and the results in a list."""
    ys = []
    for i in range(n):
        carry, y = step(carry, None if xs is None else xs[i])
        ys.append(y)
    return carry, ys


def map_(n: int, entries: int) -> tuple[Any, Any]:
    def loss(loop: Any, np: Any, x: Any) -> Any:
        return np.sum(loop(lambda x, _: (np.sin(x) * 0.9 + 0.1 * x, None), x, None, n)[0])

    return loss, (np.linspace(-1.0, 1.0, entries),)


def heat(n: int, side: int) -> tuple[Any, Any]:
    def loss(loop: Any, np: Any, k: Any, u: Any) -> Any:
        def step(u: Any, _: Any) -> Any:
            inner = u[1:-1, 1:-1]
            change = k * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * inner)
            if np.__name__ != "numpy":
                return u.at[1:-1, 1:-1].add(change), None
            u[1:-1, 1:-1] += change
            return u, None

        return np.sum(loop(step, np.copy(u), None, n)[0] ** 2)

    rng = np.random.default_rng(0)
    return loss, (0.1 + 0.1 * rng.random((side - 2, side - 2)), rng.random((side, side)))


def fit(n: int, _: int) -> tuple[Any, Any]:
    def loss(loop: Any, np: Any, p: Any, y: Any) -> Any:
        def slope(y: Any) -> Any:
            return np.stack([p[0] * y[0] - p[1] * y[0] * y[1], p[2] * y[0] * y[1] - p[3] * y[1]])

        def step(y: Any, _: Any) -> Any:
            h = 0.005
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return y, y

        ys = loop(step, y, None, n)[1]
        return np.mean((np.stack(ys) if isinstance(ys, list) else ys) ** 2)

    return loss, (np.array([1.0, 0.5, 0.3, 0.8]), np.array([1.0, 2.0]))


def kalman(n: int, _: int) -> tuple[Any, Any]:
    F, H = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[1.0, 0.0]])

    def loss(loop: Any, np: Any, q: Any, ys: Any) -> Any:
        def step(carry: Any, y: Any) -> Any:
            x, P, total = carry
            x, P = F @ x, F @ P @ F.T + q * np.eye(2)
            r, S = y - H @ x, H @ P @ H.T + 0.5 * np.eye(1)
            K = P @ H.T @ np.linalg.inv(S)
            total = total - 0.5 * (r @ np.linalg.solve(S, r) + np.log(np.linalg.det(S)))
            return (x + K @ r, P - K @ H @ P, total), None

        return loop(step, (np.zeros(2), np.eye(2), 0.0), ys, n)[0][2]

    return loss, (np.array(0.3), np.random.default_rng(0).random((n, 1)))


MADE = {"map": map_, "heat": heat, "fit": fit, "kalman": kalman}
PROBLEMS = (
    *[("map", n, entries) for entries in (10, 10_000) for n in (50, 200, 2000)],
    ("heat", 500, 512),
    ("fit", 400, 2),
    ("fit", 2000, 2),
    ("kalman", 200, 2),
    ("kalman", 2000, 2),
)
SMALL = (("map", 50, 10), ("heat", 20, 16), ("fit", 10, 2), ("kalman", 20, 2))


# ── the contenders ───────────────────────────────────────────────────────────────────────────
def by_xpgrad(problem: str, n: int, size: int) -> Any:
    import xpgrad as xg

    loss, args = MADE[problem](n, size)

    def loop(step: Any, carry: Any, xs: Any, n: int) -> Any:
        return python_loop(step, carry, xs, n)

    step = xg.compile(xg.value_and_grad(lambda *args: loss(loop, np, *args)))
    return lambda: step(*args)


def by_jax(problem: str, n: int, size: int) -> Any:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    loss, args = MADE[problem](n, size)

    def loop(step: Any, carry: Any, xs: Any, n: int) -> Any:
        return jax.lax.scan(step, carry, xs, length=n)

    step = jax.jit(jax.value_and_grad(lambda *args: loss(loop, jnp, *args)))
    args = jax.block_until_ready(jax.tree.map(jnp.array, args))
    return lambda: jax.block_until_ready(step(*args))


CONTENDERS = {OURS: by_xpgrad, PEER: by_jax}


class Worker:
    """Prepares a problem for one contender, then times it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, problem: str, n: int, size: int) -> dict[str, Any]:
        """Seconds of the first call and of the next; peak memory in MB; the value and the gradient's norm."""
        try:
            self.step = CONTENDERS[self.name](problem, n, size)
        except ModuleNotFoundError as error:
            raise Missing(f"{error.name} is not installed") from error
        before = _peak_mb()
        start = time.perf_counter()
        value, gradient = self.step()
        first = time.perf_counter() - start
        return {
            "first_s": first,
            "warm_s": self._seconds(1),
            "peak_mb": _peak_mb() - before,
            "value": float(value),
            "norm": float(np.linalg.norm(np.asarray(gradient))),
        }

    def _seconds(self, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            self.step()
        return (time.perf_counter() - start) / calls

    def time(self, calls: int) -> dict[str, float]:
        """Seconds of a call, after one that is not counted."""
        self.step()
        return {"seconds": self._seconds(calls)}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ── the run ──────────────────────────────────────────────────────────────────────────────────
def measured(problem: tuple[str, int, int], workers: dict[str, Answering], rounds: int) -> dict[str, Any]:
    """The first call, the median of the others and the memory of each contender, and the ratios to ours."""
    name, n, size = problem
    found: dict[str, Any] = {"problem": name, "iterations": n, "size": size, "missing": {}}
    answers: dict[str, Any] = {}
    for who, worker in workers.items():
        answer = worker.ask("prepare", problem=name, n=n, size=size)
        if "missing" in answer:
            found["missing"][who] = answer["missing"]
            continue
        answers[who] = answer
        for key in ("value", "norm"):
            got, wanted = answer[key], answers[OURS][key]
            if not abs(got - wanted) <= 1e3 * tolerance(np.float64).value * max(1, abs(wanted)):
                sys.exit(f"{who}, {problem}: {key} {got} where {OURS} gives {wanted}")
    times: dict[str, list[float]] = {who: [] for who in answers}
    for k in range(rounds):
        for who in list(answers) if k % 2 else list(answers)[::-1]:
            calls = max(1, math.ceil(ROUND_S / answers[who]["warm_s"]))
            times[who].append(workers[who].ask("time", calls=calls)["seconds"])
    found["first_s"] = {who: round(a["first_s"], 3) for who, a in answers.items()}
    found["peak_mb"] = {who: round(a["peak_mb"], 1) for who, a in answers.items()}
    found["ms"] = {who: round(1e3 * median(ts), 4) for who, ts in times.items()}
    found["least_ms"] = {who: round(1e3 * min(ts), 4) for who, ts in times.items()}
    found["ratio"] = {who: round(ms / found["ms"][OURS], 2) for who, ms in found["ms"].items()}
    return found


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.loops", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", nargs="+", choices=MADE, default=list(MADE))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--small", action="store_true", help="few iterations, to see that it runs")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--worker", metavar="CONTENDER", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        serve(Worker(args.worker))
        return
    report: dict[str, Any] = conditions(("numpy", "xpgrad", "llvmlite", "jax", "jaxlib"))
    report |= {"rounds": args.rounds, "problems": []}
    for problem in SMALL if args.small else PROBLEMS:
        if problem[0] not in args.problems:
            continue
        with ExitStack() as stack:  # new processes, and a new store of kernels
            store = stack.enter_context(tempfile.TemporaryDirectory())
            environment = {"XDG_CACHE_HOME": store}
            workers = {
                who: stack.enter_context(
                    Answering("bench.loops", "--worker", who, name=who, environment=environment)
                )
                for who in dict.fromkeys((OURS, *args.contenders))
            }
            found = measured(problem, workers, args.rounds)
        report["problems"].append(found)
        words = [f"{who} {found['first_s'][who]:.2f} s {found['ms'][who]:.3f} ms" for who in found["ms"]]
        print(f"{'-'.join(map(str, problem)):16} {'   '.join(words)}   {found['ratio']}", flush=True)
        if args.json:
            args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
