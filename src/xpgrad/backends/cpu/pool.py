"""Our thread pool, which shares the chunks of a region among the cores.

In:  a task, the number of its chunks, and the number of threads that may share them.
Out: nothing; the task writes its results. An exception in it is raised in the caller.
Holds: when `run_chunks` returns or raises, no thread is in the task any more. Timing decides which thread
       runs which chunk, so results must not depend on it. If several chunks fail, the error of the first
       chunk is raised, whatever the number of threads.

The caller works too, as worker 0, and needs no other worker to finish: it does not wait for workers that are
busy elsewhere, or that have not woken up when the chunks are gone. So calls from several threads share the
workers and cannot block each other, and idle workers sleep.
"""

from __future__ import annotations

import math
import operator
import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Protocol

from xpgrad._errors import message

VARIABLE = "XPGRAD_NUM_THREADS"

Task = Callable[[int, int], None]


def thread_count(threads: int | None = None) -> int:
    """The number of threads to use.

    Parameters
    ----------
    threads : int, optional
        The user's number. Without it, ``$XPGRAD_NUM_THREADS``; without that, the CPUs that this process may
        use.

    Raises
    ------
    ValueError
        Not a positive integer.
    """
    if threads is not None:
        count = _positive(threads)
        if count is None:
            raise ValueError(message(f"threads must be a positive integer, got {threads!r}"))
        return count
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return _usable_cpus()
    count = _positive(int(text)) if text.isdecimal() else None
    if count is None:
        raise ValueError(message(f"{VARIABLE} must be a positive integer, got {text!r}"))
    return count


def run_chunks(task: Task, n_chunks: int, threads: int, spins: bool = False) -> None:
    """Call ``task(chunk, worker)`` for each ``chunk < n_chunks``, on up to ``threads`` threads.

    Parameters
    ----------
    task : callable
        Two calls at the same time have different ``worker``, ``0 <= worker < threads``. Chunks are handed out
        in order, each to the next worker that is free.
    n_chunks, threads : int
        If either is 1, and inside another task, the caller runs all chunks itself.
    spins : bool
        Whether the workers spin afterwards, as there may soon be work that is posted to them. Where a library
        with threads of its own comes next, they would keep its cores.

    Notes
    -----
    After an exception, or Ctrl-C in the caller, no further chunks are handed out, and the call waits for
    those that have begun.
    """
    helpers = min(threads, n_chunks) - 1
    if helpers < 1 or _here.working:
        for chunk in range(n_chunks):
            task(chunk, 0)
        return
    job = _Job(task, n_chunks, spins)
    _here.working = True
    try:
        try:
            _pool.offer(job, helpers)
            job.work(0)
        finally:
            job.finish()
    except BaseException:
        job.finish()  # again, in case Ctrl-C came just before it could
        raise
    finally:
        _here.working = False
    job.raise_error()


class _Job:
    """The chunks of one call, and the workers on them."""

    def __init__(self, task: Task, n_chunks: int, spins: bool) -> None:
        self._task = task
        self.spins = spins
        self._n_chunks = n_chunks
        self._lock = threading.Lock()  # for the attributes below
        self._next = 0
        self._entered = 1  # workers so far, with the caller
        self._active = 0  # helpers in the task
        self._closed = False
        self._last_left: threading.Lock | None = None  # released by the last helper, if the caller waits
        self._failed = n_chunks
        self._error: Exception | None = None

    def help(self) -> None:
        """Run a helper from its first chunk to its last; it has none if it comes too late."""
        with self._lock:
            if self._closed or self._next >= self._n_chunks:
                return
            worker = self._entered
            self._entered += 1
            self._active += 1
        try:
            self.work(worker)
        finally:
            with self._lock:
                self._active -= 1
                if self._active == 0 and self._last_left is not None:
                    self._last_left.release()

    def work(self, worker: int) -> None:
        """Take chunks until there are none. An exception is kept, and ends the handing out."""
        task = self._task
        while True:
            with self._lock:
                chunk = self._next
                if chunk >= self._n_chunks:
                    return
                self._next = chunk + 1
            try:
                task(chunk, worker)
            except Exception as error:
                with self._lock:
                    self._next = self._n_chunks
                    if chunk < self._failed:
                        self._failed, self._error = chunk, error
                return

    def finish(self) -> None:
        """Hand out nothing more, and wait until no helper is in the task. Ctrl-C waits too."""
        interrupt = None
        while True:
            try:
                _pool.withdraw(self)
                with self._lock:
                    self._closed = True
                    self._next = self._n_chunks
                    if self._active == 0:
                        break
                    if self._last_left is None:
                        self._last_left = threading.Lock()
                        self._last_left.acquire()
                self._last_left.acquire()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # or it would hold itself, by this frame, and with it the task's arrays


