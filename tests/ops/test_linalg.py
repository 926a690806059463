"""Linear algebra: NumPy's values and types, and derivatives of order two in both modes."""

import numpy as np
import pytest

import xpgrad as xg
from cases.linalg_calls import CASES, hermitian, positive
from xpgrad.core import verify
from xpgrad.ops.linalg import inv_lower
from xpgrad.testing import close, tolerance
from xpgrad.trace import Symbols, graph_of

la = np.linalg
KINDS = (np.float64, np.complex128)
BOUND = tolerance(np.float64).value

# The order of the eigenvalues of a general matrix is the library's own.
IN_SOME_ORDER = {"eigvals", "eig", "eig of a stack"}
# Only the numbers tell whether they are real.
DATA_DEPENDENT = IN_SOME_ORDER | {"eig, a function of the matrix"}


def draw(shapes, dtype=np.float64):
    rng = np.random.default_rng(5)
    arrays = [rng.normal(size=s) for s in shapes]
    if np.dtype(dtype).kind == "c":
        arrays = [x + 1j * rng.normal(size=x.shape) for x in arrays]
    return [np.asarray(x, dtype) for x in arrays]


def parts(out):
    return out if isinstance(out, tuple) else (out,)


def cotangent(out):
    """Random numbers like ``out``, an array or a tuple of them."""
    if isinstance(out, tuple):
        gs = [cotangent(z) for z in out]
        return type(out)(*gs) if hasattr(out, "_fields") else tuple(gs)
    g = np.random.default_rng(out.size).normal(size=out.shape)
    return np.asarray(g, out.dtype) if out.shape else out.dtype.type(g)


def skip_what_is_undetermined(name, backend):
    if backend.name == "reference" and name in DATA_DEPENDENT:
        pytest.skip("decided by the data: eager only")
    if backend.name == "gpu" and name in IN_SOME_ORDER:
        pytest.skip("cuSOLVER orders eigenvalues its own way")


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_values_are_numpys(name, dtype, backend):
    skip_what_is_undetermined(name, backend)
    f, shapes = CASES[name]
    args = draw(shapes, dtype)
    for a, b in zip(parts(backend.run(f, *args)), parts(f(*args)), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert close(a, b, BOUND)


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_the_pullback_is_the_same_on_every_backend(name, dtype, backend):
    skip_what_is_undetermined(name, backend)
    f, shapes = CASES[name]
    args = draw(shapes, dtype)
    out, pullback = xg.vjp(f, *args)
    g = cotangent(out)
    for actual, expected in zip(backend.pull(f, g, *args), pullback(g), strict=True):
        assert close(actual, expected, BOUND)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_order_two_agree_with_differences(name, dtype):
    f, shapes = CASES[name]
    xg.check_grads(f, draw(shapes, dtype))


@pytest.mark.parametrize("name", CASES)
def test_a_named_tuple_is_numpys_own(name):
    f, shapes = CASES[name]
    args = draw(shapes)
    assert type(xg.vjp(f, *args)[0]) is type(f(*args))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("name", CASES)
def test_single_precision_stays_single(name, dtype):
    f, shapes = CASES[name]
    args = draw(shapes, dtype)
    out, pullback = xg.vjp(f, *args)
    assert [np.asarray(a).dtype for a in parts(out)] == [np.asarray(b).dtype for b in parts(f(*args))]
    cotangents = pullback(cotangent(out))
    assert [c.dtype for c in cotangents] == [dtype] * len(args)
    assert all(np.isfinite(c).all() for c in cotangents)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", sorted(set(CASES) - DATA_DEPENDENT))
def test_shapes_alone_give_the_same_shapes(name, dtype):
    f, shapes = CASES[name]
    args = draw(shapes, dtype)
    graph, _ = graph_of(f, *args)
    verify(graph)
    expected = [(np.shape(z), np.asarray(z).dtype) for z in parts(f(*args))]
    assert [(z.shape, z.dtype) for z in graph.outputs] == expected


def test_eig_of_shapes_alone_is_complex():
    w, v = la.eig(Symbols().enter(np.eye(3)))
    assert (w.dtype, v.dtype) == (np.complex128, np.complex128)


def test_eig_is_real_where_the_eigenvalues_are():
    a, b = draw([(3, 3), (3, 3)])
    x = positive(a) @ hermitian(b)  # similar to a symmetric matrix, and not one
    out, _ = xg.vjp(la.eig, x)
    assert out[0].dtype == out[1].dtype == np.float64
    xg.check_grads(la.eig, (x,))


# ── known gradients ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("dtype", KINDS)
def test_the_gradient_of_a_log_determinant_is_the_inverse(dtype):
    a = positive(draw([(4, 4)], dtype)[0])
    inverse = la.inv(a).T
    through_cholesky = xg.grad(lambda x: 2 * np.sum(np.log(np.real(np.diagonal(la.cholesky(x))))))(a)
    assert close(xg.grad(lambda x: la.slogdet(x)[1])(a), inverse, BOUND)
    assert close(through_cholesky, inverse, BOUND)


def test_gradients_through_a_hermitian_decomposition_are_hermitian():
    a = positive(draw([(3, 3)], np.complex128)[0])
    for f in (lambda x: np.sum(np.abs(la.cholesky(x)) ** 3), lambda x: np.sum(la.eigh(x)[0] ** 3)):
        g = xg.grad(f)(a)
        assert close(g, np.conj(g.T), BOUND)


def test_both_triangles_give_the_same_gradient():
    a = hermitian(draw([(3, 3)], np.complex128)[0])
    below, above = (xg.grad(lambda x, s=s: np.sum(la.eigvalsh(x, s) ** 3))(a) for s in "LU")
    assert close(below, above, BOUND)


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_reads_its_own_triangle_alone(upper):
    a = positive(draw([(3, 3)], np.complex128)[0])
    a[np.tri(3, k=-1, dtype=bool) if upper else ~np.tri(3, dtype=bool)] = 77
    out, _ = xg.vjp(lambda x: la.cholesky(x, upper=upper), a)
    assert close(out, la.cholesky(a, upper=upper), BOUND)


def test_a_list_is_an_operand():
    a = draw([(2, 2)])[0]
    g = xg.grad(lambda a: np.sum(la.solve(a, [1.0, 2.0])))(a)
    assert close(g, xg.grad(lambda a: np.sum(la.inv(a) @ np.array([1.0, 2.0])))(a), BOUND)


def test_the_gradient_of_a_triangular_inverse_is_triangular():
    x = np.tril(draw([(3, 3)])[0])
    g = xg.grad(lambda x: np.sum(inv_lower(x) ** 2))(x)
    assert close(g, np.tril(xg.grad(lambda x: np.sum(la.inv(x) ** 2))(x)), BOUND)


@pytest.mark.parametrize("n", [1, 47, 48, 49, 130])
def test_a_triangle_of_any_size_is_inverted_by_halves(n):
    x = np.tril(draw([(2, n, n)])[0]) / n + np.eye(n)
    assert close(inv_lower(x) @ x, np.broadcast_to(np.eye(n), x.shape), BOUND)


def test_the_solution_of_a_tall_system_does_not_form_a_square_of_its_rows():
    m = 20_000  # a matrix of m rows and columns would take 3 GB
    a, b = draw([(m, 2), (m,)])
    g = xg.grad(lambda a: np.sum(la.lstsq(a, b)[0]))(a)
    h = xg.grad(lambda a: np.sum(la.pinv(a) @ b))(a)
    assert g.shape == (m, 2)
    assert close(g, h, BOUND)


# ── where matrices are special ───────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "x", [[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]], np.diag([2.0, 3.0, 0.0]).tolist()]
)
def test_det_has_its_gradient_at_a_singular_matrix(x):
    x = np.asarray(x)
    assert la.matrix_rank(x) < len(x)
    xg.check_grads(la.det, (x,), order=1)


