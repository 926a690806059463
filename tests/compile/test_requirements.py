"""What a loss demands of its data is asked on every path: eager, compiled, at every order, and by minimize."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad import DataError, losses
from xpgrad.compiler import compile_step
from xpgrad.testing.tolerances import close, tolerance

RNG = np.random.default_rng(0)
N = 50
X = RNG.normal(size=(3, N))
ONES = np.ones(N)
P = np.full((2, N), 0.5)
EXACT = tolerance(np.float64).value


def at(y, i, value):
    y = np.array(y)
    y[..., i] = value
    return y


# For each loss: labels that hold and labels that do not, and what is said of them. With weights, those.
ENTRIES = [
    ("binary_cross_entropy", ONES, at(ONES, 7, -1.0), r"labels must be in \[0, 1\], got -1 at \[7\]"),
    ("binary_cross_entropy", ONES, at(ONES, 49, np.nan), r"labels must be in \[0, 1\], got nan at \[49\]"),
    ("hinge", ONES, at(ONES, 0, 0.0), r"labels must be -1 or 1, got 0 at \[0\]"),
    ("squared_hinge", ONES, at(ONES, 0, 2.0), r"labels must be -1 or 1, got 2 at \[0\]"),
    ("poisson_nll", ONES, at(ONES, 3, -2.0), r"labels must be 0 or more, got -2 at \[3\]"),
    ("gamma_nll", ONES, at(ONES, 3, 0.0), r"labels must be greater than 0, got 0 at \[3\]"),
]
CLASSES = [
    (
        "cross_entropy",
        np.ones(N, int),
        at(np.ones(N, int), 5, 2),
        r"labels must be classes 0 \.\.\. 1, got 2 at \[5\]",
    ),
    (
        "cross_entropy",
        P,
        at(P, 5, [1.5, -0.5]),
        r"labels must be in \[0, 1\], got 1.5 at \[0, 5\], and 1 other",
    ),
    ("kl_divergence", P, at(P, 5, 0.25), r"labels must sum to 1 along axis 0, got 0.5 at \[0, 5\]"),
]


def program(name):
    """A loss of parameters and data, and parameters to start from."""
    if any(name == n for n, *_ in CLASSES):
        return lambda w, X, y: getattr(losses, name)(w @ X, y, axis=0), np.zeros((2, 3))
    return lambda w, X, y: getattr(losses, name)(w @ X, y), np.zeros(3)


def weighted(w, X, wt):
    return losses.mean_squared_error(w @ X, np.ones(X.shape[1]), weights=wt)


CASES = [(*program(name), good, bad, f"{name}: {says}") for name, good, bad, says in ENTRIES + CLASSES] + [
    (
        weighted,
        np.zeros(3),
        ONES,
        at(ONES, 4, -1.0),
        r"mean_squared_error: weights must be 0 or more, got -1 at \[4\]",
    ),
    (weighted, np.zeros(3), ONES, 0 * ONES, "mean_squared_error: weights must not all be 0"),
]
IDS = [f"{i}-{case[-1].split(':')[0]}" for i, case in enumerate(CASES)]

CALLS = {
    "eager": lambda f, w, *data: f(w, *data),
    "eager gradient": lambda f, w, *data: xg.grad(f)(w, *data),
    "compiled": lambda f, w, *data: xg.compile(f)(w, *data),
    "compiled value and gradient": lambda f, w, *data: xg.compile(xg.value_and_grad(f))(w, *data),
    "compiled gradient": lambda f, w, *data: xg.compile(xg.grad(f))(w, *data),
    "compiled hessian": lambda f, w, *data: xg.compile(xg.hessian(f))(w, *data),
    "compiled jvp": lambda f, w, *data: xg.compile(lambda w: xg.jvp(lambda w: f(w, *data), (w,), (w + 1,)))(w),
    "compiled jvp of data": lambda f, w, *data: xg.compile(
        lambda w, *data: xg.jvp(lambda w: f(w, *data), (w,), (w + 1,))
    )(w, *data),
    "nan debugging": lambda f, w, *data: _debugged(f, w, *data),
    "lbfgs": lambda f, w, *data: xg.minimize(f, w, data, method="lbfgs", max_iter=3),
    "lbfgs line by line": lambda f, w, *data: xg.minimize(
        f, w, data, method="lbfgs", max_iter=3, compile=False
    ),
    "gd": lambda f, w, *data: xg.minimize(f, w, data, method="gd", max_iter=3),
    "optim.lbfgs": lambda f, w, *data: xg.optim.lbfgs(f, w, data, max_iter=3),
}


def _debugged(f, w, *data):
    with xg.debug(nans=True):
        return xg.compile(f)(w, *data)


# Every loss on the paths that people take; a few on the others.
USUAL = ("eager", "compiled value and gradient", "lbfgs")
FEW = (0, 8, 10)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("call", "case"),
    [(call, i) for call in CALLS for i in (range(len(CASES)) if call in USUAL else FEW)],
    ids=lambda x: x if isinstance(x, str) else IDS[x],
)
def test_data_that_a_loss_refuses_are_refused_on_every_path(call, case):
    f, w, good, bad, says = CASES[case]
    CALLS[call](f, w, X, good)
    with pytest.raises(DataError, match=says) as error:
        CALLS[call](f, w, X, bad)
    assert "at test_requirements.py:" in str(error.value)


@pytest.mark.parametrize("method", ["adam", "gd"])
@pytest.mark.parametrize("batch_size", [7, 25])
def test_minibatches_are_asked_before_the_first_step(method, batch_size):
    f, w = program("binary_cross_entropy")
    steps = []

    def fit(y):
        xg.minimize(
            f,
            w,
            (X, y),
            method=method,
            batch_size=batch_size,
            max_iter=2,
            callback=lambda info: steps.append(info),
        )

    fit(ONES)
    assert len(steps) == 2
    start = 42 // batch_size * batch_size
    which = f"in a batch of samples {start} to {min(start + batch_size, N) - 1}"
    with pytest.raises(DataError, match=rf"got 3 at \[{42 - start}\]\n(.|\n)*{which}"):
        fit(at(ONES, 42, 3.0))
    assert len(steps) == 2


def test_a_step_of_minimize_asks_nothing_of_the_data_again():
    """And so costs nothing more than the loss."""
    f, w = program("poisson_nll")
    step = compile_step(xg.value_and_grad(f), None)
    assert step.check(w, X, ONES)
    assert "all(" not in step.explain(w, X, ONES)
    assert "all(" in xg.compile(xg.value_and_grad(f)).explain(w, X, ONES)
    with pytest.raises(DataError):
        step.check(w, X, -ONES)
    value, gradient = step(w, X, -ONES)
    assert close(value, 1.0, EXACT)
    assert close(gradient, 2 * X.mean(axis=1), EXACT)


def test_a_loss_without_demands_is_not_asked():
    step = compile_step(lambda w, X: np.sum((w @ X) ** 2), None)
    assert not step.check(np.zeros(3), X)


def test_demands_on_what_the_parameters_make_are_asked_in_each_step():
    def f(w, y):
        return losses.poisson_nll(0 * y + w[0] * 0, y - w[1]) + (w[1] - 3) ** 2

    with pytest.raises(DataError, match="poisson_nll: labels must be 0 or more, got -"):
        xg.minimize(f, np.zeros(2), (ONES,), method="gd", max_iter=100)
    assert xg.minimize(f, np.zeros(2), (9 * ONES,), method="gd", max_iter=100).params[1] > 1


def test_labels_that_are_closed_over_are_asked_again_when_they_change():
    y = ONES.copy()
    f = xg.compile(xg.grad(lambda w, X: losses.hinge(w @ X, y)))
    f(np.zeros(3), X)
    y[3] = 0
    with pytest.raises(DataError, match=r"hinge: labels must be -1 or 1, got 0 at \[3\]"):
        f(np.zeros(3), X)


def test_labels_that_hold_after_labels_that_do_not():
    f, w = program("hinge")
    g = xg.compile(f)
    for _ in range(2):
        assert g(w, X, ONES) == 1.0
        with pytest.raises(DataError):
            g(w, X, 0 * ONES)
    assert len(g.traces) == 1


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_integer_labels_as_data_give_the_eager_loss_and_derivatives(axis):
    z = RNG.normal(size=(4, 6))
    labels = RNG.integers(0, z.shape[axis], z.shape[1 - axis % 2])
    p = np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)
    onehot = np.moveaxis(np.eye(z.shape[axis])[labels], -1, axis)
    for run in (lambda f: f, xg.compile):
        value, gradient = run(xg.value_and_grad(lambda z, y: losses.cross_entropy(z, y, axis=axis)))(z, labels)
        assert close(value, -np.log((p * onehot).sum(axis=axis)).mean(), EXACT)
        assert close(gradient, (p - onehot) / labels.size, EXACT)


def test_derivatives_pass_through_a_demand():
    """Of the loss in its labels: log-odds negated."""
    z = RNG.normal(size=6)
    y = RNG.uniform(0.2, 0.8, size=6)
    f = xg.grad(lambda y: losses.binary_cross_entropy(z, y, reduction="sum") ** 2 / 2)
    loss = np.sum(np.log1p(np.exp(z)) - y * z)
    for g in (f, xg.compile(f)):
        assert close(g(y), -z * loss, EXACT)
    for h in (xg.jacobian(f), xg.compile(xg.jacobian(f))):
        assert close(h(y), np.outer(z, z), EXACT)
