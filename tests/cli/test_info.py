"""``xpgrad info`` and what the command does with errors, Ctrl-C and a reader that leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpgrad import cli
from xpgrad._errors import DataError, message
from xpgrad._version import __version__
from xpgrad.backends import choose
from xpgrad.cli import info
from xpgrad.devices import Gpu, GpuStatus

NO_CUPY = GpuStatus(False, "CuPy is not installed", 'pip install "xpgrad[gpu]"')


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "gpu_status", lambda: NO_CUPY)
    monkeypatch.setattr(info, "devices", lambda: ("cpu",))


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(args: object) -> int:
        raise error

    monkeypatch.setattr(info, "run", run)


# The report ---------------------------------------------------------------------------------------------


def test_the_report_names_versions_blas_threads_caches_and_devices(
    capsys: pytest.CaptureFixture[str], no_gpu: None
) -> None:
    assert cli.main(["info"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["xpgrad"] == __version__
    assert rows["NumPy"] == np.__version__
    assert rows["devices"] == "cpu"
    assert {"Python", "BLAS", "CPU", "caches", "optree", "compile"} <= set(rows)
    assert "thread" in rows["BLAS"]


def test_the_report_names_the_generator_and_where_kernels_are_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, no_gpu: None, tmp_path: Path
) -> None:
    monkeypatch.setenv("XPGRAD_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("XPGRAD_NUM_THREADS", "3")
    monkeypatch.setattr(choose, "generator", lambda: ("llvm", ""))
    cli.main(["info"])
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["compile"] == "LLVM kernels, 3 threads"
    assert rows["kernels"] == str(tmp_path)


def test_without_llvm_the_report_says_what_runs_instead_and_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, no_gpu: None
) -> None:
    monkeypatch.setenv("XPGRAD_NUM_THREADS", "many")
    monkeypatch.setattr(choose, "generator", lambda: ("interpreter", "llvmlite cannot be imported"))
    cli.main(["info"])
    out = capsys.readouterr().out
    assert "NumPy interpreter, threads unknown: XPGRAD_NUM_THREADS is no positive integer" in out
    assert "not LLVM: llvmlite cannot be imported" in out


def test_the_report_says_why_a_gpu_is_missing_and_what_to_type(
    capsys: pytest.CaptureFixture[str], no_gpu: None
) -> None:
    cli.main(["info"])
    out = capsys.readouterr().out
    assert NO_CUPY.reason in out
    assert NO_CUPY.remedy in out


def test_the_report_lists_each_gpu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = (Gpu("Fake", 8 << 30, "9.0"), Gpu("Other", 512 << 20, "7.0"))
    monkeypatch.setattr(info, "gpu_status", lambda: GpuStatus(True, gpus=gpus))
    monkeypatch.setattr(info, "devices", lambda: ("cpu", "gpu", "gpu:1"))
    cli.main(["info"])
    out = capsys.readouterr().out
    assert "Fake, 8 GiB, compute capability 9.0" in out
    assert "Other, 512 MiB, compute capability 7.0" in out
    assert "no gpu" not in out


def test_json_holds_the_same_facts(capsys: pytest.CaptureFixture[str], no_gpu: None) -> None:
    assert cli.main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["gpu"] == {
        "available": False,
        "reason": NO_CUPY.reason,
        "remedy": NO_CUPY.remedy,
        "gpus": [],
    }
    assert facts["cpu"]["usable"] >= 1
    assert set(facts["packages"]) == set(info.OPTIONAL)


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert info.version("numpy") == np.__version__
    assert info.version("no-such-distribution") is None


def test_caches_are_read_as_linux_states_them(tmp_path: Path) -> None:
    for i, (level, kind, size) in enumerate([("1", "Data", "32K"), ("3", "Unified", "8M")]):
        (tmp_path / f"index{i}").mkdir()
        for name, text in zip(
            ("level", "type", "size", "shared_cpu_list"), (level, kind, size, "0-1"), strict=True
        ):
            (tmp_path / f"index{i}" / name).write_text(text + "\n")
    (tmp_path / "index2").mkdir()  # a container may hide the files
    assert info.caches(tmp_path) == [
        {"level": 1, "type": "Data", "bytes": 32 << 10, "cores": "0-1"},
        {"level": 3, "type": "Unified", "bytes": 8 << 20, "cores": "0-1"},
    ]


def test_what_cannot_be_found_out_is_said_to_be_unknown(no_gpu: None) -> None:
    facts: dict[str, Any] = info.collect() | {"blas": []}
    facts["cpu"] = facts["cpu"] | {"caches": [], "model": None}
    text = info.render(facts)
    assert info.caches(Path("no such folder")) == []
    for label in ("BLAS", "caches"):
        assert any(line.split() == [label, "unknown"] for line in text.splitlines())
    assert "unknown model" in text


# The command --------------------------------------------------------------------------------------------


def test_an_error_is_printed_without_traceback_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_with(monkeypatch, DataError(message("race: no column 'late'", {"file": "a.csv"}, remedy="mend it")))
    assert cli.main(["info"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "xpgrad: error: race: no column 'late'\n  file a.csv\n  mend it\n"
    assert captured.out == ""


def test_ctrl_c_leaves_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, KeyboardInterrupt())
    assert cli.main(["info"]) == 130
    assert capsys.readouterr().err == "xpgrad: interrupted\n"


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, AssertionError("ours"))
    with pytest.raises(AssertionError, match="ours"):
        cli.main(["info"])


@pytest.mark.parametrize("words", [[], ["fly"], ["info", "--no-such-option"]])
def test_wrong_words_end_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "usage: xpgrad" in capsys.readouterr().err


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "xpgrad", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"xpgrad {__version__}\n")


def test_a_reader_that_leaves_causes_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "xpgrad", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == ""


def test_info_does_not_import_the_race() -> None:
    code = (
        "import sys; from xpgrad.cli import main; main(['info']);"
        "assert 'xpgrad.cli.race' not in sys.modules; assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_directory_below_home_is_named_from_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XPGRAD_CACHE_DIR", str(tmp_path / "kernels"))
    assert info._from_home(str(tmp_path / "kernels")) == os.path.join("~", "kernels")
    assert info._from_home("/elsewhere/kernels") == "/elsewhere/kernels"
    assert info._from_home(None) is None
