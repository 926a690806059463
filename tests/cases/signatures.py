"""Calls of every function that a traced array takes, made from NumPy's own signatures.

A function that is added to the table is called with what its parameters are named after: `ARRAYS` for
its first operand, `REQUIRED` and `OPTIONAL` for the rest. A name that is in neither, or a function of
which no call succeeds, fails `tests/trace/test_signatures.py`; what a function needs that no name tells
stands in `OPERANDS`.
"""

from __future__ import annotations

import inspect
import operator
import random
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpgrad.trace.functions import METHODS, TABLE

NAN, INF = np.nan, np.inf


def smooth(*shape: int, dtype: Any = np.float64, seed: int = 3) -> Any:
    """Distinct entries, away from zero, each other and the whole numbers."""
    n = int(np.prod(shape))
    k = np.random.default_rng(seed + n).permutation(n)
    values = k * 0.37 + 0.05 * np.sin(k * k) - 0.31 * n / 2 + 0.07 + 0.0131 * seed
    return np.asarray(values.reshape(shape), dtype)


def positive(*shape: int, seed: int = 3) -> Any:
    n = int(np.prod(shape))
    return np.asarray(
        (np.random.default_rng(seed + n).permutation(n) * 0.21 + 0.25 + 0.0131 * seed).reshape(shape)
    )


@dataclass(frozen=True)
class Like:
    """A value that depends on the first operand."""

    of: Callable[[Any], Any]


@dataclass(frozen=True)
class Call:
    """One call of a function of NumPy's.

    Attributes
    ----------
    varied : str
        The parameter that this call is about.
    smooth : bool
        Whether differences say what the derivative is here.
    """

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    varied: str = ""
    smooth: bool = True

    @property
    def name(self) -> str:
        return name_of(self.function)

    def __str__(self) -> str:
        parts = [_shown(x) for x in self.args] + [f"{k}={_shown(v)}" for k, v in self.kwargs.items()]
        return f"{self.name}({', '.join(parts)})"


def _shown(x: Any) -> str:
    if isinstance(x, (list, tuple)) and any(isinstance(y, np.ndarray) for y in x):
        return "[" + ", ".join(map(_shown, x)) + "]"
    if isinstance(x, np.ndarray):
        short = np.array2string(x, precision=3, threshold=8, separator=",").replace("\n", "")
        return f"{x.dtype}{list(x.shape)} {short}"
    return repr(x)


def name_of(function: Any) -> str:
    if isinstance(function, Method) or function in OPERATORS:
        return str(function.__name__)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"{owner.__name__}.{function.__name__}"
    module = getattr(function, "__module__", "") or ""
    prefix = module.removeprefix("numpy.") + "." if module.startswith("numpy.") else ""
    return prefix + str(function.__name__)


# ── operands ─────────────────────────────────────────────────────────────────────────────────
SPECIAL = np.array([1.0, NAN, -0.0, INF, 0.0, -INF, 1.0, -2.5])
ARRAYS: list[Any] = [
    smooth(3, 4),
    smooth(4),
    smooth(1),
    np.asarray(1.37),
    smooth(2, 3, 4),
    smooth(1, 3),
    smooth(3, 3),
    np.zeros(0),
    np.zeros((0, 3)),
    np.zeros((3, 0)),
    smooth(3, 4, dtype=np.float32),
    smooth(4, dtype=np.float32),
    smooth(4) + 1j * smooth(4, seed=5),
]
# Of these only the values are compared: their derivatives are `tests/points`' concern.
EDGES: list[Any] = [
    SPECIAL,
    SPECIAL.reshape(2, 4),
    np.array([[NAN, NAN, NAN], [1.0, NAN, 2.0]]),
    np.array([[1.0, INF, 2.0], [INF, 3.0, INF]]),
    np.array([0.0, -0.0, 0.0, -0.0]),
    np.array([-0.0, 0.0]),
    np.array([2.0, 1.0, 2.0, 1.0, 1.0]),
    np.array([1e300, -1e300, 1e308]),
    np.array([1e-200, 3e-200, -2e-200]),
    np.array([1e-23, 3e-23, -2e-23], np.float32),
    np.array([3, 1, 2, 1]),
    np.array([[3, 1], [0, 2]], np.int8),
    np.array([200, 100, 255], np.uint8),
    np.array([3, -1], np.int16),
    np.array([2**40, -3], np.int64),
    np.array([2**31 - 1, 5], np.int32),
    np.array([7, 2**63], np.uint64),
    np.array([True, False, True]),
    np.array([[True, False], [True, True]]),
    np.array([1.5, -2.0], np.float16),
    np.array([1 + 2j, 1 - 2j, NAN + 1j]),
    [1.0, 2.5, -3.0],
    [[1.5, 2.0], [3.0, 4.25]],
    2.5,
    np.float32(1.5),
    3,
]
MOST_EDGES = 2 * len(EDGES)
SHAPES = [(), (1,), (3,), (0,), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3), (2, 3, 3), (2, 1, 3), (0, 3), (3, 0)]
KINDS: list[Any] = [2, 1.5, np.float64(1.5), np.float32(1.5), np.int64(2), True, np.asarray(1.5), 1 + 2j]

# ── what parameters take, by their names ─────────────────────────────────────────────────────
AXES: list[Any] = [
    0,
    -1,
    1,
    np.int64(0),
    np.intp(-1),
    None,
    (0,),
    (0, 1),
    (1, -2),
    (np.int64(1), 0),
    (),
    [0],
    7,
    -4,
    (0, 0),
    1.0,
]


def _mask(a: Any) -> Any:
    shape = np.shape(a)
    return (np.arange(int(np.prod(shape))) % 3 != 1).reshape(shape)


def _row_mask(a: Any) -> Any:
    return np.arange(np.shape(a)[-1]) % 2 == 0 if np.ndim(a) else np.asarray(True)


