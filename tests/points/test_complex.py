"""Complex functions at 0, on the axes, on either side of their branch cuts, and where squares overflow."""

import mpmath as mp
import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing.tolerances import tolerance

EXACT = tolerance(np.float64).value
POINTS = [
    0j, complex(0.0, -0.0), complex(-0.0, 0.0), 1 + 0j, -1 + 0j, complex(-1.0, -0.0), 1j, -1j, 2 + 0j,
    complex(2.0, -0.0), -2 + 0j, complex(-2.0, -0.0), 2j, complex(-0.0, 2.0), -2j, complex(-0.0, -2.0),
    0.5 + 0.5j, 3 - 4j, 1e-100 + 2e-100j,
]  # fmt: skip
HOLOMORPHIC = {
    "sqrt": (np.sqrt, mp.sqrt),
    "log": (np.log, mp.log),
    "log1p": (np.log1p, lambda z: mp.log(1 + z)),
    "exp": (np.exp, mp.exp),
    "square": (np.square, lambda z: z * z),
    "z ** 2": (lambda z: z**2, lambda z: z * z),
    "z ** 3": (lambda z: z**3.0, lambda z: z**3),
    "z ** 0.5": (lambda z: z**0.5, mp.sqrt),
    "z ** -1": (lambda z: z**-1, lambda z: 1 / z),
    "1 / z": (lambda z: 1 / z, lambda z: 1 / z),
    "z ** (1 + 1j)": (lambda z: z ** (1 + 1j), lambda z: mp.power(z, mp.mpc(1, 1))),
    "2 ** z": (lambda z: 2.0**z, lambda z: mp.power(2, z)),
    "sin": (np.sin, mp.sin),
    "tan": (np.tan, mp.tan),
    "tanh": (np.tanh, mp.tanh),
    "arcsin": (np.arcsin, mp.asin),
    "arctan": (np.arctan, mp.atan),
    "arctanh": (np.arctanh, mp.atanh),
    "arcsinh": (np.arcsinh, mp.asinh),
    "arccosh": (np.arccosh, mp.acosh),
}


def _differences(f, z):
    """Value and two derivatives on the side of a cut that the signs of z say; None where there are none."""
    with mp.workdps(400):
        aside = [mp.mpf(10) ** -250 * (1 if np.copysign(1, part) > 0 else -1) for part in (z.real, z.imag)]
        at = mp.mpc(z.real, z.imag) + mp.mpc(*aside)
        found = []
        for h in (mp.mpf(10) ** -130, mp.mpf(10) ** -132):
            h = mp.mpc(h) * aside[0] / abs(aside[0]) if z.imag == 0 else mp.mpc(0, h) * aside[1] / abs(aside[1])
            try:
                a, b, c = f(at - h), f(at), f(at + h)
            except (ValueError, ZeroDivisionError):
                return None
            found.append((b, (c - a) / (2 * h), (a - 2 * b + c) / h**2))
    if any(abs(p - q) > mp.mpf(10) ** -20 * max(abs(q), 1) for p, q in zip(*found, strict=True)):
        return None
    return [complex(d) for d in found[1]]


def _near(found, expected, scale=1.0):
    return abs(complex(found) - expected) <= EXACT * max(abs(expected), scale)


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_a_holomorphic_function_has_its_derivative_on_the_side_where_it_has_its_value(name):
    f, exact = HOLOMORPHIC[name]
    tried, compiled = 0, xg.compile(xg.grad(lambda z: np.real(f(z))))
    for z in POINTS:
        right = _differences(exact, z)
        if right is None or not all(map(np.isfinite, right)):
            continue
        z = np.complex128(z)
        with np.errstate(all="ignore"):
            if not _near(f(z), right[0]):
                continue  # NumPy has its value on another side
            tried += 1
            _, first, second = right
            assert _near(xg.jvp(f, (z,), (np.complex128(1),))[1], first), z
            assert _near(xg.jvp(f, (z,), (np.complex128(1j),))[1], 1j * first), z
            assert _near(xg.grad(lambda z: np.real(f(z)))(z), first), z
            assert _near(xg.grad(lambda z: np.imag(f(z)))(z), -1j * first), z
            assert _near(compiled(np.array(z)), first), z
            along = xg.grad(lambda z: np.real(xg.vjp(f, z)[1](np.complex128(1))[0]))
            assert _near(along(z), second, max(abs(first), 1e-200)), z
    assert tried > 8


# ── of real value, or not holomorphic: derivatives along 1 and along i ───────────────────────
def _modulus(z):
    return (z.real / abs(z), z.imag / abs(z)) if z else (0, 0)


def _phase(z):
    """Without a square."""
    return (-z.imag / abs(z) / abs(z), z.real / abs(z) / abs(z)) if z else (0, 0)


def _sign(z):
    if not z:
        return 0, 0
    u = z / abs(z)
    return -u.imag * 1j * u / abs(z), u.real * 1j * u / abs(z)


PARTS = {
    "abs": (abs, _modulus),
    "angle": (np.angle, _phase),
    "sign": (np.sign, _sign),
    "conj": (np.conj, lambda z: (1, -1j)),
    "real": (np.real, lambda z: (1, 0)),
    "imag": (np.imag, lambda z: (0, 1)),
    "abs squared": (lambda z: np.real(z * np.conj(z)), lambda z: (2 * z.real, 2 * z.imag)),
    "abs ** 2": (lambda z: abs(z) ** 2, lambda z: (2 * z.real, 2 * z.imag)),
}
FAR = [1e-200 + 2e-200j, 3e-300 - 4e-300j, 3e200 + 4e200j, -1e150 + 0j]


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_complex_numbers_have_their_derivatives_along_both_axes(name):
    f, along = PARTS[name]
    gradient = xg.grad(lambda z: np.real(f(z)))
    compiled = xg.compile(gradient)
    for z in POINTS + FAR:
        expected = along(z)
        z = np.complex128(z)
        with np.errstate(all="ignore"):
            scale = max(abs(np.array(expected))) or 1.0
            for t, e in zip((1, 1j), expected, strict=True):
                assert _near(xg.jvp(f, (z,), (np.complex128(t),))[1] / scale, e / scale), (z, t)
            # dL/dx - i dL/dy of the real part.
            right = (np.real(expected[0]) - 1j * np.real(expected[1])) / scale
            for g in (gradient, compiled):
                assert _near(g(np.array(z)) / scale, right), z
