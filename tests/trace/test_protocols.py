"""Operators, mixed operands, scalars, NumPy's protocols, and what leaves a trace."""

import math
import operator

import numpy as np
import pytest
import scipy.special

import xpgrad as xg
from xpgrad.testing import close, tolerance
from xpgrad.trace import Symbols, Traced

EXACT = tolerance(np.float64).value
X = np.array([0.5, 1.25, 2.0])
M = np.linspace(1, 2, 6).reshape(2, 3)


def value(f, x=X):
    return xg.vjp(f, x)[0]


OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
]  # fmt: skip
OTHERS = {
    "array": M,
    "NumPy float64": np.float64(1.5),
    "NumPy float32": np.float32(1.5),
    "NumPy int": np.int64(2),
    "float": 1.5,
    "int": 2,
    "list": [1.0, 2.0, 3.0],
    "0-d array": np.array(1.5),
    "float32 array": np.float32([1.0, 2.0, 4.0]),
    "int array": np.array([1, 2, 3]),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_operators_mix_with_plain_operands_on_either_side(op, other):
    for f in (lambda x: op(x, other), lambda x: op(other, x)):
        expected, got = f(X), value(f)
        assert got.dtype == expected.dtype
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("op", OPERATORS[:5] + OPERATORS[6:7], ids=lambda op: op.__name__)
def test_operators_mix_with_complex_numbers(op):
    if op is operator.floordiv:
        with pytest.raises(TypeError):
            value(lambda x: op(x, 1j))
        return
    for f in (lambda x: op(x, 1 + 2j), lambda x: op(1 + 2j, x)):
        assert close(value(f), f(X), EXACT)
        xg.check_grads(f, (X,))


def test_unary_operators_and_builtins_do_as_numpy():
    for f in (operator.neg, operator.pos, abs, lambda x: divmod(x, 0.7)[1], lambda x: x.round(1)):
        assert np.array_equal(value(f), f(X))
    assert np.array_equal(value(lambda x: x * (~(x > 1))), X * (X <= 1))
    assert value(lambda x: max(x)) == 2.0
    assert value(lambda x: sum(x)) == 3.75
    assert value(lambda x: x * len(x) * (2.0 in x))[0] == 1.5


def test_matmul_mixes_with_plain_matrices_on_either_side():
    assert np.array_equal(value(lambda x: M @ x), M @ X)
    assert np.array_equal(value(lambda x: x @ M.T), X @ M.T)
    assert np.array_equal(value(lambda x: [[1, 2, 3]] @ x), [[1, 2, 3]] @ X)


def test_attributes_are_those_of_the_array():
    def f(x):
        assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float64, 2)
        assert (x.nbytes, x.itemsize, x.device) == (48, 8, "cpu")
        assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)) == ((2, 3), 2, 6, 3)
        assert "1.2" in f"{x[0, 1]:.2f}"
        assert "array" in repr(x)
        assert np.iscomplexobj(x) is False
        assert xg.device_of(x) == "cpu"
        assert xg.namespace(x) is np
        return x

    value(f, M)


def test_comparisons_give_plain_arrays_for_control_flow():
    def f(x):
        mask = x > 1
        assert type(mask) is np.ndarray
        assert mask.any()
        return x[mask] if np.all(x > 0) else x

    assert np.array_equal(value(f), X[X > 1])


def test_integers_pass_through_without_gradient():
    def f(x):
        k = np.argmax(x)
        assert not isinstance(k, Traced)
        return x[k] * int(np.argsort(x)[0] + 1) * x.astype(int).sum()

    assert np.array_equal(xg.grad(f)(X), [0, 0, 3])


@pytest.mark.parametrize(
    "name", ["expit", "erf", "gammaln", "digamma", "psi", "ndtr", "log_ndtr", "i0", "xlogy"]
)
def test_scipys_ufuncs_lead_to_our_ops(name):
    f = getattr(scipy.special, name)
    call = (lambda x: f(x, x + 1)) if name == "xlogy" else f
    assert close(value(call), call(X), EXACT)
    xg.check_grads(call, (X,))