OPTIONAL: dict[str, list[Any]] = {
    "axis": AXES,
    "axes": [0, (0,), (0, 1), (-1, 0), (np.int64(1), 0), None, (7,), [0], (0, -1)],
    "keepdims": [True, False],
    "where": [Like(_mask), Like(_row_mask), Like(lambda a: np.zeros(np.shape(a), bool)), True, False],
    "initial": [0.5, -30.0, np.float64(2.0), 1, np.float32(0.25)],
    "dtype": [np.float32, "f8", np.complex128, np.dtype(np.float64), int],
    "ddof": [1, 2, 0.5, np.int64(1), 100],
    "correction": [1, 0.5, np.float64(2)],
    "mean": [Like(lambda a: np.mean(a, keepdims=True)), 0.25],
    "minlength": [0, 2, np.int64(6)],
    "k": [0, 1, -1, np.int64(2), np.intp(-9), 3],
    "n": [0, 1, 2, 3, np.int64(2), -1, 9],
    "s": [(2, 2), (np.int64(3), 4), (4,), (0, 2)],
    "offset": [1, -1, np.int64(1), 9, -9],
    "axis1": [0, 1, -1, np.int64(1), 5],
    "axis2": [0, 1, -1, np.intp(0), 5],
    "axisa": [0, -1, np.int64(0), 1],
    "axisb": [0, -1, np.int64(0), 1],
    "axisc": [0, -1, np.int64(0), 1],
    "start": [0, 1, -1, 2, np.int64(2), 9],
    "deg": [True],
    "decimals": [1, -1, np.int64(2), 0],
    "mode": [
        "full",
        "same",
        "valid",
        "raise",
        "wrap",
        "clip",
        "reduced",
        "r",
        "nonsense",
        "edge",
        "reflect",
        "symmetric",
        "constant",
        "linear_ramp",
        "maximum",
        "mean",
        "empty",
    ],
    "norm": ["ortho", "forward", "backward", "nonsense"],
    "ord": [None, 1, 2, -1, -2, 0, 3, 0.5, INF, -INF, "fro", "nuc", np.int64(1), np.float64(2), "nonsense"],
    "p": [None, 1, 2, -2, INF, -INF, "fro", "nuc", np.int64(1)],
    "side": ["left", "right", "middle"],
    "sorter": [Like(lambda a: np.argsort(a))],
    "kind": ["stable", "quicksort", "mergesort", "introselect", "heapsort"],
    "stable": [True, False],
    "weights": [
        Like(lambda a: positive(*np.shape(a))),
        Like(lambda a: positive(*np.shape(a)[-1:])),
        Like(lambda a: np.zeros(np.shape(a))),
    ],
    "returned": [True],
    "method": [
        "inverted_cdf",
        "averaged_inverted_cdf",
        "closest_observation",
        "interpolated_inverted_cdf",
        "hazen",
        "weibull",
        "linear",
        "median_unbiased",
        "normal_unbiased",
        "lower",
        "higher",
        "midpoint",
        "nearest",
        "nonsense",
    ],
    "prepend": [0.0, 1, Like(lambda a: a), np.float64(2)],
    "append": [0.0, 1, Like(lambda a: a), np.float64(2)],
    "to_end": [1.5, np.array([1.5, 2.5]), [3.0]],
    "to_begin": [1.5, np.array([1.5, 2.5]), 2],
    "edge_order": [1, 2, 3, np.int64(2)],
    "rowvar": [False, True],
    "bias": [True, False],
    "fweights": [Like(lambda a: np.arange(1, np.shape(a)[-1] + 1) if np.ndim(a) else np.array([2]))],
    "aweights": [Like(lambda a: positive(np.shape(a)[-1]) if np.ndim(a) else np.array([0.5]))],
    "left": [0.5, -1, np.float64(2)],
    "right": [0.5, -1, np.float64(2)],
    "period": [3.0, 1.5, -2.0, 0, np.float64(6.28), 2],
    "discont": [0.5, 4.0],
    "endpoint": [False],
    "retstep": [True],
    "base": [2.0, 3, np.float64(1.5), np.array([2.0, 3.0, 4.0])],
    "num": [1, 2, 7, 0, np.int64(3), -1],
    "copy": [True, False],
    "nan": [1.5, 2, np.float64(3)],
    "posinf": [7.5, 3, None],
    "neginf": [-7.5, 3, None],
    "tol": [0, 1e-3, 1e20],
    "rtol": [0.1, 1e-3],
    "atol": [0.1, 1e-3],
    "rcond": [1e-3, 0.5, -1, None],
    "hermitian": [True],
    "upper": [True, False],
    "UPLO": ["L", "U", "l", "x"],
    "full_matrices": [False, True],
    "compute_uv": [False],
    "include_initial": [True],
    "equal_nan": [True],
    "return_index": [True],
    "return_inverse": [True],
    "return_counts": [True],
    "sorted": [True],
    "indexing": ["ij", "xy", "zz"],
    "sparse": [True],
    "shape": [3, (2, 2), np.int64(3), (np.int64(2), np.intp(1)), (), [2, 3]],
    "constant_values": [2.5, (1.0, 2.0), ((1.0, 2.0), (3.0, 4.0)), 3],
    "stat_length": [1, 2],
    "end_values": [0.5],
    "reflect_type": ["odd", "even"],
    "default": [0, 1.5, np.float64(2)],
    "dx": [0.5, 2, np.float64(0.25)],
    "min": [0.2, 0, None],
    "max": [0.9, 1, None],
    "a_min": [0.2, 0, None, INF, NAN],
    "a_max": [0.9, 1, None, -INF, NAN, -3.0],
    "ind": [1, 2, np.int64(2), 0],
    "N": [0, 1, 3, np.int64(2)],
    "increasing": [True],
    "full": [True],
    "cov": [True, "unscaled"],
    "w": [Like(lambda a: positive(np.size(a)))],
    "m": [0, 1, 2, np.int64(1), -1],
    "bins": [3, np.int64(2), [-1.0, 0.2, 1.0], np.array([-9.0, 9.0]), 0],
    "range": [(-1.0, 1.0), (0.0, 0.0), (1.0, -1.0)],
    "density": [True, False],
    "invert": [True],
    "assume_unique": [True],
    "writeable": [False],
    "optimize": [True, "greedy", "optimal"],
    "order": ["C", "F", "A", "K"],
    "casting": ["unsafe", "same_kind", "no"],
    "wrap": [True, False],
    "x": [
        Like(lambda a: np.cumsum(positive(*np.shape(a)), axis=-1) if np.ndim(a) else 1.0),
        Like(lambda a: np.cumsum(positive(*np.shape(a)[-1:])) if np.ndim(a) else 1.0),
    ],
    "y": [Like(lambda a: np.asarray(a) * 0.5 + 1.0 / (1 + np.arange(np.size(a)).reshape(np.shape(a))))],
}
# What some functions take by a name that means another thing elsewhere.
_AT_HALF = [Like(lambda a: positive(*np.shape(a)))]
_OF_PAIRS = {
    "bins": [3, (2, 3), ([-1.0, 0.2, 1.0], [-1.0, 1.0]), np.array([-1.0, 0.1, 0.5, 1.0])],
    "range": [((-1.0, 1.0), (0.0, 1.0)), (None, (-1.0, 1.0))],
    "weights": [Like(lambda a: positive(len(a))), Like(lambda a: np.ones(len(a)))],
}
OPTIONAL_OF: dict[Any, dict[str, list[Any]]] = {
    np.isin: {"kind": [None, "sort", "stable"]},
    np.digitize: {"right": [True, False]},
    np.polyfit: {"rcond": [1e-9, None]},
    np.histogram2d: _OF_PAIRS,
    np.histogramdd: _OF_PAIRS,
    np.linalg.tensorsolve: {"axes": [None, (0,), (1, 0), (np.int64(1),)]},
    np.linalg.vector_norm: {"axis": [k for k in AXES if type(k) is not float]},
}
# Parameters that change nothing of a value, or only its memory.
UNVARIED = {"subok", "device", "like", "out", "overwrite_input", "order"}

