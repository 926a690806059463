"""Files of `xpgrad train` appear whole or not at all; Ctrl-C says what was saved; progress is for terminals."""

import json
import os
import signal
import subprocess
import sys

import pytest

from cli.tabular import numbers, refused, run, write

FEATURES = ["a", "b", "c"]


# ── saving ───────────────────────────────────────────────────────────────────────────────────
def test_where_the_disk_is_full_the_old_model_stays(tmp_path, capsys):
    resource = pytest.importorskip("resource", reason="the size of files cannot be limited")
    path = write(numbers()[["a", "y"]], tmp_path / "t.csv")
    assert run("train", path, "--target", "y", "--out", tmp_path / "m") == 0
    before = (tmp_path / "m").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        status = run("train", path, "--target", "y", "--seed", "2", "--out", tmp_path / "m")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert status == 2
    err = capsys.readouterr().err
    assert f"cannot write {tmp_path / 'm'}" in err
    assert "the file that was there before" in err
    assert (tmp_path / "m").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["m", "t.csv"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line_and_status_2(tmp_path):
    path = write(numbers()[["a", "y"]], tmp_path / "t.csv")
    with open("/dev/full", "wb") as full:
        words = [sys.executable, "-m", "xpgrad", "train", str(path), "--target", "y", "--out", "-"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGINT to send")
def test_ctrl_c_says_that_nothing_was_saved_and_ends_with_status_130(tmp_path):
    # A shell's jobs in the background, and what they start, ignore SIGINT until they say otherwise.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from xpgrad.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "train", "-", "--target", "y", "--out", str(tmp_path / "m")]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with subprocess.Popen(words, text=True, **pipes) as process:
        for line in process.stderr:
            if line.startswith("reading the data"):
                break
        process.send_signal(signal.SIGINT)  # it waits for a table that nobody writes
        process.wait(timeout=60)
        err = process.stderr.read()
    assert process.returncode == 130
    assert "xpgrad: interrupted; nothing was saved" in err
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []


def test_an_interrupt_in_the_fit_says_that_nothing_was_saved(tmp_path, capsys, monkeypatch):
    from xpgrad.learn import MLPRegressor

    def interrupted(self, X, y, sample_weight=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(MLPRegressor, "fit", interrupted)
    path = write(numbers()[["a", "y"]], tmp_path / "t.csv")
    assert run("train", path, "--target", "y", "--model", "mlp", "--out", tmp_path / "m") == 130
    assert "xpgrad: interrupted; nothing was saved" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["t.csv"]


def test_an_interrupt_after_the_model_is_saved_says_so(tmp_path, capsys, monkeypatch):
    from xpgrad.cli.models import report

    def interrupted(record):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "render", interrupted)
    path = write(numbers()[["a", "y"]], tmp_path / "t.csv")
    words = ("--target", "y", "--out", tmp_path / "m", "--report", tmp_path / "r.html")
    assert run("train", path, *words) == 130
    assert f"the model was saved as {tmp_path / 'm'}, and nothing after it" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["m", "t.csv"]


@pytest.mark.parametrize(("module", "option"), [("safetensors", "--out"), ("matplotlib", "--report")])
def test_what_an_option_needs_is_asked_for_before_the_data_are_read(module, option, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    err = refused(capsys, "train", "nowhere.csv", "--target", "y", option, "x")
    assert f"{option} needs the package {module}" in err
    assert "pip install" in err


# ── progress ─────────────────────────────────────────────────────────────────────────────────
def test_the_progress_line_has_loss_rate_and_time_left():
    from xpgrad.cli.models.watch import line

    said = line("train", 12, 0.43125, 100, 4.0)  # 3 a second, 88 to go
    assert said == "train: iteration 12 of at most 100, loss 0.43125, 3 a second, at most 29 s left"
    assert line("train", 10, 1.0, 1000, 20.0).endswith("0.5 a second, at most 33 min left")


def test_the_progress_line_does_not_wrap(monkeypatch, capsys):
    from xpgrad.cli.models import watch

    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(watch, "PATIENCE", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with watch.Watch("train") as shown:
        shown.note(1, 0.5, 10)
    assert max(map(len, capsys.readouterr().err.split("\r"))) == 29


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_line_is_for_terminals_alone_and_is_taken_away(terminal, monkeypatch, capsys):
    from xpgrad.cli.models import watch

    monkeypatch.setattr(watch, "PATIENCE", 0.0)
    monkeypatch.setattr(watch, "INTERVAL", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with watch.Watch("train") as shown:
        for k in range(3):
            shown.note(k, 1 / (k + 1), 10)
    err = capsys.readouterr().err
    assert shown.losses == [1, 1 / 2, 1 / 3]
    assert err.count("iteration") == (3 if terminal else 0)
    assert err == "" or (err.endswith("\r") and not err.split("\r")[-2].strip())


def test_the_losses_of_each_solver_are_followed(tmp_path):
    """By name of the solver: Newton's method, L-BFGS, and passes of a network."""
    frame = numbers()
    for target, words in (("two", ()), ("three", ()), ("y", ("--model", "mlp", "--max-iter", 5))):
        path = write(frame[[*FEATURES, target]], tmp_path / "t.csv")
        assert run("train", path, "--target", target, "--json", tmp_path / "r.json", *words) in (0, 1)
        fit = json.loads((tmp_path / "r.json").read_text())["fit"]
        assert len(fit["loss"]) == fit["iterations"] > 1
        assert fit["loss"][-1] < fit["loss"][0]
