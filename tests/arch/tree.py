"""The annotated tree of `docs/layout.md`: the folders and files of the package, with a line for each.

    python -m tests.arch.tree            print it
    python -m tests.arch.tree --write    put it into the page

The line of a file is the first of its module's docstring, that of a folder the first of its ``__init__``'s, and
that of a ``.cuh`` file its first comment.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "xpgrad"
PAGE = ROOT / "docs" / "layout.md"
BEGIN, END = "<!-- the tree: python -m tests.arch.tree --write -->\n", "<!-- end of the tree -->\n"
# The stages. Each may import those before it, and itself.
ORDER = [
    "_version", "_errors", "_files", "_trees", "core", "devices", "data", "ops", "trace", "autodiff", "passes",
    "plan", "codegen", "backends", "scale", "compiler", "transforms", "testing", "special", "stats", "linalg",
    "integrate", "interpolate", "signal", "nn", "losses", "optim", "optimize", "autograd", "learn", "cli",
]  # fmt: skip


def first_line(path: Path) -> str:
    """The first line of a module's docstring, or of a header's comment."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return text.partition("\n")[0].removeprefix("//").strip()


def entries(folder: Path, depth: int) -> Iterator[tuple[str, str]]:
    """The indented name and the line of each file and folder in ``folder``: stages in order, others by name."""
    folders = {p.parent for p in folder.glob("*/__init__.py")}
    files = {p for p in folder.iterdir() if p.suffix in (".py", ".cuh") and p.name != "__init__.py"}

    def place(path: Path) -> tuple[int, bool, str]:
        stage = path.stem if folder == SRC else ""
        return ORDER.index(stage) if stage in ORDER else -1, path in folders, path.name.lstrip("_")

    for path in sorted(folders | files, key=place):
        if path in files:
            yield "  " * depth + path.name, first_line(path)
        else:
            yield "  " * depth + f"{path.name}/", first_line(path / "__init__.py")
            yield from entries(path, depth + 1)


def tree() -> str:
    """The tree as text, with a line for each file and folder."""
    found = [("src/xpgrad/", first_line(SRC / "__init__.py")), *entries(SRC, 1)]
    width = max(len(name) for name, _ in found) + 2
    return "".join(f"{name:<{width}}{line.removesuffix('.')}\n" for name, line in found)


def page(text: str) -> str:
    """``text`` with the present tree between the two markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, "the page has no marker before the tree"
    assert end, "the page has no marker after the tree"
    return f"{before}{begin}\n```text\n{tree()}```\n\n{end}{after}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(tree(), end="")
