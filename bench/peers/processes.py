"""Processes that run one at a time.

In:  a workload, a contender.
Out: a Process, asked by `ask`.
Holds: outside of `ask` the process and its children are stopped. So the pools of those that wait do
not spin on the cores of the one whose turn it is, whatever their settings.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any


class Process:
    """A worker. Use it in a ``with`` block, which ends it."""

    def __init__(
        self, workload: str, contender: str, size: str, environment: dict[str, str] | None = None
    ) -> None:
        self.name = f"{contender} on {workload}"
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in __exit__)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.peers.worker", workload, contender, size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | (environment or {}),
            start_new_session=True,  # a process group: torch.compile's helpers stop with it
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            assert stream
            stream.close()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have it do one thing, with the machine to itself; ``{"missing": why}`` if it cannot be there."""
        assert self.process.stdin
        assert self.process.stdout
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps({"do": do} | arguments) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise SystemExit(f"{self.name} failed in {do!r}:\n{self.errors.read()[-4000:]}")
        os.killpg(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # stopped, not about to be
        return json.loads(line)
