#!/usr/bin/env python3
"""Check an image from inside, as its user, on a machine without a GPU.

    docker run --rm --interactive --network none --entrypoint python IMAGE - <docker/check_inside.py

Out: the exit status, and a line for each thing that holds; an exception for the first that does not.
"""

import importlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = Path("/opt/xpgrad")
KERNEL = 'extern "C" __global__ void twice(float* x) { x[blockIdx.x * blockDim.x + threadIdx.x] *= 2; }'


def xpgrad(*words):
    """Standard output of the command, which must succeed."""
    done = subprocess.run(["xpgrad", *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"xpgrad {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def the_user_is_not_root():
    assert os.geteuid() != 0
    assert os.getegid() != 0


def the_home_is_writable():
    with tempfile.NamedTemporaryFile(dir=Path.home()):
        pass


def the_caches_are_this_users_alone():
    for variable in ("XPGRAD_CACHE_DIR", "CUPY_CACHE_DIR", "MPLCONFIGDIR"):
        info = os.stat(os.environ[variable])
        assert info.st_uid == os.geteuid(), variable
        assert stat.S_IMODE(info.st_mode) == 0o700, variable


def the_environment_can_be_read_and_not_written():
    for folder, _, files in os.walk(ENVIRONMENT, onerror=_raise):
        assert not os.access(folder, os.W_OK), folder
        for file in files:
            path = os.path.join(folder, file)
            assert os.access(path, os.R_OK), path
            assert not os.access(path, os.W_OK) or os.path.islink(path), path


def _raise(error):
    raise error


def the_command_is_that_of_the_environment():
    import xpgrad as package

    assert Path(sys.prefix) == ENVIRONMENT
    assert Path(package.__file__).is_relative_to(ENVIRONMENT)
    assert xpgrad("--version").split() == ["xpgrad", package.__version__]


def the_extras_are_there():
    for name in ("cupy", "llvmlite", "sklearn", "scipy", "rich", "matplotlib", "pandas", "pyarrow"):
        importlib.import_module(name)


def info_says_what_is_missing():
    text = xpgrad("info")
    assert "no gpu" in text, text
    assert "LLVM kernels" in text, text
    assert os.environ["XPGRAD_CACHE_DIR"] in text, text


def cuda_compiles_without_a_driver():
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(KERNEL, "twice.cu", [], [])
    nvrtc.compileProgram(program, ["-arch=sm_80"])
    assert nvrtc.getCUBIN(program)[:4] == b"\x7fELF"


def a_race_runs_and_keeps_its_kernels():
    with tempfile.TemporaryDirectory() as folder:
        record, page = Path(folder, "race.json"), Path(folder, "race.html")
        xpgrad("race", "--rows", "2000", "--repeats", "2", "--json", str(record), "--html", str(page))
        assert json.loads(record.read_text())
        assert page.stat().st_size > 10_000
    assert list(Path(os.environ["XPGRAD_CACHE_DIR"]).glob("*.kernel"))


CHECKS = [
    the_user_is_not_root,
    the_home_is_writable,
    the_caches_are_this_users_alone,
    the_environment_can_be_read_and_not_written,
    the_command_is_that_of_the_environment,
    the_extras_are_there,
    info_says_what_is_missing,
    cuda_compiles_without_a_driver,
    a_race_runs_and_keeps_its_kernels,
]

if __name__ == "__main__":
    for check in CHECKS:
        check()
        print("holds:", check.__name__.replace("_", " "), flush=True)
