"""A fit that was broken off goes on from its checkpoint and ends with the same bits."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import astuple

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.optim import checkpoints

METHODS = {
    "gd": {"method": "gd", "max_iter": 40},
    "momentum": {"method": "momentum", "max_iter": 40},
    "adam": {"method": "adam", "max_iter": 40, "learning_rate": 0.05},
    "adamw": {"method": "adamw", "max_iter": 40},
    "lbfgs": {"method": "lbfgs", "max_iter": 40, "tol": 1e-9},
    "newton": {"method": "newton", "tol": 1e-9},
    "newton_cg": {"method": "newton_cg", "tol": 1e-9},
    "adam by batches": {"method": "adam", "batch_size": 30, "max_iter": 12, "learning_rate": 0.02},
    "a schedule": {"method": "gd", "batch_size": 30, "max_iter": 12, "learning_rate": lambda k: 0.1 / (1 + k)},
    "line by line": {"method": "momentum", "batch_size": 30, "max_iter": 12, "compile": False},
}


class Broken(Exception):
    pass


def problem(dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 200)).astype(dtype)
    y = (rng.random(200) < 0.5).astype(dtype)
    return {"w": np.zeros(4, dtype), "b": 0.0}, (X, y)


def loss(p, X, y):
    z = p["w"] @ X + p["b"]
    return np.mean(np.logaddexp(0, z) - y * z) + 0.01 * np.sum(p["w"] ** 2)


def same(a, b):
    assert all(
        np.asarray(p).tobytes() == np.asarray(q).tobytes()
        for p, q in zip(flatten(a.params)[0], flatten(b.params)[0], strict=True)
    )
    assert [type(p) for p in flatten(a.params)[0]] == [type(p) for p in flatten(b.params)[0]]
    assert (a.message, a.converged, a.n_iter, a.value) == (b.message, b.converged, b.n_iter, b.value)
    without_seconds = [[(r[0], r[1], r[2], r[4]) for r in map(astuple, f.history)] for f in (a, b)]
    assert without_seconds[0] == without_seconds[1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", METHODS)
def test_a_fit_that_was_broken_off_in_any_iteration_ends_with_the_same_bits(name, dtype, tmp_path):
    start, data = problem(dtype)
    whole = xg.minimize(loss, start, data, **METHODS[name])
    for at in {1, 2, whole.n_iter // 2, whole.n_iter - 1} - {0, whole.n_iter}:
        path = tmp_path / f"{at}.npz"

        def stop(info, at=at):
            if info.iteration == at:
                raise Broken

        with pytest.raises(Broken):
            xg.minimize(loss, start, data, **METHODS[name], callback=stop, checkpoint=path)
        same(xg.minimize(loss, start, data, **METHODS[name], checkpoint=path), whole)


@pytest.mark.parametrize("name", METHODS)
def test_a_fit_that_has_ended_goes_on_with_more_iterations(name, tmp_path):
    start, data = problem()
    path, options = tmp_path / "fit", METHODS[name] | {"max_iter": 3, "tol": 0.0}
    first = xg.minimize(loss, start, data, **options, checkpoint=path)
    assert first.n_iter == 3
    same(xg.minimize(loss, start, data, **options, checkpoint=path), first)
    more = options | {"max_iter": 5}
    same(xg.minimize(loss, start, data, **more, checkpoint=path), xg.minimize(loss, start, data, **more))


def test_parameters_that_are_complex_and_numbers_come_back_as_what_they_were(tmp_path):
    target = (np.array([1 + 2j, 3j]), 2.0, np.float32(0.5))

    def far(p):
        return sum(np.sum(np.abs(a - b) ** 2) for a, b in zip(p, target, strict=True))

    start = (np.zeros(2, complex), 0.0, np.float32(0))
    for method in ("adam", "lbfgs"):
        for n in (2, 6):
            fit = xg.minimize(far, start, method=method, max_iter=n, checkpoint=tmp_path / method, tol=0)
        same(fit, xg.minimize(far, start, method=method, max_iter=6, tol=0))


SCRIPT = """
import sys, time
import numpy as np
import xpgrad as xg
from xpgrad.optim import checkpoints
checkpoints.EVERY = 0.0
rng = np.random.default_rng(0)
X, y = rng.normal(size=(20, 2000)), rng.normal(size=2000)
path = sys.argv[1] if sys.argv[1] else None
slow = (lambda info: time.sleep(0.02)) if path else None
fit = xg.minimize(lambda w, X, y: np.mean(np.log(np.cosh(w @ X - y))), np.zeros(20), (X, y), method="adam",
                  batch_size=100, max_iter=300, tol=0, checkpoint=path, callback=slow)
