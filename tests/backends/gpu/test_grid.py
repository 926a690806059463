"""The grid size, and the layout of a block's memory.

What is asked of an A100 and an H100 is arithmetic here: no card has confirmed it.
"""

import re
from itertools import product

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import VARIANTS, Collector, ShimDevice
from backends.gpu.shim import missing
from xpgrad.backends import choose
from xpgrad.backends.gpu.cuda.printing.by_block import odd_strides
from xpgrad.backends.gpu.cuda.printing.grid import (
    most_blocks,
    narrowed,
    samples_per_block,
    smallest_tile,
    tiles_per_block,
)
from xpgrad.backends.gpu.limits import Limits
from xpgrad.compiler import compile
from xpgrad.plan import Target

needs_shim = pytest.mark.skipif(missing() is not None, reason=str(missing()))


PLAIN, FULL = Limits(), Limits(full_waves=True)
ON = Limits(**VARIANTS)
RESIDENT = FULL.resident_blocks


class Launches(Collector):
    """``grids`` has the blocks of each launch of a region."""

    def __init__(self, limits):
        super().__init__(limits)
        self.grids = []

    def launch(self, module, name, grid, block, args, shared):
        super().launch(module, name, grid, block, args, shared)
        if name == "region":
            self.grids.append(grid)


def grids(f, *args, limits=ON):
    device = Launches(limits)
    with choose.use("cuda", None, device):
        compile(f)(*args)
    return device.grids


def columns(w, X):
    return np.sum(np.logaddexp(0, w @ X))


def rows(W, X, Y):
    Z = X @ W
    return np.mean(xg.special.logsumexp(Z, axis=1) - np.sum(Y * Z, axis=1))


def full(blocks, resident):
    """The part of a card that is at work, if all blocks take equally long."""
    return blocks / (-(-blocks // resident) * resident)


# ── how many blocks ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (lambda W: np.sum(W * W), [(1500, 1500)]),
        (xg.grad(lambda b, A: np.sum(np.tanh(A + b))), [(512,), (8192, 512)]),
        (lambda b, A: np.maximum(A + b, 0), [(512,), (8192, 512)]),
        (xg.grad(columns), [(784,), (784, 60_000)]),
        (xg.grad(rows), [(784, 10), (60_000, 784), (60_000, 10)]),
    ],
    ids=["squares", "bias", "layer", "logistic", "softmax"],
)
def test_there_are_blocks_for_most_of_a_card(f, shapes):
    found = grids(f, *[np.zeros(s, "f4") for s in shapes])
    assert found
    for blocks, resident in product(found, RESIDENT):
        assert full(blocks, resident) > 0.55, f"{blocks} blocks"


