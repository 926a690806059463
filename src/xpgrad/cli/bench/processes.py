"""Processes that compute one at a time, and their side of the conversation.

In:  a module that answers (`serve`), its arguments.
Out: an `Answering`, asked by `ask`.
Holds: outside of `ask` the process and its children are stopped. So the pools of those that wait do
not spin on the cores of the one whose turn it is, whatever their settings. On Linux the process ends with
the one that started it, even if that is killed (`end_with_parent`): it may be stopped, and hold a card's
memory.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import TIMEOUT_MAX, Event, Timer
from typing import Any


class Missing(Exception):
    """The contender's library is not there; the message says which."""


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

    def __enter__(self) -> Answering:
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


# ── in the process ───────────────────────────────────────────────────────────────────────────
PARENT = "XPGRAD_BENCH_PARENT"  # the environment's name for the number of the process that asks
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def end_with_parent(parent: int) -> None:
    """Have Linux kill this process when the thread that started it is gone, or end now if it is gone already.

    A killed parent closes our standard input, but whoever is stopped does not see that.
    """
    if not sys.platform.startswith("linux"):
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")


def serve(worker: Any) -> None:
    """Have ``worker`` do what standard input says, and answer."""
    if PARENT in os.environ:  # not where someone types the commands
        end_with_parent(int(os.environ[PARENT]))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(worker, command.pop("do"))(**command)
        except Missing as missing:
            answer = {"missing": str(missing)}
        print(json.dumps(answer), file=answers, flush=True)


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, name
    return 1024 * int(found[1])


def settled_bytes() -> int:
    """Resident bytes, once what is free went back to the system: malloc would serve the next step from it."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim:
        trim(0)
    return _status("VmRSS")


def peak_of(step: Any) -> dict[str, Any]:
    """Bytes that a call needs at most beyond what lay there before it."""
    if not Path("/proc/self/clear_refs").exists():
        return {"unknown": "this system has no /proc/self/clear_refs"}
    settled = settled_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    result = step()
    peak = _status("VmHWM")
    del result
    return {"step_bytes": max(peak - settled, 0)}
