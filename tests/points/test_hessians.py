"""Hessians of the losses that people fit, at the point where they start: all weights 0.

Against closed forms, ``X D X' / m`` with the curvature of each sample in D, and for networks against
differences of a hundred digits. By `hessian` and by `hvp`, and compiled, which differentiates stable forms.
"""

import os
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest

import xpgrad as xg
from points.references import whole
from points.test_elementwise import GENERATORS
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value
N, M, K = 3, 20, 3
_rng = np.random.default_rng(0)
X = _rng.normal(size=(N, M))
Y = (X[0] > 0).astype(float)
SIGNS = 2 * Y - 1
COUNTS = _rng.poisson(2.0, M).astype(float)
R = _rng.normal(size=M)
LABELS = _rng.integers(0, K, M)
ONE_HOT = np.eye(K)[LABELS].T


def curved(d):
    """``X diag(d) X' / m``."""
    return (X * d) @ X.T / M


# ── one weight for each feature ──────────────────────────────────────────────────────────────
def _notes(w):
    A = 1 / (1 + np.exp(-(w @ X)))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


LINEAR = {
    "the notes": (_notes, 1 / 4),
    "logaddexp": (lambda w: np.mean(np.logaddexp(0.0, w @ X) - Y * (w @ X)), 1 / 4),
    "log of 1 + exp": (lambda w: np.mean(np.log(1 + np.exp(w @ X)) - Y * (w @ X)), 1 / 4),
    "log1p of exp": (lambda w: np.mean(np.log1p(np.exp(-SIGNS * (w @ X)))), 1 / 4),
    "tanh": (lambda w: -np.mean(np.log((1 + SIGNS * np.tanh(w @ X / 2)) / 2)), 1 / 4),
    "binary_cross_entropy": (lambda w: xg.losses.binary_cross_entropy(w @ X, Y), 1 / 4),
    "probit": (lambda w: -np.mean(xg.special.log_ndtr(SIGNS * (w @ X))), 2 / np.pi),
    "poisson": (lambda w: np.mean(np.exp(w @ X) - COUNTS * (w @ X)), 1.0),
    "poisson_nll": (lambda w: xg.losses.poisson_nll(w @ X, COUNTS), 1.0),
    "gamma_nll": (lambda w: xg.losses.gamma_nll(w @ X, np.exp(R)), np.exp(R)),
    "mean_squared_error": (lambda w: xg.losses.mean_squared_error(w @ X, R), 2.0),
    "huber": (lambda w: xg.losses.huber(w @ X, R), abs(R) < 1),
    "huber of where": (lambda w: np.mean(_huber(w @ X - R)), abs(R) < 1),
    "log_cosh": (lambda w: xg.losses.log_cosh(w @ X, R), 1 / np.cosh(R) ** 2),
    "normal_nll": (lambda w: xg.losses.normal_nll(w @ X, R), 1.0),
    "hinge": (lambda w: xg.losses.hinge(w @ X, SIGNS), 0.0),
    "squared_hinge": (lambda w: xg.losses.squared_hinge(w @ X, SIGNS), 2.0),
    "hinge of maximum": (lambda w: np.mean(np.maximum(0.0, 1 - SIGNS * (w @ X)) ** 2), 2.0),
}


def _huber(d):
    return np.where(abs(d) <= 1, d * d / 2, abs(d) - 1 / 2)


# ── a weight for each feature and class ──────────────────────────────────────────────────────
def _logits(w):
    return w.reshape(K, N) @ X


def _softmax_of_the_notes(w):
    E = np.exp(_logits(w))
    return -np.sum(ONE_HOT * np.log(E / np.sum(E, axis=0))) / M


def _shifted(w):
    Z = _logits(w)
    top = np.max(Z, axis=0)
    return np.mean(np.log(np.sum(np.exp(Z - top), axis=0)) + top - np.sum(ONE_HOT * Z, axis=0))


CLASSES = {
    "softmax of the notes": _softmax_of_the_notes,
    "the maximum taken off": _shifted,
    "logsumexp": lambda w: np.mean(
        xg.special.logsumexp(_logits(w), axis=0) - np.sum(ONE_HOT * _logits(w), axis=0)
    ),
    "cross_entropy": lambda w: xg.losses.cross_entropy(_logits(w), LABELS, axis=0),
    "cross_entropy of shares": lambda w: xg.losses.cross_entropy(_logits(w), ONE_HOT, axis=0),
    "kl_divergence": lambda w: xg.losses.kl_divergence(_logits(w), ONE_HOT, axis=0),
}

CASES = {name: (f, np.zeros(N), curved(d)) for name, (f, d) in LINEAR.items()} | {
    name: (f, np.zeros(K * N), np.kron(np.eye(K) / K - 1 / K**2, curved(1.0))) for name, f in CLASSES.items()
}


def by_hvp(f):
    return lambda w: np.stack([xg.hvp(f)(w, e) for e in np.eye(w.size)])


