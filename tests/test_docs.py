"""The documentation, held to the code: its examples run, its links lead somewhere, its errors are these.

In README.md and docs/, what a line of Markdown before a fence asks for:

    (nothing)                         run; the blocks of one file share their names. What follows
                                      ``>>>`` is compared, as in a doctest
    <!-- raises, as fit.py -->        run as the file fit.py: it must raise what the next block says
    <!-- excerpt: src/xpgrad/x.py --> do not run: these lines must stand in that file

Each file runs in an interpreter of its own, as a reader would have it, with warnings as errors.
"""

import doctest
import linecache
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [*FILES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "docker" / "README.md"]

_FENCE = re.compile(r"(?:^<!-- (?P<asks>[^\n]*) -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block, the comment before it, and the number of its first line."""

    asks: str
    language: str
    text: str
    line: int


def blocks(path):
    text = path.read_text(encoding="utf-8")
    return [
        Block(m["asks"] or "", m["language"], m["text"], text.count("\n", 0, m.start("text")) + 1)
        for m in _FENCE.finditer(text)
    ]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


# ── what runs ────────────────────────────────────────────────────────────────────────────────
def run(path):
    """Run the Python blocks of a file, in order; what is wrong goes up as an exception."""
    names = {"__name__": "__main__"}
    found = blocks(path)
    for block, after in zip(found, [*found[1:], None], strict=True):
        place = f"{name_of(path)}:{block.line}"
        if block.language != "python" or block.asks.startswith("excerpt:"):
            continue
        if block.asks.startswith("raises"):
            check_error(block, after, names, place)
        elif ">>> " in block.text:
            check_doctest(block, names, place)
        else:
            # Empty lines before the block, so that a traceback gives the line in the page.
            execute("\n" * (block.line - 1) + block.text, names, name_of(path))


def execute(source, names, filename):
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), names)


def check_doctest(block, names, place):
    test = doctest.DocTestParser().get_doctest(block.text, names, place, None, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(test, clear_globs=False)
    names.update(test.globs)
    assert not runner.failures, f"{place}: see above"


def check_error(block, after, names, place):
    assert after is not None, f"{place}: no block with the error follows"
    filename = block.asks.partition(", as ")[2] or "example.py"
    try:
        execute(block.text, names, filename)
    except Exception as error:
        got = f"{type(error).__name__}: {error}\n"
    else:
        raise AssertionError(f"{place}: nothing was raised")
    assert got == after.text, f"{place}: it raised\n\n{got}\nand the page says\n\n{after.text}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_examples_run(path, tmp_path):
    if not any(block.language == "python" for block in blocks(path)):
        return
    command = [sys.executable, "-W", "error", str(Path(__file__)), str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ── what is quoted ───────────────────────────────────────────────────────────────────────────
EXCERPTS = [(path, block) for path in FILES for block in blocks(path) if block.asks.startswith("excerpt:")]


@pytest.mark.parametrize(("path", "block"), EXCERPTS, ids=[f"{name_of(p)}:{b.line}" for p, b in EXCERPTS])
def test_an_excerpt_stands_in_its_file(path, block):
    source = ROOT / block.asks.partition(":")[2].strip()
    assert block.text in source.read_text(encoding="utf-8")


def links():
    for path in PAGES:
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:|#", target):
                yield path, target.partition("#")[0]


LINKS = sorted(set(links()))


@pytest.mark.parametrize(("path", "target"), LINKS, ids=[f"{name_of(p)} to {t}" for p, t in LINKS])
def test_a_link_leads_to_a_file(path, target):
    assert (path.parent / target).exists()


@pytest.mark.parametrize("name", ["race", "test"])
def test_the_readme_has_the_command(name):
    command = [sys.executable, str(ROOT / ".ci" / "readme_command"), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("python3 -m venv ")


def test_every_exported_name_is_in_the_table():
    import xpgrad

    table = (ROOT / "docs" / "names.md").read_text(encoding="utf-8")
    assert [n for n in xpgrad.__all__ if not n.startswith("_") and not re.search(rf"\b{n}\b", table)] == []


if __name__ == "__main__":
    run(Path(sys.argv[1]).resolve())
