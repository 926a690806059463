"""The line that shows how far a fit is, on a terminal.

In:  the loss after each iteration.
Out: a line on standard error that is written over, and gone in the end; the losses.
Holds: a fit that ends within a second shows none.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

PATIENCE = 1.0  # seconds until the first line
INTERVAL = 0.2  # seconds between lines


class Watch:
    """Note each iteration of a fit, and show it to who waits.

    Parameters
    ----------
    title : str
    """

    def __init__(self, title: str) -> None:
        self.losses: list[float] = []
        self._title = title
        self._begun = self._shown = time.monotonic()
        self._width = 0

    def __enter__(self) -> Watch:
        self._begun = time.monotonic()
        self._shown = self._begun + PATIENCE - INTERVAL
        return self

    def __exit__(self, *failure: object) -> None:
        self._write("")

    def note(self, iteration: int, loss: float, most: int) -> None:
        """After an iteration, of which there are ``most``."""
        self.losses.append(float(loss))
        now = time.monotonic()
        if now - self._shown < INTERVAL or not sys.stderr.isatty():
            return
        self._shown = now
        self._write(line(self._title, len(self.losses), loss, most, now - self._begun))

    def _write(self, text: str) -> None:
        """Write over the line before."""
        text = text[: shutil.get_terminal_size().columns - 1]  # a line that wraps is not written over
        if text or self._width:
            end: Any = "\r" if not text else ""
            print(f"\r{text:<{self._width}}", end=end, file=sys.stderr, flush=True)
            self._width = len(text)


def line(title: str, iteration: int, loss: float, most: int, seconds: float) -> str:
    """``train: iteration 12 of at most 100, loss 0.4312, 3.1 a second, at most 28 s left``."""
    rate = iteration / seconds
    left = (most - iteration) / rate
    unit = f"{left / 60:.0f} min" if left >= 100 else f"{left:.0f} s"
    speed = f"{rate:.3g} a second, at most {unit} left"
    return f"{title}: iteration {iteration} of at most {most}, loss {loss:.5g}, {speed}"
