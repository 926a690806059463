"""Workers of the pool wait actively for a while before they sleep, in native code.

To wake a thread takes as long as to go through a megabyte, and now and then ten times as long. So after a job a
worker spins in `@spin` for `SPIN_S`, without the GIL, and the next program posts its work to it.

A mailbox of `WORDS` words is what a worker and a caller have between them. Its first word is the state:

    ASLEEP ─worker─> FREE ─caller─> HELD ─caller─> POSTED ─worker─> DONE ─caller─> FREE
                      └─worker─> ASLEEP                              └─worker─> LEFT ─caller─> ASLEEP

Holds: work is posted only to workers that are FREE. Each then ends as DONE or LEFT, and its caller waits for
that, whatever happens meanwhile.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.backends.cpu import pool
from xpgrad.backends.cpu.llvm import build
from xpgrad.backends.cpu.llvm.buffer_pool import Workspaces, address

WORKERS = 64
"""The most workers that spin."""

WORDS = 16
SPIN_S = 500e-6
ASLEEP, FREE, HELD, POSTED, DONE, LEFT = range(6)

_JOB, _WORKSPACE, _CALLED = (
    1,
    2,
    8,
)  # words of a mailbox after its state; the last in a cache line of its own
STATES = {"ASLEEP": ASLEEP, "FREE": FREE, "HELD": HELD, "POSTED": POSTED, "DONE": DONE, "LEFT": LEFT}
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64

_TEXT = """
define void @spin(ptr %mailbox, i64 %turns) {{
start:
  %jobs = getelementptr i64, ptr %mailbox, i64 {job}
  %spaces = getelementptr i64, ptr %mailbox, i64 {workspace}
  %calls = getelementptr i64, ptr %mailbox, i64 {called}
  %enter = cmpxchg ptr %mailbox, i64 {ASLEEP}, i64 {FREE} acq_rel acquire, align 8
  %entered = extractvalue {{ i64, i1 }} %enter, 1
  br i1 %entered, label %look, label %end ; otherwise a caller has not yet seen that the last job is done
look:
  %left = phi i64 [ %turns, %start ], [ %turns, %work ], [ %fewer, %idle ], [ 0, %leave ]
  %state = load atomic i64, ptr %mailbox acquire, align 8
  %posted = icmp eq i64 %state, {POSTED}
  br i1 %posted, label %work, label %idle
work:
  %job = load ptr, ptr %jobs, align 8
  %workspace = load ptr, ptr %spaces, align 8
  call void @run(ptr %job, ptr %workspace)
  store atomic i64 {DONE}, ptr %mailbox release, align 8
  br label %look
idle:
  {pause}
  %fewer = sub nsw i64 %left, 1
  %called = load atomic i64, ptr %calls monotonic, align 8
  %wanted = icmp ne i64 %called, 0
  %over = icmp slt i64 %fewer, 0
  %leaves = or i1 %wanted, %over
  br i1 %leaves, label %leave, label %look
leave:
  %from.free = cmpxchg ptr %mailbox, i64 {FREE}, i64 {ASLEEP} acq_rel acquire, align 8
  %slept = extractvalue {{ i64, i1 }} %from.free, 1
  %from.done = cmpxchg ptr %mailbox, i64 {DONE}, i64 {LEFT} acq_rel acquire, align 8
  %went = extractvalue {{ i64, i1 }} %from.done, 1
  %gone = or i1 %slept, %went
  br i1 %gone, label %end, label %look
end:
  ret void
}}

define internal void @run(ptr %job, ptr %workspace) {{
  {loads}
  call void %f(ptr %w1, ptr %w2, i64 %w3, i64 %w4, i64 %w5, ptr %w6, i64 %w7, ptr %workspace)
  ret void
}}

