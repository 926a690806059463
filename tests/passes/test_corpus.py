"""Every call of NumPy and SciPy in the corpus, value and derivative, through the whole pipeline."""

import numpy as np
import pytest

import xpgrad as xg
from cases.linalg_calls import CASES as LINALG
from cases.numpy_calls import CASES as NUMPY
from xpgrad.core import OPS
from xpgrad.passes import PIPELINE

PASSES = [one for _, one in PIPELINE]
# What these do depends on the numbers: shapes alone do not trace them.
DATA_DEPENDENT = {"its own mask", "unique", "unwrap"}


def draw(shapes, dtype=np.float64):
    rng = np.random.default_rng(7)
    return [np.asarray(rng.normal(size=s), dtype) for s in shapes]


@pytest.mark.sweep
@pytest.mark.parametrize("name", [name for name in NUMPY if name not in DATA_DEPENDENT])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_functions_of_numpy(through, name, dtype):
    f, shapes = NUMPY[name]
    args = draw(shapes, dtype)
    through(PASSES, f, *args)
    out, _ = xg.vjp(f, *args)
    g = np.ones_like(out)
    through(PASSES, lambda g, *xs: xg.vjp(f, *xs)[1](g), g, *args)


@pytest.mark.parametrize("name", LINALG)
def test_linear_algebra(through, name):
    f, shapes = LINALG[name]
    args = draw(shapes)
    through(PASSES, f, *args)
    through(PASSES, lambda *xs: xg.jvp(f, xs, xs), *args)


ELEMENTWISE = [name for name, op in OPS.items() if op.is_elementwise and name not in ("where", "ldexp")]


def operands(op, dtype, scalars):
    rng = np.random.default_rng(1)
    n = len(op.pushes)
    domains = op.domain if isinstance(op.domain[0], tuple) else (op.domain,) * n
    shapes = [() if scalars and k else (3, 4) for k in range(n)]
    return [np.asarray(rng.uniform(*d, size=s), dtype)[()] for d, s in zip(domains, shapes, strict=True)]


@pytest.mark.sweep
@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scalars", [False, True])
def test_elementwise_ops(through, name, dtype, scalars):
    op = OPS[name]
    args = operands(op, dtype, scalars)
    through(PASSES, op, *args)
    known = [k for k, push in enumerate(op.pushes) if push is not None]

    def slope(*xs):
        def f(*some):
            full = list(xs)
            for k, x in zip(known, some, strict=True):
                full[k] = x
            return op(*full)

        out, pullback = xg.vjp(f, *[xs[k] for k in known])
        return pullback(np.ones_like(out))

    if known:
        through(PASSES, slope, *args)
