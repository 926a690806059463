"""What the estimators take from scikit-learn; or the error that says how to install it."""

from xpgrad._errors import DependencyError, message

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _clone_parametrized, _fit_context
    from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
    from sklearn.utils import ClassifierTags, RegressorTags, check_array, compute_class_weight
    from sklearn.utils._array_api import check_same_namespace, get_namespace_and_device, move_to
    from sklearn.utils._param_validation import Interval, Options, StrOptions
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        _check_sample_weight,
        _check_y,
        check_consistent_length,
        check_is_fitted,
        check_random_state,
        column_or_1d,
        validate_data,
    )
except ImportError as error:
    raise DependencyError(
        message(
            f"xg.learn needs scikit-learn 1.9 or later: {error}",
            remedy='pip install "xpgrad[learn]"',
        )
    ) from error

clone_parametrized = _clone_parametrized
fit_context = _fit_context
check_sample_weight = _check_sample_weight
check_y = _check_y

__all__ = [
    "BaseEstimator",
    "ClassifierMixin",
    "ClassifierTags",
    "ConvergenceWarning",
    "DataConversionWarning",
    "Interval",
    "Options",
    "RegressorMixin",
    "RegressorTags",
    "StrOptions",
    "available_if",
    "check_array",
    "check_classification_targets",
    "check_consistent_length",
    "check_is_fitted",
    "check_random_state",
    "check_same_namespace",
    "check_sample_weight",
    "check_y",
    "clone_parametrized",
    "column_or_1d",
    "compute_class_weight",
    "fit_context",
    "get_namespace_and_device",
    "move_to",
    "validate_data",
]
