"""Early stopping: the parameters returned are those where the loss on held-out data was least."""

import numpy as np
import pytest

import xpgrad as xg

RNG = np.random.default_rng(3)
TRUTH = RNG.normal(size=30)
X, HELD_X = RNG.normal(size=(30, 40)), RNG.normal(size=(30, 200))
Y, HELD_Y = (TRUTH @ x + 4 * RNG.normal(size=x.shape[1]) for x in (X, HELD_X))
METHODS = {
    "gd": {"method": "gd", "learning_rate": 0.02, "max_iter": 400},
    "adam by batches": {"method": "adam", "learning_rate": 0.02, "batch_size": 10, "max_iter": 300},
    "lbfgs": {"method": "lbfgs"},
    "lbfgs within bounds": {"method": "lbfgs", "bounds": (-3, 3)},
    "newton": {"method": "newton"},
    "newton_cg": {"method": "newton_cg"},
    "line by line": {"method": "gd", "learning_rate": 0.02, "max_iter": 400, "compile": False},
}


def loss(w, X, Y):
    return np.mean((w @ X - Y) ** 2)


@pytest.mark.parametrize("name", METHODS)
def test_the_parameters_are_those_of_the_least_loss_on_held_out_data(name):
    seen = []
    fit = xg.minimize(
        loss,
        np.zeros(30),
        (X, Y),
        **METHODS[name],
        tol=0,
        validation=(HELD_X, HELD_Y),
        patience=7,
        callback=lambda info: seen.append((info.iteration, info.params, info.validation)),
    )
    for _, params, value in seen:
        assert np.isclose(value, loss(params, HELD_X, HELD_Y), rtol=1e-12)
    first = [] if "batches" in name else [(0, np.zeros(30), loss(np.zeros(30), HELD_X, HELD_Y))]
    at, params, least = min(first + seen, key=lambda each: each[2])
    assert fit.params.tobytes() == params.tobytes()
    assert f"after iteration {at}, of the least validation loss {least:.6g}" in fit.message
    assert fit.n_iter - at <= 7
    if fit.n_iter - at == 7:
        assert fit.message.startswith("stopped early: the validation loss has not fallen for 7 iterations")
    assert not fit.converged
    assert [r.validation for r in fit.history][-len(seen) :] == [value for _, _, value in seen]


def test_a_fit_that_overfits_is_stopped_early():
    fit = xg.minimize(
        loss, np.zeros(30), (X, Y), **METHODS["gd"], validation=(HELD_X, HELD_Y), patience=20, tol=0
    )
    assert fit.message.startswith("stopped early")
    assert fit.n_iter < 400
    to_the_end = xg.minimize(loss, np.zeros(30), (X, Y), **METHODS["gd"], tol=0)
    assert loss(fit.params, HELD_X, HELD_Y) < loss(to_the_end.params, HELD_X, HELD_Y)


@pytest.mark.parametrize("name", METHODS)
def test_early_stopping_goes_on_from_a_checkpoint(name, tmp_path):
    options = METHODS[name] | {"tol": 0, "validation": (HELD_X, HELD_Y), "patience": 7}
    whole = xg.minimize(loss, np.zeros(30), (X, Y), **options)

    class Broken(Exception):
        pass

    def stop(info):
        if info.iteration == whole.n_iter - 2:
            raise Broken

    if whole.n_iter > 2:
        with pytest.raises(Broken):
            xg.minimize(loss, np.zeros(30), (X, Y), **options, callback=stop, checkpoint=tmp_path / "fit")
    again = xg.minimize(loss, np.zeros(30), (X, Y), **options, checkpoint=tmp_path / "fit")
    assert again.params.tobytes() == whole.params.tobytes()
    assert (again.message, again.n_iter) == (whole.message, whole.n_iter)
    assert [r.validation for r in again.history] == [r.validation for r in whole.history]


def test_a_patience_that_is_no_count_is_refused():
    with pytest.raises(ValueError, match="patience must be a positive integer"):
        xg.minimize(loss, np.zeros(30), (X, Y), method="gd", validation=(HELD_X, HELD_Y), patience=0)
