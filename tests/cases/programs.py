"""Functions in plain NumPy as people write them: what compile, explain and the GPU's generator are tested on.

``CASES`` maps a name to a Case. ``case.args(m, dtype)`` makes arguments of about ``m`` samples, the
floats in ``dtype``; ``case.f(*args)`` runs on plain and on traced arrays. ``case.kind`` says what a
compiler can make of it:

- ``"one pass"``: sums over the samples (or elementwise with a sum): each sample is read once;
- ``"two passes"``: what a first pass reduces the second one uses;
- ``"elementwise"``: large arrays in, large arrays out;
- ``"stencil"``: neighbours on a grid;
- ``"pairs"``: arrays of m by m;
- ``"nodes"``: something in it runs as a whole (cumsum, sort, fft, solve).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import xpgrad as xg


class Case(NamedTuple):
    """A function, how to make its arguments, and what a compiler can make of it.

    ``scalar`` says whether the result is a number that can be differentiated in argument 0.
    """

    f: Callable[..., Any]
    make: Callable[..., Any]
    kind: str
    scalar: bool

    def args(self, m=24, dtype=np.float64, seed=0):
        return _cast(self.make(np.random.default_rng(seed), m), dtype)


CASES: dict[str, Case] = {}


def _cast(tree, dtype):
    if isinstance(tree, (tuple, list)):
        return type(tree)(_cast(x, dtype) for x in tree)
    if isinstance(tree, dict):
        return {key: _cast(x, dtype) for key, x in tree.items()}
    return np.asarray(tree, dtype) if isinstance(tree, np.ndarray) and tree.dtype.kind == "f" else tree


def case(make, kind="one pass", scalar=True):
    """Enter the function below into ``CASES``, with ``make(rng, m)`` for its arguments."""

    def enter(f):
        CASES[f.__name__] = Case(f, make, kind, scalar)
        return f

    return enter


def _labels(r, m, k=3):
    return r.integers(0, k, size=m)


def _binary(r, *shape):
    return (r.random(shape) < 0.5).astype(float)


# ── regressions ──────────────────────────────────────────────────────────────────────────────
@case(lambda r, m: ((r.normal(size=(4, 1)), 0.1), r.normal(size=(4, m)), _binary(r, 1, m)))
def notes_loss_columns(params, X, Y):
    """The notes' logistic loss, samples in columns."""
    W, b = params
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


@case(lambda r, m: ((r.normal(size=4), np.array(0.1)), r.normal(size=(m, 4)), _binary(r, m)))
def notes_loss_rows(params, X, y):
    """The notes' logistic loss, samples in rows."""
    w, b = params
    a = 1 / (1 + np.exp(-(X @ w + b)))
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


@case(
    lambda r, m: (r.normal(size=(4, 1)), np.array(0.1), r.normal(size=(4, m)), _binary(r, 1, m)), scalar=False
)
def notes_step(W, b, X, Y):
    """The notes' forward and backward lines, written out."""
    m = X.shape[1]
    A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
    dz = A - Y
    dw = np.dot(X, dz.T) / m
    db = dz.sum() / m
    return W - 0.1 * dw, b - 0.1 * db


@case(lambda r, m: ((r.normal(size=(4, 3)), r.normal(size=(3, 1))), r.normal(size=(4, m)), _binary(r, 3, m)))
def several_outputs(params, X, Y):
    """Logistic loss of several binary outputs, bias in a column."""
    W, b = params
    Z = np.dot(W.T, X) + b
    return np.mean(np.sum(np.logaddexp(0, Z) - Y * Z, axis=0))


@case(lambda r, m: ((r.normal(size=(5, 3)), r.normal(size=3)), r.normal(size=(m, 5)), np.eye(3)[_labels(r, m)]))
def softmax_one_hot(params, X, Y):
    """Softmax regression with one-hot labels."""
    W, b = params
    Z = X @ W + b
    Z = Z - np.max(Z, axis=1, keepdims=True)
    P = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)
    return -np.mean(np.sum(Y * np.log(P), axis=1))


