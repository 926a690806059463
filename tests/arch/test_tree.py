"""The tree of `docs/layout.md` is the first line of each file's docstring."""

import pytest

from arch.tree import PAGE, SRC, first_line, page

FILES = sorted(p for p in SRC.rglob("*") if p.suffix in (".py", ".cuh"))
MOST = 95


def test_the_page_has_the_tree_of_the_package():
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run: python -m tests.arch.tree --write"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SRC).as_posix())
def test_the_first_line_is_a_sentence_of_its_own(path):
    line = first_line(path)
    assert line.endswith((".", "?")), f"it goes on: {line!r}"
    assert len(line) <= MOST, f"{len(line)} characters: {line!r}"
