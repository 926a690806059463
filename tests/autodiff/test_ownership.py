"""Who may write to what: nothing that a derivative needs changes behind it, nor anything of the user's."""

import threading

import numpy as np
import pytest

import xpgrad as xg
from cases.numpy_calls import CASES
from xpgrad.autodiff import pullback as sweep
from xpgrad.testing import close, tolerance
from xpgrad.trace import graph_of

EXACT = tolerance(np.float64).value
V = np.array([1.0, 2.0, 3.0])
M = np.arange(6.0).reshape(2, 3)

# ── cotangents that stand for equal entries ──────────────────────────────────────────────────
BROADCAST = {
    "add": lambda b, x: x + b,
    "subtract": lambda b, x: x - b,
    "multiply": lambda b, x: x * b,
    "where": lambda b, x: np.where(x > 2, x, b),
    "broadcast_to": lambda b, x: np.broadcast_to(b, x.shape),
    "maximum": lambda b, x: np.maximum(x, b + 2.2),
}
THEN = {
    "sum": lambda y: np.sum(y),
    "mean": lambda y: np.mean(y),
    "sum of columns": lambda y: np.sum(np.sum(y, axis=0) * np.arange(3.0)),
    "sum of rows, kept": lambda y: np.sum(np.sum(y, axis=1, keepdims=True) * np.array([[1.0], [5.0]])),
    "mean of a transpose": lambda y: np.mean(y.T, axis=0)[0],
}


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 1), (1, 3), (2, 1), (2, 3)])
@pytest.mark.parametrize("then", THEN)
@pytest.mark.parametrize("op", BROADCAST)
def test_a_constant_cotangent_is_summed_over_every_broadcast_copy(op, then, shape):
    b = np.random.default_rng(0).normal(size=shape)
    xg.check_grads(lambda b: THEN[then](BROADCAST[op](b, M)), (b,), order=1)


@pytest.mark.parametrize("name", CASES)
def test_sums_of_every_function_pull_back_right(name):
    f, shapes = CASES[name]
    args = [np.random.default_rng(7).normal(size=s) for s in shapes]
    xg.check_grads(lambda *xs: np.sum(f(*xs)), args, order=1)


# ── writing in place, small arrays too ───────────────────────────────────────────────────────
@pytest.fixture
def eager_to_write(monkeypatch):
    monkeypatch.setattr(sweep, "_LARGE", 0)


SHARED = {
    "x + x": lambda x: x + x,
    "x - x**2": lambda x: x - x**2,
    "x * x": lambda x: x * x,
    "exp twice used": lambda x: np.exp(x) * np.exp(x) + np.exp(x),
    "one of two": lambda x: x[1:] - x[:-1] ** 2,
    "chain": lambda x: -np.log(1 / (1 + np.exp(-x))) * x,
    "quotients": lambda x: (x / (x + 2)) / np.sqrt(x + 3),
    "views": lambda x: x.reshape(3, 1) - x.reshape(1, 3) * x,
    "reused later": lambda x: (lambda y: y * np.sin(y) - y / 2)(np.tanh(x)),
    "where": lambda x: np.where(x > 1.5, x * 2, x - 1) * x,
}


@pytest.mark.usefixtures("eager_to_write")
@pytest.mark.parametrize("name", SHARED)
def test_writing_to_cotangents_changes_no_other(name):
    xg.check_grads(SHARED[name], (V,))
    out, pullback = xg.vjp(SHARED[name], V)
    g = np.random.default_rng(1).normal(size=out.shape)
    kept = g.copy()
    first = pullback(g)[0].copy()
    assert np.array_equal(pullback(g)[0], first)
    assert np.array_equal(g, kept)


@pytest.mark.usefixtures("eager_to_write")
@pytest.mark.parametrize("name", CASES)
def test_pullbacks_that_write_in_place_agree_with_differences(name):
    f, shapes = CASES[name]
    xg.check_grads(f, [np.random.default_rng(7).normal(size=s) for s in shapes], order=1)


@pytest.mark.usefixtures("eager_to_write")
def test_a_plain_argument_with_an_outer_traced_closure_is_differentiated():
    n = 5000
    ones = np.ones(n)
    g = xg.grad(lambda w: np.sum(xg.grad(lambda x: np.dot(ones, np.sin(x) * w))(ones)))(ones)
    assert close(g, np.cos(ones), EXACT)


# ── what the function writes to ──────────────────────────────────────────────────────────────
def test_the_gradient_is_that_of_the_argument_not_of_what_was_written_to_it():
    def f(x):
        x *= 2
        return np.sum(x * x)

    assert np.array_equal(xg.grad(f)(V), 8 * V)
    assert np.array_equal(xg.vjp(f, V)[1](1.0)[0], 8 * V)


def test_a_reused_index_or_mask_is_kept_as_it_was():
    def f(x):
        index = np.array([0])
        total = 0.0
        for k in range(3):
            total = total + x[index].sum() * (k + 1)
            index[0] = (index[0] + 1) % 3
        mask = x > 0
        y = np.where(mask, x * x, 0)
        mask[:] = False
        return total + np.sum(y)

    assert np.array_equal(xg.grad(f)(V), [1, 2, 3] + 2 * V)


