"""Every reduction of every dtype over shapes of all kinds, compiled: NumPy's, and sums as exact."""

import math
import zlib

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends.choose import use
from xpgrad.compiler import compile
from xpgrad.testing import assert_agrees

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["bool", *INTEGERS, "float16", "float32", "float64", "complex64", "complex128"]
WHOLE = ["sum", "prod", "max", "min", "any", "all", "mean", "argmax", "argmin", "count_nonzero", "var", "std"]
ALONG = ["cumsum", "cumprod"]
WHERE = ["sum", "prod", "any", "all"]
SHAPES = [(1,), (40,), (7, 1), (60, 3), (2, 3, 4)]


def _array(dtype, shape, kind=""):
    rng = np.random.default_rng(zlib.crc32(f"{dtype}{shape}{kind}".encode()))
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool) if not kind else np.full(shape, kind == "true")
    if dtype in INTEGERS:
        return rng.integers(0, 4, shape).astype(dtype)
    x = rng.uniform(0.5, 1.5, shape)
    return (x + 1j * rng.uniform(-1, 1, shape) if dtype.startswith("complex") else x).astype(dtype)


def _axes(shape):
    return [None, *range(len(shape)), *([tuple(range(len(shape)))[::2]] if len(shape) > 2 else [])]


def _calls(dtype, shape):
    """``(what, a function of the array)`` for each reduction that NumPy has of the dtype."""
    mask = _array("bool", shape, "")
    for axis in _axes(shape):
        for name in WHOLE:
            f = getattr(np, name)
            if name.startswith(("arg", "count")) and type(axis) is tuple:
                continue
            if dtype.startswith("complex") and name in ("max", "min", "argmax", "argmin"):
                continue
            yield f"{name} {axis}", lambda x, f=f, axis=axis: f(x, axis=axis)
        for name in ALONG if type(axis) is not tuple else []:
            f = getattr(np, name)
            yield f"{name} {axis}", lambda x, f=f, axis=axis: f(x, axis=axis)
        for name in WHERE:
            f = getattr(np, name)
            yield f"{name} {axis} where", lambda x, f=f, axis=axis: f(x, axis=axis, where=mask)
    yield "sum initial", lambda x: np.sum(x, initial=3)
    if not dtype.startswith("complex"):
        yield "max initial", lambda x: np.max(x, initial=x.dtype.type(1))
        yield "min initial", lambda x: np.min(x, initial=x.dtype.type(1))


def _shapes(compiler):
    return SHAPES if compiler.name != "cuda" else [(3, 5)]


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.sweep
@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions_are_numpys(compiler, dtype):
    if compiler.name == "cuda" and dtype not in ("bool", "int8", "uint32"):
        return
    for shape in _shapes(compiler):
        for kind in ("", "true", "false") if dtype == "bool" and len(shape) < 3 else ("",):
            x = _array(dtype, shape, kind)
            with np.errstate(all="ignore"):
                calls = {what: f for what, f in _calls(dtype, shape) if _is_known(f, x)}
                expected = {what: f(x) for what, f in calls.items()}
            got = compiler.compile(lambda x, calls=calls: {what: f(x) for what, f in calls.items()})(x)
            for what, y in expected.items():
                assert np.asarray(got[what]).dtype == np.asarray(y).dtype, (what, shape)
                if np.asarray(y).dtype == np.float16:
                    np.testing.assert_allclose(got[what], y, rtol=4 * np.finfo(np.float16).eps)
                elif np.asarray(y).dtype.kind in "fc":
                    assert_agrees(got[what], y, np.asarray(y).dtype)
                else:
                    assert np.array_equal(got[what], y), (what, shape, x, got[what], y)


def _is_known(f, x):
    try:
        f(x)
    except TypeError:  # NumPy has none
        return False
    return True


# ── sums ─────────────────────────────────────────────────────────────────────────────────────
LENGTHS = [1, 7, 31, 100, 129, 1000, 5000, 100_000, 1_000_003]
TERMS = {
    "equal": lambda rng, n: np.full(n, 0.1),
    "random": lambda rng, n: rng.normal(size=n),
    "positive": lambda rng, n: rng.uniform(size=n),
    "of all sizes": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-3, 4, n),
}


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_is_never_less_exact_than_numpys(dtype, terms):
    total = compile(np.sum)
    for n in LENGTHS:
        x = TERMS[terms](np.random.default_rng(n), n).astype(dtype)
        exact = math.fsum(x.astype(np.float64))
        with use("llvm"):
            y = total(x)
        assert abs(y - exact) <= abs(np.sum(x) - exact), n


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(2000, 3), (3, 2000), (300, 200), (20000, 5), (20, 30, 40)])
def test_sums_along_axes_of_float32_are_never_less_exact_than_numpys(shape, order):
    x = np.asarray(np.random.default_rng(0).normal(size=shape), np.float32, order=order)
    for axis in _axes(shape):
        with use("llvm"):
            y = compile(lambda x, axis=axis: np.sum(x, axis=axis))(x)
        exact = np.sum(x.astype(np.longdouble), axis=axis)
        assert np.all(np.abs(y - exact) <= np.abs(np.sum(x, axis=axis) - exact)), axis


# Of n equal x, y and columns of z: what is computed, and what it is.
OF_EQUAL = {
    "mean": (lambda x, y, z: np.mean(x), lambda n, x, y, z: x),
    "squares": (lambda x, y, z: np.sum(x * x), lambda n, x, y, z: n * x * x),
    "norm": (lambda x, y, z: np.linalg.norm(x), lambda n, x, y, z: np.sqrt(n) * x),
    "dot": (lambda x, y, z: x @ y, lambda n, x, y, z: n * x * y),
    "skinny": (lambda x, y, z: z.T @ x, lambda n, x, y, z: n * x * z),
    "skinny, the other way": (lambda x, y, z: x @ z, lambda n, x, y, z: n * x * z),
    "columns": (lambda x, y, z: np.sum(z, axis=0), lambda n, x, y, z: n * z),
    "gradient": (
        lambda x, y, z: xg.grad(lambda w: np.sum((z @ w) * y))(np.ones(3, z.dtype)),
        lambda n, x, y, z: n * y * z,
    ),
}


