"""Follow a fit while it runs.

In:  a function to be called after each iteration, or pass over the data.
Out: nothing; estimators ask for the function when they fit.
Holds: who fits within `watching`, in the same thread, is watched, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[int, float, int], None]

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Call ``watcher(iteration, loss, most)`` after each iteration of the fits in this block.

    ``loss`` is what the solver minimises, the penalty included; ``most`` is the number of iterations at which
    it ends at the latest.
    """
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def callback(most: int) -> Callable[..., None] | None:
    """The callback for a solver of `xpgrad.optim`; None where nobody watches."""
    watcher = _WATCHER.get()
    return None if watcher is None else lambda info: watcher(info.iteration, info.value, most)


def note(iteration: int, loss: float, most: int) -> None:
    """Tell the watcher, if there is one."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(iteration, loss, most)
