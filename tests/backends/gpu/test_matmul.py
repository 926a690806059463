"""Register-tiled matmuls of samples with many features, by thread and by warp."""

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from xpgrad.backends import choose
from xpgrad.backends.gpu.limits import Limits
from xpgrad.compiler import compile
from xpgrad.plan import Target
from xpgrad.testing import tolerance

if reason := missing():
    pytest.skip(reason, allow_module_level=True)


ON = Limits(matmul_by_thread=True, matmul_by_warp=True)


def softmax(params, X, Y):
    W, b = params
    return np.mean(xg.special.logsumexp(X @ W + b, axis=1) - np.sum(Y * (X @ W + b), axis=1))


def logistic(params, X, y):
    W, b = params
    return np.mean(np.logaddexp(0, X @ W + b) - y * (X @ W + b))


def softmax_columns(params, X, Y):
    W, b = params
    Z = W.T @ X + b[:, None]
    return np.mean(xg.special.logsumexp(Z, axis=0) - np.sum(Y.T * Z, axis=0))


def logistic_columns(params, X, y):
    W, b = params
    return np.mean(np.logaddexp(0, W @ X + b) - y * (W @ X + b))


def data(m, features, classes, dtype):
    r = np.random.default_rng(0)
    compute = np.float32 if dtype == "f2" else np.dtype(dtype)
    X = r.standard_normal((m, features)).astype(dtype)
    shape = (features, classes) if classes else (features,)
    W = (r.standard_normal(shape) / features).astype(compute)
    Y = r.random((m, classes) if classes else m).astype(compute)
    return (W, r.standard_normal(shape[1:]).astype(compute) if classes else compute.type(0.2)), X, Y


def check(args, threads=64, limits=ON, reverse=False, columns=False):
    both = (logistic, logistic_columns) if args[0][0].ndim == 1 else (softmax, softmax_columns)
    f = xg.value_and_grad(both[columns])
    if columns:
        args = args[0], np.ascontiguousarray(args[1].T), args[2]
    device = ShimDevice(limits, threads, reverse)
    with choose.use("cuda", Target(1 << 12, small=0), device):
        compiled = compile(f)
        value, (dW, db) = compiled(*args)
    wide = [(args[0][0].astype(np.float64), np.float64(args[0][1])), *(x.astype(np.float64) for x in args[1:])]
    expected, (slope, at) = f(*wide)
    close = tolerance(dW.dtype).value
    for got, wanted in ((value, expected), (dW, slope), (db, at)):
        np.testing.assert_allclose(got, wanted, rtol=close, atol=close * np.abs(wanted).max())
    return (value, dW, db), "\n".join(device.texts)


def is_register_tiled(text):
    return "aligned_held" in text or "warp_totals<xg::Sum>(" in text.partition("region(")[2]


@pytest.mark.sweep
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("classes", [0, 1, 3, 10])
@pytest.mark.parametrize("features", [33, 100, 101, 220])
@pytest.mark.parametrize("m", [256, 259])
def test_value_and_gradient(m, features, classes, columns):
    _, text = check(data(m, features, classes, "f4"), columns=columns)
    assert is_register_tiled(text)


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("threads", [32, 64, 256])
def test_dtypes_and_threads(dtype, threads):
    _, text = check(data(90, 120, 2, dtype), threads)
    assert f"xg::load<{16 // np.dtype(dtype).itemsize}, {16 // np.dtype(dtype).itemsize}>" in text
    assert is_register_tiled(text)


@pytest.mark.sweep
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(("tile", "blocks"), [(1, 5), (4, 2), (16, 3), (64, 1)])
@pytest.mark.parametrize("reverse", [False, True])
def test_tiles_and_blocks(tile, blocks, reverse, columns):
    limits = ON._replace(tile=tile, blocks=blocks)
    _, text = check(data(131, 70, 3, "f4"), limits=limits, reverse=reverse, columns=columns)
    assert is_register_tiled(text)


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("threads", [32, 64, 256])
def test_dtypes_and_threads_of_columns(dtype, threads):
    _, text = check(data(300, 120, 2, dtype), threads, columns=True)
    assert is_register_tiled(text)


def test_rows_that_are_not_aligned_and_rows_with_gaps():
    params, X, Y = data(100, 64, 3, "f4")
    wide, odd = np.zeros((100, 92), "f4"), np.zeros((100, 91), "f4")
    wide[:, 8:72] = odd[:, 3:67] = X
    aligned, _ = check((params, wide[:, 8:72], Y))
    other, text = check((params, odd[:, 3:67], Y))
    assert is_register_tiled(text)
    for x, y in zip(aligned, other, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("columns", [False, True])
def test_sums_are_carried_over_to_float64_every_so_many_samples(columns):
    m = 40 * ON.matmul_flush + 3
    X, w = np.full((40, m) if columns else (m, 40), 0.1, "f4"), np.zeros(40, "f4")
    f = xg.value_and_grad(lambda w, X: np.sum(w @ X if columns else X @ w))
    device = ShimDevice(ON._replace(blocks=1), 64)
    with choose.use("cuda", Target(1 << 12, small=0), device):
        _, slope = compile(f)(w, X)
    assert is_register_tiled("\n".join(device.texts))
    np.testing.assert_allclose(slope, np.full(40, m * np.float64(np.float32(0.1))), rtol=1e-5)


@pytest.mark.parametrize("columns", [False, True])
def test_each_layout_has_a_switch_of_its_own(columns):
    args = data(90, 100, 3, "f4")
    for by_thread, by_warp in ((False, False), (True, False), (False, True)):
        limits = Limits(matmul_by_thread=by_thread, matmul_by_warp=by_warp)
        _, text = check(args, limits=limits, columns=columns)
        assert is_register_tiled(text) == (by_warp if columns else by_thread)


def test_too_many_features_for_the_registers_of_the_threads_have_the_general_form_and_explain_says_why():
    args = data(90, 1000, 3, "f4")
    _, text = check(args, threads=32)
    assert not is_register_tiled(text)
    with choose.use("cuda", Target(1 << 12, small=0), ShimDevice(ON, 32)):
        text = compile(xg.value_and_grad(softmax)).explain(*args)
    assert "no matmul by thread: 96 registers per thread, and at most 40" in text


def test_what_is_stored_for_each_sample():
    (W, b), X, _ = data(50, 60, 3, "f4")
    device = ShimDevice(ON, 64)
    with choose.use("cuda", Target(1 << 12, small=0), device):
        out = compile(lambda W, b, X: np.tanh(X @ W + b))(W, b, X)
    np.testing.assert_allclose(out, np.tanh(X @ W + b), rtol=1e-5, atol=1e-6)
    assert is_register_tiled("\n".join(device.texts))
