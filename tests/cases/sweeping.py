"""Does a traced call do what NumPy's does? Values, dtypes and errors, and derivatives by differences."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import xpgrad as xg
from cases.signatures import WRITES, Call, Method
from xpgrad._trees import flatten, unflatten
from xpgrad.backends import reference
from xpgrad.trace import graph_of
from xpgrad.trace.traced import Traced
from xpgrad.trace.views import is_scalar

# Parameters that choose, and are no numbers to differentiate.
CONTROL = set(
    """axis axes axis1 axis2 shape dtype ddof correction k n s q decimals tol rtol atol rcond offset shift
    reps repeats num indices obj kth ord p pad_width indices_or_sections edge_order period discont nan
    posinf neginf optimize ind start stat_length where condition condlist""".split()
)
_BUILTIN = (ZeroDivisionError, OverflowError, IndexError, ValueError, TypeError, NotImplementedError)


class Sweep:
    """One call with its numbers taken out, so that some of them can be traced."""

    def __init__(self, call: Call) -> None:
        self.call = call
        leaves, self.structure = flatten((tuple(map(_sealed, call.args)), _sealed(call.kwargs)))
        self.leaves = leaves
        fixed = _positions_of_controls(call)
        self.floats = [i for i, x in enumerate(leaves) if _is_float(x) and i not in fixed]
        self.arrays = [
            i
            for i, x in enumerate(leaves)
            if isinstance(x, np.ndarray) and x.dtype.kind in "biufc" and i not in fixed
        ]

    def function(self, places: list[int]) -> Callable[..., Any]:
        """The call as a function of the leaves at ``places``."""
        f, writes = self.call.function, self.call.function in WRITES

        def run(*xs: Any) -> Any:
            leaves = [x.copy() if isinstance(x, np.ndarray) else x for x in self.leaves]
            for i, x in zip(places, xs, strict=True):
                leaves[i] = x * 1 if writes else x
            args, kwargs = unflatten(self.structure, [x.of if type(x) is _Sealed else x for x in leaves])
            out = f(*args, **kwargs)
            return args[0] if writes else out

        return run

    def at(self, places: list[int]) -> list[Any]:
        return [self.leaves[i] for i in places]

    def arguments(self) -> Iterator[list[int]]:
        """Which operands are arguments of a compiled function, the rest closed over: all, and each alone."""
        every = sorted({*self.arrays, *self.floats})
        both = ([every] if every else []) + ([[i] for i in every] if len(every) > 1 else [])
        yield from (c for c in both if self.call.function not in WRITES or 0 in c)

    def choices(self) -> Iterator[list[int]]:
        """Which operands are traced: each alone, and all."""
        alone = [[i] for i in self.floats] + ([self.floats] if len(self.floats) > 1 else [])
        yield from (c for c in alone if self.call.function not in WRITES or 0 in c)


class _Probe(float):
    """Stands for a traced operand, and is found out by whether NumPy hands the call to it."""

    asked: Any = None

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise _Reached if function is _Probe.asked else TypeError

    def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> Any:
        raise _Reached if ufunc in (_Probe.asked, getattr(_Probe.asked, "__self__", None)) else TypeError


class _Reached(Exception):
    pass


def dispatched(sweep: Sweep, places: list[int]) -> bool:
    """Whether NumPy lets these operands take the call over: not those of ``np.full_like(x, traced)``."""
    if isinstance(sweep.call.function, Method) and 0 not in places:
        return False  # a plain array's own
    if getattr(sweep.call.function, "__module__", "") in ("_operator", "builtins"):
        return True  # Python asks the operands themselves
    leaves = [x.copy() if isinstance(x, np.ndarray) else x for x in sweep.leaves]
    for i in places:
        leaves[i] = _Probe(1.0)
    args, kwargs = unflatten(sweep.structure, [x.of if type(x) is _Sealed else x for x in leaves])
    _Probe.asked = sweep.call.function
    try:
        sweep.call.function(*args, **kwargs)
    except _Reached:
        return True
    except Exception:
        return False
    return False


class _Sealed:
    """A list of numbers, which NumPy's dispatch does not look into: it is one operand, and a plain one."""

    def __init__(self, of: Any) -> None:
        self.of = of


def _sealed(x: Any) -> Any:
    if isinstance(x, dict):
        return {k: _sealed(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)) and not any(isinstance(y, (np.ndarray, np.generic)) for y in x):
        if type(x) is tuple and any(isinstance(y, (list, np.ndarray)) for y in x):
            return tuple(_sealed(y) for y in x)
        return _Sealed(x)
    return type(x)(_sealed(y) for y in x) if type(x) in (list, tuple) else x


def _is_float(x: Any) -> bool:
    if isinstance(x, (np.ndarray, np.generic)):
        return x.dtype.kind in "fc" and x.dtype != np.float16
    return type(x) is float


