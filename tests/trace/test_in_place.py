"""In-place code on traced arrays does what NumPy does, with gradients through old and new values."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import close, tolerance

EXACT = tolerance(np.float64).value


def write_a_row(x):
    A = x.copy()
    A[1] = A[0] ** 2
    return A


def write_under_a_mask(x):
    A = np.sin(x)
    A[x > 0] = 0
    return A * x


def write_traced_values_under_a_mask(x):
    A = np.sin(x)
    A[x > 0] = x[x > 0] ** 3
    return A


def write_its_own_mask(x):
    A = 2 * x
    A[A < 0] = 0
    return A**2


def add_in_place(x):
    Z = x * 2
    Z += xg.to_device(np.linspace(0.5, 1.5, 4), xg.device_of(x))
    Z *= x
    Z -= 1
    Z /= 3.0
    Z **= 2
    return Z


def add_to_an_entry_in_a_loop(x):
    A = x.copy()
    for i in range(1, 3):
        A[i] += A[i - 1] * x[i]
    return A


def fill_zeros_in_a_loop(x):
    A = np.zeros_like(x)
    for i in range(3):
        for j in range(4):
            A[i, j] = x[i, j] ** 2 + (A[i - 1, j] if i else 0)
    return A


def build_another_shape(x):
    A = np.empty_like(x, shape=(2, 3))
    A[0] = x[:, 0]
    A[1] = x[:, 1] * x[:, 2]
    return A


def write_through_a_slice(x):
    A = x.copy()
    B = A[1:]
    B[0] = 5 * x[0]
    B *= 2
    return A


def read_a_slice_after_its_base_changed(x):
    A = x.copy()
    B = A[:2]
    A[0] = x[2] ** 2
    return B


def write_through_a_transpose(x):
    A = x.copy()
    A.T[1] = x[:, 0] ** 2
    return A


def write_through_a_reshape(x):
    A = x.copy()
    A.reshape(-1)[2:5] = x[0, 0] * x[1, 1]
    return A


def write_through_views_of_views(x):
    A = x.copy()
    A[1:][:, ::2][0] = x[0, :2] * 3
    return A


def write_at_an_array(x):
    A = x.copy()
    A[[0, 2], [1, 3]] = x[1, :2] ** 2
    return A


def write_twice_to_one_place(x):
    A = x.copy()
    A[[0, 0], [1, 1]] = x[1, :2] ** 2
    return A


def add_at_repeated_places(x):
    A = x.copy()
    np.add.at(A, ([0, 0, 1], [1, 1, 2]), x[0, :3])
    return A


def add_with_repeated_indices_counts_once(x):
    A = x.copy()
    A[[0, 0]] += x[1]
    return A


def out_of_a_ufunc(x):
    A = x * 1
    np.exp(x, out=A)
    np.multiply(A, x, out=A)
    return A


def copyto(x):
    A = x * 1
    np.copyto(A, x**2, where=x > 0)
    return A


def swap_two_rows(x):
    A = x.copy()
    A[[0, 1]] = A[[1, 0]]
    return A**2


def sort_in_place(x):
    A = x.copy()
    A.sort(axis=0)
    return A


def put_along_an_axis(x):
    A = x.copy()
    np.put_along_axis(A, np.array([[0], [2], [1]]), x[:, :1] ** 2, axis=1)
    return A


def fill(x):
    A = x * 2
    A[0].fill(3.0)
    return A * x


def broadcast_a_scalar_over_a_slice(x):
    A = x.copy()
    A[:, 1:3] = x[0, 0]
    return A


def one_name_for_two_arrays(x):
    A = x * 2
    B = A
    A += x
    return B


def a_scalar_is_immutable(x):
    s = x.sum()
    t = s
    s += 1
    return t * x + s


def write_into_the_input(x):
    x[0] = x[1] ** 2
    x += 1
    return x


def stencil_in_place(x):
    A = x.copy()
    A[1:-1, 1:-1] = (x[:-2, 1:-1] + x[2:, 1:-1]) / 2
    return A


PROGRAMS = [v for v in list(globals().values()) if callable(v) and getattr(v, "__module__", None) == __name__]


# What these do depends on the numbers, or on whether a reshape copies: shapes alone do not tell.
EAGER_ONLY = {write_traced_values_under_a_mask, write_through_a_reshape}


def draw():
    return np.random.default_rng(3).normal(size=(3, 4))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_the_value_is_numpys(program, backend):
    if program in EAGER_ONLY and backend.refuses(lambda: backend.run(program, draw())):
        return
    assert close(backend.run(program, draw()), program(draw()), EXACT)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_the_pullback_is_the_same_on_every_backend(program, backend):
    out, pullback = xg.vjp(program, draw())
    if program in EAGER_ONLY and backend.refuses(lambda: backend.pull(program, out, draw())):
        return
    assert close(backend.pull(program, out, draw())[0], pullback(out)[0], EXACT)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_derivatives_of_order_two_agree_with_differences(program, put):
    xg.check_grads(lambda x: program(x + 0.0), (put(draw()),))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_the_users_array_is_not_written_to(program, device):
    x = xg.to_device(draw(), device)
    xg.vjp(program, x)
    assert np.array_equal(xg.asnumpy(x), draw())


def test_a_write_to_what_broadcast_to_returns_is_refused_by_name():
    def f(x):
        B = np.broadcast_to(x, (2, 3))
        B[0] = 1
        return B.sum()

    with pytest.raises(xg.TraceError, match="what broadcast_to returns cannot be written to") as caught:
        xg.grad(f)(np.ones(3))
    assert "B[0] = 1" in str(caught.value)


def test_a_write_through_a_reshape_of_unknown_layout_is_refused_by_name():
    from xpgrad.trace import Symbols

    x = Symbols().enter(np.ones((3, 4)))
    with pytest.raises(xg.TraceError, match="not known whether this reshape is a copy"):
        (x * 2).reshape(-1)[0] = 1.0


def test_a_reshape_that_copies_does_not_write_to_its_base():
    def f(x):
        A = x.copy()
        A.T.reshape(-1)[0] = 100.0
        return A

    x = draw()
    assert np.array_equal(f(x), x)
    assert np.array_equal(xg.vjp(f, x)[0], x)


def test_a_plain_array_cannot_hold_a_traced_value():
    def f(x):
        out = np.zeros(3)
        out[0] = x[0]
        return out.sum()

    with pytest.raises(xg.TraceError, match="zeros_like") as caught:
        xg.grad(f)(np.ones(3))
    assert "out[0] = x[0]" in str(caught.value)


def test_a_plain_array_cannot_take_a_traced_sum_in_place():
    def f(x):
        out = np.zeros(3)
        out += x
        return out.sum()

    with pytest.raises(xg.TraceError, match="out= is a plain array"):
        xg.grad(f)(np.ones(3))


def test_a_result_that_is_larger_does_not_fit_in_place():
    def f(x):
        x += np.ones((2, 3))
        return x.sum()

    with pytest.raises(xg.ShapeError, match="does not fit the array in place"):
        xg.grad(f)(np.ones(3))


def test_a_value_of_the_wrong_shape_does_not_fit_an_index():
    def f(x):
        A = x.copy()
        A[1:] = x[:3]
        return A.sum()

    with pytest.raises(xg.ShapeError, match="setitem") as caught:
        xg.grad(f)(np.ones(3))
    assert "float64[3]" in str(caught.value)


def test_float32_takes_float64_in_place_and_stays_float32():
    def f(x):
        x += np.ones(3)
        return x

    out, pullback = xg.vjp(f, np.ones(3, np.float32))
    assert out.dtype == np.float32
    assert pullback(out)[0].dtype == np.float32


def test_axes_of_length_1_in_front_of_a_written_value_are_no_matter():
    def f(y):
        a = y * np.ones((2, 3, 1))
        a[[0, 0, 1], 0:1, 0] = y
        return a

    y = np.full((1, 1, 1), 2.0)
    assert np.array_equal(xg.vjp(f, y)[0], f(y))
    assert xg.grad(lambda y: np.sum(f(y)))(y) == np.sum(f(np.ones((1, 1, 1))))
    assert np.array_equal(xg.compile(f)(y), f(y))
