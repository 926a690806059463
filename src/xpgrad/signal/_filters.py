"""Linear recurrences with constant coefficients, along an axis.

``a[0] y[n] + a[1] y[n-1] + ... = b[0] x[n] + b[1] x[n-1] + ...`` is a triangular system with a band: its
solution takes time of order n, as do its derivatives, which are filters too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.linalg import toeplitz
from xpgrad.linalg._operands import floats, joined
from xpgrad.ops import linalg as la
from xpgrad.ops.banded import solve_banded
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import broadcast_to, full_like
from xpgrad.trace.functions._table import axis_of


def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """A digital filter along an axis, from its coefficients.

    Parameters
    ----------
    b, a : float or complex[p], float or complex[q]
        Numerator and denominator, in powers of the delay; all are divided by ``a[0]``.
    x : float or complex[..., n, ...]
        The signal; n is along ``axis``.
    axis : int
    zi : float or complex[..., max(p, q) - 1, ...], optional
        The state before, which broadcasts to that of all signals; None: rest.

    Returns
    -------
    y : array[..., n, ...]
    zf : array[..., max(p, q) - 1, ...]
        The state after; only where ``zi`` is given.

    Raises
    ------
    ShapeError
        The coefficients are no vectors, or ``zi`` does not fit.
    DataError
        ``a[0]`` is 0.
    DependencyError
        SciPy is not installed, on the CPU.

    Notes
    -----
    A filter that is not stable grows beyond all numbers, and so does its derivative. Oppenheim, Schafer,
    *Discrete-Time Signal Processing*, section 6.3; ``zi`` is the state of the transposed direct form II.
    """
    (b, a), x = _coefficients("lfilter", b, a), floats(x)
    along = axis_of("lfilter", x, axis)
    x = np.moveaxis(x, along, -1)
    if zi is not None:
        zi = np.moveaxis(floats(zi), along, -1)
    y, zf = _filtered(b, a, x, zi)
    y = np.moveaxis(y, -1, along)
    return y if zi is None else (y, np.moveaxis(zf, -1, along))


def lfilter_zi(b: Any, a: Any) -> Any:
    """The state of `lfilter` in which a constant signal of 1 goes on as it began.

    Parameters
    ----------
    b, a : float or complex[p], float or complex[q]

    Returns
    -------
    array[max(p, q) - 1]

    Raises
    ------
    LinAlgError
        The filter has a pole at 1, on the CPU.

    Notes
    -----
    The state is a fixed point of its own equation. Gustafsson, Determining the initial states in
    forward-backward filtering, IEEE Trans. Signal Process. 44 (1996).
    """
    b, a = _coefficients("lfilter_zi", b, a)
    p = max(b.shape[0], a.shape[0]) - 1
    b, a = (joined(c, _zeros(c, p + 1 - c.shape[0])) / a[0] for c in (b, a))
    if not p:
        return b[1:]
    # z[i] = z[i + 1] + b[i + 1] - a[i + 1] y with y = z[0] + b[0].
    first = joined(la.column(a[1:]), full_like(a, value=0, shape=(p, p - 1)))
    one = full_like(a, value=1, shape=(p,))
    system = la.embed_diagonal(one) - la.embed_diagonal(one[1:], offset=1) + first
    return np.linalg.solve(system, b[1:] - a[1:] * b[0])


def filtfilt(
    b: Any, a: Any, x: Any, axis: int = -1, padtype: str | None = "odd", padlen: int | None = None
) -> Any:
    """A filter forward and backward along an axis, so that no phase is shifted.

    Parameters
    ----------
    b, a : float or complex[p], float or complex[q]
    x : float or complex[..., n, ...]
    axis : int
    padtype : {"odd", "even", "constant", None}
        How the signal goes on beyond its ends.
    padlen : int, optional
        How far; None: ``3 max(p, q)``.

    Returns
    -------
    array[..., n, ...]

    Raises
    ------
    ShapeError
        The signal is not longer than ``padlen``.
    ValueError
        An unknown ``padtype``.

    Notes
    -----
    SciPy's ``method="pad"``, with the states of `lfilter_zi` at both ends.
    """
    (b, a), x = _coefficients("filtfilt", b, a), floats(x)
    along = axis_of("filtfilt", x, axis)
    x = np.moveaxis(x, along, -1)
    if padtype not in ("odd", "even", "constant", None):
        raise ValueError(
            message(f"filtfilt: padtype must be 'odd', 'even', 'constant' or None, not {padtype!r}")
        )
    default = 3 * max(b.shape[0], a.shape[0]) if padlen is None else int(padlen)
    edge = 0 if padtype is None else default
    n = x.shape[-1]
    if edge < 0 or n <= edge:
        raise ShapeError(message(f"filtfilt: the signal must be longer than padlen, {edge}", {"x": x}))
    zi = lfilter_zi(b, a)
    x = _extended(x, edge, padtype)
    y = _filtered(b, a, x, zi * x[..., :1])[0]
    y = np.flip(_filtered(b, a, np.flip(y, -1), zi * y[..., -1:])[0], -1)
    return np.moveaxis(y[..., edge : edge + n], -1, along)


def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """A digital filter along an axis, from sections of order two, one after the other.

    Parameters
    ----------
    sos : float or complex[k, 6]
        In each row three coefficients of the numerator and three of the denominator.
    x : float or complex[..., n, ...]
    axis : int
    zi : float or complex[k, ..., 2, ...], optional
        The state of each section before; None: rest.

    Returns
    -------
    y : array[..., n, ...]
    zf : array[k, ..., 2, ...]
        The states after; only where ``zi`` is given.

    Raises
    ------
    ShapeError
        ``sos`` has not six columns, or ``zi`` does not fit.
    DataError, DependencyError
        As of `lfilter`.

    Notes
    -----
    Oppenheim, Schafer, *Discrete-Time Signal Processing*, section 6.3.4.
    """
    sos, x = floats(sos), floats(x)
    _check_sections("sosfilt", sos)
    along, states = axis_of("sosfilt", x, axis), []
    if zi is not None:
        zi = floats(zi)
    for k in range(sos.shape[0]):
        if zi is None:
            x = lfilter(sos[k, :3], sos[k, 3:], x, along)
        else:
            x, state = lfilter(sos[k, :3], sos[k, 3:], x, along, zi[k])
            states.append(state)
    return x if zi is None else (x, np.stack(states))


def sosfilt_zi(sos: Any) -> Any:
    """The states of `sosfilt` in which a constant signal of 1 goes on as it began.

    Parameters
    ----------
    sos : float or complex[k, 6]

    Returns
    -------
    array[k, 2]

    Raises
    ------
    ShapeError, LinAlgError
        As of `sosfilt` and `lfilter_zi`.

    Notes
    -----
    As of `lfilter_zi`; each section gets the constant that those before it make.
    """
    sos = floats(sos)
    _check_sections("sosfilt_zi", sos)
    states, gain = [], 1.0
    for k in range(sos.shape[0]):
        b, a = sos[k, :3], sos[k, 3:]
        states.append(gain * lfilter_zi(b, a))
        gain = gain * (np.sum(b) / np.sum(a))
    return np.stack(states)


def _check_sections(name: str, sos: Any) -> None:
    if len(sos.shape) != 2 or sos.shape[1] != 6 or not sos.shape[0]:
        raise ShapeError(message(f"{name}: needs sections as rows of six coefficients", {"sos": sos}))


def _coefficients(name: str, b: Any, a: Any) -> tuple[Any, Any]:
    b, a = np.atleast_1d(floats(b)), np.atleast_1d(floats(a))
    if len(b.shape) != 1 or len(a.shape) != 1 or 0 in (*b.shape, *a.shape):
        raise ShapeError(message(f"{name}: needs vectors of coefficients, none empty", {"b": b, "a": a}))
    return b, a


def _filtered(b: Any, a: Any, x: Any, zi: Any) -> tuple[Any, Any]:
    """The signal along the last axis, filtered, and the state after it."""
    a = demand(a, a[:1] != 0, "lfilter: a[0] must not be 0", "a", seen=a[:1])
    b, a = b / a[0], a / a[0]
    n, q = x.shape[-1], a.shape[0] - 1
    p = max(b.shape[0] - 1, q)
    v = b[0] * x
    for k in range(1, min(b.shape[0], n)):
        v = v + b[k] * joined(_zeros(x, k), x[..., :-k])
    if zi is not None:
        zi = _state(zi, p, x)
        v = v + joined(zi[..., :n], _zeros(zi, n - min(n, p)))
    y = v
    if q and n:
        ab = broadcast_to(la.column(a), shape=(q + 1, n))
        y = solve_banded(ab, la.column(v), lower=q, upper=0)[..., 0]
    if zi is None:
        return y, None
    left = joined(zi[..., n:], _zeros(zi, min(n, p)))
    return y, left + _after(b, x, p) - _after(a, y, p)


def _after(c: Any, x: Any, p: int) -> Any:
    """What the last samples add to the state: in its entry i, the sum of ``c[k] x[n + i - k]`` over k > i."""
    if not p:
        return _zeros(x, 0)
    n = x.shape[-1]
    tail = joined(_zeros(x, max(p - n, 0)), x[..., max(n - p, 0) :])
    c = joined(c, _zeros(c, p + 1 - c.shape[0]))
    row = np.flip(c[1:], 0)
    return tail @ la.T(toeplitz(joined(row[:1], _zeros(c, p - 1)), row))


def _state(zi: Any, p: int, x: Any) -> Any:
    """``zi`` for each signal."""
    shape = (*x.shape[:-1], p)
    if len(zi.shape) != len(shape) or any(m not in (1, n) for m, n in zip(zi.shape[:-1], shape, strict=False)):
        raise ShapeError(message(f"lfilter: the state does not fit signals of {shape[:-1]}", {"zi": zi}))
    if zi.shape[-1] != p:
        raise ShapeError(message(f"lfilter: the state must have {p} entries along the axis", {"zi": zi}))
    return broadcast_to(zi, shape=shape)


def _extended(x: Any, edge: int, padtype: str | None) -> Any:
    """``x`` with ``edge`` samples more at both ends of its last axis."""
    if not edge:
        return x
    first, last = x[..., :1], x[..., -1:]
    before, after = np.flip(x[..., 1 : edge + 1], -1), np.flip(x[..., -edge - 1 : -1], -1)
    if padtype == "odd":
        before, after = 2 * first - before, 2 * last - after
    elif padtype == "constant":
        before, after = first + 0 * before, last + 0 * after
    return joined(before, x, after)


def _zeros(x: Any, n: int) -> Any:
    """``n`` zeros along the last axis."""
    return full_like(x, value=0, shape=(*x.shape[:-1], n))
