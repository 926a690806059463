"""Reading ``X`` and ``y``: checked, with categorical columns as codes.

In:  what a user gives to `fit` or `predict`.
Out: a `Design`, the targets, and where results go.
Holds: the layout of the columns is learnt at fit; names decide which column is which later.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from xpgrad._errors import DataError, DeviceError, DTypeError, ShapeError, message
from xpgrad.data.derived import converted
from xpgrad.devices.door import is_source
from xpgrad.devices.sparse import is_sparse
from xpgrad.learn import _sklearn as sk
from xpgrad.learn.checked import finite_numbers, validated
from xpgrad.learn.columns import Design, Layout, is_table, learn_layout, read
from xpgrad.learn.places import Arrival, arrived, host
from xpgrad.learn.streamed import check_finite, design_of, is_streamed, layout_of, table_of
from xpgrad.learn.where import choose_device


class Reading:
    """An estimator that reads tables and arrays.

    It has the parameters ``dtype``, ``categorical_features`` and ``handle_unknown``; those that read
    sources have ``memory_limit`` and ``cluster`` as well.
    """

    memory_limit: Any = None
    cluster: Any = None
    device: str

    columns_: Layout
    n_features_in_: int
    dtype: Any
    categorical_features: Any
    handle_unknown: str
    _takes_sparse = False
    _takes_targets = False  # several, side by side
    _may_ignore = True  # by handle_unknown="ignore"

    def _read(self, X: Any, y: Any = None, *, fit: bool, numeric_y: bool = True) -> tuple[Arrival, Design, Any]:
        """``X`` and, at fit, ``y``, both checked; the arrival of ``X`` says where results go."""
        name = type(self).__name__
        if is_streamed(X):
            return self._read_parts(X, y, fit=fit, numeric_y=numeric_y)
        arrival = arrived(X, name, sparse=self._takes_sparse)
        X, y = arrival.X, host(y)
        if fit and y is None:
            raise ValueError(f"{name} requires y to be passed, but the target y is None")
        dtype = [np.float64, np.float32] if self.dtype is None else np.dtype(self.dtype)
        plain = not is_table(X) and (self.categorical_features is None if fit else not self.columns_.levels)
        if is_sparse(X) and not plain:
            raise DTypeError(
                message(
                    f"{name}: sparse X has columns of numbers alone, and this model has categorical columns",
                    {"X": X},
                    remedy="give a table, or an array, in which a category is one column of codes",
                )
            )
        if plain and fit:
            X, y = validated(
                self,
                X,
                y,
                categories=True,
                accept_sparse="csr",
                dtype=dtype,
                order=None,
                y_numeric=numeric_y,
                multi_output=self._takes_targets,
            )
            self.columns_ = Layout(_names_seen(self), X.shape[1])
            return arrival, Design(X), y
        if plain:
            X = validated(self, X, categories=True, accept_sparse="csr", dtype=dtype, reset=False)
            return arrival, Design(X), None
        if not is_table(X):
            X = sk.check_array(X, dtype=None, ensure_all_finite=False, estimator=self)
        if fit:
            layout = learn_layout(X, self.categorical_features, name)
            y = sk.check_y(y, multi_output=self._takes_targets, y_numeric=numeric_y, estimator=self)
            sk.check_consistent_length(X, y)
            self.columns_, self.n_features_in_ = layout, layout.n_columns
            self._remember_names(layout)
        elif not is_table(X) and X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {name} is expecting {self.n_features_in_} features as input"
            )
        wide = None if self.dtype is None else np.dtype(self.dtype)
        unknown = "error" if fit else self.handle_unknown
        numbers, codes = read(X, self.columns_, name, wide, unknown, self._may_ignore)
        if numbers.shape[1] or not codes:
            numbers = finite_numbers(self, numbers, [self.columns_.name(i) for i in self.columns_.numbers])
        elif not len(numbers):
            raise DataError(message(f"{name}: Found array with 0 sample(s) while a minimum of 1 is required."))
        return arrival, Design(numbers, codes), y

    def _read_parts(self, X: Any, y: Any, *, fit: bool, numeric_y: bool) -> tuple[Arrival, Design, Any]:
        """A source, or a table of sources, as ``X``: all but the targets stay where they are."""
        name = type(self).__name__
        arrival = Arrival(X, _same, "cpu")
        if not fit:
            return arrival, design_of(X, self.columns_, self.dtype), None
        if y is None:
            raise ValueError(f"{name} requires y to be passed, but the target y is None")
        X, y = table_of(X, y)
        limit = self.memory_limit
        self.columns_ = layout_of(X, self.categorical_features, name, limit)
        self.n_features_in_ = self.columns_.n_columns
        self._remember_names(self.columns_)
        design = design_of(X, self.columns_, self.dtype)
        y = y if is_source(y) else sk.check_y(host(y), y_numeric=numeric_y, estimator=self)
        if y.ndim != 1 or len(y) != design.size:
            rule = "y must be one target for each sample of X"
            raise ShapeError(message(f"{name}: {rule}", {"X": f"{design.size} samples", "y": list(y.shape)}))
        if numeric_y and is_source(y):
            y = converted(y, design.numbers.dtype)
        check_finite(design, self.columns_, name, limit)
        return arrival, design, y

    def _chosen_device(self, arrival: Arrival, design: Design, passes: int) -> tuple[str, str]:
        if not is_streamed(arrival.X):
            if self.cluster is not None:
                raise ValueError(
                    f"{type(self).__name__}: a cluster reads sources: give X as xg.data.parquet(...)"
                )
            return choose_device(self.device, arrival.device, design.nbytes, passes)
        if self.device not in ("auto", "cpu"):
            remedy = 'device="cpu", or X.read() puts it into memory'
            raise DeviceError(message(f"{type(self).__name__}: sources are read on the CPU", remedy=remedy))
        return "cpu", "sources are read on the CPU"

    def __sklearn_clone__(self) -> Any:
        """A clone with the same cluster, which cannot be copied."""
        if self.cluster is None:
            return sk.clone_parametrized(self)
        without: Any = copy(self)
        without.cluster = None
        found = sk.clone_parametrized(without)
        found.cluster = self.cluster
        return found

    def _remember_names(self, layout: Layout) -> None:
        if layout.names is not None:
            self.feature_names_in_ = np.array(layout.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _per_sample(self, x: Any, design: Design, what: str) -> Any:
        """An offset or the like as float[n]."""
        x = sk.column_or_1d(host(x), dtype=design.numbers.dtype, input_name=what)
        if len(x) != design.size:
            raise ValueError(f"{what} has {len(x)} entries for {design.size} samples")
        if not np.isfinite(x).all():
            raise ValueError(f"{what} contains NaN or infinity")
        return x

    def _per_output(self, x: Any, design: Design, outputs: int) -> Any:
        """An offset of several outputs as float[n, k]; float[n] is for each of them."""
        x = np.asarray(host(x), dtype=design.numbers.dtype)
        if x.shape == (design.size,):
            x = np.repeat(x[:, None], outputs, axis=1)
        if x.shape != (design.size, outputs):
            raise ValueError(
                f"offset has shape {x.shape}; it must be ({design.size},) or ({design.size}, {outputs})"
            )
        if not np.isfinite(x).all():
            raise ValueError("offset contains NaN or infinity")
        return x

    def _weights(self, sample_weight: Any, design: Design) -> Any:
        if sample_weight is None:
            return None
        dtype = design.numbers.dtype
        return sk.check_sample_weight(
            host(sample_weight), _sized(design), dtype=dtype, ensure_non_negative=True
        )


def _same(x: Any) -> Any:
    return x


def _names_seen(estimator: Any) -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else list(names)


def _sized(design: Design) -> Any:
    """An array with the samples of a design, for checks that count them."""
    dense = design.numbers.shape[1] and not is_source(design.numbers)
    return design.numbers if dense else np.empty((design.size, 1))