def test_det_of_a_singular_complex_stack_has_its_gradient():
    u, v = draw([(2, 3, 2), (2, 2, 3)], np.complex128)
    x = u @ v
    x[0, 2] = 0
    xg.check_grads(la.det, (x,), order=1)


@pytest.mark.parametrize("f", [la.norm, la.vector_norm, lambda x: la.norm(x, 3), lambda x: la.norm(x, 1)])
@pytest.mark.parametrize("dtype", KINDS)
def test_the_norm_of_a_zero_vector_has_derivative_zero(f, dtype):
    zero = np.zeros(3, dtype)
    value, g = xg.value_and_grad(f)(zero)
    assert value == 0
    assert np.array_equal(g, zero)
    assert xg.jvp(f, (zero,), (np.ones(3, dtype),))[1] == 0


def test_the_second_derivative_of_the_norm_at_zero_is_finite():
    assert np.isfinite(xg.hessian(la.norm)(np.zeros(2))).all()


@pytest.mark.parametrize("f", [la.eigvalsh, la.svdvals, lambda x: la.eigh(x)[0], lambda x: la.svd(x)[1]])
def test_equal_eigenvalues_leave_the_gradient_of_the_values_finite(f):
    assert close(xg.grad(lambda x: np.sum(f(x)))(np.eye(3)), np.eye(3), BOUND)


@pytest.mark.parametrize("f", [lambda x: la.eigh(x)[1], lambda x: la.svd(x)[0], lambda x: la.eig(x)[1]])
@pytest.mark.parametrize("dtype", KINDS)
def test_vectors_of_equal_eigenvalues_have_no_derivative(f, dtype):
    g = xg.grad(lambda x: np.sum(np.real(f(x))))(np.eye(2, dtype=dtype))
    assert np.isnan(g).any()


def test_debugging_names_the_decomposition_whose_vectors_have_no_derivative():
    with xg.debug(nans=True), pytest.raises(xg.NumericsError, match="derivative of eigh"):
        xg.grad(lambda x: np.sum(la.eigh(x)[1]))(np.eye(2))


@pytest.mark.parametrize("dtype", KINDS)
def test_a_zero_singular_value_leaves_the_gradient_of_the_others_finite(dtype):
    x = np.zeros((4, 3), dtype)
    x[0, 0], x[1, 1] = 3, 2
    u, s, vh = la.svd(x, full_matrices=False)
    g = xg.grad(lambda x: np.sum(la.svdvals(x)[:2] ** 2))(x)
    assert close(g, 2 * np.conj(u[:, :2] * s[:2] @ vh[:2]), BOUND)
    assert np.isnan(xg.grad(lambda x: np.sum(np.abs(la.svd(x, False)[0])))(x)).any()


def test_a_zero_power_is_the_identity_without_derivative():
    x = draw([(2, 3, 3)])[0]
    value, pullback = xg.vjp(lambda x: la.matrix_power(x, 0), x)
    assert np.array_equal(value, la.matrix_power(x, 0))
    assert not pullback(np.ones_like(x))[0].any()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_rank_is_a_number_without_derivative(rank):
    u, v = draw([(3, rank), (rank, 4)])

    def scaled(x):
        assert la.matrix_rank(x) == rank
        return la.matrix_rank(x) * np.sum(x)

    assert close(xg.grad(scaled)(u @ v), np.full((3, 4), float(rank)), BOUND)
