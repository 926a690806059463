"""`check_grads`: derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, NumericsError, message
from xpgrad._trees import flatten, unflatten
from xpgrad.core import aval_of, is_inexact
from xpgrad.devices import asnumpy, device_of, to_device
from xpgrad.devices.door import admitted_leaves
from xpgrad.testing.tolerances import Tolerance, tolerance
from xpgrad.transforms import jvp, vjp


def check_grads(
    f: Callable[..., Any], args: Sequence[Any], order: int = 2, modes: Iterable[str] = ("rev", "fwd")
) -> None:
    """Check derivatives of ``f`` at ``args`` against central differences along random directions.

    Parameters
    ----------
    f : callable
        Takes and returns trees of float or complex arrays; smooth near ``args``. Integers and
        booleans among what it returns are left out: they have no derivative.
    args : sequence of trees
        Trees of float32, float64 or complex arrays and scalars.
    order : int
        The highest order to check: the derivative of order k is compared with differences of
        that of order k - 1, in every sequence of ``modes``.
    modes : one or both of {"rev", "fwd"}

    Raises
    ------
    NumericsError
        A derivative and the difference disagree, or one of them is not finite; with the order, the
        mode and both values.
    DTypeError
        A leaf of ``args`` that is no float or complex number, or for whose dtype there is no
        tolerance; or ``f`` returns no float or complex number.
    ValueError
        A mode that is neither ``"rev"`` nor ``"fwd"``, no mode, no argument, or an order below 1.

    Notes
    -----
    The bound for an output is ``difference * max|derivative| + noise * scale``. The second term is
    the rounding of ``f`` over the step: ``scale`` is the largest entry of ``f``, of its derivatives
    of lower order and of ``args``, for out of each of them ``f`` may cancel. In reverse mode the
    bound is the same for the pairing with a random cotangent, term by term. An error is found
    down to about 1e-8 of the arguments in float64, 1e-2 in float32; for less, scale ``f`` up. Steps
    and tolerances by dtype, the coarsest that occurs, are those of `xpgrad.testing.tolerances`. The
    cost is of the order of ``4 * len(modes)**order`` calls of ``f``.
    """
    modes = tuple(modes)
    unknown = set(modes) - {"rev", "fwd"}
    if unknown or not modes:
        raise ValueError(f"check_grads: modes are 'rev' and 'fwd', not {sorted(unknown) or 'none'}")
    if order < 1:
        raise ValueError(f"check_grads: order must be at least 1, not {order}")
    admitted, tree = admitted_leaves(tuple(args), "check_grads: args")
    args = tuple(unflatten(tree, admitted))
    for k, arg in enumerate(args):
        for x in flatten(arg)[0]:
            _require_differentiable(f"argument {k}", x)

    def inexact(*xs: Any) -> list[Any]:
        return [y for y in flatten(f(*xs))[0] if is_inexact(y)]

    leaves, structure = flatten(args)
    if not leaves:
        raise ValueError("check_grads: no argument to differentiate in")
    outs = inexact(*unflatten(structure, [x * 1 for x in leaves]))
    if not outs:
        raise DTypeError(message("check_grads: the function returns no float or complex number"))
    rows = [tolerance(aval_of(x).dtype) for x in (*leaves, *outs)]
    coarsest = Tolerance(**{f.name: max(getattr(r, f.name) for r in rows) for f in fields(Tolerance)})
    scale = max(_largest(asnumpy(x)) for x in leaves)
    _check(inexact, args, order, modes, np.random.default_rng(0), "", coarsest, scale)


def _require_differentiable(name: str, x: Any) -> None:
    """Raise unless ``x`` is a float or complex number or array, of a dtype with a tolerance."""
    got = {name: x}
    if not is_inexact(x):
        remedy = "close over it: lambda x: f(x, n)"
        raise DTypeError(message(f"check_grads: {name} is no float or complex number", got, remedy=remedy))
    try:
        tolerance(aval_of(x).dtype)
    except DTypeError:
        raise DTypeError(message(f"check_grads: no tolerance for this dtype, that of {name}", got)) from None


def _check(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int,
    modes: Sequence[str],
    rng: np.random.Generator,
    path: str,
    row: Tolerance,
    lower: float,
) -> None:
    """Check one order; ``lower`` is the largest entry of the arguments and of what has lower order."""
    leaves, structure = flatten(args)
    ts = [_random_like(x, rng) for x in leaves]

    def along(h: float) -> list[Any]:
        moved = [x + h * t for x, t in zip(leaves, ts, strict=True)]
        return [np.asarray(asnumpy(y)) for y in flatten(f(*unflatten(structure, moved)))[0]]

    before, after = along(-row.step), along(row.step)
    with np.errstate(invalid="ignore"):  # for two infinities, which are reported below
        expected = [(b - a) / (2 * row.step) for a, b in zip(before, after, strict=True)]
    sizes = [max(_largest(a), _largest(b), lower) for a, b in zip(before, after, strict=True)]
    noise = [row.noise * size for size in sizes]
    tangents = unflatten(structure, ts)
    if "fwd" in modes:
        _, pushed = jvp(f, args, tangents)
        for k, (a, b, n) in enumerate(zip(flatten(pushed)[0], expected, noise, strict=True)):
            bound = row.difference * _largest(b) + n
            _compare(np.asarray(asnumpy(a)), b, bound, f"{path}fwd, output {k}")
    if "rev" in modes:
        out, pullback = vjp(f, *args)
        outs, out_structure = flatten(out)
        gs = [_random_like(y, rng) for y in outs]
        cs = flatten(pullback(unflatten(out_structure, gs)))[0]
        pulled = sum(_pair(c, t) for c, t in zip(cs, ts, strict=True))
        numeric = sum(_pair(g, d) for g, d in zip(gs, expected, strict=True))
        terms = zip(gs, expected, noise, strict=True)
        bound = sum(_total(g, row.difference * np.abs(d) + n) for g, d, n in terms)
        _compare(pulled, numeric, bound, f"{path}rev")
    if order > 1:
        deeper = (order - 1, modes, rng)
        lower = max(sizes)
        if "fwd" in modes:
            _check(lambda *xs: jvp(f, xs, tangents)[1], args, *deeper, path + "fwd of ", row, lower)
        if "rev" in modes:
            cotangent = unflatten(out_structure, gs)
            _check(lambda *xs: vjp(f, *xs)[1](cotangent), args, *deeper, path + "rev of ", row, lower)


def _largest(x: Any) -> float:
    """The largest finite modulus."""
    return float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))


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


def _total(g: Any, d: Any) -> float:
    """The sum of ``|g| d``."""
    return float(np.sum(np.abs(np.asarray(asnumpy(g))) * d))


def _compare(actual: Any, expected: Any, bound: float, path: str) -> None:
    finite = bool(np.all(np.isfinite(actual)) and np.all(np.isfinite(expected)))
    if finite and np.shape(actual) == np.shape(expected) and np.all(np.abs(actual - expected) <= bound):
        return
    rule = "they disagree" if finite else "not finite"
    with np.printoptions(threshold=12, precision=8):
        got = {"derivative": str(actual), "difference": str(expected)}
        if finite:
            got["allowed"] = f"{bound:.1e} apart"
        raise NumericsError(message(f"check_grads: {path}: {rule}", got))
