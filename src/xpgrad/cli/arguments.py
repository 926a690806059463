"""Options that several commands have, and the types of their values.

In:  the words of the command line.
Out: values; argparse ends the command with status 2 where a word is none.
"""

from __future__ import annotations

import argparse

from xpgrad.cli.frames import Csv
from xpgrad.data.memory import limit_of


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Declare how a CSV file is written."""
    reading = parser.add_argument_group("reading CSV")
    reading.add_argument("--encoding", default="utf-8-sig", help="(default: UTF-8)")
    reading.add_argument("--delimiter", default=",", type=character, help="or 'tab' (default: ,)")
    reading.add_argument(
        "--missing", metavar="TEXT", action="append", default=[], help="a text that stands for a missing value"
    )


def add_memory(parser: argparse._ActionsContainer) -> None:
    """Declare the limit of memory."""
    parser.add_argument(
        "--memory-limit",
        metavar="BYTES",
        type=memory,
        help="for what is read, as 800MB or 2GiB (default: a quarter of what is free)",
    )


def memory(text: str) -> str:
    try:
        limit_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 800MB or 2GiB") from error
    return text


def csv_of(args: argparse.Namespace) -> Csv:
    """What `add_reading` declared."""
    return Csv(args.encoding, args.delimiter, tuple(args.missing))


def status_text(done: str, but: str | None = None) -> str:
    """The end of ``--help``: what each exit status means."""
    lines = ["exit status:", f"  0    {done}"]
    if but is not None:
        lines.append(f"  1    {but}")
    lines += [
        "  2    an option, the data or a file is at fault; the message says which",
        "  130  Ctrl-C; the message says what was saved",
        "  141  the reader of standard output went away",
    ]
    return "\n".join(lines)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def fraction(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 up to 1")
    return number


def integers(text: str) -> tuple[int, ...]:
    return tuple(positive(word) for word in text.split(","))


def character(text: str) -> str:
    delimiter = {"tab": "\t", r"\t": "\t"}.get(text, text)
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise argparse.ArgumentTypeError(f"{text!r} is not one character")
    return delimiter
