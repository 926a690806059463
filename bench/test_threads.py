"""The benchmark of threads runs, and its contenders compute the same bits."""

import json

from bench.threads import CONTENDERS, main


def test_one_step_is_measured_with_each_contender(tmp_path):
    out = tmp_path / "threads.json"
    main(["--small", "--rounds", "1", "--json", str(out)])
    (cell,) = json.loads(out.read_text())["cells"]
    assert set(cell["us"]) == set(CONTENDERS)
    assert all(us > 0 for us in cell["us"].values())
