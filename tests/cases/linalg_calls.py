"""Calls of NumPy's linear algebra: one for each function, with what makes it differ.

Each is ``name: (function, shapes)``. The operands are drawn from a normal distribution, real or
complex; `hermitian` and `positive` make of such a matrix one of its kind. Functions of vectors
that are determined up to a phase give what does not depend on it.
"""

import numpy as np

la = np.linalg


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def hermitian(x):
    return (x + adjoint(x)) / 2


def positive(x):
    y = x @ adjoint(x)
    for k in range(x.shape[-1]):
        y[..., k, k] += 1
    return y


def spectral(x):
    """A function of a Hermitian matrix, the moduli of its eigenvectors, and a projector."""
    w, v = la.eigh(hermitian(x))
    return (v * np.exp(w)[..., None, :]) @ adjoint(v), np.abs(v) ** 2, v[..., :1] @ adjoint(v[..., :1])


def of_singular_values(x, full_matrices=False):
    """A function of the singular values, the moduli of the vectors, and projectors on null spaces."""
    u, s, vh = la.svd(x, full_matrices)
    k = s.shape[-1]
    u1, u2, v1, v2 = u[..., :k], u[..., k:], vh[..., :k, :], vh[..., k:, :]
    return (
        (u1 * np.sin(s)[..., None, :]) @ v1,
        np.abs(u1) ** 2,
        np.abs(v1) ** 2,
        u2 @ adjoint(u2),
        adjoint(v2) @ v2,
    )


def of_eigenvalues(x):
    """A function of a general matrix, which depends on no order of its eigenvalues."""
    w, v = la.eig(x)
    return (v * np.exp(w)[..., None, :]) @ la.inv(v)


def solution(a, b):
    return la.lstsq(a, b)[0]


def fit(a, b):
    x, residuals, _, s = la.lstsq(a, b)
    return x, residuals, s


SYSTEMS = {
    "inv": (la.inv, [(3, 3)]),
    "inv of a stack": (la.inv, [(2, 1, 3, 3)]),
    "solve a vector": (la.solve, [(3, 3), (3,)]),
    "solve a matrix": (la.solve, [(3, 3), (3, 2)]),
    "solve stacks": (la.solve, [(2, 3, 3), (2, 3, 2)]),
    "solve a stack of systems for a matrix": (la.solve, [(2, 3, 3), (3, 2)]),
    "solve a stack of systems for a vector": (la.solve, [(2, 3, 3), (3,)]),
    "solve a system for a stack": (la.solve, [(3, 3), (2, 3, 2)]),
    "tensorinv": (lambda x: la.tensorinv(x, ind=1), [(6, 2, 3)]),
    "tensorsolve": (la.tensorsolve, [(2, 3, 6), (2, 3)]),
    "tensorsolve with axes": (lambda a, b: la.tensorsolve(a, b, axes=(0,)), [(6, 2, 3), (2, 3)]),
    "lstsq": (fit, [(5, 3), (5, 2)]),
    "lstsq for a vector": (fit, [(5, 3), (5,)]),
    "lstsq with many solutions": (solution, [(3, 5), (3, 2)]),
    "pinv of a tall matrix": (la.pinv, [(4, 3)]),
    "pinv of a wide stack": (la.pinv, [(2, 3, 4)]),
    "pinv at a lower rank": (lambda x, y: la.pinv(x @ y, rtol=1e-8), [(4, 2), (2, 3)]),
    "det": (la.det, [(3, 3)]),
    "det of a stack": (la.det, [(2, 4, 4)]),
    "slogdet": (la.slogdet, [(3, 3)]),
    "slogdet of a stack": (lambda x: la.slogdet(x).logabsdet, [(2, 3, 3)]),
    "matrix_power": (lambda x: la.matrix_power(x, 5), [(3, 3)]),
    "matrix_power of an inverse": (lambda x: la.matrix_power(x, -2), [(2, 3, 3)]),
    "multi_dot": (lambda *xs: la.multi_dot(xs), [(2, 5), (5, 3), (3, 4), (4, 2)]),
    "multi_dot of vectors": (lambda *xs: la.multi_dot(xs), [(3,), (3, 4), (4,)]),
    "diagonal": (lambda x: la.diagonal(x, offset=1), [(2, 3, 4)]),
    "diagonal below": (lambda x: la.diagonal(x, offset=-2), [(4, 3)]),
    "trace": (la.trace, [(2, 3, 3)]),
    "trace of another diagonal": (lambda x: la.trace(x, offset=2), [(3, 4)]),
}