REQUIRED: dict[str, list[Any]] = {
    "shape": [(2, -1), -1, (3, 4), np.int64(-1), (np.int64(4), np.intp(3)), (5,), (2, 3, 4), (1, 4), [4, -1]],
    "axis": [0, -1, np.int64(0), np.intp(-1), (0, 1), (0, -1), 5, None, 1.0, ()],
    "axis1": [0, np.int64(0), -1, 5],
    "axis2": [1, np.int64(-1), 0],
    "source": [0, np.int64(0), -1, [0, 1], (np.int64(1), np.intp(0)), 5, (0, 0), ()],
    "destination": [0, -1, np.intp(1), [1, 0], (np.int64(0), -1), ()],
    "shift": [1, -2, 0, np.int64(1), np.intp(7), (1, 2), (np.int64(1), 0), np.array([1, 2]), 1.0],
    "repeats": [2, np.int64(2), 0, [2], np.array([1, 0, 2]), [1, 2, 0, 3], -1],
    "reps": [
        2,
        np.int64(2),
        (2, 1),
        (np.int64(1), np.intp(2)),
        np.array([2, 2]),
        1,
        (1, 1),
        0,
        (),
        (2, 1, 1, 2),
    ],
    "pad_width": [1, np.int64(1), (1, 2), ((1, 0), (0, 2)), 0, np.array([[1, 1], [2, 0]]), -1, {0: 1}],
    "indices_or_sections": [2, np.int64(2), 1, [1], [1, 3], np.array([1, 2]), 5, (1, 9), [2, 1]],
    "kth": [0, 1, -1, np.int64(1), (0, 2), [1, 0], 99],
    "indices": [
        0,
        [0, 1],
        np.array([[0, 1], [1, 0]]),
        np.int64(0),
        -1,
        5,
        np.array([], int),
        np.array([0], np.uint8),
    ],
    "obj": [
        0,
        [0, 1],
        -1,
        np.int64(1),
        slice(0, 2),
        np.array([1, 1]),
        9,
        np.array([True, False, True]),
        slice(None, None, 2),
    ],
    "q": [
        0.3,
        0.5,
        0,
        1,
        1.0,
        np.float64(0.25),
        [0.1, 0.9],
        np.array([[0.2, 0.4], [0.5, 1.0]]),
        -0.1,
        1.5,
        NAN,
        [],
        True,
    ],
    "n": [0, 1, 2, 3, np.int64(2), -1, 1.5],
    "dtype": [np.float32, float, np.float64, complex, int, bool, "f4"],
}

# ── operands that no name tells ──────────────────────────────────────────────────────────────
SPD = np.array([[4.0, 1.1, 0.3], [1.1, 3.2, 0.7], [0.3, 0.7, 2.1]])
GENERAL = np.array([[2.3, 0.5, -0.7], [0.9, -1.8, 0.6], [0.2, 1.3, 3.1]])
SQUARES: list[Any] = [
    GENERAL,
    SPD,
    np.stack([GENERAL, SPD]),
    GENERAL[:1, :1],
    GENERAL.astype(np.float32),
    GENERAL + 1j * SPD,
    np.zeros((0, 0)),
    np.zeros((2, 0, 0)),
    GENERAL[:2],
    GENERAL[0],
    np.asarray(2.0),
    np.array([[2, 1], [1, 3]]),
]
DEFINITE: list[Any] = [
    SPD,
    np.stack([SPD, 2 * SPD]),
    SPD[:1, :1],
    SPD.astype(np.float32),
    np.zeros((0, 0)),
    SPD[:2],
    SPD[0],
    -SPD,
]
TALL: list[Any] = [
    GENERAL,
    GENERAL[:, :2],
    GENERAL[:2],
    np.stack([GENERAL, SPD])[:, :2],
    GENERAL[:1],
    GENERAL.astype(np.float32),
    np.zeros((0, 3)),
    GENERAL[0],
]
STACKS: list[Any] = [
    [smooth(3, 4), smooth(3, 4, seed=8)],
    [smooth(4), smooth(4, seed=8)],
    [smooth(2, 3), smooth(1, 3)],
    [smooth(4), smooth(3)],
    [smooth(2, 3), smooth(2, 1)],
    [np.asarray(1.5), np.asarray(2.5)],
    [1.5, np.asarray(2.5)],
    [smooth(3), [1.0, 2.0, 3.0]],
    [smooth(3), np.array([1, 2, 3])],
    [smooth(3, dtype=np.float32), smooth(3)],
    [smooth(2, 3, 4), smooth(2, 3, 4, seed=8)],
    [np.zeros(0), smooth(2)],
    [np.zeros((0, 3)), smooth(2, 3)],
    [smooth(3)],
    [],
    smooth(3, 4),
    (smooth(4), smooth(4, seed=8)),
    [smooth(3), smooth(3) + 1j],
    [np.array([1, 2], np.int8), np.array([3.5, 4.5], np.float32)],
    [smooth(3), True],
    [smooth(1), 2],
    [np.float32(1.5), smooth(2)],
]


def _pairs(*names: str) -> list[tuple[Any, ...]]:
    """Two operands of every pair of ranks, and one beside numbers and lists."""
    pairs: list[tuple[Any, ...]] = [(smooth(*p), smooth(*q, seed=8)) for p in SHAPES for q in SHAPES]
    for shape in ((), (3,), (3, 3)):
        x = smooth(*shape)
        for y in [
            *KINDS,
            smooth(*shape, seed=8).tolist(),
            np.ones(shape, int),
            smooth(*shape, dtype=np.float32, seed=9),
            smooth(*shape, seed=10) + 1j,
            np.ones(shape, bool),
        ]:
            pairs += [(x, y), (y, x)]
        pairs += [(1.25, x), (x, 1.25), (np.float64(1.25), x), (1.25, 2.5), (1.25, 2), (3, 1.25)]
    return pairs


GRID = np.array([-1.04, 0.27, 1.46, 2.73])
_INTERP: list[tuple[Any, ...]] = [
    (x, xp, fp)
    for x in (
        smooth(3),
        smooth(2, 2),
        np.asarray(0.6),
        0.6,
        [0.1, 0.7],
        np.zeros(0),
        np.array([-5.0, 5.0]),
        1,
        smooth(3, dtype=np.float32),
    )
    for xp, fp in (
        (GRID, smooth(4)),
        (GRID.tolist(), smooth(4)),
        (GRID[:1], smooth(1)),
        (GRID[:2], smooth(2)),
        (GRID, smooth(4) + 1j),
        (GRID, [1, 3, 2, 5]),
        (GRID, smooth(3)),
        (np.zeros(0), np.zeros(0)),
    )
]
_INTERP_EDGES: list[tuple[Any, ...]] = [
    (x, xp, fp)
    for x in (np.array([-INF, -1.04, 0.0, 0.27, 1.5, 2.0, 2.73, INF, NAN]), NAN, INF, np.array([-1.04, 2.73]))
    for xp, fp in (
        (GRID, smooth(4)),
        (np.array([-INF, 0.0, 1.5, INF]), smooth(4)),
        (np.array([0.0, 1.0, INF]), smooth(3)),
        (np.array([0.0, 1.5, 1.5]), smooth(3)),
        (np.array([0.0, 0.0, 1.5]), smooth(3)),
        (np.array([0.0, 1.5, 1.5, 2.0]), smooth(4)),
        (np.array([1.5]), smooth(1)),
        (np.array([1.5, 1.5]), smooth(2)),
        (GRID, np.array([1.0, INF, 2.0, NAN])),
        (GRID, np.array([1.0, 2.0, INF, INF])),
    )
]

_X = smooth(3, 4)
_T = positive(2, 3, 3, 2, seed=6).reshape(2, 3, 6)


