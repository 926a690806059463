"""Complex parts: maps that are real-linear but not complex-linear, each with its transpose.

A cotangent of ``z = x + iy`` is ``dL/dx - i dL/dy`` (the convention of HIPS autograd and JAX), so
that ``dL = Re(g dz)``; the transpose is taken under ``Re(g t)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.core import Aval, aval_of
from xpgrad.ops._define import elementwise, promote
from xpgrad.ops.elementwise import sign, where


def _real_dtype(x: Aval) -> np.dtype[Any]:
    return np.empty((), promote(x)).real.dtype


def _is_complex(x: Any) -> bool:
    return aval_of(x).dtype.kind == "c"


def _phase(x: Any, z: Any) -> Any:
    """``conj(x) / |x|``, and 0 at 0, where its own derivative is 0 too; for real x its sign."""
    if not _is_complex(x):
        return sign(x)
    return where(z == 0, 0, conjugate(x) / where(z == 0, 1, z))


def _turned(x: Any) -> tuple[Any, Any]:
    """``conj(x) / |x|``, 0 at 0, and ``|x|``, 1 at 0: over both, without a square, which might underflow."""
    r = absolute(x)
    return _phase(x, r), where(r == 0, 1, r)


def _push_angle(t: Any, _z: Any, x: Any) -> Any:
    if not _is_complex(x):
        return 0 * t
    phase, r = _turned(x)
    return imag(t * phase) / r


def _pull_angle(g: Any, _z: Any, x: Any) -> Any:
    if not _is_complex(x):
        return 0 * g
    phase, r = _turned(x)
    return -1j * g * phase / r


conjugate = elementwise(
    "conjugate", lambda t, _z, _x: conjugate(t), pulls=(lambda g, _z, _x: conjugate(g),), traits="same"
)
real = elementwise(
    "real", lambda t, _z, _x: real(t), pulls=(lambda g, _z, _x: real(g),), dtype=_real_dtype, traits="same"
)
imag = elementwise(
    "imag",
    lambda t, _z, _x: imag(t),
    pulls=(lambda g, _z, _x: -1j * real(g) if _is_complex(_x) else 0 * real(g),),
    dtype=_real_dtype,
)
for _op in (real, imag):
    _op.makes_view = True
absolute = elementwise(
    "absolute",
    lambda t, z, x: real(t * _phase(x, z)),
    pulls=(lambda g, z, x: g * _phase(x, z),),
    domain=(0.3, 3.0),
    traits="cheap",
)


def _angle_dtype(x: Aval) -> np.dtype[Any]:
    """That of ``arctan2(0, x)`` for real numbers, as NumPy has it: float16 for 8 bits."""
    if x.dtype.kind == "c":
        return _real_dtype(x)
    dtype: np.dtype[Any] = np.arctan2.resolve_dtypes((int, x.dtype, None))[-1]
    return dtype


angle = elementwise(
    "angle",
    _push_angle,
    pulls=(_pull_angle,),
    dtype=_angle_dtype,
    domain=(0.3, 3.0),
)
