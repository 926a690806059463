"""Many programs, by seed, in processes of their own, in bounded time; what differs, and what was compared."""

import json
import os
import signal
import sys
import time
from collections import Counter
from functools import partial
from multiprocessing import TimeoutError, get_context
from pathlib import Path

# Before NumPy is imported: each process has one core.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

CHUNK = 25
_PATIENCE = 120  # seconds of work for one program, and five times as many of the clock

_LONGEST = 30 * _PATIENCE  # seconds for what a process has been given at once


class TooLong(BaseException):
    """A program that does not end."""


def _ring(*_):
    raise TooLong


def _set_alarm(seconds):
    for sign, timer, limit in (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, 5 * seconds),
    ):
        signal.signal(sign, _ring)
        signal.setitimer(timer, limit)


def one(seed, kind=None, llvm=3, cuda=0, shrink=True):
    """What became of the program of one seed, as a dict: ``{"seed", "kind", "compared", ...}``."""
    from net.checking import check
    from net.comparing import Difference
    from net.drawing import draw, generators_of, kind_of
    from net.shrinking import shrunk

    kind = kind or kind_of(seed)
    generators = generators_of(seed, kind, llvm, cuda)
    found = {"seed": seed, "kind": kind, "compared": [], "refused": [], "skipped": 0}
    program = None
    _set_alarm(_PATIENCE)
    try:
        program = draw(seed, kind)
        outcome = check(program, generators)
        found |= {"compared": outcome.compared, "refused": outcome.refused, "skipped": outcome.skipped}
    except Difference as error:
        small, text = (program, error)
        if shrink:
            _set_alarm(_PATIENCE)
            small, text = shrunk(program, generators, error)
        found |= {"differs": str(text), "source": small.source, "whole": program.source}
    except TooLong:
        source = program.source if program is not None else "(while it was drawn)"
        found |= {"differs": f"took more than {_PATIENCE} s", "source": source, "whole": source}
    finally:
        _set_alarm(0)
    return found


def chunk(seeds, options):
    """The programs of a few seeds."""
    return [one(seed, **options) for seed in seeds]


def run(start, count, *, jobs=1, seconds=None, first=None, without=(), say=print, **options):
    """The summary of ``count`` programs from ``start``; ends after ``seconds``, or ``first`` differences."""
    began = time.monotonic()
    total = {"start": start, "wanted": count, "programs": 0, "seconds": 0.0, "differ": [], "skipped": 0}
    kinds, compared, refused, programs_refused = Counter(), Counter(), Counter(), 0
    seeds = [
        [seed for seed in range(a, min(a + CHUNK, start + count)) if seed not in without]
        for a in range(start, start + count, CHUNK)
    ]
    end = None if seconds is None else began + seconds
    for found in _every(seeds, jobs, options, end):
        for x in found:
            total["programs"] += 1
            kinds[x["kind"]] += 1
            compared.update(c.split(",")[0] for c in x["compared"])
            refused.update({r.split(": ", 1)[1] for r in x["refused"]})
            programs_refused += bool(x["refused"])
            total["skipped"] += x["skipped"]
            if "differs" in x:
                total["differ"].append(x)
                say(f"── seed {x['seed']} ({x['kind']})\n{x['source']}\n  {x['differs']}\n", flush=True)
                if first is not None and len(total["differ"]) >= first:
                    break
        over = seconds is not None and time.monotonic() - began > seconds
        if over or (first is not None and len(total["differ"]) >= first):
            break
    stopped = total["programs"] < sum(map(len, seeds))
    total["seconds"] = round(time.monotonic() - began, 1)
    total |= {"stopped": stopped, "kinds": dict(kinds), "compared": dict(compared.most_common())}
    total |= {"with something refused": programs_refused, "refused": dict(refused.most_common(40))}
    return total


def _every(seeds, jobs, options, end):
    if jobs == 1:
        yield from (chunk(part, options) for part in seeds)
        return
    # A pool that is left is ended at once, whatever its processes are at.
    with get_context("spawn").Pool(jobs, maxtasksperchild=40) as pool:
        results = pool.imap_unordered(partial(chunk, options=options), seeds)
        for _ in seeds:
            left = _LONGEST if end is None else max(0.0, end - time.monotonic())
            try:
                yield results.next(min(left, _LONGEST))
            except TimeoutError:
                if left >= _LONGEST:
                    raise RuntimeError(
                        "no process has given a result for a long time: were they ended?"
                    ) from None
                return


def write(path, total):
    """The summary as JSON, with what it ran on."""
    import platform

    import numpy as np

    import xpgrad

    about = {"python": platform.python_version(), "numpy": np.__version__, "xpgrad": xpgrad.__version__}
    Path(path).write_text(json.dumps({**about, **total}, indent=1) + "\n")


def say_in_short(total):
    """The summary in a few lines."""
    lines = [
        f"{total['programs']} programs in {total['seconds']} s: {len(total['differ'])} differ",
        f"  kinds: {total['kinds']}",
        f"  compared: {total['compared']}",
        f"  entries not compared (not determined, not smooth): {total['skipped']}",
        f"  programs of which something is refused by name: {total['with something refused']}",
    ]
    lines += [f"    {count} {text}" for text, count in list(total["refused"].items())[:12]]
    print("\n".join(lines), file=sys.stderr)
