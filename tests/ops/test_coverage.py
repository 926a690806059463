"""What HIPS autograd differentiates, xpgrad does; and either backend implements every op, or declines it."""

import numpy as np
import pytest

from xpgrad.backends import backend_of_cupy, cpu_backend
from xpgrad.core import OPS
from xpgrad.trace.functions import METHODS, TABLE

# The functions of numpy, numpy.linalg, numpy.fft and scipy.special with a derivative in HIPS
# autograd 1.9.1 (bench/coverage.py lists them from an installed autograd).
NUMPY = [
    "absolute",
    "add",
    "amax",
    "amin",
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "array_split",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_to",
    "clip",
    "concatenate",
    "conjugate",
    "cos",
    "cosh",
    "cross",
    "cumsum",
    "deg2rad",
    "degrees",
    "diag",
    "diagonal",
    "diff",
    "divide",
    "dot",
    "dsplit",
    "einsum",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "fabs",
    "fliplr",
    "flipud",
    "fmax",
    "fmin",
    "gradient",
    "hsplit",
    "hypot",
    "imag",
    "inner",
    "kron",
    "linspace",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logaddexp2",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "nan_to_num",
    "negative",
    "outer",
    "pad",
    "partition",
    "power",
    "prod",
    "rad2deg",
    "radians",
    "ravel",
    "real",
    "real_if_close",
    "reciprocal",
    "remainder",
    "repeat",
    "reshape",
    "roll",
    "rollaxis",
    "rot90",
    "sin",
    "sinc",
    "sinh",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "trace",
    "transpose",
    "tril",
    "triu",
    "var",
    "vsplit",
    "where",
]
LINALG = ["cholesky", "det", "eig", "eigh", "inv", "norm", "pinv", "slogdet", "solve", "svd"]
FFT = [
    "fft",
    "fft2",
    "fftn",
    "fftshift",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftn",
]
SPECIAL = [
    "beta",
    "betainc",
    "betaln",
    "digamma",
    "erf",
    "erfc",
    "erfcinv",
    "erfinv",
    "expit",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "gammasgn",
    "i0",
    "i1",
    "iv",
    "ive",
    "j0",
    "j1",
    "jv",
    "logit",
    "logsumexp",
    "polygamma",
    "rgamma",
    "y0",
    "y1",
    "yn",
]


@pytest.mark.parametrize("name", NUMPY)
def test_numpys_functions_are_covered(name):
    assert getattr(np, name) in TABLE


@pytest.mark.parametrize("name", LINALG)
def test_numpy_linalgs_functions_are_covered(name):
    assert getattr(np.linalg, name) in TABLE


@pytest.mark.parametrize("name", FFT)
def test_numpy_ffts_functions_are_covered(name):
    assert getattr(np.fft, name) in TABLE


@pytest.mark.parametrize("name", SPECIAL)
def test_scipy_specials_functions_are_covered(name):
    assert OPS[name].is_constant == (name == "gammasgn")


def test_astype_indexing_and_full_are_covered():
    assert "astype" in METHODS
    assert np.full_like in TABLE
    assert not OPS["getitem"].is_constant


@pytest.mark.parametrize("name", sorted(set(OPS) - {"pick", "custom"}))
def test_numpy_carries_the_op_out_or_declines_by_name(name):
    check_implementation(cpu_backend(), name)


@pytest.mark.parametrize("name", sorted(set(OPS) - {"pick", "custom"}))
def test_cupy_carries_the_op_out_or_declines_by_name(name):
    check_implementation(backend_of_cupy(pytest.importorskip("cupy", reason="CuPy is not installed")), name)


def check_implementation(backend, name):
    assert backend.has(name) != (name in backend.declines)
    assert backend.has(name) or len(backend.declines[name]) > 10
