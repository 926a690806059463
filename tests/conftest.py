"""Where tests run: devices and backends as fixtures.

``device`` is the CPU, and with ``-m gpu`` (or wherever there is one) the GPU; ``put`` moves a tree
there, its NumPy arrays read-only. ``backend`` runs a function the ways that must all agree.
"""

import atexit
import os
import shutil
import tempfile
import zlib
from collections import Counter

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.backends import reference
from xpgrad.devices import gpu_status, to_device
from xpgrad.trace import graph_of

# For our kernels, and for what the shim compiles. The workers of xdist use the folders of their parent.
for _name in ("XPGRAD_CACHE_DIR", "XPGRAD_SHIM_DIR"):
    if _name not in os.environ:
        os.environ[_name] = tempfile.mkdtemp(prefix="xpgrad-test-")
        atexit.register(shutil.rmtree, os.environ[_name], ignore_errors=True)
# Tests start Python some hundred times; without bytecode each start compiles the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_addoption(parser):
    parser.addoption("--slowest-files", type=int, default=0, metavar="N", help="show the N slowest files")


def pytest_configure(config):
    """Without what is slow, one random program in 8 runs; without named files, one case in 16 of a sweep."""
    quick = config.option.markexpr == "not slow"
    os.environ.setdefault("XPGRAD_TEST_SHARE", "8" if quick else "1")
    quick &= config.args_source is pytest.Config.ArgsSource.TESTPATHS
    os.environ.setdefault("XPGRAD_TEST_SWEEPS", "16" if quick else "1")


def pytest_report_header(config):
    reason = _no_gpu(config)
    return f"GPU: its cases are left out ({reason}); -m gpu skips them by name" if reason else None


def _no_gpu(config):
    """Why cases on the GPU are left out; None where there is one, or they are asked for by name."""
    status = gpu_status()
    return None if status.available or "gpu" in config.option.markexpr else status.reason


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """The cases of a sweep that are not in the share of this run are slow."""
    share = int(os.environ["XPGRAD_TEST_SWEEPS"])
    if _no_gpu(config):
        left_out = [item for item in items if item.get_closest_marker("gpu")]
        items[:] = [item for item in items if not item.get_closest_marker("gpu")]
        config.hook.pytest_deselected(items=left_out)
    if left_out := _turns_of_other_printers(config, items):
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))
    for item in items:
        if item.get_closest_marker("sweep") and zlib.crc32(item.nodeid.encode()) % share:
            item.add_marker("slow")


# Each prints the kernel IR, which a program is lowered to once for all of them.
_PRINTERS = ("definition", "llvm", "cuda")


def _turns_of_other_printers(config, items):
    """The items that are marked ``rotated`` whose case another printer runs; none where tests are named."""
    if os.environ.get("XPGRAD_TEST_PRINTERS") == "all" or any("::" in arg for arg in config.args):
        return set()
    left_out, cases = set(), {}
    for item in items:
        if mark := item.get_closest_marker("rotated"):
            printers = mark.args or _PRINTERS
            params = item.callspec.params
            name = params.get("compiler", params.get("generator")).name
            if name in printers:
                of_test = cases.setdefault(item.nodeid.partition("[")[0], {})
                k = of_test.setdefault(item.nodeid.replace(name, ""), len(of_test))
                if printers[k % len(printers)] != name:
                    left_out.add(item)
    return left_out


def pytest_terminal_summary(terminalreporter, config):
    """The files that took longest, by the sum of their tests, setup and teardown included."""
    spent = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[report.nodeid.partition("::")[0]] += report.duration
    if n := config.option.slowest_files:
        terminalreporter.section(f"slowest {n} files, of {sum(spent.values()):.0f} s in all")
        for name, seconds in spent.most_common(n):
            terminalreporter.write_line(f"{seconds:7.1f} s  {name}")


GPU = pytest.param("gpu", marks=pytest.mark.gpu)


def need_gpu():
    """Skip, with the reason, where there is no GPU."""
    status = gpu_status()
    if not status.available:
        pytest.skip(f"{status.reason}; {status.remedy}" if status.remedy else status.reason)


@pytest.fixture
def real_gpu():
    need_gpu()


@pytest.fixture(params=["cpu", GPU])
def device(request):
    if request.param == "gpu":
        need_gpu()
    return request.param


@pytest.fixture
def put(device):
    """Put a tree on the device of the test, its NumPy arrays read-only: whoever writes to one fails."""

    def put(tree):
        return _frozen(to_device(tree, device))

    return put


def _frozen(tree):
    if hasattr(tree, "_fields"):
        return type(tree)(*map(_frozen, tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(map(_frozen, tree))
    if isinstance(tree, dict):
        return {key: _frozen(x) for key, x in tree.items()}
    if isinstance(tree, np.ndarray):
        tree.flags.writeable = False
    return tree


class Backend:
    """One way to run a function of arrays."""

    def __init__(self, name):
        self.name = name
        self.device = "gpu" if name == "gpu" else "cpu"

    def put(self, tree):
        tree = to_device(tree, self.device)
        return _frozen(tree) if self.name == "read-only" else tree

    def run(self, f, *args):
        """``f(*args)``, traced; NumPy arrays in and out."""
        args = self.put(args)
        if self.name == "reference":
            graph, rebuild = graph_of(f, *args)
            return rebuild(reference.run(graph, flatten(args)[0]))
        return xg.asnumpy(xg.vjp(f, *args)[0])

    def refuses(self, run):
        """Whether ``run`` is refused, as it must be where shapes alone do not tell what to do."""
        if self.name != "reference":
            return False
        with pytest.raises(xg.TraceError):
            run()
        return True

    def pull(self, f, g, *args):
        """The pullback of ``f`` at ``args``, of the cotangent ``g``; NumPy arrays in and out."""
        args, g = self.put((args, g))
        if self.name == "reference":
            graph, rebuild = graph_of(lambda g, *xs: xg.vjp(f, *xs)[1](g), g, *args)
            return rebuild(reference.run(graph, flatten((g, *args))[0]))
        return xg.asnumpy(xg.vjp(f, *args)[1](g))


@pytest.fixture(params=["reference", "numpy", "read-only", GPU])
def backend(request):
    if request.param == "gpu":
        need_gpu()
    return Backend(request.param)
