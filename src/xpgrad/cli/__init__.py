"""The command ``xpgrad``: it runs a subcommand, and reports an error in one line and a status.

In:  the words of the command line.
Out: 0; 1 if the subcommand says so; 2 for what the user can mend; 130 after Ctrl-C; 141 where the reader
     of the output went away.
Holds: a subcommand's module is imported only when it is the one that runs.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from xpgrad._errors import XpgradError
from xpgrad._version import __version__

# Each is a module here with `add_arguments(parser)` and `run(args) -> int`.
COMMANDS = {
    "info": "show versions, devices, BLAS, threads and caches; say why a GPU is missing",
    "race": "time one training step as a loop, by hand and by xpgrad, then train, on real flights",
    "train": "fit a model to a table, judge it on held-out rows, save it",
    "predict": "predict with a model that xpgrad train saved",
    "bench": "measure this machine, beside NumPy and other libraries, and write one page about it",
    "explain": "say what a model is, and what it was trained on",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``xpgrad`` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parse(words)
        status: int = import_module(f"{__name__}.{args.command}").run(args)
        sys.stdout.flush()
    except XpgradError as error:
        print(f"xpgrad: error: {_without_place(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print("xpgrad: interrupted" + (f"; {interrupt}" if interrupt.args else ""), file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The interpreter flushes standard output once more when it exits; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"xpgrad: error: {error}", file=sys.stderr)
        if error.errno == errno.ENOSPC:  # it may have been standard output
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    return status


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="xpgrad", description="Gradients of plain NumPy code, on the CPU and on the GPU."
    )
    parser.add_argument("--version", action="version", version=f"xpgrad {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="command", required=True)
    # No option before the subcommand takes a value, so the first plain word is the subcommand.
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == chosen:
            import_module(f"{__name__}.{name}").add_arguments(subparser)
    return parser.parse_args(words)


def _without_place(error: XpgradError) -> str:
    """Drop the line that names the caller's code: who types a command has none."""
    return "\n".join(line for line in str(error).split("\n") if not line.startswith("  at "))
