"""The implementations in ``cupyx.scipy.special``, and the names that it lacks."""

from __future__ import annotations

from math import pi
from typing import Any

from xpgrad.backends.special import LIBRARY, library_implementation
from xpgrad.core import Implementation
from xpgrad.devices import cupy

_LACKS = ("erfi", "dawsn", "ndtri_exp", "betaincc", "jv", "yv", "iv", "ive", "kn", "kv", "kve", "stdtrit")
DECLINES = {name: f"cupyx.scipy.special has no {name}" for name in _LACKS}
# The logistic functions have one kernel each there; the shared implementations would launch several.
SHORTER = ("expit", "log_expit")
NAMES = LIBRARY.union(SHORTER).difference(_LACKS)


def cupyx_implementation(name: str) -> Implementation:
    """The implementation of the op ``name``; imports CuPy."""
    cp = cupy()
    import cupyx.scipy.special as special

    implementation = library_implementation(name, special, cp)
    return scaled(implementation, name, cp) if name in _SCALED else implementation


# Scaled Bessel functions: 4 v^2, and whether it is i (signs alternate) or k.
_SCALED = {"i0e": (0, True), "i1e": (4, True), "k0e": (0, False), "k1e": (4, False)}


def scaled(implementation: Implementation, name: str, xp: Any) -> Implementation:
    """``implementation`` with a series beyond 60, where cupyx's factors are 0 and infinite.

    The series is Hankel's, DLMF 10.40.1 and 10.40.2; 14 terms leave an error below 1e-16 there.
    """
    mu, alternating = _SCALED[name]
    terms = [1.0]
    for k in range(1, 14):
        terms.append(terms[-1] * (mu - (2 * k - 1) ** 2) / (8 * k) * (-1 if alternating else 1))

    def patched(x: Any) -> Any:
        far = xp.abs(x) > 60
        u = xp.where(far, xp.abs(x), 60)
        total = 0 * u
        for c in reversed(terms):
            total = c + total / u
        series = total / xp.sqrt(2 * pi * u) if alternating else total * xp.sqrt(pi / (2 * u))
        if name == "i1e":
            series = xp.sign(x) * series
        return xp.where(far, series, implementation(xp.clip(x, -60, 60)))

    return patched
