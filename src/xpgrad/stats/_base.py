"""What all distributions on the line share: parameters, location, scale and support.

In:  a distribution's standard form: ``_logpdf(z, *shapes)`` and its like, with its support.
Out: SciPy's methods, ``norm.logpdf(x, loc, scale)``.
Holds: a standard form is given only points within the support and valid parameters. So neither its value nor
       its derivative is infinite or NaN for what is masked, and what stands there has the derivative 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from math import inf, nan
from typing import Any, ClassVar

import numpy as np

from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops.shape import astype
from xpgrad.stats._docs import document
from xpgrad.stats._draws import Source
from xpgrad.trace.functions._table import array
from xpgrad.transforms import stop_gradient

# The method of the standard form that each public one needs.
CONTINUOUS = {
    "pdf": "_logpdf",
    "logpdf": "_logpdf",
    "cdf": "_cdf",
    "logcdf": "_logcdf",
    "sf": "_sf",
    "logsf": "_logsf",
    "ppf": "_ppf",
    "rvs": "_draw",
}
DISCRETE = {name.replace("pdf", "pmf"): form.replace("pdf", "pmf") for name, form in CONTINUOUS.items()}


# ── conditions, which are often known to hold everywhere ─────────────────────────────────────
def holds(condition: Any) -> bool:
    """Whether ``condition`` is known to hold everywhere; a GPU is not asked, for that would wait for it."""
    if type(condition) is np.ndarray:
        return bool(condition.all())
    return isinstance(condition, (bool, np.bool_)) and bool(condition)


def opposite(condition: Any) -> Any:
    return not condition if isinstance(condition, bool) else ew.logical_not(condition)


def both(a: Any, b: Any) -> Any:
    if isinstance(a, bool) and isinstance(b, bool):
        return a and b
    return b if a is True else a if b is True else ew.logical_and(a, b)


def either(a: Any, b: Any) -> Any:
    if isinstance(a, bool) and isinstance(b, bool):
        return a or b
    return b if a is False else a if b is False else ew.logical_or(a, b)


def instead(condition: Any, new: Any, old: Any) -> Any:
    """``where(condition, new, old)``, and ``old`` as it is if the condition holds nowhere."""
    return old if holds(opposite(condition)) else ew.where(condition, new, old)


def is_number(x: Any, value: int) -> bool:
    """Whether ``x`` is the Python number ``value``, so that it can be left out."""
    return type(x) in (int, float) and bool(x == value)


def as_float(x: Any) -> Any:
    """``x`` as an array or number, of a float dtype."""
    x = array(x)
    if aval_of(x).dtype.kind == "f":
        return x
    return astype(x, dtype=np.dtype(np.float64)) if hasattr(x, "dtype") else float(x)


def quiet(method: Callable[..., Any]) -> Callable[..., Any]:
    """``method`` without NumPy's warnings: infinities and NaN are what SciPy has there."""

    @wraps(method)
    def without_warnings(self: Any, *args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return method(self, *args, **kwargs)

    return without_warnings


class Absent:
    """A method that a distribution lacks: an AttributeError that says why."""

    def __init__(self, distribution: str, name: str, reason: str) -> None:
        self.error = f"xpgrad.stats.{distribution} has no {name}: {reason}"

    def __get__(self, instance: Any, owner: type) -> Any:
        raise AttributeError(self.error)


class Distribution:
    """A family of distributions on the line.

    Attributes
    ----------
    name : str
    shapes : dict
        The shape parameters in order; each with a valid value, to compute with in place of an invalid one.
    whole : tuple of str
        Those of them that are integers; the derivative in them is 0.
    lacks : dict
        The methods that there are not, and why.
    """

    name: ClassVar[str] = ""
    shapes: ClassVar[Mapping[str, float]] = {}
    whole: ClassVar[tuple[str, ...]] = ()
    lacks: ClassVar[Mapping[str, str]] = {}
    methods: ClassVar[Mapping[str, str]] = {}
    scaled = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.name:
            return
        for method, form in cls.methods.items():
            assert hasattr(cls, form) != (method in cls.lacks), f"{cls.name} states {method} or why it has none"
            if method in cls.lacks:
                setattr(cls, method, Absent(cls.name, method, cls.lacks[method]))
        document(cls)

    def __dir__(self) -> list[str]:
        return [method for method in self.methods if method not in self.lacks]

    # ── what a standard form may state otherwise ─────────────────────────────────────────────
    def _valid(self, *shapes: Any) -> Any:
        """Whether the shape parameters are those of a distribution."""
        good: Any = True
        for s in shapes:
            good = both(good, s > 0)
        return good

    def _support(self, *shapes: Any) -> tuple[Any, Any]:
        """The ends of the support, None where there is none."""
        return None, None

    def _inside(self, *shapes: Any) -> Any:
        """A point within the support."""
        return 0.5

    # ── arguments ────────────────────────────────────────────────────────────────────────────
    def _parameters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any, Any]:
        """Shape parameters, location and scale, as given by position and by name."""
        names = [*self.shapes, "loc", *(["scale"] if self.scaled else [])]
        given = dict(zip(names, args, strict=False))
        wrong = [name for name in kwargs if name not in names or name in given]
        given.update(kwargs)
        missing = [name for name in self.shapes if name not in given]
        if wrong or missing or len(args) > len(names):
            what = f"{wrong[0]} is none of them" if wrong and wrong[0] not in names else "one is given twice"
            what = f"{missing[0]} is missing" if missing else what if wrong else f"{len(args)} are given"
            raise TypeError(f"xpgrad.stats.{self.name} has the parameters {', '.join(names)}; {what}")
        shapes = [as_float(given[name]) for name in self.shapes]
        shapes = [stop_gradient(s) if n in self.whole else s for n, s in zip(self.shapes, shapes, strict=True)]
        loc, scale = given.get("loc", 0), given.get("scale", 1)
        return (
            shapes,
            loc if is_number(loc, 0) else as_float(loc),
            scale if is_number(scale, 1) else as_float(scale),
        )

    def _checked(self, args: Any, kwargs: Any) -> tuple[Any, list[Any], Any, Any]:
        """Where the parameters are valid; shape parameters and scale that are, and the location."""
        shapes, loc, scale = self._parameters(args, kwargs)
        good = self._valid(*shapes)
        if not is_number(scale, 1):
            positive = scale > 0
            good, scale = both(good, positive), instead(opposite(positive), 1.0, scale)
        if not holds(good):
            shapes = [ew.where(good, s, v) for s, v in zip(shapes, self.shapes.values(), strict=True)]
        return good, shapes, loc, scale

    def _either_end(self, f: Any, x: Any, args: Any, kwargs: Any, below: float, above: float) -> Any:
        """``f``, a distribution function in standard form, with its values beyond the support."""
        good, shapes, loc, scale = self._checked(args, kwargs)
        z = self._standard(x, loc, scale)
        low, high = self._support(*shapes)
        under, over = self._beyond(z, low, high)
        out = f(instead(either(under, over), self._inside(*shapes), z), *shapes)
        out = instead(over, above, instead(under, below, out))
        return instead(opposite(good), nan, out)

    def _standard(self, x: Any, loc: Any, scale: Any) -> Any:
        x = as_float(x)
        x = x if is_number(loc, 0) else x - loc
        return x if is_number(scale, 1) else ew.divide(x, scale)

    def _beyond(self, z: Any, low: Any, high: Any) -> tuple[Any, Any]:
        """Where a distribution function is 0, and where it is 1."""
        return low is not None and z <= low, high is not None and z >= high

    @quiet
    def cdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Distribution function: the probability of at most ``x``."""
        return self._either_end(self._cdf, x, args, kwargs, 0.0, 1.0)

    @quiet
    def logcdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Logarithm of `cdf`, with its digits where that is 0 or 1."""
        return self._either_end(self._logcdf, x, args, kwargs, -inf, 0.0)

    @quiet
    def sf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Survival function: the probability of more than ``x``."""
        return self._either_end(self._sf, x, args, kwargs, 1.0, 0.0)

    @quiet
    def logsf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Logarithm of `sf`, with its digits where that is 0 or 1."""
        return self._either_end(self._logsf, x, args, kwargs, 0.0, -inf)

    @quiet
    def rvs(self, *args: Any, size: Any = None, rng: Any = None, **kwargs: Any) -> Any:
        """Random numbers, differentiable in the parameters as far as the table in the documentation says."""
        shapes, loc, scale = self._parameters(args, kwargs)
        source = Source(self.name, rng, size, [*shapes, loc, scale])
        good = self._valid(*shapes)
        source.require(good if is_number(scale, 1) else both(good, scale > 0))
        out = self._draw(source, *shapes)
        out = out if is_number(scale, 1) else scale * out
        return out if is_number(loc, 0) else out + loc

    _cdf: Callable[..., Any]
    _logcdf: Callable[..., Any]
    _sf: Callable[..., Any]
    _logsf: Callable[..., Any]
    _draw: Callable[..., Any]


