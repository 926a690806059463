"""A table of numbers, ready for a logistic regression.

In:  named columns and labels, one entry for each row, the rows in the order of time.
Out: a Problem: training part and test part, samples in columns, float32.
Holds: the test part is the last fifth of the rows; nothing about it enters the standardisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpgrad._errors import DataError, message

Array = NDArray[Any]

MIN_ROWS = 10


@dataclass(frozen=True)
class Category:
    """A category of the training part: its columns of ``X``, as one column of codes.

    Attributes
    ----------
    name : str
    rows : tuple of int
        The first row of ``X`` that it replaces, and the one after the last.
    codes : int32[m]
        The level of each sample.
    levels : float32[n_levels, n_rows]
        What those rows of ``X`` hold for a sample of each level.
    """

    name: str
    rows: tuple[int, int]
    codes: Array
    levels: Array


@dataclass(frozen=True)
class Problem:
    """A binary classification, split by time.

    Attributes
    ----------
    name, target : str
        What the rows are, and what is predicted of them.
    columns : tuple of str
        Names of the ``n_x`` rows of ``X``.
    X, Y : float32[n_x, m], float32[1, m]
        Training part; each row of ``X`` has mean 0 and standard deviation 1.
    X_test, Y_test : float32[n_x, m_test], float32[1, m_test]
        Test part, standardised by the statistics of the training part.
    notes : tuple of str
        What the reader of a result should know about the data.
    categories : tuple of Category
        The rows of ``X`` that are categories, if that is known.
    """

    name: str
    target: str
    columns: tuple[str, ...]
    X: Array
    Y: Array
    X_test: Array
    Y_test: Array
    notes: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()

    @property
    def base_rate(self) -> float:
        """Share of ones in the training part."""
        return float(self.Y.mean(dtype=np.float64))


def with_categories(problem: Problem, categories: Sequence[tuple[str, Sequence[str], Array]]) -> Problem:
    """``problem`` with its categories, each ``(name, names of its columns, values)``.

    Rows whose values are equal are equal in all columns of the category; these stand side by side.
    """
    found = []
    place = {name: i for i, name in enumerate(problem.columns)}
    for name, columns, values in categories:
        kept = sorted(place[column] for column in columns if column in place)
        if not kept:
            continue
        first, last = kept[0], kept[-1] + 1
        assert len(kept) == last - first, name
        _, samples, codes = np.unique(values[: problem.X.shape[1]], return_index=True, return_inverse=True)
        levels = np.ascontiguousarray(problem.X[first:last, samples].T)
        found.append(Category(name, (first, last), codes.astype(np.int32), levels))
    return replace(problem, categories=tuple(found))


def split_at(rows: int) -> int:
    """The first row of the test part, after four fifths of ``rows``."""
    return rows * 4 // 5


def spaced(rows: int, keep: int | None) -> Array:
    """Positions of ``keep`` rows, evenly spaced over the same time; without ``keep``, of all rows."""
    if keep is None or keep >= rows:
        return np.arange(rows)
    return np.arange(keep) * rows // keep


def build(
    name: str,
    target: str,
    columns: Sequence[tuple[str, Array]],
    labels: Array,
    notes: Sequence[str] = (),
) -> Problem:
    """Split by time, standardise by the training part, and put samples in columns.

    A column without spread in the training part carries no information there; it is left out and
    named in ``notes``.

    Parameters
    ----------
    columns : sequence of (str, float[rows] or bool[rows])
        Finite numbers.
    labels : float[rows] or bool[rows]
        Zeros and ones.

    Raises
    ------
    DataError
        Too few rows, a constant target, no column with any spread, or values whose square overflows.
    """
    rows = labels.shape[0]
    if rows < MIN_ROWS:
        raise DataError(
            message(
                f"race: {name} has too few rows to split", {"rows": str(rows), "needed": str(MIN_ROWS)}, at=""
            )
        )
    k = split_at(rows)
    _refuse_constant(name, target, labels, k)

    kept = [(label, values, *_statistics(name, label, values[:k])) for label, values in columns]
    constant = [label for label, _, _, spread in kept if spread == 0]
    kept = [row for row in kept if row[3] > 0]
    if not kept:
        raise DataError(
            message(
                f"race: {name} has no column to learn from",
                {"constant": ", ".join(constant) or "no column besides the target"},
                at="",
            )
        )
    if constant:
        notes = [*notes, f"left out, constant in the training part: {', '.join(constant)}"]

    X = np.empty((len(kept), k), np.float32)
    X_test = np.empty((len(kept), rows - k), np.float32)
    for i, (_, values, mean, spread) in enumerate(kept):
        scaled = (values.astype(np.float64) - mean) / spread
        X[i], X_test[i] = scaled[:k], scaled[k:]
    Y = labels.astype(np.float32).reshape(1, rows)
    return Problem(
        name=name,
        target=target,
        columns=tuple(label for label, *_ in kept),
        X=X,
        Y=Y[:, :k].copy(),
        X_test=X_test,
        Y_test=Y[:, k:].copy(),
        notes=tuple(notes),
    )


def _statistics(name: str, label: str, values: Array) -> tuple[float, float]:
    """Mean and standard deviation in float64; the deviation of a constant column is exactly 0."""
    values = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean())
        spread = 0.0 if values.min() == values.max() else float(values.std())
    if not np.isfinite(spread):
        largest = f"{np.abs(values).max():g}"
        raise DataError(
            message(
                f"race: column {label!r} of {name} cannot be standardised, its variance overflows",
                {"largest": largest},
                at="",
                remedy=f"rescale it or leave it out: --drop {label}",
            )
        )
    return mean, spread


def _refuse_constant(name: str, target: str, labels: Array, k: int) -> None:
    for part, where in (
        (labels, "in every row"),
        (labels[:k], f"in all of the first {k} rows, the training part"),
    ):
        if part.min() == part.max():
            raise DataError(
                message(
                    f"race: target {target!r} of {name} is constant, there is nothing to learn",
                    {"value": f"{part[0]:g} {where}"},
                    at="",
                )
            )
