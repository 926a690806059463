"""NumPy's protocols on traced arrays: ufuncs, functions, and methods."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, NotDifferentiableError, ShapeError, TraceError, message
from xpgrad.core import Op, aval_of
from xpgrad.ops.elementwise import where as choose
from xpgrad.ops.indexing import apart, getitem, scatter_add
from xpgrad.ops.shape import astype, broadcast_to
from xpgrad.trace.elements import operand
from xpgrad.trace.functions import METHODS, PROPERTIES, TABLE, folding
from xpgrad.trace.functions._table import array, cast, given, known, promoting, spreads, whole
from xpgrad.trace.functions.reductions import one_axis
from xpgrad.trace.functions.scipy_special import special_function
from xpgrad.trace.operators import written
from xpgrad.trace.symbolic import OPERATORS
from xpgrad.trace.traced import Traced, aval_under, record
from xpgrad.trace.views import as_array

_NOTHING: dict[str, Any] = {}


def _array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    if method == "__call__" and not kwargs:
        ours = TABLE.get(ufunc)
        inputs = tuple([array(x) for x in inputs])
        if type(ours) is Op and ours.name in OPERATORS:
            inputs = _in_numpy(inputs)
        if type(ours) is Op and len(inputs) == 1:
            return record(ours, inputs, _NOTHING)
        if ours is not None:
            return ours(*inputs)
    out = kwargs.pop("out", None)
    if out is not None:
        out = out if isinstance(out, tuple) else (out,)
        if len(out) == 1 and type(out[0]) is np.ndarray and out[0].dtype == object:
            out[0][...] = _array_ufunc(self, ufunc, method, *inputs, **kwargs)  # an array of traced objects
            return out[0]
        if not any(type(x) is Traced for x in out) and any(x is not None for x in out):
            raise TraceError(
                message(
                    f"{ufunc.__name__}: out= is a plain array, which cannot hold a traced value",
                    {"out": out[0]},
                    remedy="assign to a new name: y = x + ...; or out=np.zeros_like(x) of a traced x",
                )
            )
    if method == "at":
        return _at(ufunc, *inputs)
    where = kwargs.pop("where", True) if method == "__call__" else True
    if where is not True and (out is None or any(x is None for x in out) or len(out) < ufunc.nout):
        raise TraceError(
            message(
                f"{ufunc.__name__}: where= needs out=, without which NumPy leaves entries unwritten",
                remedy="np.where(condition, f(x), otherwise) chooses",
            )
        )
    result = _ufunc(ufunc, method, inputs, kwargs)
    if out is None:
        return result
    if type(result) is tuple:
        targets = (*out, *(None,) * (len(result) - len(out)))
        return tuple(_put(ufunc, x, y, where) for x, y in zip(targets, result, strict=True))
    return _put(ufunc, out[0], result, where)


def _put(ufunc: Any, target: Any, result: Any, where: Any) -> Any:
    """``result`` in the array ``target``, over which it is spread, where the mask ``where`` holds."""
    if target is None:
        return result
    if where is not True:
        result = cast(choose(array(where), result, target), aval_of(result).dtype)
    shape = aval_of(result).shape
    if shape != target.shape and spreads(shape, target.shape):
        result = broadcast_to(result, shape=target.shape)
    return written(target, result, ufunc.__name__)


def _in_numpy(inputs: Any) -> Any:
    """The operands of a ufunc, a traced one made NumPy's where all are Python's scalars.

    What Python's operators give for these gives way to the dtype of an array; what a ufunc gives does not.
    """
    if not all(aval_under(x).weak for x in inputs):
        return inputs
    return [astype(x, dtype=x.dtype) if type(x) is Traced else x for x in inputs]


def _ufunc(ufunc: Any, method: str, inputs: Any, kwargs: Any) -> Any:
    name = ufunc.__name__
    if method == "__call__":
        ours = TABLE.get(ufunc) or special_function(name)
        if ours is None:
            return _no_rule(name, inputs)
        dtype, casting = kwargs.pop("dtype", None), kwargs.pop("casting", "same_kind")
        for keyword in ("order", "subok"):  # which change no value
            kwargs.pop(keyword, None)
        if kwargs and ufunc.signature is not None:
            return ours(*[array(x) for x in inputs], **kwargs)
        if kwargs:
            raise TraceError(message(f"{name}: {next(iter(kwargs))}= is not possible on a traced array"))
        operands = list(_in_numpy([array(x) for x in inputs]))
        if dtype is None and casting in ("same_kind", "unsafe"):
            return ours(*operands)
        return ours(*_loop(ufunc, operands, dtype, casting))
    if method == "outer":
        left, right = (promoting(x) for x in inputs)
        n = len(getattr(right, "shape", ()))
        return ufunc(left[(...,) + (None,) * n] if n else left, right, **kwargs)
    if method in ("reduce", "accumulate"):
        ours = TABLE.get(getattr(ufunc, method)) or _REDUCTIONS.get((name, method))
        if ours is not None:
            kwargs.setdefault("axis", 0)
            first, *rest = inputs
            if method == "accumulate":
                if not aval_of(first).shape:
                    raise DTypeError(message(f"{name}.accumulate: needs an axis", {"operand": first}))
                if isinstance(kwargs["axis"], tuple):
                    kwargs["axis"] = one_axis(f"{name}.accumulate", first, kwargs["axis"])
                if kwargs["axis"] is None and len(aval_of(first).shape) > 1:
                    raise ShapeError(message(f"{name}.accumulate: needs one axis", {"operand": first}))
            if (dtype := kwargs.get("dtype")) is not None and name in ("maximum", "minimum"):
                inputs = (cast(array(first), dtype), *rest)
                del kwargs["dtype"]
            if (
                name.startswith("logical")
                and kwargs.get("dtype") is not None
                and np.dtype(kwargs["dtype"]) == bool
            ):
                del kwargs["dtype"]  # as NumPy's own `all` says
            start = kwargs.pop("initial", None) if name in _TRUTH else None
            found = ours(*inputs, **{k: v for k, v in kwargs.items() if given(v) or k == "axis"})
            return found if start is None else TABLE[ufunc](found, bool(start))
    if name in _FOLDED:
        if method == "reduce" and name in folding.REDUCE:
            return folding.REDUCE[name](*inputs, **kwargs)
        if method in ("reduce", "accumulate", "reduceat"):
            return getattr(folding, method)(ufunc, *inputs, **kwargs)
    raise TraceError(message(f"{name}.{method}: not known for traced arrays", {"operand": inputs[0]}))


def _loop(ufunc: Any, operands: Any, dtype: Any, casting: str) -> list[Any]:
    """The operands with the dtypes of the loop that gives ``dtype``; a TypeError where NumPy casts to none."""
    avals = [aval_of(x) for x in operands]
    asked = [type(a.promoting) if a.weak and a.dtype != bool else a.dtype for a in avals]
    signature = (
        *(None,) * len(avals),
        *(None if dtype is None else np.dtype(dtype) for _ in range(ufunc.nout)),
    )
    every = (*asked, *(None,) * ufunc.nout)
    found = ufunc.resolve_dtypes(every, signature=signature, casting=casting)[: len(avals)]
    return [cast(x if hasattr(x, "shape") else np.asarray(x), d) for x, d in zip(operands, found, strict=True)]


# Not `power` and `arctan2`: NumPy's vectorised loops reduce to another number than their definition says.
_FOLDED = frozenset(
    "add subtract multiply divide maximum minimum fmax fmin logaddexp logaddexp2 hypot fmod".split()
)
_TRUTH = ("logical_and", "logical_or")
_REDUCTIONS: dict[tuple[str, str], Any] = {
    ("add", "reduce"): TABLE[np.sum],
    ("multiply", "reduce"): TABLE[np.prod],
    ("maximum", "reduce"): TABLE[np.max],
    ("minimum", "reduce"): TABLE[np.min],
    ("logical_and", "reduce"): TABLE[np.all],
    ("logical_or", "reduce"): TABLE[np.any],
    ("add", "accumulate"): TABLE[np.cumsum],
    ("multiply", "accumulate"): TABLE[np.cumprod],
}


def _at(ufunc: Any, a: Any, index: Any, b: Any = None) -> None:
    if ufunc not in (np.add, np.subtract) or type(a) is not Traced:
        raise TraceError(
            message(f"{ufunc.__name__}.at: known for np.add and np.subtract into a traced array", {"array": a})
        )
    spec, arrays = apart(index)
    at = getitem(a, *arrays, index=spec)
    b = whole(b)
    if np.can_cast(b.dtype, a.dtype, "same_kind"):
        b = cast(b, a.dtype)  # before it is added up: several booleans are a number
    wide = b if b.shape == at.shape else broadcast_to(b, shape=at.shape)
    change = scatter_add(wide, *arrays, index=spec, shape=a.shape)
    written(a, a + change if ufunc is np.add else a - change, f"{ufunc.__name__}.at")


def _no_rule(name: str, operands: Any) -> Any:
    raise NotDifferentiableError(
        message(
            f"{name}: no derivative is known",
            {f"operand {i}": x for i, x in enumerate(operands)},
            remedy="state one with xg.custom_vjp, or cut it off with xg.stop_gradient",
        )
    )


def _array_function(self: Any, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    ours = TABLE.get(func)
    if ours is None:
        return _no_rule(f"{func.__module__}.{func.__name__}", [a for a in args if type(a) is Traced])
    return _into(func.__name__, ours, args, kwargs)


def _into(name: str, ours: Any, args: Any, kwargs: Any) -> Any:
    """What ``ours`` gives, in the traced array ``out`` if there is one."""
    out = kwargs.get("out")
    if type(out) is Traced:
        kwargs = {k: v for k, v in kwargs.items() if k != "out"}
    found = ours(*map(operand, args), **{k: operand(v) for k, v in kwargs.items()})
    return (
        written(out, as_array(found) if type(found) is Traced else found, name)
        if type(out) is Traced
        else found
    )


TABLE["astype"] = METHODS["astype"]
if hasattr(np, "astype"):  # NumPy 2.1
    TABLE[np.astype] = lambda x, dtype, /, *, copy=True, device=None: METHODS["astype"](x, dtype, copy=copy)


def install() -> None:
    """Give `Traced` the protocols, and NumPy's methods and properties."""
    methods = {
        "__array_ufunc__": _array_ufunc,
        "__array_function__": _array_function,
        **METHODS,
    }
    for name, method in methods.items():
        setattr(Traced, name, _method(name, method) if name in METHODS else method)
    for name in ("nbytes", "itemsize", "flags", "strides"):
        setattr(Traced, name, property(partial(_of_the_array, name=name)))
    for name, getter in PROPERTIES.items():
        setattr(Traced, name, property(getter))


def _of_the_array(self: Any, *, name: str) -> Any:
    return getattr(known(self, name), name)


def _method(name: str, function: Any) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if "out" in kwargs:
            return _into(name, function, (self, *args), kwargs)
        return function(self, *map(operand, args), **{name: operand(x) for name, x in kwargs.items()})

    return method


install()
