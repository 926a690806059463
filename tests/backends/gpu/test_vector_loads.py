"""Vectorized loads and stores: in either layout, aligned or not, with samples left over."""

import re

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from xpgrad.backends import choose
from xpgrad.backends.gpu.limits import Limits
from xpgrad.compiler import compile
from xpgrad.passes.entries import SMALL
from xpgrad.plan import Target
from xpgrad.testing import tolerance

if reason := missing():
    pytest.skip(reason, allow_module_level=True)


def in_columns(w, X, y):
    return np.sum(np.log1p(np.exp(w @ X)) * y)


def in_rows(w, X, y):
    return np.sum(np.log1p(np.exp(X @ w)) * y)


def elementwise(x, y):
    return x * np.tanh(y), x > y


ON = Limits(vector_loads=True)


def run(f, args, threads=1, limits=ON):
    device = ShimDevice(limits, threads)
    with choose.use("cuda", Target(1 << 12, small=0), device):
        return compile(f)(*args), "\n".join(device.texts)


def moves(text):
    """(what, entries, width) of each load and store."""
    found = re.findall(r"xg::(load|store)<(\d+), (\d+)>", text)
    return {(what, int(n), int(width)) for what, n, width in found}


def samples(text):
    """Samples per thread and iteration."""
    return max(map(int, re.findall(r"v < (\d+)", text)), default=1)