@case(lambda r, m: ((r.normal(size=(5, 3)), r.normal(size=3)), r.normal(size=(m, 5)), _labels(r, m)))
def softmax_integer_labels(params, X, y):
    """Softmax regression with integer labels."""
    W, b = params
    Z = X @ W + b
    top = Z.max(axis=1, keepdims=True)
    lse = top[:, 0] + np.log(np.exp(Z - top).sum(axis=1))
    return np.mean(lse - Z[np.arange(len(y)), y])


@case(
    lambda r, m: (
        (0.3 * r.normal(size=4), np.array(0.2)),
        r.normal(size=(m, 4)),
        r.poisson(2, m),
        1 + r.random(m),
    )
)
def poisson(params, X, counts, exposure):
    """Poisson regression with exposure."""
    w, b = params
    eta = X @ w + b + np.log(exposure)
    return np.mean(np.exp(eta) - counts * eta)


@case(lambda r, m: (r.normal(size=4), r.normal(size=(m, 4)), r.normal(size=m)))
def huber(w, X, y):
    """Huber's loss."""
    e = y - X @ w
    a = np.abs(e)
    return np.sum(np.where(a <= 1.345, 0.5 * e**2, 1.345 * (a - 0.5 * 1.345))) / len(y)


@case(lambda r, m: (r.normal(size=4), r.normal(size=(m, 4)), r.normal(size=m)))
def quantile(w, X, y):
    """Pinball loss of three quantiles at once."""
    q = np.array([0.1, 0.5, 0.9])
    e = y[:, None] - (X @ w)[:, None] - np.array([-1.0, 0.0, 1.0])
    return np.mean(np.maximum(q * e, (q - 1) * e))


@case(lambda r, m: ((r.normal(size=4), np.array(0.1)), r.normal(size=(m, 4)), 2 * _binary(r, m) - 1))
def svm_hinge(params, X, y):
    """Support vector machine: hinge loss and a ridge."""
    w, b = params
    return np.mean(np.maximum(0, 1 - y * (X @ w + b))) + 0.05 * np.dot(w, w)


@case(lambda r, m: (r.normal(size=4), r.normal(size=(m, 4)), r.normal(size=m), r.random(m)))
def weighted_elastic_net(w, X, y, weights):
    """Weighted least squares with ridge and lasso terms."""
    e = X @ w - y
    return 0.5 * np.sum(weights * e**2) / np.sum(weights) + 0.1 * np.sum(w**2) + 0.01 * np.sum(np.abs(w))


def _mlp(r, m):
    params = {
        "W1": r.normal(size=(5, 8)),
        "b1": r.normal(size=8),
        "W2": r.normal(size=(8, 3)),
        "b2": r.normal(size=3),
    }
    return params, r.normal(size=(m, 5)), _labels(r, m)


@case(_mlp)
def mlp(params, X, y):
    """A network with one hidden layer, parameters in a dict."""
    H = np.tanh(X @ params["W1"] + params["b1"])
    Z = H @ params["W2"] + params["b2"]
    lse = np.log(np.sum(np.exp(Z), axis=1))
    return np.mean(lse - np.take_along_axis(Z, y[:, None], axis=1)[:, 0])


@case(lambda r, m: (r.normal(size=4), 3 + 2 * r.normal(size=(m, 4)), r.normal(size=m)), kind="two passes")
def standardise_then_fit(w, X, y):
    """Mean and variance of each column first, then least squares on the standardised columns."""
    Xs = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 1e-3)
    return np.mean((Xs @ w - y) ** 2)


@case(
    lambda r, m: ((r.normal(size=(3, 2)), 0.1 * r.normal(size=(3, 2)), r.normal(size=3)), r.normal(size=(m, 2)))
)
def gaussian_mixture(params, X):
    """Log-likelihood of a Gaussian mixture with diagonal covariances."""
    mu, log_sigma, a = params
    z = (X[:, None, :] - mu) * np.exp(-log_sigma)
    log_p = -0.5 * np.sum(z**2, axis=2) - np.sum(log_sigma, axis=1) - np.log(2 * np.pi)
    log_w = a - np.log(np.sum(np.exp(a)))
    s = log_p + log_w
    top = np.max(s, axis=1, keepdims=True)
    return -np.mean(top[:, 0] + np.log(np.sum(np.exp(s - top), axis=1)))


