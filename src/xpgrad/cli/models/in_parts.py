"""Training on a table that does not fit into memory: `training`, a part of the rows at a time.

In:  a table InParts and a Request.
Out: a Trained.
Holds: the preparation, the rows that are held out and the model are those of the same table in memory, but for
rounding. The target, and the predictions of held-out rows, are in memory.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.extras import require
from xpgrad.cli.frames import Table
from xpgrad.cli.models import fitting
from xpgrad.cli.models.columns import Applied, Category, Date
from xpgrad.cli.models.predicting import joined
from xpgrad.cli.models.preparation import Preparation, learn_preparation
from xpgrad.cli.models.training import Request, Trained, asked_for, chosen_rows, recorded, told
from xpgrad.cli.parts import InParts
from xpgrad.cli.problem import Array
from xpgrad.data.tables import Files, Part
from xpgrad.data.tables import Table as SourceTable

_KEPT = 4  # prepared parts: those that the readers of the columns are at


def train_in_parts(table: InParts, request: Request) -> Trained:
    """Prepare, fit and judge, by passes over the parts.

    Raises
    ------
    DataError
        As `training.train`; a network, which takes its rows from memory.
    """
    first, notes = asked_for(table.part(0), request, rows_too=False)
    names = list(first.frame.columns)
    whole = _column(table, request.target)
    there = (
        np.flatnonzero(whole.frame[request.target].notna()) if request.skip_missing else np.arange(table.rows)
    )
    whole, more = asked_for(whole, request, columns_too=False)
    chosen = chosen_rows(whole, request)
    if chosen.options.model == "mlp":
        remedy = "a linear model, or a table that fits into memory"
        raise DataError(
            message(f"train: {table} is read by parts, and mlp takes all rows at once", at="", remedy=remedy)
        )
    in_training, held_out = (np.zeros(table.rows, bool) for _ in range(2))
    in_training[there[chosen.train_rows]] = True
    held_out[there[chosen.held]] = True

    def parts() -> Iterator[tuple[Table, Array]]:
        for k, part in enumerate(table.parts(names)):
            yield part, np.flatnonzero(in_training[table.starts[k] : table.starts[k + 1]])

    preparation = learn_preparation(
        parts,
        chosen.target,
        categories=request.categories,
        dates=request.dates,
        most_levels=request.most_levels,
    )
    files = PreparedFiles(table, preparation, in_training)
    design = SourceTable(files, None, 0, files.levels)

    def frames() -> Iterator[tuple[Any, Array]]:
        at = 0
        for part in files.parts:
            yield files.frame(part), chosen.fitted_y[at : at + part.rows]
            at += part.rows

    model, fit = fitting.fit(chosen.options, chosen.target, design, chosen.fitted_y, frames)
    applied, found = Applied(), []
    for k, part in enumerate(table.parts([c.name for c in preparation.columns])):
        at = slice(table.starts[k], table.starts[k + 1])
        used = np.flatnonzero(in_training[at] | held_out[at])
        prepared, met = preparation.apply(replace(part, frame=part.frame.iloc[used], rows=part.rows[used]))
        for name, count in met.imputed.items():
            applied.imputed[name] = applied.imputed.get(name, 0) + count
        rows = np.flatnonzero(held_out[at][used])
        if len(rows):
            found.append(fitting.predict(model, chosen.target, prepared.iloc[rows]))
    predicted = joined(found) if found else None
    notes += [*more, f"read by parts, {len(table):,} row groups of {len(files.paths):,} files"]
    record = recorded(
        told(table, request, notes),
        chosen,
        model,
        fit,
        preparation,
        applied.imputed,
        design,
        len(files.types(0)),
    )
    return Trained(model, preparation, chosen.judged(record, predicted))


def _column(table: InParts, name: str) -> Table:
    """A column of all rows."""
    if name not in table.names:
        table.part(0).require(name)
    frames = [part.frame for part in table.parts([name])]
    frame = require("pandas", "reading a table").concat(frames, ignore_index=True)
    return Table(table.part(0, [name]).source, frame, rows=np.arange(table.rows))


class PreparedFiles(Files):
    """The prepared columns of the rows of training, made of the files a row group at a time.

    Parameters
    ----------
    table : InParts
    preparation : Preparation
    rows : bool[n]
        Those of training.

    Attributes
    ----------
    levels : dict
        The levels of each prepared column of categories, in their order.
    """

    def __init__(self, table: InParts, preparation: Preparation, rows: Array) -> None:
        self._table, self._preparation, self._rows = table, preparation, np.packbits(rows)
        counts = [int(rows[a:b].sum()) for a, b in zip(table.starts, table.starts[1:], strict=False)]
        self.paths = table.files.paths
        self.parts = [Part(table.files.parts[k].file, k, n) for k, n in enumerate(counts) if n]
        self.levels: dict[str, tuple[Any, ...]] = {}
        for column in preparation.columns:
            if isinstance(column, Category):
                self.levels[column.name] = tuple(column.levels)
            elif isinstance(column, Date) and column.weekdays:
                self.levels[f"{column.name}: weekday"] = tuple(column.weekdays)
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._names = list(self.frame(self.parts[0]).columns)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_kept", "_names")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def types(self, file: int) -> dict[str, Any]:
        pa = require("pyarrow", "reading Parquet")
        texts = pa.dictionary(pa.int32(), pa.string())
        return {name: texts if name in self.levels else pa.float64() for name in self._names}

    def frame(self, part: Part) -> Any:
        """The prepared rows of training of a part, a pandas DataFrame."""
        with self._lock:
            found = self._kept.get(part.number)
            if found is None:
                begin, end = self._table.starts[part.number : part.number + 2]
                rows = np.flatnonzero(
                    np.unpackbits(self._rows[begin // 8 : -(-end // 8)])[begin % 8 :][: end - begin]
                )
                columns = [c.name for c in self._preparation.columns]
                prepared, _ = self._preparation.apply(self._table.part(part.number, columns))
                found = self._kept[part.number] = prepared.iloc[rows]
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return found

    def read(self, part: Part, columns: Sequence[str]) -> Any:
        pa = require("pyarrow", "reading Parquet")
        return pa.Table.from_pandas(self.frame(part)[list(columns)], preserve_index=False)

    def facts(self) -> tuple[Any, ...]:
        how = repr(self._preparation.to_json())
        return (*self._table.files.facts(), zlib.crc32(how.encode()), zlib.crc32(self._rows.tobytes()))

    def check(self) -> None:
        self._table.files.check()
