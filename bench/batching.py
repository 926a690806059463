"""Batched derivatives against NumPy, a loop, and JAX: ``python -m bench.batching [--json OUT] [--peers DIR]``.

Hessians of a logistic regression, the Jacobian of an ordinary differential equation, gradients of each sample.
All contenders are in this process and take turns, after their results have been held against the first. JAX is
timed where it is installed, here or in the directory ``--peers``.
"""

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

import xpgrad as xg
from bench.peers.report import conditions
from xpgrad.testing import tolerance

ROUNDS = 15


class Problem(NamedTuple):
    """The contenders for one result, functions without arguments; the others are held to the first."""

    contenders: dict[str, Callable[[], np.ndarray]]
    first_call: Callable[[], float]


def logistic_loss(np_):
    def loss(w, X, y):
        z = X @ w
        return np_.mean(np_.logaddexp(0.0, z) - y * z)

    return loss


def hessian(samples, features):
    """The Hessian of the mean logistic loss, ``(features, features)``; by hand it is ``(X.T * d) @ X``."""
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(samples, features)), 0.1 * rng.normal(size=features)
    y = (rng.random(samples) < 0.5).astype(float)

    def by_hand():
        p = 1 / (1 + np.exp(-(X @ w)))
        return (X.T * (p * (1 - p) / samples)) @ X

    compiled = xg.compile(xg.hessian(logistic_loss(np)))
    contenders = {"numpy": by_hand, "xpgrad": lambda: compiled(w, X, y)}
    if jax := _jax():
        theirs, given = jax.jit(jax.hessian(logistic_loss(jax.numpy))), _put(jax, w, X, y)
        contenders["jax"] = lambda: np.asarray(theirs(*given))
    return Problem(contenders, lambda: compiled(w, X, y))


def lorenz_96(np_):
    return lambda x: (np_.roll(x, -1) - np_.roll(x, 2)) * np_.roll(x, 1) - x + 8.0


def ode_jacobian(n):
    """The Jacobian of the right-hand side of Lorenz-96; the loop has a compiled product for each column."""
    x = 8.0 + np.random.default_rng(1).normal(size=n)
    f = lorenz_96(np)
    product = xg.compile(lambda x, t: xg.jvp(f, (x,), (t,))[1])
    compiled = xg.compile(xg.jacobian(f))
    contenders = {
        "loop": lambda: np.stack([product(x, t) for t in np.eye(n)], axis=1),
        "xpgrad": lambda: compiled(x),
    }
    if jax := _jax():
        theirs, (given,) = jax.jit(jax.jacfwd(lorenz_96(jax.numpy))), _put(jax, x)
        contenders["jax"] = lambda: np.asarray(theirs(given))
    return Problem(contenders, lambda: compiled(x))


def per_sample_loss(np_):
    def loss(w, x, y):
        z = x @ w
        return np_.logaddexp(0.0, z) - y * z

    return loss


def per_sample_gradients(samples, features):
    """The gradient of each sample's logistic loss, ``(samples, features)``."""
    rng = np.random.default_rng(2)
    X, w = rng.normal(size=(samples, features)), 0.1 * rng.normal(size=features)
    y = (rng.random(samples) < 0.5).astype(float)

    def by_hand():
        return (1 / (1 + np.exp(-(X @ w))) - y)[:, None] * X

    compiled = xg.compile(xg.vmap(xg.grad(per_sample_loss(np)), (None, 0, 0)))
    contenders = {"numpy": by_hand, "xpgrad": lambda: compiled(w, X, y)}
    if jax := _jax():
        theirs = jax.jit(jax.vmap(jax.grad(per_sample_loss(jax.numpy)), (None, 0, 0)))
        given = _put(jax, w, X, y)
        contenders["jax"] = lambda: np.asarray(theirs(*given))
    return Problem(contenders, lambda: compiled(w, X, y))


def problems(samples):
    """Label and maker of each problem, for ``samples`` samples."""
    yield f"hessian, {samples} x 100", lambda: hessian(samples, 100)
    yield f"hessian, {samples} x 20", lambda: hessian(samples, 20)
    yield "jacobian of Lorenz-96, n = 50", lambda: ode_jacobian(50)
    yield f"per-sample gradients, {samples} x 50", lambda: per_sample_gradients(samples, 50)


def _jax():
    """JAX in double precision, or None where it is not installed."""
    if importlib.util.find_spec("jax") is None:
        return None
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def _put(jax, *arrays):
    return [jax.numpy.asarray(x) for x in arrays]


def measure(problem, rounds):
    """Milliseconds of each contender, by round, and of the first call of ours; raises where two disagree."""
    start = time.perf_counter()
    problem.first_call()
    first = 1e3 * (time.perf_counter() - start)
    (_, reference), *_ = problem.contenders.items()
    expected, bound = reference(), 100 * tolerance(np.float64).value
    for f in problem.contenders.values():
        np.testing.assert_allclose(f(), expected, rtol=bound, atol=bound)
    times = {name: [] for name in problem.contenders}
    for _ in range(rounds):
        for name, f in problem.contenders.items():
            start = time.perf_counter()
            f()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times, first


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--peers", help="a directory with JAX, if it is installed apart")
    given = parser.parse_args()
    if given.peers:
        sys.path.append(given.peers)
    report = {}
    for label, make in problems(given.samples):
        times, first = measure(make(), given.rounds)
        report[label] = {
            "ms": {k: median(v) for k, v in times.items()},
            "least_ms": {k: min(v) for k, v in times.items()},
            "first_call_ms": first,
            "over_xpgrad": {k: median(v) / median(times["xpgrad"]) for k, v in times.items() if k != "xpgrad"},
        }
        ratios = ", ".join(f"{k} {x:.2f} x" for k, x in report[label]["over_xpgrad"].items())
        print(
            f"{label:<40} {report[label]['ms']['xpgrad']:8.2f} ms, first {first:6.0f} ms; {ratios}", flush=True
        )
    if given.json:
        packages = ["numpy", *(["jax"] if _jax() else [])]
        record = {"conditions": conditions(packages), "problems": report}
        given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
