"""What random programs found, each as its smallest program."""

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm import build
from xpgrad.compiler import compile
from xpgrad.core import verify
from xpgrad.plan import Target
from xpgrad.testing import expect
from xpgrad.trace import graph_of

X = np.linspace(-1, 1, 3, dtype=np.float32)
ABSENT = {"interpreter": None, "llvm": build.available(), "cuda": missing()}
GENERATORS = [name for name, reason in ABSENT.items() if reason is None]
GENERATORS.append(pytest.param("gpu", marks=pytest.mark.gpu))


TINY = Target(cache=64, grain=1, run=1, small=0)


def agrees(compiler, f, *args):
    expect(f, args).check(compiler.compile(f)(*args))


def test_a_write_to_a_reshaped_scalar_leaves_the_scalar_alone(compiler):
    def f(x):
        c = np.sum(x)
        d = np.reshape(c, (1, 1))
        d[...] = 0.5
        return d, c

    agrees(compiler, f, X)


def test_the_modulus_of_a_python_number_is_float64_as_in_numpy(compiler):
    agrees(compiler, lambda x, t: x * np.abs(t - 0.5), X, 1.5)


def test_the_gradient_in_a_python_number_has_one_dtype(compiler):
    f = lambda x, t: np.sum(x * t)
    agrees(compiler, xg.value_and_grad(f, argnums=(0, 1)), X, 0.5)


def test_a_python_number_gives_way_to_the_dtype_of_an_array():
    for f in (lambda x, t: x * t, lambda x, t: x * (t * 2.0), lambda x, t: np.minimum(t, x)):
        graph, _ = graph_of(f, X, 0.5)
        verify(graph)
        assert graph.outputs[0].dtype == f(X, 0.5).dtype


OF_A_NUMBER = {
    "abs": abs,
    "np.abs": np.abs,
    "+": lambda t: t + 0.5,
    "np.add": lambda t: np.add(t, 0.5),
    "np.add of a bool": lambda t: np.add(t, True),
    "np.negative": np.negative,
    "np.positive": np.positive,
    "1 /": lambda t: 1 / t,
    "np.reciprocal": np.reciprocal,
    "**": lambda t: t**2,
    "np.power": lambda t: np.power(t, 2),
    "%": lambda t: t % 0.3,
    "np.mod": lambda t: np.mod(t, 0.3),
    "np.floor_divide": lambda t: np.floor_divide(t, 0.3),
    "np.square": np.square,
    "np.sqrt": np.sqrt,
    "np.sum": np.sum,
    "np.prod": np.prod,
    "np.dot": lambda t: np.dot(t, 2.0),
    "np.where": lambda t: np.where(t > 0, t, 0.5),
    "np.clip": lambda t: np.clip(t, 0, 1),
    "np.minimum": lambda t: np.minimum(t, 0.5),
    "np.real": np.real,
    "np.reshape": lambda t: np.reshape(t, ()),
}


@pytest.mark.parametrize("name", OF_A_NUMBER)
def test_what_numpy_makes_of_a_python_number_has_numpys_dtype_beside_an_array(name):
    """Python's operators leave a number that gives way to float32; NumPy's functions do not."""
    seen = []

    def f(x, t):
        y = x * OF_A_NUMBER[name](t)
        seen.append(y.dtype)
        return np.sum(y)

    expected = f(X, 1.25).dtype
    xg.grad(f, argnums=(0, 1))(X, 1.25)
    graph_of(f, X, 1.25)
    graph_of(xg.grad(f, argnums=(0, 1)), X, 1.25)
    assert set(seen) == {expected}


def test_a_write_in_place_to_an_element_taken_with_an_ellipsis_shows_in_the_array(compiler):
    def f(x):
        y = x * 1
        d = y[0, ...]
        d += 1
        s = np.sum(x)
        s += 1  # a scalar: the name alone is bound anew
        e = np.sum(x).reshape(())
        e += 2
        return y, s, e

    agrees(compiler, f, X)


