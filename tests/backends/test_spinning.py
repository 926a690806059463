"""Workers that spin: work is posted to them, done once and waited for; a worker that sleeps gets none."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import pytest

from xpgrad.backends.cpu import pool
from xpgrad.backends.cpu.llvm.buffer_pool import Workspaces
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.backends.cpu.llvm.program import ready
from xpgrad.backends.cpu.llvm.single_call import WORK_TYPE
from xpgrad.backends.cpu.llvm.spinning import SPIN_WAIT, SharedWork
from xpgrad.backends.cpu.llvm.spinning_text import STATES

pytestmark = pytest.mark.skipif(available() is not None, reason=str(available()))


@pytest.fixture
def spinning(monkeypatch):
    """One worker that spins for long, or as long as the test says."""
    SPIN_WAIT.prepare(ready)
    monkeypatch.setattr(SPIN_WAIT, "_turns", 1 << 40)

    def start(turns: int = 1 << 40) -> None:
        monkeypatch.setattr(SPIN_WAIT, "_turns", turns)
        both = threading.Barrier(2, timeout=10)
        pool.run_chunks(lambda chunk, worker: both.wait(), 2, 2, spins=True)
        time.sleep(0.05)

    yield start
    SPIN_WAIT.call()


class _Counted:
    """Work that notes who did it: ``(operands, thread)``."""

    def __init__(self) -> None:
        self.done: list[tuple[tuple[int, ...], int]] = []
        self.waits = False
        self.native = WORK_TYPE(lambda *given: self.done.append((given[:7], threading.get_ident())))

    def shared(self, threads: int) -> SharedWork:
        address = ctypes.cast(self.native, ctypes.c_void_p).value
        return SharedWork(self._here, [address, 1, 2, 3, 4, 5, 6, 7], Workspaces(64), threads)

    def _here(self, part: int, worker: int) -> None:
        self.done.append(((), threading.get_ident()))
        until = time.monotonic() + 10 * self.waits
        while self.done[-1][0] == () and time.monotonic() < until:
            time.sleep(0)  # until the worker has taken it


def test_a_worker_that_lingers_does_what_is_posted_each_time_once(spinning):
    spinning()
    counted = _Counted()
    counted.waits = True
    share = counted.shared(2)
    for _ in range(50):
        share()
    posted = [who for given, who in counted.done if given == (1, 2, 3, 4, 5, 6, 7)]
    here = [who for given, who in counted.done if given == ()]
    assert len(posted) == len(here) == 50
    assert len(set(posted)) == 1
    assert set(here) == {threading.get_ident()}
    assert not set(posted) & set(here)


def test_what_no_worker_takes_is_withdrawn(spinning, monkeypatch):
    spinning(turns=1)  # it sleeps
    free = SPIN_WAIT._mailboxes[:1, :1]
    monkeypatch.setattr(SPIN_WAIT, "_turns", 1 << 40)
    free[...] = STATES["FREE"]  # as if it spun on a core that it does not get
    try:
        counted = _Counted()
        counted.shared(2)()
        assert counted.done == [((), threading.get_ident())]
        assert free == STATES["FREE"]
    finally:
        free[...] = STATES["ASLEEP"]


def test_nothing_is_posted_to_a_worker_that_sleeps(spinning):
    spinning(turns=1)
    counted = _Counted()
    counted.shared(2)()
    assert all(given == () for given, _ in counted.done)
    assert counted.done


def test_a_job_of_pythons_ends_the_spinning(spinning):
    spinning()
    both = threading.Barrier(2, timeout=10)
    pool.run_chunks(lambda chunk, worker: both.wait(), 2, 2)


def test_inside_of_a_task_the_thread_does_all_of_the_work_itself(spinning):
    spinning()
    counted = _Counted()
    share = counted.shared(2)
    pool.run_chunks(lambda chunk, worker: share() if chunk == 0 else None, 2, 2)
    assert [given for given, _ in counted.done] == [()]


PROGRAM = """
import os
import sys
import threading

import numpy as np
import xpgrad as xg

X = np.random.default_rng(0).normal(size=(300, 4000)).astype("f4")
w = np.ones((1, 300), "f4")
steps = [xg.compile(xg.value_and_grad(lambda w, X, k=k: np.mean((w @ X - k) ** 2))) for k in range(2)]
expected = [step(w, X) for step in steps]


def same(k):
    value, gradient = steps[k](w, X)
    return value == expected[k][0] and np.array_equal(gradient, expected[k][1])


found = []
threads = [
    threading.Thread(target=lambda k=k: found.append(all(same(k % 2) for _ in range(150)))) for k in range(4)
]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert found == [True] * 4, found
if hasattr(os, "fork"):
    child = os.fork()
    if child == 0:
        os._exit(0 if same(0) and same(0) and same(1) else 1)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_four_callers_and_a_child_of_a_fork_get_the_same_bits():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "XPGRAD_NUM_THREADS": "3"},
    )
    assert done.returncode == 0, done.stderr
