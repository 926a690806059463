"""Time per gradient of everyday programs against HIPS autograd: ``python -m bench.programs [--json OUT]``.

The programs are those of `tests/programs`, in plain NumPy. For autograd their imports are changed, and nothing
else. One that autograd does not run has its error in place of a time. The contenders are in one process, and
take turns after their gradients have been held against each other. ``--peers`` is a directory with autograd, if
it is installed apart.
"""

import argparse
import importlib.util
import json
import re
import sys
import time
import types
import warnings
from pathlib import Path
from statistics import median

import numpy as np

import xpgrad as xg
from bench.peers.report import conditions
from xpgrad._trees import flatten

PROGRAMS = Path(__file__).resolve().parents[1] / "tests" / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py") if not path.stem.startswith(("_", "test_")))
ROUNDS, LEAST = 7, 0.02
_IMPORTS = [
    (re.compile(r"^import numpy as np$", re.M), "import autograd.numpy as np"),
    (re.compile(r"^from xpgrad import stats$", re.M), "from autograd.scipy import stats"),
    (re.compile(r"^from xpgrad\.(special|integrate) import", re.M), r"from autograd.scipy.\1 import"),
]


def program(name, of_autograd=False):
    """The program as a module, its imports changed for autograd; equal steps of `odeint` are xpgrad's own."""
    text = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
    if of_autograd:
        for pattern, new in _IMPORTS:
            text = pattern.sub(new, text)
        text = text.replace(", steps=20)", ", rtol=1e-8, atol=1e-8)")
    module = types.ModuleType(name)
    exec(compile(text, f"{name}.py", "exec"), module.__dict__)
    return module


def per_call(f):
    """Milliseconds of a call, by as many in a row as take a fiftieth of a second, or one."""
    start = time.perf_counter()
    f()
    calls = max(1, int(LEAST / max(time.perf_counter() - start, 1e-7)))
    start = time.perf_counter()
    for _ in range(calls):
        f()
    return 1e3 * (time.perf_counter() - start) / calls


def contenders(name):
    """The contenders that run, each a function without arguments; and why one does not."""
    ours = program(name)
    params = ours.start()
    both = xg.value_and_grad(ours.loss)
    step = xg.compile(both)
    found = {"eager": lambda: both(params), "compiled": lambda: step(params)}
    expected = flatten(both(params)[1])[0]
    _hold(expected, flatten(step(params)[1])[0])
    if importlib.util.find_spec("autograd") is None:
        return found, None
    import autograd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = program(name, of_autograd=True)
            given = theirs.start()
            their_both = autograd.value_and_grad(theirs.loss)
            gradient = flatten(their_both(given)[1])[0]
    except Exception as error:  # whatever a program raises is its result
        return found, f"{type(error).__name__}: {error}"[:120]
    _hold(expected, gradient, 1e-4 if "odeint" in (PROGRAMS / f"{name}.py").read_text() else 1e-6)
    return found | {"autograd": lambda: their_both(given)}, None


def _hold(expected, found, bound=1e-6):
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=bound, atol=bound * max(np.max(np.abs(a)), 1e-3))


def measure(name, rounds):
    """Milliseconds per gradient of each contender, by round; None for autograd with its error."""
    found, error = contenders(name)
    times = {who: [] for who in found}
    for _ in range(rounds):
        for who, f in found.items():
            times[who].append(per_call(f))
    return times, error


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--peers", help="a directory with autograd, if it is installed apart")
    parser.add_argument("names", nargs="*", default=NAMES)
    given = parser.parse_args()
    if given.peers:
        sys.path.append(given.peers)
    report = {}
    for name in given.names or NAMES:
        times, error = measure(name, given.rounds)
        row = {"ms": {who: median(v) for who, v in times.items()}}
        if "autograd" in times:
            theirs = row["ms"]["autograd"]
            row["autograd_over"] = {who: theirs / ms for who, ms in row["ms"].items() if who != "autograd"}
        elif error:
            row["autograd_error"] = error
        report[name] = row
        ms = ", ".join(f"{who} {t:.3f} ms" for who, t in row["ms"].items())
        print(f"{name:<22} {ms}  {error or ''}", flush=True)
    ratios = [row["autograd_over"] for row in report.values() if "autograd_over" in row]
    summary = {
        f"autograd_over_{who}": {"median": median(r), "least": min(r), "most": max(r)}
        for who in ("eager", "compiled")
        if (r := [ratio[who] for ratio in ratios])
    }
    print(summary)
    if given.json:
        packages = ["numpy", *(["autograd"] if importlib.util.find_spec("autograd") else [])]
        record = {"conditions": conditions(packages), "programs": report, "summary": summary}
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