def test_a_small_buffer_that_is_reused_is_kept_as_it_was():
    def f(x):
        buffer, total = np.zeros(3), 0.0
        for k in range(3):
            buffer[:] = k
            total = total + np.sum(x * buffer)
        return total

    assert np.array_equal(xg.grad(f)(V), [3, 3, 3])


def test_a_large_buffer_that_is_reused_is_refused_with_the_line():
    def f(x):
        buffer = np.zeros(10_000)
        y = x * buffer
        buffer[:] = 1
        return np.sum(y)

    with pytest.raises(xg.TraceError, match="was written to after a traced operation used it") as caught:
        xg.grad(f)(np.ones(10_000))
    assert "y = x * buffer" in str(caught.value)


def test_data_changed_between_vjp_and_its_pullback_is_refused():
    X = np.ones((100, 100))
    _, pullback = xg.vjp(lambda w: X @ w, np.ones(100))
    pullback(np.ones(100))
    X[:] = 2
    with pytest.raises(xg.TraceError, match="was written to"):
        pullback(np.ones(100))


def test_an_inner_derivative_sees_the_outer_array_as_it_was_when_used():
    def outer(w):
        def inner(x):
            A = w.copy()
            y = x * A
            A[0] = 0
            return np.sum(y * y)

        return np.sum(xg.grad(inner)(V))

    assert np.array_equal(xg.grad(outer)(V), [4, 16, 36])


def test_a_view_that_moved_to_an_inner_level_is_recorded_there():
    def outer(y):
        def inner(x):
            A = y * 1.0
            B = A[1:]
            A[...] = np.sin(x) * A.copy()
            return np.sum(B * B)

        return np.sum(xg.grad(inner)(V))

    expected = np.concatenate([[0.0], (2 * np.sin(2 * V) * V)[1:]])
    assert close(xg.grad(outer)(V), expected, EXACT)


# ── what is handed out ───────────────────────────────────────────────────────────────────────
def test_what_stop_gradient_gives_may_be_written_to():
    def f(x):
        z = np.exp(x)
        w = xg.stop_gradient(z)
        w *= 0
        y = xg.stop_gradient(x)
        y -= y.mean()
        return np.sum(z)

    x = V.copy()
    assert close(xg.grad(f)(x), np.exp(V), EXACT)
    assert np.array_equal(x, V)


def test_a_checkpointed_function_may_write_to_its_arguments():
    def f(x):
        x *= 2
        return x**3

    x = V.copy()
    g = xg.grad(lambda x: np.sum(xg.checkpoint(f)(x)))(x)
    assert close(g, 24 * V**2, EXACT)
    assert np.array_equal(x, V)


def test_the_output_of_vjp_may_be_written_to_before_the_pullback():
    out, pullback = xg.vjp(np.exp, V)
    out *= 0
    assert close(pullback(np.ones(3))[0], np.exp(V), EXACT)


def test_a_rule_may_write_to_its_cotangent_and_give_back_its_residuals():
    f = xg.custom_vjp(lambda x: x**2 / 2)
    f.defvjp(lambda x: (x**2 / 2, x), lambda x, g: (x,))
    x = V.copy()
    g = xg.grad(lambda x: np.sum(f(x)))(x)
    g[0] = 100
    assert np.array_equal(x, V)

    def writes(x, g):
        g *= 2
        return (g * x / 2,)

    f.defvjp(lambda x: (x**2 / 2, x), writes)
    given = np.ones(3)
    assert np.array_equal(xg.vjp(f, V)[1](given)[0], V)
    assert np.array_equal(given, np.ones(3))


def test_a_forward_rule_cannot_write_to_the_users_array():
    f = xg.custom_vjp(lambda x: x)

    def fwd(x):
        x *= 2
        return x, None

    f.defvjp(fwd, lambda _, g: (g,))
    with pytest.raises(ValueError, match="read-only"):
        xg.grad(lambda x: np.sum(f(x)))(V)


# ── dtypes of tangents and cotangents ────────────────────────────────────────────────────────
def test_a_tangent_has_the_dtype_of_its_primal():
    def f(x):
        A = x.copy()
        A[0] = np.sin(x[0])
        return A

    _, t = xg.jvp(f, (V,), (np.array([1, 0, 0]),))
    assert close(t, [np.cos(1.0), 0, 0], EXACT)
    _, t = xg.jvp(lambda x: x + np.ones(3), (V.astype(np.float32),), (V.astype(np.float32),))
    assert t.dtype == np.float64


def test_a_tangent_follows_a_write_that_makes_it_complex():
    def f(x):
        z = x + 0j
        z[0] = 1j * x[0]
        return z

    assert np.array_equal(xg.jvp(f, (V,), (np.ones(3),))[1], [1j, 1, 1])