@pytest.mark.parametrize(
    "scalar", [np.float32(2), 2.0, np.array(2, np.float32)], ids=["numpy", "python", "0-d"]
)
def test_an_argument_without_axes_is_a_scalar_where_it_was_passed_as_one(compiler, scalar):
    def f(x, c):
        d = np.reshape(c, (1,))
        d[...] = 0.5
        return x * c + d

    expected = f(X, scalar.copy() if hasattr(scalar, "copy") else scalar)
    got = compiler.compile(f)(X, scalar)
    assert np.array_equal(got, expected)
    assert got.dtype == expected.dtype
    assert scalar == 2


@pytest.mark.parametrize("text", ["ii,->", "ij,->ij", "iji,->j"])
def test_a_real_operand_beside_a_complex_one_has_a_real_cotangent(text):
    """Of a diagonal, which is scattered: the real part of what comes back, as everywhere."""
    ndim = len(text.split(",")[0])
    x = np.random.default_rng(0).normal(size=(2,) * ndim)
    out, pullback = xg.vjp(lambda x: np.einsum(text, x, 0.5 + 2j), x)
    g = np.asarray(np.random.default_rng(1).normal(size=out.shape) * (1 - 3j))
    (c,) = pullback(g[()])
    # The map is linear: its derivative in an entry is its value at a unit array.
    units = np.eye(x.size).reshape(-1, *x.shape)
    expected = [np.real(np.sum(g * np.einsum(text, unit, 0.5 + 2j))) for unit in units]
    assert c.dtype == np.float64
    assert np.allclose(c, np.reshape(expected, x.shape))


SPREAD = {
    "a number": lambda e, n: np.broadcast_to(e[0, 0] * 2, (n, n)),
    "a row": lambda e, n: np.broadcast_to(e[:1, :] * 2, (n, n)),
    "a column": lambda e, n: np.broadcast_to(e[:, :1] * 2, (n, n)),
}


@pytest.mark.sweep
@pytest.mark.parametrize("n", [5, 11, 300])
@pytest.mark.parametrize("spread", SPREAD)
@pytest.mark.parametrize("side", ["left", "right", "left, transposed", "right, transposed"])
@pytest.mark.parametrize("name", ["interpreter", "llvm"])
def test_a_factor_that_is_spread_over_an_axis_is_multiplied_as_the_whole_array(name, side, spread, n):
    """As in the gradient of a sum of all entries of ``X.T @ X``; by tiles of any size."""
    if name == "llvm" and ABSENT["llvm"] is not None:
        pytest.skip(ABSENT["llvm"])
    e, X = np.random.default_rng(0).normal(size=(n, n)), np.random.default_rng(1).normal(size=(2, n))

    def f(e, X):
        E = SPREAD[spread](e, n)
        E = E.T if "transposed" in side else E
        return E @ X.T + X.T if "left" in side else X @ E + X

    expected = f(e, X)
    for target in (None, TINY, Target(cache=256, grain=1, run=1, small=0)):
        with choose.use(name, target):
            assert np.allclose(compile(f)(e, X), expected, rtol=1e-12)


def test_the_gradient_of_all_entries_of_a_gram_matrix_is_twice_the_sums():
    X = np.random.default_rng(0).normal(size=(2, 700))
    expected = np.repeat(2 * X.sum(axis=1, keepdims=True), 700, axis=1)
    assert np.allclose(compile(xg.grad(lambda X: np.sum(X.T @ X)))(X), expected, rtol=1e-11)
    assert np.allclose(compile(xg.grad(lambda X: np.sum(X.T @ X) / 10))(X), expected / 10, rtol=1e-11)


def test_a_ufunc_that_compares_numbers_gives_numpys_booleans():
    def f(t):
        a = np.greater(t, 1.0)
        b = np.equal(t, t)
        return a + a, np.remainder(a, b), b + b

    for g in (lambda t: xg.vjp(f, t)[0], compile(f)):
        for got, expected in zip(g(0.5), f(0.5), strict=True):
            assert np.asarray(got).dtype == np.asarray(expected).dtype
            assert got == expected


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "uint8"])
def test_products_of_integers_keep_their_dtype(dtype):
    m = (np.arange(9).reshape(3, 3) % 2).astype(dtype)
    for f in (lambda m: np.vecdot(m, m), lambda m: np.vdot(m, m), lambda m: np.inner(m, m), lambda m: m @ m):
        got = compile(f)(m)
        assert got.dtype == f(m).dtype
        assert np.array_equal(got, f(m))


