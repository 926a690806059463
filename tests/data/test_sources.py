"""A source has the entries of the array that was written, in any range; what is wrong with a file is named."""

import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import xpgrad as xg
from data.samples import CITIES, NAMES, M
from xpgrad.data import memory
from xpgrad.data.source import Source

RANGES = [(0, M), (0, 1), (7_776, 7_779), (29_999, 30_100), (M - 1, M)]


def of_parquet(path):
    return xg.data.parquet(str(path / "part*.parquet"))[NAMES]


def of_chunks(path):
    X = np.load(path / "rows.npy")
    bounds = [0, 10_000, 10_000, 55_555, M]
    return xg.data.from_chunks(lambda i: X[bounds[i] : bounds[i + 1]], np.diff(bounds), (3,))


def of_zarr(path):
    import zarr

    array = zarr.create_array(
        str(path / "x.zarr"), shape=(M, 3), chunks=(9_000, 2), dtype=float, overwrite=True
    )
    array[:] = np.load(path / "rows.npy")
    return xg.data.zarr(str(path / "x.zarr"))


def of_dask(path):
    import dask.array

    return xg.data.dask(dask.array.from_array(np.load(path / "rows.npy"), chunks=(20_000, 3)))


SOURCES = {
    "parquet": of_parquet,
    "arrow": lambda path: xg.data.arrow(path / "all.arrow")[NAMES],
    "csv": lambda path: xg.data.csv(path / "all.csv")[NAMES],
    "npy in rows": lambda path: xg.data.npy(path / "rows.npy"),
    "npy in Fortran order": lambda path: xg.data.npy(path / "fortran.npy"),
    "chunks": of_chunks,
    "zarr": of_zarr,
    "dask": of_dask,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_has_the_entries_of_the_array(kind, samples, folder):
    X = samples[0]
    source = SOURCES[kind](folder)
    assert (source.shape, source.dtype, len(source)) == (X.shape, X.dtype, M)
    assert source.blocks[0][0] == 0
    assert source.blocks[-1][1] == M
    for begin, end in RANGES:
        np.testing.assert_array_equal(source.read(begin, end), X[begin:end])


def test_samples_in_columns_are_read_along_the_last_axis(samples, folder):
    for source in (xg.data.npy(folder / "columns.npy", axis=-1), xg.data.npy(folder / "columns.npy", axis=1)):
        assert (source.shape, source.samples) == ((3, M), M)
        for begin, end in RANGES:
            np.testing.assert_array_equal(source.read(begin, end), samples[0].T[:, begin:end])


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv"])
def test_a_column_of_texts_is_codes_of_sorted_levels(kind, samples, folder):
    table = {
        "parquet": lambda: xg.data.parquet([folder / "part0.parquet", folder / "part1.parquet"]),
        "arrow": lambda: xg.data.arrow(folder / "all.arrow"),
        "csv": lambda: xg.data.csv(folder / "all.csv"),
    }[kind]()
    city = table["city"]
    assert table.levels("city") == city.levels == tuple(sorted(CITIES))
    assert city.dtype == np.int32
    np.testing.assert_array_equal(np.array(city.levels)[city.read()], CITIES[samples[2]])


def test_a_copy_of_the_files_has_the_same_digest_and_other_entries_another(folder, tmp_path):
    for name in ("part0.parquet", "rows.npy"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    opened = {
        "parquet": lambda where: xg.data.parquet(where / "part0.parquet")["y"],
        "npy": lambda where: xg.data.npy(where / "rows.npy"),
    }
    for make in opened.values():
        assert make(folder).digest == make(tmp_path).digest
    assert pickle.loads(pickle.dumps(opened["parquet"](folder))).digest == opened["parquet"](folder).digest
    X = np.load(tmp_path / "rows.npy")
    X[0, 0] += 1
    np.save(tmp_path / "rows.npy", X)
    assert opened["npy"](folder).digest != opened["npy"](tmp_path).digest
    assert xg.data.parquet(folder / "part0.parquet")["x0"].digest != opened["parquet"](folder).digest


# ── what is wrong ────────────────────────────────────────────────────────────────────────────
def written(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_a_file_that_is_cut_short_is_named(folder, tmp_path):
    for name, made in (("part0.parquet", xg.data.parquet), ("rows.npy", xg.data.npy)):
        text = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(text[: len(text) // 2])
        with pytest.raises(xg.DataError, match=name):
            made(tmp_path / name)


def test_a_file_that_changes_after_it_was_opened_is_named(tmp_path):
    path = written(tmp_path / "a.parquet", x=[1.0, 2.0])
    source = xg.data.parquet(path)["x"]
    written(path, x=[1.0, 2.0, 3.0])
    with pytest.raises(xg.DataError, match=r"a\.parquet has changed"):
        source.read()
    np.save(tmp_path / "a.npy", np.ones(4))
    source = xg.data.npy(tmp_path / "a.npy")
    os.utime(tmp_path / "a.npy", ns=(1, 1))
    with pytest.raises(xg.DataError, match=r"a\.npy has changed"):
        source.read()


def test_a_column_that_is_of_another_type_in_another_file_is_named(tmp_path):
    paths = [written(tmp_path / "a.parquet", x=[1.0]), written(tmp_path / "b.parquet", x=[1])]
    with pytest.raises(
        xg.DataError, match=r"'x' is not the same in all files\n +a.parquet double\n +b.parquet int64"
    ):
        xg.data.parquet(paths)


def test_missing_entries_and_texts_among_numbers_are_refused_by_column(tmp_path):
    path = written(
        tmp_path / "a.parquet", x=[1.0, None], city=["Oslo", "Bern"], when=pa.array([0, 1], pa.date32())
    )
    table = xg.data.parquet(path)
    with pytest.raises(xg.DataError, match=r"'x' of a\.parquet has 1 missing"):
        table["x"].read()
    with pytest.raises(xg.DTypeError, match=r"'city' of a\.parquet has texts"):
        table[["x", "city"]]
    with pytest.raises(xg.DTypeError, match=r"'when' of a\.parquet holds no numbers"):
        table["when"]
    with pytest.raises(xg.DataError, match="no column 'z'"):
        table["z"]


def test_an_entry_of_a_csv_file_that_is_no_number_is_an_error_with_the_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "1.5,2\n" * 4_000_000)
    with open(path, "a") as file:
        file.write("oops,2\n")
    with pytest.raises(xg.DataError, match=r"a\.csv cannot be read: .*oops"):
        xg.data.csv(path)


def test_an_unreadable_block_is_tried_again_and_then_named(monkeypatch):
    monkeypatch.setattr("xpgrad.data.source.WAIT", 0.0)
    asked = []

    def chunk(i):
        asked.append(i)
        if len(asked) < 3:
            raise OSError("the disk is on fire")
        return np.ones(5)

    assert xg.data.from_chunks(chunk, [5], retries=2).read().sum() == 5
    assert asked == [0, 0, 0]
    asked.clear()
    with pytest.raises(
        xg.DataError, match="samples 0 to 4 of chunks cannot be read: the disk is on fire, tried 2"
    ):
        xg.data.from_chunks(chunk, [5], retries=1).read()


def test_a_chunk_of_another_length_is_refused():
    with pytest.raises(xg.DataError, match="block 1 of chunks is not what it was said to be"):
        xg.data.from_chunks(lambda i: np.ones(5), [5, 4]).read()


def test_no_file_and_a_missing_folder_are_errors(tmp_path):
    with pytest.raises(xg.DataError, match="there is no file"):
        xg.data.parquet(str(tmp_path / "*.parquet"))
    with pytest.raises(xg.DataError, match=r"none\.npy"):
        xg.data.npy(tmp_path / "none.npy")


def test_a_path_of_another_file_system_is_read_through_fsspec(folder):
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe("/bucket/a.parquet", (folder / "part0.parquet").read_bytes())
    source = xg.data.parquet("memory://bucket/*.parquet")["y"]
    np.testing.assert_array_equal(source.read(), np.load(folder / "y.npy")[:30_011])
    with pytest.raises(xg.DataError, match=r"memory://bucket/none\.parquet cannot be read"):
        xg.data.parquet("memory://bucket/none.parquet")


def test_numpy_does_not_read_a_source_without_being_told_to(folder):
    source: Source = xg.data.npy(folder / "rows.npy")
    for what in (np.asarray, np.exp, np.sum, lambda x: x @ np.ones(3), lambda x: x + 1, lambda x: x.T):
        with pytest.raises(xg.DTypeError, match=r"rows\.npy is a source of samples"):
            what(source)
    with pytest.raises(xg.DTypeError, match=r"rows\.npy is a source of samples"):
        xg.grad(lambda w, X: np.sum(X @ w))(np.ones(3), source)
    assert xg.device_of(source) == "cpu"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(1000, 1000), ("800MB", 800e6), ("2 GiB", 2 << 30), ("1.5kb", 1500), ("64", 64), ("3T", 3e12)],
)
def test_a_memory_limit_is_bytes_or_a_text(given, expected):
    assert memory.limit_of(given) == expected


@pytest.mark.parametrize("given", [0, -1, "much", "1 i", True, float("nan")])
def test_what_is_no_memory_limit_is_refused(given):
    with pytest.raises(ValueError, match="memory_limit must be a number of bytes"):
        memory.limit_of(given)


def test_by_default_a_quarter_of_what_is_free_is_used():
    assert 0 < memory.limit_of(None) <= memory.free() / 3
