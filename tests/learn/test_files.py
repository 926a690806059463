"""Models in files: the same predictions, and clear errors for files that are none."""

import json

import numpy as np
import pandas as pd
import pytest

import xpgrad as xg
from xpgrad import learn

pytest.importorskip("safetensors")
rng = np.random.default_rng(0)
FRAME = pd.DataFrame({"kind": pd.Categorical(rng.choice(["a", "b", "c"], 60)), "size": rng.normal(size=60)})
X = rng.normal(size=(60, 3))
Y = rng.integers(0, 4, size=60)


@pytest.mark.parametrize(
    ("model", "X", "y"),
    [
        (
            learn.LogisticRegression(C=0.5, class_weight={"red": 2.0, "blue": 1.0}),
            X,
            np.array(["red", "blue"])[Y % 2],
        ),
        (learn.LogisticRegression(), X.astype(np.float32), Y),
        (learn.PoissonRegressor(alpha=0.1), FRAME, Y),
        (learn.NegativeBinomialRegressor(), FRAME, Y),
        (learn.HuberRegressor(alpha=1.0), X, Y * 1.0),
        (learn.MLPRegressor((4, 3), solver="lbfgs", tol=1.0, random_state=0), X, Y * 1.0),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_was_saved_predicts_the_same_bits(model, X, y, tmp_path):
    path = tmp_path / "m.safetensors"
    model.fit(X, y)
    model.save(path)
    again = learn.load(path)
    assert type(again) is type(model)
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.predict(X).dtype == model.predict(X).dtype
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.safetensors"
    learn.Ridge().fit(X, Y).save(path)
    return path


def test_a_truncated_file_is_an_error_at_every_length(saved):
    content = saved.read_bytes()
    for length in (0, 4, 8, 50, len(content) // 2, len(content) - 1):
        saved.write_bytes(content[:length])
        with pytest.raises(xg.DataError, match="is no model of xpgrad, or is truncated"):
            learn.load(saved)


def test_an_altered_file_is_an_error(saved):
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(bytes(content))
    with pytest.raises(xg.DataError, match="altered"):
        learn.load(saved)


def test_altered_facts_are_an_error(saved):
    content = saved.read_bytes()
    assert content.count(b"Ridge") == 1
    saved.write_bytes(content.replace(b"Ridge", b"Model"))
    with pytest.raises(xg.DataError, match="altered"):
        learn.load(saved)


def test_a_newer_format_is_an_error_with_what_to_type(saved):
    content = saved.read_bytes()
    facts = b'\\"format\\": 1'
    assert content.count(facts) == 1
    saved.write_bytes(content.replace(facts, b'\\"format\\": 9'))
    with pytest.raises(xg.DataError, match=r"(?s)in format 9.*pip install --upgrade xpgrad"):
        learn.load(saved)


def test_a_file_of_other_arrays_is_an_error(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    save_file({"w": np.ones(3)}, path)
    with pytest.raises(xg.DataError, match="is no model of xpgrad"):
        learn.load(path)
    path.write_text(json.dumps({"a": 1}))
    with pytest.raises(xg.DataError, match="is no model of xpgrad"):
        learn.load(path)


def test_a_write_that_fails_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        learn.Ridge(alpha=3).fit(X, Y).save(saved)
    assert saved.read_bytes() == before
    assert len(list(saved.parent.iterdir())) == 1


def test_what_is_not_fitted_and_functions_are_not_saved(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        learn.Ridge().save(tmp_path / "m")
    model = learn.Model(lambda w, X, y: (y - X @ w) ** 2, np.zeros(3), lambda w, X: X @ w).fit(X, Y)
    with pytest.raises(xg.DataError, match="of type function"):
        model.save(tmp_path / "m")
