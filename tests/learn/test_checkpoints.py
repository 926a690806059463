"""A fit of an estimator that was broken off goes on from its checkpoint, and ends with the same bits."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

import xpgrad as xg
from xpgrad import learn
from xpgrad.learn.watch import watching

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
X = np.c_[X, X[:, 0] - X[:, 1]]  # collinear: Newton's steps then have minimum norm
SPARSE = sparse.csr_array(np.where(np.abs(X) > 1, X, 0))
ETA = X @ [1.0, -2.0, 0.5, 0.0, 0.3]
CLASSES = (ETA + RNG.logistic(size=300) > 0).astype(int)
COUNTS = RNG.poisson(np.exp(ETA / 2) * RNG.gamma(1.0, 1.0, 300))

CASES = {
    "newton": (lambda **o: learn.LogisticRegression(penalty=None, tol=1e-12, **o), X, CLASSES),
    "l1": (lambda **o: learn.LogisticRegression(C=0.5, l1_ratio=1.0, tol=1e-12, **o), X, CLASSES),
    "lbfgs": (
        lambda **o: learn.LogisticRegression(solver="lbfgs", tol=1e-9, **o),
        X,
        np.digitize(ETA, [-1, 1]),
    ),
    "sparse": (lambda **o: learn.PoissonRegressor(alpha=0.1, solver="lbfgs", tol=1e-9, **o), SPARSE, COUNTS),
    "stages": (lambda **o: learn.NegativeBinomialRegressor(alpha=0.1, tol=1e-9, **o), X, COUNTS),
    "adam": (lambda **o: learn.MLPClassifier((5,), random_state=0, tol=0, warmup_iter=2, **o), X, CLASSES),
    "held out": (
        lambda **o: learn.MLPRegressor(
            (5,), random_state=0, solver="sgd", learning_rate="invscaling", early_stopping=True, tol=0, **o
        ),
        X,
        ETA,
    ),
    "sparse net": (lambda **o: learn.MLPRegressor((5,), random_state=0, tol=0, **o), SPARSE, ETA),
    "full net": (lambda **o: learn.MLPClassifier((5,), random_state=0, tol=0, solver="lbfgs", **o), X, CLASSES),
}


def bits(model):
    arrays = (
        [*model.coefs_, *model.intercepts_] if hasattr(model, "coefs_") else [model.coef_, model.intercept_]
    )
    return b"".join(np.asarray(x).tobytes() for x in arrays)


def stop_at(count):
    """A watcher that breaks a fit off at its so-manieth iteration."""
    seen = []

    def watcher(*facts):
        seen.append(facts)
        if len(seen) == count:
            raise KeyboardInterrupt

    return watcher


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c == "stages" else c for c in CASES]
)
def test_a_fit_goes_on_from_its_checkpoint(case, tmp_path):
    make, X, y = CASES[case]
    path = tmp_path / "fit"
    for count in (3, 2):
        with pytest.raises(KeyboardInterrupt), watching(stop_at(count)):
            make(max_iter=9, checkpoint=path).fit(X, y)
        assert list(tmp_path.iterdir())
    again = make(max_iter=9, checkpoint=path).fit(X, y)
    whole = make(max_iter=9).fit(X, y)
    assert again.n_iter_ == whole.n_iter_ > 4
    assert bits(again) == bits(whole)


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    path = tmp_path / "fit"
    learn.Ridge(checkpoint=path).fit(X, ETA)
    with pytest.raises(xg.DataError, match="belongs to another fit"):
        learn.Ridge(checkpoint=path).fit(X, ETA + 1)
    with pytest.raises(xg.DataError, match="belongs to another fit"):
        learn.Ridge(alpha=3.0, checkpoint=path).fit(X, ETA)
    with pytest.warns(ConvergenceWarning):
        learn.MLPRegressor((5,), random_state=0, max_iter=2, checkpoint=tmp_path / "net").fit(X, ETA)
    with pytest.raises(xg.DataError, match=r"(?s)belongs to another fit.*learning_rate_init"):
        learn.MLPRegressor((5,), learning_rate_init=1.0, checkpoint=tmp_path / "net").fit(X, ETA)


SCRIPT = """
import sys, time, warnings
import numpy as np
from xpgrad import learn
from xpgrad.learn.watch import watching
from xpgrad.optim import checkpoints
warnings.simplefilter("ignore")
checkpoints.EVERY = 0.0
rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 5))
y = (X @ rng.normal(size=5) + rng.logistic(size=2000) > 0).astype(int)
path = sys.argv[1] or None
with watching(lambda *_: time.sleep(0.02 if path else 0)):
    model = learn.MLPClassifier((7,), random_state=0, tol=0, max_iter=100, checkpoint=path).fit(X, y)
print(b"".join(x.tobytes() for x in (*model.coefs_, *model.intercepts_)).hex(), model.loss_curve_)
"""


@pytest.mark.slow
def test_a_network_that_is_killed_anywhere_goes_on_and_ends_with_the_same_bits(tmp_path):
    command = [sys.executable, "-c", SCRIPT]
    expected = subprocess.run([*command, ""], capture_output=True, text=True, check=True).stdout
    path, chance, killed = tmp_path / "fit.npz", random.Random(0), 0
    while True:
        process = subprocess.Popen([*command, str(path)], stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + 60
        while not path.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.4))
        if killed < 3 and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
            continue
        out, _ = process.communicate()
        break
    assert out == expected
    assert killed >= 1
