"""Processes that run one at a time.

In:  a module that answers (`bench.peers.worker.serve`), a workload, a contender.
Out: a Process, asked by `ask`.
Holds: outside of `ask` the process and its children are stopped. So the pools of those that wait do
not spin on the cores of the one whose turn it is, whatever their settings. On Linux the process ends with
the one that started it, even if that is killed (`bench.peers.worker.end_with_parent`): it may be stopped,
and hold a card's memory.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import TIMEOUT_MAX, Event, Timer
from typing import Any

from bench.peers.worker import PARENT


class Died(SystemExit):
    """A process ended instead of answering; the message has what it wrote to standard error."""


class Answering:
    """A module in a process of its own, with a line of JSON for each line of JSON. ``with`` ends it.

    To be made in the main thread: the process ends with the thread that started it.
    """

    def __init__(
        self, module: str, *arguments: str, name: str, environment: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in __exit__)
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | (environment or {}) | {PARENT: str(os.getpid())},
            start_new_session=True,  # a process group: torch.compile's helpers stop with it
        )

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            assert stream
            with suppress(BrokenPipeError):  # what was not yet sent to a process that is gone
                stream.close()

    def kill(self) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def ask(self, do: str, *, within_s: float | None = None, **arguments: Any) -> Any:
        """Have it do one thing, with the machine to itself; ``{"missing": why}`` if it cannot be there.

        Raises
        ------
        Died
            It ended instead, or took longer than ``within_s`` and was ended.
        """
        assert self.process.stdin
        assert self.process.stdout
        os.killpg(self.process.pid, signal.SIGCONT)
        with self._at_most(within_s) as late:
            try:
                self.process.stdin.write(json.dumps({"do": do} | arguments) + "\n")
                self.process.stdin.flush()
                line = self.process.stdout.readline()
            except BrokenPipeError:
                line = ""
        if not line:
            self.process.wait()
            if late.is_set():
                raise Died(f"{self.name}: {do!r} took longer than {within_s:.0f} s")
            self.errors.seek(0)
            raise Died(f"{self.name} failed in {do!r}:\n{self.errors.read()[-4000:]}")
        os.killpg(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # stopped, not about to be
        return json.loads(line)

    @contextmanager
    def _at_most(self, seconds: float | None) -> Iterator[Event]:
        """End the process once that time has passed, and set the event."""
        late = Event()

        def end() -> None:
            late.set()
            os.killpg(self.process.pid, signal.SIGKILL)

        timer = Timer(TIMEOUT_MAX if seconds is None else seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()


class Process(Answering):
    """A worker of `bench.peers.worker`."""

    def __init__(
        self, workload: str, contender: str, size: str, environment: dict[str, str] | None = None
    ) -> None:
        super().__init__(
            "bench.peers.worker",
            workload,
            contender,
            size,
            name=f"{contender} on {workload}",
            environment=environment,
        )