@pytest.mark.parametrize("n", [1000, 1_000_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_made_of_sums_of_equal_terms_does_not_drift(dtype, n):
    """Each rounding of a chain of additions may go the same way; NumPy's pairwise sum has no chains."""
    x, y, z = np.full(n, 0.1, dtype), np.full(n, 0.3, dtype), np.full((n, 3), 0.7, dtype)
    for name, (f, g) in OF_EQUAL.items():
        with use("llvm"):
            got = np.asarray(compile(f)(x, y, z), np.longdouble)
        exact = g(n, *(np.longdouble(v.flat[0]) for v in (x, y, z)))
        assert np.all(np.abs(got - exact) <= 8 * np.finfo(dtype).eps * exact), name


@pytest.mark.parametrize("name", ["mean", "squares", "norm", "columns"])
def test_what_cuda_makes_of_sums_of_equal_terms_does_not_drift(name, for_cuda):
    """With a single thread in each block, behind the shim: chains of a thousand terms."""
    n = 1_000_000
    f, g = OF_EQUAL[name]
    x, y, z = np.full(n, 0.1, "f4"), np.full(n, 0.3, "f4"), np.full((n, 3), 0.7, "f4")
    got = np.asarray(for_cuda.compile(f)(x, y, z), np.longdouble)
    exact = g(n, *(np.longdouble(v.flat[0]) for v in (x, y, z)))
    assert np.all(np.abs(got - exact) <= 8 * np.finfo("f4").eps * exact)


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("n", [3, 100, 5000])
def test_a_sum_with_an_infinity_is_it(compiler, special, n):
    if compiler.name == "cuda" and n != 100:
        return
    x = np.ones(n)
    x[n // 2] = special
    assert np.array_equal(compiler.compile(np.sum)(x), special, equal_nan=True)
    assert np.array_equal(compiler.compile(lambda x: x @ np.ones(n))(x), special, equal_nan=True)


@pytest.mark.slow
def test_sums_have_the_same_bits_on_any_number_of_threads(threaded):
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        x, z = rng.normal(size=300_000).astype(dtype), rng.normal(size=(300_000, 3)).astype(dtype)
        calls = [lambda x, z: (np.sum(x), np.sum(x * x), x @ z, np.sum(z, 0), np.mean(np.exp(x)))] * 3
        found = [threaded.compile(f, threads=t)(x, z) for f, t in zip(calls, (1, 2, 7), strict=True)]
        for other in found[1:]:
            assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_the_interpreter_sums_within_numpys_own_bound(dtype):
    """Short floats are added up in a wide one; between tiles of float64 hardly anything is lost."""
    n = 1_000_003
    x = np.random.default_rng(0).normal(size=n).astype(dtype)
    with use("interpreter"):
        y = compile(np.sum)(x)
    wide = np.clongdouble if x.dtype.kind == "c" else np.longdouble
    levels = 1 if np.finfo(dtype).bits < 64 else 16 + np.log2(n)
    bound = np.finfo(dtype).eps / 2 * (abs(y) + (levels > 1) * levels * np.sum(np.abs(x), dtype=np.longdouble))
    assert abs(wide(y) - np.sum(x, dtype=wide)) <= bound


ZEROS = [np.array([0.0, -0.0]), np.array([-0.0, 0.0]), np.array([-1.0, 0.0, -0.0, -1.0, -0.0, 0.0, -2.0])]
ZEROS += [np.array([[0.0, -0.0, -1.0], [-0.0, -1.0, 0.0], [-0.0, 0.0, np.nan]])]


def test_the_sign_of_a_zero_is_numpys(compiler):
    """Of up to eight entries NumPy's extremum is the last zero; of more its vectors decide.

    The order in which `np.sort` leaves zeros of either sign depends on the CPU.
    """

    def every(x):
        found = [np.max(x, axis=0), np.min(-x, axis=0), np.max(2 * x, axis=-1), np.min(abs(x), axis=-1)]
        found += [np.maximum(x, -x), np.minimum(x, -x), np.maximum(x, 0.0), np.minimum(-0.0, x)]
        return [*found, np.clip(x, -x, -x), *([] if compiler.name == "cuda" else [np.clip(x, -0.0, -0.0)])]

    run = compiler.compile(every)
    for x in (z.astype(dtype) for z in ZEROS for dtype in (np.float32, np.float64)):
        for ours, numpys in zip(run(x), every(x), strict=True):
            ok = np.isnan(numpys) | (np.signbit(ours) == np.signbit(numpys))
            assert np.array_equal(ours, numpys, equal_nan=True)
            assert np.all(ok), (ours, numpys)


@pytest.mark.parametrize("features", [600, 4096, 5000])
@pytest.mark.parametrize("rows", [1, 4])
def test_products_over_many_features_are_as_exact_as_numpys(rows, features):
    """For each sample, however the features are divided; equal terms are the worst case."""
    exact = features * np.longdouble(np.float32(0.1)) * np.longdouble(np.float32(0.7))
    w, x = np.full((rows, features), 0.1, "f4"), np.full((features, 6000), 0.7, "f4")
    with use("llvm"):
        y = compile(lambda w, x: (w @ x) * 1)(w, x)
    bound = np.abs(w @ x - exact).max() + 32 * np.finfo("f4").eps * exact
    assert np.abs(y - exact).max() <= bound
