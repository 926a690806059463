"""Steps of Adam on minibatches: ``python -m bench.steps [--json OUT] [--peers DIR]``.

The notes' logistic regression, samples in columns, float32: by `minimize`, and by NumPy and PyTorch as one
writes the loop: a permutation for each pass, ``X[:, chosen]``, loss, gradient, step. "rows" is NumPy on samples
in rows, which are gathered faster. "gradient" is the compiled gradient alone, on one batch that stays the
same: what `minimize` takes beyond it is shuffling, gathering, the step and its own overhead. All have the same
batches and are held against NumPy. Times are of the process's CPU, on one thread; contenders take turns.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

import xpgrad as xg
from bench.peers.report import conditions
from bench.workloads import notes_loss

ROUNDS = 15
RATE, B1, B2, EPS = 1e-3, 0.9, 0.999, 1e-8


def problem(features, samples):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((features, samples), np.float32)
    Y = (rng.random((1, samples)) < 0.5).astype(np.float32)
    return np.zeros((features, 1), np.float32), np.float32(0), X, Y


def gradient_by_hand(W, b, X, Y):
    """Value and gradient of the notes' loss, samples in columns."""
    A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
    value = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    dZ = (A - Y) / Y.size
    return value, np.dot(X, dZ.T), dZ.sum()


def by_hand(W, b, X, Y, size, batch_of):
    """The weights after one pass, in NumPy; ``batch_of(chosen)`` gives a batch with samples in columns."""
    moments = [np.zeros_like(W), np.zeros_like(W), np.float32(0), np.float32(0)]
    order = np.random.default_rng(0).permutation(Y.size)
    for t, start in enumerate(range(0, Y.size, size), 1):
        _, dW, db = gradient_by_hand(W, b, *batch_of(order[start : start + size]))
        m, v, n, u = moments
        moments = [
            B1 * m + (1 - B1) * dW,
            B2 * v + (1 - B2) * dW**2,
            B1 * n + (1 - B1) * db,
            B2 * u + (1 - B2) * db**2,
        ]
        m, v, n, u = moments
        W = W - RATE * (m / (1 - B1**t)) / (np.sqrt(v / (1 - B2**t)) + EPS)
        b = b - np.float32(RATE) * (n / (1 - B1**t)) / (np.sqrt(u / (1 - B2**t)) + EPS)
    return W


def by_torch(torch, W, b, X, Y, size):
    """The weights after one pass, by ``torch.optim.Adam``."""
    W, b = (torch.tensor(x, requires_grad=True) for x in (W, b))
    adam = torch.optim.Adam((W, b), lr=RATE, betas=(B1, B2), eps=EPS)
    order = torch.from_numpy(np.random.default_rng(0).permutation(Y.shape[1]))
    for chosen in order.split(size):
        adam.zero_grad()
        logits = W.T @ X[:, chosen] + b
        torch.nn.functional.binary_cross_entropy_with_logits(logits, Y[:, chosen]).backward()
        adam.step()
    return W.detach().numpy()


def contenders(features, samples, size):
    """For each name one pass over the data, which gives the weights after it; the first is the reference."""
    W, b, X, Y = problem(features, samples)
    loss = notes_loss(np)
    compiled = xg.compile(xg.value_and_grad(loss), threads=1)
    rows, labels = np.ascontiguousarray(X.T), np.ascontiguousarray(Y.T)
    one = np.ascontiguousarray(X[:, :size]), np.ascontiguousarray(Y[:, :size])

    def minimized():
        fit = xg.minimize(loss, (W, b), (X, Y), method="adam", batch_size=size, max_iter=1, tol=0.0)
        return fit.params[0]

    def gradients(f):
        for _ in range(-(-samples // size)):
            f()

    found = {
        "numpy": lambda: by_hand(W, b, X, Y, size, lambda i: (X[:, i], Y[:, i])),
        "rows": lambda: by_hand(W, b, X, Y, size, lambda i: (rows[i].T, labels[i].T)),
        "xpgrad": minimized,
        "gradient": lambda: gradients(lambda: compiled((W, b), *one)),
        "numpy gradient": lambda: gradients(lambda: gradient_by_hand(W, b, *one)),
    }
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
        tensors = torch.from_numpy(X), torch.from_numpy(Y)
        found["torch"] = lambda: by_torch(torch, W, b, *tensors, size)
    return found


def microseconds_per_step(features, samples, size, rounds, passes=3):
    """Microseconds of CPU per step of each contender, by round; raises where two have other weights.

    Of `minimize` the time of one pass is the difference between fits of ``passes`` and of one, divided: the
    first has traced the loss and copied the samples. ``"setup"`` is what a fit of one pass takes beyond that.
    """
    W, b, X, Y = problem(features, samples)
    steps = -(-samples // size)
    found = contenders(features, samples, size)
    reference = found["numpy"]()
    for f in found.values():
        weights = f()
        if weights is not None:
            np.testing.assert_allclose(weights, reference, rtol=1e-3, atol=1e-5)
    loss = notes_loss(np)

    def fit(passes):
        start = time.process_time()
        xg.minimize(loss, (W, b), (X, Y), method="adam", batch_size=size, max_iter=passes, tol=0.0)
        return time.process_time() - start

    times = {name: [] for name in (*found, "setup")}
    for _ in range(rounds):
        for name, f in found.items():
            if name == "xpgrad":
                one, several = fit(1), fit(passes)
                pass_ = (several - one) / (passes - 1)
                times["setup"].append(1e6 * (one - pass_))
            else:
                start = time.process_time()
                f()
                pass_ = time.process_time() - start
            times[name].append(1e6 * pass_ / steps)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--peers", help="a directory with PyTorch, if it is installed apart")
    given = parser.parse_args()
    os.environ["XPGRAD_NUM_THREADS"] = "1"
    if given.peers:
        sys.path.append(given.peers)
    times = microseconds_per_step(given.features, given.samples, given.batch, given.rounds)
    report = {
        "features": given.features,
        "samples": given.samples,
        "batch": given.batch,
        "us_per_step": {name: median(x) for name, x in times.items() if name != "setup"},
        "least_us_per_step": {name: min(x) for name, x in times.items() if name != "setup"},
        "setup_ms": median(times["setup"]) / 1e3,
    }
    for name, us in report["us_per_step"].items():
        print(f"{name:<16} {us:8.1f} us a step, least {report['least_us_per_step'][name]:8.1f}")
    print(f"{'setup of a fit':<16} {report['setup_ms']:8.1f} ms")
    if given.json:
        packages = ["numpy", *(["torch"] if "torch" in times else [])]
        given.json.write_text(json.dumps({"conditions": conditions(packages), **report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
