"""Where the implementations of special functions come from: SciPy and CuPy, there or not."""

import sys

import numpy as np
import pytest
import scipy.special

import xpgrad as xg
from cases.special_ops import ALONG_AXES, F32, F64, NAMES, SHAPES, WITHOUT_A_NAME, in_known_operands, operands
from xpgrad import DependencyError, NotDifferentiableError, TraceError, XpgradError
from xpgrad.backends.cpu import scipy as scipy_backend
from xpgrad.backends.gpu import cupyx
from xpgrad.backends.registry import Backend, cpu_backend
from xpgrad.backends.special import LIBRARY, library_implementation, special_implementations
from xpgrad.core import OPS
from xpgrad.testing import check_grads, close, tolerance

UFUNCS = sorted(n for n, f in vars(scipy.special).items() if isinstance(f, np.ufunc))
_OF_NUMPY = ("cbrt", "exp2", "expm1", "log1p", "round")
_ALSO_CALLED = {"psi": "digamma", "jn": "jv"}


@pytest.mark.parametrize("name", sorted(set(UFUNCS) & {*NAMES, *_ALSO_CALLED}))
def test_scipys_ufuncs_on_traced_arrays_have_our_derivatives(name):
    op = OPS[_ALSO_CALLED.get(name, name)]
    xs = operands(op, SHAPES["same"])
    f, given = in_known_operands(op, xs)
    theirs, _ = in_known_operands(op, xs, getattr(scipy.special, name))
    out, pullback = xg.vjp(theirs, *given)
    g = np.ones_like(out)
    for a, b in zip(pullback(g), xg.vjp(f, *given)[1](g), strict=True):
        assert close(a, b, tolerance(F64).value)


# Made of other functions, with derivatives in the last operand and in those before.
_MADE_OF_OTHERS = {"chdtr": (1.5, 0.7), "chdtrc": (1.5, 0.7), "fdtr": (1.5, 2.5, 0.7), "fdtrc": (1.5, 2.5, 0.7)}


@pytest.mark.parametrize("name", _MADE_OF_OTHERS)
def test_a_ufunc_that_is_made_of_others_is_scipys(name):
    xs, ufunc = [np.array([x, 2 * x]) for x in _MADE_OF_OTHERS[name]], getattr(scipy.special, name)
    assert close(xg.vjp(ufunc, *xs)[0], ufunc(*xs), 1e-13)
    check_grads(ufunc, xs, order=1)


@pytest.mark.parametrize(
    "name", sorted(set(UFUNCS) - {*NAMES, *_ALSO_CALLED, *_OF_NUMPY, *_MADE_OF_OTHERS, "gammasgn"})
)
def test_scipys_other_ufuncs_are_refused_by_name(name):
    ufunc = getattr(scipy.special, name)
    with pytest.raises(NotDifferentiableError, match=f"{ufunc.__name__}: no derivative is known"):
        xg.vjp(lambda x: ufunc(*[x] * ufunc.nin), np.array([0.4, 0.7]))


def test_hurwitz_zeta_of_scipy_is_ours():
    q = np.array([0.5, 1.5])
    check_grads(lambda q: scipy.special.zeta(2.5, q), [q])


@pytest.mark.parametrize(
    "call",
    [
        scipy.special.logsumexp,
        scipy.special.softmax,
        scipy.special.log_softmax,
        lambda x: scipy.special.multigammaln(x, 2),
        lambda x: scipy.special.polygamma(1, x),
    ],
)
def test_scipys_python_functions_point_to_ours(call):
    with pytest.raises(TraceError, match=r"xg\.special, xg\.stats(?s:.*)have SciPy's functions"):
        xg.vjp(call, np.array([1.5, 2.5]))


def test_without_scipy_the_error_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    scipy_backend._scipy_special.cache_clear()
    backend = Backend("numpy", {}, late=dict.fromkeys(LIBRARY, scipy_backend.scipy_implementation))
    with pytest.raises(DependencyError, match="erf: needs SciPy on the CPU: pip install scipy"):
        backend.implementation(OPS["erf"])
    assert "erf" not in backend.table


def test_every_op_has_a_row_or_is_declined_by_name():
    cpu = cpu_backend()
    for name in (*NAMES, *ALONG_AXES, "gammasgn", "softmax_or_zero"):
        assert cpu.has(name)
        shared = name in cpu.table or OPS[name].composed is not None
        assert shared or name in cupyx.NAMES or name in cupyx.DECLINES
    with pytest.raises(XpgradError, match=r"jv: not available on cupy: cupyx\.scipy\.special has no jv"):
        Backend("cupy", {}, declines=cupyx.DECLINES).implementation(OPS["jv"])


def test_what_cupy_is_said_to_lack_it_lacks():
    theirs = pytest.importorskip("cupyx.scipy.special", exc_type=ImportError)
    for name in LIBRARY.union(cupyx.SHORTER).difference(WITHOUT_A_NAME, ["stdtr"]):  # of betainc
        assert hasattr(theirs, name) != (name in cupyx.DECLINES), name


class OtherModule:
    """An array module that is not NumPy, but computes like it: the implementations take the ways of the GPU."""

    def __init__(self):
        self.asked = set()

    def __getattr__(self, name):
        self.asked.add(name)
        return getattr(np, name)


def test_implementations_for_another_array_module_agree_with_numpys():
    xp = OtherModule()
    table = special_implementations(xp)
    x = np.array([[-np.inf, 1.0, 1e4], [-np.inf] * 3, [np.inf, 0.0, -5.0], [0.1, 0.2, 0.3]])
    for name in (n for n in NAMES if OPS[n].composed is None):
        implementation = table.get(name) or library_implementation(name, scipy.special, xp)
        xs = operands(OPS[name], SHAPES["broadcast"])
        for zs in (xs, [x.astype(F32) for x in xs], [1.0, *xs[1:]] if len(xs) > 1 else xs):
            assert close(implementation(*zs), OPS[name](*zs), tolerance(F64).value), name
    for name in (*ALONG_AXES, "softmax_or_zero"):
        assert close(table[name](x, axis=1), OPS[name](x, axis=1), tolerance(F64).value), name
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    assert all(hasattr(cupy, name) for name in xp.asked)


@pytest.mark.parametrize("name", ["i0e", "i1e", "k0e", "k1e"])
def test_scaled_bessel_functions_on_the_gpu_have_a_series_where_cupys_kernel_is_nan(name):
    x = np.array([1.0, 59.9, 60.1, 100.0, 800.0, 1e6])
    x = x if name[0] == "k" else np.concatenate([-x, x])

    def kernel(x):
        assert np.max(np.abs(x)) <= 60
        return getattr(scipy.special, name)(x)

    ours = cupyx.scaled(kernel, name, np)(x)
    assert np.max(np.abs(ours / getattr(scipy.special, name)(x) - 1)) < tolerance(F64).value
