"""Files that a command writes, and its messages while it works.

Holds: a file appears whole or not at all, and one that was there before stays until then; progress goes
to standard error, results to standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from xpgrad._errors import XpgradError, message
from xpgrad.cli.extras import installed, require


def check_writable(path: Path, option: str) -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold.

    Raises
    ------
    XpgradError
        Its folder is missing or cannot be written to, or it is a folder itself.
    """
    path = path.resolve()
    if path.is_dir():
        raise XpgradError(message(f"{option}: {path} is a folder", at="", remedy="name a file in it"))
    if not path.parent.is_dir():
        raise XpgradError(
            message(f"{option}: there is no folder {path.parent}", at="", remedy=f"mkdir -p {path.parent}")
        )
    if _is_special(path):
        return
    beside = _beside(path)
    try:
        beside.touch(exist_ok=False)
    except OSError as error:
        raise XpgradError(
            message(f"{option}: cannot write to {path.parent}", {"reason": str(error.strerror)}, at="")
        ) from error
    beside.unlink()


def write(path: Path, text: str) -> None:
    """Write a file in one go: what is interrupted leaves no half of it."""
    write_bytes(path, text.encode())


def write_bytes(word: str | Path, content: bytes) -> None:
    """Write bytes to a file in one go, or with ``-`` to standard output.

    Raises
    ------
    XpgradError
        The file cannot be written, on a full disk for example; what was there before stays.
    """
    with opened(word) as file:
        file.write(content)


@contextmanager
def opened(word: str | Path) -> Iterator[IO[bytes]]:
    """A file that is there, whole, when the context ends without an error; with ``-`` standard output.

    Raises
    ------
    XpgradError
        As `write_bytes`.
    """
    if str(word) == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()  # `main` speaks of what fails here
        return
    path = Path(word).resolve()
    special = _is_special(path)
    beside = path if special else _beside(path)
    try:
        with open(beside, "wb") as file:
            yield file
            if not special:
                file.flush()
                os.fsync(file.fileno())
        if not special:
            os.replace(beside, path)
    except OSError as error:
        kept = {} if special or not path.exists() else {"kept": "the file that was there before"}
        raise XpgradError(
            message(f"cannot write {path}", {"reason": str(error.strerror), **kept}, at="")
        ) from error
    finally:
        if not special:
            beside.unlink(missing_ok=True)


class Lines:
    """What a command says for people: on standard output, unless that is where a result goes."""

    def __init__(self, stdout_is_taken: bool) -> None:
        self._file = sys.stderr if stdout_is_taken else sys.stdout

    def say(self, text: str) -> None:
        """Print a text, if there is one."""
        if text:
            print(text, file=self._file, flush=True)


def say(line: str) -> None:
    """Tell who waits what is being done."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Show how far a long piece of work is: a bar on a terminal, elsewhere one line.

    Yields
    ------
    callable
        ``advance(label)``: the next of ``total`` steps begins. Without a total there are no steps.
    """
    if not (sys.stderr.isatty() and installed("rich")):
        say(f"{title} ...")
        yield lambda label: None
        return
    console = require("rich.console", "the progress bar").Console(stderr=True)
    bar = require("rich.progress", "the progress bar").Progress(console=console, transient=True)
    with bar:
        task = bar.add_task(title, total=total)
        begun = 0

        def advance(label: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, description=f"{title}: {label}")
            begun += 1

        yield advance


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _is_special(path: Path) -> bool:
    """A device or a pipe, such as ``/dev/null``: it is written to, never replaced."""
    return path.exists() and not path.is_file()
