"""Elementwise functions: each ufunc leads to the op of its name."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, message
from xpgrad.core import OPS, aval_of
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops.shape import astype
from xpgrad.trace.functions._table import (
    PROPERTIES,
    TABLE,
    array,
    cast,
    given,
    implements,
    known,
    promoting,
    refuse,
    scalar_of,
)
from xpgrad.trace.operators import written
from xpgrad.trace.views import as_array, is_scalar

for _name, _op in OPS.items():
    if isinstance(getattr(np, _name, None), np.ufunc):
        TABLE[getattr(np, _name)] = _op


@implements(np.sign)
def sign(x: Any) -> Any:
    """The direction of a complex number, which turns with it.

    Zero has none, and the direction of an infinite number is that of its infinite part.
    """
    if aval_of(x).dtype.kind != "c":
        return ew.sign(x)
    nothing, far = x == 0, ew.isinf(abs(x))
    inside = ew.where(nothing | far, 1, x)
    tiny = float(np.finfo(x.dtype).tiny)
    inside = inside * ew.where(abs(inside) < tiny, 1 / tiny, 1)  # a subnormal number has no reciprocal
    re, im = cx.real(x), cx.imag(x)
    along = ew.where(
        ew.isinf(re), ew.where(ew.isinf(im), complex(np.nan, np.nan), ew.sign(re)), 1j * ew.sign(im)
    )
    return scalar_of(
        cast(ew.where(far, cast(along, x.dtype), ew.where(nothing, 0, inside / abs(inside))), x.dtype)
    )


@implements(np.divmod)
def divmod(x1: Any, x2: Any, /) -> tuple[Any, Any]:
    x1, x2 = array(x1), array(x2)
    return np.floor_divide(x1, x2), np.remainder(x1, x2)


@implements(np.real, prop="real")
def real(val: Any) -> Any:
    """A real array is its own real part, not a copy of it."""
    return cx.real(val) if aval_of(val).dtype.kind == "c" else val


PROPERTIES["imag"] = cx.imag


@implements(np.imag)
def imag(val: Any) -> Any:
    return cx.imag(val)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    return ew.degrees(cx.angle(z)) if deg else cx.angle(z)


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Decided by the numbers, as in NumPy."""
    a = array(a)
    if a.dtype.kind != "c":
        return as_array(a)
    eps = np.finfo(a.dtype).eps
    close = abs(cx.imag(a)) < (tol * eps if tol > 1 else tol)
    return cx.real(a) if bool(close.all()) else a


@implements(method="conj")
def conj(x: Any) -> Any:
    """The method gives a real array back itself; the ufunc copies."""
    return cx.conjugate(x) if aval_of(x).dtype.kind == "c" else x


implements(method="conjugate")(conj)


@implements(np.where)
def where(condition: Any, *choices: Any) -> Any:
    if not choices:
        return np.nonzero(condition)
    x, y = choices
    return ew.where(array(condition), array(x), array(y))


@implements(np.clip, method="clip")
def clip(
    a: Any,
    a_min: Any = np._NoValue,
    a_max: Any = np._NoValue,
    out: Any = None,
    *,
    min: Any = np._NoValue,
    max: Any = np._NoValue,
    **kwargs: Any,
) -> Any:
    refuse("clip", out=out, **kwargs)
    if (min is not np._NoValue or max is not np._NoValue) and not (
        a_min is np._NoValue and a_max is np._NoValue
    ):
        raise ValueError("clip: min= and max= cannot be given beside a_min and a_max")
    if a_min is np._NoValue and a_max is np._NoValue:
        a_min, a_max = min, max
    a = promoting(a)
    dtype = a.dtype
    lo, hi = (array(x) if given(x) else None for x in (a_min, a_max))
    if dtype.kind in "iu":  # a Python integer that no entry reaches does not bound them
        lo = None if type(lo) is int and lo <= np.iinfo(dtype).min else lo
        hi = None if type(hi) is int and hi >= np.iinfo(dtype).max else hi
    if lo is None and hi is None:
        return ew.positive(a)
    if dtype.kind in "biu" and (lo is None or hi is None):  # beside an infinity they would be floats
        return ew.maximum(a, lo) if hi is None else ew.minimum(a, hi)
    return ew.clip(a, -np.inf if lo is None else lo, np.inf if hi is None else hi)


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    out = ew.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)
    if not copy:
        if is_scalar(x):
            raise ValueError("nan_to_num: a scalar cannot be written to; leave copy=False out")
        written(x, out, "nan_to_num")
        return x if x.shape else x[()]
    return out


@implements(np.sinc)
def sinc(x: Any) -> Any:
    return ew.sinc(x)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    refuse("fix", out=out)
    return ew.trunc(x)


@implements(np.round, np.around, method="round")
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    refuse("round", out=out)
    return ew.round(a, decimals=decimals)


@implements(np.i0)
def i0(x: Any) -> Any:
    return as_array(OPS["i0"](x))


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    out = array(default)
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    for condition in condlist:
        if aval_of(array(condition)).dtype.kind != "b":
            raise DTypeError(message("select: a condition must be boolean", {"condition": array(condition)}))
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        out = ew.where(array(condition), array(choice), out)
    return out


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    a, b = array(a), array(b)
    near = ew.less_equal(abs(a - b), atol + rtol * abs(b)) & ew.isfinite(b) | (a == b)
    return near | (ew.isnan(a) & ew.isnan(b)) if equal_nan else near


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    return bool(known(isclose(a, b, rtol, atol, equal_nan), "allclose").all())


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    return bool(np.array_equal(known(a1, "array_equal"), known(a2, "array_equal"), equal_nan))


@implements(np.isreal)
def isreal(x: Any) -> Any:
    return cx.imag(x) == 0


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return bool(x.dtype.kind == "c")


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    return not iscomplexobj(x)


@implements(method="astype")
def to_dtype(
    x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Any:
    """``order`` and ``subok`` make no difference to a value."""
    if not copy and x.dtype == dtype:
        return x
    if not np.can_cast(x.dtype, dtype, casting):  # type: ignore[arg-type]
        raise TypeError(f"cannot cast {x.dtype} to {dtype} under the rule {casting!r}")
    if x.dtype.kind == "c" and np.dtype(dtype).kind != "c":
        x = cx.real(x)
    return astype(x, dtype=np.dtype(dtype))