def test_few_samples_go_to_many_blocks():
    assert grids(lambda W: np.sum(W * W), np.zeros((64, 4096), "f4")) == [256]
    (blocks,) = grids(lambda W: np.sum(W * W, axis=0), np.zeros((300, 1500), "f4"))
    assert blocks == -(-1500 // 32)


@pytest.mark.parametrize("blocks", [1, 3, 128, 216, 250, 267, 1024])
def test_a_wave_of_blocks_is_not_begun_for_a_few(blocks):
    for tiles in (*range(600), 1875, 3750, 10**6, 10**7):
        each = tiles_per_block(tiles, blocks, FULL)
        made = -(-tiles // each)
        assert made <= blocks
        if blocks >= 216 and tiles >= 600:
            assert min(full(made, r) for r in RESIDENT) > 0.7


def test_tiles_are_narrow_where_there_are_few_and_each_has_work_for_the_threads():
    assert smallest_tile(1500, FULL) == 4
    assert smallest_tile(40, FULL) == 32
    assert narrowed(256, 4, 1500, 1024, 1500, 0, FULL) == 4
    assert narrowed(256, 4, 10**6, 1024, 1500, 0, FULL) == 256
    assert narrowed(256, 4, 8192, 1024, 512, 512, FULL) == 32  # the sums would be as much as the samples
    assert narrowed(4, 8, 100, 1024, 1500, 0, FULL) == 4


def test_the_plain_grid_divides_whole_tiles_evenly_among_the_most_blocks():
    assert narrowed(256, 4, 1500, 1024, 1500, 0, PLAIN) == 256
    assert samples_per_block(256, 1, 1500, 1024, PLAIN) == 256
    assert samples_per_block(256, 1, 10**6, 1024, PLAIN) == 4 * 256
    assert [tiles_per_block(tiles, 1024, PLAIN) for tiles in (0, 1, 1024, 1025, 10**6)] == [1, 1, 1, 2, 977]
    assert grids(lambda W: np.sum(W * W), np.zeros((64, 4096), "f4"), limits=PLAIN) == [16]


def test_large_sums_leave_fewer_blocks_and_never_fewer_than_the_least():
    assert most_blocks(8, PLAIN) == 1024
    assert most_blocks(1 << 16, PLAIN) == 256
    assert most_blocks(1 << 30, PLAIN) == 128
    assert most_blocks(1 << 30, Limits(blocks=5)) == 5


@needs_shim
@pytest.mark.parametrize("threads", [1, 64])
def test_narrow_tiles_give_the_same_values(threads):
    r = np.random.default_rng(0)
    b, A = r.standard_normal(200), r.standard_normal((37, 200))
    f = xg.value_and_grad(lambda b, A: np.sum(np.tanh(A + b) * np.sum(A, axis=1, keepdims=True)))
    results = []
    for limits in (None, FULL, Limits(blocks=1, full_waves=True), Limits(tile=8, blocks=2)):
        device = ShimDevice(limits, threads)
        with choose.use("cuda", Target(1 << 12, small=0), device):
            results.append(compile(f)(b, A))
    expected, slope = f(b, A)
    for value, grad in results:
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(grad, slope, rtol=1e-12, atol=1e-12 * np.abs(slope).max())


# ── what a block adds and keeps ──────────────────────────────────────────────────────────────
def test_the_threads_of_a_block_are_added_up_in_float64():
    device = Collector()
    with choose.use("cuda", None, device):
        compile(lambda W: np.sum(W * W)).explain(np.zeros((300, 700), "f4"))
        compile(lambda W: np.sum(W)).explain(np.zeros(300, "f4"))
    calls = re.findall(r"= xg::block_reduce<xg::Sum>\((.*)", "\n".join(device.texts))
    assert len(calls) == 2
    assert all(call.startswith("(double)") and "(double*)xg_sums" in call for call in calls)


@pytest.mark.parametrize("itemsize", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", [(256,), (40, 32), (64, 256), (32, 64, 16), (64, 1, 33), (33, 8, 4)])
def test_neighbouring_lanes_read_different_banks_along_every_axis(shape, itemsize):
    strides = odd_strides(shape, itemsize)
    at = sum(np.arange(n).reshape([-1 if b == a else 1 for b in range(len(shape))]) * strides[a]
             for a, n in enumerate(shape))  # fmt: skip
    assert np.unique(at).size == at.size
    together = 16 if itemsize == 8 else 32
    for n, stride in zip(shape, strides, strict=True):
        words = np.arange(min(n, together)) * stride * itemsize // 4
        distinct = np.unique(words)
        assert np.unique(distinct % 32).size == distinct.size


# ── values without entries ───────────────────────────────────────────────────────────────────
class Guarded(ShimDevice):
    """Arrays without entries are followed by bytes that nobody may write."""

    def _run(self, module, name, grid, args, shared):
        marks = []

        def guarded(x):
            if not isinstance(x, np.ndarray) or x.size:
                return x
            marks.append(np.full(4, 7, x.dtype))
            return marks[-1][:0]

        super()._run(module, name, grid, [guarded(x) for x in args], shared)
        for mark in marks:
            np.testing.assert_array_equal(mark, 7, err_msg=f"{name} writes to an array without entries")


@needs_shim
@pytest.mark.parametrize("m", [5, 700])
@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (lambda X: np.sum(np.exp(X), axis=0), [("m", 0)]),
        (lambda X: np.sum(np.exp(X), axis=1), [(0, "m")]),
        (xg.grad(lambda w, X: np.sum(np.tanh(X @ w))), [(0,), ("m", 0)]),
        (xg.grad(lambda W, X: np.sum(np.tanh(X @ W))), [(40, 0), ("m", 40)]),
        (xg.grad(lambda b, X: np.sum(X + b)), [(0,), ("m", 0)]),
    ],
    ids=["columns", "rows", "no features", "no classes", "bias"],
)
@pytest.mark.parametrize("threads", [1, 64])
def test_nothing_is_written_to_a_sum_without_entries(f, shapes, m, threads):
    args = [np.ones([m if n == "m" else n for n in s], "f4") for s in shapes]
    device = Guarded(None, threads)
    with choose.use("cuda", Target(1 << 12, small=0), device):
        got = compile(f)(*args)
    np.testing.assert_array_equal(got, f(*args))
