"""Reductions, norms and matrices at special points: value, gradient and Hessian against a hundred digits.

Points where the derivative exists: zeros in products, equal entries, singular matrices, what is huge. Where it
does not, see `test_conventions`.
"""

import os
from functools import cache, reduce
from itertools import accumulate
from operator import mul

import mpmath as mp
import numpy as np
import pytest

import xpgrad as xg
from points.references import whole
from points.test_elementwise import GENERATORS
from xpgrad.testing.tolerances import tolerance

EXACT = tolerance(np.float64).value
WEIGHTS = [1.0, -2.0, 4.0, 0.5]


def weighted(x):
    return np.sum(x * np.array(WEIGHTS[: len(x)]))


def _weighted(xs):
    return mp.fsum(w * x for w, x in zip(WEIGHTS, xs, strict=False))


# ── in mpmath ────────────────────────────────────────────────────────────────────────────────
def _product(xs):
    return reduce(mul, xs)


def _mean(xs):
    return mp.fsum(xs) / len(xs)


def _var(xs, ddof=0):
    return mp.fsum((x - _mean(xs)) ** 2 for x in xs) / (len(xs) - ddof)


def _norm(p):
    return lambda xs: mp.fsum(abs(x) ** p for x in xs) ** (1 / mp.mpf(p))


def _lse(xs):
    top = max(xs)
    return top + mp.log(mp.fsum(mp.exp(x - top) for x in xs))


def _standardized(xs, eps=1e-5):
    return [(x - _mean(xs)) / mp.sqrt(_var(xs) + mp.mpf(eps)) for x in xs]


def _matrix(f):
    """``f`` of a square matrix, of its entries."""

    def of(xs):
        n = int(len(xs) ** 0.5)
        return f(mp.matrix([xs[n * i : n * i + n] for i in range(n)]))

    return of


def _det(m):
    """By minors: a singular matrix has them."""
    if m.rows == 1:
        return m[0, 0]
    rows = range(1, m.rows)

    def minor(j):
        left = [k for k in range(m.cols) if k != j]
        return mp.matrix([[m[i, k] for k in left] for i in rows])

    return mp.fsum((-1) ** j * m[0, j] * _det(minor(j)) for j in range(m.cols))


def _total(m):
    return mp.fsum(m)


PLANE = [[3.0, 4.0], [0.0, 2.0], [3e-100, 4e-100], [3e100, 4e100], [3e-200, 4e-200], [3e200, 4e200]]

# ── the table ────────────────────────────────────────────────────────────────────────────────
EQUAL, TIED = [2.0, 2.0, 2.0], [1.0, 1.0, 0.0]
FAR = [1000.0, 0.0, -1000.0]
ONES, RANK_1, ZEROS = [1.0] * 9, [1.0, 2.0, 3.0, 2.0, 4.0, 6.0, -1.0, -2.0, -3.0], [0.0] * 9
EYE, RISING = np.eye(3).ravel().tolist(), np.arange(9.0).tolist()


def _square(f):
    """``f`` of the square matrix with these entries."""
    return lambda x: f(x.reshape(int(x.size**0.5), -1))


TABLE = {
    "prod": (np.prod, _product, [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], EQUAL]),
    "cumprod": (
        lambda x: weighted(np.cumprod(x)),
        lambda xs: _weighted(accumulate(xs, mul)),
        [[0.0, 2.0, 3.0], [2.0, 0.0, 0.0, 3.0], EQUAL],
    ),
    "cumsum of squares": (
        lambda x: weighted(np.cumsum(x * x)),
        lambda xs: _weighted(accumulate(x * x for x in xs)),
        [[0.0, 0.0, 1.0]],
    ),
    "var": (np.var, _var, [EQUAL, [1e8, 1e8 + 1, 1e8], [0.0, 0.0]]),
    "nanvar": (np.nanvar, _var, [EQUAL]),
    "cov": (np.cov, lambda xs: _var(xs, 1), [EQUAL]),
    "std": (np.std, lambda xs: mp.sqrt(_var(xs)), [TIED, [1e-100, 3e-100], [1e100, 3e100, 0.0]]),
    "norm": (np.linalg.norm, _norm(2), [[3.0, 4.0, 0.0], [3e-100, 4e-100], [3e100, 4e100, 0.0]]),
    "norm 3": (lambda x: np.linalg.norm(x, 3), _norm(3), [[0.0, 1.0, -2.0], EQUAL]),
    "norm 4": (lambda x: np.linalg.norm(x, 4), _norm(4), [[0.0, 1.0, -2.0]]),
    "norm 1.5": (lambda x: np.linalg.norm(x, 1.5), _norm(1.5), [[1.0, -2.0], EQUAL]),
    "norm -2": (lambda x: np.linalg.norm(x, -2), _norm(-2), [[1.0, -2.0], EQUAL]),
    "frobenius": (_square(np.linalg.norm), _norm(2), [EYE]),
    "hypot": (lambda x: np.hypot(x[0], x[1]), _norm(2), PLANE),
    "modulus": (lambda x: abs(x[0] + 1j * x[1]), _norm(2), PLANE),
    "phase": (
        lambda x: np.angle(x[0] + 1j * x[1]),
        lambda xs: mp.atan2(xs[1], xs[0]),
        PLANE[:4],
    ),
    "logsumexp": (lambda x: xg.special.logsumexp(x, axis=0), _lse, [EQUAL, TIED, FAR, [1e4, 1e4, 0.0]]),
    "log of sum of exp": (lambda x: np.log(np.sum(np.exp(x))), _lse, [EQUAL, TIED]),
    "logaddexp": (lambda x: np.logaddexp(np.logaddexp(x[0], x[1]), x[2]), _lse, [EQUAL, TIED, FAR]),
    "softmax": (
        lambda x: weighted(xg.special.softmax(x, axis=0)),
        lambda xs: _weighted([mp.exp(x - _lse(xs)) for x in xs]),
        [EQUAL, TIED, FAR, [1e4, 1e4, 0.0]],
    ),
    "log_softmax": (
        lambda x: weighted(xg.special.log_softmax(x, axis=0)),
        lambda xs: _weighted([x - _lse(xs) for x in xs]),
        [EQUAL, TIED, FAR],
    ),
    "standardize": (
        lambda x: weighted(xg.nn.standardize(x, axis=0)),
        lambda xs: _weighted(_standardized(xs)),
        [EQUAL, TIED],
    ),
    "normalize": (
        lambda x: weighted(xg.nn.normalize(x, axis=0)),
        lambda xs: _weighted([x / _norm(2)(xs) for x in xs]),
        [TIED, [3e-5, 0.0, 4e-5]],
    ),
    "det": (
        _square(np.linalg.det),
        _matrix(_det),
        [[0.0], [1.0, 2.0, 2.0, 4.0], ONES, RANK_1, ZEROS, EYE, RISING],
    ),
    "slogdet": (_square(lambda x: np.linalg.slogdet(x)[1]), _matrix(lambda m: mp.log(abs(_det(m)))), [EYE]),
    "inv": (_square(lambda x: np.sum(np.linalg.inv(x))), _matrix(lambda m: _total(m**-1)), [EYE]),
    "matrix_power": (
        _square(lambda x: np.sum(np.linalg.matrix_power(x, 3))),
        _matrix(lambda m: _total(m * m * m)),
        [ONES, RANK_1],
    ),
    "x log x": (
        lambda x: np.sum(xg.special.xlogy(x, x)),
        lambda xs: mp.fsum(x * mp.log(x) for x in xs),
        [[1.0, 1e-100]],
    ),
    "guarded by where": (
        lambda x: np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0)),
        lambda xs: mp.fsum(mp.log(x) if x > 0 else mp.mpf(0) for x in xs),
        [[1.0, -1.0, -2.0]],
    ),
}
CASES = [(name, np.array(x)) for name, (_, _, xs) in TABLE.items() for x in xs]


