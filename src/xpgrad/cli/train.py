"""``xpgrad train``: from a table to a model, with a report.

In:  a table (CSV, Parquet, Arrow or ``.npz``), the column to predict.
Out: metrics on held-out rows and coefficients; a model file, a page, the same numbers as JSON.
Status: 0, or 1 if the fit did not converge or the classes are separable: the files are written then as well.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from xpgrad._errors import DataError, message
from xpgrad.cli.arguments import add_memory, add_reading, csv_of, fraction, integers, positive, status_text
from xpgrad.cli.extras import require
from xpgrad.cli.frames import read_table
from xpgrad.cli.output import Lines, check_writable, progress, write, write_bytes
from xpgrad.cli.parts import by_parts
from xpgrad.cli.sources import source_of
from xpgrad.devices import resolve
from xpgrad.scale import workers

# The models, and what each predicts; stated here so that --help needs no other package.
CHOICES = ("auto", "logistic", "softmax", "linear", "ridge", "poisson", "gamma", "tweedie", "mlp")

_STATUS = status_text(
    "the model was trained, and what was asked for is written",
    "so it was, but the fit did not converge, or the classes are separable; the output says which",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``xpgrad train``."""
    parser.epilog = _STATUS
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "data",
        metavar="DATA",
        help="CSV, Parquet, Arrow (Feather) or .npz; 'part*.parquet'; - is standard input",
    )
    parser.add_argument("--target", metavar="COL", required=True, help="the column to predict")
    parser.add_argument("--model", choices=CHOICES, default="auto", help="by default what the target asks for")
    parser.add_argument("--out", metavar="MODEL", help="save the model in this file; - is standard output")
    parser.add_argument("--report", metavar="HTML", type=Path, help="write one page with tables and plots")
    parser.add_argument("--json", metavar="JSON", help="write every number to this file; - is standard output")
    parser.add_argument(
        "--device",
        default="auto",
        help="cpu, gpu, gpu:1 or auto, the one that is expected to end first (default: %(default)s)",
    )
    add_reading(parser)
    columns = parser.add_argument_group("columns")
    columns.add_argument("--drop", metavar="COL", action="append", default=[], help="leave this column out")
    columns.add_argument(
        "--category",
        metavar="COL",
        action="append",
        default=[],
        help="take this column of numbers as categories",
    )
    columns.add_argument(
        "--date",
        metavar="COL=FORMAT",
        action="append",
        default=[],
        type=_date_format,
        help="how the dates of this column are written, for example when=%%d/%%m/%%Y; 2026-01-31 is known",
    )
    columns.add_argument(
        "--levels",
        metavar="N",
        type=positive,
        default=100,
        help="at most N categories of a column have coefficients of their own, the rest one together "
        "(default: %(default)s)",
    )
    columns.add_argument("--skip-missing", action="store_true", help="leave out rows without a target")
    held = parser.add_argument_group("rows that are held out to judge the model")
    held.add_argument(
        "--valid", metavar="SHARE", type=fraction, default=0.2, help="(default: %(default)s; 0 is none)"
    )
    held.add_argument("--split", choices=("random", "last"), default="random", help="(default: %(default)s)")
    fit = parser.add_argument_group("fit")
    fit.add_argument(
        "--penalty",
        metavar="S",
        type=_strength,
        help="minimise the sum of the losses plus S/2 times the squares of the coefficients, numbers being "
        "standardised (default: 1 of softmax and ridge, 0.0001 of mlp, otherwise 0)",
    )
    fit.add_argument(
        "--power", type=float, default=1.5, help="of the variance of tweedie (default: %(default)s)"
    )
    fit.add_argument(
        "--hidden", metavar="N,...", type=integers, default=(100,), help="layers of mlp (default: 100)"
    )
    fit.add_argument("--max-iter", metavar="N", type=positive, help="iterations, or passes of mlp")
    large = parser.add_argument_group(
        "Parquet that does not fit into memory, which is read by row groups; DATA may be a quoted glob"
    )
    add_memory(large)
    large.add_argument(
        "--cluster", metavar="ADDRESS", help="workers of this scheduler of Dask's share each pass"
    )
    large.add_argument("--workers", metavar="N", type=positive, help="so many processes here share each pass")
    fit.add_argument("--seed", type=int, default=0, help="of the split and of mlp (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Read, train, report."""
    from xpgrad.cli.models import report, text, training
    from xpgrad.cli.models.fitting import Options
    from xpgrad.cli.models.in_parts import train_in_parts
    from xpgrad.cli.models.stored import content_of

    _refuse_odd_options(args)
    device = args.device if args.device == "auto" else resolve(args.device)
    if args.report is not None:
        require("matplotlib", "--report")
    if args.out is not None:
        require("safetensors", "--out", remedy='pip install "xpgrad[learn]"')
    for path, option in ((args.out, "--out"), (args.report, "--report"), (args.json, "--json")):
        if path is not None and str(path) != "-":
            check_writable(Path(path), option)
    lines = Lines("-" in (args.out, args.json))
    options = Options(args.model, args.penalty, args.power, args.hidden, args.max_iter, args.seed, device)
    request = training.Request(
        target=args.target,
        model=args.model,
        options=options,
        valid=args.valid,
        split=args.split,
        drop=args.drop,
        categories=args.category,
        dates=dict(args.date),
        most_levels=args.levels,
        skip_missing=args.skip_missing,
    )
    saved = "nothing was saved"
    try:
        forced = args.cluster is not None or args.workers is not None
        in_parts = by_parts(args.data, args.memory_limit, forced)
        if in_parts is not None:
            with workers(args.cluster, args.workers) if forced else nullcontext() as client:
                with_them = replace(options, cluster=client, memory_limit=args.memory_limit)
                trained = train_in_parts(in_parts, replace(request, options=with_them))
        else:
            with progress("reading the data"):
                table = read_table(source_of(args.data), csv_of(args))
            trained = training.train(table, request)
        record = trained.record
        parts = (
            text.of_data(record),
            text.of_model(record),
            text.of_coefficients(record),
            text.of_test(record),
        )
        lines.say("\n\n".join(part for part in parts if part))
        if args.out is not None:
            write_bytes(args.out, content_of(trained))
            saved = f"the model was saved as {args.out}, and nothing after it"
            lines.say(f"\nsaved the model as {args.out}" if args.out != "-" else "")
        _write(args, record, report, lines)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(saved) from None
    if args.out is None:
        lines.say("\nthe model is not saved; --out MODEL saves it")
    return 0 if record["fit"]["converged"] else 1


def _write(args: argparse.Namespace, record: dict[str, Any], report: Any, lines: Lines) -> None:
    """The files beside the model; all are made before any is written."""
    files: list[tuple[str, str]] = []
    if args.json is not None:
        files.append((args.json, json.dumps(record, indent=2, allow_nan=False) + "\n"))
    if args.report is not None:
        files.append((str(args.report), report.render(record)))
    for path, content in files:
        if path == "-":
            write_bytes("-", content.encode())
            continue
        write(Path(path), content)
        lines.say(f"wrote {path}")


def _refuse_odd_options(args: argparse.Namespace) -> None:
    headline = remedy = None
    files = [Path(path).resolve() for path in (args.out, args.report, args.json) if path not in (None, "-")]
    if args.out == args.json == "-":
        headline, remedy = (
            "train: --out and --json cannot both be standard output",
            "name a file for one of them",
        )
    elif len(set(files)) < len(files):
        headline, remedy = "train: two of --out, --report and --json name one file", "name several"
    elif args.data != "-" and Path(args.data).resolve() in files:
        headline, remedy = f"train: the result would be written over the data, {args.data}", "name another file"
    elif args.model == "tweedie" and 0 < args.power < 1:
        headline, remedy = f"train: no distribution has a power between 0 and 1, got {args.power:g}", None
    elif args.cluster is not None and args.workers is not None:
        headline, remedy = (
            "train: --cluster has workers already, and --workers starts others",
            "give one of them",
        )
    elif args.model == "ridge" and args.penalty == 0:
        headline, remedy = "train: ridge has a penalty; it is 0", "--model linear has none"
    if headline is not None:
        raise DataError(message(headline, at="", remedy=remedy))


def _date_format(word: str) -> tuple[str, str]:
    name, equals, written = word.partition("=")
    if not equals or "%" not in written:
        raise argparse.ArgumentTypeError(f"{word!r} is not like when=%d/%m/%Y")
    return name, written


def _strength(word: str) -> float:
    number = float(word)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{word} is not 0 or more")
    return number