def _positions_of_controls(call: Call) -> set[int]:
    """Leaves of parameters that are no numbers to differentiate."""
    names = [] if isinstance(call.function, np.ufunc) else list(inspect.signature(call.function).parameters)
    marked = (
        [
            _marked(_sealed(x), k < len(names) and names[k] in CONTROL and (k > 0 or names[k] == "condition"))
            for k, x in enumerate(call.args)
        ],
        {k: _marked(_sealed(v), k in CONTROL) for k, v in call.kwargs.items()},
    )
    flags = flatten((tuple(marked[0]), marked[1]))[0]
    return {i for i, flag in enumerate(flags) if flag}


def _marked(x: Any, flag: bool) -> Any:
    leaves, structure = flatten(x)
    return unflatten(structure, [flag] * len(leaves))


def outcome(run: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What ``run`` returns, or what it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return run(), None
        except Exception as error:
            return None, error


def same_refusal(call: Call, ours: BaseException, theirs: BaseException) -> bool:
    """Whether ``ours`` is caught by whoever catches NumPy's.

    Where several parameters are wrong, either may be told first.
    """
    kinds = [k for k in _BUILTIN if isinstance(theirs, k)]
    if call.varied not in ("", "axis") or isinstance(theirs, AttributeError):
        kinds = list(_BUILTIN)
    if isinstance(theirs, np.linalg.LinAlgError):
        kinds = [ValueError]
    return any(isinstance(ours, k) for k in kinds)


def rounding(call: Call, *results: Any) -> float:
    """How close is equal: by the coarsest dtype among what goes in and what comes out."""
    leaves = [*flatten((call.args, call.kwargs))[0], *(np.asarray(r) for r in results)]
    sizes = [
        x.dtype.itemsize // (2 if x.dtype.kind == "c" else 1)
        for x in leaves
        if getattr(getattr(x, "dtype", None), "kind", "") in ("f", "c")
    ]
    sizes += [4] if call.kwargs.get("dtype") in (np.float32, "f4") else []
    return {2: 4e-3, 4: 4e-6}.get(min(sizes, default=8), 1e-11)


def difference(
    ours: Any, theirs: Any, *, eps: float, scale: float = 0.0, signs: bool = True, scalars: bool = False
) -> str | None:
    """What differs between two results, beyond ``eps`` of an entry or of ``scale``; None if nothing does.

    ``scalars``: where NumPy gives a scalar, and not an array without axes, so do we.
    """
    a, b = leaves_of(ours), leaves_of(theirs)
    if len(a) != len(b):
        return f"{len(a)} results instead of {len(b)}"
    for x, y in zip(a, b, strict=True):
        if x is None or y is None or isinstance(y, str):
            if x is not y and x != y:
                return f"{x} instead of {y}"
            continue
        if scalars and isinstance(x, np.ndarray) is not isinstance(y, np.ndarray):
            return f"{type(x).__name__} instead of {type(y).__name__}"
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != y.shape:
            return f"shape {x.shape} instead of {y.shape}"
        if x.dtype != y.dtype:
            return f"dtype {x.dtype} instead of {y.dtype}"
        if (text := _values(x, y, eps, scale, signs)) is not None:
            return text
    return None


def leaves_of(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)):
        return [leaf for part in x for leaf in leaves_of(part)]
    return [x]


def _values(x: Any, y: Any, eps: float, scale: float, signs: bool) -> str | None:
    text = f"{np.array2string(x, threshold=12)} instead of {np.array2string(y, threshold=12)}"
    if y.dtype.kind not in "fc":
        return None if np.array_equal(x, y) else text
    if y.dtype.kind == "c":
        bad = ~np.isfinite(y)  # what an infinite complex number is, is not agreed on
        if not np.array_equal(bad, ~np.isfinite(x)):
            return text
        x, y = np.where(bad, 0, x), np.where(bad, 0, y)
        return _values(x.real, y.real, eps, scale, False) or _values(x.imag, y.imag, eps, scale, False)
    finite = np.isfinite(y)
    if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return text
    x, y = x[finite].astype(float), y[finite].astype(float)
    return None if not y.size or _near(x, y, eps, scale, signs) else text


def _near(x: Any, y: Any, eps: float, scale: float, signs: bool) -> bool:
    bound = eps * np.maximum(abs(y), max(1e-2 * float(np.max(abs(y))), scale)) + (
        6e-45 if eps > 1e-9 else 1e-323
    )
    if not np.all(abs(x - y) <= bound):
        return False
    zero = (x == 0) & (y == 0)
    return not signs or bool(np.all(np.signbit(x[zero]) == np.signbit(y[zero])))


