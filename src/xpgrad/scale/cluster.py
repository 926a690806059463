"""A cluster of Dask's computes the chunks of each pass: a task for the share of each worker.

In:  a Dask client; from programs, steps with the values that they read.
Out: the partials of all chunks, in order.
Holds: shares are of whole chunks and are put together by the numbers of the chunks, so that the bits are those
of one machine, whatever the number of workers. Nothing is pinned: a share whose worker is lost runs on another,
which reads its samples again. Every wait has a limit.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from time import monotonic, sleep
from typing import Any

import numpy as np

from xpgrad._errors import DependencyError, DeviceError, XpgradError, message
from xpgrad.backends.cpu.llvm.single_call import chunks_of
from xpgrad.backends.cpu.llvm.streamed import StreamedProgram
from xpgrad.backends.streaming import run_by
from xpgrad.data.source import Source
from xpgrad.scale import worker
from xpgrad.scale.packing import Packed, Part, packed, places

_LOST = 15.0
"""Seconds without a scheduler after which it is given up."""

_LOOK = 0.5
"""Seconds between two looks at the scheduler, while results are awaited."""


@contextmanager
def on(client: Any, *, timeout: float = 300.0) -> Iterator[None]:
    """Within the context compiled functions and fits read their sources on a cluster of Dask's.

    Parameters
    ----------
    client : distributed.Client
        Its workers open the same files by the same paths, and have the same versions and kind of CPU.
    timeout : float
        Seconds for one share of a pass at most, and for workers to come.

    Raises
    ------
    DependencyError
        distributed is not installed.
    DeviceError
        No scheduler, no worker in time, or a worker with other versions or another CPU; within the context, a
        scheduler that is lost, a share that takes too long, a worker that is killed again and again.
    TypeError
        ``client`` is no client of Dask's.

    Notes
    -----
    Programs and parameters travel by pickle, so that whoever can talk to the scheduler can run code on its
    workers: a cluster is trusted ground. Dask's TLS settings keep others out.
    """
    with run_by(Cluster(client, timeout)):
        yield


class Cluster:
    """The `Runner` of a Dask client."""

    def __init__(self, client: Any, timeout: float) -> None:
        try:
            import distributed
        except ImportError as error:
            remedy = 'pip install "xpgrad[scale]"'
            what = "a cluster needs the package distributed"
            raise DependencyError(message(what, {"import": str(error)}, remedy=remedy)) from error
        if not isinstance(client, distributed.Client):
            remedy = "from distributed import Client; Client() starts workers on this machine"
            raise TypeError(message("cluster must be a client of Dask's", {"got": repr(client)}, remedy=remedy))
        if not timeout > 0:
            raise ValueError(message(f"timeout must be positive, got {timeout!r}"))
        self._client, self._timeout, self._expected = client, timeout, worker.facts()
        self._packed: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self._check_workers()

    def partials(self, program: StreamedProgram, step: int, env: Any) -> Any:
        """The partials of all chunks of a step, uint8[chunks, bytes]; values of samples go into ``env``."""
        work, at = program.steps[step], places(program.plan.graph)
        for_all = {at[v]: env[v] for v in work.values() if v not in work.of_samples}
        about = self._of_program(program, {v: env[v] for v in program.streams})
        count = chunks_of(program.steps[step].kernel)[0]
        there = self._workers()
        weights = np.cumsum([0, *there.values()])
        bounds = np.rint(weights * count / weights[-1]).astype(int).tolist()
        limit = program.streaming.memory_limit

        def submit(begin: int, end: int, where: str | None) -> Any:
            """A share: of the worker that has had it before, whose memory has its samples, or of any."""
            preferred = {} if where is None else {"workers": [where], "allow_other_workers": True}
            first, last = work.samples_of((begin, end))
            own = {at[v]: Part(first, env[v][first:last], env[v].shape) for v in work.of_samples}
            given = about, self._expected, step, for_all | own, (begin, end), limit
            return self._client.submit(worker.share, *given, pure=False, **preferred)

        shares = [(*of, where) for of, where in zip(pairwise(bounds), there, strict=True) if of[0] < of[1]]
        results = self._results(submit, shares)
        for (begin, end, _), (_, outs) in zip(shares, results, strict=True):
            for node, part in zip(work.kernel.outs, outs, strict=True):
                work.part_of(node, env[node], (begin, end))[...] = part
        return np.concatenate([partials for partials, _ in results])

    # ── workers ──────────────────────────────────────────────────────────────────────────────
    def _workers(self) -> dict[str, int]:
        """The threads of each worker, by its address; in the same order each time."""
        deadline = monotonic() + self._timeout
        while True:
            self._check_scheduler()
            known = self._asked(lambda: self._client.nthreads())
            if known:
                return dict(sorted(known.items()))
            if monotonic() > deadline:
                what = f"cluster: no worker has come to {self._address} in {self._timeout:g} s"
                raise DeviceError(message(what))
            sleep(0.05)

    def _check_workers(self) -> None:
        def submit(_begin: int, _end: int, where: str | None) -> Any:
            return self._client.submit(worker.facts, pure=False, workers=where and [where])

        names = list(self._workers())
        for name, found in zip(names, self._results(submit, [(0, 1, x) for x in names]), strict=True):
            worker.refuse_other(found, self._expected, f"worker {name}")

    def _of_program(self, program: StreamedProgram, sources: dict[Any, Source]) -> Packed:
        key = tuple(map(id, sources.values()))
        known = self._packed.get(program)
        if known is None or known[0] != key:
            known = self._packed[program] = key, packed(program, sources), sources
        found: Packed = known[1]
        return found

    # ── waiting ──────────────────────────────────────────────────────────────────────────────
    @property
    def _address(self) -> str:
        scheduler = self._client.scheduler
        return getattr(scheduler, "address", None) or str(self._client)

    def _results(self, submit: Callable[..., Any], shares: list[tuple[int, int, str]]) -> list[Any]:
        """The results of shares, each ``(begin, end, worker)``; an error of xpgrad's is raised as it is.

        A task that prefers a worker which is gone may wait for it for ever, so it is submitted anew.
        """
        from distributed import wait

        futures = [submit(*share) for share in shares]
        lost: set[int] = set()
        try:
            deadline, done = monotonic() + self._timeout, 0
            while True:
                try:
                    wait(futures, timeout=_LOOK)
                    break
                except TimeoutError:
                    there = self._workers()
                now = sum(future.done() for future in futures)
                if now > done:
                    done, deadline = now, monotonic() + self._timeout
                if monotonic() > deadline:
                    what = (
                        f"cluster: {len(futures) - now} of {len(futures)} shares have taken {self._timeout:g} s"
                    )
                    remedy = "xg.scale.on(client, timeout=...) waits longer; a fit goes on from its checkpoint="
                    raise DeviceError(message(what, {"scheduler": self._address}, remedy=remedy))
                for k, (begin, end, where) in enumerate(shares):
                    if where not in there and k not in lost and not futures[k].done():
                        lost.add(k)
                        futures[k].cancel()
                        futures[k] = submit(begin, end, None)
            return [self._asked(lambda x=future: x.result(timeout=self._timeout)) for future in futures]
        finally:
            for future in futures:
                future.release()

    def _asked(self, call: Any) -> Any:
        """What the cluster answers; its errors in our terms, and those of xpgrad's as they are."""
        from distributed import KilledWorker

        try:
            return call()
        except XpgradError:
            raise
        except KilledWorker as error:
            remedy = "lower memory_limit, or give workers more memory"
            what = "cluster: worker after worker was killed by one share, as for want of memory"
            raise DeviceError(message(what, {"Dask": str(error)}, remedy=remedy)) from error
        except (OSError, TimeoutError, asyncio.CancelledError, RuntimeError) as error:
            raise self._gone(f"{type(error).__name__}: {error}") from error

    def _check_scheduler(self) -> None:
        """Raise the DeviceError of a scheduler that has been gone for `_LOST` seconds."""
        deadline = monotonic() + _LOST
        while self._client.status != "running":
            if self._client.status in ("closed", "closing") or monotonic() > deadline:
                raise self._gone(f"the client is {self._client.status}")
            sleep(0.05)

    def _gone(self, why: str) -> DeviceError:
        remedy = "a fit with checkpoint= goes on from the last one, on this machine or another cluster"
        what = f"cluster: the scheduler at {self._address} is gone"
        return DeviceError(message(what, {"why": why}, remedy=remedy))
