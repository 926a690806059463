"""Estimators with scikit-learn's interface: each states its loss in NumPy, and xpgrad fits it.

Objectives, parameters and attributes are those of scikit-learn's estimators of the same name. Three things are
added: ``device=`` chooses where to compute, categorical columns are read as codes and never expanded into
columns of zeros and ones, and `Model` makes an estimator of a loss of your own.

Needs scikit-learn: ``pip install "xpgrad[learn]"``.
"""

from xpgrad.learn.classifiers import LogisticRegression
from xpgrad.learn.files import load
from xpgrad.learn.glms import GammaRegressor, NegativeBinomialRegressor, PoissonRegressor, TweedieRegressor
from xpgrad.learn.mlp import MLPClassifier, MLPRegressor
from xpgrad.learn.model import Model
from xpgrad.learn.regressors import LinearRegression, Ridge
from xpgrad.learn.robust import HuberRegressor, QuantileRegressor

__all__ = [
    "GammaRegressor",
    "HuberRegressor",
    "LinearRegression",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "NegativeBinomialRegressor",
    "PoissonRegressor",
    "QuantileRegressor",
    "Ridge",
    "TweedieRegressor",
    "load",
]
