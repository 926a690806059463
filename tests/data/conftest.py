"""Samples in memory and the same in files, large enough to be read piece by piece."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from data.samples import CITIES, NAMES, M


@pytest.fixture(scope="session")
def samples():
    """X in Fortran order, as the columns of a table lie; y, and the codes of a column of texts."""
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.normal(size=(M, 3)))
    y = (rng.random(M) < 1 / (1 + np.exp(-X.sum(1)))).astype(float)
    return X, y, rng.integers(0, 4, M)


@pytest.fixture(scope="session")
def folder(samples, tmp_path_factory):
    """The samples as .npy, .parquet (two files with row groups of odd lengths), .arrow and .csv."""
    X, y, city = samples
    path = tmp_path_factory.mktemp("samples")
    np.save(path / "rows.npy", np.ascontiguousarray(X))
    np.save(path / "columns.npy", np.ascontiguousarray(X.T))
    np.save(path / "fortran.npy", X)
    np.save(path / "y.npy", y)
    names = pa.array(CITIES[city]).dictionary_encode()
    table = pa.table({**dict(zip(NAMES, X.T, strict=True)), "y": y, "city": names})
    for k, (begin, end) in enumerate([(0, 30_011), (30_011, M)]):
        part = table.slice(begin, end - begin)
        pq.write_table(part, path / f"part{k}.parquet", row_group_size=7_777)
    pyarrow.feather.write_feather(table, path / "all.arrow", chunksize=9_999, compression="uncompressed")
    pyarrow.csv.write_csv(table.set_column(4, "city", names.dictionary_decode()), path / "all.csv")
    return path
