"""Lines of small programs that reduce, scan and order, with NumPy's keywords, over numbers of any kind."""

from __future__ import annotations

import numpy as np

from net.small.operands import ANY, axis, how, some
from net.small.writing import SmallWriter

_REDUCTIONS = {
    "sum": "axis keepdims where initial",
    "prod": "axis keepdims where initial",
    "mean": "axis keepdims where",
    "max": "axis keepdims where initial",
    "min": "axis keepdims where initial",
    "any": "axis keepdims where",
    "all": "axis keepdims where",
    "count_nonzero": "axis keepdims",
    "std": "axis keepdims where ddof",
    "var": "axis keepdims where ddof",
    "ptp": "axis keepdims",
    "median": "axis keepdims",
    "nansum": "axis keepdims where initial",
    "nanprod": "axis keepdims where initial",
    "nanmean": "axis keepdims where",
    "nanmax": "axis keepdims where initial",
    "nanmin": "axis keepdims where initial",
    "nanstd": "axis keepdims where ddof",
    "nanvar": "axis keepdims where ddof",
    "add.reduce": "axis keepdims where initial",
    "multiply.reduce": "axis keepdims",
    "maximum.reduce": "axis keepdims",
    "minimum.reduce": "axis keepdims",
    "logical_and.reduce": "axis keepdims",
    "logical_or.reduce": "axis keepdims",
}
_OF_ONE_AXIS = {
    "argmax": "axis keepdims",
    "argmin": "axis keepdims",
    "cumsum": "axis",
    "cumprod": "axis",
    "sort": "axis",
    "argsort": "axis",
    "add.accumulate": "axis",
    "diff": "axis",
}
_METHODS = "sum prod mean max min any all std var argmax argmin cumsum cumprod".split()


def reduction(w: SmallWriter) -> bool:
    """One of NumPy's reductions."""
    x = some(w, w.choices.pick(["f", "f", "b", "fiu", ANY]))
    if x is None:
        return False
    several = w.choices.integer(0, 2) > 0
    name = w.choices.pick(list(_REDUCTIONS if several else _OF_ONE_AXIS))
    keywords = how(w, x, (_REDUCTIONS if several else _OF_ONE_AXIS)[name], several)
    if name in _METHODS and w.choices.integer(0, 2) == 2:
        return w.new(f"{x}.{name}({keywords[2:]})") is not None
    return w.new(f"np.{name}({x}{keywords})") is not None


def ordered(w: SmallWriter) -> bool:
    """Quantiles, norms, searches: what chooses among entries."""
    x = some(w, w.choices.pick(["f", "f", "fiu"]))
    if x is None:
        return False
    q = w.choices.pick(["0.5", "0.25", "0", "1", "[0.1, 0.9]", "0.75"])
    k = axis(w, x, several=False)
    one = axis(w, x, several=False, none=False)
    forms = [
        f"np.quantile({x}, {q}, axis={k})",
        f"np.percentile({x}, 30, axis={k})",
        f"np.median({x}, axis={k})",
    ]
    forms += [
        f"np.linalg.norm({x}, axis={one})",
        f"np.linalg.norm({x})",
        f"np.sort({x}, axis={one})[..., ::-1]",
    ]
    forms += [f"np.linalg.norm({x}, ord={o}, axis={one})" for o in ("1", "np.inf", "3", "0")]
    forms += [f"np.partition({x}, 0, axis={one})", f"np.unique({x}).size + 0.0 * {x}", f"np.trace({x})"]
    forms += [f"np.take_along_axis({x}, np.argsort({x}, axis={one}), axis={one})", f"np.ediff1d({x})"]
    forms += [f"np.trapezoid({x}, axis={one})", f"np.trapezoid({x}, dx=0.5, axis={one})", f"np.gradient({x})"]
    forms += [f"np.average({x}, axis={k})", f"np.cov({x})", f"np.diagonal({x})", f"np.diag({x})"]
    same = [n for n in w.names("f") if np.shape(w.env[n]) == np.shape(w.env[x])]
    vectors = w.names("f", (1,))
    other, vector = w.choices.pick(same or [x]), w.choices.pick(vectors or [x])
    forms += [f"np.average({x}, weights={other})", f"np.average({x}, axis={one}, weights={vector})"]
    forms += [f"np.trapezoid({x}, {vector}, axis={one})", f"np.trapezoid({x}, {other}, axis={one})"]
    forms += [f"np.searchsorted({vector}, {x})", f"np.interp({x}, np.sort({vector}), {vector})"]
    return w.new(w.choices.pick(forms)) is not None


def normalised(w: SmallWriter) -> bool:
    """softmax and its kin, in the words that a compiler writes anew."""
    x = some(w, "f", (1, 2, 3))
    if x is None:
        return False
    along = f"axis={axis(w, x)}, keepdims=True"
    forms = [
        f"np.exp({x}) / np.sum(np.exp({x}), {along})",
        f"{x} - np.log(np.sum(np.exp({x}), {along}))",
        f"np.log(np.sum(np.exp({x}), {along}))",
        f"np.exp({x} - np.max({x}, {along}))",
        f"({x} - np.mean({x}, {along})) / np.std({x}, {along})",
        f"{x} / np.sqrt(np.sum({x} ** 2, {along}))",
        f"np.log(np.exp({x}) / np.sum(np.exp({x}), {along}))",
        f"{x} == np.max({x}, {along})",
    ]
    return w.new(w.choices.pick(forms)) is not None
