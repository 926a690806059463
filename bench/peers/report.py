"""What is written down: the machine, the verdicts, the table.

In:  what `bench.peers.measure` found.
Out: JSON-able dicts, and text for the terminal.
"""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.peers.contender import OURS
from bench.peers.table import FIRST_CALL_S, WORKLOADS
from xpgrad.cli.info import collect, version

# Settings that change how many threads a library takes, or how they wait.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS OMP_WAIT_POLICY KMP_BLOCKTIME XLA_FLAGS".split()
)


def conditions(distributions: Iterable[str]) -> dict[str, Any]:
    """Where and with what: machine, versions, threads, commit, date."""
    facts = collect()
    names = dict.fromkeys(("numpy", *distributions))
    changes = _git("status", "--porcelain")
    return {
        "machine": {
            "cpu": facts["cpu"],
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": platform.system(),
            "load_at_start": os.getloadavg(),
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in names},
        "threads": facts["cpu"]["usable"],
        "thread_variables": {v: os.environ[v] for v in THREAD_VARIABLES if v in os.environ},
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": None if changes is None else bool(changes),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def verdict(workload: str, found: dict[str, Any]) -> dict[str, Any]:
    """Ours against the best peer in the same run, and whether the targets are met; None: not measured."""
    w = WORKLOADS[workload]
    timed = {name: c["median_ms"] for name, c in found.get("times", {}).items() if "median_ms" in c}
    peers = {name: ms for name, ms in timed.items() if name not in OURS}
    best = min(peers, key=lambda name: peers[name], default=None)
    ratios = {name: ms / timed[w.ours] for name, ms in peers.items() if w.ours in timed}
    ratio = ratios.get(best) if best else None
    targets = [target(f"{w.ours} x the best peer", ratio, w.target, at_least=True)]
    used = found.get("memory", {}).get(w.ours, {})
    if w.extra_mb is not None:
        mb = (used["step_bytes"] + used["kept_bytes"]) / 1e6 if "step_bytes" in used else None
        targets.append(target("MB beyond the inputs", mb, w.extra_mb, at_least=False))
    if w.ours == "xpgrad.compile":
        calls = found.get("first_calls", {}).get(w.ours, {})
        for state, most in FIRST_CALL_S.items():
            seconds = calls.get(state, {}).get("median_s")
            targets.append(target(f"s of a first call, {state}", seconds, most, at_least=False))
    return {"best_peer": best, "ratio_to_best_peer": ratio, "ratios": ratios, "targets": targets}


def target(what: str, got: float | None, bound: float, *, at_least: bool) -> dict[str, Any]:
    met = None if got is None else got >= bound if at_least else got <= bound
    return {"what": what, "got": got, "at_least" if at_least else "at_most": bound, "met": met}


def render(workload: str, found: dict[str, Any]) -> str:
    """The workload's table: one line for each contender, then the targets."""
    lines = [f"\n{workload}: {WORKLOADS[workload].title}"]
    lines.append(
        f"  {'':15}{'median':>10} {'min':>10} {'max':>10}   {'step':>8} {'kept':>8}   {'first call, cold/warm'}"
    )
    lines.append(f"  {'':15}{'ms':>10} {'ms':>10} {'ms':>10}   {'MB':>8} {'MB':>8}   {'s'}")
    names = dict.fromkeys(name for part in ("times", "memory", "first_calls") for name in found.get(part, {}))
    for name in names:
        timed, used, calls = (found.get(part, {}).get(name, {}) for part in ("times", "memory", "first_calls"))
        missing = timed.get("missing") or used.get("missing") or calls.get("missing")
        if missing:
            lines.append(f"  {name:15}missing: {missing}")
            continue
        ms = " ".join(number(timed.get(f"{key}_ms")) for key in ("median", "min", "max"))
        mb = " ".join(number(_mb(used.get(key)), 8, ".1f") for key in ("step_bytes", "kept_bytes"))
        s = " / ".join(f"{calls[state]['median_s']:.3f}" for state in ("cold", "warm")) if calls else ""
        lines.append(f"  {name:15}{ms}   {mb}   {s}".rstrip())
    v = found["verdict"]
    if v["best_peer"]:
        lines.append(f"  the best peer is {v['best_peer']}")
    for t in v["targets"]:
        bound = f"at least {t['at_least']}" if "at_least" in t else f"at most {t['at_most']}"
        got = "not measured" if t["got"] is None else f"{t['got']:.3g}, {'met' if t['met'] else 'NOT MET'}"
        lines.append(f"  {t['what']}: {got} ({bound})")
    return "\n".join(lines)


def _mb(count: float | None) -> float | None:
    return None if count is None else count / 1e6


def number(x: float | None, width: int = 10, form: str = ".4g") -> str:
    return f"{'-' if x is None else format(x, form):>{width}}"
