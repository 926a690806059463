"""Where NumPy's functions have an edge: layouts, empty arrays, NaN, scalars, arrays of their own."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import close, tolerance
from xpgrad.trace import graph_of

EXACT = tolerance(np.float64).value
V = np.array([1.0, 2.0, 3.0])
M = np.arange(1.0, 13.0).reshape(3, 4)
NONE = np.zeros(0)

needs_unstack = pytest.mark.skipif(not hasattr(np, "unstack"), reason="np.unstack came with NumPy 2.1")


def value(f, *args):
    """What ``f`` returns for traced arguments."""
    return xg.vjp(f, *(x.copy() for x in args))[0]


def assert_numpys(f, *args):
    """The value for traced arguments is that for plain ones, with the shape and dtype."""
    expected = np.asarray(f(*(x.copy() for x in args)))
    out = np.asarray(value(f, *args))
    assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
    assert close(out, expected, EXACT)


# ── layouts ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("order", "CFAK")
def test_ravel_follows_the_layout_underneath(order):
    for f in (
        lambda x: np.ravel(x, order),
        lambda x: x.T.ravel(order),
        lambda x: x.T.flatten(order),
        lambda x: np.ravel(x[0, ::-2], order),
    ):
        assert_numpys(f, M)
    assert_numpys(lambda x: x.ravel(order), np.asfortranarray(M))
    weights = np.arange(12.0)
    plain = np.zeros((3, 4))
    plain.T.ravel(order)[...] = weights  # a view where the layout is that of the order
    if order in "AKF":
        assert close(xg.grad(lambda x: np.sum(x.T.ravel(order) * weights))(M), plain, EXACT)


def test_ravel_of_a_layout_that_is_neither_is_refused_by_name():
    assert_numpys(lambda x: x[:, :2].ravel("A"), M)
    with pytest.raises(xg.TraceError, match="ravel: order="):
        value(lambda x: x[:, :2].ravel("K"), M)
    with pytest.raises(ValueError, match="ravel: order must be"):
        value(lambda x: x.ravel("Z"), M)


def test_ravel_by_layout_is_refused_with_shapes_alone():
    for order in "AK":
        with pytest.raises(xg.TraceError, match="ravel: order="):
            graph_of(lambda x, order=order: x.ravel(order), M)
    assert graph_of(lambda x: x.ravel("F"), M)[0].outputs[0].shape == (12,)


def written(part):
    """Write to ``part`` of an array, and return the array."""

    def f(x):
        A = x * 1
        part(A)[0] = 50.0
        return A

    return f


@pytest.mark.parametrize(
    "part",
    [
        lambda A: A.ravel(),
        lambda A: A[1:].ravel(),
        lambda A: A[:, :1].ravel(),
        lambda A: A.T.ravel(),
        lambda A: A.T.ravel("F"),
        lambda A: A.ravel("F"),
        lambda A: A.T.ravel("K"),
        lambda A: A.flatten(),
    ],
)
def test_ravel_looks_into_contiguous_memory_alone(part):
    assert_numpys(written(part), M)


# ── arrays of their own ──────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "part",
    [
        lambda A: np.roll(A, 0),
        lambda A: np.roll(A, 0, axis=1),
        lambda A: np.roll(A, (4, 3), axis=(1, 0)),
        lambda A: np.pad(A, 0, mode="edge"),
        lambda A: np.pad(A, 0, mode="wrap"),
        lambda A: np.tile(A, 1),
        lambda A: np.meshgrid(A[0], A[1], sparse=True)[0],
        lambda A: np.diff(A, n=0),  # in NumPy the array itself
    ],
)
def test_writing_to_a_result_reaches_the_array_where_it_does_in_numpy(part):
    assert_numpys(written(part), M)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: np.tile(x[0][:, None], 2),
        lambda x: np.tile(x.T, (2, 1)),
        lambda x: np.tile(x.T, 1),
        lambda x: np.meshgrid(x[0], x[1])[0],
        lambda x: np.meshgrid(x[0], x[1])[1],
    ],
)
def test_a_repeated_array_can_be_written_through_its_reshape(make):
    def f(x):
        A = make(x)
        A.reshape(-1)[0] = 50.0
        return A

    assert_numpys(f, M)
    xg.check_grads(f, (M,))


def test_diff_of_a_negative_order_is_refused():
    with pytest.raises(ValueError, match="diff: n must not be negative"):
        value(lambda x: np.diff(x, n=-1), V)


# ── divisors, empty arrays, NaN ──────────────────────────────────────────────────────────────
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("ddof", [2, 3, 4.5])
@pytest.mark.parametrize("f", [np.var, np.std, np.nanvar, np.nanstd])
def test_more_degrees_of_freedom_than_entries_are_a_division_by_zero(f, ddof):
    assert_numpys(lambda x: f(x, ddof=ddof), V)
    assert_numpys(lambda x: f(x, axis=0, ddof=ddof), M.astype(np.float32))
    assert_numpys(lambda x: f(x * 0, ddof=ddof), V)
    assert xg.grad(lambda x: f(x, ddof=ddof))(V).shape == (3,)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_covariance_of_one_observation_is_numpys():
    assert_numpys(lambda x: np.cov(x), V[:, None])
    assert_numpys(lambda x: np.cov(x, ddof=7), M**2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("f", [np.mean, np.var, np.std, np.median, np.sum, np.prod])
def test_a_reduction_of_nothing_is_numpys_and_has_an_empty_gradient(f):
    assert_numpys(f, NONE)
    g = xg.grad(f)(NONE)
    assert (g.shape, g.dtype) == ((0,), np.float64)
    for x in (np.zeros((3, 0)), np.zeros((0, 3))):
        assert_numpys(lambda x: f(x, axis=-1), x)
        out, pullback = xg.vjp(lambda x: f(x, axis=-1), x)
        assert pullback(np.ones_like(out))[0].shape == x.shape


def test_the_mean_of_nothing_warns():
    with pytest.warns(RuntimeWarning):
        assert np.isnan(value(np.mean, NONE))


def test_a_quantile_of_nothing_says_so():
    with pytest.raises(xg.ShapeError, match="quantile: no entries"):
        value(lambda x: np.quantile(x, 0.5), NONE)


@pytest.mark.parametrize("f", [np.max, np.min])
def test_an_extremum_of_nothing_is_its_initial(f):
    for x in (NONE, np.zeros((0, 3)), np.zeros((3, 0), np.float32)):
        assert_numpys(lambda x: f(x, initial=2), x)
        assert_numpys(lambda x: f(x, axis=0, initial=2.0, keepdims=True), x)
        assert xg.grad(lambda x: f(x, initial=2.0))(x).shape == x.shape
    assert xg.grad(lambda x, b: f(x, initial=b) * 3, (0, 1))(NONE, 2.0)[1] == 3.0
    with pytest.raises(xg.ShapeError, match="no identity"):
        value(f, NONE)


@pytest.mark.parametrize("f", [np.max, np.min])
def test_a_nan_extremum_passes_its_cotangent_to_the_nans(f):
    x = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 4.0], [np.nan, 0.0, np.nan]])
    expected = np.array([[0, 1, 0], [0, 1, 0] if f is np.max else [0.5, 0, 0.5], [0.5, 0, 0.5]])
    assert close(xg.grad(lambda x: np.sum(f(x, axis=1)))(x), expected, EXACT)
    assert close(xg.jvp(lambda x: f(x, axis=1), (x,), (M[:, :3],))[1], np.sum(expected * M[:, :3], 1), EXACT)
    assert close(xg.grad(f)(np.array([1.0, np.nan])), [0.0, 1.0], EXACT)


def test_at_the_origin_hypot_and_arctan2_have_derivative_zero():
    x, y = np.array([0.0, 3.0, 0.0]), np.array([0.0, 4.0, 2.0])
    dx, dy = xg.grad(lambda x, y: np.sum(np.hypot(x, y)), (0, 1))(x, y)
    assert close(dx, [0, 0.6, 0], EXACT)
    assert close(dy, [0, 0.8, 1], EXACT)
    dx, dy = xg.grad(lambda x, y: np.sum(np.arctan2(x, y)), (0, 1))(x, y)
    assert close(dx, [0, 0.16, 0.5], EXACT)
    assert close(dy, [0, -0.12, 0], EXACT)
    for f in (np.hypot, np.arctan2):
        assert np.all(xg.jvp(f, (x, y), (V, V))[1][0] == 0)
        xg.check_grads(f, (x[1:], y[1:]))
        assert xg.grad(f)(0.0, 0.0) == 0


# ── arguments ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("values", [[[1.0], [2.0], [3.0]], [10.0, 20.0], [7.0], 5.0, []])
def test_putmask_takes_values_by_flat_place(values):
    mask = M.astype(int) % 3 > 0

    def f(x, values):
        A = x + 1
        np.putmask(A, mask, values)
        return A * M

    assert_numpys(f, M, np.asarray(values))
    if np.size(values):
        xg.check_grads(f, (M, np.asarray(values)))


def test_putmask_takes_a_mask_of_the_size_of_the_array():
    def f(x, mask=None):
        A = x + 1
        mask = M.reshape(4, 3) > 5 if mask is None else mask
        np.putmask(A, mask, [1.0, 2.0])
        return A

    assert_numpys(f, M)
    with pytest.raises(xg.ShapeError, match="putmask: the mask does not fit"):
        value(lambda x: f(x, V > 0), M)


@pytest.mark.parametrize("f", [np.triu, np.tril])
@pytest.mark.parametrize("k", [-1, 0, 1])
def test_the_triangle_of_a_vector_is_that_of_a_square_of_it(f, k):
    assert_numpys(lambda x: f(x, k), V)
    xg.check_grads(lambda x: f(x, k), (V,))
    with pytest.raises(xg.ShapeError, match="triu, tril"):
        value(lambda x: f(x, k), np.array(1.0))


def test_trapezoid_takes_lists():
    assert_numpys(lambda x: np.trapezoid([1.0, 2, 3], x), V**2)
    assert_numpys(lambda x: np.trapezoid(x, [1, 2, 4]), V**2)
    assert close(xg.grad(lambda x: np.trapezoid([1.0, 2, 3], x))(V), [-1.5, -1, 2.5], EXACT)


@pytest.mark.parametrize("axis", [0, -1])
def test_reductions_of_a_scalar_take_its_first_and_last_axis(axis):
    x = np.array(3.0)
    for f in (np.sum, np.prod, np.max, np.min, np.ptp, np.nansum, np.squeeze, np.cumsum, np.cumprod):
        assert_numpys(lambda x, f=f: f(x, axis=axis) * 2, x)
        xg.check_grads(lambda x, f=f: f(x, axis=axis) * 2, (x,))
        graph_of(lambda x, f=f: f(x, axis=axis), x)
    for f in (np.argmax, np.any, np.count_nonzero):
        assert_numpys(lambda x, f=f: x * f(x, axis=axis), x)
    for f, wrong in ((np.mean, axis), (np.var, axis), (np.sum, 1), (np.sum, (axis,))):
        with pytest.raises(xg.ShapeError, match="does not fit"):
            value(lambda x, f=f, wrong=wrong: f(x, axis=wrong), x)


def test_repeats_that_do_not_fit_name_both_shapes():
    assert_numpys(lambda x: np.repeat(x, [2]), V)
    assert_numpys(lambda x: np.repeat(x, [2, 0, 1], axis=0), M)
    with pytest.raises(
        xg.ShapeError, match=r"repeat: needs one number, or 3 for axis 0[^!]*float64\[3\][^!]*\[2\]"
    ):
        value(lambda x: np.repeat(x, [1, 2]), V)
    with pytest.raises(xg.ShapeError, match="repeat"):
        value(lambda x: np.repeat(x, [[1, 2, 3]]), V)


# ── many parts ───────────────────────────────────────────────────────────────────────────────
def test_the_gradient_of_many_stacked_scalars_is_that_of_the_array():
    x = np.linspace(-1, 1, 4100)
    for f in (lambda x: np.stack([x[i] for i in range(len(x))]), lambda x: np.stack(list(x))):
        assert_numpys(f, x)
        assert close(xg.grad(lambda x, f=f: np.sum(f(x) ** 2))(x), 2 * x, EXACT)


def test_many_parts_of_two_dtypes_are_promoted_as_numpy_does():
    assert_numpys(lambda x: np.concatenate([x, x.astype(np.float32)] * 50), V)


def test_the_gradient_of_a_stack_takes_time_in_proportion_to_its_parts():
    def work(n):
        graph, _ = graph_of(lambda x: np.stack(list(x)), np.ones(n))
        # Each operand's pull is handed all of its node's operands.
        return sum(len(node.operands) ** 2 for node in graph.nodes)

    assert work(4096) < 10 * work(512)


@needs_unstack
def test_unstack_turns_its_axis_to_the_front_once():
    graph, _ = graph_of(lambda x: np.unstack(x, axis=1), M)
    assert sum(node.op.name == "transpose" for node in graph.nodes) == 1
    assert_numpys(lambda x: np.stack(np.unstack(x, axis=-1)), M)
    with pytest.raises(xg.ShapeError, match="axis 2"):
        value(lambda x: np.unstack(x, axis=2)[0], M)


def test_a_median_is_a_scalar_that_no_view_writes_to():
    def f(x):
        m = np.median(x)
        y = m[...]
        np.multiply(y, m, out=y)
        return m + 0 * y

    assert_numpys(f, np.array([1.0, 2.0, 4.0]))
