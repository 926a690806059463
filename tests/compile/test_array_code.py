"""Array code in several dimensions, compiled: shifted slices, and writes into interior slices.

Expected values are NumPy's own; gradients are compared with finite differences.
"""

import importlib
import re

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.compiler import compile
from xpgrad.testing import assert_agrees

slices = importlib.import_module("xpgrad.passes.slices")


@pytest.fixture(params=[slices.LARGE, 0], ids=["small slices are read", "small slices are made"])
def both(request, monkeypatch):
    """With the pass `slices` as it is, which leaves small values alone, and for all values."""
    monkeypatch.setattr(slices, "LARGE", request.param)


needs_llvm = pytest.mark.skipif(available() is not None, reason=str(available()))


def laplacian_of_fluxes(x):
    """Fluxes between cells, then their divergence in the interior."""
    fx, fy = x[1:] - x[:-1], (x[:, 1:] - x[:, :-1]) * np.abs(x[:, 1:])
    y = x.copy()
    y[1:-1, 1:-1] += 0.1 * (fx[1:, 1:-1] - fx[:-1, 1:-1] + fy[1:-1, 1:] - fy[1:-1, :-1])
    return y


def periodic(x):
    """The edges are copied from the other side after the interior is written."""
    y = np.zeros_like(x)
    y[1:-1] = np.tanh(x[2:]) - x[:-2]
    y[:1], y[-1:] = y[-2:-1], y[1:2]
    return y + np.roll(x, 1, axis=0) * np.roll(x, -1, axis=1)


def overlapping(x):
    """A later write hides part of an earlier one; each reads what was written before."""
    y = x * 2
    y[1:] = y[:-1] + 1
    y[:, :-1] = y[:, 1:] * 3
    y[:2, 1:] -= y[:2, :-1]
    return y


def in_place_shifted(x):
    """What is written is read in the same line, at another place."""
    y = np.exp(-np.abs(x))
    y[1:] += y[:-1]
    y[:-1] -= y[1:]
    return y, np.sum(y)


def backwards(x):
    """Negative steps, in reads and in writes."""
    y = np.zeros_like(x)
    y[::-1, ::2] = np.sin(x[:, ::2])
    y[::2] += x[::-2][: len(y[::2])]
    return y[::-1, ::-1] * x


def halves(x):
    """A trailing axis of two, written in a short loop, and read again."""
    y = np.zeros_like(x, shape=(*x.shape, 2))
    out = np.zeros_like(x)
    for k in range(2):
        y[1:, :-1, k] = np.maximum(x[1:, :-1], x[:-1, 1:]) * (k + 1)
        out[1:, :-1] += y[1:, :-1, k]
    out[:-1] -= 0.5 * (y[1:, :, 0] + y[1:, :, 1])
    return out, y


def one_row(x):
    """Rows and columns by number, from both ends."""
    y = x**2
    y[0] = y[-1]
    y[:, -1] += y[:, 0]
    y[-1, 0] = 3.0
    return y


def limited(x):
    """A limiter with `where`, whose operands are differences at three places."""
    d = x[1:] - x[:-1]
    here, before, after = d[1:-1], d[:-2], d[2:]
    r = np.where(here > 0, before, after) / np.where(np.abs(here) < 1e-3, 1e-3, here)
    y = x.copy()
    y[1:-2] += np.maximum(0, np.minimum(1, 2 * r)) * here
    return y


ROUTINES = [laplacian_of_fluxes, periodic, overlapping, in_place_shifted, backwards, halves, one_row, limited]
SHAPES = [(1, 1), (2, 2), (3, 1), (1, 4), (3, 3), (5, 7), (40, 18)]


def _fits(f, x):
    """Whether NumPy runs the routine on an array of this shape."""
    try:
        f(x)
    except (ValueError, IndexError):
        return False
    return True


CASES = [(f, shape) for f in ROUTINES for shape in SHAPES if _fits(f, np.ones(shape))]


def test_each_routine_has_shapes_that_it_fits():
    assert all(sum(g is f for g, _ in CASES) >= 3 for f in ROUTINES)
    assert (limited, (40, 18)) in CASES


@pytest.mark.rotated
@pytest.mark.parametrize(("f", "shape"), CASES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_a_routine_on_slices_has_numpys_values(compiler, both, f, shape):
    x = np.random.default_rng(1).uniform(-1, 1, shape)
    got, expected = compiler.compile(f)(x), f(x)
    for a, b in zip(
        got if isinstance(got, tuple) else [got],
        expected if isinstance(expected, tuple) else [expected],
        strict=True,
    ):
        assert_agrees(a, b, np.float64)


@pytest.mark.rotated
@pytest.mark.parametrize("f", ROUTINES, ids=lambda f: f.__name__)
def test_its_compiled_gradient_is_that_of_finite_differences(compiler, both, f):
    x = np.random.default_rng(2).uniform(-1, 1, (5, 4))

    def loss(x):
        y = f(x)
        return sum(np.sum(np.sin(part)) for part in (y if isinstance(y, tuple) else (y,)))

    got, h = compiler.compile(xg.grad(loss))(x), 1e-6
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += h
        down[at] -= h
        np.testing.assert_allclose(got[at], (loss(up) - loss(down)) / (2 * h), rtol=1e-6, atol=1e-8)


def test_a_field_of_three_axes_and_one_of_four(compiler, both):
    rng = np.random.default_rng(3)
    x, k = rng.uniform(-1, 1, (9, 7, 5)), rng.uniform(0.5, 1, (9, 7, 5, 2))

    def step(x, k):
        flux = np.zeros_like(x, shape=(*x.shape, 2))
        flux[1:, :, :, 0] = k[1:, :, :, 0] * (x[1:] - x[:-1])
        flux[:, :, 1:, 1] = k[:, :, 1:, 1] * (x[:, :, 1:] - x[:, :, :-1])
        y = x.copy()
        y[1:-1, 1:-1, 1:-1] += flux[2:, 1:-1, 1:-1, 0] - flux[1:-1, 1:-1, 1:-1, 0] + flux[1:-1, 1:-1, 2:, 1]
        return y

    assert_agrees(compiler.compile(step)(x, k), step(x, k), np.float64)


@needs_llvm
def test_a_short_innermost_row_has_its_length_in_the_text():
    """The loop over 14 entries then has no remainder to check, and no other size is compiled for it."""
    x = np.random.default_rng(4).uniform(-1, 1, (32, 32, 16))

    def f(x):
        y = np.zeros_like(x)
        y[1:-1, 1:-1, 1:-1] = x[2:, 1:-1, 1:-1] - x[:-2, 1:-1, 1:-1]
        return y

    with choose.use("llvm"):
        compiled = compile(f)
        assert_agrees(compiled(x), f(x), np.float64)
        text = compiled.explain(x, source=True)
    assert re.search(r"icmp slt i64 %n\d+, 14\n", text)


@needs_llvm
def test_arrays_without_gaps_are_one_loop_over_all_their_axes():
    x = np.random.default_rng(5).uniform(-1, 1, (32, 32, 16))
    counts = []
    for y in (x, np.swapaxes(x, 0, 1)):  # beside the other order of axes there is no such loop
        with choose.use("llvm"):
            compiled = compile(lambda x, y: x * 2 + y)
            assert_agrees(compiled(x, y), x * 2 + y, np.float64)
            counts.append(compiled.explain(x, y, source=True).count("= phi i64"))
    assert counts[0] < counts[1]
