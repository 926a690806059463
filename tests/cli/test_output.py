"""Files appear whole or not at all; progress stays out of the results."""

import os
import stat
from pathlib import Path

import pytest

from xpgrad._errors import XpgradError
from xpgrad.cli import output


def test_a_file_is_written_and_nothing_else(tmp_path):
    output.write(tmp_path / "a.txt", "µs\n")
    assert (tmp_path / "a.txt").read_text("utf-8") == "µs\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        output.write(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "a.txt").symlink_to(tmp_path / "there" / "b.txt")
    output.write(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "there" / "b.txt").read_text() == "x"


@pytest.mark.skipif(os.name != "posix", reason="there is no /dev/null")
def test_a_device_is_written_to_and_not_replaced():
    null = Path("/dev/null")
    output.check_writable(null, "--json")
    output.write(null, "x")
    assert stat.S_ISCHR(null.stat().st_mode)


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    output.write(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_checking_leaves_nothing_behind(tmp_path):
    output.check_writable(tmp_path / "a.json", "--json")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_refused_with_the_option_and_the_remedy(tmp_path):
    with pytest.raises(XpgradError, match=r"--json: there is no folder[\s\S]*mkdir -p"):
        output.check_writable(tmp_path / "no" / "a.json", "--json")


def test_a_folder_as_output_is_refused(tmp_path):
    with pytest.raises(XpgradError, match=r"--html: .* is a folder"):
        output.check_writable(tmp_path, "--html")


def test_an_unwritable_folder_is_refused(tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", denied)
    with pytest.raises(XpgradError, match=r"--json: cannot write to[\s\S]*Permission denied"):
        output.check_writable(tmp_path / "a.json", "--json")


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(XpgradError, match=r"a\.txt[\s\S]*No space left"):
        output.write(tmp_path / "a.txt", "x")
    assert os.listdir(tmp_path) == []


def test_without_a_terminal_progress_is_one_line_on_standard_error(capsys):
    with output.progress("racing", 3) as advance:
        for name in "abc":
            advance(name)
    assert capsys.readouterr() == ("", "racing ...\n")


def test_on_a_terminal_progress_is_a_bar_on_standard_error(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with output.progress("racing", 2) as advance:
        advance("NumPy")
        advance("xpgrad")
    out, err = capsys.readouterr()
    assert out == ""
    assert "racing: xpgrad" in err


def test_on_a_terminal_without_rich_progress_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(output, "installed", lambda name: False)
    with output.progress("racing", 2) as advance:
        advance("NumPy")
    assert capsys.readouterr().err == "racing ...\n"
