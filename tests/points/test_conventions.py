"""Each row of `docs/conventions.md`, the table of derivatives where none exists, is tried in every mode."""

import os
import re
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

import xpgrad as xg
from points.test_elementwise import GENERATORS, PAGE
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value
_ROW = re.compile(r"^\| `(?P<f>[^`]+)` \| `(?P<x>[^`]+)` \| (?P<first>[^|]+) \| (?P<second>[^|]+) \|$", re.M)


class Row(NamedTuple):
    """A function of ``x``, a point, and in the page's words its first and second derivatives there."""

    text: str
    x: object
    first: str
    second: str

    def __str__(self):
        return f"{self.text} at {self.x}"

    def f(self, x):
        return np.sum(eval(self.text, {"np": np, "xg": xg, "x": x}))


def _rows():
    found = [m.groupdict() for m in _ROW.finditer(PAGE.read_text())]
    points = [eval(row["x"], {"np": np}) for row in found]
    points = [np.array(x) if isinstance(x, list) else x for x in points]
    return [Row(row["f"], x, row["first"], row["second"]) for row, x in zip(found, points, strict=True)]


ROWS = _rows()


def _numbers(words, size):
    numbers = [float(Fraction(w) if "/" in w else w) for w in words.replace(" ", "").split(",")]
    return np.array(numbers * size if len(numbers) == 1 else numbers)


def wrong(row, first, second, rows=False):
    """What differs from the page, told; of the Hessian all entries, or the sums of its rows."""
    first, second = np.ravel(first), np.ravel(second)
    expected = _numbers(row.first, first.size), _numbers(row.second, first.size**2)
    if rows:
        expected = expected[0], expected[1].reshape(first.size, -1).sum(1)
    if not close(first, expected[0], EXACT):
        return f"{row}: {first}, not {row.first}"
    infinite = not np.isfinite(expected[1][0])
    if np.isfinite(second).any() if infinite else not close(second, expected[1], EXACT):
        return f"{row}: second {second}, not {row.second}"
    return None


# ── ways ─────────────────────────────────────────────────────────────────────────────────────
def _directions(x):
    size = np.size(x)
    return [d.reshape(np.shape(x)) if np.ndim(x) else 1.0 for d in np.eye(size)]


def reverse(f, x):
    first = xg.grad(f)
    second = [xg.grad(lambda x, d=d: np.sum(first(x) * d))(x) for d in _directions(x)]
    return first(x), np.stack([np.ravel(s) for s in second])


def forward(f, x):
    def along(f, d):
        return lambda x: xg.jvp(f, (x,), (d,))[1]

    ds = _directions(x)
    first = np.stack([along(f, d)(x) for d in ds])
    return first, np.stack([along(along(f, d), e)(x) for d in ds for e in ds])


def mixed(f, x):
    return xg.grad(f)(x), np.stack([np.ravel(xg.jvp(xg.grad(f), (x,), (d,))[1]) for d in _directions(x)])


WAYS = [reverse, forward, mixed]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_page_says_what_is_found(row):
    for way in WAYS:
        with np.errstate(all="ignore"):
            assert wrong(row, *way(row.f, row.x)) is None, way.__name__


# One of so many rows: a row is a kernel or two of its own.
SHARES = {
    "interpreter": 1,
    "definition": 3,
    "llvm": 3 if os.environ.get("XPGRAD_TEST_SHARE", "1") == "1" else 8,
    "cuda": 4,
}


@pytest.mark.parametrize("generator", GENERATORS)
def test_compiled_the_page_says_what_is_found(generator):
    """The second derivatives along all ones: the sums of the rows of the Hessian."""

    rows = ROWS[:: SHARES[generator.name]]

    def run(xs):
        return [_along_ones(row.f, x) for row, x in zip(rows, xs, strict=True)]

    with np.errstate(all="ignore"):
        found = generator.compile(run)([row.x for row in rows])
    told = [wrong(row, *pair, rows=True) for row, pair in zip(rows, found, strict=True)]
    assert [t for t in told if t] == []


def _along_ones(f, x):
    return xg.grad(f)(x), xg.jvp(xg.grad(f), (x,), (np.ones_like(x),))[1]
