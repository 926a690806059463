"""What is said about what was measured: ratios, targets, speed-ups, tables.

In:  what `bench.gpu.measure` found, and the ceilings.
Out: JSON-able dicts, and text for the terminal.
"""

from typing import Any

from bench.gpu.contenders import OURS, OURS_ON_CPU
from bench.gpu.table import WORKLOADS
from bench.peers.report import number, target


def verdict(workload: str, found: dict[str, Any], rates: dict[str, Any]) -> dict[str, Any]:
    """Ours against the best peer and against the CPU in the same run, and whether the targets are met.

    None is not known: of a target, that it was not measured, or is met so far but a peer is missing. A
    peer whose result is off counts all the same, for leaving it out could only flatter us; it is named
    in ``off``. If ours is off, no target is met.
    """
    w = WORKLOADS[workload]
    rows = found["contenders"]
    timed = {name: row["median_ms"] for name, row in rows.items() if "median_ms" in row}
    ours = timed.get(w.ours)
    peers = {name: timed[name] for name in w.peers if name in timed}
    best = min(peers, key=lambda name: peers[name], default=None)
    ratios = {name: ms / ours for name, ms in peers.items()} if ours else {}
    ratio = ratios.get(best) if best else None
    absent = [name for name in w.peers if name not in timed]
    targets = [target(f"{w.ours} x the best peer", ratio, w.target, at_least=True)]
    if absent and targets[0]["met"]:
        targets[0]["met"] = None
    if w.of_copy is not None:
        part = _of_copy(found["floor"]["x_bytes"], ours, rates)
        targets.append(target("of the copy bandwidth, counting X once", part, w.of_copy, at_least=True))
    if not rows.get(w.ours, {}).get("agrees", True):
        for t in targets:
            t["met"] = False
    return {
        "best_peer": best,
        "ratio_to_best_peer": ratio,
        "ratios": ratios,
        "peers_not_timed": absent,
        "off": [name for name, row in rows.items() if _is_off(row)],
        "cpu_to_gpu": _speed_ups(w.ours, w.on_cpu, timed),
        "targets": targets,
    }


def _speed_ups(ours: str, on_cpu: str, timed: dict[str, float]) -> dict[str, float | None]:
    """How many times as fast the same lines are on the GPU, and how many times as fast as NumPy by hand."""

    def over(slow: str) -> float | None:
        return timed[slow] / timed[ours] if slow in timed and ours in timed else None

    return {"ours_to_ours": over(on_cpu), "numpy_to_ours": over("cpu:numpy")}


def _of_copy(nbytes: int, ms: float | None, rates: dict[str, Any]) -> float | None:
    copy = rates.get("copy", {}).get("best")
    return nbytes / (ms / 1e3) / copy if ms and copy else None


def profile(found: dict[str, Any], rates: dict[str, Any]) -> dict[str, Any]:
    """What any program must do at the measured ceilings, and what part of it each contender reaches.

    ``floor_ms`` is the larger of bytes over copy bandwidth and operations over the rate of sgemm.
    ``of_copy`` is by the clock of the wall, and ``of_copy_on_device`` by events.
    """
    floor, copy, sgemm = found["floor"], rates.get("copy", {}).get("best"), rates.get("sgemm", {}).get("best")
    if not copy or not sgemm:
        return {}
    bound = {"bytes": 1e3 * floor["bytes"] / copy, "flop": 1e3 * floor["flop"] / sgemm}
    limit = max(bound, key=lambda name: bound[name])
    rows = {}
    for name, row in found["contenders"].items():
        if "median_ms" not in row or name.startswith("cpu:"):
            continue
        device = row.get("device", {}).get("median_ms")
        rows[name] = {
            "gb_s": floor["bytes"] / row["median_ms"] / 1e6,
            "tflop_s": floor["flop"] / row["median_ms"] / 1e9,
            "of_copy": _of_copy(floor["bytes"], row["median_ms"], rates),
            "of_copy_on_device": _of_copy(floor["bytes"], device, rates),
            "of_floor": bound[limit] / row["median_ms"],
        }
    return {"floor_ms": bound[limit], "bound_by": limit, "contenders": rows}


def complaints(workload: str, found: dict[str, Any]) -> list[str]:
    """What makes the run a failure: ours off, on either device, or ours not timed on the GPU.

    A peer that is not here, or is off, does not, for nothing here could mend that; `render` says so.
    """
    if "not_run" in found:
        return [f"{workload}: {found['not_run']}"]
    rows = found["contenders"]
    ours = (*OURS, *OURS_ON_CPU)
    off = [f"{workload}: {rows[name]['disagreement']}" for name in ours if _is_off(rows.get(name, {}))]
    absent = [
        f"{workload}: {name} was not timed: {row.get('failed') or row.get('missing')}"
        for name, row in rows.items()
        if name in OURS and "median_ms" not in row
    ]
    return off + absent


