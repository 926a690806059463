"""Mutants: defects that were mended, each put back by one replacement in one source file."""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Mutant:
    """``old``, which occurs once in ``file``, becomes ``new``; ``group`` is the TOML file that lists it."""

    group: str
    item: str
    file: str
    old: str
    new: str

    def text(self, root=ROOT):
        """The file with the defect in it."""
        return (root / self.file).read_text().replace(self.old, self.new)

    def apply(self, into):
        """A copy of ``src`` in the directory ``into``, with the defect; the path to put first."""
        shutil.copytree(ROOT / "src", into / "src", ignore=shutil.ignore_patterns("__pycache__"))
        (into / self.file).write_text(self.text())
        return into / "src"


def every():
    """All mutants, in the order of their files."""
    found = []
    for path in sorted(HERE.glob("*.toml")):
        if path.name == "nets.toml":
            continue
        with path.open("rb") as file:
            found += [Mutant(path.stem, **m) for m in tomllib.load(file).get("mutant", [])]
    return found


def nets():
    """Which tests are generated sweeps and which are written by hand, for each group: ``nets.toml``."""
    with (HERE / "nets.toml").open("rb") as file:
        return tomllib.load(file)
