"""Variance, averages, covariance and correlation."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.contraction import dot
from xpgrad.ops.linalg import root
from xpgrad.ops.shape import broadcast_to, full_like, reshape
from xpgrad.trace.functions._table import (
    array,
    axes_each_once,
    beside,
    cast,
    given,
    implements,
    ndim,
    on_host,
    plain,
    refuse,
    scalar_of,
    shape,
    warn,
    whole,
)
from xpgrad.trace.functions.reductions import counted, exact, sum, without_nan
from xpgrad.trace.functions.reductions import mean as mean_of
from xpgrad.trace.functions.shapes import concatenate, transpose
from xpgrad.trace.traced import Traced, strip

_unset = np._NoValue


@implements(np.var, method="var")
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = _unset,
    *, where: Any = _unset, mean: Any = _unset, correction: Any = _unset,
) -> Any:  # fmt: skip
    refuse("var", out=out)
    ddof = _correction("var", ddof, correction)
    a = whole(a)
    masked_ = given(where) and where is not True
    if masked_:
        n: Any = red.count_nonzero(broadcast_to(array(where), shape=shape(a)), axis=plain(axis), keepdims=True)
    else:
        where, n = _unset, red.count(a, axis)
    if given(mean):
        centre = mean
    else:
        centre = mean_of(a, axis, dtype, keepdims=True, where=where)
    total = sum(_moduli(a - centre), axis, dtype, keepdims=keepdims, where=where)
    real = aval_of(total).dtype
    if not masked_:
        warn(n - ddof <= 0, "Degrees of freedom <= 0 for slice")
        return cast(total / _freedom(float(n - ddof), total), real if dtype is not None else None)
    n = reshape(n, shape=shape(total))
    warn(n <= ddof, "Degrees of freedom <= 0 for slice")
    return cast(total / cast(ew.maximum(n - ddof, 0), real if real.kind == "f" else float), dtype and real)


def _moduli(d: Any) -> Any:
    """The squared moduli."""
    return cx.real(d * cx.conjugate(d)) if aval_of(d).dtype.kind == "c" else d * d


def _correction(name: str, ddof: Any, correction: Any) -> Any:
    if not given(correction):
        return ddof
    if ddof != 0:
        raise ValueError(f"{name}: ddof and correction cannot both be given")
    return correction


def _freedom(n: float, like: Any) -> Any:
    """The divisor ``n``, not below zero; a zero is NumPy's, by which Python's scalars divide too."""
    return n if n > 0 else aval_of(like).dtype.type(0)


@implements(np.std, method="std")
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = _unset,
    *, where: Any = _unset, mean: Any = _unset, correction: Any = _unset,
) -> Any:  # fmt: skip
    refuse("std", out=out)
    variance = var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    if ndim(variance) and aval_of(variance).dtype.kind not in "fc":  # of a scalar NumPy casts the root
        raise DTypeError(message("std: the roots of integers are floats", {"variance": variance}))
    return cast(root(variance), dtype)


@implements(np.nanvar)
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = _unset,
    *, where: Any = _unset, mean: Any = _unset, correction: Any = _unset,
) -> Any:  # fmt: skip
    refuse("nanvar", out=out)
    a = whole(a)
    if aval_of(a).dtype.kind not in "fc":
        return var(a, axis, dtype, ddof=ddof, keepdims=keepdims, where=where, mean=mean, correction=correction)
    exact("nanvar", a, dtype)
    ddof = _correction("nanvar", ddof, correction)
    n = counted(a, axis, True, where)
    centre = mean
    if not given(mean):
        centre = sum(without_nan(a, 0), axis, dtype, keepdims=True, where=where)
        centre = centre / cast(ew.maximum(n, 1), aval_of(centre).dtype)
    d = ew.where(ew.isnan(a), 0, without_nan(a, 0) - centre)
    total = sum(_moduli(d), axis, dtype, keepdims=keepdims, where=where)
    n = reshape(cast(n, float), shape=shape(total)) - ddof
    warn(n <= 0, "Degrees of freedom <= 0 for slice.")
    return total / cast(ew.where(n > 0, n, np.nan), aval_of(total).dtype)


@implements(np.nanstd)
def nanstd(a: Any, *args: Any, **kwargs: Any) -> Any:
    return root(nanvar(a, *args, **kwargs))


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = _unset
) -> Any:
    a = whole(a)
    axis = axis if axis is None else axes_each_once("average", a, axis)
    if weights is None:
        out = mean_of(a, axis, keepdims=keepdims)
        return (out, scalar_of(full_like(out, value=red.count(a, axis)))) if returned else out
    w = weights_over("average", a, weights, axis)
    axes = red.axes_of("average", a, axis)
    of = np.result_type(aval_of(a).dtype, aval_of(w).dtype)
    of = of if of.kind in "fc" else np.result_type(of, np.float64)
    a, w = cast(a, of), cast(w, of)
    total = red.sum(w, axis=axes, keepdims=bool(keepdims) if given(keepdims) else False)
    _not_zero("average", total)
    out = red.sum(a * w, axis=axes, keepdims=bool(keepdims) if given(keepdims) else False) / total
    return (out, total) if returned else out


def weights_over(name: str, a: Any, weights: Any, axis: tuple[int, ...] | None) -> Any:
    """The weights of the entries of ``a``, given for each or for those along ``axis``, spread over all."""
    w = array(weights)
    if shape(w) == shape(a):
        return w
    if axis is None:
        raise DTypeError(
            message(f"{name}: weights of another shape need an axis", {"operand": a, "weights": w})
        )
    if shape(w) != tuple(shape(a)[k] for k in axis):
        raise ShapeError(message(f"{name}: the weights do not fit the axes", {"operand": a, "weights": w}))
    w = transpose(w, np.argsort(axis).tolist())
    w = reshape(w, shape=tuple(n if k in axis else 1 for k, n in enumerate(shape(a))))
    return broadcast_to(w, shape=shape(a))


def _not_zero(name: str, total: Any) -> None:
    known = strip(total)
    if on_host(known) and bool((known == 0).any()):
        raise ZeroDivisionError(message(f"{name}: the weights add up to zero", {"sum": total}))


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"cov: ddof must be a whole number, not {ddof}")
    xs = [whole(a) for a in (m, y) if a is not None]
    if any(ndim(a) > 2 for a in xs):
        got = {f"operand {i}": a for i, a in enumerate(xs)}
        raise ShapeError(message("cov: needs arrays of at most two axes", got))
    of = np.result_type(*[aval_of(a).dtype for a in xs], np.float64) if dtype is None else dtype
    turned = [not rowvar and (_TURNS_ONE_ROW or shape(x)[:1] != (1,)) for x in xs[:1]]
    turned += [not rowvar and shape(x)[:1] != (1,) for x in xs[1:]]
    parts = [_rows(a, of, t) for a, t in zip(xs, turned, strict=True)]
    x = concatenate(parts, 0) if len(parts) > 1 else parts[0]
    if not shape(x)[0]:
        return beside(x, np.zeros((0, 0)))
    if np.dtype(of).kind not in "fc":
        raise DTypeError(message(f"cov: no deviations in {np.dtype(of)}", {"operand": x}))
    w = _weights(x, fweights, aweights)
    ddof = int(ddof) if ddof is not None else 0 if bias else 1
    if w is None:
        d = x - red.mean(x, axis=1, keepdims=True)
        left, n = d, shape(x)[1] - ddof
    else:
        total = red.sum(w)
        _not_zero("cov", total)
        d = x - red.sum(x * w, axis=1, keepdims=True) / total
        left = d * w
        n = (
            total
            if ddof == 0
            else total - ddof * (1 if aweights is None else red.sum(w * array(aweights)) / total)
        )
    out = dot(left, cx.conjugate(transpose(d)))
    warn(n <= 0, "Degrees of freedom <= 0 for slice")
    out = out / (_freedom(n, out) if w is None else ew.where(n > 0, n, 0))
    return reshape(out, shape=()) if shape(out) == (1, 1) else out


# NumPy 2.2 takes a single row for the observations of one variable each, as it says.
_TURNS_ONE_ROW = np.lib.NumpyVersion(np.__version__) >= "2.2.0"


def _rows(a: Any, dtype: Any, turned: bool) -> Any:
    """The variables as rows."""
    a = cast(a, dtype)
    if ndim(a) < 2:
        return reshape(a, shape=(1, -1))
    return transpose(a) if turned else a


def _weights(x: Any, fweights: Any, aweights: Any) -> Any:
    """The product of both kinds of weights of the observations, the columns of ``x``; None without any."""
    w: Any = None
    for name, given_ in (("fweights", fweights), ("aweights", aweights)):
        if given_ is None:
            continue
        each = array(given_)
        if ndim(each) != 1 or shape(each)[0] != shape(x)[1]:
            raise ShapeError(
                message(f"cov: {name} needs a number for each observation", {"operand": x, name: each})
            )
        known = strip(each)
        if name == "fweights" and type(known) is not Traced and bool((known != np.around(known)).any()):
            raise TypeError("cov: fweights must be whole numbers")
        each = cast(each, float) if aval_of(each).dtype.kind not in "fc" else each
        w = each if w is None else w * each
    return w


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Within [-1, 1], which rounding would leave."""
    c = cov(x, y, rowvar, dtype=dtype)
    if ndim(c) == 0:
        return c / c
    k = np.arange(shape(c)[0])
    s = ew.sqrt(cx.real(c[k, k]))
    c = c / reshape(s, shape=(-1, 1)) / s
    if aval_of(c).dtype.kind != "c":
        return ew.clip(c, -1, 1)
    return ew.clip(cx.real(c), -1, 1) + 1j * ew.clip(cx.imag(c), -1, 1)
