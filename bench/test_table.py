"""The figures in the README and in docs/figures.md are those of the committed files."""

import json

import pytest

from bench import table


@pytest.mark.parametrize("path", [table.README, table.FIGURES], ids=lambda path: path.name)
def test_a_page_has_the_figures_of_the_files(path):
    assert table.page(path) == path.read_text(encoding="utf-8"), "run python -m bench.table --write"


def test_a_ratio_is_the_time_of_the_peer_over_ours(tmp_path, monkeypatch):
    for line in table.LINES:
        (tmp_path / line.file).write_text((table.RESULTS / line.file).read_text())
    categories = json.loads((tmp_path / "categories.json").read_text())
    categories["problems"][0]["ms"] |= {"xpgrad.compile": 2.0, "numpy": 5.0, "jax.jit": 1.0}
    (tmp_path / "categories.json").write_text(json.dumps(categories))
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    assert "| 2 ms | 2.50 x | 0.50 x |" in table.table()
