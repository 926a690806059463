"""Fourier transforms: NumPy's values, transposes, and derivatives of order two in both modes."""

from itertools import product

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.core import verify
from xpgrad.testing import close, tolerance
from xpgrad.trace import graph_of

ft = np.fft
BOUND = tolerance(np.float64).value
NORMS = ("backward", "ortho", "forward")

ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn")
TWO = ("fft2", "ifft2", "rfft2", "irfft2")
REAL = {"rfft", "ihfft", "rfftn", "rfft2"}

# name: (function, shape); lengths even and odd, cropped and padded.
CALLS = {
    **{
        f"{name}, {n} of {m}, {norm}": (
            lambda x, name=name, n=n, norm=norm: getattr(ft, name)(x, n, norm=norm),
            (2, m),
        )
        for name, (n, m), norm in product(ONE_AXIS, [(None, 4), (None, 5), (3, 5), (6, 4), (7, 4)], NORMS)
    },
    **{f"{name} of one datum": (lambda x, name=name: getattr(ft, name)(x, 1), (3,)) for name in ONE_AXIS},
    **{f"{name} of two": (lambda x, name=name: getattr(ft, name)(x, 2), (3,)) for name in ONE_AXIS},
    **{
        f"{name} along axis 0": (lambda x, name=name: getattr(ft, name)(x, axis=0), (4, 2)) for name in ONE_AXIS
    },
    **{
        f"{name}, {norm}": (lambda x, name=name, norm=norm: getattr(ft, name)(x, norm=norm), (2, 3, 4))
        for name, norm in product(SEVERAL, NORMS)
    },
    **{
        f"{name} with lengths": (lambda x, name=name: getattr(ft, name)(x, (5, -1, 2), (1, 2, 0)), (2, 3, 4))
        for name in SEVERAL
    },
    **{
        f"{name} over some axes": (lambda x, name=name: getattr(ft, name)(x, axes=(2, 0)), (3, 2, 5))
        for name in SEVERAL
    },
    **{f"{name}": (lambda x, name=name: getattr(ft, name)(x), (2, 3, 4)) for name in TWO},
    **{f"{name} with lengths": (lambda x, name=name: getattr(ft, name)(x, (4, 3)), (2, 3, 4)) for name in TWO},
    "fftn twice over an axis": (lambda x: ft.fftn(x, axes=(0, 0)), (3, 2)),
    "fftshift": (ft.fftshift, (3, 4)),
    "fftshift along an axis": (lambda x: ft.fftshift(x, 1), (3, 5)),
    "ifftshift": (lambda x: ft.ifftshift(x, (0, 1)), (3, 5)),
}
CASES = [
    (name, dtype)
    for name, dtype in product(CALLS, (np.float64, np.complex128))
    if dtype is np.float64 or name.partition(",")[0].partition(" ")[0] not in REAL
]


def draw(shape, dtype):
    rng = np.random.default_rng(3)
    x = rng.normal(size=shape)
    return np.asarray(x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x, dtype)


@pytest.mark.sweep
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_the_value_is_numpys(name, dtype, backend):
    f, shape = CALLS[name]
    x = draw(shape, dtype)
    out = backend.run(f, x)
    assert out.dtype == f(x).dtype
    assert close(out, f(x), BOUND)


@pytest.mark.sweep
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_the_pullback_is_the_same_on_every_backend(name, dtype, backend):
    f, shape = CALLS[name]
    x = draw(shape, dtype)
    out, pullback = xg.vjp(f, x)
    g = draw(out.shape, out.dtype)
    assert close(backend.pull(f, g, x)[0], pullback(g)[0], BOUND)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_derivatives_agree_with_differences(name, dtype):
    f, shape = CALLS[name]
    xg.check_grads(f, (draw(shape, dtype),), order=1)


@pytest.mark.parametrize("name", [*ONE_AXIS, *SEVERAL, *TWO])
def test_derivatives_of_order_two_agree_with_differences(name):
    x = draw((2, 3, 4), np.float64 if name in REAL else np.complex128)
    xg.check_grads(lambda x: np.abs(getattr(ft, name)(x)) ** 2 + np.sum(np.abs(x) ** 4), (x,))


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_shapes_alone_give_the_same_shape(name, dtype):
    f, shape = CALLS[name]
    graph, _ = graph_of(f, draw(shape, dtype))
    verify(graph)
    expected = f(draw(shape, dtype))
    assert [(z.shape, z.dtype) for z in graph.outputs] == [(expected.shape, expected.dtype)]


@pytest.mark.parametrize("name", [*ONE_AXIS, *SEVERAL])
def test_single_precision_stays_single(name):
    x = draw((2, 3, 4), np.float32 if name in REAL else np.complex64)
    out, pullback = xg.vjp(getattr(ft, name), x)
    assert out.dtype == getattr(ft, name)(x).dtype
    assert out.dtype in (np.float32, np.complex64)
    assert pullback(np.ones_like(out))[0].dtype == x.dtype


def test_the_gradient_of_the_power_is_parsevals():
    x = draw((8,), np.float64)
    g = xg.grad(lambda x: np.sum(np.abs(ft.fft(x)) ** 2))(x)
    assert close(g, 2 * 8 * x, BOUND)


def test_the_gradient_of_a_convolution_is_a_correlation():
    x, y, w = (draw((6,), np.float64), np.arange(6.0), np.cos(np.arange(6.0)))

    def through_frequencies(x):
        return np.sum(w * ft.irfft(ft.rfft(x) * ft.rfft(y), 6))

    shifts = [np.sum(w * np.roll(y, k)) for k in range(6)]
    assert close(xg.grad(through_frequencies)(x), np.array(shifts), BOUND)


def test_a_real_signal_has_a_real_gradient():
    g = xg.grad(lambda x: np.sum(np.imag(ft.fft(x))[1:2]))(draw((5,), np.float64))
    assert g.dtype == np.float64
    assert close(g, np.imag(np.exp(-2j * np.pi * np.arange(5) / 5)), BOUND)


def test_the_imaginary_part_that_irfft_ignores_has_no_gradient():
    x = draw((3,), np.complex128)
    g = xg.grad(lambda x: np.sum(ft.irfft(x) ** 3))(x)
    assert np.array_equal(g.imag[[0, 2]], [0, 0])
    assert g.imag[1] != 0


# ── what is refused ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["rfft", "rfftn", "rfft2", "ihfft"])
def test_a_complex_signal_is_refused_by_a_real_transform(name):
    with pytest.raises(xg.DTypeError, match=rf"{name}: takes real data"):
        xg.vjp(getattr(ft, name), draw((3, 4), np.complex128))


@pytest.mark.parametrize(
    ("f", "rule"),
    [
        (lambda x: ft.fft(x, 0), "a transform of 0 data"),
        (lambda x: ft.irfft(x[:, :1]), "a transform of 0 data"),
        (lambda x: ft.fft(x, axis=2), "axis 2 does not fit"),
        (lambda x: ft.fftn(x, (2, 2), (0,)), "2 lengths for 1 axes"),
        (lambda x: ft.rfftn(x, axes=()), "needs an axis"),
    ],
)
def test_a_wrong_length_or_axis_is_told_with_the_operand_and_the_line(f, rule):
    with pytest.raises(xg.ShapeError) as caught:
        xg.vjp(f, np.ones((3, 4)))
    assert rule in str(caught.value)
    assert "float64[3, " in str(caught.value)
    assert "at test_fft.py:" in str(caught.value)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="norm must be"):
        xg.vjp(lambda x: ft.fft(x, norm="unitary"), np.ones(3))
