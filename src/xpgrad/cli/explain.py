"""``xpgrad explain``: what a saved model is, and what it was trained on.

In:  a model file of `xpgrad train`.
Out: columns with their types and levels, what missing values become, rows, date, coefficients, metrics and
version; with ``--json`` the same for a program.
Status: 0.
"""

from __future__ import annotations

import argparse
import json

from xpgrad.cli.arguments import status_text
from xpgrad.cli.sources import source_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``xpgrad explain``."""
    parser.epilog = status_text("the model is described")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="MODEL", help="a file that xpgrad train saved; - is standard input")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(args: argparse.Namespace) -> int:
    """Read and describe."""
    from xpgrad.cli.models import text
    from xpgrad.cli.models.stored import read_model

    record = read_model(source_of(args.model)).record
    print(json.dumps(record, indent=2, allow_nan=False) if args.json else text.of_file(args.model, record))
    return 0
