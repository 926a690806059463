"""Columns of a table: numbers side by side in an array, categories as codes, never expanded.

In:  what a user gives as ``X``: a table (pandas, Polars, Arrow), or an array.
Out: a `Design`, and the `Layout` that reads later tables in the same way.
Holds: names decide which column is which; a category that the fit has not seen, or a missing one, is an error
       that names the column and the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DataError, DTypeError, message
from xpgrad.devices import to_device
from xpgrad.devices.door import is_source
from xpgrad.devices.sparse import csr_on, is_sparse

_SHOWN = 5  # names or values in an error
_TABLES = {"pandas": ("DataFrame",), "polars": ("DataFrame",), "pyarrow": ("Table", "RecordBatch")}


class Design(NamedTuple):
    """The data of a linear predictor.

    Attributes
    ----------
    numbers : float[n, p]
        Or sparse, in compressed rows; there are then no codes. Or a source, as codes may be.
    codes : tuple of int32[n]
        One array for each categorical column: the position of its level in `Layout.levels`.
    """

    numbers: Any
    codes: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """The number of samples."""
        return int(self.numbers.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        X = self.numbers
        if is_source(X):
            return int(X.nbytes + sum(codes.nbytes for codes in self.codes))
        own = sum(x.nbytes for x in (X.data, X.indices, X.indptr)) if is_sparse(X) else X.nbytes
        return int(own + sum(codes.nbytes for codes in self.codes))

    @property
    def is_streamed(self) -> bool:
        """Whether sources are among the data."""
        return any(map(is_source, (self.numbers, *self.codes)))

    def on(self, device: str) -> Design:
        """The same data on a device."""
        if is_sparse(self.numbers):
            return Design(csr_on(self.numbers, device))
        return to_device(self, device)  # type: ignore[no-any-return]


@dataclass
class Layout:
    """What the columns of the table were at fit.

    Attributes
    ----------
    names : list of str or None
        The columns in their order; None for an array without names.
    n_columns : int
    levels : dict
        For the position of each categorical column, its levels in their order.
    """

    names: list[str] | None
    n_columns: int
    levels: dict[int, list[Any]] = field(default_factory=dict)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of levels of each categorical column."""
        return tuple(map(len, self.levels.values()))

    @property
    def n_coefficients(self) -> int:
        """One for each column of numbers, and one for each level."""
        return self.n_columns - len(self.levels) + sum(self.sizes)

    @property
    def numbers(self) -> list[int]:
        """The positions of the other columns."""
        return [i for i in range(self.n_columns) if i not in self.levels]

    def name(self, i: int) -> str:
        return self.names[i] if self.names is not None else f"x{i}"

    def coefficient_names(self) -> list[str]:
        """The name of each coefficient in the order of the columns: ``"dist"``, ``"carrier[AA]"``."""
        named = []
        for i in range(self.n_columns):
            levels = self.levels.get(i)
            named += [self.name(i)] if levels is None else [f"{self.name(i)}[{level}]" for level in levels]
        return named

    def positions(self) -> tuple[np.ndarray[Any, Any], list[slice]]:
        """Where the coefficients of the numbers, and those of each categorical column, stand among all."""
        if not self.levels:
            return np.arange(self.n_columns), []
        numbers, tables, at = [], [], 0
        for i in range(self.n_columns):
            if i in self.levels:
                tables.append(slice(at, at + len(self.levels[i])))
                at = tables[-1].stop
            else:
                numbers.append(at)
                at += 1
        return np.array(numbers, dtype=int), tables


class _Column(NamedTuple):
    """One column: numbers, or raw codes (-1 where missing) with the level of each code."""

    numbers: Any
    codes: Any = None
    levels: Sequence[Any] = ()


def is_table(X: Any) -> bool:
    """Whether ``X`` has named columns of types of their own: pandas, Polars or Arrow."""
    return _library(X) is not None


def _library(X: Any) -> str | None:
    root = type(X).__module__.partition(".")[0]
    wanted = _TABLES.get(root, ())
    return root if type(X).__name__ in wanted else None