def _einsums() -> list[tuple[Any, ...]]:
    """Every form of one and two operands of up to two axes in up to three letters, and some of more."""
    terms = ["", "i", "j", "ij", "ji", "ii", "jk"]
    one = [
        (f"{t}->{o}", *_operands(t)) for t in [*terms, "iij", "iji", "ijk", "iii", "iijj"] for o in _outputs(t)
    ]
    two = [
        (f"{t},{u}->{o}", *_operands(t, u)) for t in terms for u in terms for o in _outputs(t + u) if len(o) < 4
    ]
    implicit = [(f"{t}", *_operands(t)) for t in ("i", "ij", "ji", "ii", "iij")]
    implicit += [(f"{t},{u}", *_operands(t, u)) for t in terms for u in terms]
    more: list[tuple[Any, ...]] = [
        ("...i->...", smooth(2, 3)),
        ("i...->...", smooth(2, 3)),
        ("...", smooth(2, 3)),
        ("...ii->...i", _T[..., :3]),
        ("...ij,...jk", _T, smooth(6, 2)),
        ("...,...", smooth(2, 3), smooth(3)),
        ("i...,i...->...", smooth(2, 3), smooth(2)),
        ("bij,bjk->bik", _T, smooth(2, 6, 2)),
        ("bij,bj->bi", _T, smooth(2, 6)),
        ("ij,jk,kl->il", smooth(2, 3), smooth(3, 2), smooth(2, 2)),
        ("i,i->", smooth(3), smooth(1)),
        ("ij,ij->", smooth(2, 3), smooth(2, 1)),
        ("ij,ji->", smooth(1, 3), smooth(3, 2)),
        (smooth(2, 3), [0, 1], smooth(3, 2), [1, 2], [0, 2]),
        (smooth(3, 3), [0, 0]),
        (smooth(3), [0], smooth(3), [0], []),
        (smooth(2, 3), [Ellipsis, 1], [Ellipsis]),
        ("i,i->i", 2.0, smooth(3)),
        (",i->i", 2.0, smooth(3)),
        ("i,->i", smooth(3), 3),
        ("i,i", smooth(3), [1.0, 2.0, 3.0]),
        ("ij->", np.zeros((0, 3))),
        ("ij,jk->ik", np.zeros((2, 0)), np.zeros((0, 3))),
        ("ij", smooth(3)),
        ("ij,jk", smooth(2, 3), smooth(2, 3)),
        ("i->ii", smooth(3)),
        ("i->j", smooth(3)),
        ("i,j", smooth(3)),
        ("i j -> j i", smooth(2, 3)),
        ("ij->ji", np.array([[1, 2], [3, 4]])),
        ("i,i->", smooth(3, dtype=np.float32), smooth(3)),
        ("...->...", smooth(2, 3)),
        ("i,i,i->i", smooth(3), smooth(3), smooth(3, seed=8)),
        ("ii->", np.eye(3)),
        ("i,jk->ij", smooth(3), np.array([[True, True, False], [True, True, True]])),
        ("ij,k->i", smooth(3, 2), np.full(4, 100, np.int8)),
        ("i,jk->i", np.ones(2, np.float32), np.full((2, 3), 200, np.uint8)),
        ("ij,jk->k", np.ones((3, 2), bool), smooth(2, 2)),
    ]
    return one + two + implicit + more


def _outputs(letters: str) -> list[str]:
    """Every output of distinct letters, in one order and, of two, in both."""
    found = sorted(set(letters))
    outs = [""]
    for c in found:
        outs += [o + c for o in outs]
    return outs + [o[::-1] for o in outs if len(o) > 1]


def _operands(*terms: str) -> tuple[Any, ...]:
    size = {"i": 3, "j": 2, "k": 4}
    return tuple(smooth(*(size[c] for c in t), seed=4 + n) for n, t in enumerate(terms))


OPERANDS: dict[Any, list[tuple[Any, ...]]] = {}
# Calls at which NumPy's value is all that is compared: a kink, a tie, a pole.
EDGE_OPERANDS: dict[Any, list[tuple[Any, ...]]] = {}


def _singles(xs: list[Any]) -> list[tuple[Any, ...]]:
    return [(x,) for x in xs]


for _f in (
    np.linalg.inv,
    np.linalg.det,
    np.linalg.slogdet,
    np.linalg.eig,
    np.linalg.eigvals,
    np.linalg.cond,
    np.linalg.matrix_rank,
):
    OPERANDS[_f] = _singles(SQUARES)
for _f in (np.linalg.cholesky, np.linalg.eigh, np.linalg.eigvalsh):
    OPERANDS[_f] = _singles(DEFINITE)
for _f in (np.linalg.svd, np.linalg.svdvals, np.linalg.qr, np.linalg.pinv, np.linalg.matrix_norm):
    OPERANDS[_f] = _singles(TALL)
OPERANDS[np.linalg.matrix_power] = [(a, n) for a in SQUARES for n in REQUIRED["n"]]
OPERANDS[np.linalg.tensorinv] = _singles([GENERAL.reshape(3, 1, 3), positive(2, 3, 6), smooth(3, 4)])
OPERANDS[np.linalg.tensorinv].append((np.linalg.inv(GENERAL + 2 * np.eye(3)).reshape(3, 1, 1, 3), 1))
OPERANDS[np.linalg.tensorsolve] = [
    (np.eye(6).reshape(2, 3, 6) + 0.1 * _T, smooth(2, 3)),
    (GENERAL, smooth(3)),
    (GENERAL, smooth(2)),
]
OPERANDS[np.linalg.solve] = [
    (a, b)
    for a in SQUARES
    for b in (
        smooth(3),
        smooth(3, 2),
        smooth(2, 3, 1),
        smooth(1, 3, 2),
        smooth(2),
        np.asarray(1.5),
        [1.0, 2.0, 3.0],
        np.array([1, 2, 3]),
        smooth(1),
        np.zeros(0),
        np.zeros((0, 2)),
    )
]
OPERANDS[np.linalg.lstsq] = [
    (a, b)
    for a in TALL
    for b in (
        smooth(3),
        smooth(3, 2),
        smooth(2),
        smooth(2, 1),
        [1.0, 2.0, 3.0],
        np.zeros(0),
        smooth(1),
        np.asarray(1.5),
    )
]
OPERANDS[np.linalg.multi_dot] = [
    (xs,)
    for xs in (
        [GENERAL, SPD],
        [GENERAL[0], SPD],
        [GENERAL, SPD[0]],
        [GENERAL[0], SPD[0]],
        [GENERAL[0], SPD, GENERAL],
        [GENERAL, SPD, GENERAL[0]],
        [GENERAL[0], SPD, GENERAL[0]],
        [GENERAL[0], GENERAL, SPD, GENERAL[1]],
        [GENERAL[:2], SPD, GENERAL[:, :1], smooth(1, 4)],
        [GENERAL],
        [GENERAL, np.stack([SPD, SPD])],
        [GENERAL[:2], SPD[:2]],
        [GENERAL.tolist(), SPD],
        [np.zeros((0, 3)), SPD],
        [np.zeros((2, 0)), np.zeros((0, 3))],
        (GENERAL[0], SPD, GENERAL[0]),
        [GENERAL.astype(np.float32), SPD[0]],
    )
]
for _f in (np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack):
    OPERANDS[_f] = [(xs,) for xs in STACKS]
