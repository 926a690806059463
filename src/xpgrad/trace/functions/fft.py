"""NumPy's Fourier transforms: cropping and padding, then one of three ops."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import fft as ft
from xpgrad.ops.complex import conjugate
from xpgrad.ops.shape import copy, pad
from xpgrad.trace.functions._table import array, axis_of, implements, ndim, refuse, shape
from xpgrad.trace.functions.rearranging import roll


def _operand(x: Any) -> Any:
    x = array(x)
    return x if hasattr(x, "shape") else np.asarray(x)


def _norm(name: str, norm: Any) -> str:
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f'{name}: norm must be "backward", "ortho" or "forward", not {norm!r}')
    return norm or "backward"


def _resized(x: Any, sizes: dict[int, int]) -> Any:
    """``x`` cropped, or padded with zeros at the end, to the length given for each axis."""
    have = shape(x)
    if any(n < have[a] for a, n in sizes.items()):
        x = x[tuple(slice(0, sizes.get(a, n)) for a, n in enumerate(have))]
    if any(n > have[a] for a, n in sizes.items()):
        x = pad(x, widths=tuple((0, max(sizes.get(a, n) - n, 0)) for a, n in enumerate(have)))
    return x


def _sized(name: str, x: Any, s: Any, axes: Any, kind: str = "complex") -> tuple[list[int], tuple[int, ...]]:
    """The length of each transformed axis and the axes, as NumPy takes ``s`` and ``axes``.

    ``kind`` is that of the transform: complex, real, or the inverse of a real one.
    """
    n = ndim(x)
    if axes is None:
        axes = range(n) if s is None else range(-len(s), 0)
    axes = tuple(axis_of(name, x, a) for a in axes)
    if not axes and kind != "complex":
        raise ShapeError(message(f"{name}: needs an axis", {"operand": x}))
    if s is None:
        sizes = [shape(x)[a] for a in axes]
        if kind == "inverse":
            sizes[-1] = 2 * (sizes[-1] - 1)
    else:
        sizes = [shape(x)[a] if k in (-1, None) else index(k) for k, a in zip(s, axes, strict=False)]
        if len(s) != len(axes):
            raise ShapeError(message(f"{name}: {len(s)} lengths for {len(axes)} axes", {"operand": x}))
    if any(k < 1 for k in sizes):
        raise ShapeError(message(f"{name}: a transform of {min(sizes)} data", {"operand": x}))
    return sizes, axes


def _complex_transform(name: str, inverse: bool, x: Any, s: Any, axes: Any, norm: Any, out: Any) -> Any:
    refuse(name, out=out)
    x = _operand(x)
    sizes, axes = _sized(name, x, s, axes)
    if not axes:
        return copy(x, order="K")
    norm = _norm(name, norm)
    if len(set(axes)) < len(axes):
        for a, n in reversed(list(zip(axes, sizes, strict=True))):
            x = ft.fftn(_resized(x, {a: n}), axes=(a,), inverse=inverse, norm=norm)
        return x
    x = _resized(x, dict(zip(axes, sizes, strict=True)))
    return ft.fftn(x, axes=axes, inverse=inverse, norm=norm)


def _real_transform(name: str, x: Any, s: Any, axes: Any, norm: Any, out: Any) -> Any:
    refuse(name, out=out)
    x = _operand(x)
    if aval_of(x).dtype.kind == "c":
        raise DTypeError(message(f"{name}: takes real data", {"operand": x}, remedy="take np.fft.fft"))
    norm = _norm(name, norm)
    sizes, axes = _sized(name, x, s, axes, "real")
    if len(set(axes)) < len(axes):
        x = ft.rfftn(_resized(x, {axes[-1]: sizes[-1]}), axes=axes[-1:], norm=norm)
        return _complex_transform(name, False, x, sizes[:-1], axes[:-1], norm, None)
    x = _resized(x, dict(zip(axes, sizes, strict=True)))
    return ft.rfftn(x, axes=axes, norm=norm)


def _real_inverse(name: str, x: Any, s: Any, axes: Any, norm: Any, out: Any) -> Any:
    refuse(name, out=out)
    x = _operand(x)
    norm = _norm(name, norm)
    sizes, axes = _sized(name, x, s, axes, "inverse")
    n = sizes[-1]
    if len(set(axes)) < len(axes):
        for a, k in zip(axes[:-1], sizes[:-1], strict=True):
            x = _complex_transform(name, True, x, (k,), (a,), norm, None)
        axes, sizes = axes[-1:], sizes[-1:]
    x = _resized(x, dict(zip(axes, (*sizes[:-1], n // 2 + 1), strict=True)))
    return ft.irfftn(x, n=n, axes=axes, norm=norm)


# ── one axis ─────────────────────────────────────────────────────────────────────────────────
def _one(n: Any) -> Any:
    if n is None:
        return None
    return (max(index(n), 0),)  # of one axis -1 does not stand for its length


@implements(np.fft.fft)
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _complex_transform("fft", False, a, _one(n), (axis,), norm, out)


@implements(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _complex_transform("ifft", True, a, _one(n), (axis,), norm, out)


@implements(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _real_transform("rfft", a, _one(n), (axis,), norm, out)


@implements(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _real_inverse("irfft", a, _one(n), (axis,), norm, out)


@implements(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    other = ft.other_way(_norm("hfft", norm))
    return _real_inverse("hfft", conjugate(_operand(a)), _one(n), (axis,), other, out)


@implements(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    other = ft.other_way(_norm("ihfft", norm))
    return conjugate(_real_transform("ihfft", a, _one(n), (axis,), other, out))


# ── several axes ─────────────────────────────────────────────────────────────────────────────
@implements(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    return _complex_transform("fftn", False, a, s, axes, norm, out)


@implements(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    return _complex_transform("ifftn", True, a, s, axes, norm, out)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    return _real_transform("rfftn", a, s, axes, norm, out)


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    return _real_inverse("irfftn", a, s, axes, norm, out)


def _over_two_axes(transform: Callable[..., Any]) -> Callable[..., Any]:
    def two(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
        return transform(a, s, axes, norm, out)

    return two


implements(np.fft.fft2)(_over_two_axes(partial(_complex_transform, "fft2", False)))
implements(np.fft.ifft2)(_over_two_axes(partial(_complex_transform, "ifft2", True)))
implements(np.fft.rfft2)(_over_two_axes(partial(_real_transform, "rfft2")))
implements(np.fft.irfft2)(_over_two_axes(partial(_real_inverse, "irfft2")))


# ── order of the frequencies ─────────────────────────────────────────────────────────────────
def _axes(x: Any, axes: Any) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(ndim(x)))
    return tuple(axis_of("fftshift", x, a) for a in (axes if isinstance(axes, (tuple, list)) else (axes,)))


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    x = _operand(x)
    axes = _axes(x, axes)
    return roll(x, tuple(shape(x)[a] // 2 for a in axes), axes)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    x = _operand(x)
    axes = _axes(x, axes)
    return roll(x, tuple(-(shape(x)[a] // 2) for a in axes), axes)
