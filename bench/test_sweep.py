"""The sweep runs, small, with the contenders that are always there."""

import json

import pytest

from bench.sweep import plot
from bench.sweep.__main__ import main
from xpgrad.cli.bench import steps
from xpgrad.cli.bench.cells import HAND, OURS


@pytest.mark.parametrize("layout", steps.LAYOUTS)
def test_every_job_is_measured_beside_numpy_by_hand(tmp_path, layout, capsys):
    out = tmp_path / "sweep.json"
    main(
        ["--layouts", layout, "--features", "3", "--samples", "50", "--dtypes", "float64", "--rounds", "1"]
        + ["--contenders", HAND, OURS, "--out", str(out)]
    )
    cells = json.loads(out.read_text())["cells"]
    plot.main([str(out), str(tmp_path / "sweep.png")])
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert [c["job"] for c in cells] == list(steps.JOBS)
    assert all(c["us"][name] > 0 for c in cells for name in (HAND, OURS))
    assert f"{len(cells)} cells against NumPy by hand" in capsys.readouterr().out
