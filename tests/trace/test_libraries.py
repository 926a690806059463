"""SciPy's and scikit-learn's own functions on traced arrays: the table of the documentation holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cases.library_calls import PAGE, page

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mode", ["0", "1"])
def test_each_call_does_what_the_table_says(mode):
    pytest.importorskip("sklearn", minversion="1.9")
    pytest.importorskip("scipy", minversion="1.17")
    environment = {k: v for k, v in os.environ.items() if k != "SCIPY_ARRAY_API"}
    if mode == "1":
        environment["SCIPY_ARRAY_API"] = "1"  # which SciPy reads when it is imported
    run = [sys.executable, "-m", "tests.cases.library_calls"]
    done = subprocess.run(run, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_page_has_the_table():
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run: python -m tests.cases.library_calls --write"
