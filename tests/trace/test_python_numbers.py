"""Python's own numbers in a compiled function: what its operators make of them is what Python makes of them."""

import operator
import warnings

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.compiler import compile
from xpgrad.testing import close, tolerance

BINARY = [getattr(operator, name) for name in "add sub mul truediv floordiv mod pow and_ or_ xor".split()]
COMPARISONS = [getattr(operator, name) for name in "eq ne lt le gt ge".split()]
UNARY = [operator.neg, operator.pos, operator.abs]
# What is true or false of a Python float is a Python bool, and what is counted of these a Python int.
TRUTHS = {
    "t > 0": lambda t: t > 0,
    "t == 2": lambda t: t == 2,
    "(t > 0) & (t < 1)": lambda t: (t > 0) & (t < 1),
    "(t > 0) + (t < 1)": lambda t: (t > 0) + (t < 1),
    "True": lambda t: True,
    "t": lambda t: t,
    "3": lambda t: 3,
}
BESIDE = [np.ones(2, np.float32), np.ones(2, np.int8), np.array([True, False]), np.float32(1.5), np.ones(2)]
EXACT = tolerance(np.float64).value
GENERATORS = ["interpreter", *(["llvm"] if available() is None else [])]


def same(f, t, generators=("interpreter",)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f(t)
        for name in generators:
            with choose.use(name):
                out = compile(f)(t)
            for a, b in zip(out, expected, strict=True):
                a, b = np.asarray(a), np.asarray(b)
                assert a.dtype == b.dtype, (name, a, b)
                assert np.array_equal(a, b) or close(a, b, EXACT), (name, a, b)


def possible(op, x, y):
    try:
        op(x, y)
    except (TypeError, ZeroDivisionError):  # of floats there is no &
        return False
    return True


@pytest.mark.parametrize("op", [*BINARY, *COMPARISONS], ids=lambda op: op.__name__)
def test_an_operator_on_two_python_numbers_gives_pythons(op):
    pairs = [(p, q) for p in TRUTHS.values() for q in TRUTHS.values() if possible(op, p(0.5), q(0.5))]

    def every(t):
        return [op(p(t), q(t)) * y for p, q in pairs for y in (1, *BESIDE[:2])]

    same(every, 0.5)


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.__name__)
def test_an_operator_on_one_python_number_gives_pythons(op):
    same(lambda t: [op(p(t)) * y for p in TRUTHS.values() for y in (1, *BESIDE[:2])], 0.5, GENERATORS)


@pytest.mark.parametrize("op", BINARY[:3], ids=lambda op: op.__name__)
def test_a_python_number_gives_way_to_an_array(op):
    def both(t):
        found = []
        for p in TRUTHS.values():
            for y in BESIDE:
                if op is operator.sub and bool in (np.asarray(y).dtype, type(p(0.5))):
                    continue  # NumPy has no difference of booleans
                found += [op(p(t), y), op(y, p(t))]
        return found

    same(both, 0.5, GENERATORS)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, True, 2.0, 0.5, np.int64(2), np.int8(2)], ids=repr)
@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float32, np.complex64])
def test_a_power_has_numpys_dtype(dtype, exponent):
    x = np.ones(3, dtype)
    for y in (x, x[:1], x.reshape(3, 1)):
        for f in (lambda y: y**exponent, lambda y: np.power(y, exponent)):
            assert compile(f)(y).dtype == f(y).dtype


HALVED = [f(t) for f in (float, np.float64, np.float32) for t in (-0.0, 0.0, -np.inf)]


@pytest.mark.parametrize("t", HALVED, ids=repr)
@pytest.mark.parametrize("generator", GENERATORS)
def test_the_power_of_one_half_of_a_number_is_pythons(generator, t):
    """0.0 where the root is -0.0, and inf where it is NaN."""
    with choose.use(generator):
        found = xg.compile(lambda t: t**0.5)(t)
    assert (found, np.signbit(found)) == (t**0.5, False)
