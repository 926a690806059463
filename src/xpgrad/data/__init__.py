"""Sources: samples in files, which are read by parts where an array would not fit into memory."""

from __future__ import annotations

from xpgrad.data.chunks import dask, from_chunks, zarr
from xpgrad.data.files import arrow, csv, parquet
from xpgrad.data.npy import npy
from xpgrad.data.source import Source
from xpgrad.data.tables import Table

__all__ = ["Source", "Table", "arrow", "csv", "dask", "from_chunks", "npy", "parquet", "zarr"]
