"""The corpus of `cases.programs`: traced and compiled, every function is what plain NumPy says."""

from functools import cache

import numpy as np
import pytest

import xpgrad as xg
from cases.programs import CASES
from xpgrad._trees import flatten, tree_map
from xpgrad.testing import check_grads, expect

# For m = 1 some interior is empty and some sums have one term; 4 is less than a vector, 33 some and a rest.
KINDS_OF = [(1, np.float64), (4, np.float32), (33, np.float64), (33, np.float32)]
KINDS = {"one pass", "two passes", "elementwise", "stencil", "pairs", "nodes"}
SCALARS = [name for name in CASES if CASES[name].scalar]


# Correlation divides by variances, and Rosenbrock's valley has a slope between neighbours.
NEEDS_MORE = {"correlation": 3}
# They make NumPy arrays of their own, which nobody has put on the GPU.
ON_THE_HOST = {"quantile", "ridge_by_solve"}


@cache
def expected(name, dtype, m):
    """What plain NumPy says of a case, for all compilers."""
    return expect(CASES[name].f, CASES[name].args(m, dtype), source(name))


@cache
def expected_gradient(name):
    """What is computed eagerly."""
    return expect(xg.value_and_grad(CASES[name].f), CASES[name].args(33), source(name))


def source(name):
    return f"{name}: {CASES[name].f.__doc__}"


def run(compiler, name, f, args):
    """``f(*args)``, compiled; None where the function's own arrays are on the CPU and the arguments are not."""
    compiled = compiler.compile(f)
    if compiler.name != "gpu" or name not in ON_THE_HOST:
        return compiled(*args)
    with pytest.raises(xg.DeviceError, match="operands on two devices") as error:
        compiled(*args)
    for part in ("on the GPU", "on the CPU", "at programs.py:", "xg.to_device"):
        assert part in str(error.value)
    return None


@pytest.mark.rotated("definition", "cuda")
@pytest.mark.sweep
@pytest.mark.parametrize(("m", "dtype"), KINDS_OF)
@pytest.mark.parametrize("name", CASES)
def test_every_function_of_the_corpus_agrees_with_numpy(compiler, name, dtype, m):
    if m == 1 and name in NEEDS_MORE:
        m = NEEDS_MORE[name]
    if (got := run(compiler, name, CASES[name].f, CASES[name].args(m, dtype))) is not None:
        expected(name, dtype, m).check(got)


@pytest.mark.rotated("definition", "cuda")
@pytest.mark.sweep
@pytest.mark.parametrize("name", SCALARS)
def test_gradients_of_the_corpus_agree_with_eager_ones(compiler, name):
    if (got := run(compiler, name, xg.value_and_grad(CASES[name].f), CASES[name].args(33))) is not None:
        expected_gradient(name).check(got)


@pytest.mark.parametrize("name", sorted(set(SCALARS) - {"k_means", "huber", "quantile", "svm_hinge"}))
def test_gradients_of_the_corpus_agree_with_differences(name):
    first, *rest = CASES[name].args(12)
    check_grads(lambda x: CASES[name].f(x, *rest), (first,), order=1)


@pytest.mark.rotated("definition", "cuda")
@pytest.mark.sweep
@pytest.mark.parametrize("name", CASES)
def test_every_function_of_the_corpus_leaves_its_arguments_alone(compiler, name):
    args = CASES[name].args(9)
    frozen = tree_map(_read_only, args)
    run(compiler, name, CASES[name].f, frozen)
    before, after = (flatten(tree)[0] for tree in (CASES[name].args(9), frozen))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def _read_only(x):
    if isinstance(x, np.ndarray):
        x.flags.writeable = False
    return x


def test_every_function_of_the_corpus_is_described_in_one_line_and_of_a_known_kind():
    for name, case in CASES.items():
        assert case.f.__doc__, name
        assert case.f.__doc__.count("\n") == 0, name
        assert case.kind in KINDS, name
    assert {case.kind for case in CASES.values()} == KINDS
