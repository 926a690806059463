"""Ops that are stated by others."""

import numpy as np
import pytest

import xpgrad as xg
from compile.conftest import COMPILERS
from xpgrad.core import OPS
from xpgrad.core.op import dispatcher_of

COMPOSED = [name for name, op in OPS.items() if op.composed is not None]


def test_some_ops_are_composed():
    assert "xlogy" in COMPOSED


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("name", COMPOSED)
def test_a_composed_op_has_its_dtype_and_gives_scalars_for_scalars(name, dtype):
    op = OPS[name]
    x = np.array([0, 1, 1, 0], dtype)
    xs = [x] * len(op.pushes)
    with np.errstate(all="raise"):  # it does not warn
        out, scalar = op(*xs), op(*[v[1] for v in xs])
    ruled = np.dtype(dtype if dtype.startswith("f") else "float64")
    assert out.dtype == scalar.dtype == ruled
    assert isinstance(scalar, np.floating)
    assert np.array_equal(out[1], scalar)
    assert dispatcher_of(out).name == "numpy"


@pytest.mark.parametrize("name", COMPOSED)
@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda compiler: compiler.name)
def test_a_composed_op_is_compiled(compiler, name):
    op = OPS[name]
    x = np.linspace(0.2, 0.9, 50).astype(np.float32)
    xs = [x] * len(op.pushes)
    found = compiler.compile(lambda *xs: op(*xs))(*xs)
    assert np.allclose(found, op(*xs), rtol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("name", COMPOSED)
def test_a_composed_op_is_written_as_what_it_is_composed_of(name):
    op = OPS[name]
    xs = [np.linspace(0.2, 0.9, 50)] * len(op.pushes)
    f = xg.compile(lambda *xs: op(*xs))
    graph, _, passes = f.explain(*xs).partition("passes")
    assert f"= {name}(" not in graph
    assert f"{name}(an input" in passes
