"""Elementwise functions: each ufunc leads to the op of its name."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.core import OPS, aval_of
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops.shape import astype
from xpgrad.trace.functions._table import PROPERTIES, TABLE, array, given, implements, known, refuse
from xpgrad.trace.operators import written
from xpgrad.trace.views import as_array

for _name, _op in OPS.items():
    if isinstance(getattr(np, _name, None), np.ufunc):
        TABLE[getattr(np, _name)] = _op


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
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    **kwargs: Any,
) -> Any:
    refuse("clip", out=out, **kwargs)
    lo, hi = (a_min if given(a_min) else min), (a_max if given(a_max) else max)
    if not given(lo) and not given(hi):
        return ew.positive(a)
    lo = -np.inf if not given(lo) else array(lo)
    hi = np.inf if not given(hi) else array(hi)
    return ew.clip(array(a), lo, hi)


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    out = ew.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)
    if not copy:
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
    return OPS["i0"](x)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """Adds multiples of the period, which are constant: the derivative is that of the identity."""
    plain = known(p, "unwrap")
    return p + (np.unwrap(plain, discont, axis, period=period) - plain)


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    out = array(default)
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        out = ew.where(array(condition), array(choice), out)
    return out


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    return np.isclose(known(a, "isclose"), known(b, "isclose"), rtol, atol, equal_nan)


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    return bool(isclose(a, b, rtol, atol, equal_nan).all())


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