@pytest.mark.parametrize("name", CASES)
def test_the_hessian_at_0_is_the_formulas(name):
    f, w, expected = CASES[name]
    assert close(xg.hessian(f)(w), expected, EXACT)
    assert close(by_hvp(f)(w), expected, EXACT)


# One of so many losses: each is a program of a few kernels.
SHARES = {
    "interpreter": 1,
    "definition": 3,
    "llvm": 3 if os.environ.get("XPGRAD_TEST_SHARE", "1") == "1" else 8,
    "cuda": 6,
}


@pytest.mark.parametrize("generator", GENERATORS)
def test_compiled_the_hessians_at_0_are_the_formulas(generator):
    names = list(CASES)[:: SHARES[generator.name]]

    def run(ws, vs):
        return [xg.hvp(CASES[name][0])(w, v) for name, w, v in zip(names, ws, vs, strict=True)]

    ws = [CASES[name][1] for name in names]
    vs = [np.arange(1.0, w.size + 1) for w in ws]
    for name, found, v in zip(names, generator.compile(run)(ws, vs), vs, strict=True):
        assert close(found, CASES[name][2] @ v, EXACT), name


def test_the_gauss_newton_product_is_the_formulas():
    def model(w):
        return w @ X

    def loss(z):
        return np.mean(np.logaddexp(0.0, z) - Y * z)

    def product(w, v):
        z, pullback = xg.vjp(model, w)
        return pullback(xg.hvp(loss)(z, xg.jvp(model, (w,), (v,))[1]))[0]

    v = np.arange(1.0, N + 1)
    for f in (product, xg.compile(product)):
        assert close(f(np.zeros(N), v), curved(1 / 4) @ v, EXACT)


# ── networks ─────────────────────────────────────────────────────────────────────────────────
ACTIVATIONS = {
    "tanh": (np.tanh, mp.tanh),
    "sigmoid": (xg.nn.sigmoid, lambda x: 1 / (1 + mp.exp(-x))),
    "softplus": (xg.nn.softplus, lambda x: mp.log(1 + mp.exp(x))),
    "gelu": (xg.nn.gelu, lambda x: x * mp.ncdf(x)),
    "silu": (xg.nn.silu, lambda x: x / (1 + mp.exp(-x))),
    "mish": (xg.nn.mish, lambda x: x * mp.tanh(mp.log(1 + mp.exp(x)))),
    "sin": (np.sin, mp.sin),
    "of relu": (lambda x: xg.nn.relu(x) ** 2, lambda x: max(x, 0) ** 2),
}
INPUTS, TARGETS = X[:2, :3], R[:3]
_SIZES = [4, 2, 2, 1]  # W (2, 2), b (2,), v (2,), c
_ENDS = np.cumsum([0, *_SIZES])
# Where training starts: all weights 0, or those of the last layer alone not.
STARTS = [np.zeros(9), np.array([0.0] * 6 + [0.5, -1.5, 0.25])]


def _network(act):
    def loss(p):
        W, b, v, c = (p[lo:hi] for lo, hi in pairwise(_ENDS))
        hidden = act(W.reshape(2, 2) @ INPUTS + b.reshape(2, 1))
        return np.mean((v @ hidden + c - TARGETS) ** 2)

    return loss


def _exact(act):
    """The same in mpmath, of a list of parameters."""
    data, targets = INPUTS.T.tolist(), TARGETS.tolist()

    def loss(p):
        total = mp.mpf(0)
        for x, y in zip(data, targets, strict=True):
            hidden = [act(p[2 * j] * x[0] + p[2 * j + 1] * x[1] + p[4 + j]) for j in range(2)]
            total += (p[6] * hidden[0] + p[7] * hidden[1] + p[8] - y) ** 2
        return total / len(targets)

    return loss


def _curvature(name, start):
    return whole(_exact(ACTIVATIONS[name][1]), start)[2]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_hessian_of_a_network_with_weights_0_is_right(name):
    act, _ = ACTIVATIONS[name]
    for start in STARTS:
        if name == "of relu" and start.any():
            continue  # no second derivative: each side has its own
        assert close(xg.hessian(_network(act))(start), _curvature(name, start), EXACT)


@pytest.mark.parametrize("generator", GENERATORS[:1])
def test_compiled_the_hessians_of_networks_with_weights_0_are_right(generator):
    names = [name for name in ACTIVATIONS if name != "of relu"]

    def run(p, v):
        return [xg.hvp(_network(ACTIVATIONS[name][0]))(p, v) for name in names]

    v, compiled = np.arange(1.0, 10.0), generator.compile(run)
    for start in STARTS:
        for name, found in zip(names, compiled(start, v), strict=True):
            assert close(found, _curvature(name, start) @ v, EXACT), name


def test_the_hessian_of_a_relu_network_with_weights_0_has_the_share_of_its_last_constant_alone():
    expected = np.zeros((9, 9))
    expected[8, 8] = 2
    for start in STARTS:
        assert close(xg.hessian(_network(xg.nn.relu))(start), expected, EXACT)
