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


def microseconds(features, samples, size, rounds, passes=3):
    """Microseconds of CPU of one pass of each contender, by round; raises where two have other weights.

    ``"one"`` and ``"several"`` are fits by `minimize` of one pass and of ``passes``. The first pass contains
    the trace of the loss and the copy of the samples, so a pass is their difference.
    """
    W, b, X, Y = problem(features, samples)
    found = contenders(features, samples, size)
    reference = found["numpy"]()
    for f in found.values():
        weights = f()
        if weights is not None:
            np.testing.assert_allclose(weights, reference, rtol=1e-3, atol=1e-5)
    loss = notes_loss(np)

    def fit(passes):
        xg.minimize(loss, (W, b), (X, Y), method="adam", batch_size=size, max_iter=passes, tol=0.0)

    del found["xpgrad"]
    found |= {"one": lambda: fit(1), "several": lambda: fit(passes)}
    times = {name: [] for name in found}
    for _ in range(rounds):
        for name, f in found.items():
            start = time.process_time()
            f()
            times[name].append(1e6 * (time.process_time() - start))
    return times


def per_step(times, steps, passes=3):
    """For each contender the microseconds of a step, and what the fit takes besides, by medians and by minima.

    The difference between two fits is taken of their medians, or minima, and not in each round.
    """
    found = {}
    for statistic in (median, min):
        us = {name: statistic(x) for name, x in times.items()}
        one, several = us.pop("one"), us.pop("several")
        a_pass = (several - one) / (passes - 1)
        us["xpgrad"] = a_pass
        found[statistic.__name__] = {name: x / steps for name, x in us.items()} | {
            "setup of a fit": one - a_pass
        }
    return found


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
    times = microseconds(given.features, given.samples, given.batch, given.rounds)
    us = per_step(times, -(-given.samples // given.batch))
    for name, typical in us["median"].items():
        print(f"{name:<16} {typical:9.1f} us, least {us['min'][name]:9.1f}")
    if given.json:
        sizes = {"features": given.features, "samples": given.samples, "batch": given.batch}
        packages = ["numpy", *(["torch"] if "torch" in times else [])]
        report = {"conditions": conditions(packages), **sizes, "us_per_step": us}
        given.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
