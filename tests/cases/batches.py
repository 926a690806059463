"""Cases of ops on batches: for each op, draws of one sample's operands, and parameters; and a loop.

Each subset of the operands is a batch in turn, the others are shared.
"""

from itertools import chain, combinations

import numpy as np

import xpgrad as xg
from xpgrad.core import OPS
from xpgrad.ops.indexing import ARRAY
from xpgrad.testing import close, tolerance

SIZE = 3
BOUND = tolerance(np.float64).value
_INTEGERS = {"left_shift", "right_shift", "gcd", "lcm", "invert", "bitwise_and", "bitwise_or", "bitwise_xor"}


# ── the cases ────────────────────────────────────────────────────────────────────────────────
def floats(*shape, low=-2.0, high=2.0):
    return lambda rng: rng.uniform(low, high, size=shape) if shape else np.float64(rng.uniform(low, high))


def complexes(*shape):
    return lambda rng: rng.normal(size=shape) + 1j * rng.normal(size=shape)


def integers(*shape, below):
    return lambda rng: rng.integers(0, below, size=shape) if shape else rng.integers(0, below)


def truths(*shape):
    return lambda rng: rng.random(shape) < 0.5


def positive_definite(n):
    def draw(rng):
        x = rng.normal(size=(n, n))
        return x @ x.T + n * np.eye(n)

    return draw


def ascending(n):
    return lambda rng: np.sort(rng.normal(size=n))


def _arity(op):
    if op.pulls is not None and op.kind == "elementwise":
        return len(op.pulls)
    return 1 if op.name in _ONE else 2


_ONE = {
    "floor", "ceil", "trunc", "rint", "sign", "round", "logical_not", "invert", "isnan", "isinf", "isfinite",
    "signbit", "stop_gradient", "gammasgn",
}  # fmt: skip


def pointwise_cases():
    for op in OPS.values():
        if op.kind not in ("elementwise", "constant") or "pointwise" not in op.traits or not op.batching:
            continue
        n = _arity(op)
        if op.name in _INTEGERS:
            draws = [integers(2, 3, below=5)] * n
            yield op.name, draws, {}
            continue
        domains = op.domain if isinstance(op.domain[0], tuple) else (op.domain,) * n
        for shapes in ([(2, 3)] * n, [(3,), *[(2, 1)] * (n - 1)], [()] * n):
            draws = [floats(*s, low=a, high=b) for s, (a, b) in zip(shapes, domains, strict=False)]
            if op.name == "where":
                draws[0] = truths(*shapes[0])
            if op.name == "ldexp":
                draws[1] = integers(*shapes[1], below=3)
            yield op.name, draws, {}


A = ARRAY
_ALL = slice(None)
_INDEX = [
    # the shape of the array, the index, the draws of its arrays
    ((4, 3), (1,), []),
    ((4, 3), (_ALL, slice(None, None, -1)), []),
    ((4, 3), (Ellipsis, None, 0), []),
    ((4, 3), slice(1, 3), []),
    ((4, 3), (A,), [integers(5, below=4)]),
    ((4, 3), (A,), [integers(below=4)]),
    ((4, 3), (_ALL, A), [integers(2, 2, below=3)]),
    ((4, 3), (A, A), [integers(5, below=4), integers(2, 1, below=3)]),
    ((4, 3, 2), (A, _ALL, A), [integers(2, below=4), integers(2, below=2)]),
    ((2, 4, 3, 2), (_ALL, A, _ALL, A), [integers(2, below=4), integers(2, below=2)]),
    ((2, 4, 3), (_ALL, A, A), [integers(5, below=4), integers(5, below=3)]),
    ((2, 4, 3), (0, _ALL, A), [integers(5, below=3)]),
    ((2, 4, 3), (None, Ellipsis, A, 1), [integers(5, below=4)]),
    ((2, 4), (A, Ellipsis, A), [integers(5, below=2), integers(5, below=4)]),
]


