"""Imports go one way, optional packages are imported where they are used, and NumPy's time is not doubled."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import xpgrad
from arch.tree import ORDER

SRC = Path(xpgrad.__file__).parent
# The modules that are about an optional package, and may import it (when they are used).
OPTIONAL = {
    "cupy": {"backends.gpu.cuda.device", "backends.gpu.cuda.nvrtc", "devices"},
    "cupyx": {"backends.gpu", "devices"},
    "scipy": {"backends.cpu.scipy", "cli.bench", "devices.sparse", "learn.inference", "optimize"},
    "optree": {"_trees"},
    "pandas": {"cli"},
    "matplotlib": {"cli"},
    "rich": {"cli", "optim.progress"},
    "llvmlite": {"backends.cpu.llvm.build"},
    "sklearn": {"cli.bench", "learn"},
    "jax": {"cli.bench"},
    "torch": {"cli.bench"},
    "safetensors": {"learn.files"},
    "dask": {"scale"},
    "distributed": {"scale"},
    "pyarrow": {"data"},
    "fsspec": {"data"},
    "zarr": {"data"},
}  # fmt: skip
FILES = sorted(p for p in SRC.rglob("*.py") if p != SRC / "__init__.py")


def module_of(path):
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """Every imported module of a file, and whether the import is at the top level."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            yield node.module, id(node) in top
            if node.module == "xpgrad":
                for alias in node.names:
                    yield f"xpgrad.{alias.name}", id(node) in top


@pytest.mark.parametrize("path", FILES, ids=lambda p: module_of(p) or p.stem)
def test_a_stage_imports_only_stages_before_it(path):
    here = (module_of(path) or path.stem).split(".")[0]
    if here == "__main__":
        return
    for name, _ in imports(path):
        if name.startswith("xpgrad."):
            stage = name.split(".")[1]
            if stage in ORDER:
                assert ORDER.index(stage) <= ORDER.index(here), f"{here} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: module_of(p) or p.stem)
def test_optional_packages_are_imported_in_their_module_when_used(path):
    here = module_of(path) or path.stem
    for name, at_the_top in imports(path):
        package = name.split(".")[0]
        if package in OPTIONAL:
            homes = OPTIONAL[package]
            assert any(here == h or here.startswith(h + ".") for h in homes), f"{here} imports {name}"
            assert not at_the_top, f"{here} imports {name} before it is used"


def test_every_stage_of_the_package_has_its_place_in_the_order():
    stages = {module_of(p).split(".")[0] or p.stem for p in FILES} - {"__main__"}
    assert stages <= set(ORDER)


def test_importing_xpgrad_imports_nothing_optional():
    code = "import sys, xpgrad; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(loaded.split()) & {*OPTIONAL, "dataclasses", "threadpoolctl", "torch", "jax"}


def test_files_are_of_a_size_to_be_read():
    lengths = {module_of(p): len(p.read_text().splitlines()) for p in FILES}
    assert {m: n for m, n in lengths.items() if n > 400} == {}
