"""Loops on the host around BLAS-sized matmuls: tiles give what the whole arrays give."""

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from cases.programs import CASES
from xpgrad.backends import choose
from xpgrad.backends.gpu.limits import Limits
from xpgrad.compiler import compile
from xpgrad.plan import Target, relations
from xpgrad.testing import expect, tolerance

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

# With these lengths every matmul is BLAS-sized.
M, FEATURES, HIDDEN, OUT = 1100, 40, 36, 34
TILE = 256
FUSED = Limits(64, 3, fused_regions=True, host_tile=TILE, host_products=1)


def rows(p, X, Y):
    """Samples in rows."""
    H = np.tanh(X @ p["W1"] + p["b1"])
    return np.mean((H @ p["W2"] + p["b2"] - Y) ** 2)


def columns(p, X, Y):
    """Samples in columns, as in the notes."""
    H = np.tanh(np.dot(p["W1"].T, X) + p["b1"][:, None])
    return np.mean((np.dot(p["W2"].T, H) + p["b2"][:, None] - Y) ** 2)


def classes(p, X, Y):
    """A network with a softmax of each sample."""
    H = np.maximum(X @ p["W1"] + p["b1"], 0)
    Z = H @ p["W2"] + p["b2"]
    top = np.max(Z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(Z - top), axis=1)) + top[:, 0] - np.sum(Y * Z, axis=1))


def data(f, m=M, dtype=np.float64):
    rng = np.random.default_rng(1)
    draw = lambda *shape: (rng.standard_normal(shape) / 4).astype(dtype)
    p = {"W1": draw(FEATURES, HIDDEN), "b1": draw(HIDDEN), "W2": draw(HIDDEN, OUT), "b2": draw(OUT)}
    X, Y = draw(m, FEATURES), draw(m, OUT)
    return (p, np.ascontiguousarray(X.T), np.ascontiguousarray(Y.T)) if f is columns else (p, X, Y)


class Calls:
    """A compiled function on the shim, with a cache that holds no more than the smallest tile."""

    def __init__(self, f, l2=1 << 10, device=None, **limits):
        self.compiled, self.device = compile(f), device or ShimDevice(FUSED._replace(**limits), threads=32)
        self.device.l2 = l2

    def __call__(self, *args):
        self.device.launches.clear()
        with choose.use("cuda", Target(1 << 12, small=0), self.device):
            out = self.compiled(*args)
            self.text = self.compiled.explain(*args)
        return out


def agree(found, expected, dtype=np.float64):
    (value, grads), (wanted, wanted_grads) = found, expected
    close = tolerance(dtype).value
    np.testing.assert_allclose(value, wanted, rtol=close)
    for name, g in grads.items():
        assert g.dtype == dtype
        np.testing.assert_allclose(g, wanted_grads[name], rtol=close, atol=close * np.abs(g).max())


@pytest.mark.slow
@pytest.mark.parametrize("f", [rows, columns, classes])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tiles_give_the_value_and_gradient_with_a_shorter_last_one(f, dtype):
    step, args = xg.value_and_grad(f), data(f, dtype=dtype)
    run = Calls(step)
    agree(run(*args), step(*args), dtype)
    assert "a loop on the host over 5 tiles of 256 samples (at least 50% of the L2 cache" in run.text
    assert run.text.count("by matmul into a buffer: dot") == 5
    assert run.device.launches.count("region") % 5 == 0
    assert "    by the library" not in run.text  # in the loop, that is


@pytest.mark.parametrize("m", [4 * TILE, 4 * TILE + 1, 4 * TILE - 1])
def test_a_last_tile_may_have_one_sample_or_all(m):
    step, args = xg.value_and_grad(rows), data(rows, m)
    agree(Calls(step)(*args), step(*args))


def test_samples_that_fit_into_the_cache_are_one_tile_without_copies_of_sums():
    step, args = xg.value_and_grad(rows), data(rows)
    run = Calls(step, l2=64 << 20)
    agree(run(*args), step(*args))
    assert f"on all {M} samples at once" in run.text


def test_the_tile_is_as_large_as_half_of_the_cache():
    step, args = xg.value_and_grad(rows), data(rows)
    per_sample = 8 * (FEATURES + OUT)
    run = Calls(step, l2=2 * 512 * per_sample)
    agree(run(*args), step(*args))
    assert "3 tiles of 512 samples" in run.text