def test_a_mask_that_is_taken_is_zeros_and_ones():
    x, mask = np.arange(6.0).reshape(2, 3), np.array([True, False, True])
    for g in (lambda x: np.take(x, mask, axis=1), lambda x: np.take(x, [True, False], axis=0)):
        assert np.array_equal(xg.vjp(g, x)[0], g(x))
        assert np.array_equal(compile(g)(x), g(x))
    assert np.array_equal(compile(lambda x, m: np.take(x, m, axis=1))(x, mask), np.take(x, mask, axis=1))


OF_INTEGERS = {
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "<< of a number": lambda a, b: 3 << b,
    ">> by a number": lambda a, b: a >> 1,
    "left_shift": np.left_shift,
    "right_shift": np.right_shift,
    "gcd": np.gcd,
    "lcm": np.lcm,
    "reciprocal": lambda a, b: np.reciprocal(np.abs(a) + 1),
}


@pytest.mark.parametrize("dtypes", ["int64 int64", "int8 int8", "uint8 uint8", "int16 int32", "uint64 uint64"])
@pytest.mark.parametrize("name", OF_INTEGERS)
def test_integers_are_shifted_and_divided_as_numpy_does_it(name, dtypes):
    """By more places than they have, too; beside a traced float, whose gradient goes on."""
    left, right = dtypes.split()
    a = np.array([[1, 2, 3, 100, 0]], left) if left[0] == "u" else np.array([[1, -2, 3, 100, -100]], left)
    b = np.array([[0], [2], [6]], right)
    f, X = OF_INTEGERS[name], np.linspace(-1, 1, 5)
    for g in (lambda a, b: xg.vjp(lambda x: f(a, b) * 1 + 0 * x[:1].astype(int), X)[0], compile(f)):
        assert np.array_equal(g(a, b), f(a, b))
    assert compile(f)(a, b).dtype == f(a, b).dtype
    loss = lambda x, a, b: np.sum(x * f(a, b))
    assert np.allclose(compile(xg.grad(loss))(X, a, b), np.sum(f(a, b), axis=0, dtype=float))


def test_a_bitwise_operator_in_place_writes_to_the_array():
    def f(n):
        a = n * 1
        view = a[:2]
        view &= 1
        a |= 4
        a ^= 1
        a <<= 2
        view >>= 1
        return a

    n = np.arange(5)
    assert np.array_equal(compile(f)(n), f(n))


ADDED = {
    "booleans": np.array([True, False, True]),
    "a boolean": True,
    "bytes": np.array([100, 100, 100], np.int8),
    "integers": np.array([1, 2, 3]),
    "float32": np.float32(0.5),
    "a number": 0.1,
}


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32"])
@pytest.mark.parametrize("add", [np.add, np.subtract], ids=["add", "subtract"])
def test_what_is_added_at_repeated_indices_is_added_up_in_the_dtype_of_the_array(name, dtype, add):
    """As NumPy does it: three times True are 3, and 200 does not wrap around as int8."""
    if ADDED[name] is True and add is np.subtract:
        return  # NumPy has no difference of booleans that it would cast

    def f(x):
        a = (np.zeros(3) * x).astype(dtype)
        add.at(a, [0, 2, 0], ADDED[name])
        return a

    if name in ("float32", "a number") and dtype.startswith("int"):  # NumPy cuts them off, each alone
        with pytest.raises(xg.DTypeError, match="cannot be cast in place"):
            compile(f)(np.ones(3))
        return
    expected = f(np.ones(3))
    for got in (xg.vjp(f, np.ones(3))[0], compile(f)(np.ones(3))):
        assert got.dtype == expected.dtype
        assert np.array_equal(got, expected)


def test_a_number_that_is_clipped_has_numpys_dtype():
    bound = np.array([0.5, 2.0], np.float32)
    for f in (
        lambda t: np.clip(t, bound, bound),
        lambda t: np.clip(t, bound, None),
        lambda t: np.clip(t, 0.0, 1.0),
    ):
        for got in (xg.vjp(f, 1.25)[0], compile(f)(1.25)):
            assert got.dtype == f(1.25).dtype
            assert np.array_equal(got, f(1.25))