@case(lambda r, m: (r.normal(size=(3, 2)), r.normal(size=(m, 2))))
def k_means(centres, X):
    """Sum of squared distances to the nearest centre."""
    d = np.sum(X**2, axis=1)[:, None] - 2 * X @ centres.T + np.sum(centres**2, axis=1)
    return np.mean(np.min(d, axis=1))


@case(lambda r, m: (r.normal(size=3), r.normal(size=(m, 3)), _binary(r, m)), kind="nodes")
def cox(w, X, event):
    """Cox's partial likelihood, samples by falling time: a cumulative sum over the samples."""
    eta = X @ w
    return -np.sum(event * (eta - np.log(np.cumsum(np.exp(eta))))) / len(eta)


@case(
    lambda r, m: (
        r.normal(size=(6, 2)),
        r.normal(size=(5, 2)),
        r.integers(0, 6, m),
        r.integers(0, 5, m),
        r.normal(size=m),
    )
)
def matrix_factorisation(U, V, rows, columns, ratings):
    """Ratings as products of rows of two tables."""
    e = np.sum(U[rows] * V[columns], axis=1) - ratings
    return np.mean(e**2) + 0.01 * (np.sum(U**2) + np.sum(V**2))


# ── formulas over large arrays ───────────────────────────────────────────────────────────────
@case(
    lambda r, m: (
        {"w": r.normal(size=3), "group": r.normal(size=(40, 2)), "level": r.normal(size=5)},
        r.normal(size=(m, 3)), r.integers(0, 40, m), r.integers(-5, 5, (m, 2)).astype(np.int8), _binary(r, m),
    )
)  # fmt: skip
def multilevel(params, X, group, levels, y):
    """Logistic regression with an intercept and a slope for each group, and two categorical columns."""
    of_group = params["group"][group]
    z = X @ params["w"] + of_group[:, 0] + of_group[:, 1] * X[:, 0]
    z = z + params["level"][levels[:, 0]] * params["level"][levels[:, 1]]
    prior = np.sum(params["group"] ** 2)
    return np.mean(np.logaddexp(0, z) - y * z) + 0.1 * prior


def _normal_cdf(x):
    """The normal distribution function by a logistic of a cubic (Page, 1977)."""
    return 1 / (1 + np.exp(-(1.5957691216 * x + 0.0713548162726 * x**3)))


def _options(r, m):
    return 90 + 20 * r.random(m), 90 + 20 * r.random(m), 0.5 + r.random(m), 0.02, 0.1 + 0.3 * r.random(m)


