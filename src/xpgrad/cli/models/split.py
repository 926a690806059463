"""Which rows are held out.

In:  the targets, the share to hold out.
Out: positions of the rows of training and of those held out, each in the order of the table.
"""

from __future__ import annotations

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.problem import Array

RANDOM, LAST = "random", "last"


def split(y: Array, share: float, *, how: str, seed: int, by_class: bool) -> tuple[Array, Array]:
    """Hold out a share of the rows.

    Parameters
    ----------
    y : labels[n] or float[n]
    share : float
        From 0 up to, but not including, 1.
    how : {"random", "last"}
        Drawn, of each class its share; or the last ones of the table.
    seed : int
    by_class : bool
        Whether ``y`` are classes.

    Raises
    ------
    DataError
        No row is left to train on, or a class only is.
    """
    n = len(y)
    if how == LAST:
        out = np.arange(n) >= n - round(share * n)
    else:
        out = np.zeros(n, dtype=bool)
        random = np.random.default_rng(seed)
        groups = [np.flatnonzero(y == c) for c in np.unique(y)] if by_class else [np.arange(n)]
        for rows in groups:
            # A class of one row stays in training.
            count = min(round(share * len(rows)), len(rows) - 1)
            out[random.permutation(rows)[:count]] = True
    train, held = np.flatnonzero(~out), np.flatnonzero(out)
    left = y[train]
    if len(left) == 0 or (left == left[0]).all():
        got = f"{left[0]} in all of them" if len(left) else "none"
        raise DataError(
            message(
                f"train: the {len(left):,} rows that are not held out have one target only",
                {"value": str(got)},
                at="",
                remedy="hold out fewer: --valid" + ("; or --split random" if how == LAST else ""),
            )
        )
    return train, held