def test_a_tile_has_enough_products_to_keep_a_card_busy_while_the_host_starts_the_next():
    products = 2 * FEATURES * HIDDEN + 3 * HIDDEN * OUT  # per sample, forward and backward
    step, args = xg.value_and_grad(rows), data(rows)
    run = Calls(step, host_products=2 * TILE * products + 1)
    agree(run(*args), step(*args))
    assert "3 tiles of 512 samples" in run.text


@pytest.mark.parametrize("f", [rows, columns, classes])
def test_the_same_inputs_give_the_same_bits(f):
    run, args = Calls(xg.value_and_grad(f)), data(f, dtype=np.float32)
    (a, ga), (b, gb) = run(*args), run(*args)
    assert a == b
    assert all(np.array_equal(ga[k], gb[k]) for k in ga)


def mapped(x, folder, name):
    """``x`` in a file, as the shim's stand-in for an array on the host."""
    out = np.memmap(folder / name, dtype=x.dtype, mode="w+", shape=x.shape)
    out[...] = x
    return out


@pytest.mark.parametrize("f", [rows, columns, classes])
def test_samples_on_the_host_come_tile_by_tile(tmp_path, f):
    step, (p, X, Y) = xg.value_and_grad(f), data(f)
    run = Calls(step, staging=300 * 8 * (FEATURES + OUT), fused_regions=False)
    agree(run(p, mapped(X, tmp_path, "X"), mapped(Y, tmp_path, "Y")), step(p, X, Y))
    assert "from the host: 4 tiles of 300 samples, in two buffers" in run.text
    assert "is copied from the host in each call" not in run.text


def test_a_view_of_samples_on_the_host_is_cut_with_them(tmp_path):
    step, (p, X, Y) = xg.value_and_grad(lambda p, X, y: rows(p, X, y[:, None])), data(rows)
    y = np.ascontiguousarray(Y[:, 0])
    run = Calls(step, staging=300 * 8 * (FEATURES + 1))
    agree(run(p, mapped(X, tmp_path, "X"), mapped(y, tmp_path, "y")), step(p, X, y))
    assert "4 tiles of 300 samples" in run.text


@pytest.mark.parametrize("f", [rows, columns])
def test_what_has_the_samples_length_is_stored_slice_by_slice(f):
    def predict(p, X, Y):
        if f is columns:
            H = np.tanh(np.dot(p["W1"].T, X) + p["b1"][:, None])
            Z = np.dot(p["W2"].T, H)
            return {"H": H, "Z": Z, "top": np.max(Z, axis=1), "sum": np.sum(Z + p["b2"][:, None])}
        H = np.tanh(X @ p["W1"] + p["b1"])
        Z = H @ p["W2"]
        return {"H": H, "Z": Z, "top": np.max(Z, axis=0), "sum": np.sum(Z + p["b2"])}

    args = data(f)
    run, expected = Calls(predict), predict(*args)
    found = run(*args)
    assert "5 tiles of 256 samples" in run.text
    for name, x in found.items():
        np.testing.assert_allclose(x, expected[name], rtol=tolerance(np.float64).value, atol=1e-12)
        assert not any(np.shares_memory(x, y) for other, y in found.items() if other != name)


def test_what_has_no_kernel_is_done_by_its_row_and_explain_says_so():
    def f(p, X, Y):
        Z = np.cumsum(np.tanh(X @ p["W1"]), axis=1) @ p["W2"] - Y
        return np.mean(Z**2)

    step, args = xg.value_and_grad(f, argnums=0), data(rows)
    run = Calls(step)
    agree(run(*args), step(*args))
    assert "5 tiles of 256 samples" in run.text
    assert "by the library: cumsum has no loops of ours: cumsum" in run.text