# ── what is checked ──────────────────────────────────────────────────────────────────────────
# What is refused by name, with the parameter that asks for it.
REFUSED = {
    ("ravel", "order"),
    ("reshape", "order"),
    ("ndarray.ravel", "order"),
}
# Zeros come out with another sign: NumPy's depends on the order of its comparisons, or on the CPU's vectors, or
# the entries are added to zeros, or to something else.
SIGNLESS = set(
    "diag diagflat nanmax nanmin quantile percentile median nanquantile nanpercentile nanmedian unwrap sort "
    "unique".split()
)
# What NumPy leaves in an order of its own, or unwritten.
UNDEFINED = {"partition", "argpartition", "ndarray.partition", "empty_like"}
# What these do depends on the numbers, which are not known while tracing.
BY_NUMBERS = set(
    "allclose array_equal nonzero flatnonzero argwhere unique real_if_close linalg.eig linalg.eigvals "
    "union1d setdiff1d ndarray.nonzero unique_all unique_counts unique_inverse unique_values".split()
)
# Their derivative is that on Hermitian matrices.
HERMITIAN = {"linalg.cholesky", "linalg.eigh", "linalg.eigvalsh"}


def problems(
    call: Call, run: Callable[[Sweep, list[int]], Any], *, compiled: bool = False, signs: bool = True
) -> Iterator[str]:
    """What ``run``, which traces the leaves at some places, does otherwise than NumPy.

    ``signs``: a zero has NumPy's sign.
    """
    sweep = Sweep(call)
    expected, error = outcome(lambda: sweep.function([])())
    if compiled and isinstance(error, ZeroDivisionError):
        return  # which only the numbers tell
    for places in sweep.arguments() if compiled else sweep.choices():
        if not dispatched(sweep, places):
            continue
        got, ours = outcome(lambda places=places: run(sweep, places))
        text = _verdict(call, expected, error, got, ours, signs, run in (eagerly, by_reference))
        if text is not None:
            yield f"{call} with {places} traced: {text}"


def _verdict(
    call: Call, expected: Any, error: Any, got: Any, ours: Any, signs: bool, scalars: bool
) -> str | None:
    if error is not None:
        if isinstance(error, AttributeError) or (ours is not None and isinstance(ours, xg.XpgradError)):
            return None
        if ours is None:
            return f"NumPy raises {type(error).__name__} ({error}), and not this"
        return (
            None
            if same_refusal(call, ours, error)
            else f"{type(ours).__name__} ({ours}), not {type(error).__name__}"
        )
    if ours is not None:
        refused = isinstance(ours, xg.TraceError) and any((call.name, k) in REFUSED for k in call.kwargs)
        return None if refused else f"raises {type(ours).__name__}: {ours}"
    if isinstance(got, str):
        return got
    if call.name in UNDEFINED:
        shape = np.shape(leaves_of(got)[0])
        return None if shape == np.shape(expected) else f"shape {shape}"
    return difference(
        got,
        expected,
        eps=precision(call, expected),
        scale=1e-3 if call.smooth else 0.0,
        signs=signs and call.name.removeprefix("ndarray.") not in SIGNLESS,
        scalars=scalars and not call.kwargs.get("optimize"),  # of which it depends on the way that is found
    )


def precision(call: Call, result: Any) -> float:
    return rounding(call, *[x for x in leaves_of(result) if x is not None and not isinstance(x, str)])


def eagerly(sweep: Sweep, places: list[int]) -> Any:
    """The value in eager mode; a text if a derivative is not what differences of NumPy's own values say."""
    run, xs = sweep.function(places), sweep.at(places)
    results: list[Any] = []

    def inexact(*args: Any) -> list[Any]:
        results.append(run(*args))
        return [x for x in leaves_of(results[-1]) if _has_derivative(x)]

    out, pullback = xg.vjp(inexact, *xs)
    plain = iter(out)
    value = [next(plain) if _has_derivative(x) else x for x in leaves_of(results[-1])]
    call = sweep.call
    if (
        not call.smooth
        or not out
        or call.name in UNDEFINED
        or precision(call, value) > 1e-9
        or _undetermined(call, xs)
    ):
        return value
    wrong = _derivative(call, run, inexact, xs, out, pullback)
    return value if wrong is None else wrong


def _undetermined(call: Call, xs: list[Any]) -> bool:
    """Whether the result is not unique: what a wide or tall matrix has beside its singular vectors."""
    whole = call.kwargs.get("full_matrices", True) and call.kwargs.get("compute_uv", True)
    return call.name == "linalg.svd" and whole and np.shape(xs[0])[-1] != np.shape(xs[0])[-2]


def _has_derivative(x: Any) -> bool:
    return getattr(getattr(x, "dtype", None), "kind", "") in ("f", "c") or type(x) in (float, complex)