DECOMPOSITIONS = {
    "cholesky": (lambda x: la.cholesky(positive(x)), [(3, 3)]),
    "cholesky of a stack": (lambda x: la.cholesky(positive(x)), [(2, 3, 3)]),
    "cholesky above": (lambda x: la.cholesky(positive(x), upper=True), [(3, 3)]),
    "eigvalsh": (lambda x: la.eigvalsh(hermitian(x)), [(2, 3, 3)]),
    "eigvalsh above": (lambda x: la.eigvalsh(hermitian(x), "U"), [(3, 3)]),
    "eigh": (spectral, [(3, 3)]),
    "eigh of a stack": (spectral, [(2, 3, 3)]),
    "eigvals": (la.eigvals, [(3, 3)]),
    "eig": (la.eig, [(3, 3)]),
    "eig of a stack": (la.eig, [(2, 3, 3)]),
    "eig, a function of the matrix": (of_eigenvalues, [(3, 3)]),
    "svd of a tall matrix": (of_singular_values, [(4, 3)]),
    "svd of a wide stack": (of_singular_values, [(2, 3, 4)]),
    "svd of a square matrix": (lambda x: of_singular_values(x, True), [(3, 3)]),
    "svd in full of a tall matrix": (lambda x: of_singular_values(x, True), [(5, 3)]),
    "svd in full of a wide stack": (lambda x: of_singular_values(x, True), [(2, 2, 4)]),
    "svdvals": (la.svdvals, [(2, 4, 3)]),
    "svd without vectors": (lambda x: la.svd(x, compute_uv=False), [(3, 4)]),
    "qr": (la.qr, [(4, 3)]),
    "qr of a stack": (la.qr, [(2, 3, 3)]),
    "qr of a wide matrix": (la.qr, [(3, 5)]),
    "qr, r alone": (lambda x: la.qr(x, "r"), [(4, 3)]),
    "qr, complete": (lambda x: la.qr(x, "complete"), [(2, 3)]),
}

NORMS = {
    "norm of a vector": (la.norm, [(4,)]),
    "norm of a matrix": (la.norm, [(3, 4)]),
    "norm of all": (lambda x: la.norm(x, keepdims=True), [(2, 3, 2)]),
    "norm along an axis": (lambda x: la.norm(x, axis=1, keepdims=True), [(3, 4)]),
    "norm over two axes": (lambda x: la.norm(x, axis=(0, 2)), [(2, 3, 2)]),
    "nuclear norm with axes exchanged": (lambda x: la.norm(x, "nuc", (2, 0), keepdims=True), [(2, 3, 2)]),
    **{
        f"vector norm {p}": (lambda x, p=p: la.norm(x, p, axis=0), [(4, 2)])
        for p in (1, 2, 3, 2.5, -1, np.inf, -np.inf)
    },
    **{
        f"matrix norm {p}": (lambda x, p=p: la.norm(x, p, (1, 2)), [(2, 3, 4)])
        for p in (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc")
    },
    "vector_norm": (lambda x: la.vector_norm(x, axis=(0, 1)), [(2, 3, 2)]),
    "vector_norm of all": (lambda x: la.vector_norm(x, ord=3, keepdims=True), [(2, 3)]),
    "matrix_norm": (lambda x: la.matrix_norm(x, keepdims=True), [(2, 3, 2)]),
    "matrix_norm 2": (lambda x: la.matrix_norm(x, ord=2), [(2, 3, 2)]),
    # NumPy 2.0 gave some of them a complex dtype.
    **{f"cond {p}": (lambda x, p=p: np.real(la.cond(x, p)), [(2, 3, 3)]) for p in (None, -2, 1, "fro")},
}

CASES = SYSTEMS | DECOMPOSITIONS | NORMS
