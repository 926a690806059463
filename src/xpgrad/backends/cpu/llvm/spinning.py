"""Workers of the pool wait actively for a while before they sleep, in native code.

To wake a thread takes as long as to go through a megabyte, and now and then ten times as long. So after a job a
worker spins in `@spin` for `SPIN_S`, without the GIL, and the next program posts its work to it.

A mailbox of `WORDS` words is what a worker and a caller have between them. Its first word is the state:

    ASLEEP ─worker─> FREE ─caller─> HELD ─caller─> POSTED ─worker─> TAKEN ─worker─> DONE ─caller─> FREE
                      └─worker─> ASLEEP             └─caller─> FREE  └─worker─> LEFT ─caller─> ASLEEP

Holds: work is posted only to workers that are FREE. What a worker has TAKEN ends as DONE or LEFT, and its
caller waits for that, whatever happens meanwhile. What none has taken when nothing is left to do is withdrawn:
the worker may be waiting for a core.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.cpu import pool
from xpgrad.backends.cpu.llvm.buffer_pool import Workspaces, address
from xpgrad.backends.cpu.llvm.spinning_text import CALLED, STAGE, WORDS, text

WORKERS = 64
"""The most workers that spin."""

SPIN_S = 500e-6
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64


class SpinWait:
    """The mailboxes of all workers, and the native functions over them."""

    def __init__(self) -> None:
        block = np.zeros(8 * WORDS * (WORKERS + 2), np.uint8)
        start = -address(block) % (8 * WORDS)
        self._mailboxes = block[start : start + 8 * WORDS * (WORKERS + 1)].view(np.int64).reshape(-1, WORDS)
        self._at = address(self._mailboxes)
        self._count = np.zeros(1, np.int64)  # the workers that have begun
        self._turns = 0

    def prepare(self, ready: Any) -> None:
        """Load the native functions, and let the pool's workers spin."""
        if pool.spin_wait is self:
            return
        self._loaded, _ = ready(text(), ("spin", "post", "settled", "enough", "drive"))
        self._spin = ctypes.CFUNCTYPE(None, _POINTER, _SIZE)(self._loaded["spin"])
        self._post = ctypes.CFUNCTYPE(None, *[_POINTER, _SIZE, _SIZE, *[_POINTER] * 3])(self._loaded["post"])
        self._settled = ctypes.CFUNCTYPE(_SIZE, _POINTER, _POINTER, _SIZE, _SIZE)(self._loaded["settled"])
        turns = 1000
        begin = time.perf_counter()
        self._spin(self._at + 8 * WORDS * WORKERS, turns)
        self._turns = max(1, int(turns * SPIN_S / max(time.perf_counter() - begin, 1e-9)))
        pool.spin_wait = self

    # ── for the pool ─────────────────────────────────────────────────────────────────────────
    def spin(self, worker: int) -> None:
        """Do what is posted to this worker, and return when nothing has come for `SPIN_S`."""
        if worker < WORKERS:
            self._spin(self._at + 8 * WORDS * worker, self._turns)

    def begin(self, worker: int) -> None:
        """The worker has seen what it was called for."""
        if worker < WORKERS:
            self._mailboxes[worker, CALLED] = 0
            self._count[0] = max(self._count[0], worker + 1)

    def call(self) -> None:
        """End the spinning of all workers, since there is a job of Python's."""
        self._mailboxes[:WORKERS, CALLED] = 1

    def forget(self) -> None:
        """After a fork, in a process without these threads."""
        self._mailboxes[...] = 0
        self._count[0] = 0

    # ── for a program ────────────────────────────────────────────────────────────────────────
    def post(self, wanted: int, job: int, workspaces: int, taken: int) -> None:
        """Post a job to as many workers that spin as are wanted and there are.

        Parameters
        ----------
        job, workspaces, taken : int
            Addresses of the words of the job, of the address of a workspace for each worker, and of as many
            words and one: the mailboxes of the workers, and their number, as they come back.
        """
        self._post(self._at, min(pool.size(), WORKERS), wanted, job, workspaces, taken)

    def are_done(self, taken: int, count: int) -> int:
        """The number of the first ``count`` workers that are not done after some time."""
        left: int = self._settled(self._at, taken, count, self._turns)
        return left

    def driver(self, main: int, table: int, stages: Sequence[Sequence[int]]) -> Driver | None:
        """A program in stages behind one native function; None where no thread can let others run."""
        yield_ = _yield()
        if yield_ is None:
            return None
        rows = np.array(stages, np.int64).reshape(-1, len(STAGE))
        most = int(rows[:, STAGE.index("wanted")].max())
        words = (main, table, self._at, address(self._count), yield_, self._turns, most, address(rows))
        return Driver(self._loaded["drive"], self._loaded["enough"], np.array(words, np.int64), rows)


