"""Random programs against NumPy, difference quotients, and one another.

    python -m tests.net --programs 10000 --jobs 2

Each seed is one program; what differs is printed, shrunk, as NumPy source, with its seed. ``--seed N`` runs
one. The exit status is 1 if any differs.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from net import running


def main():
    import os

    parser = argparse.ArgumentParser(prog="python -m tests.net", description=__doc__.split("\n")[0])
    parser.add_argument("--programs", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument(
        "--start", type=int, default=0, help="the first seed (default: 0), to go on where a run ended"
    )
    parser.add_argument("--seed", type=int, help="this program alone, printed whole")
    parser.add_argument("--kind", help="one kind alone: smooth, world, or a family of small programs")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--seconds", type=float, help="stop after so many seconds")
    parser.add_argument("--first", type=int, help="stop after so many differences")
    parser.add_argument("--llvm", type=int, default=3, help="compile one of so many with LLVM (default: 3)")
    parser.add_argument(
        "--cuda", type=int, default=0, help="one of so many as CUDA C++ behind a shim (default: none)"
    )
    parser.add_argument("--without", default="", help="seeds to leave out, with commas between them")
    parser.add_argument("--json", help="write the summary to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xpgrad-net-") as scratch:
        os.environ.setdefault("XPGRAD_CACHE_DIR", scratch)
        options = {"kind": args.kind, "llvm": args.llvm, "cuda": args.cuda}
        if args.seed is not None:
            found = running.one(args.seed, **options)
            from net.drawing import draw

            print(draw(args.seed, args.kind).source)
            print("\nshrunk:\n" + found["source"] + "\n" + found["differs"] if "differs" in found else "agrees")
            return "differs" in found
        without = {int(seed) for seed in args.without.split(",") if seed}
        bounds = {"without": without, "jobs": args.jobs, "seconds": args.seconds, "first": args.first}
        total = running.run(args.start, args.programs, **bounds, **options)
        if args.json:
            running.write(args.json, total)
        running.say_in_short(total)
        return bool(total["differ"])


if __name__ == "__main__":
    sys.exit(main())
