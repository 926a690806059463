"""``xpgrad race``: one training step as a loop, by hand and by xpgrad; then the model, trained.

In:  flights from New York in 2013, or a table of the user's (``--data FILE --target COL``).
Out: a table of times and a trained model's figures; with ``--json`` and ``--html`` also as files.
Status: 0, or 1 if a contender's loss or gradient is not the one of the notes' formulas.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xpgrad._errors import DataError, message
from xpgrad.cli import flights, info, report, summary, tables
from xpgrad.cli.arguments import character, positive
from xpgrad.cli.contenders import Absent, Contender, line_up, starting_point
from xpgrad.cli.extras import require
from xpgrad.cli.measure import Result, measure
from xpgrad.cli.output import check_writable, progress, say, write
from xpgrad.cli.problem import Problem
from xpgrad.cli.race_model import judge, train
from xpgrad.devices import resolve

REPEATS = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``xpgrad race``."""
    data = parser.add_argument_group("data", "without --data: flights from New York in 2013")
    data.add_argument("--data", metavar="FILE", type=Path, help="a CSV or Parquet file, rows in order of time")
    data.add_argument("--target", metavar="COL", help="the column of --data to predict, of 0 and 1")
    data.add_argument("--encoding", default="utf-8-sig", help="of a CSV file (default: UTF-8)")
    data.add_argument("--delimiter", default=",", type=character, help="of a CSV file, or 'tab' (default: ,)")
    data.add_argument("--drop", metavar="COL", action="append", default=[], help="leave this column out")
    data.add_argument("--rows", metavar="N", type=positive, help="only N rows, evenly spaced in time")
    parser.add_argument("--device", default="auto", help="cpu, gpu, gpu:1 or auto (default: %(default)s)")
    parser.add_argument(
        "--repeats",
        metavar="N",
        type=positive,
        default=REPEATS,
        help="timed steps each (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="OUT", type=Path, help="write every number to this file")
    parser.add_argument("--html", metavar="OUT", type=Path, help="write one page with the plots to this file")


def run(args: argparse.Namespace) -> int:
    """Race, train, report."""
    _refuse_odd_options(args)
    device = resolve(args.device)
    if args.html is not None:
        require("matplotlib", "--html")
    for path, option in ((args.json, "--json"), (args.html, "--html")):
        if path is not None:
            check_writable(path, option)

    with progress("reading the data"):
        problem = _load(args)
    record: dict[str, Any] = {
        "format": 1,
        "finished": None,
        "machine": info.collect(),
        "data": _data(problem),
    }
    print(summary.of_data(record["data"]), end="\n\n", flush=True)

    record["race"] = _race(problem, args.device, args.repeats)
    print(summary.of_race(record["race"]), end="\n\n", flush=True)
    if not all(step["agrees"] for step in record["race"]["steps"]):
        print(f"xpgrad: error: race: {summary.verdict(record['race'])}", file=sys.stderr)
        return 1

    say("training ...")
    params, record["training"] = train(problem, device)
    record["test"] = judge(problem, params)
    print(summary.of_model(record["training"], record["test"]))
    record["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    _write(record, args.json, args.html)
    return 0


def _refuse_odd_options(args: argparse.Namespace) -> None:
    headline = remedy = None
    if args.data is not None and args.target is None:
        headline, remedy = f"race: which column of {args.data} is to be predicted?", "name it: --target COL"
    elif args.data is None and (args.target is not None or args.drop):
        option = "--drop" if args.target is None else "--target"
        headline, remedy = f"race: {option} is about a table of your own", "name it: --data FILE"
    elif args.json is not None and args.html is not None and args.json.resolve() == args.html.resolve():
        headline, remedy = f"race: --json and --html both name {args.json}", "name two files"
    if headline is not None:
        raise DataError(message(headline, at="", remedy=remedy))


def _load(args: argparse.Namespace) -> Problem:
    if args.data is None:
        return flights.load(args.rows)
    return tables.load(args.data, args.target, args.drop, args.rows, args.encoding, args.delimiter)


def _data(problem: Problem) -> dict[str, Any]:
    return {
        "name": problem.name,
        "target": problem.target,
        "columns": list(problem.columns),
        "train_rows": problem.X.shape[1],
        "test_rows": problem.X_test.shape[1],
        "base_rate": problem.base_rate,
        "test_rate": float(problem.Y_test.mean(dtype=float)),
        "notes": list(problem.notes),
    }


def _race(problem: Problem, device: str, repeats: int) -> dict[str, Any]:
    point = starting_point(problem.X)
    entries = line_up(problem, point, device)
    runners = [entry for entry in entries if isinstance(entry, Contender)]
    with progress("racing", len(runners) * (repeats + 1)) as advance:
        results = measure(runners, point, problem.X, problem.Y, repeats, advance)
    seconds = {result.key: result.seconds for result in results}
    return {
        "columns": problem.X.shape[0],
        "rows": problem.X.shape[1],
        "repeats": repeats,
        "steps": [_step(result, seconds) for result in results],
        "absent": [asdict(entry) for entry in entries if isinstance(entry, Absent)],
    }


def _step(result: Result, seconds: dict[str, float]) -> dict[str, Any]:
    return asdict(result) | {
        "over_loop": seconds["loop"] / result.seconds,
        "over_numpy": seconds["numpy"] / result.seconds,
        "tolerance": result.tolerance,
        "agrees": result.agrees,
    }


def _write(record: dict[str, Any], json_path: Path | None, html_path: Path | None) -> None:
    """Both files are made before either is written."""
    files: list[tuple[Path, str]] = []
    if json_path is not None:
        files.append((json_path, json.dumps(record, indent=2, allow_nan=False) + "\n"))
    if html_path is not None:
        files.append((html_path, report.render(record)))
    for path, text in files:
        write(path, text)
        print(f"wrote {path}")