def test_the_array_namespace_has_the_standards_names():
    def f(x):
        xp = x.__array_namespace__()
        y = xp.asarray(x) + xp.zeros(3)
        y = xp.concat([y, xp.ones(1)]) if hasattr(xp, "concat") else y
        return xp.sum(xp.exp(xp.astype(y, xp.float64))) + xp.linalg.vector_norm(y)

    plain = np.concatenate([X, np.ones(1)])
    assert close(value(f), np.sum(np.exp(plain)) + np.linalg.norm(plain), EXACT)
    xg.check_grads(f, (X,))


LEAVING = {
    "np.asarray": lambda x: np.asarray(x, dtype=float),
    "np.array of parts": lambda x: np.array([x[0], x[1]], dtype=float),
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "complex": lambda x: complex(x[0]),
    "math.sin": lambda x: math.sin(x[0]),
    "item": lambda x: x[0].item(),
    "tolist": lambda x: x.tolist(),
    "an index": lambda x: [1, 2, 3][x[0]],
    "vectorize": lambda x: np.vectorize(lambda a: a * a, otypes=[float])(x),
    "out= of a plain array": lambda x: np.exp(x, out=np.zeros(3)),
    "scipy.special.logsumexp": lambda x: scipy.special.logsumexp(x),
    "a view as another type": lambda x: x.view(np.int64),
}


@pytest.mark.parametrize("f", LEAVING.values(), ids=LEAVING)
def test_what_would_lose_the_gradient_names_the_line_and_the_remedy(f):
    with pytest.raises(xg.TraceError) as caught:
        value(f)
    text = str(caught.value)
    assert "at test_protocols.py:" in text
    assert len(text.splitlines()) >= 3


def test_an_escaped_array_is_refused_by_name():
    kept = []
    xg.grad(lambda x: [kept.append(x), np.sum(x)][1])(X)
    with pytest.raises(xg.TraceError, match="escaped") as caught:
        kept[0] * 2
    assert "kept[0] * 2" in str(caught.value)
    with pytest.raises(xg.TraceError, match="escaped"):
        np.sin(kept[0])
    jvp_kept = []
    xg.jvp(lambda x: [jvp_kept.append(x), x][1], (X,), (X,))
    with pytest.raises(xg.TraceError, match="escaped"):
        jvp_kept[0] + 1


def test_a_function_without_a_derivative_is_refused_by_name():
    for f in (lambda x: np.roots(x), lambda x: np.frexp(x)):
        with pytest.raises(xg.NotDifferentiableError, match="no derivative is known") as caught:
            value(f)
        assert "custom_vjp" in str(caught.value)


def test_an_operand_without_a_derivative_is_refused_when_the_gradient_asks_for_it():
    with pytest.raises(xg.NotDifferentiableError, match="operand 0"):
        xg.grad(lambda n: np.sum(scipy.special.jv(n, X)))(np.ones(3))


def test_control_flow_on_shapes_alone_names_the_line_and_the_remedy():
    x = Symbols().enter(X)
    with pytest.raises(xg.TraceError, match=r"np\.where") as caught:
        x if x[0] > 1 else -x
    assert "x if x[0] > 1 else -x" in str(caught.value)


def test_a_mask_of_unknown_numbers_is_refused_by_name():
    x = Symbols().enter(X)
    with pytest.raises(xg.TraceError, match="depends on the data"):
        x[x > 0]


