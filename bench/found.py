"""NumPy functions as users write them, unchanged but for `xg.compile`: ``python -m bench.found [--json OUT]``.

Three vectorised computations of scientific Python, written down from their formulas. Both run in this
process, in rounds that take turns, after they have been held against each other.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import numpy as np

import xpgrad as xg
from bench.peers.report import conditions

ROUNDS = 15


def laplace(u):
    """One Jacobi sweep of the Laplace equation, the interior written in place (finite differences)."""
    dx2, dy2 = 0.01, 0.02
    u = u.copy()
    u[1:-1, 1:-1] = ((u[2:, 1:-1] + u[:-2, 1:-1]) * dy2 + (u[1:-1, 2:] + u[1:-1, :-2]) * dx2) / (
        2 * (dx2 + dy2)
    )
    return u


def gray_scott(U, V):
    """One Euler step of the Gray-Scott reaction and diffusion (Pearson, 1993), borders held."""

    def lap(Z):
        return Z[:-2, 1:-1] + Z[2:, 1:-1] + Z[1:-1, :-2] + Z[1:-1, 2:] - 4 * Z[1:-1, 1:-1]

    U, V = U.copy(), V.copy()
    u, v = U[1:-1, 1:-1], V[1:-1, 1:-1]
    uvv = u * v * v
    du = 0.16 * lap(U) - uvv + 0.035 * (1 - u)
    dv = 0.08 * lap(V) + uvv - 0.100 * v
    U[1:-1, 1:-1] += du
    V[1:-1, 1:-1] += dv
    return U, V


def haversine(lat1, lon1, lat2, lon2):
    """Great-circle distances in km between points in degrees."""
    lat1, lon1, lat2, lon2 = map(np.radians, (lat1, lon1, lat2, lon2))
    a = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 6371.0088 * 2 * np.arcsin(np.sqrt(a))


def problems(n=1):
    """Name, function and arguments; ``n`` divides the sizes."""
    rng = np.random.default_rng(0)
    side, points = 3000 // n, 2_000_000 // n
    coordinates = [rng.uniform(-limit, limit, points) for limit in (80, 170, 80, 170)]
    grids = [rng.random((side, side)) for _ in range(3)]
    return [
        ("laplace", laplace, grids[:1]),
        ("gray_scott", gray_scott, grids[1:]),
        ("haversine", haversine, coordinates),
    ]


def measure(f, args, rounds):
    """Milliseconds of NumPy and of the compiled function, by round; raises where they disagree."""
    compiled = xg.compile(f)
    for a, b in zip(np.atleast_1d(f(*args)), np.atleast_1d(compiled(*args)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10)
    times = {"numpy": [], "xpgrad": []}
    for _ in range(rounds):
        for name, g in (("numpy", f), ("xpgrad", compiled)):
            g(*args)
            start = time.perf_counter()
            g(*args)
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    report = {}
    for name, f, args in problems():
        times = measure(f, args, given.rounds)
        medians = {k: median(v) for k, v in times.items()}
        report[name] = {
            "shapes": [list(x.shape) for x in args],
            "ms": medians,
            "spread_ms": {k: [min(v), max(v)] for k, v in times.items()},
            "numpy_over_xpgrad": medians["numpy"] / medians["xpgrad"],
        }
        ratio = report[name]["numpy_over_xpgrad"]
        print(f"{name:<12} NumPy {medians['numpy']:.2f} ms, compiled {medians['xpgrad']:.2f} ms: {ratio:.2f} x")
    if given.json:
        record = {"conditions": conditions(["numpy", "xpgrad.compile"]), "functions": report}
        given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
