"""``xpgrad predict``: predictions of a saved model for the rows of a table.

In:  a model file of `xpgrad train`, a table with the columns that it was trained on, in any order.
Out: a table with a row of predictions for each row; if the target is among the columns, metrics as well.
Status: 0.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.arguments import add_memory, add_reading, csv_of, status_text
from xpgrad.cli.extras import require
from xpgrad.cli.frames import ARROW, NPZ, PARQUET, Table, read_table
from xpgrad.cli.output import Lines, check_writable, opened, write_bytes
from xpgrad.cli.parts import by_parts
from xpgrad.cli.sources import source_of
from xpgrad.devices import resolve

_ENDINGS = (".csv", *PARQUET, *ARROW, *NPZ)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``xpgrad predict``."""
    parser.epilog = status_text("the predictions are written")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="MODEL", help="a file that xpgrad train saved; - is standard input")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="CSV, Parquet, Arrow (Feather) or .npz; 'part*.parquet'; - is standard input",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        default="-",
        help=f"the predictions: {' '.join(_ENDINGS)}; - is CSV on standard output (default: -)",
    )
    parser.add_argument(
        "--keep",
        metavar="COL",
        action="append",
        default=[],
        help="copy this column of DATA beside the predictions",
    )
    parser.add_argument(
        "--json", metavar="JSON", help="write counts and metrics to this file; - is standard output"
    )
    parser.add_argument("--device", default="cpu", help="cpu, gpu, gpu:1 or auto (default: %(default)s)")
    add_memory(parser)
    add_reading(parser)


def run(args: argparse.Namespace) -> int:
    """Read, predict, write."""
    from xpgrad.cli.models import predicting
    from xpgrad.cli.models.stored import read_model

    _refuse_odd_options(args)
    device = resolve(args.device)
    for path, option in ((args.out, "--out"), (args.json, "--json")):
        if path not in (None, "-"):
            check_writable(Path(path), option)
    lines = Lines("-" in (args.out, args.json))
    saved = "nothing was saved"
    try:
        trained = read_model(source_of(args.model))
        in_parts = by_parts(args.data, args.memory_limit)
        found = predicting.Predictions(trained, device)
        if in_parts is not None:
            with opened(args.out) as file, written_in_parts(file, args.out) as writer:
                for table in in_parts.parts():
                    writer(_columns(found, table, args.keep))
            record = found.record()
            lines.say(predicting.said(trained, record))
        else:
            columns = _columns(found, read_table(source_of(args.data), csv_of(args)), args.keep)
            record = found.record()
            lines.say(predicting.said(trained, record))
            write_bytes(args.out, _content(columns, args.out))
        if args.out != "-":
            saved = f"{args.out} was written"
            lines.say(f"wrote {args.out}")
        if args.json is not None:
            write_bytes(args.json, (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(saved) from None
    return 0


def _columns(found: Any, table: Table, keep: Sequence[str]) -> dict[str, Any]:
    """The columns of the result, for a table or a part of it."""
    for name in keep:
        table.require(name)
    columns: dict[str, Any] = found.of(table)
    taken = [name for name in keep if name in columns]
    if taken:
        raise DataError(message(f"--keep {taken[0]}: a column of the predictions is called so", at=""))
    return {name: table.frame[name] for name in keep} | columns


@contextmanager
def written_in_parts(file: IO[bytes], out: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that appends columns to a table in the format of the ending of ``out``."""
    name = out.lower()
    if name.endswith(NPZ):
        raise DataError(
            message(f"predict: {out} cannot be written by parts", at="", remedy="--out FILE.parquet")
        )
    frame_of = require("pandas", "writing a table").DataFrame
    begun = False

    def as_csv(columns: dict[str, Any]) -> None:
        nonlocal begun
        file.write(frame_of(columns).to_csv(index=False, header=not begun).encode())
        begun = True

    if not name.endswith((*PARQUET, *ARROW)):
        yield as_csv
        return
    remedy = "pip install pyarrow, or write .csv"
    pa = require("pyarrow", "writing Parquet", remedy=remedy)
    if name.endswith(PARQUET):
        make = require("pyarrow.parquet", "writing Parquet", remedy=remedy).ParquetWriter
    else:
        make = require("pyarrow.ipc", "writing Arrow", remedy=remedy).new_file
    writer: Any = None

    def as_arrow(columns: dict[str, Any]) -> None:
        nonlocal writer
        table = pa.Table.from_pandas(frame_of(columns), preserve_index=False)
        writer = writer or make(file, table.schema)
        writer.write_table(table)

    yield as_arrow
    if writer is not None:
        writer.close()


def _content(columns: dict[str, Any], out: str) -> bytes:
    """The table in the format of the ending of ``out``."""
    name = out.lower()
    file = io.BytesIO()
    if name.endswith(NPZ):
        # Objects need pickle; texts of one width do not.
        arrays = {k: np.asarray(v) for k, v in columns.items()}
        np.savez(file, **{k: v.astype(str) if v.dtype == object else v for k, v in arrays.items()})  # type: ignore[arg-type]
        return file.getvalue()
    frame = require("pandas", "writing a table").DataFrame(columns)
    if name.endswith(PARQUET):
        require("pyarrow", "writing Parquet", remedy="pip install pyarrow, or write .csv")
        frame.to_parquet(file, index=False)
    elif name.endswith(ARROW):
        require("pyarrow", "writing Arrow", remedy="pip install pyarrow, or write .csv")
        frame.to_feather(file)
    else:
        frame.to_csv(file, index=False)
    return file.getvalue()


def _refuse_odd_options(args: argparse.Namespace) -> None:
    headline = remedy = None
    files = [Path(path).resolve() for path in (args.out, args.json) if path not in (None, "-")]
    sources = [Path(path).resolve() for path in (args.model, args.data) if path != "-"]
    if args.model == args.data == "-":
        headline, remedy = (
            "predict: MODEL and DATA cannot both be standard input",
            "name a file for one of them",
        )
    elif args.out == args.json == "-":
        headline, remedy = "predict: --out and --json cannot both be standard output", "name a file for one"
    elif len(set(files)) < len(files):
        headline, remedy = "predict: --out and --json name one file", "name two"
    elif set(files) & set(sources):
        headline, remedy = "predict: the result would be written over what is read", "name another file"
    elif args.out != "-" and not args.out.lower().endswith(_ENDINGS):
        headline, remedy = f"predict: {args.out} has no ending that is known", f"one of {' '.join(_ENDINGS)}"
    if headline is not None:
        raise DataError(message(headline, at="", remedy=remedy))