SPIN_WAIT = SpinWait()


class Driver(NamedTuple):
    """A program some of whose stages spinning workers share.

    Attributes
    ----------
    drive, enough : int
        The native functions that run it, and that say whether enough workers spin.
    words, stages : int64[...]
        What these take: `DRIVER`, and a row of `STAGE` for each stage.
    """

    drive: int
    enough: int
    words: Any
    stages: Any


@cache
def _yield() -> int | None:
    """The address of the function of the system by which a thread lets others run."""
    for library, name in ((None, "sched_yield"), ("kernel32", "SwitchToThread")):
        try:
            return ctypes.cast(getattr(ctypes.CDLL(library), name), _POINTER).value
        except (OSError, AttributeError, TypeError):
            continue
    return None


class SharedWork:
    """Work that the caller shares with workers: calling it does all of it.

    Parameters
    ----------
    work : callable
        ``work(part, worker)``, as in `pool.run_chunks`: it does whatever is left, in a workspace of its own.
    job : sequence of int
        The address of a native function of that kind, and its operands before the workspace.
    workspaces : Workspaces
    threads : int
        The caller and the most workers together.

    Notes
    -----
    It belongs to one call at a time.
    """

    def __init__(
        self, work: Callable[[int, int], None], job: list[int], workspaces: Workspaces, threads: int
    ) -> None:
        self._work, self._workspaces, self._others = work, workspaces, threads - 1
        self._job = np.array(job, np.int64)
        self._spaces, self._taken = np.zeros(self._others, np.int64), np.zeros(threads, np.int64)
        self._given = tuple(map(address, (self._job, self._spaces, self._taken)))

    def stage(self) -> tuple[list[int], list[Any]]:
        """The words of a stage of a `Driver`, and the arrays that they are the addresses of."""
        blocks, spaces = zip(*[self._workspaces.take() for _ in range(self._others + 1)], strict=True)
        others, taken = np.array(spaces[1:], np.int64), np.zeros(self._others + 1, np.int64)
        words = [0, 0, address(self._job), self._others, address(others), spaces[0], address(taken)]
        return words, [self._job, others, taken, *blocks]

    def __call__(self) -> None:
        if pool.is_working() or not self._others:
            self._work(0, 0)
            return
        blocks = []
        for i in range(self._others):
            block, self._spaces[i] = self._workspaces.take()
            blocks.append(block)
        try:
            SPIN_WAIT.post(self._others, *self._given)
            lacking = self._others - int(self._taken[-1])
            if lacking:
                pool.run_chunks(self._work, lacking + 1, lacking + 1, spins=True)
            else:
                self._work(0, 0)
        finally:
            try:
                self._settle()
            finally:
                self._settle()  # again, in case Ctrl-C came just before it could
                for block in blocks:
                    self._workspaces.give(block)

    def _settle(self) -> None:
        """Wait for the workers; Ctrl-C waits too."""
        interrupt = None
        while self._taken[-1]:
            try:
                self._taken[-1] = left = SPIN_WAIT.are_done(self._given[-1], int(self._taken[-1]))
                if left:
                    time.sleep(0)
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt
