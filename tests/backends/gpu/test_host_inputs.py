"""Samples that stay on the host: the tiles that are copied give what the whole array gives."""

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

CLOSE = tolerance(np.float64).value


def loss(params, X, Y):
    W, b = params
    A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def in_rows(params, X, Y):
    W, b = params
    Z = X @ W + b
    return np.mean((Z - Y) ** 2)


def data(rows, m=103, dtype=np.float64):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((m, 5)).astype(dtype), (rng.random((m, 1)) < 0.5).astype(dtype)
    params = rng.standard_normal((5, 1)).astype(dtype), dtype(0.3)
    return params, (X, Y) if rows else (np.ascontiguousarray(X.T), np.ascontiguousarray(Y.T))


def mapped(x, folder, name):
    """``x`` in a file, as the shim's stand-in for an array on the host."""
    out = np.memmap(folder / name, dtype=x.dtype, mode="w+", shape=x.shape)
    out[...] = x
    return out


def run(f, args, blocks=3, **limits):
    device = ShimDevice(Limits(8, blocks)._replace(**({"staging": 400} | limits)))
    compiled = compile(f)
    with choose.use("cuda", Target(1 << 12, small=0), device):
        return compiled(*args), compiled.explain(*args), device


@pytest.mark.parametrize("f", [loss, in_rows])
def test_tiles_from_the_host_give_the_value_and_gradient(tmp_path, f):
    params, (X, Y) = data(rows=f is in_rows)
    step = xg.value_and_grad(f)
    (value, grads), text, device = run(step, (params, mapped(X, tmp_path, "X"), mapped(Y, tmp_path, "Y")))
    expected, expected_grads = step(params, X, Y)
    np.testing.assert_allclose(value, expected, rtol=CLOSE)
    for got, wanted in zip(grads, expected_grads, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=CLOSE)
    assert "from the host: 13 tiles of 8 samples, in two buffers" in text
    assert device.launches.count("region") == 13


@pytest.mark.parametrize("blocks", [1, 4])
def test_sums_over_more_tiles_than_there_is_memory_for_are_added_up_meanwhile(tmp_path, blocks):
    def f(params, X, Y):
        W, b = params
        Z = np.dot(W.T, X) + b
        return np.sum(Z * Y), np.max(Z), np.min(Z - Y), np.any(Z > 3), np.sum(X, axis=1)

    params, (X, Y) = data(rows=False)
    hosts = mapped(X, tmp_path, "X"), mapped(Y, tmp_path, "Y")
    once, _, _ = run(f, (params, *hosts), blocks=1)
    again, _, device = run(f, (params, *hosts), blocks=1, host_sums=8 * blocks)
    assert len(device.launches) < 2 * 13
    for a, b, wanted in zip(once, again, f(params, X, Y), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-14)
        np.testing.assert_allclose(a, wanted, rtol=CLOSE)


def test_the_size_of_the_tiles_does_not_change_what_blocks_of_whole_tiles_give(tmp_path):
    params, (X, Y) = data(rows=True, m=64, dtype=np.float32)
    hosts = mapped(X, tmp_path, "X"), mapped(Y, tmp_path, "Y")
    step = xg.value_and_grad(in_rows)
    found = [run(step, (params, *hosts), blocks=1, staging=24 * n)[0] for n in (8, 16)]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=tolerance(np.float32).value)


def test_what_is_read_in_another_way_is_copied_whole_and_explain_says_why(tmp_path):
    params, (X, Y) = data(rows=True)
    f = xg.value_and_grad(lambda params, X, Y: in_rows(params, X, Y) + np.sum(np.sort(Y, axis=0)[:3]))
    args = params, mapped(X, tmp_path, "X"), mapped(Y, tmp_path, "Y")
    (value, _), text, _ = run(f, args)
    np.testing.assert_allclose(value, f(params, X, Y)[0], rtol=CLOSE)
    assert "float64[103, 1] is copied from the host in each call: argsort is in no loop" in text


def test_predictions_of_the_samples_length_copy_the_samples_whole(tmp_path):
    params, (X, _) = data(rows=True)
    predict = lambda params, X: X @ params[0] + params[1]
    out, text, _ = run(predict, (params, mapped(X, tmp_path, "X")))
    np.testing.assert_allclose(out, predict(params, X), rtol=CLOSE)
    assert "makes an array of the samples' length" in text


def test_a_tile_that_does_not_fit_is_halved_and_explain_says_so(tmp_path):
    params, (X, Y) = data(rows=True, m=2000)
    args = params, mapped(X, tmp_path, "X"), mapped(Y, tmp_path, "Y")

    class Small(ShimDevice):
        def staging_buffers(self, shapes):
            if max(shape[0] for shape, _ in shapes) > 600:
                raise MemoryError("no room")
            return super().staging_buffers(shapes)

    device, compiled = Small(), compile(xg.value_and_grad(in_rows))
    with choose.use("cuda", Target(1 << 12, small=0), device):
        value, _ = compiled(*args)
        text = compiled.explain(*args)
    np.testing.assert_allclose(value, in_rows(params, X, Y), rtol=CLOSE)
    assert "out of memory: tiles of 1000 samples instead" in text
    assert "out of memory: tiles of 500 samples instead" in text
    assert "4 tiles of 500 samples" in text
