"""Estimators inside scikit-learn's tools, and their arrays and copies."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xpgrad import learn


@pytest.fixture(scope="module")
def cancer():
    return load_breast_cancer(return_X_y=True)


def test_in_a_pipeline_under_cross_validation(cancer):
    pipe = make_pipeline(StandardScaler(), learn.LogisticRegression())
    assert cross_val_score(pipe, *cancer, cv=3).min() > 0.95


def test_in_a_grid_search(cancer):
    X, y = StandardScaler().fit_transform(cancer[0]), cancer[1]
    search = GridSearchCV(learn.LogisticRegression(), {"C": [1e-4, 1.0]}, cv=3).fit(X, y)
    assert search.best_params_ == {"C": 1.0}
    assert search.best_estimator_.score(X, y) > 0.97


def test_calibrated(cancer):
    X, y = StandardScaler().fit_transform(cancer[0]), cancer[1]
    model = CalibratedClassifierCV(learn.LogisticRegression(), cv=3).fit(X, y)
    assert model.score(X, y) > 0.96


def test_cloned_and_pickled(cancer):
    X, y = StandardScaler().fit_transform(cancer[0]), cancer[1]
    model = learn.LogisticRegression(C=0.3).fit(X, y)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "coef_")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_fitted_arrays_follow_x():
    code = """
import array_api_strict
import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from xpgrad import learn

X, y = load_breast_cancer(return_X_y=True)
X, y = StandardScaler().fit_transform(X)[:100], y[:100]
with config_context(array_api_dispatch=True):
    there = array_api_strict.asarray(X)
    model = learn.LogisticRegression().fit(there, array_api_strict.asarray(y))
    assert isinstance(model.coef_, type(there))
    assert isinstance(model.predict_proba(there), type(there))
    with pytest.raises(ValueError, match="must use the same namespace"):
        model.predict(X)
np.testing.assert_allclose(np.asarray(model.coef_), learn.LogisticRegression().fit(X, y).coef_, rtol=1e-9)
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "SCIPY_ARRAY_API": "1"}, check=True)


@pytest.mark.slow
def test_scikit_learns_checks_of_the_array_api_pass():
    """SciPy reads its switch when it is imported, so that this wants a process of its own."""
    checks = Path(__file__).with_name("test_checks.py")
    command = [sys.executable, "-m", "pytest", "-q", "-k", "array_api", "-p", "no:cacheprovider", str(checks)]
    root = checks.parents[2]
    subprocess.run(command, env={**os.environ, "SCIPY_ARRAY_API": "1"}, cwd=root, check=True)


def test_a_single_model_serves_both_precisions():
    X, y = make_regression(50, 3, random_state=0)
    model = learn.Ridge().fit(X, y)
    np.testing.assert_allclose(model.predict(X.astype(np.float32)), model.predict(X), rtol=1e-3, atol=1e-2)


def test_without_scikit_learn_the_error_says_what_to_type():
    code = """
import sys
sys.modules["sklearn"] = None
import xpgrad as xg
try:
    xg.learn
except xg.DependencyError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "xpgrad[learn]"' in said


def test_a_gpu_that_is_not_there_is_named(cancer):
    import xpgrad as xg

    if "gpu" in xg.devices():
        pytest.skip("there is a GPU")
    with pytest.raises(xg.DeviceError):
        learn.LogisticRegression(device="gpu").fit(*cancer)


@pytest.mark.gpu
@pytest.mark.usefixtures("real_gpu")
def test_fit_on_the_gpu_and_predict_on_the_cpu(cancer):
    X, y = StandardScaler().fit_transform(cancer[0]), cancer[1]
    on_gpu = learn.LogisticRegression(device="gpu").fit(X, y)
    on_cpu = learn.LogisticRegression(device="cpu").fit(X, y)
    assert on_gpu.device_ == "gpu"
    np.testing.assert_allclose(on_gpu.coef_, on_cpu.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        on_gpu.set_params(device="cpu").predict_proba(X), on_cpu.predict_proba(X), rtol=1e-6
    )