print(fit.params.tobytes().hex(), fit.value)
"""


@pytest.mark.slow
def test_a_fit_that_is_killed_anywhere_goes_on_and_ends_with_the_same_bits(tmp_path):
    command = [sys.executable, "-c", SCRIPT]
    expected = subprocess.run([*command, ""], capture_output=True, text=True, check=True).stdout
    path, chance, killed = tmp_path / "fit.npz", random.Random(0), 0
    while True:
        process = subprocess.Popen([*command, str(path)], stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + 60
        while not path.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.4))
        if killed < 4 and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
            continue
        out, _ = process.communicate()
        break
    assert out == expected
    assert killed >= 1
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".part")] == ["fit.npz"]


def test_the_file_is_written_every_half_minute_and_at_the_end(tmp_path, monkeypatch):
    clock, written = [0.0], []
    monkeypatch.setattr(checkpoints, "monotonic", lambda: clock[0])
    monkeypatch.setattr(checkpoints._files, "replace", lambda path, content: written.append(clock[0]))

    def tick(info):
        clock[0] += 10.0

    start, data = problem()
    xg.minimize(loss, start, data, method="gd", max_iter=11, tol=0, callback=tick, checkpoint=tmp_path / "fit")
    assert written == [30.0, 60.0, 90.0, 110.0]


OTHER = {
    "method": ({"method": "momentum"}, "'gd' in the file, 'momentum' here"),
    "learning_rate": ({"learning_rate": 0.2}, "'None' in the file, '0.2' here"),
    "batch_size": ({"batch_size": 10, "max_iter": 2}, "batch_size"),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_checkpoint_of_another_fit_is_refused_with_what_differs(name, tmp_path):
    start, data = problem()
    path, (options, said) = tmp_path / "fit.npz", OTHER[name]
    xg.minimize(loss, start, data, method="gd", max_iter=2, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(xg.DataError, match=r"fit\.npz belongs to another fit") as caught:
        xg.minimize(loss, start, data, **({"method": "gd"} | options), checkpoint=path)
    assert name in str(caught.value)
    assert said in str(caught.value)
    assert path.read_bytes() == before


def test_a_checkpoint_of_other_data_or_shapes_is_refused(tmp_path):
    start, (X, y) = problem()
    path = tmp_path / "fit"
    xg.minimize(loss, start, (X, y), method="gd", max_iter=2, checkpoint=path)
    changed = X.copy()
    changed[2, 100] += 1
    with pytest.raises(xg.DataError, match=r"data\[0\]"):
        xg.minimize(loss, start, (changed, y), method="gd", checkpoint=path)
    with pytest.raises(xg.DataError, match=r"params\['w'\]"):
        xg.minimize(loss, start | {"w": np.zeros(4, np.float32)}, (X, y), method="gd", checkpoint=path)


@pytest.mark.parametrize("damage", ["truncated", "altered", "text", "empty", "pickle"])
def test_a_damaged_file_is_refused_and_stays(damage, tmp_path):
    start, data = problem()
    path = tmp_path / "fit"
    xg.minimize(loss, start, data, method="gd", max_iter=2, checkpoint=path)
    content = path.read_bytes()
    np.savez(tmp_path / "made.npz", xpgrad=np.array([print], object))
    at = content.index(b'"facts"')
    path.write_bytes(
        {
            "truncated": content[:at],
            "altered": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
            "text": b"not a checkpoint",
            "empty": b"",
            "pickle": (tmp_path / "made.npz").read_bytes(),
        }[damage]
    )
    before = path.read_bytes()
    with pytest.raises(xg.DataError, match="fit is no checkpoint, or is damaged"):
        xg.minimize(loss, start, data, method="gd", checkpoint=path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_an_error_before_the_first_step(tmp_path):
    start, data = problem()
    seen = []
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        xg.minimize(
            loss, start, data, method="gd", callback=seen.append, checkpoint=tmp_path / "nowhere" / "fit"
        )
    assert not seen


def test_what_cannot_be_written_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    start, data = problem()
    path = tmp_path / "fit"
    xg.minimize(loss, start, data, method="gd", max_iter=2, checkpoint=path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        xg.minimize(loss, start, data, method="gd", max_iter=4, checkpoint=path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit"]


def test_an_estimator_goes_on_from_its_checkpoint(tmp_path):
    _, (X, y) = problem()

    def fitted(**options):
        model = xg.learn.Model(
            lambda w, X, y: (X @ w - y) ** 2, np.zeros(4), lambda w, X: X @ w, method="adam", **options
        )
        with pytest.warns(UserWarning, match="did not converge"):
            return model.fit(X.T, y)

    fitted(max_iter=10, random_state=0, checkpoint=tmp_path / "fit")
    again = fitted(max_iter=20, random_state=0, checkpoint=tmp_path / "fit")
    whole = fitted(max_iter=20, random_state=0)
    assert again.params_.tobytes() == whole.params_.tobytes()
    assert again.n_iter_ == 20
