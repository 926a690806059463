"""`minimize` compiles the loss: once for each shape, with the same results, and says so where it cannot."""

from types import SimpleNamespace

import numpy as np
import pytest

import xpgrad as xg
from xpgrad import NumericsError, ShapeError, TraceError
from xpgrad.backends import choose
from xpgrad.optim import lbfgs, minimize
from xpgrad.testing import close, tolerance

METHODS = ["gd", "momentum", "adam", "adamw", "lbfgs"]
EXACT = tolerance(np.float64).value


def counted(loss):
    """The loss, and how often Python has run it."""
    calls = SimpleNamespace(n=0)

    def f(*args):
        calls.n += 1
        return loss(*args)

    return f, calls


def branchy(w, X):
    d = np.mean((X - w) ** 2)
    if d > 1:  # the line that is named
        return d
    return 2 * d


X = np.array([1.0, 2.0, 3.0])


@pytest.fixture(params=["interpreter", "llvm"])
def generator(request):
    with choose.use("auto"):
        if request.param == "llvm" and choose.generator()[0] != "llvm":
            pytest.skip(choose.generator()[1])
    with choose.use(request.param):
        yield request.param


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_traced_once_however_many_steps_there_are(method, logistic):
    loss, start, data = logistic
    f, calls = counted(loss)
    fit = minimize(f, start, data, method=method, max_iter=20, tol=0.0)
    assert fit.history[-1].evaluations >= 20
    assert calls.n == 1


def test_minibatches_are_traced_for_two_shapes_at_most(logistic):
    loss, start, data = logistic
    f, calls = counted(loss)
    minimize(f, start, data, method="adam", batch_size=70, max_iter=4)
    assert calls.n == 2


@pytest.mark.parametrize("method", METHODS)
def test_compiled_and_line_by_line_agree(method, logistic, generator):
    loss, start, data = logistic
    runs = {"method": method, "max_iter": 12, "tol": 0.0}
    a, b = (minimize(loss, start, data, compile=flag, **runs) for flag in (True, False))
    assert close([r.value for r in a.history], [r.value for r in b.history], 1e3 * EXACT)
    assert a.message.split("norm")[0] == b.message.split("norm")[0]
    for p, q in zip(a.params, b.params, strict=True):
        assert type(p) is type(q)
        np.testing.assert_allclose(p, q, rtol=1e-6, atol=1e-8)


def test_a_fit_has_the_same_bits_whatever_the_number_of_threads(monkeypatch):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, 200_000)), rng.normal(size=200_000)
    bits = set()
    for threads in ("1", "2", "7"):
        monkeypatch.setenv("XPGRAD_NUM_THREADS", threads)
        fit = minimize(lambda w, X, Y: np.mean(np.log(np.cosh(w @ X - Y))), np.zeros(5), (X, Y), method="lbfgs")
        bits.add(fit.params.tobytes())
    assert len(bits) == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_that_looks_at_numbers_is_run_line_by_line_with_a_warning_that_names_the_line(method):
    with pytest.warns(
        RuntimeWarning, match=r"cannot be compiled[\s\S]*test_compiled.py:\d+: if d > 1:"
    ) as caught:
        fit = minimize(branchy, 0.0, (X,), method=method, max_iter=5)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "compile=False" in str(caught[0].message)
    assert "; the loss was not compiled: " in fit.message
    assert "if d > 1:" in fit.message
    eager = minimize(branchy, 0.0, (X,), method=method, max_iter=5, compile=False)
    assert fit.params == eager.params
    assert [r.value for r in fit.history] == [r.value for r in eager.history]


def test_one_warning_does_for_all_batches():
    with pytest.warns(RuntimeWarning) as caught:
        minimize(branchy, 0.0, (X,), method="gd", batch_size=2, max_iter=3)
    assert len(caught) == 1


def test_a_loss_that_draws_random_numbers_is_run_line_by_line():
    rng = np.random.default_rng(0)

    def noisy(w, X):
        return np.mean((X - w + rng.normal(size=3)) ** 2)

    with pytest.warns(RuntimeWarning, match="draws random numbers"):
        fit = minimize(noisy, 0.0, (X,), method="gd", max_iter=3)
    assert "random numbers" in fit.message


def test_with_compile_true_a_loss_that_cannot_be_compiled_is_an_error():
    with pytest.raises(TraceError, match=r"if d > 1:"):
        minimize(branchy, 0.0, (X,), method="gd", compile=True)


def test_with_compile_false_each_evaluation_runs_the_loss(logistic):
    loss, start, data = logistic
    f, calls = counted(loss)
    fit = minimize(f, start, data, method="gd", max_iter=5, compile=False)
    assert calls.n == fit.history[-1].evaluations == 6
    assert "compiled" not in fit.message


def test_lbfgs_by_itself_compiles_and_warns_under_its_name(logistic):
    f, calls = counted(logistic[0])
    lbfgs(f, *logistic[1:])
    assert calls.n == 1
    with pytest.warns(RuntimeWarning, match=r"^lbfgs: the loss cannot be compiled"):
        lbfgs(branchy, 0.0, (X,))


class Mine(Exception):
    pass


def test_an_error_of_the_loss_itself_goes_up_as_it_is():
    def broken(w, X):
        raise Mine("mine")

    with pytest.raises(Mine) as caught:
        minimize(broken, 0.0, (X,), method="gd")
    assert caught.value.__context__ is None


def test_a_mistake_that_line_by_line_shows_too_is_an_error_without_a_warning():
    def stored(w, X):
        out = np.zeros(3)
        out[0] = w
        return np.sum(out)

    with pytest.raises(TraceError, match=r"out\[0\] = w"):  # a warning would be an error of its own
        minimize(stored, 0.0, (X,), method="gd")


def test_a_loss_of_the_wrong_shape_is_refused_as_before():
    with pytest.raises(ShapeError, match="must return a scalar"):
        minimize(lambda w, X: X - w, 0.0, (X,), method="gd", compile=True)


def test_within_debug_the_line_that_made_a_nan_is_named():
    def bad(w, X):
        return np.mean(np.log(w - X))

    with xg.debug(nans=True), np.errstate(all="ignore"), pytest.raises(NumericsError, match=r"np.log\(w - X\)"):
        minimize(bad, 0.0, (X,), method="gd")


def test_a_number_that_a_callback_changes_is_seen():
    weight = 1.0

    def loss(w, X):
        return weight * np.mean((X - w) ** 2)

    def callback(info):
        nonlocal weight
        weight = 0.0

    fit = minimize(loss, 0.0, (X,), method="gd", callback=callback)
    assert (fit.value, fit.n_iter) == (0.0, 2)


def test_a_loss_may_be_compiled_already(logistic):
    loss, start, data = logistic
    a, b = (minimize(f, start, data, method="lbfgs") for f in (loss, xg.compile(loss)))
    assert np.array_equal(a.params[0], b.params[0])


@pytest.mark.parametrize("value", ["auto", 1, np.ones(2)])
def test_another_choice_than_true_false_and_none_is_refused(value):
    with pytest.raises(ValueError, match="compile must be True, False or None"):
        minimize(branchy, 0.0, (X,), method="gd", compile=value)