OPERANDS[np.block] = [([xs, xs],) for xs in STACKS if isinstance(xs, list) and xs] + [(xs,) for xs in STACKS]
OPERANDS[np.append] = _pairs()
OPERANDS[np.einsum] = _einsums()
OPERANDS[np.bincount] = [(codes, smooth(len(codes))) for codes in ([2, 0, 2, 1], [5, 5], [0])]
OPERANDS[np.interp] = _INTERP
EDGE_OPERANDS[np.interp] = _INTERP_EDGES
OPERANDS[np.where] = [
    (np.asarray(c), x, y)
    for c in (True, [True, False, True], np.array([[1], [0]]), np.array([0.0, 2.0, NAN]))
    for x, y in _pairs()[::3]
] + [(np.array([True, False]),), (smooth(3),), (smooth(3), 1.0)]
OPERANDS[np.select] = [
    ([np.array([True, False, False]), np.array([True, True, False])], [smooth(3), smooth(3, seed=8)]),
    ([np.array([True, False, False])], [2.5]),
    ([_X > 0, _X > 1], [_X, _X**2]),
    ([_X > 0], [smooth(4)]),
    ([_X > 0], [_X, _X]),
    ([], []),
    ([np.array([1, 0])], [smooth(2)]),
    ([True], [smooth(2)]),
]
OPERANDS[np.clip] = [
    (x, lo, hi)
    for x in (smooth(3, 4), smooth(4), np.asarray(0.6), 0.6, smooth(4, dtype=np.float32), [0.1, 1.5])
    for lo, hi in (
        (-0.5, 0.65),
        (None, 0.3),
        (0.2, None),
        (None, None),
        (0.7, -0.4),
        (smooth(4, seed=8) - 1.6, smooth(4) + 1.1),
        (smooth(3, 1), 0.5),
        (np.float32(-0.5), np.float64(0.5)),
        (-1, 1),
        (smooth(4) + 1.1, smooth(4, seed=8)),
        ([-0.3, 0.1, 0.2, 0.4], 0.9),
        (smooth(5), 1.0),
    )
]
OPERANDS[np.clip] += _singles(ARRAYS)
EDGE_OPERANDS[np.clip] = [
    (x, lo, hi)
    for x in (SPECIAL, np.array([3, -1, 7]), np.array([3, 200], np.uint8), np.array([1.5, -2], np.float16))
    for lo, hi in (
        (0.0, 1.0),
        (-0.0, 0.0),
        (1.0, 0.0),
        (NAN, 1.0),
        (0.0, NAN),
        (-INF, INF),
        (INF, -INF),
        (0, 2),
        (2, 0),
        (1, None),
        (None, 1),
        (-1, 300),
    )
]
OPERANDS[np.searchsorted] = [
    (np.sort(smooth(5)), v) for v in (smooth(3), smooth(2, 2), 0.1, np.float32(0.3), [0.1, 0.5], np.zeros(0), 1)
] + [(smooth(2, 2), 0.5), ([0.0, 1.0, 2.0], smooth(3)), (np.zeros(0), smooth(2))]
EDGE_OPERANDS[np.searchsorted] = [
    (np.array([-INF, 0.0, 1.0, 1.0, INF, NAN]), v) for v in (SPECIAL, NAN, 1.0, -0.0)
]
OPERANDS[np.take_along_axis] = [
    (_X, np.argsort(_X, 1), 1),
    (_X, np.argsort(_X, 0), np.int64(0)),
    (_X, np.array([[0], [1], [2]]), -1),
    (smooth(4), np.array([2, 0]), 0),
    (_X, np.array([5, 3]), None),
    (_X, np.array([[0, 1]]), 0),
    (_X, np.array([0, 1]), 0),
    (_X, np.array([[9]]), 0),
    (_X, np.array([[0.5]]), 0),
]
OPERANDS[np.take] = [(x, i) for x in (_X, smooth(4), np.zeros(0), [1.5, 2.5]) for i in REQUIRED["indices"]]
OPERANDS[np.compress] = [
    ([True, False, True], _X),
    ([1, 0, 1], smooth(4)),
    (np.array([True, True, False, True, True]), smooth(4)),
    ([], smooth(3)),
    ([True, False, True, True], _X),
]
OPERANDS[np.extract] = [
    (_X > 0, _X),
    ([1, 0, 1, 0], smooth(4)),
    ([True], smooth(4)),
    (smooth(4) > 9, smooth(4)),
]
OPERANDS[np.delete] = [(x, i) for x in (_X, smooth(4), smooth(3, 3)) for i in REQUIRED["obj"]]
OPERANDS[np.insert] = [
    (x, i, v)
    for x in (_X, smooth(4), smooth(3, 3))
    for i in REQUIRED["obj"]
    if not (isinstance(i, np.ndarray) and i.dtype == bool)
    for v in (5.5, smooth(2), smooth(3), smooth(4), 3, [1.5, 2.5], smooth(1), smooth(3, 1), smooth(2, 4))
]
OPERANDS[np.trapezoid] = _singles(ARRAYS)
OPERANDS[np.gradient] = [
    (x, *h)
    for x in (
        smooth(3, 4),
        smooth(4),
        smooth(2),
        smooth(1),
        np.asarray(1.5),
        smooth(2, 3, 4),
        smooth(4, dtype=np.float32),
        smooth(4) + 1j,
        np.array([1, 4, 9]),
        [1.0, 4.0, 9.5],
    )
    for h in (
        (),
        (0.5,),
        (2, 0.5),
        (np.float64(0.5),),
        (np.cumsum(positive(4)),),
        (np.cumsum(positive(3)), 0.5),
        ([0.0, 1.5, 2.0, 4.0],),
        (np.cumsum(positive(3)), np.cumsum(positive(4))),
        (1.0, 2.0, 3.0),
    )
]
OPERANDS[np.polyval] = [
    (p, x)
    for p in (
        smooth(4),
        smooth(1),
        np.zeros(0),
        [1.0, 2.0, 3.0],
        smooth(3, dtype=np.float32),
        [1, 2],
        smooth(3) + 1j,
        smooth(2, 2),
    )
    for x in (
        smooth(3),
        smooth(2, 3),
        np.asarray(1.3),
        1.3,
        [1.0, 2.5],
        2,
        np.array([1, 2]),
        np.zeros(0),
        smooth(3, dtype=np.float32),
    )
]
OPERANDS[np.linspace] = _pairs()
OPERANDS[np.logspace] = [(p, q) for p, q in _pairs() if np.size(p) < 9 and np.size(q) < 9]
OPERANDS[np.geomspace] = [
    (positive(*p), positive(*q, seed=8)) for p in SHAPES for q in SHAPES if 0 not in (*p, *q)
] + [
    (x, y)
    for x in (1.5, -1.5, np.float64(2.0), np.float32(2.0), 2, -positive(3), positive(3) + 1j, 1j, 0.0)
    for y in (9.0, -9.0, 8, positive(3), -positive(3), 2 + 1j, np.float32(3.0))
]
EDGE_OPERANDS[np.linspace] = [
    (a, b, n)
    for a, b in (
        (0.0, 1.0),
        (1.0, 3.3),
        (0.1, 0.7),
        (-1e300, 1e300),
        (5.0, 5.0),
        (0.0, INF),
        (-INF, INF),
        (1, 4),
        (1e-200, 3e-200),
        (np.float32(0.1), np.float32(0.7)),
        (0.0, 5e-324),
        (NAN, 1.0),
        (np.array([0.1, 0.2]), 0.7),
        (2**60, 2**60 + 10),
    )
    for n in (1, 2, 4, 7, 11, 50)
]
OPERANDS[np.full_like] = [
    (x, v)
    for x in (_X, smooth(4, dtype=np.float32), np.asarray(1.5), np.array([1, 2]), np.zeros(0))
    for v in (
        2.5,
        np.float64(2.5),
        np.asarray(2.5),
        smooth(4),
        3,
        True,
        [1.0, 2.0, 3.0, 4.0],
        NAN,
        -0.0,
        smooth(3),
    )
]
OPERANDS[np.meshgrid] = [
    (smooth(3), smooth(4)),
    (smooth(3),),
    (smooth(3), smooth(2), smooth(2, seed=8)),
    (smooth(2, 2), 1.5),
    ([1.0, 2.0], smooth(3)),
    (smooth(3), np.array([1, 2])),
    (),
    (np.zeros(0), smooth(2)),
    (np.asarray(1.5), smooth(2)),
]
for _f in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    OPERANDS[_f] = [*_singles(ARRAYS), (smooth(3), 1.5), (1.5, [1.0, 2.0]), ()]
OPERANDS[np.broadcast_arrays] = [*_pairs()[::2], (smooth(3),), ()]
OPERANDS[np.broadcast_to] = [
    (x, s)
    for x in (smooth(3), smooth(1, 3), np.asarray(1.5), smooth(3, 1), np.zeros(0), 1.5, [1.0, 2.0, 3.0])
    for s in (3, (2, 3), np.int64(3), (np.int64(2), np.intp(3)), (), (0, 3), (4,), -1, [2, 3], (3, 3))
]
OPERANDS[np.quantile] = [(x, q) for x in (*ARRAYS[:7], ARRAYS[11], ARRAYS[7]) for q in REQUIRED["q"]]
EDGE_OPERANDS[np.quantile] = [(x, q) for x in EDGES for q in (0.5, [0.1, 0.9], 0.25, 1.0)]
OPERANDS[np.percentile] = [
    (x, np.multiply(q, 100) if not isinstance(q, bool) else q) for x, q in OPERANDS[np.quantile]
]
EDGE_OPERANDS[np.percentile] = [(x, np.multiply(q, 100)) for x, q in EDGE_OPERANDS[np.quantile]]
OPERANDS[np.nanquantile], EDGE_OPERANDS[np.nanquantile] = OPERANDS[np.quantile], EDGE_OPERANDS[np.quantile]
OPERANDS[np.nanpercentile], EDGE_OPERANDS[np.nanpercentile] = (
    OPERANDS[np.percentile],
    EDGE_OPERANDS[np.percentile],
)
_CODES = np.array([0, 2, 1, 0])
OPERANDS[np.vander] = _singles([smooth(4), [1.0, 2.0], smooth(1), np.array([1, 2, 3]), smooth(3, 4), 1.5])
OPERANDS[np.polyfit] = [
    (np.arange(6.0), smooth(6), 2),
    (smooth(6), smooth(6, seed=5), 1),
    (smooth(6), smooth(6, 2), np.int64(1)),
    ([1.0, 2.0, 4.0, 5.0], smooth(4), 0),
    (smooth(3, dtype=np.float32), smooth(3, seed=5, dtype=np.float32), 1),
    (smooth(4), smooth(3), 1),
    (smooth(4), smooth(4), -1),
]
for _f in (np.polyder, np.polyint):
    OPERANDS[_f] = _singles([smooth(4), [1.0, 2.0, 3.0], smooth(1), smooth(4, dtype=np.float32)])
