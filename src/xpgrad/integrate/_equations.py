"""Differential equations: discretised, then differentiated, or by the adjoint equation.

Holds: how long a step is depends on numbers alone and is no part of what is differentiated, but that it is a
fraction of the time between two outputs; a derivative is that of the steps that were made, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DataError, NumericsError, ShapeError, TraceError, message
from xpgrad._trees import flatten, tree_map, unflatten
from xpgrad.core import is_inexact
from xpgrad.devices import asnumpy
from xpgrad.integrate._adjoint import by_adjoint
from xpgrad.integrate._radau import Radau, fixed_step
from xpgrad.trace.functions._table import array
from xpgrad.trace.traced import Traced
from xpgrad.transforms import scan, stop_gradient

Fun = Callable[..., Any]

# Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, table 5.2: nodes, stages, order 5, error.
_C = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
_A: tuple[tuple[float, ...], ...] = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
_B = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
_E = (-71 / 57600, 0.0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40)
_SAFETY, _LEAST, _MOST = 0.9, 0.2, 10.0


class IvpResult(NamedTuple):
    """The result of `solve_ivp`: times float[m], and the solution there, float[..., m]."""

    t: Any
    y: Any


def odeint(
    func: Fun,
    y0: Any,
    t: Any,
    args: Any = (),
    *,
    rtol: float = 1.49012e-8,
    atol: float = 1.49012e-8,
    tfirst: bool = False,
    steps: int | None = None,
    adjoint: bool = False,
) -> Any:
    """The solution of ``dy/dt = func(y, t, *args)``, differentiable in ``y0``, ``t`` and ``args``.

    Parameters
    ----------
    func : callable
        ``func(y, t, *args)``, with ``tfirst`` ``func(t, y, *args)``: a tree like ``y``.
    y0 : tree of float or complex arrays or scalars
        The values at ``t[0]``.
    t : float[m]
        When the solution is wanted, in increasing or decreasing order.
    args : tuple of trees of arrays
        What else ``func`` gets; anything but a tuple is a single one.
    rtol, atol : float
        What the estimated error of a step may be, relative and absolute, as a root mean square of the entries.
    steps : int, optional
        So many equal steps between two times, whatever the error. None: as many as the tolerances ask for.
    adjoint : bool
        Whether gradients come from the adjoint equation, solved backward in time, and not from the steps that
        were made: memory of the outputs alone, and an error of the size of the tolerances. There is no forward
        mode then, and what is differentiated must be in ``y0``, ``t`` or ``args``.

    Returns
    -------
    tree of arrays[m, ...]
        The solution at each time; its first entry is ``y0``.

    Raises
    ------
    ShapeError
        ``t`` is no vector; ``func`` gives another structure or other shapes than ``y0``.
    DataError
        ``steps`` is less than 1.
    TraceError
        Compiled or in `vmap` without ``steps``: the error of a step is not known there.
    NumericsError
        The steps become too small, as before a pole. For stiff equations there is "Radau" of `solve_ivp`.

    Notes
    -----
    Order 5(4): Dormand, Prince, A family of embedded Runge-Kutta formulae, J. Comp. Appl. Math. 6 (1980). The
    memory for a gradient grows with the number of steps. SciPy's `odeint` is LSODA, which is of another order.
    """
    args = args if type(args) is tuple else (args,)
    given = func if tfirst else (lambda t, y, *args: func(y, t, *args))
    limits = _Limits("odeint", "RK45", rtol, atol, steps)
    return _answer(limits, given, _start(y0), _times("odeint", t), args, adjoint)


def solve_ivp(
    fun: Fun,
    t_span: Any,
    y0: Any,
    method: str = "RK45",
    t_eval: Any = None,
    args: Any = (),
    *,
    rtol: float = 1e-3,
    atol: float = 1e-6,
    steps: int | None = None,
    adjoint: bool = False,
) -> IvpResult:
    """The solution of ``dy/dt = fun(t, y, *args)``, differentiable as by `odeint`.

    Parameters
    ----------
    fun : callable
        ``fun(t, y, *args)``: an array like ``y``.
    t_span : tuple of two floats
        From when to when.
    y0 : float or complex[...]
    method : {"RK45", "Radau"}
        "RK45" takes explicit steps, "Radau" implicit ones, for stiff equations.
    t_eval : float[m], optional
        When the solution is wanted, within ``t_span``; None: at its ends, and after each step between.
    args, rtol, atol, steps, adjoint
        As in `odeint`; ``adjoint`` needs ``t_eval``.

    Returns
    -------
    IvpResult
        ``t``, float[m], and ``y``, float[..., m].

    Raises
    ------
    ShapeError, DataError, TraceError, NumericsError
        As of `odeint`.
    ValueError
        An unknown method; ``adjoint`` without ``t_eval``.

    Notes
    -----
    As of `odeint`. SciPy steps over the times of ``t_eval`` and interpolates; here a step ends at each.

    Radau IIA of order 5 solves equations by Newton's method in each step, with the Jacobian of ``fun``; with n
    entries of ``y`` that takes time of order ``27 n^3``. It needs numbers: within `compile` and
    `vmap` it is refused. Hairer, Wanner, *Solving Ordinary Differential Equations II*, section IV.8.
    """
    if method not in ("RK45", "Radau"):
        raise ValueError(message(f"solve_ivp: method must be 'RK45' or 'Radau', not {method!r}"))
    args = args if type(args) is tuple else (args,)
    limits = _Limits("solve_ivp", method, rtol, atol, steps)

    def given(t: Any, y: Any, *args: Any) -> Any:
        return fun(t, y, *args)

    begin, end = t_span
    if t_eval is None:
        if adjoint:
            raise ValueError(message("solve_ivp: adjoint=True needs t_eval: the steps are no part of it"))
        times = np.stack([begin, end]) * 1.0
        plain = _on_numbers(given, args)
        t, y = _solved(limits, lambda t, y: given(t, y, *args), _start(y0), times, True, plain)
        return IvpResult(t, np.moveaxis(y, 0, -1))
    t = _times("solve_ivp", t_eval)
    times = np.concatenate([np.reshape(begin, (1,)) * 1.0, t])
    y = _answer(limits, given, _start(y0), times, args, adjoint)
    return IvpResult(t, np.moveaxis(y[1:], 0, -1))


def _times(name: str, t: Any) -> Any:
    t = array(t)
    if len(np.shape(t)) != 1 or not t.shape[0]:
        raise ShapeError(message(f"{name}: the times must be a vector, with one entry at least", {"t": t}))
    return t * 1.0


def _start(y0: Any) -> Any:
    """``y0`` as floats."""
    return tree_map(lambda x: x if is_inexact(x) else array(x) * 1.0, y0)


class _Limits(NamedTuple):
    """How an equation is to be solved."""

    name: str
    method: str
    rtol: float
    atol: float
    steps: int | None


def _answer(limits: _Limits, f: Fun, y0: Any, t: Any, args: tuple[Any, ...], adjoint: bool) -> Any:
    """The solution at the times ``t`` of ``dy/dt = f(t, y, *args)``."""
    if not adjoint:
        return _solved(limits, lambda t, y: f(t, y, *args), y0, t, plain=_on_numbers(f, args))[1]
    return by_adjoint(lambda f, y, t: _solved(limits, f, y, t)[1], f, y0, t, args)


def _on_numbers(f: Fun, args: Any) -> Fun:
    """``f(t, y)`` with the numbers of ``args``: what chooses the steps, and is not differentiated."""
    numbers = stop_gradient(args)
    return lambda t, y: f(t, y, *numbers)


def _solved(
    limits: _Limits, f: Fun, y: Any, t: Any, all_: bool = False, plain: Fun | None = None
) -> tuple[Any, Any]:
    """Times and the solution there: at the entries of ``t``, with ``all_`` after each step between too."""
    plain = f if plain is None else plain
    name, method, rtol, atol, steps = limits
    _check_like(name, y, f(t[0], y))
    if steps is not None:
        if steps < 1:
            raise DataError(message(f"{name}: steps={steps}, but it takes one at least"))
        if all_:
            t = t[0] + (t[1] - t[0]) * np.linspace(0.0, 1.0, steps + 1)
            steps = 1
        step = partial(fixed_step, f, plain) if method == "Radau" else partial(_explicit_step, f)
        pairs = (t[:-1], t[1:])
        return t, _with_first(y, scan(lambda y, p: _interval(step, y, p[0], p[1], steps), y, pairs)[1])
    control: Any = _Control(name, f, plain, rtol, atol)
    control = Radau(control, f, plain) if method == "Radau" else control
    times, found = [t[0]], [y]
    for i in range(t.shape[0] - 1):
        begin, length = t[i], t[i + 1] - t[i]
        for low, share, new in control.steps(begin, length, y):
            y = new
            if all_ and low + share < 1:
                times.append(begin + (low + share) * length)
                found.append(y)
        times.append(t[i + 1])
        found.append(y)
    columns = zip(*[flatten(y)[0] for y in found], strict=True)
    return np.stack(times), unflatten(flatten(y)[1], [np.stack(column) for column in columns])


def _interval(step: Fun, y: Any, begin: Any, end: Any, steps: int) -> tuple[Any, Any]:
    """The solution at ``end``, after equal steps."""
    h = (end - begin) / steps

    def once(carry: Any, _: Any) -> tuple[Any, None]:
        t, y = carry
        return (t + h, step(t, y, h)), None

    y = scan(once, (begin, y), length=steps)[0][1] if steps > 1 else step(begin, y, h)
    return y, y


def _with_first(first: Any, rest: Any) -> Any:
    return tree_map(lambda a, b: np.concatenate([np.reshape(a, (1, *np.shape(a))), b]), first, rest)


def _explicit_step(f: Fun, t: Any, y: Any, h: Any) -> Any:
    return _step(f, t, y, h)[0]


def _step(f: Fun, t: Any, y: Any, h: Any) -> tuple[Any, list[Any]]:
    """The solution after one step, and the slopes."""
    slopes: list[Any] = []
    for c, row in zip(_C, _A, strict=True):
        slopes.append(f(t + c * h if c else t, _moved(y, h, row, slopes)))
    return _moved(y, h, _B, slopes), slopes


def _moved(y: Any, h: Any, weights: Sequence[float], slopes: Sequence[Any]) -> Any:
    """``y + h sum(weights slopes)``."""
    pairs = [(w, k) for w, k in zip(weights, slopes, strict=True) if w]
    if not pairs:
        return y

    def combined(x: Any, *ks: Any) -> Any:
        total = pairs[0][0] * ks[0]
        for (w, _), k in zip(pairs[1:], ks[1:], strict=True):
            total = total + w * k
        return x + h * total

    return tree_map(combined, y, *[k for _, k in pairs])


class _Control:
    """Chooses the steps by their estimated errors; what it computes for that is no part of a derivative."""

    def __init__(self, name: str, f: Fun, plain: Fun, rtol: float, atol: float) -> None:
        self._f, self._plain = f, plain
        self.name, self.rtol, self.atol = name, rtol, atol
        self._h: float | None = None

    def steps(self, begin: Any, length: Any, y: Any) -> Any:
        """Where each step begins and how long it is, as shares of the interval, and the solution after it."""
        start, whole = self.number(begin), self.number(length)
        if whole == 0:
            return
        if self._h is None:
            self._h = self.first(start, whole, y)
        low = 0.0
        while low < 1:
            share = min(abs(self._h / whole), 1 - low)
            if low + share > 1 - 1e-12:
                share = 1 - low
            plain = stop_gradient(y)
            error = self._error(start + low * whole, plain, share * whole)
            factor = _SAFETY * error**-0.2 if error > 0 else _MOST
            if not error <= 1:
                self._h = share * abs(whole) * (max(factor, _LEAST) if error == error else _LEAST)
                if self._h < 10 * np.spacing(max(abs(start), abs(whole))):
                    at = f"{self.name}: the steps become too small at t = {start + low * whole:.6g}"
                    raise NumericsError(message(at, remedy="the equation is stiff there, or has a pole"))
                continue
            proposed = share * abs(whole) * min(max(factor, _LEAST), _MOST)
            self._h = max(self._h, proposed) if factor > 1 else proposed
            y = _step(self._f, begin + low * length, y, share * length)[0]
            yield low, share, y
            low = 1.0 if share == 1 - low else low + share

    def number(self, x: Any) -> float:
        x = stop_gradient(x)
        if type(x) is Traced:
            raise TraceError(
                message(
                    f"{self.name}: how long the steps are depends on numbers, which are not known here",
                    remedy="steps=n makes n equal steps between two times",
                )
            )
        return float(asnumpy(x))

    def _error(self, t: float, y: Any, h: float) -> float:
        """The error of a step, over what is allowed."""
        with np.errstate(all="ignore"):
            new, slopes = _step(self._plain, t, y, h)
            slopes.append(self._plain(t + h, new))
            zero = tree_map(lambda x: x * 0.0, y)
            return self.size(_moved(zero, h, _E, slopes), y, new)

    def size(self, e: Any, *ys: Any) -> float:
        """The root mean square of ``e`` over the allowed error of values like ``ys``."""
        total, n = 0.0, 0
        for x, *around in zip(flatten(e)[0], *[flatten(y)[0] for y in ys], strict=True):
            size = abs(around[0])
            for other in around[1:]:
                size = np.maximum(size, abs(other))
            total = total + np.sum(abs(x / (self.atol + self.rtol * size)) ** 2)
            n += int(np.prod(np.shape(x)))
        return float((self.number(total) / max(n, 1)) ** 0.5)

    def first(self, t: float, whole: float, y: Any) -> float:
        """The length of the first step: Hairer, Norsett, Wanner, section II.4."""
        y = stop_gradient(y)
        slope = self._plain(t, y)
        d0, d1 = self.size(y, y), self.size(slope, y)
        h = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
        h = min(h, abs(whole))
        sign = 1.0 if whole > 0 else -1.0
        later = self._plain(t + sign * h, tree_map(lambda x, k: x + sign * h * k, y, slope))
        d2 = self.size(tree_map(lambda a, b: a - b, later, slope), y) / h
        most = max(d1, d2)
        return float(min(100 * h, max(1e-6, h * 1e-3) if most <= 1e-15 else (0.01 / most) ** 0.2))


def _check_like(name: str, y: Any, slope: Any) -> None:
    ys, structure = flatten(y)
    ks, given = flatten(slope)
    if given != structure or [np.shape(a) for a in ys] != [np.shape(k) for k in ks]:
        got = {"y": ", ".join(str(np.shape(a)) for a in ys), "slope": ", ".join(str(np.shape(k)) for k in ks)}
        raise ShapeError(message(f"{name}: the function gives no slope like y", got))
