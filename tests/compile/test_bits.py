"""The bits of a compiled function depend on its data alone, not on threads, the cache or the registers."""

import re

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm import register_blocking
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.backends.cpu.llvm.sums import BLOCK
from xpgrad.compiler import compile
from xpgrad.plan import Target

pytestmark = pytest.mark.skipif(available() is not None, reason=str(available()))

LOSSES = {
    "logistic, samples in columns": lambda w, X: np.mean(np.log(1 + np.exp(-(w @ X)))),
    "logistic, samples in rows": lambda w, X: np.mean(np.log(1 + np.exp(-(X.T @ w)))),
    "standardise, then fit": lambda w, X: np.sum(
        ((X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)).T @ w
    ),
    "many classes": lambda w, X: np.sum(np.tanh(np.outer(w, w) @ X)),
    "softmax": lambda w, X: np.mean(xg.special.logsumexp(np.outer(w, w) @ X, axis=0)),
    "all entries": lambda w, X: np.sum(np.sin(X) * w[:, None]),
    "maxima": lambda w, X: np.sum(np.max(X * w[:, None], axis=1)),
    "a sum over samples and one over features": lambda w, X: np.sum(np.sum(X * X, 1) * w) + np.sum(w @ X**2),
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", LOSSES)
def test_bits_depend_on_neither_threads_nor_cache_nor_registers(name, dtype, order, monkeypatch):
    rng = np.random.default_rng(0)
    w = rng.normal(size=13).astype(dtype)
    X = np.asarray(rng.normal(size=(13, 9_001)), dtype, order=order)
    found = set()
    tiles = set()
    for cache, threads, vectors in ((1, 1, 32), (1, 3, 8), (1 << 16, 1, 4), (1 << 18, 2, 8), (1 << 24, 1, 32)):
        monkeypatch.setattr(register_blocking, "vectors_in_registers", lambda vectors=vectors: vectors)
        with choose.use("llvm", Target(cache, small=0, chunk=1 << 19, group=BLOCK)):
            f = compile(xg.value_and_grad(LOSSES[name]), threads=threads)
            found.add(b"".join(np.asarray(x).tobytes() for x in flatten(f(w, X))[0]))
            tiles.update(re.findall(r"over 9001 entries, (\d+) in a tile", f.explain(w, X)))
    # A sample with much between its operations has tiles of one group of samples, whatever the cache.
    of_one_group = dtype == np.float64 and name in ("many classes", "softmax")
    assert (len(tiles) > 1) != of_one_group
    assert len(found) == 1