for _f in (np.polyadd, np.polysub):
    OPERANDS[_f] = [
        (smooth(4), smooth(2)),
        (smooth(2), [1.0, 2.0, 3.0]),
        (smooth(3), 1.5),
        (smooth(3), smooth(3)),
    ]
OPERANDS[np.poly] = _singles([smooth(3), [1.0, 2.0], smooth(1)])
OPERANDS[np.lib.stride_tricks.sliding_window_view] = [
    (smooth(5), 3),
    (smooth(3, 4), (2, 2)),
    (smooth(5), np.int64(5)),
    (smooth(5), 6),
    (smooth(5), -1),
    (smooth(3, 4), 2),
    ([1.0, 2.0, 3.0], 2),
]
OPERANDS[np.piecewise] = [
    (smooth(5), [smooth(5) < 0.1], [np.sin, 2.0]),
    (smooth(5), [smooth(5) < 0.1, smooth(5) > 0.7], [np.square, np.cos]),
    (smooth(2, 3), [smooth(2, 3) < 0.1, smooth(2, 3) > 0.7], [np.square, np.cos, -1.5]),
    (np.asarray(0.3), [True], [np.sin]),
    (smooth(3), [smooth(3) < 0.1], []),
    (smooth(3, dtype=np.float32), [smooth(3) < 0.1], [np.sin, np.cos]),
    (smooth(3), smooth(3) < 0.1, [np.sin, np.cos]),
]
OPERANDS[np.choose] = [
    (_CODES, [smooth(4), smooth(4, seed=5), 2.5]),
    (np.array([[1], [0]]), [smooth(3), smooth(3, seed=5)]),
    (1, [smooth(3), smooth(3, seed=5)]),
    (_CODES, smooth(3, 4)),
    (np.array([0, 3]), [smooth(2), smooth(2)]),
    (np.array([0, -1]), [smooth(2), smooth(2)]),
]
OPERANDS[np.resize] = [
    (x, n)
    for x in (smooth(3), smooth(2, 3), 1.5, np.zeros(0), [1.0, 2.0])
    for n in (5, (2, 4), np.int64(2), (), 0, (2, 0), -1)
]
OPERANDS[np.place] = [
    (_X, _X > 0, [1.5, 2.5]),
    (smooth(4), smooth(4) > 9, smooth(2)),
    (smooth(4), smooth(4) < 9, 2.5),
]
OPERANDS[np.put] = [
    (_X, [0, 5], smooth(2)),
    (smooth(4), -1, 2.5),
    (smooth(4), np.array([1, 2, 3]), smooth(2)),
    (smooth(4), [7], 1.5),
    (smooth(4), [1, 1], [1.5, 2.5]),
]
OPERANDS[np.apply_along_axis] = [
    (np.cumsum, k, x) for k in (0, -1, np.int64(1), 5) for x in (smooth(2, 3), smooth(2, 3, 4), smooth(4))
]
OPERANDS[np.apply_over_axes] = [
    (np.sum, x, k)
    for k in (0, (0, 1), [-1], np.int64(1), 5)
    for x in (smooth(2, 3), smooth(2, 3, 4), smooth(4))
]
OPERANDS[np.histogram] = OPERANDS[np.histogram_bin_edges] = _singles(
    [
        smooth(5),
        smooth(2, 3),
        [1.0, 2.0, 4.0],
        smooth(4, dtype=np.float32),
        np.array([3, 1, 2]),
        np.zeros(0),
        1.5,
    ]
)
OPERANDS[np.histogram2d] = [(smooth(5), smooth(5, seed=5))]
OPERANDS[np.histogramdd] = [(smooth(5, 2),), (smooth(5, 3),)]
OPERANDS[np.digitize] = [
    (x, b)
    for x in (smooth(4), smooth(2, 3), 0.5, [0.1, 2.0])
    for b in (GRID, GRID[::-1], [0.0, 1.0], np.array([1.0, 0.0, 2.0]), np.zeros(0), 1.0)
]
OPERANDS[np.isin] = _pairs()[::3]
OPERANDS[np.lexsort] = [((smooth(4), smooth(4, seed=5)),), (smooth(3, 4),), ([np.array([1, 0, 1]), smooth(3)],)]
OPERANDS[np.union1d] = OPERANDS[np.setdiff1d] = [
    (smooth(4), smooth(3)),
    (smooth(4), [1.0]),
    (smooth(2, 2), smooth(4, seed=5)),
]
OPERANDS[np.tensordot] = [(p, q, n) for p, q in _pairs()[::2] for n in (0, 1, 2, 5)] + [
    (smooth(2, 3), smooth(3, 2), axes)
    for axes in (
        ([1], [0]),
        (1, 0),
        ([0, 1], [1, 0]),
        ((-1,), (0,)),
        (np.int64(1), np.intp(0)),
        np.int64(1),
        ([], []),
        ([0], [0]),
        ([5], [0]),
        (np.array([1]), np.array([0])),
    )
]
_CROSS = [
    (p, q)
    for p in ((3,), (2, 3), (1, 3), (4, 2, 3), (3, 2), (2,), (2, 2), (4,))
    for q in ((3,), (2, 3), (3, 2), (2,), (2, 1, 3))
]
OPERANDS[np.cross] = [(smooth(*p), smooth(*q, seed=8)) for p, q in _CROSS if 2 not in (p[-1], q[-1])] + [
    ([1.0, 2.0, 3.0], smooth(3)),
    (smooth(3), np.array([1, 2, 3])),
    (smooth(3), 1.5),
    (np.zeros((0, 3)), smooth(3)),
]
for _f in (np.convolve, np.correlate):
    OPERANDS[_f] = _pairs() + [
        (smooth(5), smooth(3)),
        (smooth(2), smooth(5)),
        (smooth(4) + 1j, smooth(2)),
        (smooth(4), smooth(2) + 2j),
    ]