class Continuous(Distribution):
    """A family with a density."""

    methods = CONTINUOUS
    open_ends = (
        False  # whether the density is 0 at the ends of the support, whatever `_logpdf` would give there
    )

    _logpdf: Callable[..., Any]
    _ppf: Callable[..., Any]

    @quiet
    def logpdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Logarithm of the density, -inf outside of the support."""
        good, shapes, loc, scale = self._checked(args, kwargs)
        z = self._standard(x, loc, scale)
        low, high = self._support(*shapes)
        if self.open_ends:
            under, over = self._beyond(z, low, high)
        else:
            under, over = low is not None and z < low, high is not None and z > high
        outside = either(under, over)
        out = self._logpdf(instead(outside, self._inside(*shapes), z), *shapes)
        out = out if is_number(scale, 1) else out - ew.log(scale)
        return instead(opposite(good), nan, instead(outside, -inf, out))

    @quiet
    def pdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Density, 0 outside of the support."""
        return ew.exp(self.logpdf(x, *args, **kwargs))

    @quiet
    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Quantile: the inverse of `cdf`; NaN unless 0 <= q <= 1."""
        good, shapes, loc, scale = self._checked(args, kwargs)
        q = as_float(q)
        low, high = self._support(*shapes)
        outside, first, last = either(q < 0, q > 1), q == 0, q == 1
        out = self._ppf(instead(either(outside, either(first, last)), 0.5, q), *shapes)
        out = instead(last, inf if high is None else high, instead(first, -inf if low is None else low, out))
        out = out if is_number(scale, 1) else scale * out
        out = out if is_number(loc, 0) else out + loc
        return instead(either(outside, opposite(good)), nan, out)


class Symmetric(Continuous):
    """A family that is symmetric about 0 in standard form."""

    def _sf(self, z: Any, *shapes: Any) -> Any:
        return self._cdf(-z, *shapes)

    def _logsf(self, z: Any, *shapes: Any) -> Any:
        return self._logcdf(-z, *shapes)


class Discrete(Distribution):
    """A family on whole numbers. The derivative in these, and in the location, is 0."""

    methods = DISCRETE
    scaled = False
    _logpmf: Callable[..., Any]

    def _standard(self, x: Any, loc: Any, scale: Any) -> Any:
        k = stop_gradient(as_float(x))
        return k if is_number(loc, 0) else k - stop_gradient(loc)

    def _beyond(self, z: Any, low: Any, high: Any) -> tuple[Any, Any]:
        return z < low, z >= (inf if high is None else high)

    def _either_end(self, f: Any, x: Any, args: Any, kwargs: Any, below: float, above: float) -> Any:
        return super()._either_end(lambda k, *shapes: f(ew.floor(k), *shapes), x, args, kwargs, below, above)

    @quiet
    def logpmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Logarithm of the probability of ``k``, -inf outside of the support and between whole numbers."""
        good, shapes, loc, _ = self._checked(args, kwargs)
        k = self._standard(k, loc, 1)
        low, high = self._support(*shapes)
        beyond = k >= inf if high is None else k > high
        outside = either(either(k < low, beyond), k > ew.floor(k))
        out = self._logpmf(instead(outside, self._inside(*shapes), k), *shapes)
        return instead(opposite(good), nan, instead(outside, -inf, out))

    @quiet
    def pmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Probability of ``k``."""
        return ew.exp(self.logpmf(k, *args, **kwargs))