@case(_options, kind="elementwise", scalar=False)
def black_scholes(S, K, T, r, sigma):
    """Prices of calls and puts."""
    d1 = (np.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    call = S * _normal_cdf(d1) - K * np.exp(-r * T) * _normal_cdf(d2)
    return call, call - S + K * np.exp(-r * T)


@case(_options, kind="elementwise", scalar=False)
def black_scholes_greeks(S, K, T, r, sigma):
    """Delta and vega of calls, as gradients of the sum of prices."""
    price = lambda S, sigma: np.sum(black_scholes(S, K, T, r, sigma)[0])
    return xg.grad(price, argnums=(0, 1))(S, sigma)


@case(lambda r, m: (r.normal(size=m),), kind="stencil")
def rosenbrock(x):
    """Rosenbrock's valley."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@case(lambda r, m: (r.normal(size=m), r.normal(size=m)), kind="elementwise", scalar=False)
def polar(x, y):
    """Modulus, angle and a mask of points in the plane."""
    rho = np.hypot(x, y)
    return {"rho": rho, "phi": np.arctan2(y, x), "inside": rho < 1}


@case(lambda r, m: (r.normal(size=(m, 3)), r.normal(size=3)), kind="elementwise", scalar=False)
def broadcast_table(X, shift):
    """A table of features with new columns."""
    Z = np.tanh(X - shift)
    return np.concatenate([Z, Z**2, np.exp(-Z[:, :1])], axis=1)


@case(lambda r, m: (r.normal(size=(2, m)),), kind="two passes", scalar=False)
def correlation(X):
    """Correlation of two long series."""
    d = X - X.mean(axis=1, keepdims=True)
    c = d @ d.T / X.shape[1]
    s = np.sqrt(np.diagonal(c))
    return c / np.outer(s, s)


# ── grids ────────────────────────────────────────────────────────────────────────────────────
@case(lambda r, m: (r.normal(size=m), 0.2), kind="stencil", scalar=False)
def heat_step(u, k):
    """A step of the heat equation, the interior updated in place."""
    u = u.copy()
    u[1:-1] = u[1:-1] + k * (u[2:] - 2 * u[1:-1] + u[:-2])
    u[0] = 0
    u[-1] = 0
    return u


@case(lambda r, m: (r.normal(size=(m, 9)), r.normal(size=(m, 9))), kind="stencil", scalar=False)
def wave_step(u, before):
    """A step of the wave equation on a grid, edges held."""
    after = u.copy()
    laplacian = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
    after[1:-1, 1:-1] = 2 * u[1:-1, 1:-1] - before[1:-1, 1:-1] + 0.25 * laplacian
    return after, u


@case(lambda r, m: (1 + 0.1 * r.random(m), 0.1 * r.normal(size=m)), kind="stencil", scalar=False)
def shallow_water_step(h, v):
    """A Lax-Friedrichs step of the shallow water equations, periodic."""
    q = h * v
    flux = q * v + 0.5 * 9.81 * h**2
    left, right = lambda a: np.roll(a, 1), lambda a: np.roll(a, -1)
    new_h = 0.5 * (left(h) + right(h)) - 0.05 * (right(q) - left(q))
    new_q = 0.5 * (left(q) + right(q)) - 0.05 * (right(flux) - left(flux))
    return new_h, new_q / new_h


@case(lambda r, m: (r.random((m, 8)), r.random((m, 8))), kind="stencil", scalar=False)
def gray_scott_step(u, v):
    """A step of Gray and Scott's reaction and diffusion, periodic by np.roll."""
    lap = lambda a: sum(np.roll(a, s, axis) for s in (1, -1) for axis in (0, 1)) - 4 * a
    uvv = u * v * v
    return u + 0.16 * lap(u) - uvv + 0.06 * (1 - u), v + 0.08 * lap(v) + uvv - (0.06 + 0.062) * v


@case(lambda r, m: (r.random((m + 2, 9)),), kind="stencil", scalar=False)
def gray_scott_in_place(u):
    """Diffusion and decay on a padded grid, updated with += on the interior."""
    w = u.copy()
    w[1:-1, 1:-1] += 0.16 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1])
    w[1:-1, 1:-1] -= 0.06 * u[1:-1, 1:-1] ** 3
    w[0, :] = w[-2, :]
    w[-1, :] = w[1, :]
    return w


@case(lambda r, m: (r.random((m, 11)),), kind="stencil", scalar=False)
def gradient_magnitude(image):
    """Modulus of the image's gradient by central differences."""
    gx = 0.5 * (image[1:-1, 2:] - image[1:-1, :-2])
    gy = 0.5 * (image[2:, 1:-1] - image[:-2, 1:-1])
    return np.sqrt(gx**2 + gy**2 + 1e-6)


@case(lambda r, m: (r.random((m, 7)),), kind="stencil", scalar=False)
def nine_points(a):
    """The mean of nine neighbours, corners included, negative entries of the result set to 0."""
    n, k = a.shape
    out = np.zeros_like(a)
    inner = sum(a[i : n - 2 + i, j : k - 2 + j] for i in range(3) for j in range(3)) / 9 - 0.4
    out[1:-1, 1:-1] = inner
    out[out < 0] = 0
    return out


@case(lambda r, m: (r.normal(size=m + 1),), kind="stencil")
def total_variation(x):
    """Smoothed total variation and a data term."""
    return np.sum(np.sqrt(np.diff(x) ** 2 + 1e-2)) + 0.5 * np.sum((x - 1) ** 2)


@case(lambda r, m: (r.normal(size=m + 4),), kind="stencil", scalar=False)
def autocorrelation(x):
    """The first autocorrelations of a series, by slices."""
    d = x - np.mean(x)
    return np.stack([np.sum(d[k:] * d[: len(x) - k]) for k in range(4)]) / np.sum(d * d)