for _f in (
    np.isclose,
    np.allclose,
    np.array_equal,
    np.dot,
    np.vdot,
    np.inner,
    np.outer,
    np.kron,
    np.linalg.outer,
    np.linalg.matmul,
    np.linalg.vecdot,
):
    OPERANDS[_f] = _pairs()
OPERANDS[np.linalg.tensordot] = _pairs()[::2]
OPERANDS[np.linalg.cross] = OPERANDS[np.cross]
OPERANDS[np.rollaxis] = [(x, k) for x in ARRAYS[:6] for k in (0, 1, -1, np.int64(1), 2, 5)]
OPERANDS[np.average] = _singles([x for x in ARRAYS if x.size])  # of nothing NumPy divides 0 by 0
OPERANDS[np.put_along_axis] = [
    (_X, np.array([[0], [1], [2]]), v, k) for v in (5.5, smooth(3, 1)) for k in (1, np.int64(-1))
]
OPERANDS[np.put_along_axis] += [(smooth(4), np.array([1, 2]), smooth(2), 0), (_X, np.array([1, 5]), 2.5, None)]
OPERANDS[np.fill_diagonal] = [
    (x, v)
    for x in (smooth(3, 3), _X, smooth(5, 3), smooth(4), smooth(3, 3, 3))
    for v in (1.5, smooth(3), [1.0, 2.0, 3.0], smooth(2))
]
OPERANDS[np.copyto] = [
    (_X, 1.5),
    (_X, smooth(4)),
    (_X, _X * 2),
    (smooth(4), [1.0, 2.0, 3.0, 4.0]),
    (_X, smooth(3)),
    (smooth(4, dtype=np.float32), smooth(4)),
    (smooth(4), smooth(4) + 1j),
]
OPERANDS[np.putmask] = [
    (_X, _X > 0, 1.5),
    (_X, _X > 0, smooth(5)),
    (smooth(4), [True, False, True, True], smooth(4, seed=8)),
    (_X, _X > 0, _X * 2),
]
WRITES = {np.put_along_axis, np.fill_diagonal, np.copyto, np.putmask, np.place, np.put}
OPERANDS[np.fft.irfft] = OPERANDS[np.fft.hfft] = _singles(
    [smooth(4) + 1j * smooth(4, seed=8), smooth(4), smooth(2, 3), smooth(1), 1.5]
)
for _f in (
    np.fft.fftn,
    np.fft.ifftn,
    np.fft.rfftn,
    np.fft.irfftn,
    np.fft.fft2,
    np.fft.ifft2,
    np.fft.rfft2,
    np.fft.irfft2,
):
    OPERANDS[_f] = _singles(
        [
            smooth(3, 4),
            smooth(2, 3, 4),
            smooth(4),
            smooth(3, 4) + 1j * smooth(3, 4, seed=8),
            smooth(3, 4, dtype=np.float32),
            np.asarray(1.5),
        ]
    )
OPERANDS[np.i0] = _singles(
    [
        smooth(4),
        smooth(2, 3),
        1.5,
        [1.0, 2.0],
        np.asarray(1.5),
        smooth(3, dtype=np.float32),
        np.zeros(0),
        np.array([1, 2]),
    ]
)

# Inside the domain of a ufunc, where that is not the whole line.
DOMAINS: dict[Any, Callable[..., Any]] = {}
for _f in (np.log, np.log2, np.log10, np.sqrt, np.float_power, np.power):
    DOMAINS[_f] = positive
DOMAINS[np.log1p] = positive
DOMAINS[np.arccosh] = lambda *s, seed=3: 1 + positive(*s, seed=seed)
for _f in (np.arcsin, np.arccos, np.arctanh):
    DOMAINS[_f] = lambda *s, seed=3: smooth(*s, seed=seed) / (1 + abs(smooth(*s, seed=seed)))


def _ufunc_operands(f: np.ufunc) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Every pair of ranks and kinds, then every special value against every other."""
    draw = DOMAINS.get(f, smooth)
    if f.nin == 1:
        for x in ARRAYS:
            inside = draw(*x.shape).astype(x.dtype) if draw is not smooth else x
            yield (inside + 0.3j if x.dtype.kind == "c" else inside,), True
        for y in (*KINDS, smooth(3).tolist()):
            yield (y,), False
        for x in EDGES:
            yield (x,), False
        return
    for pair in _pairs():
        if draw is smooth:
            yield pair, True
        else:
            yield (
                tuple(
                    abs(np.asarray(x)) + 0.2 if isinstance(x, np.ndarray) and x.dtype == float else x
                    for x in pair
                ),
                True,
            )
    if f.signature is not None:
        for p, q in (
            ((4, 2, 3), (3, 2)),
            ((2, 3), (4, 3, 2)),
            ((4, 1, 2, 3), (5, 3, 2)),
            ((2, 2, 3), (3,)),
            ((3,), (2, 3, 2)),
            ((2, 3), (2, 3)),
        ):
            yield (smooth(*p), smooth(*q, seed=8)), True
        return
    values = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, INF, -INF, NAN, 1e-200, -3e-200, 1e300, 5e-324])
    yield tuple(np.meshgrid(values, values)), False
    yield (
        tuple(
            x.astype(np.float32)
            for x in np.meshgrid(
                [0.0, -0.0, 1.0, -1.5, INF, NAN, 1e-23, -3e-23, 1e30],
                [0.0, -0.0, 2.0, -1.0, INF, -INF, NAN, 2e-23, 3e38],
            )
        ),
        False,
    )
    ints = [
        np.array([3, 1, 0], d) for d in (np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64, np.bool_)
    ]
    for a in ints:
        for b in [*ints, 2, -1, 300, True]:
            if a.dtype == bool and type(b) is int and f is np.power:
                continue  # of which NumPy's ** makes int8, and its function int64
            yield (a, b), False
            if not isinstance(b, np.ndarray):
                yield (b, a), False


def _unvaried(f: Any) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Positional operands, and whether they are smooth there."""
    if isinstance(f, np.ufunc):
        yield from _ufunc_operands(f)
        return
    if isinstance(f, Method):
        yield from (each for each in _unvaried(f.of) if type(each[0][0]) is np.ndarray)
        return
    if f in OPERANDS:
        yield from ((args, True) for args in OPERANDS[f])
        yield from ((args, False) for args in EDGE_OPERANDS.get(f, []))
        return
    rest = [REQUIRED[name] for name in required(f)[1:]]
    for n, first in enumerate([*ARRAYS, *EDGES]):
        for args in _product(rest):
            yield (first, *args), n < len(ARRAYS)


def _product(pools: list[list[Any]]) -> list[tuple[Any, ...]]:
    out: list[tuple[Any, ...]] = [()]
    for pool in pools:
        out = [(*o, value) for o in out for value in pool]
    return out