def _is_off(row: dict[str, Any]) -> bool:
    return row.get("agrees") is False


def render(workload: str, found: dict[str, Any]) -> str:
    """The workload's table: one line for each contender, then ratios, speed-ups and targets."""
    w = WORKLOADS[workload]
    lines = [f"\n{workload}: {w.title}"]
    if found["sizes"] != w.full:
        lines.append(f"  NOT at that size: {found['sizes']}")
    if "not_run" in found:
        return "\n".join([*lines, f"  {found['not_run']}"])
    titles = ("median", "quartiles", "device", "queued", "MB beyond")
    lines.append(
        f"  {'ms':19}" + "".join(f"{title:>{width}}" for title, width in zip(titles, WIDTHS, strict=True))
    )
    for name, row in found["contenders"].items():
        lines.append(f"  {name:19}{_cells(row)}")
    lines += _notes(found["contenders"])
    v = found["verdict"]
    if v["best_peer"]:
        lines.append(f"  the best peer is {v['best_peer']}")
    if v["peers_not_timed"]:
        lines.append(f"  not timed: {', '.join(v['peers_not_timed'])}")
    for what, factor in v["cpu_to_gpu"].items():
        if factor is not None:
            slow = {"ours_to_ours": "the same on the CPU", "numpy_to_ours": "NumPy by hand"}[what]
            lines.append(f"  {factor:.4g} x {slow}")
    for t in v["targets"]:
        state = {True: "met", False: "NOT MET", None: "open: not all peers are here"}[t["met"]]
        got = "not measured" if t["got"] is None else f"{t['got']:.3g}, {state}"
        lines.append(f"  {t['what']}: {got} (at least {t['at_least']})")
    return "\n".join(lines)


def _notes(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Whose result is off, by how much, and which variants were not timed, and why."""
    lines = []
    for name, row in rows.items():
        if _is_off(row):
            lines.append(f"  OFF: {_in_a_line(row['disagreement'])}")
        for variant, tried in row.get("variants", {}).items():
            for key, what in (("not_tried", "not tried"), ("failed", "failed")):
                if key in tried:
                    lines.append(f"  {name}, {variant}: {what}: {_in_a_line(tried[key])}")
    return lines


WIDTHS = (11, 23, 11, 11, 12)


def _cells(row: dict[str, Any]) -> str:
    for why in ("missing", "failed"):
        if why in row:
            return f"  {why}: {_in_a_line(row[why])}"
    if "median_ms" not in row:
        return "  not timed"
    quartiles = f"{row['quartile_1_ms']:.4g} to {row['quartile_3_ms']:.4g}"
    device, queued = (row.get(key, {}).get("median_ms") for key in ("device", "queued"))
    beyond = (row.get("memory") or {}).get("beyond_data_bytes")
    mb = None if beyond is None else beyond / 1e6
    cells = number(row["median_ms"], WIDTHS[0]) + f"{quartiles:>{WIDTHS[1]}}"
    cells += number(device, WIDTHS[2]) + number(queued, WIDTHS[3]) + number(mb, WIDTHS[4], ".1f")
    off = "" if row.get("agrees", True) else "   OFF"
    return f"{cells}   {row.get('variant', '')}{off}".rstrip()


def _in_a_line(said: str) -> str:
    """The last line, which is where Python says what went wrong."""
    return said.strip().rpartition("\n")[2]


def render_profile(workload: str, p: dict[str, Any]) -> str:
    """Bytes moved in principle over time, against the copy bandwidth that was measured."""
    if not p:
        return f"\n{workload}: no ceilings to hold it against"
    lines = [f"\n{workload}: at least {p['floor_ms']:.4g} ms, for the {p['bound_by']}"]
    lines.append(f"  {'':19}{'GB/s':>10}{'TFLOP/s':>10}{'of copy':>10}{'on device':>10}{'of floor':>10}")
    for name, row in p["contenders"].items():
        parts = "".join(number(row[key], 10, ".1%") for key in ("of_copy", "of_copy_on_device", "of_floor"))
        lines.append(f"  {name:19}{number(row['gb_s'])}{number(row['tflop_s'])}{parts}")
    return "\n".join(lines)


def render_rates(card: dict[str, Any], rates: dict[str, Any]) -> str:
    """The card and its ceilings."""
    lines = [card["name"]]
    for name, rate in rates.items():
        if isinstance(rate, dict):
            unit = (1e12, "TFLOP/s") if name == "sgemm" else (1e9, "GB/s")
            lines.append(f"  {name:19}{rate['best'] / unit[0]:10.4g} {unit[1]}")
    return "\n".join(lines)