# ── pairs ────────────────────────────────────────────────────────────────────────────────────
@case(lambda r, m: (r.normal(size=(m, 3)), 1 + r.random(m)), kind="pairs", scalar=False)
def n_body(x, mass):
    """Forces between all pairs of bodies, softened."""
    d = x[None, :, :] - x[:, None, :]
    r2 = np.sum(d**2, axis=2) + 0.01
    return np.sum(d * (mass[None, :] * r2**-1.5)[:, :, None], axis=1) * mass[:, None]


@case(
    lambda r, m: (r.normal(size=(m, 4)), r.normal(size=(m, 4)), r.normal(size=(m, 2))),
    kind="pairs",
    scalar=False,
)
def attention(Q, K, V):
    """Attention: a softmax in each row of an (m, m) array, then a product."""
    S = Q @ K.T / np.sqrt(Q.shape[1])
    P = np.exp(S - np.max(S, axis=1, keepdims=True))
    return (P / np.sum(P, axis=1, keepdims=True)) @ V


@case(lambda r, m: (r.normal(size=(m, 2)), r.normal(size=m)), kind="pairs")
def kernel_energy(X, a):
    """A quadratic form in a Gaussian kernel."""
    n = np.sum(X**2, axis=1)
    return a @ np.exp(-0.5 * (n[:, None] + n[None, :] - 2 * X @ X.T)) @ a


# ── as a whole ───────────────────────────────────────────────────────────────────────────────
@case(lambda r, m: (r.normal(size=m), r.normal(size=m)), kind="nodes")
def spectral_distance(x, y):
    """Distance of two power spectra."""
    return np.mean((np.abs(np.fft.rfft(x)) ** 2 - np.abs(np.fft.rfft(y)) ** 2) ** 2) / len(x) ** 2


@case(lambda r, m: (np.array(0.3), r.normal(size=(m, 4)), r.normal(size=m)), kind="nodes")
def ridge_by_solve(log_penalty, X, y):
    """Residual of a ridge regression solved by the normal equations."""
    A = X.T @ X + np.exp(log_penalty) * np.eye(4)
    return np.mean((X @ np.linalg.solve(A, X.T @ y) - y) ** 2)


@case(lambda r, m: (r.normal(size=m), 0.1 + r.random(m)), kind="nodes")
def gini(x, weights):
    """A weighted sum of order statistics."""
    return np.sum(weights * np.sort(np.exp(x))) / np.sum(np.exp(x))


# ── derivatives ──────────────────────────────────────────────────────────────────────────────
_fit = CASES["notes_loss_columns"].make


@case(_fit, scalar=False)
def logistic_value_and_gradient(params, X, Y):
    """Value and gradient of the notes' loss: X is to be read once."""
    return xg.value_and_grad(notes_loss_columns)(params, X, Y)


@case(lambda r, m: (r.normal(size=4), r.normal(size=(m, 4)), _binary(r, m), r.normal(size=4)), scalar=False)
def logistic_hessian_product(w, X, y, v):
    """The Hessian of a logistic loss times a vector."""
    return xg.hvp(lambda w: np.mean(np.logaddexp(0, X @ w) - y * (X @ w)))(w, v)


@case(lambda r, m: (r.normal(size=3), r.normal(size=(m, 3))), scalar=False)
def jacobian_of_moments(w, X):
    """Jacobian of two moments of a projection."""

    def moments(w):
        z = np.tanh(X @ w)
        return np.stack([np.mean(z), np.mean(z**2)])

    return xg.jacobian(moments)(w)


@case(_mlp, scalar=False)
def mlp_value_and_gradient(params, X, y):
    """Value and gradient of the network's loss, in a dict."""
    return xg.value_and_grad(mlp)(params, X, y)


@case(lambda r, m: (r.normal(size=m),), kind="stencil", scalar=False)
def rosenbrock_gradient(x):
    """Value and gradient of Rosenbrock's valley."""
    return xg.value_and_grad(rosenbrock)(x)


@case(lambda r, m: (r.normal(size=m), 0.2), kind="stencil", scalar=False)
def heat_adjoint(u, k):
    """Gradient of the final energy in the initial temperatures, two steps in place."""
    return xg.grad(lambda u: np.sum(heat_step(heat_step(u, k), k) ** 2))(u)
