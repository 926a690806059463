"""The table of distributions in docs/stats.md: ``python -m tests.stats.table --write``."""

import sys
from pathlib import Path

import numpy as np

import xpgrad as xg
from xpgrad.stats._base import Distribution

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stats.md"
BEGIN, END = "<!-- the table: python -m tests.stats.table --write -->\n", "<!-- end of the table -->\n"
# Parameters of those on vectors and matrices, with values.
MATRICES = {
    "dirichlet": {"alpha": np.ones(2)},
    "multinomial": {"n": 3.0, "p": np.array([0.5, 0.5])},
    "multivariate_normal": {"mean": np.zeros(2), "cov": np.eye(2)},
    "multivariate_t": {"loc": np.zeros(2), "shape": np.eye(2), "df": 3.0},
    "wishart": {"df": 3.0, "scale": np.eye(2)},
}


def parameters(name):
    ours = getattr(xg.stats, name)
    if not isinstance(ours, Distribution):
        return MATRICES[name]
    return {**ours.shapes, "loc": 0.0} | ({"scale": 1.0} if ours.scaled else {})


def has_path(name, parameter):
    """Whether draws are differentiable in the parameter."""
    values = parameters(name)

    def draw(x):
        return getattr(xg.stats, name).rvs(**(values | {parameter: x}), rng=0)

    try:
        xg.vjp(draw, values[parameter])
    except xg.TraceError:
        return False
    return parameter not in getattr(getattr(xg.stats, name), "whole", ()) and name != "multinomial"


def table():
    rows = ["| distribution | parameters | methods | draws |", "|---|---|---|---|"]
    for name in xg.stats.__all__:
        paths = [p for p in parameters(name) if p not in ("loc", "scale") or name in MATRICES]
        paths = " ".join(f"`{p}`" for p in paths if has_path(name, p))
        given = " ".join(f"`{p}`" for p in parameters(name))
        methods = " ".join(f"`{m}`" for m in dir(getattr(xg.stats, name)))
        rows.append(f"| `{name}` | {given} | {methods} | {paths} |")
    return "\n".join(rows) + "\n"


def page(text):
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())
