"""Linear algebra that is refused: what is said, and where."""

import numpy as np
import pytest

import xpgrad as xg

la = np.linalg
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def refused(kind, f, *args):
    with pytest.raises(kind) as caught:
        xg.vjp(f, *args)
    assert type(caught.value) is kind
    return str(caught.value)


SHAPES = {
    "inv of a wide matrix": (la.inv, [(2, 3)]),
    "inv of a vector": (la.inv, [(3,)]),
    "det": (la.det, [(2, 3)]),
    "slogdet": (la.slogdet, [(2, 2, 3)]),
    "cholesky": (la.cholesky, [(2, 3)]),
    "cholesky above": (lambda x: la.cholesky(x, upper=True), [(3,)]),
    "eigh": (la.eigh, [(2, 3)]),
    "eig": (la.eig, [(2, 3)]),
    "svd of a vector": (la.svd, [(3,)]),
    "qr of a vector": (la.qr, [(3,)]),
    "solve with another number of rows": (la.solve, [(3, 3), (2, 1)]),
    "solve stacks that do not broadcast": (la.solve, [(2, 3, 3), (4, 3, 1)]),
    "solve without a square matrix": (la.solve, [(3, 2), (3,)]),
    "lstsq of a stack": (la.lstsq, [(2, 3, 3), (3,)]),
    "lstsq with another number of rows": (la.lstsq, [(3, 2), (4,)]),
    "matrix_power": (lambda x: la.matrix_power(x, 2), [(2, 3)]),
    "tensorinv": (la.tensorinv, [(2, 3, 4)]),
    "tensorsolve": (la.tensorsolve, [(2, 3, 5), (2, 3)]),
    "multi_dot of a stack": (lambda x: la.multi_dot([x, x, x]), [(2, 2, 2)]),
    "norm over one axis twice": (lambda x: la.norm(x, axis=(0, -2)), [(2, 3)]),
    "matrix_norm of a vector": (la.matrix_norm, [(3,)]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_wrong_shape_is_told_with_the_operand_and_the_line(name):
    f, shapes = SHAPES[name]
    text = refused(xg.ShapeError, lambda *xs: f(*xs), *map(np.ones, shapes))
    assert f"float64[{', '.join(map(str, shapes[0]))}" in text
    assert "at test_linalg_errors.py:" in text


@pytest.mark.parametrize("f", [la.inv, la.cholesky, la.eigh, la.svd, la.qr, la.det, la.pinv])
def test_half_precision_is_refused_with_the_remedy(f):
    text = refused(xg.DTypeError, f, np.eye(2, dtype=np.float16))
    assert "float16[2, 2]" in text
    assert "convert it to float32 or float64" in text


@pytest.mark.parametrize(("f", "x"), [(la.inv, SINGULAR), (la.cholesky, -np.eye(2))])
def test_a_matrix_that_fails_is_numpys_error_with_shape_and_line(f, x):
    text = refused(la.LinAlgError, lambda x: f(x), x)
    assert f"{f.__name__}: " in text
    assert "float64[2, 2]" in text
    assert "lambda x: f(x)" in text


def test_a_singular_system_is_told_with_both_operands():
    text = refused(la.LinAlgError, lambda a: la.solve(a, np.ones(2)), SINGULAR)
    assert "float64[2, 2]" in text
    assert "float64[2, 1]" in text


def test_a_derivative_that_fails_names_the_line_of_the_operation():
    def loss(x):
        log = la.slogdet(x).logabsdet  # -inf, and no gradient
        return log * 1

    for derivative in (lambda: xg.grad(loss)(SINGULAR), lambda: xg.jvp(loss, (SINGULAR,), (SINGULAR,))):
        with pytest.raises(la.LinAlgError) as caught:
            derivative()
        assert "derivative of slogdet" in str(caught.value)
        assert "log = la.slogdet(x).logabsdet" in str(caught.value)


@pytest.mark.parametrize("mode", ["complete", "raw"])
def test_a_form_of_qr_without_derivative_names_the_one_with_it(mode):
    text = refused(xg.NotDifferentiableError, lambda x: la.qr(x, mode), np.ones((3, 2)))
    assert 'mode="reduced"' in text


@pytest.mark.parametrize(
    "f",
    [
        lambda x: la.qr(x, "economic"),
        lambda x: la.eigh(x, "X"),
        lambda x: la.norm(x, "nuc", axis=0),
        lambda x: la.norm(x, 3),
        lambda x: la.norm(x[None], 2),
        lambda x: la.pinv(x, 1e-3, rtol=1e-3),
        lambda x: la.multi_dot([x]),
        lambda x: la.tensorinv(x, 0),
    ],
)
def test_an_unknown_choice_is_a_value_error(f):
    refused(ValueError, f, np.eye(2))


def test_a_power_must_be_an_integer():
    refused(TypeError, lambda x: la.matrix_power(x, 0.5), np.eye(2))