def test_what_a_row_looks_into_is_not_written_over():
    def f(p, X, Y):
        Z = np.reshape(np.reshape(X @ p["W1"], (len(X), HIDDEN // 4, 4)) * 2, (len(X), HIDDEN))
        E = np.tanh(np.cumsum(Z, axis=1) / 9) @ p["W2"] - Y
        return np.mean(E**2) + np.mean(Z @ p["W2"] * E) + np.mean(Z)

    step, args = xg.value_and_grad(f), data(rows)
    run = Calls(step)
    agree(run(*args), step(*args))
    assert "5 tiles of 256 samples" in run.text


def test_a_region_with_a_node_without_a_kernel_has_kernels_for_the_others():
    def f(X):
        Z = np.cumsum(np.exp(X), axis=1)
        return np.sum(np.tanh(Z) * 2), np.max(Z)

    X = data(rows)[1]
    run = Calls(f)
    for got, wanted in zip(run(X), f(X), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=tolerance(np.float64).value)
    assert f"on all {M} samples at once: cumsum has no loops of ours" in run.text
    assert "by the library: cumsum has no loops of ours: cumsum" in run.text
    assert run.text.count("by CUDA kernels") >= 2


class Counting(ShimDevice):
    """Counts the arrays of ``at_least`` bytes that are made."""

    def __init__(self, at_least):
        super().__init__(FUSED, threads=32)
        self.made = []
        self.room = None
        outer = self

        class Library:
            def __getattr__(self, name):
                return getattr(np, name)

            def empty(self, shape, dtype=float):
                x = np.empty(shape, dtype)
                if outer.room is not None and x.nbytes > outer.room:
                    raise MemoryError("no room")
                if x.nbytes >= at_least:
                    outer.made.append(x.nbytes)
                return x

        self.xp = Library()


def test_what_a_tile_makes_goes_into_memory_that_all_tiles_share():
    step, args = xg.value_and_grad(rows), data(rows)
    device = Counting(TILE * 8 * OUT)
    run = Calls(step, device=device)
    agree(run(*args), step(*args))
    assert "5 tiles" in run.text
    # Of z1 h z2 d e dz1 some lie where others did, and nothing is as long as the samples.
    assert len(device.made) <= 5
    assert max(device.made) <= TILE * 8 * HIDDEN


def test_tiles_are_halved_where_memory_does_not_suffice_and_explain_says_so():
    step, args = xg.value_and_grad(rows), data(rows, 2000)
    device = Counting(1)
    run = Calls(step, l2=64 << 20, device=device)
    device.room = 600 * 8 * HIDDEN
    agree(run(*args), step(*args))
    assert "out of memory: tiles of 1000 samples instead" in run.text
    assert "out of memory: tiles of 500 samples instead" in run.text
    assert "4 tiles of 500 samples" in run.text


def test_memory_that_does_not_suffice_for_the_smallest_tile_is_an_error():
    device = Counting(1)
    device.room = 1000
    with pytest.raises(MemoryError, match="no room"):
        Calls(xg.value_and_grad(rows), device=device)(*data(rows))


def test_samples_that_the_function_closes_over_are_tiled_too():
    p, X, Y = data(rows)
    step = xg.value_and_grad(lambda p: rows(p, X, Y))
    run = Calls(step)
    agree(run(p), step(p))
    assert "tiles of 256 samples" in run.text


def test_integer_labels_choose_a_class_of_each_sample():
    p, X, _ = data(rows)
    labels = np.random.default_rng(0).integers(0, OUT, M)

    def f(p, X, y):
        Z = np.tanh(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
        return np.mean(np.log(np.sum(np.exp(Z), axis=1)) - Z[np.arange(len(y)), y])

    step = xg.value_and_grad(f)
    run = Calls(step)
    agree(run(p, X, labels), step(p, X, labels))
    assert "5 tiles of 256 samples" in run.text


def test_what_needs_a_finished_sum_is_in_another_loop():
    def f(p, X, Y):
        Z = X @ p["W1"]
        Z = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1)
        return np.mean((np.tanh(Z) @ p["W2"] + p["b2"] - Y) ** 2)

    step, args = xg.value_and_grad(lambda p, X, Y: f(p, X, Y) + np.sum(p["b1"] ** 2)), data(rows)
    run = Calls(step)
    agree(run(*args), step(*args))
    assert run.text.count("a loop on the host over 5 tiles") >= 2


def test_without_the_switch_each_matmul_is_one_call_for_all_samples():
    step, args = xg.value_and_grad(rows), data(rows)
    run = Calls(step, fused_regions=False)
    agree(run(*args), step(*args))
    assert "a loop on the host" not in run.text
    assert run.text.count("done by the library: dot of two large matrices is the library's") == 5


def test_there_is_no_graph_of_a_loop_on_the_host():
    run, args = Calls(xg.value_and_grad(rows), cuda_graphs=True), data(rows)
    for _ in range(5):
        run(*args)
    assert "no CUDA graph: dot is the library's" in run.text
    assert "graph" not in run.device.launches


@pytest.mark.sweep
@pytest.mark.parametrize("tile", [1, 8])
@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].kind != "elementwise"])
def test_the_corpus_agrees_where_every_product_is_large(monkeypatch, name, tile):
    monkeypatch.setattr(relations, "BLAS_LENGTH", 1)
    monkeypatch.setattr(relations, "BLAS_PRODUCTS", 1)
    case = CASES[name]
    f, args = xg.value_and_grad(case.f) if case.scalar else case.f, case.args(33)
    expect(f, args, name).check(Calls(f, l2=1, host_grain=1, host_tile=tile)(*args))