def required(f: Any) -> list[str]:
    parameters = inspect.signature(f).parameters.values()
    return [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def optional(f: Any) -> list[str]:
    """Keywords; NumPy's ufuncs reduce and accumulate with those of their kind."""
    if isinstance(f, np.ufunc):
        kinds = {t.split("->")[-1] for t in f.types if "O" not in t}
        return ["dtype"] if kinds & set("fdFD") else []  # of comparisons it would crash NumPy
    names = [p.name for p in inspect.signature(f).parameters.values() if p.default is not p.empty]
    if name_of(f).endswith(".reduce"):
        names += ["keepdims", "initial", "where"]
    if f is np.pad:
        names += ["constant_values", "reflect_type"]
    always = min((len(args) for args, _ in _unvaried(f)), default=0)  # given by position
    given = set(list(inspect.signature(f).parameters)[:always]) | _ELSEWHERE.get(f, set())
    if isinstance(f, Method):
        given |= {"correction", "a_min", "a_max"}  # which the function has alone
    return [n for n in names if n not in given and (n not in UNVARIED or (n == "order" and f in _ORDERS))]


# Where the order is that of the entries; elsewhere it is that of fields, or changes only the memory.
_ORDERS = {np.reshape, np.ravel}
# Which one value of another parameter asks for, or which calls that leave it out do not have.
_ELSEWHERE = {
    np.where: {"x", "y"},
    np.clip: {"a_min", "a_max"},
    **{f: {"weights"} for f in (np.quantile, np.percentile, np.nanquantile, np.nanpercentile)},
    np.histogram_bin_edges: {"weights"},  # which change nothing
    np.take_along_axis: {"axis"},
}


def several_operands(f: Any) -> bool:
    """Whether some call has more than one array."""
    if isinstance(f, np.ufunc):
        return f.nin > 1
    return any(
        sum(
            isinstance(x, np.ndarray)
            for x in (args if len(args) > 1 or not isinstance(args[0], list) else args[0])
        )
        > 1
        for args in OPERANDS.get(f, [])
        if args
    )


def pool(f: Any, name: str) -> list[Any]:
    return OPTIONAL_OF.get(f, OPTIONAL).get(name, OPTIONAL.get(name)) or OPTIONAL[name]


class Method:
    """A method of arrays, called as the function of its name is."""

    def __init__(self, name: str) -> None:
        self.__name__ = f"ndarray.{name}"
        self.__module__ = "builtins"  # it is the operand that is asked
        self.name, self.of = name, getattr(np, name)
        self.__signature__ = inspect.signature(self.of)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        if self.name not in ("sort", "partition"):
            return getattr(x, self.name)(*args, **kwargs)
        x = x * 1
        getattr(x, self.name)(*args, **kwargs)
        return x


OPERATORS = [
    getattr(operator, name)
    for name in (
        "add sub mul truediv floordiv mod pow matmul lt le eq ne gt ge and_ or_ xor neg pos abs invert"
    ).split()
] + [divmod]
for _f in OPERATORS:
    OPERANDS[_f] = _pairs() if len(inspect.signature(_f).parameters) > 1 else _singles(ARRAYS)
    EDGE_OPERANDS[_f] = [] if OPERANDS[_f][0][1:] else _singles(EDGES[:-5])
OPERANDS[operator.pow] = [
    (abs(x) + 0.2 if isinstance(x, np.ndarray) and x.dtype == float else x, y) for x, y in _pairs()
]

BITS = [
    (np.array([True, False]), np.array([True, True])),
    (np.array([3, 1]), np.array([1, 2])),
    (np.array([3, 1], np.int8), 2),
    (np.array([3, 1]), True),
]
for _f in (operator.and_, operator.or_, operator.xor):
    OPERANDS[_f] = [*BITS, *_pairs()[::4]]

# They give text or facts on shapes and memory, or write files: `tests/trace/test_passing.py`.
NOT_CALLED = {
    *(np.array_repr, np.array_str, np.array2string, np.save, np.savez, np.savez_compressed, np.savetxt),
    *(np.result_type, np.can_cast, np.common_type, np.min_scalar_type, np.einsum_path, np.shares_memory),
    *(np.diag_indices_from, np.tril_indices_from, np.triu_indices_from, np.may_share_memory, np.array_equiv),
    *(np.spacing, np.iscomplex, np.trim_zeros),
}


def functions() -> list[Any]:
    return [f for f in TABLE if callable(f) and f not in NOT_CALLED]


def methods() -> list[Any]:
    """The methods that do what the function of their name does."""
    return [Method(name) for name in METHODS if getattr(np, name, None) in TABLE and name not in _OTHERWISE]


# The method's parameters are not the function's.
_OTHERWISE = {"transpose", "reshape", "astype", "copy", "conjugate", "conj"}


def calls(f: Any, share: float = 1.0, each: int = 3) -> list[Call]:
    """Calls of ``f``: every operand with defaults, every keyword with some operands, pairs of keywords.

    ``share`` of them, always the same ones, and at least one, and ``each`` for each keyword. Special operands
    are all tried, up to `MOST_EDGES`: each may be the only one that fails (a slice of NaN, an overflow).
    """
    rng = random.Random(zlib.crc32(name_of(f).encode()))
    plain = list(_unvaried(f))
    out = [Call(f, args, {}, "", is_smooth) for args, is_smooth in plain]
    names = optional(f)
    for name in names:
        for value in pool(f, name):
            for args, is_smooth in rng.sample(plain, min(len(plain), 14)):
                if (call := _with(f, args, {name: value}, name, is_smooth)) is not None:
                    out.append(call)
    for _ in range(20 * len(names) if len(names) > 1 else 0):
        args, is_smooth = rng.choice(plain)
        chosen = rng.sample(names, min(len(names), rng.choice((2, 2, 3))))
        if (
            call := _with(f, args, {n: rng.choice(pool(f, n)) for n in chosen}, "+".join(chosen), is_smooth)
        ) is not None:
            out.append(call)
    if share < 1.0:
        edges = [c for c in out if not c.varied and not c.smooth and not _gives_the_number(c)]
        kept = [c for c in out if rng.random() < share]
        kept += rng.sample(edges, min(len(edges), MOST_EDGES))
        for name in names:
            mine = [c for c in out if c.varied == name]
            kept += rng.sample(mine, min(len(mine), each))
        out = kept or rng.sample(out, 1)
    return out


def _gives_the_number(call: Call) -> bool:
    """Of a number these two give the number itself, and NumPy's an array without axes."""
    return call.function in (np.transpose, np.squeeze) and isinstance(call.args[0], (int, float, np.generic))


def _with(f: Any, args: tuple[Any, ...], keywords: dict[str, Any], varied: str, is_smooth: bool) -> Call | None:
    parameters = list(inspect.signature(f).parameters) if not isinstance(f, np.ufunc) else []
    if any(name in parameters[: len(args)] for name in keywords):
        return None  # given by position
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            kwargs = {k: v.of(args[0]) if isinstance(v, Like) else v for k, v in keywords.items()}
    except (ValueError, TypeError, IndexError):
        return None  # there is no such value for this operand
    if kwargs.get("dtype") is int and not all(
        np.isfinite(x).all() for x in args if isinstance(x, (float, np.ndarray))
    ):
        return None  # no integer stands for an infinity
    if "period" in kwargs and f is np.interp and not all(np.isfinite(x).all() for x in args):
        return None
    return Call(f, args, kwargs, varied, is_smooth)
