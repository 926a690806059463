"""The tables of measured figures in the README and docs/figures.md: ``python -m bench.table [--write]``.

    python -m bench.table            print that of docs/figures.md, which has all lines
    python -m bench.table --write    put both into their pages

Each line is made of one committed file in `bench/results/`; nothing is measured here. A ratio is the time of a
peer over that of the compiled function, in one run: above 1, the compiled function is faster.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
README, FIGURES = ROOT / "README.md", ROOT / "docs" / "figures.md"
BEGIN, END = "<!-- figures: python -m bench.table --write -->\n", "<!-- end of the figures -->\n"
HAND, JAX, TORCH = "NumPy by hand", "jax.jit", "torch.compile"
PEERS = (HAND, JAX, TORCH)

Times = dict[str, float]  # ms: of "ours" and of peers


class Line(NamedTuple):
    """A line: what was computed, the file, the place in it, and whether the README has it too."""

    title: str
    file: str
    times: Callable[[Any], Times]
    in_readme: bool = False


def _peers(workload: str) -> Callable[[Any], Times]:
    def of(report: Any) -> Times:
        found = report["workloads"][workload]["times"]
        names = {"xpgrad.compile": "ours", "numpy": HAND, JAX: JAX, TORCH: TORCH}
        return {names[k]: v["median_ms"] for k, v in found.items() if k in names and "median_ms" in v}

    return of


def _categories(problem: str) -> Callable[[Any], Times]:
    def of(report: Any) -> Times:
        (found,) = (p for p in report["problems"] if p["problem"] == problem)
        return _named(found["ms"], ours="xpgrad.compile", hand="numpy")

    return of


def _batching(problem: str) -> Callable[[Any], Times]:
    def of(report: Any) -> Times:
        return _named(report["problems"][problem]["ms"], ours="xpgrad", hand="numpy", jax="jax")

    return of


def _arrays(routine: str) -> Callable[[Any], Times]:
    def of(report: Any) -> Times:
        found = report["routines"][routine]["contenders"]
        return {"ours": found["xpgrad"]["fastest_cpu_ms"], HAND: found["numpy"]["fastest_cpu_ms"]}

    return of


def _race(key: str) -> Callable[[Any], Times]:
    def of(report: Any) -> Times:
        seconds = {s["key"]: s["seconds"] for s in report["race"]["steps"]}
        return {"ours": 1e3 * seconds[key], HAND: 1e3 * seconds["numpy"]}

    return of


def _named(ms: Mapping[str, float], ours: str, hand: str, jax: str = JAX) -> Times:
    names = {ours: "ours", hand: HAND, jax: JAX, TORCH: TORCH}
    return {names[k]: v for k, v in ms.items() if k in names}


LINES = (
    Line(
        "logistic regression, 32 x 2,000,000 float32", "peers_cpu.json", _peers("logistic-32"), in_readme=True
    ),
    Line("logistic regression, 784 x 60,000 float32", "peers_cpu.json", _peers("logistic-784")),
    Line(
        "softmax regression, 60,000 x 784 float32, 10 classes",
        "peers_cpu.json",
        _peers("softmax"),
        in_readme=True,
    ),
    Line("MLP 784-512-256-10, 8,192 samples float32", "peers_cpu.json", _peers("mlp"), in_readme=True),
    Line("Black-Scholes, 4,000,000 options float32", "peers_cpu.json", _peers("black-scholes"), in_readme=True),
    Line("flights, dense: 261,876 x 185 float32", "race.json", _race("xpgrad-compiled"), in_readme=True),
    Line("flights, as 8 columns of codes", "race.json", _race("xpgrad-compiled-codes")),
    Line(
        "7 columns of codes and 12 of numbers, 262,144 rows",
        "categories.json",
        _categories("columns"),
        in_readme=True,
    ),
    Line("embedding of 1,000,000 x 16", "categories.json", _categories("embedding")),
    Line(
        "Hessian of a logistic loss, 100,000 x 100",
        "batching.json",
        _batching("hessian, 100000 x 100"),
        in_readme=True,
    ),
    Line(
        "gradient of each of 100,000 samples, 50 features",
        "batching.json",
        _batching("per-sample gradients, 100000 x 50"),
    ),
    Line(
        "tracer advection in 3 dimensions, forward, one core", "arrays.json", _arrays("tracer"), in_readme=True
    ),
    Line("shallow water, forward, one core", "arrays.json", _arrays("shallow")),
)


def table(path: Path = FIGURES) -> str:
    """The table of a page as Markdown, from the files as they are."""
    lines = [line for line in LINES if line.in_readme or path == FIGURES]
    results = "bench/results" if path == README else "../bench/results"
    reports = {name: json.loads((RESULTS / name).read_text()) for name in {line.file for line in lines}}
    rows = [("step", "compiled", *(f"{name} takes" for name in PEERS), "from")]
    for line in lines:
        times = line.times(reports[line.file])
        ratios = [f"{times[p] / times['ours']:.2f} x" if p in times else "" for p in PEERS]
        link = f"[{line.file}]({results}/{line.file})"
        rows.append((line.title, _ms(times["ours"]), *ratios, link))
    head, *rest = (f"| {' | '.join(row)} |\n" for row in rows)
    return head + "|---|--:|--:|--:|--:|---|\n" + "".join(rest)


def _ms(x: float) -> str:
    return f"{x:.3g} ms" if x < 1000 else f"{x:,.0f} ms"


def page(path: Path) -> str:
    """The text of a page with the present table between the two markers."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path.name} has no place for the table")
    return f"{before}{BEGIN}\n{table(path)}\n{END}{after}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--write", action="store_true", help="put the tables into README.md and docs/figures.md"
    )
    if parser.parse_args(argv).write:
        for path in (README, FIGURES):
            path.write_text(page(path), encoding="utf-8")
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
