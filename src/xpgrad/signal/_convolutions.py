"""Convolutions, as products of Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import aval_of
from xpgrad.linalg._operands import floats

_MODES = ("full", "same", "valid")


def fftconvolve(in1: Any, in2: Any, mode: str = "full") -> Any:
    """The convolution of two arrays over all axes, by Fourier transforms.

    Parameters
    ----------
    in1, in2 : float or complex[...]
        With as many axes.
    mode : {"full", "same", "valid"}
        All of it; the middle, with the shape of ``in1``; or where one array is wholly within the other.

    Returns
    -------
    array[...]
        Of the common dtype.

    Raises
    ------
    ShapeError
        The arrays differ in the number of axes, an axis is empty, or "valid" is asked for and neither
        array is as long as the other along every axis.
    ValueError
        An unknown mode.

    Notes
    -----
    ``sum over j of in1[j] in2[k - j]``. The error is that of rounding of the largest entry of the result.
    Oppenheim, Schafer, *Discrete-Time Signal Processing*, section 8.7.
    """
    return _convolved("fftconvolve", floats(in1), floats(in2), mode)


def convolve(in1: Any, in2: Any, mode: str = "full") -> Any:
    """The convolution of two arrays over all axes.

    Parameters, results, errors and notes are those of `fftconvolve`.
    """
    return _convolved("convolve", floats(in1), floats(in2), mode)


def correlate(in1: Any, in2: Any, mode: str = "full") -> Any:
    """The correlation of two arrays over all axes: the convolution with the conjugate of ``in2``, reversed.

    Parameters, results, errors and notes are those of `fftconvolve`.
    """
    in1, in2 = floats(in1), floats(in2)
    kernel = np.flip(np.conjugate(in2))
    if mode == "valid" and _holds(in2, in1) and not _holds(in1, in2):
        return np.flip(np.conjugate(_convolved("correlate", in2, np.flip(np.conjugate(in1)), mode)))
    return _convolved("correlate", in1, kernel, mode)


def _convolved(name: str, a: Any, b: Any, mode: str) -> Any:
    if mode not in _MODES:
        raise ValueError(message(f"{name}: mode must be 'full', 'same' or 'valid', not {mode!r}"))
    if len(a.shape) != len(b.shape) or 0 in (*a.shape, *b.shape):
        raise ShapeError(message(f"{name}: needs arrays with as many axes, none empty", {"in1": a, "in2": b}))
    if mode == "valid" and not (_holds(a, b) or _holds(b, a)):
        rule = "neither array is as long as the other along every axis"
        raise ShapeError(message(f"{name}: {rule}", {"in1": a, "in2": b}))
    if not a.shape:
        return a * b
    axes = tuple(range(len(a.shape)))
    full: Any
    whole = tuple(m + n - 1 for m, n in zip(a.shape, b.shape, strict=True))
    if "c" in (aval_of(a).dtype.kind, aval_of(b).dtype.kind):
        full = np.fft.ifftn(np.fft.fftn(a, whole, axes) * np.fft.fftn(b, whole, axes), whole, axes)
    else:
        full = np.fft.irfftn(np.fft.rfftn(a, whole, axes) * np.fft.rfftn(b, whole, axes), whole, axes)
    if mode == "full":
        return full
    sizes = a.shape
    if mode == "valid":
        sizes = tuple(abs(m - n) + 1 for m, n in zip(a.shape, b.shape, strict=True))
    begins = [(w - n) // 2 for w, n in zip(whole, sizes, strict=True)]
    return full[tuple(slice(k, k + n) for k, n in zip(begins, sizes, strict=True))]


def _holds(a: Any, b: Any) -> bool:
    """Whether ``a`` is as long as ``b`` along every axis."""
    return all(m >= n for m, n in zip(a.shape, b.shape, strict=False))
