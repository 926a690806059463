"""Whether a contender computed what it was asked to.

In:  value and gradient of a contender, and those by hand in float64.
Out: how far they lie apart.
Holds: the bound is the suite's tolerance for the dtype. It is relative to the largest entry of each
array, without a floor: gradients of averages are small.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xpgrad.testing.tolerances import tolerance


class Disagreement(Exception):
    """A contender's value or gradient is not that of float64 NumPy, or not in the problem's dtype."""


def check(
    who: str, found: Sequence[Any], dtypes: Sequence[str], expected: Sequence[Any], dtype: str
) -> list[float]:
    """The largest difference of the value and of each gradient, relative to the largest entry expected.

    Raises
    ------
    Disagreement
        One is larger than the tolerance of ``dtype``, or a gradient has another shape or dtype.
    """
    if set(dtypes) != {dtype}:
        raise Disagreement(f"{who}: the gradient is in {', '.join(dtypes)}, not all in {dtype}")
    shapes = [np.shape(a) for a in found], [np.shape(b) for b in expected]
    if shapes[0] != shapes[1]:
        raise Disagreement(f"{who}: value and gradient have the shapes {shapes[0]}, not {shapes[1]}")
    bound = tolerance(dtype).value
    differences = [
        float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(found, expected, strict=True)
    ]
    if not max(differences) <= bound:  # NaN is no agreement
        listed = ", ".join(f"{d:.1e}" for d in differences)
        raise Disagreement(f"{who}: value and gradients differ from float64 by {listed}; at most {bound:.0e}")
    return differences


def read(path: Path) -> list[Any]:
    """The arrays of a file that `numpy.savez` wrote, in order."""
    with np.load(path) as saved:
        return [saved[name] for name in saved.files]
