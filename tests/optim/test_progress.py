"""The bar shows on a terminal, or when asked to, and is gone afterwards."""

import sys

import numpy as np
import pytest

from xpgrad.optim import minimize, progress


@pytest.fixture(autouse=True)
def unthrottled(monkeypatch):
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    monkeypatch.setenv("TERM", "xterm")


def fit(**options):
    return minimize(lambda x: np.sum(x**2), np.ones(2), method="gd", max_iter=3, tol=0.0, **options)


def test_nothing_is_shown_where_there_is_no_terminal(capsys):
    fit()
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_where_standard_error_is_closed(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert fit().n_iter == 3


@pytest.mark.parametrize("rich", [True, False])
def test_a_terminal_shows_a_bar_on_standard_error(rich, capsys, monkeypatch):
    if rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setattr(progress, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    fit()
    out, err = capsys.readouterr()
    assert out == ""
    assert "gd: " in err
    assert "loss 1.28" in err


def test_false_shows_nothing_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    fit(progress=False)
    assert capsys.readouterr() == ("", "")


def test_true_shows_one_line_without_a_terminal_and_wipes_it(capsys):
    fit(progress=True)
    lines = capsys.readouterr().err.split("\r")
    assert lines[1] == "gd: iteration 0 of at most 3, loss 2"
    assert lines[-3].rstrip() == "gd: iteration 3 of at most 3, loss 0.524288"
    assert lines[-2].strip() == lines[-1] == ""
    assert len(lines[-2]) == max(map(len, lines))


def test_ctrl_c_closes_the_bar_and_goes_up(capsys):
    def interrupted(info):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(progress=True, callback=interrupted)
    assert capsys.readouterr().err.split("\r")[-1] == ""


def test_a_bar_is_redrawn_at_most_so_often(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_INTERVAL", 1e9)
    fit(progress=True)
    assert capsys.readouterr().err.count("iteration") == 1
