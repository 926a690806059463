"""What `explain` says, numerics against 50 digits, memory."""

import subprocess
import sys
import textwrap

import mpmath
import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import choose
from xpgrad.compiler import compile

rng = np.random.default_rng(0)


def loss(params, X, Y):
    """The notes' own loss."""
    W, b = params
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


# ── explain ──────────────────────────────────────────────────────────────────────────────────
def test_logistic_regression_is_one_region_that_reads_the_samples_once(generator):
    X = rng.normal(size=(32, 200_000)).astype(np.float32)
    params = np.zeros((32, 1), np.float32), np.float32(0)
    text = generator.explain(xg.value_and_grad(loss), params, X, X[:1])
    assert text.count("one loop over 200000 entries") == 1
    assert text.count("float32[32, 200000] once") == 1
    assert text.count("test_promises.py:") >= 1
    for part in ("graph after all passes", "stabilise", "program"):
        assert part in text


def test_explain_computes_nothing_and_counts_as_a_trace():
    f = compile(lambda x: np.sum(np.log(x)))
    x = np.full(200_000, -1.0)
    with np.errstate(all="raise"):
        first = f.explain(x)
    assert first == f.explain(x)
    assert f.traces == ("float64[200000]",)


def test_what_falls_back_is_named_with_its_reason():
    text = compile(lambda x: np.sort(np.exp(x)) * 2).explain(np.ones(100_000))
    line = next(line for line in text.splitlines() if "sort" in line and "(" in line and "step" in line)
    assert "without a loop over tiles (" in line
    with choose.use("interpreter"):
        assert "the interpreter was asked for" in compile(lambda x: x + 1).explain(np.ones(3))


# ── numerics ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_notes_loss_is_right_to_a_millionth_from_minus_to_plus_1000(compiler, dtype):
    z = np.concatenate([np.linspace(-1000, 1000, 81), np.linspace(-40, 40, 33), [1e-3, -1e-3]]).astype(dtype)
    run = compiler.compile(xg.value_and_grad(loss))
    mpmath.mp.dps = 50
    for y in (0.0, 1.0, 0.25):
        for k in z:
            # One sample, W = 1 and X = z: the loss of a single logit, and its derivatives in W and b.
            params = np.ones((1, 1), dtype), dtype(0)
            value, (dW, db) = run(params, np.full((1, 1), k), np.full((1, 1), y, dtype))
            t = mpmath.mpf(float(k))
            expected = y * mpmath.log1p(mpmath.exp(-t)) + (1 - y) * mpmath.log1p(mpmath.exp(t))
            slope = (1 - y) / (1 + mpmath.exp(-t)) - y / (1 + mpmath.exp(t))
            for got, true in ((value, expected), (db, slope), (dW[0, 0], slope * t)):
                assert np.isfinite(got)
                least = float(np.finfo(dtype).tiny)  # below it a float has not six digits
                # Of A - Y for labels between 0 and 1 the digits that cancel are lost to any program.
                lost = float(np.finfo(dtype).eps) * (y not in (0, 1)) * (abs(t) if true is not expected else 0)
                assert abs(mpmath.mpf(float(got)) - true) <= 1e-6 * abs(true) + least + lost, (k, y, got, true)


def test_the_notes_loss_over_many_samples_is_right_to_a_millionth(compiler):
    X = np.linspace(-1000, 1000, 40_001).reshape(1, -1)
    Y = (rng.random(X.shape) > 0.5).astype(float)
    t, y = X.ravel(), Y.ravel()
    expected = np.mean(np.logaddexp(0, -t) * y + np.logaddexp(0, t) * (1 - y))
    slope = np.mean(
        np.where(t > 0, 1 / (1 + np.exp(-np.abs(t))), np.exp(-np.abs(t)) / (1 + np.exp(-np.abs(t)))) - y
    )
    for dtype in (np.float64, np.float32):
        args = (np.ones((1, 1), dtype), dtype(0)), X.astype(dtype), Y.astype(dtype)
        value, (dW, db) = compiler.compile(xg.value_and_grad(loss))(*args)
        assert value == pytest.approx(expected, rel=1e-6)
        assert db == pytest.approx(slope, rel=1e-6, abs=1e-6)
        assert np.isfinite(dW).all()


# ── memory ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_a_step_takes_eight_megabytes_beyond_its_inputs_at_most():
    """The notes' step on 32 x 500,000 float32, 64 MB: as `bench/peers` measures it at four times the size."""
    source = """
        import numpy as np, xpgrad as xg
        from xpgrad.compiler import compile

        def status(key):
            with open("/proc/self/status") as file:
                return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024

        def loss(params, X, Y):
            W, b = params
            A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
            return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

        X = np.random.default_rng(0).normal(size=(32, 500_000)).astype(np.float32)
        Y = (X[:1] > 0).astype(np.float32)
        params = np.zeros((32, 1), np.float32), np.float32(0)
        step = compile(xg.value_and_grad(loss))
        step(params, X, Y)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak starts again
        before = status("VmRSS")
        step(params, X, Y)
        print(status("VmHWM") - before)
    """
    child = subprocess.run([sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    assert float(child.stdout) <= 8
