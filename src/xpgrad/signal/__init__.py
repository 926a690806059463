"""Convolutions and filters by SciPy's names, differentiable.

Everything is made of ops, so that it has derivatives of every order in both modes, on either device, compiled
and in `vmap`. Integers become float64.
"""

from xpgrad.signal._convolutions import convolve, correlate, fftconvolve
from xpgrad.signal._filters import filtfilt, lfilter, lfilter_zi, sosfilt, sosfilt_zi

__all__ = [
    "convolve",
    "correlate",
    "fftconvolve",
    "filtfilt",
    "lfilter",
    "lfilter_zi",
    "sosfilt",
    "sosfilt_zi",
]
