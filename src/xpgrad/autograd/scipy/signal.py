"""Convolution over some axes, and contraction over others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message


def convolve(A: Any, B: Any, axes: Any = None, dot_axes: Any = ((), ()), mode: str = "full") -> Any:
    """Convolve ``A`` with ``B`` over pairs of axes, and sum over products along others.

    Parameters
    ----------
    A, B : arrays
    axes : two sequences of int
        The axes of ``A`` and those of ``B`` that are convolved; all of them if not given.
    dot_axes : two sequences of int
        The axes of each that are contracted.
    mode : {"full", "same", "valid"}
        As SciPy's; ``same`` is as long as ``A``.

    Returns
    -------
    array
        First the axes of ``A`` that are left, then those of ``B``, then those of the convolution.

    Raises
    ------
    ShapeError
        With ``valid``, neither is at least as long as the other along all axes.
    ValueError
        There is no such mode.
    """
    if mode not in ("full", "same", "valid"):
        raise ValueError(f'convolve: mode must be "full", "same" or "valid", not {mode!r}')
    n = np.ndim(A)
    axes = (range(n), range(n)) if axes is None else axes
    a, kept_a, lengths = _arranged(A, axes[0], dot_axes[0])
    b, kept_b, sizes = _arranged(B, axes[1], dot_axes[1])
    swapped = mode == "valid" and any(k > m for k, m in zip(sizes, lengths, strict=True))
    if swapped:
        if any(m > k for k, m in zip(sizes, lengths, strict=True)):
            what = "convolve: with mode='valid' one array must be at least as long as the other along all axes"
            raise ShapeError(message(what, {"A": A, "B": B}))
        a, b, sizes = b, a, lengths
    if mode != "valid":
        a = np.pad(a, [(0, 0), (0, 0), *((k - 1, k - 1) for k in sizes)])
    over = tuple(range(2, 2 + len(sizes)))
    windows = np.lib.stride_tricks.sliding_window_view(a, tuple(sizes), axis=over)
    flipped = np.flip(b, over)
    places = [*range(3, 3 + 2 * len(sizes))]
    out_places, taps = places[: len(sizes)], places[len(sizes) :]
    out = np.einsum(windows, [0, 1, *out_places, *taps], flipped, [2, 1, *taps], [0, 2, *out_places])
    if swapped:
        out = np.swapaxes(out, 0, 1)
    if mode == "same":
        parts = [slice((k - 1) // 2, (k - 1) // 2 + m) for k, m in zip(sizes, lengths, strict=True)]
        out = out[(slice(None), slice(None), *parts)]
    return np.reshape(out, (*kept_a, *kept_b, *out.shape[2:]))


def _arranged(x: Any, over: Sequence[int], dot: Sequence[int]) -> tuple[Any, list[int], list[int]]:
    """``x`` with one axis of what is left, one of what is contracted, and those of the convolution."""
    over, dot = [k % np.ndim(x) for k in over], [k % np.ndim(x) for k in dot]
    left = [k for k in range(np.ndim(x)) if k not in (*over, *dot)]
    shape = np.shape(x)
    kept, sizes = [shape[k] for k in left], [shape[k] for k in over]
    moved = np.transpose(x, (*left, *dot, *over))
    lengths = (int(np.prod(kept)), int(np.prod([shape[k] for k in dot])))
    return np.reshape(moved, (*lengths, *sizes)), kept, sizes