class Idling(Protocol):
    """What a worker does between two jobs; workers are numbered from 0."""

    def begin(self, worker: int) -> None:
        """The worker has been woken up."""

    def spin(self, worker: int) -> None:
        """It has no job; on return it sleeps."""

    def call(self) -> None:
        """There is a job: `spin` is to return."""

    def forget(self) -> None:
        """The workers are gone: this is the child of a fork."""


class _Pool:
    """Daemon threads that wait for jobs. They start when they are first needed, and are kept."""

    def __init__(self) -> None:
        self.size = 0
        self._lock = threading.Lock()
        # A job stands here once for each helper that it may have. Its caller takes out the rest.
        self._openings: list[_Job] = []
        # Each entry wakes one worker, which then takes openings until there are none, so more entries than
        # workers are never needed.
        self._bells: SimpleQueue[None] = SimpleQueue()

    def offer(self, job: _Job, helpers: int) -> None:
        if self.size < helpers:
            self._grow(helpers)
        with self._lock:
            self._openings += [job] * helpers
        if spin_wait is not None:
            spin_wait.call()
        for _ in range(min(helpers, self.size - self._bells.qsize())):
            self._bells.put(None)

    def withdraw(self, job: _Job) -> None:
        with self._lock:
            if job in self._openings:
                self._openings = [other for other in self._openings if other is not job]

    def _grow(self, size: int) -> None:
        with self._lock:
            while self.size < size:
                thread = threading.Thread(
                    target=self._serve, args=(self.size,), name=f"xpgrad-{self.size + 1}", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:
                    return  # no more threads can start, or Python is about to exit: fewer are enough
                self.size += 1

    def _serve(self, number: int) -> None:
        _here.working = True  # a task that calls run_chunks runs all chunks itself
        while True:
            self._bells.get()
            if spin_wait is not None:
                spin_wait.begin(number)
            spins = False
            while (job := self._opening()) is not None:
                job.help()
                spins = job.spins
            if spin_wait is not None and spins:
                spin_wait.spin(number)

    def _opening(self) -> _Job | None:
        with self._lock:
            return self._openings.pop(0) if self._openings else None


class _Here(threading.local):
    """Whether this thread is in a task."""

    working = False


_here = _Here()
_pool = _Pool()
spin_wait: Idling | None = None
"""Where idle workers look for work for a while, before they sleep."""


def size() -> int:
    """The number of workers."""
    return _pool.size


def is_working() -> bool:
    """Whether this thread is in a task."""
    return _here.working


def _after_fork() -> None:
    global _pool
    _pool = _Pool()  # a child has the thread that forked, and no other
    if spin_wait is not None:
        spin_wait.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# The number of threads ----------------------------------------------------------------------------------


def _positive(count: object) -> int | None:
    if isinstance(count, bool):
        return None
    try:
        value = operator.index(count)  # type: ignore[arg-type]
    except TypeError:
        return None
    return value if value >= 1 else None


def _usable_cpus() -> int:
    count: int | None
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        count = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count()
    return max(1, min(count or 1, _quota()))


@cache
def _quota(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int:
    """The CPUs that a container may use by its quota, rounded up; a large number without a quota.

    Version 2 of cgroups: the tightest ``cpu.max`` (``"150000 100000"`` is 1.5 CPUs) on the way up from the
    group of this process.
    """
    tightest = math.inf
    try:
        with open(membership) as file:
            group = next(line.rstrip("\n")[3:] for line in file if line.startswith("0::"))
    except (OSError, StopIteration):
        return 1 << 20
    while True:
        try:
            with open(f"{root}{group.rstrip('/')}/cpu.max") as file:
                quota, period = file.read().split()
            if quota != "max":
                tightest = min(tightest, int(quota) / int(period))
        except (OSError, ValueError):
            pass  # the root has no limit, and a container may not see what is above it
        if group in ("", "/"):
            break
        group = os.path.dirname(group)
    return 1 << 20 if tightest == math.inf else max(1, math.ceil(tightest))