def test_nothing_is_taken_by_an_empty_list():
    for mode in ("raise", "wrap", "clip"):
        for x in (np.ones((2, 3)), np.ones((2, 0))):
            f = lambda x, mode=mode: np.take(x, [], axis=1, mode=mode)
            assert xg.vjp(f, x)[0].shape == compile(f)(x).shape == (2, 0)


def test_a_traced_mask_says_where_a_plain_array_is_reduced():
    K = np.array([0.5, 0.0, 2.0])
    for name in ("all", "any", "sum", "prod"):
        f = lambda m, name=name: getattr(K, name)(where=m)
        m = np.array([True, False, True])
        assert np.allclose(compile(f)(m), f(m))
        assert np.allclose(xg.vjp(lambda x, f=f: f(x > 0), np.array([1.0, -1.0, 1.0]))[0], f(m))


PRODUCTS = {
    "np.dot": np.dot,
    "np.inner": np.inner,
    "np.multiply.outer": np.multiply.outer,
    "np.add.outer": np.add.outer,
    "np.tensordot": lambda t, x: np.tensordot(t, x, 0),
    "np.einsum": lambda t, x: np.einsum(",i->i", t, x),
    "np.einsum, summed": lambda t, x: np.einsum(",i->", t, x),
    "np.kron": np.kron,
    "np.outer": np.outer,
    "np.convolve": np.convolve,
    "np.linalg.multi_dot": lambda t, x: np.linalg.multi_dot([t, x]),
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("swapped", [False, True], ids=["number first", "number last"])
@pytest.mark.parametrize("traced", ["number", "array", "both"])
def test_a_product_with_a_python_number_has_the_dtype_that_numpy_gives_it(name, swapped, traced):
    """NumPy makes an array of the number first, and float64 does not give way to float32."""
    product = PRODUCTS[name]
    if swapped and name == "np.linalg.multi_dot":
        f = lambda t, x: np.linalg.multi_dot([x, t])
    elif swapped and "einsum" not in name and "tensordot" not in name:
        f = lambda t, x: product(x, t)
    else:
        f = product
    run, args = {
        "number": (lambda t: f(t, X), (0.5,)),
        "array": (lambda x: f(0.5, x), (X,)),
        "both": (f, (0.5, X)),
    }[traced]
    expected = run(*args)
    for got in (xg.vjp(run, *args)[0], compile(run)(*args)):
        assert got.dtype == expected.dtype
        assert np.allclose(got, expected, rtol=1e-6)


@pytest.mark.sweep
@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("shape", [(2, 7), (40, 7), (7, 300)])
def test_what_a_second_loop_computes_again_has_the_same_bits(name, shape, request):
    """The gradient of max asks which entry is the largest, and computes the entries again."""

    def program(W):
        a = W[1:, 1:] * W[:-1, :-1] - W[1:, :-1]
        b = np.max(a, axis=0)
        c = np.exp(b - np.max(b, axis=0, keepdims=True))
        return c / np.sum(c, axis=0, keepdims=True)

    W, direction = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    f = lambda W, t: xg.jvp(program, (W,), (t,))[1]
    there = (W, direction)
    if name == "gpu":
        request.getfixturevalue("real_gpu")
        there = xg.to_device(there, "gpu")
    for target in (None, TINY):
        compiled = compile(f)
        with choose.use(name, target, ShimDevice() if name == "cuda" else None):
            expect(f, (W, direction)).check(xg.asnumpy(compiled(*there)))


def test_a_mask_beside_floats_is_summed_as_numbers(compiler):
    m = np.array([[True, True, False], [True, True, True]])
    agrees(compiler, lambda x, m: np.einsum("i,jk->ij", x, m), X, m)


def test_the_root_of_a_negative_zero_without_axes_is_zero(compiler):
    out = compiler.compile(lambda x: (np.max(x) ** 0.5, x**0.5))(np.array([-0.0]))
    assert [np.signbit(y).item() for y in out] == [False, True]
