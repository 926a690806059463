"""CuPy's implementations, as far as they can be seen without a GPU: what each takes, and what CuPy lacks."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest

from xpgrad.backends.gpu.cupy import cupy_implementations
from xpgrad.backends.registry import cpu_backend
from xpgrad.core import OPS
from xpgrad.ops.indexing import ARRAY

cupy = pytest.importorskip("cupy")

IMPLEMENTATIONS = cupy_implementations(cupy)


def parameters(function):
    """Those given by name, and whether others are taken too; None where that is not known."""
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:  # a function of C's
        return None
    named = [p.name for p in found if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return named, any(p.kind == p.VAR_KEYWORD for p in found)


@pytest.mark.parametrize("name", [name for name in IMPLEMENTATIONS if parameters(IMPLEMENTATIONS[name])])
def test_a_row_takes_the_parameters_of_its_op(name):
    named, others = parameters(IMPLEMENTATIONS[name])
    also, any_other = parameters(cpu_backend().implementation(OPS[name])) or ([], True)
    needed = {
        p.name for p in inspect.signature(OPS[name].shape).parameters.values() if p.kind == p.KEYWORD_ONLY
    }
    if not any_other:  # some shape rules serve several ops
        needed &= set(also)
    assert others or needed <= set(named)


class Adding:
    """`cupy.add`, whose `at` takes some types alone."""

    __call__ = staticmethod(np.add)

    @staticmethod
    def at(out, index, g):
        if out.dtype.name not in ("int32", "int64", "float16", "float32", "float64", "uint32", "uint64"):
            raise TypeError(f"cupy.add.at does not take {out.dtype}")
        np.add.at(out, index, g)


LACKING = {"add": Adding(), "count_nonzero": lambda a, axis=None: np.count_nonzero(a, axis)}
AS_CUPY = SimpleNamespace(**{name: LACKING.get(name, getattr(np, name, None)) for name in dir(cupy)})


@pytest.fixture(scope="module")
def implementations():
    """The implementations of a module that computes with NumPy and lacks what CuPy lacks."""
    return cupy_implementations(AS_CUPY)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_repeated_indices_add_up(implementations, dtype):
    g = np.array([1 + 2j, 3 - 1j, 5]).astype(dtype) if dtype is np.complex128 else np.array([1, 3, 5], dtype)
    found = implementations["scatter_add"](g, np.array([2, 0, 2]), index=(ARRAY,), shape=(4,))
    assert found.dtype == dtype
    assert found.tolist() == [g[1], 0, g[0] + g[2], 0]


def test_entries_are_counted_along_an_axis_that_is_kept(implementations):
    x = np.array([[0, 2, 3], [0, 0, 1]])
    assert implementations["count_nonzero"](x, axis=1, keepdims=True).tolist() == [[2], [1]]
    assert implementations["count_nonzero"](x) == 3
