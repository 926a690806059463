"""Compiled functions with several threads, called from several threads, and stopped by Ctrl-C."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.compiler import compile


def logistic(W, X, Y):
    A = 1 / (1 + np.exp(-np.dot(W.T, X)))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A)) + 0.1 * np.sum(W * W)


def softmax(W, X, Y):
    Z = X @ W
    return -np.mean(np.sum(Y * (Z - np.log(np.sum(np.exp(Z), axis=1, keepdims=True))), axis=1))


def _logistic_data(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(32, 100_000)).astype(dtype)
    return rng.normal(size=(32, 1)).astype(dtype), X, (X[:1] > 0).astype(dtype)


def _softmax_data(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 50)).astype(dtype)
    return rng.normal(size=(50, 10)).astype(dtype), X, np.eye(10, dtype=dtype)[rng.integers(0, 10, 20_000)]


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("f", "data"), [(logistic, _logistic_data), (softmax, _softmax_data)])
def test_one_two_and_seven_threads_give_the_same_bytes(threaded, f, data, dtype):
    args = data(dtype)
    found = set()
    for threads in (1, 2, 7):
        out = threaded.compile(xg.value_and_grad(f), threads=threads)(*args)
        found.add(b"".join(np.asarray(x).tobytes() for x in flatten(out)[0]))
    assert len(found) == 1
    wide = xg.value_and_grad(f)(*[x.astype(np.float64) for x in args])
    for a, b in zip(out, wide, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_several_threads_call_one_function_with_values_and_shapes_of_their_own(put):
    f = compile(xg.value_and_grad(logistic), threads=2)
    sizes = [3, 50, 2_000, 70_000]
    start = threading.Barrier(8)

    def work(k):
        rng = np.random.default_rng(k)
        start.wait()
        for r in range(6):
            m = sizes[(k + r) % len(sizes)]
            X = rng.normal(size=(4, m))
            args = rng.normal(size=(4, 1)), X, (X[:1] > 0).astype(float)
            got = xg.asnumpy(f(*put(args)))
            for a, b in zip(got, xg.value_and_grad(logistic)(*args), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(f.traces) == len(sizes)


def test_what_is_asked_for_as_threads_is_checked():
    with pytest.raises(Exception, match="threads"):
        compile(lambda x: x, threads=0)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send on Windows")
def test_ctrl_c_stops_a_long_run_and_the_next_call_works():
    source = """
        import numpy as np, xpgrad as xg, signal, sys, time
        from xpgrad.compiler import compile
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        f = compile(lambda x: np.sum(np.sin(np.cos(np.exp(np.tanh(x))))), threads=2)
        x = np.linspace(0, 1, 1_000_000)
        expected = f(x)
        print("ready", flush=True)
        interrupted = False
        end = time.monotonic() + 20
        try:
            while time.monotonic() < end:
                f(x)
        except KeyboardInterrupt:
            interrupted = True
        assert interrupted
        for _ in range(3):
            assert f(x) == expected
        assert f(x[:10]) == compile(lambda x: np.sum(np.sin(np.cos(np.exp(np.tanh(x))))))(x[:10])
        print("healthy", flush=True)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (0, "healthy\n"), err