def test_bad_shapes_name_the_operation_the_shapes_and_the_line():
    cases = {
        "add: shapes do not broadcast": lambda x: x + np.ones(2),
        "dot: inner axes differ, 2 and 3": lambda x: np.dot(M.T, x),
        "matmul: stacks do not broadcast": lambda x: np.ones((4, 1, 3)) @ (x * np.ones((3, 3, 3))),
        "reshape: 3 entries do not fit": lambda x: x.reshape(2, 2),
        "concatenate: shapes differ off axis 0": lambda x: np.concatenate([M, np.ones((1, 2)) * x[0]]),
        "getitem: index 7 is out of bounds": lambda x: x[7],
        "einsum: index 'j' has lengths": lambda x: np.einsum("ij,j", M.T, x),
        "axis 2 does not fit": lambda x: np.sum(x, axis=2),
        "max: no identity": lambda x: np.max(x[:0]),
        "stack: all arrays": lambda x: np.stack([x, x[1:]]),
    }
    for text, f in cases.items():
        with pytest.raises(xg.ShapeError) as caught:
            value(f)
        assert text in str(caught.value)
        assert "float64[" in str(caught.value)
        assert "at test_protocols.py:" in str(caught.value)


def test_an_index_out_of_bounds_is_an_index_error_too():
    with pytest.raises(IndexError):
        value(lambda x: x[7])


GRADIENT_ERRORS = {
    "a vector": (xg.ShapeError, lambda x: x * 2, "float64[3]"),
    "a tuple": (xg.ShapeError, lambda x: (x.sum(), x), "has_aux=True"),
    "None": (xg.ShapeError, lambda x: None, "NoneType"),
    "a complex number": (xg.DTypeError, lambda x: 1j * x.sum(), "real"),
}


@pytest.mark.parametrize(("kind", "f", "text"), GRADIENT_ERRORS.values(), ids=GRADIENT_ERRORS)
def test_a_gradient_wants_a_real_scalar(kind, f, text):
    with pytest.raises(kind, match="grad: the function must return") as caught:
        xg.grad(f)(X)
    assert text in str(caught.value)


@pytest.mark.parametrize("x", [1, np.array([1, 2]), np.array([True]), [1.0, 2], {"a": 3}, "text"])
def test_integer_parameters_are_refused_with_their_place(x):
    with pytest.raises(xg.DTypeError, match="only float and complex") as caught:
        xg.grad(lambda p: 0.0)(x)
    assert "argument 0" in str(caught.value)


def test_an_argnum_that_is_not_there_is_refused():
    with pytest.raises(xg.TraceError, match="argnums 2, but 1 positional"):
        xg.grad(np.sum, 2)(X)


def test_a_cotangent_or_tangent_of_the_wrong_shape_is_refused():
    _, pullback = xg.vjp(np.sin, X)
    with pytest.raises(xg.ShapeError, match="pullback"):
        pullback(np.ones(2))
    with pytest.raises(xg.ShapeError, match="jvp"):
        xg.jvp(np.sin, (X,), (np.ones(2),))


def numerics_error(f):
    with np.errstate(all="ignore"), xg.debug(nans=True), pytest.raises(xg.NumericsError) as caught:
        xg.grad(f)(X)
    return caught


def test_debug_names_the_op_and_the_line_of_the_first_nan_forward():
    def f(x):
        y = x - 1.25
        z = np.log(y)
        return np.sum(z * 0)

    caught = numerics_error(f)
    assert "log: NaN" in str(caught.value)
    assert "z = np.log(y)" in str(caught.value)
    with np.errstate(all="ignore"):
        xg.grad(f)(X)


def test_debug_names_the_op_and_the_line_of_the_first_infinity_backward():
    def f(x):
        y = np.sqrt(x - 0.5)
        return np.sum(y)

    caught = numerics_error(f)
    assert "derivative of sqrt: infinity" in str(caught.value)
    assert "y = np.sqrt(x - 0.5)" in str(caught.value)


def test_debug_finds_nan_in_the_data():
    X_bad = np.array([1.0, np.nan, 2.0])
    with xg.debug(nans=True), pytest.raises(xg.NumericsError, match="multiply: NaN") as caught:
        xg.grad(lambda w: np.sum(w * X_bad))(X)
    assert "operand 1 float64[3], has NaN" in str(caught.value)