def learn_layout(X: Any, categorical: Any, name: str) -> Layout:
    """The layout of a table or array.

    Parameters
    ----------
    X : table or array[n, p]
    categorical : None, or sequence of int, str or bool
        Columns to take as categories besides those whose type says so.
    name : str
        The estimator, for errors.
    """
    names = _names(X)
    n_columns = len(names) if names is not None else np.shape(X)[1]
    chosen = _chosen(categorical, names, n_columns, name)
    layout = Layout(names, n_columns)
    for i in range(n_columns):
        column = _column(X, i, as_category=i in chosen)
        if column.codes is None:
            continue
        _refuse_missing(column.codes, layout.name(i), name)
        present = np.unique(column.codes)
        layout.levels[i] = [column.levels[code] for code in present]
    return layout


def read(
    X: Any, layout: Layout, name: str, dtype: Any, unknown: str = "error", may_ignore: bool = True
) -> Design:
    """The design of a table whose layout is known, not yet checked for NaN.

    Parameters
    ----------
    dtype : dtype or None
        Of the numbers; None keeps float32 and makes everything else float64.
    unknown : {"error", "ignore"}
        What becomes of a category that the fit has not seen; ignored, its code is the number of levels.
    may_ignore : bool
        Whether the user can choose so, for the remedy.

    Raises
    ------
    DataError
        A column, or an unseen or missing category.
    """
    places = _places(X, layout, name)
    columns = [_column(X, place, as_category=i in layout.levels) for i, place in enumerate(places)]
    n = np.shape(X)[0]
    numbers = _stacked([columns[i].numbers for i in layout.numbers], layout, n, dtype, name)
    codes = tuple(
        _coded(columns[i], levels, layout.name(i), name, unknown, may_ignore)
        for i, levels in layout.levels.items()
    )
    return Design(numbers, codes)


def _names(X: Any) -> list[str] | None:
    library = _library(X)
    if library is None:
        return None
    names = [str(c) for c in (X.column_names if library == "pyarrow" else X.columns)]
    if len(set(names)) < len(names):
        twice = [c for c in dict.fromkeys(names) if names.count(c) > 1]
        raise DataError(message(f"several columns have one name: {_some(twice)}"))
    return names


def _chosen(categorical: Any, names: list[str] | None, n_columns: int, name: str) -> set[int]:
    if categorical is None:
        return set()
    wanted = list(categorical)
    if len(wanted) == n_columns and all(isinstance(c, (bool, np.bool_)) for c in wanted):
        return {i for i, c in enumerate(wanted) if c}
    chosen = set()
    for c in wanted:
        if isinstance(c, str) and names is not None and c in names:
            chosen.add(names.index(c))
        elif isinstance(c, (int, np.integer)) and -n_columns <= c < n_columns:
            chosen.add(int(c) % n_columns)
        else:
            there = f"the columns are {_some(names)}" if names is not None else f"X has {n_columns} columns"
            raise DataError(message(f"{name}: no column {c!r} for categorical_features; {there}"))
    return chosen


def _places(X: Any, layout: Layout, name: str) -> list[int]:
    """Where each column of the layout stands in ``X``: by name if both have names."""
    names = _names(X)
    if names is None or layout.names is None:
        return list(range(layout.n_columns))
    missing = [c for c in layout.names if c not in names]
    if missing:
        more = [c for c in names if c not in layout.names]
        extra = f"; of the columns given, {_some(more)} were not seen at fit" if more else ""
        raise DataError(message(f"{name}: columns seen at fit are missing: {_some(missing)}{extra}"))
    return [names.index(c) for c in layout.names]


def _column(X: Any, i: int, *, as_category: bool) -> _Column:
    library = _library(X)
    if library == "pandas":
        return _of_pandas(X.iloc[:, i], as_category)
    if library == "polars":
        return _of_polars(X.to_series(i), as_category)
    if library == "pyarrow":
        return _of_arrow(X.column(i), as_category)
    values = np.asarray(X)[:, i]
    return _of_values(values) if as_category else _Column(values)


def _of_pandas(column: Any, as_category: bool) -> _Column:
    if str(column.dtype) == "category":
        return _Column(None, column.cat.codes.to_numpy(), list(column.cat.categories))
    if as_category:
        return _of_values(column.to_numpy())
    return _Column(column.to_numpy(dtype=float, na_value=np.nan) if _is_nullable(column) else column.to_numpy())


