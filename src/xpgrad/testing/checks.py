"""Derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import NumericsError, message
from xpgrad._trees import flatten, unflatten
from xpgrad.core import aval_of
from xpgrad.devices import asnumpy, device_of, to_device
from xpgrad.testing.tolerances import close, tolerance
from xpgrad.transforms import jvp, vjp


def check_grads(
    f: Callable[..., Any], args: Sequence[Any], order: int = 2, modes: Sequence[str] = ("rev", "fwd")
) -> None:
    """Check derivatives of ``f`` at ``args`` against central differences along random directions.

    Parameters
    ----------
    f : callable
        Takes and returns trees of float or complex arrays; smooth near ``args``.
    args : sequence of trees
    order : int
        The highest order to check: the derivative of order k is compared with differences of
        that of order k - 1, in every sequence of ``modes``.
    modes : sequence of {"rev", "fwd"}

    Raises
    ------
    NumericsError
        A derivative and the difference disagree; with the order, the mode and both values.
    ValueError
        A mode that is neither ``"rev"`` nor ``"fwd"``.

    Notes
    -----
    Steps and tolerances by dtype are those of `xpgrad.testing.tolerances`. The cost is of the
    order of ``4 * len(modes)**order`` calls of ``f``.
    """
    unknown = set(modes) - {"rev", "fwd"}
    if unknown:
        raise ValueError(f"check_grads: modes are 'rev' and 'fwd', not {sorted(unknown)}")
    rng = np.random.default_rng(0)
    _check(f, tuple(args), order, modes, rng, "")


def _check(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int,
    modes: Sequence[str],
    rng: np.random.Generator,
    path: str,
) -> None:
    leaves, structure = flatten(args)
    ts = [_random_like(x, rng) for x in leaves]
    rows = [tolerance(aval_of(x).dtype) for x in leaves]
    step = max(r.step for r in rows)
    bound = max(r.difference for r in rows)

    def along(h: float) -> list[Any]:
        moved = [x + h * t for x, t in zip(leaves, ts, strict=True)]
        return [np.asarray(asnumpy(y)) for y in flatten(f(*unflatten(structure, moved)))[0]]

    expected = [(b - a) / (2 * step) for a, b in zip(along(-step), along(step), strict=True)]
    tangents = unflatten(structure, ts)
    if "fwd" in modes:
        _, pushed = jvp(f, args, tangents)
        _compare(flatten(pushed)[0], expected, bound, path + "fwd")
    if "rev" in modes:
        out, pullback = vjp(f, *args)
        outs, out_structure = flatten(out)
        gs = [_random_like(y, rng) for y in outs]
        cs = flatten(pullback(unflatten(out_structure, gs)))[0]
        pulled = sum(_pair(c, t) for c, t in zip(cs, ts, strict=True))
        numeric = sum(_pair(g, d) for g, d in zip(gs, expected, strict=True))
        _compare([pulled], [numeric], bound, path + "rev")
    if order > 1:
        if "fwd" in modes:
            _check(lambda *xs: jvp(f, xs, tangents)[1], args, order - 1, modes, rng, path + "fwd of ")
        if "rev" in modes:
            cotangent = unflatten(out_structure, gs)
            _check(lambda *xs: vjp(f, *xs)[1](cotangent), args, order - 1, modes, rng, path + "rev of ")


def _random_like(x: Any, rng: np.random.Generator) -> Any:
    """A random array of the shape and dtype of ``x``, on its device."""
    aval = aval_of(x)
    t = rng.normal(size=aval.shape)
    if aval.dtype.kind == "c":
        t = t + 1j * rng.normal(size=aval.shape)
    t = np.asarray(t, dtype=aval.dtype)
    device = device_of(x)
    return to_device(t, device) if aval.shape or device != "cpu" else t[()]


def _pair(g: Any, t: Any) -> Any:
    """``Re(sum(g t))``: the change that the cotangent ``g`` gives to the tangent ``t``."""
    return np.real(np.sum(np.asarray(asnumpy(g)) * np.asarray(asnumpy(t))))


def _compare(actual: Sequence[Any], expected: Sequence[Any], bound: float, path: str) -> None:
    for k, (a, b) in enumerate(zip(actual, expected, strict=True)):
        a = np.asarray(asnumpy(a))
        if not close(a, b, bound):
            with np.printoptions(threshold=12, precision=8):
                got = {"derivative": str(a), "difference": str(b)}
                raise NumericsError(message(f"check_grads: {path}, output {k}: they disagree", got))