def index_cases():
    for shape, index, arrays in _INDEX:
        rng = np.random.default_rng(0)
        parts = index if type(index) is tuple else (index,)
        drawn = iter([draw(rng) for draw in arrays])
        at = np.zeros(shape)[tuple(next(drawn) if p is A else p for p in parts)].shape
        yield "getitem", [floats(*shape), *arrays], {"index": index}
        yield "scatter_add", [floats(*at), *arrays], {"index": index, "shape": shape}
        yield "scatter_add", [floats(), *arrays], {"index": index, "shape": shape}
        yield "index_update", [floats(*shape), floats(*at), *arrays], {"index": index}
        yield "index_update", [floats(*shape), floats(), *arrays], {"index": index}
        yield "last_writes", [floats(*shape), *arrays], {"index": index}
    yield "index_update", [floats(4, 3), floats(1, 1, 3)], {"index": (2,)}
    yield (
        "scatter_sum",
        [floats(2, 3), floats(3), floats()],
        {"indices": (slice(1, 3), (2,), Ellipsis), "shape": (4, 3), "dtype": np.dtype(float)},
    )


def other_cases():
    x, m, s = floats(2, 3), floats(3, 3), positive_definite(3)
    for name in ("sum", "mean", "max", "min", "prod", "any", "all", "count_nonzero", "logsumexp"):
        for axis, keepdims in ((None, False), (0, True), (-1, False), ((0, 1), False), (None, True)):
            yield name, [x], {"axis": axis, "keepdims": keepdims}
        yield name, [floats()], {}
    for name in ("argmax", "argmin"):
        for axis, keepdims in ((None, False), (0, True), (-1, False), (None, True)):
            yield name, [x], {"axis": axis, "keepdims": keepdims}
        yield name, [floats()], {}
    for name in ("softmax", "log_softmax", "softmax_or_zero"):
        for axis in (None, -1, 0, (0, 1)):
            yield name, [x], {"axis": axis}
        yield name, [floats()], {}
    for name in ("cumsum", "cumprod"):
        for axis in (0, 1):
            yield name, [x], {"axis": axis}
    yield "argsort", [x], {}
    yield "argsort", [x], {"axis": 0, "stable": True}
    yield "argpartition", [floats(5)], {"kth": 0, "axis": -1}
    for side in ("left", "right"):
        yield "searchsorted", [ascending(5), floats(2, 3)], {"side": side}
        yield "searchsorted", [ascending(5), floats()], {"side": side}
    yield "reshape", [x], {"shape": (3, 2)}
    yield "reshape", [x], {"shape": (-1,)}
    yield "transpose", [floats(2, 3, 4)], {"axes": (2, 0, 1)}
    yield "broadcast_to", [floats(3, 1)], {"shape": (2, 3, 4)}
    yield "broadcast_to", [floats()], {"shape": (2,)}
    yield "concatenate", [x, floats(1, 3), x], {"axis": 0}
    yield "pad", [x], {"widths": ((1, 0), (0, 2))}
    yield "astype", [x], {"dtype": np.dtype(complex)}
    yield "copy", [x], {"order": "F"}
    yield "full_like", [x], {"value": 2.5}
    yield "full_like", [x], {"value": 1, "shape": (4,), "dtype": np.dtype(int)}
    yield "require", [x, floats(2), floats(2, 3)], {"rule": "r", "name": "n"}
    yield "require", [floats(), floats(), floats()], {"rule": "r", "name": "n"}
    v = floats(3)
    for pair in ([v, v], [x, v], [v, m], [x, m], [m, floats(3, 20)]):
        yield "dot", pair, {}
        yield "matmul", pair, {}
    for pair in ([floats(4, 2, 3), m], [x, floats(4, 3, 2)], [v, floats(4, 3, 2)], [floats(4, 2, 3), v]):
        yield "matmul", pair, {}
    yield "matmul", [floats(5, 1, 2, 3), floats(4, 3, 2)], {}
    yield "einsum", [x, m], {"subscripts": "ab,bc->ca"}
    yield "einsum", [m], {"subscripts": "aa->a"}
    yield "einsum", [x, m, v], {"subscripts": "ab,bc,c->a"}
    yield "einsum", [v, v], {"subscripts": "a,a->"}
    for name in ("tril", "triu"):
        yield name, [floats(2, 3, 3)], {"k": -1}
    yield "diagonal", [floats(4, 3, 3)], {"offset": 1}
    yield "embed_diagonal", [v], {"offset": 1, "size": (3, 4)}
    yield "embed_diagonal", [x], {}
    for name in ("inv", "det", "slogdet", "adjugate", "eig", "svd", "qr"):
        yield name, [s], {}
    yield "inv_lower", [lambda rng: np.tril(s(rng))], {}
    yield "inv", [lambda rng: np.stack([s(rng), s(rng)])], {}
    yield "eigh", [s], {"UPLO": "U"}
    yield "svd", [floats(4, 3)], {"full_matrices": True}
    yield "qr", [floats(4, 3)], {}
    yield "cholesky", [s], {}
    yield "pinv", [floats(4, 3)], {"rcond": 1e-15}
    yield "lstsq", [floats(5, 3), floats(5, 2)], {"rcond": 1e-15}
    for name in ("solve", "apply_inverse"):
        yield name, [s, floats(3, 2)], {}
        yield name, [s, floats(4, 3, 2)], {}
    yield (
        "solve_banded",
        [lambda rng: floats(3, 5)(rng) + [[0], [5], [0]], floats(5, 2)],
        {"lower": 1, "upper": 1},
    )
    yield (
        "solve_banded",
        [lambda rng: floats(4, 2, 5)(rng) + [[5], [0]], floats(5, 2)],
        {"lower": 1, "upper": 0},
    )
    yield "adjugate_change", [s, m], {}
    for norm in ("ortho", "backward"):
        yield "fftn", [complexes(2, 3)], {"axes": (1,), "inverse": True, "norm": norm}
    yield "rfftn", [floats(2, 4)], {"axes": (0, 1), "norm": "backward"}
    yield "irfftn", [complexes(2, 3)], {"n": 5, "axes": (1,), "norm": "forward"}


