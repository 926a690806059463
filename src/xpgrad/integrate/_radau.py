"""Implicit steps of order 5 for stiff equations: Radau IIA, with the engine's own Jacobians.

In:  an equation ``f(t, y)``, and the control that says what error is allowed.
Out: steps, as the explicit method makes them.
Holds: the equations of a step are solved with numbers. What is differentiated are Newton steps from that
       solution, one for each level of differentiation, with the inverse Jacobian as a constant: each makes
       derivatives of one order more exact, so that those of every order that are asked for are those of the
       solution, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import NumericsError, TraceError, message
from xpgrad._trees import flatten, unflatten
from xpgrad.core import aval_of
from xpgrad.devices import namespace
from xpgrad.trace.traced import Traced, levels
from xpgrad.transforms import jacobian, stop_gradient

Fun = Callable[..., Any]

# Hairer, Wanner, Solving Ordinary Differential Equations II, section IV.8: nodes, stages, error, eigenvalue.
_ROOT = 6.0**0.5
_C = ((4 - _ROOT) / 10, (4 + _ROOT) / 10, 1.0)
_A = np.array(
    [
        [(88 - 7 * _ROOT) / 360, (296 - 169 * _ROOT) / 1800, (-2 + 3 * _ROOT) / 225],
        [(296 + 169 * _ROOT) / 1800, (88 + 7 * _ROOT) / 360, (-2 - 3 * _ROOT) / 225],
        [(16 - _ROOT) / 36, (16 + _ROOT) / 36, 1 / 9],
    ]
)
_E = np.array([-13 - 7 * _ROOT, -13 + 7 * _ROOT, -1.0]) / 3
_MU = 3 + 3 ** (2 / 3) - 3 ** (1 / 3)
_NEWTON = 10  # iterations; more means that the step is too long
_REFINED = 3


class Vectors:
    """An equation of trees as one of real vectors: complex entries are two."""

    def __init__(self, f: Fun, y: Any) -> None:
        leaves, self._structure = flatten(y)
        self._f = f
        self._shapes = [np.shape(x) for x in leaves]
        self._complex = [aval_of(x).dtype.kind == "c" for x in leaves]

    def flat(self, y: Any) -> Any:
        """A tree as a vector."""
        parts = list[Any]()
        for x, two in zip(flatten(y)[0], self._complex, strict=True):
            x = np.reshape(x, (-1,))
            parts += [np.real(x), np.imag(x)] if two else [x]
        return np.concatenate(parts)

    def tree(self, v: Any) -> Any:
        """A vector as a tree."""
        leaves, at = [], 0
        for shape, two in zip(self._shapes, self._complex, strict=True):
            n = int(np.prod(shape))
            x = v[at : at + n]
            at += n
            if two:
                x = x + 1j * v[at : at + n]
                at += n
            leaves.append(np.reshape(x, shape))
        return unflatten(self._structure, leaves)

    def __call__(self, t: Any, v: Any) -> Any:
        return self.flat(self._f(t, self.tree(v)))


class Radau:
    """Chooses implicit steps by their estimated errors.

    Parameters
    ----------
    control
        Of the explicit method, for the size of errors and the first step.
    f, plain : callable
        ``f(t, y)``: a tree like ``y``; and the same on numbers.
    """

    def __init__(self, control: Any, f: Fun, plain: Fun) -> None:
        self._control, self._f, self._plain = control, f, plain
        self._h: float | None = None
        self._jacobian: Any = None

    def steps(self, begin: Any, length: Any, y: Any) -> Any:
        """Where each step begins and how long it is, as shares of the interval, and the solution after it."""
        control = self._control
        start, whole = control.number(begin), control.number(length)
        if whole == 0:
            return
        if self._h is None:
            self._h = control.first(start, whole, y)
        f, plain = Vectors(self._f, y), Vectors(self._plain, y)
        v, low = f.flat(y), 0.0
        while low < 1:
            share = min(abs(self._h / whole), 1 - low)
            if low + share > 1 - 1e-12:
                share = 1 - low
            t, h = start + low * whole, share * whole
            with np.errstate(all="ignore"):
                found = self._tried(plain, t, stop_gradient(v), h)
            if found is None or not found[1] <= 1:
                factor = 0.5 if found is None or found[1] != found[1] else max(0.2, 0.9 * found[1] ** -0.25)
                self._h = abs(h) * factor
                if self._h < 10 * np.spacing(max(abs(start), abs(whole))):
                    at = f"{control.name}: the steps become too small at t = {t:.6g}"
                    raise NumericsError(message(at, remedy="the equation has a pole there, or a jump"))
                continue
            stages, error, current = found
            factor = min(10.0, 0.9 * error**-0.25) if error > 0 else 10.0
            # A step that grows a little is not worth a new inverse.
            proposed = abs(h) * (max(factor, 0.2) if factor > 1.2 or factor < 1 else 1.0)
            self._h = max(self._h, proposed) if factor > 1 else proposed
            v = _differentiable(f, plain, stages, begin + low * length, v, share * length, (t, h))
            if not current:
                self._jacobian = None
            yield low, share, f.tree(v)
            low = 1.0 if share == 1 - low else low + share

    def _tried(self, f: Vectors, t: float, v: Any, h: float) -> tuple[Any, float, bool] | None:
        """The stages of a step, its error over what is allowed, and whether the Jacobian may be kept."""
        control, n = self._control, v.shape[0]
        slope, stacked = _number(f(t, v)), namespace(v).concatenate([v] * 3)
        tol = max(10 * float(np.finfo(v.dtype).eps) / control.rtol, min(0.03, control.rtol**0.5))
        fresh = self._jacobian is None
        while True:
            if fresh:
                self._jacobian = _jacobian(f, t, v)
            matrix = _system(v, [self._jacobian] * 3, h)
            solved = _newton(f, t, v, h, matrix, lambda change, _: control.size(change, stacked), tol)
            if solved is not None or fresh:
                break
            fresh = True
        if solved is None:
            self._jacobian = None
            return None
        z, rate = solved
        xp = namespace(v)
        e = xp.asarray(_E.astype(v.dtype)) @ z.reshape(3, n) / h
        real = _MU / h * xp.eye(n, dtype=v.dtype) - self._jacobian
        new = v + z[2 * n :]
        try:
            error = xp.linalg.solve(real, slope + e)
            size = control.size(error, v, new)
            if size > 1:  # of stiff components it is too large; once more through the filter
                size = control.size(xp.linalg.solve(real, _number(f(t, v + error)) + e), v, new)
        except np.linalg.LinAlgError:
            return None
        return z, size, rate < 1e-3


def fixed_step(f: Fun, plain: Fun, t: Any, y: Any, h: Any) -> Any:
    """The solution after one step of a given length; ``plain`` is ``f`` on numbers."""
    g, p = Vectors(f, y), Vectors(plain, y)
    v = g.flat(y)
    numbers = [stop_gradient(x) for x in (t, v, h, g(t, v))]
    if any(type(x) is Traced for x in numbers):
        rule = "Radau solves equations until they are solved, and the numbers are not known here"
        raise TraceError(message(rule, remedy='method "RK45" can be compiled and batched; "Radau" not'))
    at, length = float(numbers[0]), float(numbers[2])
    matrix = _system(numbers[1], [_jacobian(p, at, numbers[1])] * 3, length)
    solved = _newton(p, at, numbers[1], length, matrix, _change, 1e-8)
    if solved is None:
        rule = f"the equations of the step at t = {at:.6g} are not solved by Newton's method"
        raise NumericsError(message(rule, remedy="more steps"))
    return g.tree(_differentiable(g, p, solved[0], t, v, h, (at, length)))


def _change(change: Any, z: Any) -> float:
    """The change of the stages, relative to them."""
    return float(abs(change).max() / max(float(abs(z).max()), 1e-300))


def _residual(f: Vectors, t: Any, v: Any, h: Any, z: Any) -> Any:
    """``z - h A f``: what is zero for the stages ``z``, three vectors in one."""
    n = v.shape[0]
    slopes = [f(t + c * h, v + z[i * n : (i + 1) * n]) for i, c in enumerate(_C)]
    rows = []
    for row in _A:
        a, b, c = (float(x) for x in row)
        rows.append(h * (a * slopes[0] + b * slopes[1] + c * slopes[2]))
    return z - np.concatenate(rows)


def _system(v: Any, jacobians: list[Any], h: float) -> Any:
    """The derivative of the residual in the stages."""
    rows = [[-h * float(a) * j for a, j in zip(row, jacobians, strict=True)] for row in _A]
    xp = namespace(v)
    return xp.eye(3 * v.shape[0], dtype=v.dtype) + xp.concatenate([xp.concatenate(row, 1) for row in rows])


def _newton(
    f: Vectors, t: float, v: Any, h: float, matrix: Any, measure: Fun, tol: float
) -> tuple[Any, float] | None:
    """The stages and how fast the iteration converged, by the measure of a change; None if it did not."""
    xp, rate, before = namespace(v), 0.0, None
    try:
        inverse = xp.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    z = xp.zeros(3 * v.shape[0], v.dtype)
    for _ in range(_NEWTON):
        change = inverse @ _number(_residual(f, t, v, h, z))
        z = z - change
        size = measure(change, z)
        if not np.isfinite(size):
            return None
        if before is not None:
            rate = size / before
            if rate >= 1:
                return None
        if size == 0 or (before is not None and rate / (1 - rate) * size < tol):
            return z, rate
        before = size
    return None


def _differentiable(
    f: Vectors, plain: Vectors, z: Any, t: Any, v: Any, h: Any, numbers: tuple[float, float]
) -> Any:
    """The vector after the step, with the derivatives of what the stages ``z`` solve."""
    n, u, (at, length) = v.shape[0], stop_gradient(v), numbers
    depth = max(levels(x) for x in (t, v, h, f(t, v)))
    if not depth:
        return v + z[2 * n :]
    # With the Jacobian at each stage: that of the solution itself.
    parts = [u + z[i * n : (i + 1) * n] for i in range(3)]
    jacobians = [_jacobian(plain, at + c * length, part) for c, part in zip(_C, parts, strict=True)]
    inverse = namespace(u).linalg.inv(_system(u, jacobians, length))
    for _ in range(_REFINED):
        z = z - inverse @ _number(_residual(plain, at, u, length, z))
    for _ in range(depth):
        z = z - inverse @ _residual(f, t, v, h, z)
    return v + z[2 * n :]


def _jacobian(f: Vectors, t: float, v: Any) -> Any:
    return _number(jacobian(lambda u: f(t, u))(v))


def _number(x: Any) -> Any:
    return stop_gradient(x)
