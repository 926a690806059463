"""A progress bar on standard error, by ``rich`` if it is installed.

Holds: it is closed and gone when the fit ends, also by an exception or Ctrl-C; it redraws at most
ten times a second, whatever the speed of the iterations.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic
from typing import Any

from xpgrad.optim.records import Record, Show

_INTERVAL = 0.1  # seconds


@contextmanager
def progress_bar(title: str, total: int, progress: bool | None) -> Iterator[Show | None]:
    """Show how far a fit is.

    Parameters
    ----------
    title : str
    total : int
        Iterations at most.
    progress : bool or None
        None shows it only on a terminal.

    Yields
    ------
    callable or None
        To be called with each Record; None where nothing is shown.
    """
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (terminal if progress is None else progress):
        yield None
    elif terminal and find_spec("rich") is not None:
        with _rich_bar(title, total) as draw:
            yield _throttled(draw)
    else:
        with _plain_line(title, total) as draw:
            yield _throttled(draw)


def _throttled(draw: Show) -> Show:
    last = -_INTERVAL

    def show(record: Record) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= _INTERVAL:
            last = now
            draw(record)

    return show


@contextmanager
def _rich_bar(title: str, total: int) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import Progress

    bar: Any = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
    with bar:
        task = bar.add_task(title, total=total)

        def draw(record: Record) -> None:
            description = f"{title}: loss {record.value:.6g}"
            bar.update(task, completed=record.iteration, description=description, refresh=True)

        yield draw


@contextmanager
def _plain_line(title: str, total: int) -> Iterator[Show]:
    width = 0

    def draw(record: Record) -> None:
        nonlocal width
        line = f"{title}: iteration {record.iteration} of at most {total}, loss {record.value:.6g}"
        sys.stderr.write("\r" + line.ljust(width))
        sys.stderr.flush()
        width = len(line)

    try:
        yield draw
    finally:
        sys.stderr.write("\r" + " " * width + "\r")
        sys.stderr.flush()