def _derivative(call: Call, run: Any, inexact: Any, xs: list[Any], out: list[Any], pullback: Any) -> str | None:
    rng = np.random.default_rng(0)
    ts = [_like(x, rng) for x in xs]
    if call.name in HERMITIAN or "hermitian" in call.kwargs:
        ts = [t + t.swapaxes(-1, -2).conj() if t.ndim > 1 and t.shape[-1] == t.shape[-2] else t for t in ts]
    h = 1e-6
    ends = [outcome(lambda s=s: run(*[x + s * t for x, t in zip(xs, ts, strict=True)]))[0] for s in (-h, h)]
    a, b = ([np.asarray(y) for y in leaves_of(end) if _has_derivative(y)] for end in ends)
    if len(a) != len(out) or len(b) != len(out):
        return None
    slopes = [(y - x) / (2 * h) for x, y in zip(a, b, strict=True)]
    if not all(np.isfinite(s).all() for s in slopes):
        return None
    largest = [float(np.max(np.abs(y), initial=0.0)) for y in a]
    gs = [_like(y, rng) for y in out]
    cs = pullback(list(gs))
    if any(np.shape(c) != np.shape(x) for c, x in zip(cs, xs, strict=True)):
        return f"cotangents of shapes {[np.shape(c) for c in cs]}"
    pulled = sum(np.real(np.sum(np.asarray(c) * t)) for c, t in zip(cs, ts, strict=True))
    numeric = sum(np.real(np.sum(g * s)) for g, s in zip(gs, slopes, strict=True))
    size = sum(float(np.sum(np.abs(g) * np.abs(s))) for g, s in zip(gs, slopes, strict=True))
    if not abs(pulled - numeric) <= 1e-5 * size + 1e-7 * max(largest, default=0.0) + 1e-8:
        return f"backward {pulled}, differences say {numeric}"
    pushed = xg.jvp(
        inexact, tuple(xs), tuple(t if np.shape(x) else t[()] for t, x in zip(ts, xs, strict=True))
    )[1]
    for p, s, top in zip(pushed, slopes, largest, strict=True):
        if np.shape(p) != s.shape:
            return f"a tangent of shape {np.shape(p)}, not {s.shape}"
        if not np.all(abs(p - s) <= 1e-5 * np.max(abs(s), initial=0.0) + 1e-7 * top + 1e-8):
            return f"forward {p}, differences say {s}"
    return None


def _like(x: Any, rng: np.random.Generator) -> Any:
    shape = np.shape(x)
    t = np.asarray(rng.normal(size=shape))
    t = t + 1j * rng.normal(size=shape) if np.asarray(x).dtype.kind == "c" else t
    return t if shape else t[()]


def by_reference(sweep: Sweep, places: list[int]) -> Any:
    """The value of the graph that tracing with shapes alone gives: a scalar where the trace says so."""
    scalar: list[bool] = []

    def run(*xs: Any) -> Any:
        out = sweep.function(places)(*xs)
        scalar[:] = [
            is_scalar(x) if type(x) is Traced else not isinstance(x, np.ndarray) for x in leaves_of(out)
        ]
        return out

    graph, rebuild = graph_of(run, *sweep.at(places))
    leaves, structure = flatten(rebuild(reference.run(graph, sweep.at(places))))
    if len(leaves) == len(scalar):
        leaves = [
            x if x is None or isinstance(x, str) or np.shape(x) else np.asarray(x)[() if one else ...]
            for x, one in zip(leaves, scalar, strict=True)
        ]
    return unflatten(structure, leaves)


def pulled_back(sweep: Sweep, places: list[int], how: Callable[..., Any]) -> str | None:
    """What of a pullback differs between ``how(f, *args)`` and eager mode; None if nothing does."""
    run, xs = sweep.function(places), sweep.at(places)

    def inexact(*args: Any) -> list[Any]:
        return [x for x in leaves_of(run(*args)) if _has_derivative(x)]

    (out, pullback), error = outcome(lambda: xg.vjp(inexact, *xs))[0] or (None, None), None
    if not out:
        return None
    rng = np.random.default_rng(1)
    gs = [_like(np.asarray(y), rng) for y in out]
    gs = [np.asarray(g, np.asarray(y).dtype) for g, y in zip(gs, out, strict=True)]
    expected, error = outcome(lambda: pullback(list(gs)))
    if error is not None:
        return None
    got, error = outcome(lambda: how(lambda gs, *xs: xg.vjp(inexact, *xs)[1](gs), gs, *xs))
    if error is not None:
        refused = isinstance(error, xg.TraceError) and any(
            (sweep.call.name, k) in REFUSED for k in sweep.call.kwargs
        )
        return None if refused else f"raises {type(error).__name__}: {error}"
    return difference(
        list(got), list(expected), eps=100 * precision(sweep.call, expected), scale=1.0, signs=False
    )