def draw(shape, dtype, shift=0, order="C", seed=0):
    """An array that begins ``shift`` entries after an aligned address."""
    count = int(np.prod(shape))
    space = np.zeros(count + 64, dtype)
    begin = -(space.ctypes.data // space.itemsize) % 16 + shift
    out = space[begin : begin + count].reshape(shape, order=order)
    out[...] = np.random.default_rng(seed).standard_normal(shape)
    return out


def check(f, args, **options):
    step = xg.value_and_grad(f)
    (value, grad), text = run(step, args, **options)
    wide = [np.asarray(x, np.float64) for x in args]
    expected, slope = step(*wide)
    close = tolerance(grad.dtype).value
    np.testing.assert_allclose(value, expected, rtol=close)
    np.testing.assert_allclose(grad, slope, rtol=close, atol=close * np.abs(slope).max())
    return moves(text)


@pytest.mark.parametrize(
    ("threads", "limits"),
    [(1, ON), (64, ON), (1, ON._replace(tile=1, blocks=5)), (64, ON._replace(tile=2, blocks=3))],
)
@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("m", [2, 3, 64, 203, 512])
def test_samples_in_columns_are_taken_four_at_a_time(m, shift, threads, limits):
    args = draw((9,), "f4"), draw((9, m), "f4", shift), draw((m,), "f4", shift, seed=1)
    assert check(in_columns, args, threads=threads, limits=limits) == {("load", 4, 4)}


def test_without_the_switch_every_entry_is_loaded_alone():
    x, y = draw((3,), "f4"), draw((40,), "f4", seed=1)
    assert check(in_columns, (x, draw((3, 40), "f4"), y), limits=Limits()) == set()


@pytest.mark.parametrize(("dtype", "width"), [("f4", 4), ("f8", 2), ("f2", 4)])
def test_a_load_has_sixteen_bytes_or_what_four_samples_have(dtype, width):
    args = draw((3,), "f4" if dtype == "f2" else dtype), draw((3, 40), dtype), draw((40,), "f4", seed=1)
    assert check(in_columns, args) == {("load", width if dtype != "f2" else 4, width)} | (
        {("load", 2, 2)} if dtype == "f8" else set()
    )


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(
    ("features", "m"), [(n, m) for n in (8, 7, 6, 5, 3) for m in (3, 7, 130) if n * m > SMALL]
)
def test_of_samples_in_rows_all_entries_of_four_are_one_piece(features, m, shift):
    args = draw((features,), "f4"), draw((m, features), "f4", shift), draw((m,), "f4", seed=1)
    assert check(in_rows, args, threads=64) == {("load", 4 * features, 4), ("load", 4, 4)}


def test_a_long_row_is_one_sample_and_its_label_is_read_alone():
    args = draw((32,), "f4"), draw((50, 32), "f4"), draw((50,), "f4", seed=1)
    assert check(in_rows, args) == {("load", 32, 4)}


@pytest.mark.parametrize(("width", "shift"), [(12, 0), (12, 4), (11, 0), (12, 1)])
def test_rows_with_gaps_between_them(width, shift):
    X = draw((50, width), "f4", seed=2)[:, shift : shift + 8]
    args = draw((8,), "f4"), X, draw((50,), "f4", seed=1)
    assert check(in_rows, args, threads=64) == {("load", 8, 4), ("load", 4, 4)}


def test_columns_with_gaps_between_them():
    X = draw((3, 90), "f4", seed=2)[:, 7:87]
    assert check(in_columns, (draw((3,), "f4"), X, draw((80,), "f4", seed=1))) == {("load", 4, 4)}


@pytest.mark.parametrize("m", [2, 31, 400])
@pytest.mark.parametrize("shift", [0, 3])
def test_stores_are_as_wide(m, shift):
    x, y = draw((m,), "f4", shift), draw((m,), "f4", seed=1)
    (product, greater), text = run(elementwise, (x, y), threads=64)
    np.testing.assert_allclose(product, x * np.tanh(y), rtol=tolerance(np.float32).value)
    np.testing.assert_array_equal(greater, x > y)
    assert moves(text) == {("load", 4, 4), ("store", 4, 4)}


def test_predictions_in_rows_are_stored_a_row_at_a_time():
    X, W = draw((37, 4), "f4"), draw((4, 2), "f4", seed=1)
    out, text = run(lambda X, W: np.tanh(X @ W), (X, W), threads=64)
    np.testing.assert_allclose(out, np.tanh(X @ W), rtol=tolerance(np.float32).value)
    assert moves(text) == {("load", 4, 4), ("store", 2, 2)}


def test_an_array_that_is_read_in_another_way_too_is_not_vectorized():
    x = draw((300,), "f4")
    out, text = run(lambda x: x[1:] - x[:-1], (x,))
    np.testing.assert_array_equal(out, x[1:] - x[:-1])
    assert not {m for m in moves(text) if m[0] == "load" and m[1] > 4}


@pytest.mark.parametrize("threads", [1, 64])
@pytest.mark.parametrize(
    "f",
    [
        lambda X, w: 1 / (1 + np.exp(-(w @ X))),
        lambda X, w: np.sum(X**2, axis=0),
        lambda X, w: np.tanh(w @ X) * 2 + np.max(X, axis=0),
    ],
    ids=["prediction", "squares", "two"],
)
def test_where_a_long_column_is_read_lanes_have_neighbouring_samples(f, threads):
    X, w = draw((67, 203), "f4"), draw((67,), "f4", seed=1)
    out, text = run(f, (X, w), threads=threads)
    np.testing.assert_allclose(out, f(X, w), rtol=1e-5, atol=1e-5)
    assert re.search(r"for \(long long i\d", text)
    assert moves(text) == set()
    assert samples(text) == 1


def test_a_long_body_is_written_once():
    def integrated(x, v):
        for _ in range(40):
            v = v - 0.01 * np.sin(x)
            x = x + 0.01 * v
        return x

    x, v = draw((50,), "f4"), draw((50,), "f4", seed=1)
    out, text = run(integrated, (x, v), threads=64)
    np.testing.assert_allclose(out, integrated(x, v), rtol=1e-5, atol=1e-5)
    assert samples(text) == 1


def test_a_column_of_an_array_is_read_entry_by_entry():
    X = draw((60, 5), "f4")
    args = draw((3,), "f4"), draw((3, 60), "f4"), X[:, 2]
    assert check(in_columns, args) == {("load", 4, 4)}


@pytest.mark.parametrize("shape", [(1, 64), (64, 1), (2, 40)])
def test_an_interior_without_entries_is_not_vectorized(shape):
    def f(x):
        y = np.exp(x)
        y[1:-1, 1:-1] += y[2:, 1:-1] + y[1:-1, 2:]
        return y

    x = draw(shape, "f4")
    np.testing.assert_allclose(run(f, (x,))[0], f(x), rtol=tolerance(np.float32).value)