def _is_nullable(column: Any) -> bool:
    return not isinstance(column.dtype, np.dtype) and getattr(column.dtype, "kind", "O") in "biuf"


def _of_polars(column: Any, as_category: bool) -> _Column:
    if type(column.dtype).__name__ in ("Categorical", "Enum"):
        values = column.to_physical().cast(int).fill_null(-1).to_numpy()
        found, first, codes = np.unique(values, return_index=True, return_inverse=True)
        has_missing = int(found.size > 0 and found[0] == -1)
        return _Column(None, codes - has_missing, column.gather(first[has_missing:]).cast(str).to_list())
    return _of_values(column.to_numpy()) if as_category else _Column(column.to_numpy())


def _of_arrow(column: Any, as_category: bool) -> _Column:
    if str(column.type).startswith("dictionary"):
        whole = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        codes = np.asarray(whole.indices.to_numpy(zero_copy_only=False), dtype=float)
        return _Column(None, np.where(np.isnan(codes), -1, codes).astype(int), whole.dictionary.to_pylist())
    values = column.to_numpy() if hasattr(column, "chunks") else column.to_numpy(zero_copy_only=False)
    return _of_values(values) if as_category else _Column(values)


def _of_values(values: Any) -> _Column:
    """Codes of values of any kind; None and NaN are missing."""
    values = np.asarray(values)
    if values.dtype.kind in "biu":
        levels, found = np.unique(values, return_inverse=True)
        return _Column(None, found, levels.tolist())
    missing = np.array([v is None or v != v for v in values.tolist()], dtype=bool)
    there = values[~missing]
    try:
        levels, found = np.unique(there, return_inverse=True)
    except TypeError:  # values of several types, which have no order
        order = {v: k for k, v in enumerate(dict.fromkeys(there.tolist()))}
        levels, found = np.array(list(order), dtype=object), np.array([order[v] for v in there.tolist()])
    codes = np.full(len(values), -1)
    codes[~missing] = found
    return _Column(None, codes, levels.tolist())


def _coded(column: _Column, levels: list[Any], label: str, name: str, unknown: str, may_ignore: bool) -> Any:
    """The codes of a column in the order of the levels at fit."""
    _refuse_missing(column.codes, label, name)
    known = {level: code for code, level in enumerate(levels)}
    table = np.array([known.get(level, -1) for level in column.levels], dtype=np.int32)
    codes = table[column.codes] if len(table) else np.empty(0, np.int32)
    wrong = np.flatnonzero(codes < 0)
    if wrong.size and unknown == "error":
        values = dict.fromkeys(column.levels[column.codes[i]] for i in wrong)
        raise DataError(
            message(
                f"{name}: column {label!r} has categories that were not seen at fit: {_some(list(values))}",
                remedy='handle_unknown="ignore" gives them a coefficient of 0'
                if may_ignore
                else "give them a level of their own in the data of the fit",
            )
        )
    return np.where(codes < 0, np.int32(len(levels)), codes)


def _refuse_missing(codes: Any, label: str, name: str) -> None:
    missing = int((codes < 0).sum())
    if missing:
        raise DataError(
            message(
                f"{name}: column {label!r} has {missing} missing categories, as NaN or None",
                remedy="make them a category of their own, or leave the rows out",
            )
        )


def _stacked(parts: list[Any], layout: Layout, n: int, dtype: Any, name: str) -> Any:
    if dtype is None:
        narrow = bool(parts) and all(getattr(x, "dtype", None) == np.float32 for x in parts)
        dtype = np.float32 if narrow else np.float64
    numbers = np.empty((n, len(parts)), dtype=dtype)
    for k, (i, part) in enumerate(zip(layout.numbers, parts, strict=True)):
        try:
            numbers[:, k] = part
        except (TypeError, ValueError) as error:
            raise DTypeError(
                message(
                    f"{name}: column {layout.name(i)!r} holds no numbers: {error}",
                    {"got": part},
                    remedy="categorical_features= takes a column as categories, as its type Categorical does",
                )
            ) from error
    return numbers


def _some(values: Sequence[Any] | None) -> str:
    shown = [repr(v) for v in list(values or ())[:_SHOWN]]
    rest = len(values or ()) - len(shown)
    return ", ".join(shown) + (f" and {rest} others" if rest else "")
