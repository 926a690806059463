"""Kernels on disk, and a machine without llvmlite: each in a process of its own."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from tests.compile.conftest import COMPILERS

needs_llvm = pytest.mark.skipif(all(c.name != "llvm" for c in COMPILERS), reason="llvmlite is not installed")

PROGRAM = """
    import json, sys, time, warnings
    import numpy as np
    import xpgrad as xg
    from xpgrad.compiler import compile

    def loss(params, X, Y):
        W, b = params
        A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 40_000)); Y = (X[:1] > 0).astype(float)
    step = compile(xg.value_and_grad(loss))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        value, (dW, db) = step((np.zeros((8, 1)), 0.0), X, Y)
        seconds = time.perf_counter() - start
    print(json.dumps({"compilations": step.compilations, "seconds": seconds, "value": float(value),
        "gradient": dW.ravel().tolist(), "warnings": [str(w.message) for w in caught],
        "explain": step.explain((np.zeros((8, 1)), 0.0), X, Y)}))
"""


def start(directory, before="", **env):
    chosen = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "XPGRAD_CACHE_DIR")}
    chosen |= {"HOME": os.environ.get("HOME", "/")} | (
        {} if directory is None else {"XPGRAD_CACHE_DIR": str(directory)}
    )
    chosen = {k: v for k, v in (chosen | env).items() if v is not None}
    source = textwrap.dedent(before) + textwrap.dedent(PROGRAM)
    return subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=chosen
    )


def finish(child):
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    return json.loads(out)


def run(directory, before="", **env):
    return finish(start(directory, before, **env))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kernels") / "cache"
    return directory, run(directory)


@needs_llvm
def test_a_second_process_finds_the_kernels(filled):
    directory, first = filled
    second = run(directory)
    print(f"first call: {first['seconds']:.3f} s compiled, {second['seconds']:.3f} s found on disk")
    assert first["compilations"] > 0
    assert (second["compilations"], second["warnings"]) == (0, [])
    assert (second["value"], second["gradient"]) == (first["value"], first["gradient"])
    assert second["seconds"] < 1.0  # 0.15 s on a machine that does nothing else; what CI runs on varies
    assert directory.stat().st_mode & 0o077 == 0


@needs_llvm
@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_corrupt_entry_is_warned_of_and_built_again(filled, tmp_path, damage):
    directory = tmp_path / "cache"
    directory.mkdir(mode=0o700)
    for file in filled[0].iterdir():
        data = file.read_bytes()
        data = {"truncated": data[: len(data) // 2], "changed": data[:-9] + b"wrong" + data[-4:], "empty": b""}[
            damage
        ]
        (directory / file.name).write_bytes(data)
    again = run(directory)
    assert any("is ignored" in text for text in again["warnings"])
    assert again["compilations"] > 0
    assert again["value"] == filled[1]["value"]
    assert run(directory)["compilations"] == 0


@needs_llvm
@pytest.mark.slow
def test_a_directory_that_cannot_be_made_or_no_home_is_warned_of(filled, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for directory, env in ((tmp_path / "file" / "cache", {}), (None, {"HOME": "relative"})):
        got = run(directory, **env)
        assert got["warnings"]
        assert all("XPGRAD_CACHE_DIR" in text for text in got["warnings"])
        assert got["value"] == filled[1]["value"]


@needs_llvm
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_directory_is_warned_of(filled, tmp_path):
    directory = tmp_path / "cache"
    directory.mkdir(mode=0o500)
    got = run(directory)
    assert any("cannot write" in text for text in got["warnings"])
    assert got["value"] == filled[1]["value"]


# Root, too, is refused by these: a file system that is read-only, and one without room for a kernel.
REFUSED = {
    "read-only": """
        import errno, os
        _open = os.open
        def refuse(path, flags, *rest, **options):
            if flags & os.O_CREAT and str(path).startswith(os.environ["XPGRAD_CACHE_DIR"]):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
            return _open(path, flags, *rest, **options)
        os.open = refuse
    """,
    "full": """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
    """,
}


@needs_llvm
@pytest.mark.skipif(os.name != "posix", reason="limits and errors are those of POSIX")
@pytest.mark.slow
@pytest.mark.parametrize("how", REFUSED)
def test_a_directory_that_takes_no_kernel_is_warned_of_once_and_still_read(filled, tmp_path, how):
    directory = tmp_path / "cache"
    directory.mkdir(mode=0o700)
    got = run(directory, before=REFUSED[how])
    (warning,) = got["warnings"]
    assert f"cannot write to {directory}" in warning
    assert got["compilations"] > 0
    assert got["value"] == filled[1]["value"]
    assert list(directory.iterdir()) == []
    warm = run(filled[0], before=REFUSED[how])
    assert (warm["compilations"], warm["warnings"], warm["value"]) == (0, [], filled[1]["value"])


@needs_llvm
@pytest.mark.skipif(
    not os.path.isdir("/sys/kernel"), reason="there is no sysfs, in which nobody can make anything"
)
@pytest.mark.slow
def test_a_directory_that_not_even_root_can_make_is_warned_of(filled):
    got = run("/sys/kernel/xpgrad")
    (warning,) = got["warnings"]
    assert "cannot use /sys/kernel/xpgrad" in warning
    assert got["value"] == filled[1]["value"]


@pytest.mark.slow
@needs_llvm
def test_two_processes_at_once_do_no_harm(filled, tmp_path):
    children = [start(tmp_path / "cache") for _ in range(2)]
    results = [finish(child) for child in children]
    assert [r["value"] for r in results] == [filled[1]["value"]] * 2
    assert [r["warnings"] for r in results] == [[], []]
    assert run(tmp_path / "cache")["compilations"] == 0


def test_without_llvmlite_the_interpreter_gives_the_same(filled):
    got = run(filled[0], before='import sys; sys.modules["llvmlite"] = None\n')
    assert got["compilations"] == 0
    assert got["value"] == pytest.approx(filled[1]["value"], rel=1e-12)
    assert got["gradient"] == pytest.approx(filled[1]["gradient"], rel=1e-9)
    assert "interpreter" in got["explain"]
    assert "llvmlite" in got["explain"]
