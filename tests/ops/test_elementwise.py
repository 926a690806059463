"""Every elementwise op: NumPy's values, derivatives of order two in both modes, broadcasting, dtypes."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.core import OPS, aval_of
from xpgrad.ops import complex as complex_ops
from xpgrad.ops import elementwise as elementwise_ops
from xpgrad.testing import close, tolerance
from xpgrad.trace import Symbols

MODULES = (elementwise_ops, complex_ops)
EVERY = {
    op.name: op for module in MODULES for op in vars(module).values() if OPS.get(getattr(op, "name", "")) is op
}
DIFFERENTIABLE = {name: op for name, op in EVERY.items() if op.is_elementwise}
CONSTANT = {name: op for name, op in EVERY.items() if op.is_constant}


def draw(op, shapes, dtype=np.float64, *, complex_=False):
    rng = np.random.default_rng(1)
    domains = op.domain if isinstance(op.domain[0], tuple) else (op.domain,) * len(shapes)
    args = [rng.uniform(*d, size=s) for d, s in zip(domains, shapes, strict=True)]
    if complex_:
        args = [x + 0.3j * rng.uniform(-1, 1, size=x.shape) for x in args]
    return [np.asarray(x, np.result_type(dtype, np.complex64) if complex_ else dtype) for x in args]


def calls(op, complex_=False):
    """The op as a function of the operands that can be differentiated, and broadcasting cases."""
    n = len(op.pushes)
    if op.name == "where":
        mask = np.array([[True, False, True, False]] * 3)
        return (lambda x, y: op(mask, x, y)), [[(3, 4), (3, 4)], [(4,), (3, 1)], [(), (3, 4)]]
    if op.name == "ldexp":
        return (lambda x: op(x, np.array([1, -2, 3, 0]))), [[(3, 4)], [()]]
    same = [(3, 4)] * n
    if n == 1:
        return op, [same, [()]]
    rest = [(3, 1)] * (n - 2)
    return op, [same, [(4,), (3, 1), *rest], [(), (3, 4), *rest], [(2, 1, 4), (3, 1), *rest]]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_of_order_two_agree_with_differences(name):
    op = DIFFERENTIABLE[name]
    f, cases = calls(op)
    for shapes in cases:
        xg.check_grads(f, draw(op, shapes) if len(shapes) == len(op.pushes) else _of(shapes))


@pytest.mark.parametrize("name", [n for n, op in DIFFERENTIABLE.items() if op.holomorphic])
def test_complex_derivatives_agree_with_differences(name):
    op = DIFFERENTIABLE[name]
    f, cases = calls(op)
    for shapes in cases[:2]:
        args = draw(op, shapes, complex_=True) if len(shapes) == len(op.pushes) else _of(shapes)
        xg.check_grads(f, args)


def _of(shapes):
    rng = np.random.default_rng(2)
    return [rng.normal(size=s) for s in shapes]


DTYPED = [(n, t) for n in DIFFERENTIABLE for t in (np.float32, np.float64)]
DTYPED += [(n, np.complex64) for n, op in DIFFERENTIABLE.items() if op.holomorphic]


@pytest.mark.parametrize(("name", "dtype"), DTYPED)
def test_the_dtype_rule_is_numpys_and_gradients_keep_the_operands_dtype(name, dtype):
    op = DIFFERENTIABLE[name]
    if name in ("where", "ldexp"):
        f, cases = calls(op)
        args = [np.asarray(x, dtype) for x in _of(cases[0])]
    else:
        args, f = draw(op, [(3,)] * len(op.pushes), dtype, complex_=np.dtype(dtype).kind == "c"), op
        assert op.shape(*map(aval_of, args)).dtype == f(*args).dtype
    out, pullback = xg.vjp(f, *args)
    assert [g.dtype for g in pullback(np.ones_like(out))] == [x.dtype for x in args]


@pytest.mark.parametrize("name", CONSTANT)
def test_an_op_without_a_derivative_gives_zeros(name):
    op = CONSTANT[name]
    n = 2 if name in _TWO_OPERANDS else 1
    if name in _OF_INTEGERS:
        assert op(*[np.array([1, 2], np.int8)] * n).dtype == np.int8
        return
    if name in _OF_BOOLEANS:
        assert op(*[np.array([True, False])] * n).dtype == bool
        return

    def f(x):
        out = op(*[x, 0.7][:n])
        return np.sum(np.where(out, x, 0.0)) if out.dtype == bool else np.sum(out + 0 * x)

    x = np.array([0.3, 1.2, 1.9])
    expected = np.asarray(op(*[x, 0.7][:n]), dtype=bool) if op(*[x, 0.7][:n]).dtype == bool else 0 * x
    assert np.array_equal(xg.grad(f)(x), expected.astype(float))


_TWO_OPERANDS = {
    "floor_divide", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor",
    "left_shift", "right_shift", "gcd", "lcm",
}  # fmt: skip
_OF_INTEGERS = {"left_shift", "right_shift", "gcd", "lcm"}
_OF_BOOLEANS = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert"}


@pytest.mark.parametrize("name", [n for n, op in DIFFERENTIABLE.items() if len(op.pushes) == 2])
def test_a_python_scalar_operand_does_not_promote_float32(name):
    op = DIFFERENTIABLE[name]
    x = draw(op, [(3,), (3,)], np.float32)[0]
    expected = op(x, 2).dtype
    assert expected == (np.float64 if name == "float_power" else np.float32)
    assert op(Symbols().enter(x), 2).dtype == expected


def test_ties_of_maximum_share_the_gradient():
    assert np.array_equal(
        xg.grad(lambda x: np.sum(np.maximum(x, 0.0)))(np.array([-1.0, 0.0, 2.0])), [0, 0.5, 1]
    )


def test_abs_has_gradient_zero_at_zero():
    assert np.array_equal(xg.grad(lambda x: np.sum(np.abs(x)))(np.array([-1.0, 0.0, 2.0])), [-1, 0, 1])


def test_power_of_zero_has_no_nan():
    g = xg.grad(lambda x: np.sum(x**0 + x**1 + x**2 + x ** np.array([0.0, 1.0, 2.0])))(np.zeros(3))
    assert np.array_equal(g, [1, 2, 1])


def test_logaddexp_of_infinities_has_no_nan():
    x = np.array([-np.inf, -np.inf, 0.0])
    y = np.array([-np.inf, 1.0, -np.inf])
    gx, gy = xg.grad(lambda x, y: np.sum(np.where(np.isfinite(y), np.logaddexp(x, y), 0)), (0, 1))(x, y)
    assert np.isfinite(gx).all()
    assert np.isfinite(gy).all()
    assert gy[1] == 1


def test_the_notes_sigmoid_has_derivative_s_times_one_minus_s():
    z = np.linspace(-3, 3, 7)
    s = 1 / (1 + np.exp(-z))
    g = xg.grad(lambda z: np.sum(1 / (1 + np.exp(-z))))(z)
    assert close(g, s * (1 - s), tolerance(np.float64).value)
