"""Which net finds a defect that is put back: random programs, a generated sweep, or only a written test.

    python -m tests.mutants --jobs 2 --json bench/results/mutants.json

Each mutant is applied to a copy of ``src``. The random programs run first, from seed 0, until one differs
or the time is over; then the sweeps of ``nets.toml``, then the tests that are written by hand.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mutants.applying import ROOT, every, nets


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="mutants whose group or item has this text")
    parser.add_argument(
        "--leave", default="", help="groups that are no matter of traced code, with commas between"
    )
    parser.add_argument("--programs", type=int, default=3000, help="random programs at most (default: 3000)")
    parser.add_argument("--seconds", type=float, default=120, help="for each net of a mutant (default: 120)")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time (default: 1)")
    parser.add_argument("--without", default="", help="seeds to leave out: those that differ without a mutant")
    parser.add_argument(
        "--own", action="store_true", help="of the sweeps and tests those of a mutant's group alone"
    )
    parser.add_argument("--again", action="store_true", help="those that the file of --json has, too")
    parser.add_argument("--json", help="write the results to this file, and go on from what it has")
    args = parser.parse_args()
    chosen = [m for m in every() if args.only in f"{m.group} {m.item}" and m.group not in args.leave.split(",")]
    path = Path(args.json) if args.json else None
    results = json.loads(path.read_text()) if path is not None and path.exists() and not args.again else []
    done = {(r["group"], r["item"]) for r in results}
    left = [m for m in chosen if (m.group, m.item) not in done]
    with ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda m: _tried(m, args), left):
            results.append(result)
            print(_row(result), flush=True)
            if path is not None:
                path.write_text(json.dumps(results, indent=1) + "\n")
    print("\n" + table(results))
    return sum(r["found by"] is None for r in results)


def _tried(mutant, args):
    """What finds one mutant."""
    result = {"group": mutant.group, "item": mutant.item, "file": mutant.file, "found by": None}
    with tempfile.TemporaryDirectory(prefix="xpgrad-mutant-") as scratch:
        src = mutant.apply(Path(scratch))
        env = os.environ | {
            "PYTHONPATH": str(src),
            "XPGRAD_CACHE_DIR": str(Path(scratch) / "kernels"),
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        where = _run(["-c", "import xpgrad; print(xpgrad.__file__)"], env, 60)
        if not where.stdout.startswith(str(src)):
            return result | {"found by": "import", "seconds": 0, "says": _last(where.stdout + where.stderr)}
        for name, attempt in (("random programs", _programs), ("sweep", _sweep), ("written test", _written)):
            began = time.monotonic()
            found = attempt(mutant, env, args, Path(scratch))
            seconds = round(time.monotonic() - began, 1)
            if name == "random programs":
                result["programs"] = found.pop("programs")
            if found.get("says"):
                return result | {"found by": name, "seconds": seconds} | found
    return result


def _programs(mutant, env, args, scratch):
    out = scratch / "net.json"
    command = [
        "-m",
        "tests.net",
        "--programs",
        str(args.programs),
        "--seconds",
        str(args.seconds),
        "--first",
        "1",
    ]
    command += ["--json", str(out), "--llvm", "2", "--without", args.without]
    run = _run(command, env, args.seconds + 300)
    if not out.exists():  # nothing runs any more
        return {"programs": 0, "says": _last(run.stdout + run.stderr)}
    total = json.loads(out.read_text())
    if not total["differ"]:
        return {"programs": total["programs"]}
    first = total["differ"][0]
    return {
        "programs": total["programs"],
        "seed": first["seed"],
        "says": first["differs"][:300],
        "source": first["source"],
    }


def _sweep(mutant, env, args, scratch):
    return _pytest(nets()["generated"], mutant, env, args)


def _written(mutant, env, args, scratch):
    return _pytest(nets()["written"], mutant, env, args)


def _pytest(files, mutant, env, args):
    # Those of the mutant's own group first.
    others = [] if args.own else [f for group, fs in files.items() if group != mutant.group for f in fs]
    ordered = [*files.get(mutant.group, []), *others]
    ordered = [f for f in dict.fromkeys(ordered) if (ROOT / f.split("::")[0]).exists()]
    if not ordered:
        return {}
    command = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", *ordered]
    run = _run(command, env, 5 * args.seconds)
    failed = re.search(r"^(?:FAILED|ERROR) (.*)$", run.stdout, re.MULTILINE)
    return {"says": failed[1][:300]} if failed else {}


def _run(command, env, seconds):
    try:
        return subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(command, 1, (error.stdout or b"").decode(), "")


def _last(text):
    return (text.strip().splitlines() or ["nothing was printed"])[-1][:300]


def table(results):
    """Markdown: which net finds which mutant."""
    rows = ["| mutant | found by | after |", "|---|---|---|"]
    return "\n".join([*rows, *map(_row, sorted(results, key=lambda r: (r["group"], r["item"])))])


def _row(r):
    programs = f"{r.get('programs', 0)} programs"
    after = programs if r["found by"] == "random programs" else str(r.get("says", "")).split(" - ")[0]
    return (
        f"| {r['group']}: {r['item']} | {r['found by'] or '**nothing**'} | {after}, {r.get('seconds', '')} s |"
    )


if __name__ == "__main__":
    sys.exit(main())
