"""Interpolation by SciPy's names, differentiable in values, knots and points.

Everything is made of ops, so that it has derivatives of every order in both modes, on either device, compiled
and in `vmap`. Integers become float64. In which interval a point lies has no derivative; at a knot that of the
piece on its right counts.
"""

from xpgrad.interpolate._grids import RegularGridInterpolator, interpn
from xpgrad.interpolate._lines import interp1d
from xpgrad.interpolate._pieces import PPoly
from xpgrad.interpolate._splines import CubicHermiteSpline, CubicSpline, PchipInterpolator

__all__ = [
    "CubicHermiteSpline",
    "CubicSpline",
    "PPoly",
    "PchipInterpolator",
    "RegularGridInterpolator",
    "interp1d",
    "interpn",
]