@cache
def right(name, x):
    """Gradient and Hessian, and for each of the two by how much it may be off."""
    digits = 120 + 8 * max([0, *[abs(int(np.log10(abs(v)))) for v in x if v]])
    value, gradient, hessian = whole(TABLE[name][1], x, digits)
    size = max(map(abs, x)) or 1.0
    first, second = np.max(abs(gradient)), np.max(abs(hessian))
    # A gradient as well as a small change of x determines it; a Hessian of zeros as well as the gradient.
    off = (max(first, second * size), max(second, 1e-3 * first / size, 1e-3 * abs(value) / size / size))
    return gradient, hessian, [EXACT * scale for scale in off]


def wrong(name, x, first, second):
    """What differs, told."""
    gradient, hessian, off = right(name, tuple(x.tolist()))
    for found, expected, bound in zip((first, second), (gradient, hessian), off, strict=True):
        if not np.all(abs(np.ravel(found) - np.ravel(expected)) <= bound):
            return f"{name} at {x}: {np.ravel(found)}, not {np.ravel(expected)}"
    return None


def reverse(f, x):
    first = xg.grad(f)
    return first(x), np.stack([xg.grad(lambda x, d=d: np.sum(first(x) * d))(x) for d in np.eye(x.size)])


def forward(f, x):
    ds = np.eye(x.size)

    def along(f, d):
        return lambda x: xg.jvp(f, (x,), (d,))[1]

    return [along(f, d)(x) for d in ds], np.array([[along(along(f, d), e)(x) for e in ds] for d in ds])


@pytest.mark.parametrize("way", [reverse, forward], ids=lambda way: way.__name__)
@pytest.mark.parametrize(("name", "x"), CASES, ids=lambda v: v if isinstance(v, str) else str(v.tolist()))
def test_gradient_and_hessian_at_special_points(name, x, way):
    with np.errstate(all="ignore"):
        assert wrong(name, x, *way(TABLE[name][0], x)) is None


SHARES = {
    "interpreter": 1,
    "definition": 3,
    "llvm": 4 if os.environ.get("XPGRAD_TEST_SHARE", "1") == "1" else 16,
    "cuda": 6,
}


@pytest.mark.parametrize("generator", GENERATORS)
def test_compiled_products_with_hessians_at_special_points(generator):
    cases = CASES[:: SHARES[generator.name]]

    def run(xs, vs):
        fs = [TABLE[name][0] for name, _ in cases]
        return [(xg.grad(f)(x), xg.jvp(xg.grad(f), (x,), (v,))[1]) for f, x, v in zip(fs, xs, vs, strict=True)]

    vs = [np.arange(1.0, x.size + 1) for _, x in cases]
    with np.errstate(all="ignore"):
        results = generator.compile(run)([x for _, x in cases], vs)
    for (name, x), v, (first, along) in zip(cases, vs, results, strict=True):
        gradient, hessian, off = right(name, tuple(x.tolist()))
        assert np.all(abs(first - gradient) <= off[0]), (name, x, first, gradient)
        assert np.all(abs(along - hessian @ v) <= off[1] * np.sum(v)), (name, x, along, hessian @ v)
