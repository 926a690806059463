"""Special functions compiled for the CPU, against SciPy's: ``python -m bench.special [--json OUT]``.

One thread each, both in this process, in rounds that take turns, after they have been held against each other.
What SciPy has no ufunc for is computed by NumPy.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import numpy as np

import xpgrad as xg
from bench.peers.report import conditions
from xpgrad.core import OPS
from xpgrad.testing import tolerance

ROUNDS = 15
_POSITIVE = (0.01, 30.0)
# Intervals of the operands. Left of 0 the functions of gamma have other formulas.
INTERVALS = {
    **dict.fromkeys("gamma rgamma gammaln digamma i0 i1 i0e i1e j0 j1 y0 y1".split(), (_POSITIVE,)),
    "digamma, x < 0": ((-9.9, -0.1),),
    "gamma, x < 0": ((-9.9, -0.1),),
    **dict.fromkeys("beta betaln rel_entr kl_div".split(), (_POSITIVE, _POSITIVE)),
    "zeta": ((1.1, 9.0), _POSITIVE),
    "zeta, q < 0": ((2.0, 2.0), (-9.9, -0.1)),
    "polygamma": ((1.0, 1.0), _POSITIVE),
    "gamma_kernel": ((0.1, 3.0), (0.1, 3.0), (0.0, 1.0)),
    "beta_kernel": ((0.1, 3.0), (0.1, 3.0), (0.1, 0.9), (0.0, 1.0)),
    "xlog_ratio": (_POSITIVE, _POSITIVE, _POSITIVE),
    "erfinv": ((-0.999, 0.999),),
    "erfcinv": ((0.001, 1.999),),
    "ndtri": ((0.001, 0.999),),
    **dict.fromkeys("inv_mills_excess cosm1 exprel".split(), ((-9.0, 9.0),)),
    "logaddexp2": ((-9.0, 9.0), (-9.0, 9.0)),
}


def problems(n):
    """Label, op and operands of ``n`` entries, in both types."""
    for dtype in (np.float32, np.float64):
        rng = np.random.default_rng(0)
        for label, intervals in INTERVALS.items():
            operands = [rng.uniform(low, high, n).astype(dtype) for low, high in intervals]
            yield f"{label}, {np.dtype(dtype).name}", OPS[label.partition(",")[0]], operands


def measure(op, operands, rounds):
    """Nanoseconds for an entry by NumPy and of the compiled op, by round; raises where they disagree."""
    compiled = xg.compile(lambda *xs: op(*xs), threads=1)
    bound = 100 * tolerance(operands[0].dtype).value  # SciPy's digamma beside a pole
    np.testing.assert_allclose(compiled(*operands), op(*operands), rtol=bound, atol=bound)
    times = {"scipy": [], "xpgrad": []}
    for _ in range(rounds):
        for name, f in (("scipy", op), ("xpgrad", compiled)):
            start = time.perf_counter()
            f(*operands)
            times[name].append(1e9 * (time.perf_counter() - start) / operands[0].size)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    report = {}
    for label, op, operands in problems(200_000):
        times = measure(op, operands, given.rounds)
        medians = {k: median(v) for k, v in times.items()}
        ratio = medians["scipy"] / medians["xpgrad"]
        report[label] = {
            "ns": medians,
            "spread_ns": {k: [min(v), max(v)] for k, v in times.items()},
            "scipy_over_xpgrad": ratio,
        }
        of = " ns, compiled ".join(f"{x:7.1f}" for x in medians.values())
        print(f"{label:<28} SciPy {of} ns: {ratio:5.1f} x")
    if given.json:
        record = {"conditions": conditions(["scipy", "xpgrad.compile"]), "functions": report}
        given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
