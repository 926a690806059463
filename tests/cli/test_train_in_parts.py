"""`xpgrad train` and `predict` on Parquet that is read by row groups: what the same table in memory gives."""

import json

import numpy as np
import pandas as pd
import pytest

from cli.tabular import mixed, refused, run
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.cli.models.fitting import TOLERANCE

pytestmark = pytest.mark.skipif(available() is not None, reason=str(available()))

ROWS, GROUP = 9_000, 1_100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table in one file, and in three; the last level of a column is in the last file alone."""
    path = tmp_path_factory.mktemp("parts")
    frame = mixed(ROWS)
    frame.loc[::17, "kind"] = None
    frame.loc[ROWS - 300 :, "kind"] = "ferry"
    frame.loc[:GROUP, "weight"] = np.nan  # all of the first row group
    frame.to_parquet(path / "whole.parquet")
    frame.to_parquet(path / "groups.parquet", row_group_size=GROUP)
    for k in range(3):
        part = frame.iloc[k * ROWS // 3 : (k + 1) * ROWS // 3]
        part.to_parquet(path / f"part{k}.parquet", row_group_size=GROUP)
    return path


def trained(folder, data, target, *words):
    out = folder / f"{target}.{'parts' if '*' in data else 'whole'}"
    assert run("train", folder / data, "--target", target, "--json", f"{out}.json", "--out", out, *words) == 0
    return json.loads((folder / f"{out}.json").read_text()), out


def leaves(x):
    """The numbers and texts of nested lists and dicts, by their place."""
    if isinstance(x, (dict, list)):
        items = x.items() if isinstance(x, dict) else enumerate(x)
        return {f"{k}.{place}": leaf for k, y in items for place, leaf in leaves(y).items()}
    return {"": x}


def assert_same(found, expected):
    found, expected = leaves(found), leaves(expected)
    assert found.keys() == expected.keys()
    for place, x in expected.items():
        if isinstance(x, float):
            assert found[place] == pytest.approx(x, rel=1e-6, abs=1e-8), place
        else:
            assert found[place] == x, place


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("late", ()),
        pytest.param("count", ("--model", "poisson"), marks=pytest.mark.slow),
        pytest.param("cost", ("--penalty", "1", "--split", "last"), marks=pytest.mark.slow),
        pytest.param("kind", ("--skip-missing",), marks=pytest.mark.slow),
    ],
)
def test_the_model_is_that_of_the_table_in_memory(folder, target, words):
    whole, _ = trained(folder, "whole.parquet", target, *words)
    parts, model = trained(folder, "part*.parquet", target, *words, "--memory-limit", "50MB")
    for what in ("preparation", "imputed", "model", "test"):
        assert_same(parts[what], whole[what])
    coefs = [[row["coef"] for row in x["coefficients"]["rows"]] for x in (parts, whole)]
    # A gradient within the tolerance leaves an error of it over the least curvature: that of the penalty.
    strength = whole["model"]["penalty"] / whole["data"]["train_rows"]
    np.testing.assert_allclose(*coefs, rtol=1e-4, atol=max(TOLERANCE / strength if strength else 0, 1e-7))
    assert "intervals need them in memory" in parts["coefficients"]["why_not"]
    assert "read by parts, 9 row groups of 3 files" in parts["data"]["notes"]
    out = folder / "out.parquet"
    for data in ("whole.parquet", "part*.parquet"):
        assert run("predict", model, folder / data, "--out", out, "--json", folder / f"{data[:4]}.json") == 0
        out = folder / "out.csv"
    first, second = pd.read_parquet(folder / "out.parquet"), pd.read_csv(folder / "out.csv")
    for name in first.columns:
        if first[name].dtype.kind == "f":
            np.testing.assert_allclose(second[name], first[name], rtol=1e-12)
        else:
            assert (second[name] == first[name]).all()
    assert_same(*(json.loads((folder / f"{name}.json").read_text()) for name in ("part", "whol")))


def test_a_file_that_is_more_than_the_limit_is_read_by_parts(folder):
    found, _ = trained(folder, "whole.parquet", "late", "--memory-limit", "1GB")
    assert not any("by parts" in note for note in found["data"]["notes"])
    found, _ = trained(folder, "groups.parquet", "late", "--memory-limit", "1MB")
    assert any("by parts" in note for note in found["data"]["notes"])


@pytest.mark.slow
def test_workers_share_the_passes(folder):
    alone, _ = trained(folder, "part*.parquet", "late")
    shared, _ = trained(folder, "part*.parquet", "late", "--workers", "2")
    assert shared["coefficients"] == alone["coefficients"]


def test_what_is_refused_says_why(folder, capsys):
    data = folder / "part*.parquet"
    assert "mlp takes all rows at once" in refused(capsys, "train", data, "--target", "late", "--model", "mlp")
    assert "there is no file" in refused(capsys, "train", folder / "no*.parquet", "--target", "late")
    words = ("--cluster", "tcp://127.0.0.1:1", "--workers", "2")
    assert "has workers already" in refused(capsys, "train", data, "--target", "late", *words)
    assert "did you mean 'late'?" in refused(capsys, "train", data, "--target", "Late")