CASES = [
    *[(f"{name}-{k}", name, draws, params) for k, (name, draws, params) in enumerate(pointwise_cases())],
    *[
        (f"{name}-{k}", name, draws, params)
        for k, (name, draws, params) in enumerate(chain(index_cases(), other_cases()))
    ],
]


# ── a batch and the loop ─────────────────────────────────────────────────────────────────────
def subsets(n):
    return chain.from_iterable(combinations(range(n), k) for k in range(1, n + 1))


def drawn(draws, mapped, at=0):
    """The operands, those that are mapped with samples along the axis ``at``; and each sample's operands."""
    rng = np.random.default_rng(4)
    shared = [draw(rng) for draw in draws]
    samples = [[draw(rng) if k in mapped else shared[k] for k, draw in enumerate(draws)] for _ in range(SIZE)]
    whole = [
        np.stack([s[k] for s in samples], axis=at) if k in mapped else shared[k] for k in range(len(draws))
    ]
    return whole, samples


def looped(f, samples):
    rows = [f(*s) for s in samples]
    if isinstance(rows[0], tuple):
        return tuple(np.stack(parts) for parts in zip(*rows, strict=True))
    return np.stack(rows)


def same(found, expected):
    if isinstance(expected, tuple):
        return all(map(same, found, expected))
    exact = expected.dtype.kind not in "fc"
    agree = np.array_equal(found, expected) if exact else close(found, expected, BOUND)
    return found.dtype == expected.dtype and agree


def applied(name, params):
    op = OPS[name]
    if name == "ldexp" or op.kind != "elementwise":
        return lambda *xs: op(*xs, **params)
    return op


def number(f, places, xs):
    """A real number made of ``f``'s outputs, as a function of the operands at ``places``."""

    def total(z):
        weights = np.cos(np.arange(z.size)).reshape(z.shape)
        return np.sum(np.real(z * weights * (1.0 - 0.5j)) if z.dtype.kind == "c" else z * weights)

    def g(*given):
        full = list(xs)
        for i, x in zip(places, given, strict=True):
            full[i] = x
        z = f(*full)
        return sum(total(part) for part in z) if isinstance(z, tuple) else total(z)

    return g


def differentiable(op, operands):
    known = range(len(operands) if op.operands is None else min(op.operands, len(operands)))
    rules = op.pulls
    return [
        i
        for i in known
        if np.asarray(operands[i]).dtype.kind in "fc" and (rules is None or rules[i] is not None)
    ]


SMOOTH = [c for c in CASES if not OPS[c[1]].is_constant and OPS[c[1]].kind != "requirement"]
SMOOTH_OPS = {c[1] for c in SMOOTH}


def gradients(f, op, whole, axes):
    """First derivatives of each sample, and derivatives of a number made of these, by each floating operand."""
    places = differentiable(op, whole)

    def first(*xs):
        g = number(f, places, xs)
        return xg.grad(g, tuple(range(len(places))))(*[xs[i] for i in places])

    def second(*xs):
        def of_first(*given):
            full = list(xs)
            for i, x in zip(places, given, strict=True):
                full[i] = x
            return sum(np.sum(np.real(np.sin(part))) for part in first(*full))

        return xg.grad(of_first, tuple(range(len(places))))(*[xs[i] for i in places])

    return first, second