def test_complex_tangents_and_cotangents_of_real_arrays_are_refused():
    with pytest.raises(xg.DTypeError, match="jvp: complex"):
        xg.jvp(np.sin, (V,), (1j * V,))
    with pytest.raises(xg.DTypeError, match="pullback: complex"):
        xg.vjp(np.sin, V)[1](1j * V)
    assert xg.vjp(lambda x: x * 1, V.astype(np.float32))[1](V)[0].dtype == np.float32


# ── arguments by number ──────────────────────────────────────────────────────────────────────
def test_arguments_are_counted_from_the_end_too():
    def f(a, b):
        return np.sum(a * b**2)

    assert np.array_equal(xg.hvp(f, -1)(V, V + 1, V), 2 * V * V)
    assert np.array_equal(xg.hessian(f, -1)(V, V + 1), np.diag(2 * V))
    assert np.array_equal(xg.jacobian(lambda a, b: a * b, -1)(V, V + 1), np.diag(V))
    assert np.array_equal(xg.grad(f, np.int64(1))(V, V + 1), 2 * V * (V + 1))


def test_naming_an_argument_twice_is_refused():
    with pytest.raises(xg.TraceError, match="twice"):
        xg.grad(lambda a: np.sum(a), (0, 0))(V)


def test_the_jacobian_of_a_complex_function_of_reals_is_complex():
    J = xg.jacobian(lambda x: np.exp(1j * x))(V)
    assert close(J, np.diag(1j * np.exp(1j * V)), EXACT)
    J = xg.jacobian(lambda z: z**2)(V + 1j)
    assert close(J, np.diag(2 * (V + 1j)), EXACT)


def test_the_jacobian_of_nothing_keeps_the_dtype():
    J = xg.jacobian(lambda x: x[:0])(V.astype(np.float32))
    assert (J.shape, J.dtype) == ((0, 3), np.float32)


def test_the_jacobian_of_a_tuple_is_refused():
    with pytest.raises(xg.ShapeError, match="jacobian: the function must return an array"):
        xg.jacobian(lambda x: (x, x))(V)


# ── odds ─────────────────────────────────────────────────────────────────────────────────────
def test_second_derivatives_of_arrays_without_axes():
    f = lambda y: y[...] * y[...] + y
    assert xg.grad(xg.grad(f))(np.array(0.7)) == 2.0


def test_a_mask_of_the_wrong_length_is_refused():
    for write in (False, True):

        def f(x, write=write):
            A = x.copy()
            if write:
                A[np.array([True, False, False])] = V
            return np.sum(A if write else A[np.array([True, False, False])])

        with pytest.raises(IndexError, match="mask does not fit"):
            xg.grad(f)(M)


def test_a_list_of_traced_parts_can_be_written():
    def f(x):
        A = x.copy()
        A[[0, 1]] = [x[1] ** 2, x[2] * 3]
        return A

    xg.check_grads(f, (V,))


def test_debug_passes_over_comparisons_and_integers():
    with xg.debug(nans=True):
        g = xg.grad(lambda x: np.sum(np.where(x > 1.5, x, 0) * np.argmax(x)))(V)
    assert np.array_equal(g, [0, 2, 2])


def test_debug_is_off_again_when_overlapping_contexts_have_ended():
    from xpgrad.trace import debugging

    entered, leave = threading.Event(), threading.Event()

    def hold():
        with xg.debug(nans=True):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    with xg.debug(nans=True):
        thread.start()
        entered.wait()
    assert debugging.nans
    leave.set()
    thread.join()
    assert not debugging.nans


def test_a_long_chain_of_views_is_followed_without_recursion():
    def f(x):
        y, p = 0.0, x
        while len(p):
            y = y * 0.5 + p[0]
            p = p[1:]
        return y

    n = 3000
    g = xg.grad(f)(np.ones(n))
    assert g[-1] == 1
    assert g[-2] == 0.5


def test_a_write_deep_in_a_chain_of_views_reaches_the_base():
    def f(x):
        A = x.copy()
        p = A
        for _ in range(1500):
            p = p[1:]
        p[0] = 7 * x[0]
        return A

    x = np.ones(2000)
    x[0] = 2.0
    out, pullback = xg.vjp(f, x)
    assert out[1500] == 14
    g = pullback(np.ones(2000))[0]
    assert (g[0], g[1500]) == (8, 0)


def test_rows_written_one_by_one_keep_indices_and_not_every_version():
    import tracemalloc

    def f(x):
        A = np.zeros_like(x)
        for i in range(100):
            A[i] = np.sin(x[i])
        return np.sum(A)

    x = np.ones((100, 1000))
    tracemalloc.start()
    xg.grad(f)(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * x.nbytes


def test_a_second_derivative_over_slices_is_put_together_in_one_array():
    def f(x):
        return sum(np.sum(np.sin(row) ** 2) * (k + 1) for k, row in enumerate(x)) + np.sum(x[1:] * x[:-1])

    x = np.random.default_rng(0).normal(size=(4, 3))
    xg.check_grads(f, (x,))

    graph, _ = graph_of(xg.grad(f), x)
    names = [node.op.name for node in graph.nodes]
    assert names.count("scatter_sum") == 1
    assert names.count("scatter_add") == 0
