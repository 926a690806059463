"""Sources as ``X`` and ``y``: what an estimator asks of all samples, by passes over them.

In:  a `Source` or `Table` of `xpgrad.data`, arrays, and a limit of memory.
Out: a Design of sources; classes, means and counts.
Holds: an array in memory is asked in the same blocks as a source, so that both have the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum
from typing import Any

import numpy as np

from xpgrad._errors import DataError, DTypeError, ShapeError, message
from xpgrad.data.derived import Derived, Positions, converted
from xpgrad.data.reading import Kept, in_order
from xpgrad.data.source import Source
from xpgrad.data.tables import Table
from xpgrad.devices.door import is_source
from xpgrad.learn.columns import Design, Layout

ROWS = 1 << 14
"""Samples of a block in which sums over the samples are taken."""


def is_streamed(X: Any) -> bool:
    """Whether ``X`` is read by parts."""
    return isinstance(X, (Source, Table))


def blocks(arrays: Sequence[Any], memory_limit: Any = None) -> Iterator[tuple[int, int, list[Any]]]:
    """The same samples of each array, `ROWS` at a time: numbers of the first and the last, and the parts."""
    sources = [x for x in arrays if is_source(x)]
    n = len(next(x for x in arrays if x is not None))
    whole = in_order(sources, Kept(memory_limit), ROWS) if sources else [(0, n, [])]
    for begin, end, read in whole:
        for start in range(begin, end, ROWS):
            stop, parts = min(start + ROWS, end), iter(read)
            yield (
                start,
                stop,
                [
                    None
                    if x is None
                    else next(parts)[start - begin : stop - begin]
                    if is_source(x)
                    else x[start:stop]
                    for x in arrays
                ],
            )


# ── reading ──────────────────────────────────────────────────────────────────────────────────
def table_of(X: Any, y: Any) -> tuple[Any, Any]:
    """``X`` and ``y``, which may be the name of a column of a table: the others are then ``X``."""
    if not isinstance(y, str):
        return X, y
    if not isinstance(X, Table):
        raise DTypeError(message(f"y is the name {y!r}, and X is no table of xpgrad.data", {"X": X}))
    others = [name for name in X.columns if name != y]
    return X.only(others), X[y]


def layout_of(X: Any, categorical: Any, name: str, memory_limit: Any) -> Layout:
    """The columns of ``X``: those of texts, and those that are asked for, are categories."""
    if isinstance(X, Source):
        if categorical is not None:
            remedy = "a table of xpgrad.data has columns of categories: parquet(...), with columns=[...]"
            raise DTypeError(message(f"{name}: categorical_features of a source of numbers", remedy=remedy))
        if X.ndim != 2 or X.axis != 0:
            raise ShapeError(message(f"{name}: X must have samples in rows, and two axes", {"X": X}))
        return Layout(list(X.columns) if hasattr(X, "columns") else None, X.shape[1])
    layout, chosen = (
        Layout(list(X.columns), len(X.columns)),
        set(categorical if categorical is not None else ()),
    )
    unknown = [c for c in chosen if c not in X.columns]
    if unknown:
        raise DataError(
            message(f"{name}: no column {unknown[0]!r} for categorical_features, among {X.columns}")
        )
    for i, column in enumerate(X.columns):
        if X.is_text(column):
            layout.levels[i] = list(X.levels(column))
        elif column in chosen:
            layout.levels[i] = classes_of(X[column], memory_limit)[0].tolist()
    return layout


def design_of(X: Any, layout: Layout, dtype: Any) -> Design:
    """The sources of the columns of a layout."""
    if isinstance(X, Source):
        return Design(converted(X, _dtype(X.dtype, dtype)))
    if layout.names is None or not set(layout.names) <= set(X.columns):
        missing = [c for c in layout.names or () if c not in X.columns]
        raise DataError(message(f"columns seen at fit are missing: {missing}", {"columns": X.columns}))
    names = [layout.name(i) for i in layout.numbers]
    codes = []
    for i, levels in layout.levels.items():
        column = X[layout.name(i)]
        if X.is_text(layout.name(i)):
            codes.append(column)
        else:
            codes.append(Derived(Positions(tuple(levels), column.name), [column], np.int32))
    if not names:
        return Design(np.empty((len(X), 0), np.dtype(dtype or np.float64)), tuple(codes))
    numbers = X[names]
    return Design(converted(numbers, _dtype(numbers.dtype, dtype)), tuple(codes))


def _dtype(found: Any, dtype: Any) -> Any:
    """float32 stays, all else is float64, unless another one is asked for."""
    return np.dtype(dtype or (np.float32 if found == np.float32 else np.float64))


def check_finite(design: Design, layout: Layout, name: str, memory_limit: Any) -> None:
    """Raise the DataError of a number of X that is NaN or infinite, with its column and row: one pass."""
    if not is_source(design.numbers):
        return
    for begin, _, (x,) in blocks([design.numbers], memory_limit):
        if not np.isfinite(x).all():
            row, column = np.argwhere(~np.isfinite(x))[0].tolist()
            label = layout.name(layout.numbers[column])
            what = "NaN" if np.isnan(x[row, column]) else "infinity"
            raise DataError(
                message(
                    f"{name}: Input X contains {what}",
                    {f"column {label!r}": f"in row {begin + row}", "X": design.numbers},
                    remedy="fill or leave them out when the files are written",
                )
            )


# ── targets ──────────────────────────────────────────────────────────────────────────────────
def classes_of(y: Any, memory_limit: Any = None) -> tuple[Any, Any]:
    """The different entries of a source, sorted, and the position of each entry among them, a source."""
    levels = getattr(y, "levels", None)
    if levels is not None:
        return np.array(levels), y
    found: Any = np.empty(0, y.dtype)
    for _, _, (part,) in blocks([y], memory_limit):
        found = np.union1d(found, part)
        if len(found) > ROWS:
            raise DataError(message(f"{y.name} has more than {ROWS} different values: too many for classes"))
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise DataError(message(f"Input y contains NaN or infinity: {y.name}"))
    return found, Derived(Positions(tuple(found.tolist()), y.name), [y], np.int32)


def in_memory(X: Any, y: Any) -> Any:
    """The targets that `fit` took, as an array: of a source, or of a column by its name. Others as they are."""
    if isinstance(y, str):
        y = table_of(X, y)[1]
    if not is_source(y):
        return y
    levels = getattr(y, "levels", None)
    return y.read() if levels is None else np.array(levels)[y.read()]


def counts_of(codes: Any, weights: Any, size: int, memory_limit: Any = None) -> Any:
    """The sum of the weights of each code, float64[size]."""
    total = np.zeros(size)
    for _, _, (part, w) in blocks([codes, weights], memory_limit):
        total += np.bincount(part, weights=w, minlength=size)
    return total


# ── sums over the samples ────────────────────────────────────────────────────────────────────
def average(y: Any, weights: Any = None, memory_limit: Any = None) -> Any:
    """The mean of the samples, with weights: in float64, of each column."""
    sums, totals = [], []
    for begin, end, (part, w) in blocks([y, weights], memory_limit):
        part = part.astype(np.float64)
        sums.append(part.sum(axis=0) if w is None else w.astype(np.float64) @ part)
        totals.append(float(end - begin) if w is None else float(w.sum(dtype=np.float64)))
    total = fsum(totals)
    if np.ndim(sums[0]):
        return np.array([fsum(column) for column in zip(*sums, strict=True)]) / total
    return np.float64(fsum(sums) / total)


def variance(y: Any, mean: float, weights: Any = None, memory_limit: Any = None) -> float:
    """The mean of the squared distances from ``mean``."""
    sums, totals = [], []
    for begin, end, (part, w) in blocks([y, weights], memory_limit):
        square = (part.astype(np.float64) - mean) ** 2
        sums.append(float(square.sum() if w is None else w.astype(np.float64) @ square))
        totals.append(float(end - begin) if w is None else float(w.sum(dtype=np.float64)))
    return fsum(sums) / fsum(totals)
