"""``xpgrad bench``: measure this machine, and write one page about it.

In:  the size of the measurement; or the JSON of an earlier one, to be shown or compared with.
Out: a table on the terminal, ``--html`` and ``--json``.
Status: 0, or 1 if a contender computes another value or gradient than NumPy by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xpgrad._errors import DataError, message
from xpgrad.cli import info
from xpgrad.cli.bench import experiments, report, summary
from xpgrad.cli.bench.cells import Disagreement
from xpgrad.cli.bench.solvers import SOLVERS
from xpgrad.cli.bench.steps import JOBS
from xpgrad.cli.extras import require
from xpgrad.cli.output import check_writable, progress, write

FORMAT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``xpgrad bench``."""
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="fewer sizes")
    size.add_argument(
        "--tiny", dest="size", action="store_const", const="tiny", help="seconds: to see that it runs"
    )
    size.add_argument("--from", dest="earlier", metavar="JSON", type=Path, help="measure nothing: show this")
    parser.set_defaults(size="full")
    parser.add_argument("--no-peers", action="store_true", help="leave out jax, torch, SciPy and scikit-learn")
    parser.add_argument(
        "--compare", metavar="JSON", type=Path, help="an earlier measurement to stand beside it"
    )
    parser.add_argument(
        "--html", metavar="OUT", type=Path, default=Path("xpgrad-bench.html"), help="(default: %(default)s)"
    )
    parser.add_argument("--json", metavar="OUT", type=Path, help="write every number to this file")


def run(args: argparse.Namespace) -> int:
    """Measure, or read; print; write."""
    require("matplotlib", "xpgrad bench")
    for path, option in ((args.html, "--html"), (args.json, "--json")):
        if path is not None:
            check_writable(path, option)
    earlier = _read(args.compare, "--compare") if args.compare else None
    if args.earlier:
        record = _read(args.earlier, "--from")
    else:
        try:
            record = measure(args.size, with_peers=not args.no_peers)
        except Disagreement as error:
            print(f"xpgrad: error: bench: {error}", file=sys.stderr)
            return 1
    print(summary.of(record))
    if args.json is not None:
        write(args.json, json.dumps(record, indent=1, allow_nan=False) + "\n")
        print(f"wrote {args.json}")
    write(args.html, report.render(record, earlier))
    print(f"wrote {args.html}")
    return 0


def measure(size: str, *, with_peers: bool) -> dict[str, Any]:
    """All sections, with the control timed after each."""
    start = time.perf_counter()
    record: dict[str, Any] = {"format": FORMAT, "size": size, "machine": info.collect()}
    sizes = experiments.SIZES[size]
    steps = 4 + 3 * len(JOBS) + len(sizes.grid[0]) * len(sizes.grid[1]) * len(JOBS)
    with (
        progress(f"measuring ({size})", steps + len(sizes.scaling) + len(SOLVERS)) as say,
        experiments.Bench(sizes, with_peers, say) as bench,
    ):
        bench.check_pace()
        for name in ("ladder", "peers", "grid", "scaling", "first_calls", "fits"):
            record[name] = getattr(experiments, name)(bench)
            bench.check_pace()
        record["roofline"] = experiments.roofline(bench, record["peers"])
        record |= {"absent": bench.absent, "control_us": bench.control}
    record["seconds"] = time.perf_counter() - start
    record["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    return record


def _read(path: Path, option: str) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(
            message(f"bench: {option} {path} cannot be read", {"reason": str(error)}, at="")
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT or "ladder" not in record:
        raise DataError(
            message(
                f"bench: {option} {path} is no measurement of this version's xpgrad bench",
                at="",
                remedy="write one: xpgrad bench --json FILE",
            )
        )
    return record
