"""The benchmark of sources and of a cluster runs, and what it compares has the same bits."""

import json

import pytest

from bench.scale import main


@pytest.mark.slow
def test_both_formats_are_read_within_the_limit_with_the_bits_in_memory(tmp_path):
    out = tmp_path / "scale.json"
    main(["--parts", "npy", "parquet", "--gigabytes", "1.0", "--passes", "1", "--json", str(out)])
    found = json.loads(out.read_text())["large"]
    assert {name: form["same_bits"] for name, form in found["forms"].items()} == {"npy": True, "parquet": True}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_workers_have_the_bits_of_one_thread(tmp_path):
    out = tmp_path / "scale.json"
    what = ["--cluster-gigabytes", "0.05", "--calls", "1", "--kills", "1", "--model", "--json", str(out)]
    main(["--parts", "cluster", *what])
    main(["--parts", "kills", *what])
    report = json.loads(out.read_text())
    assert all(each["same_bits"] for each in report["cluster"]["workers"].values())
    assert (report["kills"]["times"], report["kills"]["same_bits"]) == (1, 1)
