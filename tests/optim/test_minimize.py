"""What `minimize` does for every method: steps, ends, history, callback."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.optim import Fit, Info, Record, adam, minimize
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value
METHODS = ["gd", "momentum", "adam", "adamw", "lbfgs"]
RATES = {"gd": 0.1, "momentum": 0.02, "adam": 0.05, "adamw": 0.05, "lbfgs": None}


def quadratic(x, c):
    return np.sum((x - c) ** 2)


def test_gradient_descent_on_a_quadratic_shrinks_the_error_by_a_known_factor(put):
    c = np.array([1.0, -2.0, 3.0])
    fit = minimize(quadratic, put(np.zeros(3)), (put(c),), method="gd", learning_rate=0.1, max_iter=5)
    assert close(xg.asnumpy(fit.params), c * (1 - 0.8**5), EXACT)
    assert close([r.value for r in fit.history], [14 * 0.8 ** (2 * k) for k in range(6)], EXACT)
    assert close([r.gradient_norm for r in fit.history], [6 * 0.8**k for k in range(6)], EXACT)
    assert [(r.iteration, r.evaluations) for r in fit.history] == [(k, k + 1) for k in range(6)]
    assert fit.value == fit.history[-1].value
    assert (fit.n_iter, fit.converged) == (5, False)
    assert fit.message == "stopped at max_iter=5 with gradient norm 1.97; raise max_iter to go on"


def test_the_value_is_the_loss_at_the_parameters(logistic):
    loss, start, data = logistic
    for method in METHODS:
        fit = minimize(loss, start, data, method=method, max_iter=7)
        assert close(loss(fit.params, *data), fit.value, EXACT), method


def test_adam_through_minimize_is_adam_by_hand():
    optimizer = adam(0.1)
    x, state = np.zeros(2), optimizer.init(np.zeros(2))
    for _ in range(4):
        x, state = optimizer.update(xg.grad(quadratic)(x, 3.0), state, x)
    fit = minimize(quadratic, np.zeros(2), (3.0,), method="adam", learning_rate=0.1, max_iter=4)
    assert np.array_equal(fit.params, x)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_fits_a_logistic_regression(method, logistic, put):
    loss, start, data = logistic
    rate = None if method == "lbfgs" else {"gd": 0.3, "momentum": 0.1}.get(method, 0.02)
    fit = minimize(loss, put(start), put(data), method=method, learning_rate=rate, max_iter=2000, tol=1e-4)
    best = minimize(loss, start, data, method="lbfgs", tol=1e-8).value
    slack = 1e-3 if method == "adamw" else 1e-6  # its weight decay moves the minimum
    assert best - 1e-12 <= fit.value <= best + slack
    assert fit.converged is (method != "adamw")


@pytest.mark.parametrize("method", METHODS)
def test_convergence_by_the_gradient_says_so(method):
    start = np.array([1e-6, 0.0])
    fit = minimize(lambda x: np.sum(x**2), start, method=method)
    assert (fit.converged, fit.n_iter) == (True, 0)
    assert fit.message == "converged: the gradient norm 2e-06 is within tol=1e-05"
    assert fit.params is not start


@pytest.mark.parametrize("method", METHODS)
def test_arrays_of_the_user_are_never_written_to_nor_given_back(method, put, logistic):
    loss, start, data = logistic
    before = [x.copy() for x in (*start, *data)]
    start, data = put(start), put(data)
    for batch_size in (None,) if method == "lbfgs" else (None, 50):
        fit = minimize(loss, start, data, method=method, max_iter=3, batch_size=batch_size)
        assert all(np.array_equal(x, y) for x, y in zip(xg.asnumpy((*start, *data)), before, strict=True))
        assert not any(p is q for p, q in zip(fit.params, start, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_a_callback_sees_each_iteration_and_cannot_disturb_it(method):
    seen = []

    def callback(info):
        seen.append(info)
        info.params[:] = np.nan

    options = {"method": method, "learning_rate": RATES[method], "max_iter": 4, "tol": 0.0}
    fit = minimize(lambda x: np.sum((x - 1) ** 4), np.zeros(2), callback=callback, **options)
    assert [type(info) for info in seen] == [Info] * 4
    assert [(i.iteration, i.value, i.evaluations) for i in seen] == [
        (r.iteration, r.value, r.evaluations) for r in fit.history[1:]
    ]
    assert fit.history == tuple(r for r in fit.history if type(r) is Record)
    assert np.isfinite(fit.params).all()


@pytest.mark.parametrize("answer", [True, np.True_])
@pytest.mark.parametrize("method", METHODS)
def test_a_callback_that_returns_true_stops(method, answer):
    options = {"method": method, "learning_rate": RATES[method], "tol": 0.0}
    loss = lambda x: np.sum((x - 1) ** 4)
    fit = minimize(loss, np.zeros(2), callback=lambda info: info.iteration == 3 and answer, **options)
    assert (fit.n_iter, fit.converged) == (3, False)
    assert fit.message == "stopped by the callback at iteration 3"


def test_a_callback_that_returns_anything_else_does_not_stop():
    fit = minimize(quadratic, 0.0, (1.0,), method="gd", max_iter=3, callback=lambda info: "true")
    assert fit.n_iter == 3


@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt()])
@pytest.mark.parametrize("method", METHODS)
def test_what_a_callback_raises_goes_up(method, error):
    def callback(info):
        raise error

    with pytest.raises(type(error)) as caught:
        minimize(quadratic, 0.0, (1.0,), method=method, callback=callback)
    assert caught.value is error


@pytest.mark.parametrize("method", ["gd", "momentum"])
def test_divergence_ends_at_the_last_finite_loss_with_the_remedy(method):
    loss = lambda x: np.sum(x**4)
    with np.errstate(all="ignore"):
        fit = minimize(loss, np.full(2, 3.0), method=method, learning_rate=1.0)
    k = fit.n_iter
    assert not fit.converged
    assert not np.isfinite(fit.history[-1].value)
    assert np.isfinite(fit.params).all()
    assert fit.value == loss(fit.params) == fit.history[-2].value
    assert fit.message.startswith(f"diverged: the loss is {fit.history[-1].value} after step {k}; ")
    assert fit.message.endswith(f"the parameters are those after step {k - 1}; try a smaller learning_rate")


def test_divergence_in_the_first_step_gives_back_the_start():
    with np.errstate(all="ignore"):
        fit = minimize(lambda x: np.sqrt(x), 1e-9, method="gd", learning_rate=1.0)
    assert fit.params == 1e-9
    assert "after step 1; the parameters are those given;" in fit.message


def test_a_gradient_without_numbers_ends_where_it_is():
    with np.errstate(all="ignore"):
        fit = minimize(lambda x: np.sum(np.sqrt(x)), np.array([4.0, 1.0]), method="gd", learning_rate=2.0)
    assert fit.message.startswith("diverged: the gradient has inf after step 1")
    assert np.array_equal(fit.params, [3.5, 0.0])
    assert fit.value == np.sqrt(3.5)


@pytest.mark.parametrize("method", METHODS)
def test_a_nan_at_the_start_is_told_and_nothing_is_done(method):
    with np.errstate(all="ignore"):
        fit = minimize(lambda x: np.log(x), -1.0, method=method)
    assert (fit.converged, fit.n_iter, fit.params) == (False, 0, -1.0)
    assert fit.message.startswith("the loss is nan at the given parameters")


@pytest.mark.parametrize("method", METHODS)
def test_the_same_call_gives_the_same_bits(method, logistic):
    loss, start, data = logistic
    a, b = (minimize(loss, start, data, method=method, max_iter=20) for _ in range(2))
    assert [r.value for r in a.history] == [r.value for r in b.history]
    assert all(np.array_equal(p, q) for p, q in zip(a.params, b.params, strict=True))


def test_a_schedule_counts_steps():
    asked = []
    minimize(quadratic, 0.0, (1.0,), method="gd", learning_rate=lambda k: asked.append(k) or 0.1, max_iter=3)
    assert asked == [0, 1, 2]


def test_data_may_be_a_list_and_hold_what_is_no_array():
    fit = minimize(lambda x, c, extra: (x - c) ** 2 * extra["k"], 0.0, [3.0, {"k": 2}], method="lbfgs")
    assert abs(fit.params - 3) < 1e-5


def test_data_with_their_own_array_type_become_arrays():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    fit = minimize(lambda w, X: np.mean((X @ w - 1) ** 2), np.zeros(2), (frame,), method="lbfgs")
    np.testing.assert_allclose(frame.to_numpy() @ fit.params, 1, atol=1e-4)


def test_arrays_in_place_are_not_copied_by_naming_their_device(device, put):
    X, seen = put(np.ones((2, 3))), []

    def loss(w, X):
        seen.append(X)
        return np.sum((w - X) ** 2)

    minimize(loss, put(np.zeros(())), (X,), method="gd", device=device, max_iter=2, compile=False)
    assert all(x is X for x in seen)


@pytest.mark.gpu
def test_host_data_move_to_the_gpu_and_the_result_stays_there(logistic, real_gpu):
    loss, start, data = logistic
    for method in METHODS:
        fit = minimize(loss, start, data, method=method, device="gpu", max_iter=30)
        here = minimize(loss, start, data, method=method, device="cpu", max_iter=30)
        assert xg.device_of(fit.params) == "gpu"
        assert close(fit.value, here.value, 1e-8), method


def test_the_result_reads_well():
    fit = minimize(quadratic, 0.0, (1.0,), method="lbfgs")
    assert isinstance(fit, Fit)
    assert repr(fit).startswith("Fit(value=0, converged=True, n_iter=")
    assert fit.history[0].seconds <= fit.history[-1].seconds
    with pytest.raises(AttributeError):
        fit.value = 1.0


@pytest.mark.parametrize("method", ["gd", "adam", "lbfgs", "newton", "newton_cg"])
@pytest.mark.parametrize("compile", [True, False])
def test_a_loss_of_one_entry_has_a_record_of_floats(method, compile):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 1))

    def cost(w, X, y):
        r = X @ w - y
        return r.T @ r / len(X)

    fit = minimize(cost, np.zeros((2, 1)), (X, y), method=method, compile=compile, tol=1e-8, max_iter=3000)
    assert np.allclose(fit.params, np.linalg.lstsq(X, y)[0], atol=1e-6)
    assert type(fit.value) is float
    assert {type(record.value) for record in fit.history} == {float}