define void @post(ptr %mailboxes, i64 %n, i64 %wanted, ptr %job, ptr %workspaces, ptr %taken) {{
start:
  br label %next
next:
  %k = phi i64 [ 0, %start ], [ %k1, %mailbox.end ]
  %count = phi i64 [ 0, %start ], [ %count1, %mailbox.end ]
  %more = icmp slt i64 %k, %n
  %lack = icmp slt i64 %count, %wanted
  %go = and i1 %more, %lack
  br i1 %go, label %try, label %end
try:
  %at = mul nsw i64 %k, {words}
  %mailbox = getelementptr i64, ptr %mailboxes, i64 %at
  %x = cmpxchg ptr %mailbox, i64 {FREE}, i64 {HELD} acq_rel acquire, align 8
  %held = extractvalue {{ i64, i1 }} %x, 1
  br i1 %held, label %fill, label %mailbox.end
fill:
  %jobs = getelementptr i64, ptr %mailbox, i64 {job}
  store ptr %job, ptr %jobs, align 8
  %given = getelementptr ptr, ptr %workspaces, i64 %count
  %workspace = load ptr, ptr %given, align 8
  %spaces = getelementptr i64, ptr %mailbox, i64 {workspace}
  store ptr %workspace, ptr %spaces, align 8
  store atomic i64 {POSTED}, ptr %mailbox release, align 8
  %mark = getelementptr i64, ptr %taken, i64 %count
  store i64 %k, ptr %mark, align 8
  %one.more = add nsw i64 %count, 1
  br label %mailbox.end
mailbox.end:
  %count1 = phi i64 [ %count, %try ], [ %one.more, %fill ]
  %k1 = add nsw i64 %k, 1
  br label %next
end:
  %total = getelementptr i64, ptr %taken, i64 %wanted
  store i64 %count, ptr %total, align 8
  ret void
}}

define i64 @settled(ptr %mailboxes, ptr %taken, i64 %count, i64 %turns) {{
start:
  br label %next
next:
  %left = phi i64 [ %count, %start ], [ %last, %free ], [ %last, %asleep ]
  %more = icmp sgt i64 %left, 0
  br i1 %more, label %one, label %end
one:
  %last = sub nsw i64 %left, 1
  %mark = getelementptr i64, ptr %taken, i64 %last
  %k = load i64, ptr %mark, align 8
  %at = mul nsw i64 %k, {words}
  %mailbox = getelementptr i64, ptr %mailboxes, i64 %at
  br label %wait
wait:
  %turn = phi i64 [ %turns, %one ], [ %turn, %done ], [ %turn1, %spin ]
  %state = load atomic i64, ptr %mailbox acquire, align 8
  switch i64 %state, label %spin [ i64 {DONE}, label %done
                                   i64 {LEFT}, label %asleep ]
done:
  %x = cmpxchg ptr %mailbox, i64 {DONE}, i64 {FREE} acq_rel acquire, align 8
  %freed = extractvalue {{ i64, i1 }} %x, 1
  br i1 %freed, label %free, label %wait
free:
  br label %next
asleep:
  store atomic i64 {ASLEEP}, ptr %mailbox release, align 8
  br label %next
spin:
  {pause}
  %turn1 = sub nsw i64 %turn, 1
  %over = icmp slt i64 %turn1, 0
  br i1 %over, label %end, label %wait
end:
  ret i64 %left
}}
"""


def _text() -> str:
    kinds = ["ptr", "ptr", "ptr", "i64", "i64", "i64", "ptr", "i64"]
    loads = [
        f"%p{i} = getelementptr i64, ptr %job, i64 {i}\n  %{name} = load {kind}, ptr %p{i}, align 8"
        for i, (kind, name) in enumerate(zip(kinds, ["f", *[f"w{i}" for i in range(1, 8)]], strict=True))
    ]
    pause = "call void @llvm.x86.sse2.pause()" if build.is_x86() else ""
    text = _TEXT.format(
        job=_JOB,
        workspace=_WORKSPACE,
        called=_CALLED,
        words=WORDS,
        pause=pause,
        loads="\n  ".join(loads),
        **STATES,
    )
    return text + ("declare void @llvm.x86.sse2.pause()\n" if pause else "")


class SpinWait:
    """The mailboxes of all workers, and the native functions over them."""

    def __init__(self) -> None:
        block = np.zeros(8 * WORDS * (WORKERS + 2), np.uint8)
        start = -address(block) % (8 * WORDS)
        self._mailboxes = block[start : start + 8 * WORDS * (WORKERS + 1)].view(np.int64).reshape(-1, WORDS)
        self._at = address(self._mailboxes)
        self._turns = 0

    def prepare(self, ready: Any) -> None:
        """Load the native functions, and let the pool's workers spin."""
        if pool.spin_wait is self:
            return
        self._loaded, _ = ready(_text(), ("spin", "post", "settled"))
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
            self._mailboxes[worker, _CALLED] = 0

    def call(self) -> None:
        """End the spinning of all workers, since there is a job of Python's."""
        self._mailboxes[:WORKERS, _CALLED] = 1

    def forget(self) -> None:
        """After a fork, in a process without these threads."""
        self._mailboxes[...] = 0

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


SPIN_WAIT = SpinWait()


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
                pool.run_chunks(self._work, lacking + 1, lacking + 1)
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
