"""Strategies for hypothesis: random array programs in plain NumPy, and arrays in odd layouts.

Needs hypothesis, which is imported here alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from xpgrad.testing.generation import LARGE, SMALL, random_program
from xpgrad.testing.program import LAYOUTS, Input, Program

T = TypeVar("T")


class _Drawn:
    """Choices made by hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def pick(self, xs: Sequence[T]) -> T:
        return xs[self._draw(st.integers(0, len(xs) - 1))] if len(xs) > 1 else xs[0]


@st.composite
def _programs(draw: st.DrawFn, scalar: bool, samples: str | None, dtype: str | None, max_steps: int) -> Program:
    program = random_program(_Drawn(draw), scalar=scalar, samples=samples, dtype=dtype, max_steps=max_steps)
    assume(program.expected.tame)
    return program


def programs(
    *, scalar: bool = False, samples: str | None = None, dtype: str | None = None, max_steps: int = 9
) -> st.SearchStrategy[Program]:
    """Random array programs in plain NumPy, with arguments to call them on.

    Parameters
    ----------
    scalar : bool
        Whether the result is a number, so that the program has a gradient; else it is an array or
        a tree of some.
    samples : {"rows", "columns"}, optional
        Which axis of the inputs the samples are on; either by default.
    dtype : {"float32", "float64", "mixed"}, optional
        The dtype of the float inputs; any by default.
    max_steps : int
        How many lines at most, give or take those that bring a value back to moderate size.

    Returns
    -------
    strategy of `Program`
        ``program(*program.args)`` runs it; it prints as its source. One to four inputs with a
        samples axis of 0 to 5,000 and feature axes of 1 to 12, in layouts of `arrays`; elementwise
        functions, broadcasting, comparisons, reductions, softmax, products, reshapes, slices,
        writes in place, joins, integer labels, ``cumsum`` and ``sort``.

    Notes
    -----
    All values are finite and of moderate size. A comparison is decided by a margin of 1e-3, so that
    float32 decides it as float64 does. Programs whose result moves by more than 100 times a relative
    perturbation of 1e-7 of inputs and intermediate results are not drawn (`Expected.tame`).
    """
    return _programs(scalar, samples, dtype, max_steps)


def arrays(
    *,
    shapes: st.SearchStrategy[tuple[int, ...]] | None = None,
    dtypes: Sequence[Any] = (np.float64, np.float32),
    layouts: Sequence[str] = LAYOUTS,
) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays of normal numbers (integers 0 and 1, booleans) in odd layouts.

    Parameters
    ----------
    shapes : strategy, optional
        By default up to two axes: one of a few to 5,000 samples, one of 1 to 12, in either order.
    dtypes : sequence of dtypes
    layouts : sequence of str
        ``"C"``, ``"F"``, ``"every second"``, ``"reversed"``, ``"inside"``, ``"broadcast"`` (stride 0),
        ``"read-only"``, ``"unaligned"``.
    """
    m, d = st.sampled_from((*SMALL, *LARGE)), st.integers(1, 12)
    if shapes is None:
        shapes = st.one_of(st.tuples(m, d), st.tuples(m), st.tuples(d, m), st.just(()))
    names = st.sampled_from([np.dtype(t).name for t in dtypes])
    inputs = st.builds(
        Input, st.just("x"), shapes, names, st.sampled_from(layouts), st.just(2), st.integers(0, 999)
    )
    return inputs.map(Input.make)
