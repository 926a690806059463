"""Products in blocks that fit into the registers of several processors: one result, to the bit."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm import register_blocking
from xpgrad.backends.cpu.llvm.factors import BLOCKS, runs
from xpgrad.testing import close, tolerance

PRODUCTS = [
    # the shapes of X and W, and the product: rows known or not, blocks and remainders, vectors and their tails
    ((7, 37), (37, 13), lambda X, W: X @ W),
    ((41, 30), (30, 30), lambda X, W: X @ W),
    ((300, 12), (300, 12), lambda X, W: X.T @ W),
    ((33, 100), (16, 100), lambda X, W: X @ W.T),
    ((9, 200), (3, 9), lambda X, W: W @ X),
    # the large factor lies along a contracted axis that is short
    ((200, 10), (32, 10), lambda X, W: X @ W.T),
    ((135, 33), (5, 33), lambda X, W: W @ X.T),
    ((70, 64), (64, 7), lambda X, W: X @ W),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("left", "right", "product"), PRODUCTS, ids=range(len(PRODUCTS)))
def test_blocks_of_any_size_give_the_same_bits(left, right, product, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=left).astype(dtype), rng.normal(size=right).astype(dtype)
    found = []
    for registers in BLOCKS:
        monkeypatch.setattr(register_blocking, "vectors_in_registers", lambda n=registers: n)
        with choose.use("llvm"):
            found.append(xg.compile(product, threads=1)(X, W))
    exact = product(X.astype(np.float64), W.astype(np.float64))
    assert close(found[0], exact, tolerance(np.dtype(dtype)).value)
    assert all(np.array_equal(y, found[0]) for y in found[1:])


def test_equal_widths_are_one_run_and_the_first_may_be_apart():
    assert runs([3, 3, 3, 2], False) == [(3, 3), (2, 1)]
    assert runs([3, 3, 3, 2], True) == [(3, 1), (3, 2), (2, 1)]
    assert runs([4], True) == [(4, 1)]
