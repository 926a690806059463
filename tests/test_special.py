"""xg.special: SciPy's names on plain, traced and listed operands."""

import subprocess
import sys
from inspect import getdoc, signature

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import xpgrad as xg
from xpgrad import DataError, DTypeError, NotDifferentiableError, ShapeError
from xpgrad.backends import reference
from xpgrad.backends.gpu.cupyx import DECLINES
from xpgrad.testing import check_grads, close, tolerance
from xpgrad.trace import graph_of

BOUND = tolerance(np.float64).value
WITH_PARAMETERS = ("logsumexp", "softmax", "log_softmax", "multigammaln", "zeta")
FUNCTIONS = sorted(
    name
    for name, f in vars(xg.special).items()
    if callable(f) and not name.startswith("_") and getattr(f, "__module__", "") == "xpgrad.special"
)
ELEMENTWISE = [n for n in FUNCTIONS if n not in WITH_PARAMETERS]
IN_AUTOGRAD = """
    beta betainc betaln polygamma psi digamma gamma gammaln gammainc gammaincc gammasgn rgamma multigammaln
    j0 y0 j1 y1 jn yn i0 i1 iv ive erf erfc erfinv erfcinv logit expit logsumexp
"""
X = np.array([[0.3, 0.6, 0.2], [0.4, 0.7, 0.9]])


NOT_IN_SCIPY = {
    "softplus": lambda x: np.logaddexp(0, x),  # new in SciPy 1.16
    "log1mexp": lambda x: np.log(-np.expm1(-x)),
}


def arguments(name):
    """Operands inside every domain: the last in (0, 1), the first whole where it is an order."""
    names = list(signature(getattr(xg.special, name)).parameters)
    return [np.array([2.0, 1.0, 3.0]) if n in ("n", "v", "a", "b", "df") else X for n in names]


def test_everything_that_autograd_differentiates_is_there():
    assert set(IN_AUTOGRAD.split()) <= set(FUNCTIONS)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_function_is_scipys_on_arrays_and_on_lists(name):
    theirs = NOT_IN_SCIPY.get(name) or getattr(scipy.special, name)
    xs = [-x for x in arguments(name)] if name == "ndtri_exp" else arguments(name)
    expected = theirs(*xs)
    ours = getattr(xg.special, name)
    assert close(ours(*xs), expected, BOUND)
    assert close(ours(*[x.tolist() for x in xs]), expected, BOUND)
    assert ours(*[float(x.flat[0]) for x in xs]) == pytest.approx(expected.flat[0], rel=BOUND)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_function_has_its_derivative_on_the_device(name, device, put):
    if device == "gpu" and name in DECLINES:
        pytest.skip(DECLINES[name])
    xs = put([-x for x in arguments(name)] if name == "ndtri_exp" else arguments(name))
    f = getattr(xg.special, name)
    if name != "gammasgn":
        check_grads(lambda x: f(*xs[:-1], x), [xs[-1]])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_documents_operands_result_and_source(name):
    doc = getdoc(getattr(xg.special, name))
    if name != "log_softmax":
        assert all(f"{part}\n{'-' * len(part)}" in doc for part in ("Parameters", "Returns", "Notes"))


def test_a_wrong_number_of_arguments_is_a_type_error():
    with pytest.raises(TypeError, match=r"xlogy\(\) takes 2 positional arguments, 1 were given"):
        xg.special.xlogy(1.0)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ShapeError, match="xlogy: shapes do not broadcast"):
        xg.grad(lambda x: np.sum(xg.special.xlogy(x, np.ones(2))))(np.ones(3))


class NoArray:
    shape = (2,)


def test_what_is_no_array_is_refused_even_by_an_op_that_has_met_a_number():
    xg.special.expit(1.0)
    with pytest.raises(DTypeError, match="an operand of type NoArray is no array"):
        xg.special.expit(NoArray())


# ── logsumexp, softmax ───────────────────────────────────────────────────────────────────────
FACTORS = np.array([[1.0, -2.0, 0.0], [0.5, 0.0, -3.0]])


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_with_factors_and_signs_is_scipys(axis, keepdims):
    ours = xg.special.logsumexp(X, axis, FACTORS, keepdims, return_sign=True)
    theirs = scipy.special.logsumexp(X, axis, FACTORS, keepdims, return_sign=True)
    for a, b in zip(ours, theirs, strict=True):
        assert np.shape(a) == np.shape(b)
        assert close(a, b, BOUND)
    assert close(
        xg.special.logsumexp(X, axis, FACTORS, keepdims),
        np.where(theirs[1] < 0, np.nan, theirs[0]),
        BOUND,
    )


def test_logsumexp_has_derivatives_in_entries_and_factors_even_where_a_factor_is_zero():
    check_grads(lambda a, b: xg.special.logsumexp(a, 1, b, return_sign=True)[0], [X, FACTORS])
    check_grads(lambda a, b: xg.special.logsumexp(a, b=b, keepdims=True), [X, FACTORS**2])
    check_grads(lambda a: xg.special.logsumexp(a, 0, [[1.0], [2.0]]), [X])


def test_logsumexp_says_the_sign_without_factors_too():
    out, sign = xg.special.logsumexp(X, axis=0, return_sign=True)
    assert close(out, np.log(np.sum(np.exp(X), axis=0)), BOUND)
    assert np.array_equal(sign, [1, 1, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logsumexp_with_factors_does_not_overflow(dtype):
    a, b = np.array([1e4, 1e4 - 1, 2e4], dtype), np.array([1, 1, 0], dtype)
    out, pullback = xg.vjp(lambda a: xg.special.logsumexp(a, b=b), a)
    assert out.dtype == dtype
    assert close(out, 1e4 + np.log1p(np.exp(-1.0)), tolerance(dtype).value)
    da = pullback(dtype(1))[0]
    assert da.dtype == dtype
    assert close(da, np.array([1, np.exp(-1), 0]) / (1 + np.exp(-1)), tolerance(dtype).value)


def test_logsumexp_of_nothing_with_factors_is_minus_infinity():
    a = np.array([-np.inf, -np.inf])
    out, pullback = xg.vjp(lambda a: xg.special.logsumexp(a, b=np.ones(2)), a)
    assert out == -np.inf
    assert np.array_equal(pullback(np.float64(1.0))[0], [0, 0])
    assert xg.special.logsumexp([1.0, 1.0], b=[1.0, -1.0]) == -np.inf


def test_softmax_without_an_axis_is_over_all_as_in_scipy():
    assert close(xg.special.softmax(X), scipy.special.softmax(X), BOUND)
    assert close(xg.special.log_softmax(X.tolist(), axis=0), scipy.special.log_softmax(X, axis=0), BOUND)


# ── gamma ────────────────────────────────────────────────────────────────────────────────────
def test_multigammaln_is_scipys_with_derivatives():
    a = np.array([[1.6, 2.0], [5.0, 30.0]])
    assert close(xg.special.multigammaln(a, 3), scipy.special.multigammaln(a, 3), BOUND)
    check_grads(lambda a: xg.special.multigammaln(a, 3), [a])
    assert xg.special.multigammaln(2.0, 1) == pytest.approx(0, abs=BOUND)


@pytest.mark.parametrize(("a", "d"), [(1.0, 3), ([5.0, 1.0], 3), (2.0, 0), (2.0, 1.5)])
def test_multigammaln_outside_its_domain_is_a_data_error(a, d):
    with pytest.raises(DataError, match=r"multigammaln: (a|d) must be"):
        xg.special.multigammaln(a, d)


def test_zeta_is_riemanns_and_hurwitzs():
    assert xg.special.zeta(2.0) == pytest.approx(float(mp.zeta(2)), rel=BOUND)
    assert close(xg.special.zeta(3.0, [0.5, 2.0]), scipy.special.zeta(3.0, [0.5, 2.0]), BOUND)
    with pytest.raises(NotDifferentiableError, match="zeta: no derivative is known in operand 0"):
        xg.grad(xg.special.zeta)(2.0)


# ── without SciPy ────────────────────────────────────────────────────────────────────────────
WITHOUT_SCIPY = """
import sys
class Refuse:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] == "scipy":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
import xpgrad as xg
x = np.array([[-1.0, 2.0], [0.5, 3.0]])
p = xg.nn.softmax(x, axis=0)
for name in ("expit", "log_expit", "softplus", "log_softmax", "logsumexp"):
    xg.grad(lambda x: np.sum(getattr(xg.special, name)(x)))(x)
for name in ("logit", "entr"):
    xg.hessian(lambda p: np.sum(getattr(xg.special, name)(p)))(p)
for name in ("xlogy", "xlog1py", "rel_entr", "kl_div"):
    xg.hessian(lambda p: np.sum(getattr(xg.special, name)(p, p)))(p)
xg.grad(lambda x: np.sum(xg.nn.gelu(x, approximate=True)))(x)
xg.grad(lambda x: xg.losses.binary_cross_entropy(x, p))(x)
xg.grad(lambda x: xg.losses.cross_entropy(x, np.array([0, 1]), axis=0))(x)
try:
    xg.nn.gelu(x)
except xg.DependencyError as error:
    print(error)
"""


def test_without_scipy_all_works_but_what_only_scipy_has():
    done = subprocess.run([sys.executable, "-c", WITHOUT_SCIPY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ndtr: needs SciPy on the CPU: pip install scipy")


SEVERAL = [
    name
    for name in sorted(set(FUNCTIONS) & set(dir(scipy.special)))
    if isinstance(getattr(scipy.special, name), np.ufunc) and getattr(scipy.special, name).nin > 1
]
POINTS = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 3.0, np.inf, -np.inf, np.nan, 1e-8, 30.0, -2.5]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.filterwarnings("ignore:floating point number truncated")
def test_functions_of_several_operands_are_scipys_at_every_pair_of_special_points(name, dtype):
    ours, scipys = getattr(xg.special, name), getattr(scipy.special, name)
    points = POINTS if scipys.nin == 2 else POINTS[::3]
    if name == "stdtr":  # SciPy's stdtr(1, 1e-8) is 0.5 + 1.5e-8 / pi; see tests/ops/test_tails.py
        points = [x for x in points if x != 1e-8]
    xs = [x.ravel().astype(dtype) for x in np.meshgrid(*[points] * scipys.nin, indexing="ij")]
    with np.errstate(all="ignore"):
        expected = scipys(*xs)
        graph, rebuild = graph_of(ours, *xs)
        for out in (xg.vjp(ours, *xs)[0], rebuild(reference.run(graph, xs))):
            assert out.dtype == expected.dtype
            wrong = ~np.isclose(out, expected, rtol=10 * tolerance(dtype).value, atol=0, equal_nan=True)
            assert not np.any(wrong), [x[wrong][:4] for x in (*xs, out, expected)]


def test_multigammaln_compiles():
    a = np.array([2.5, 4.0])
    np.testing.assert_allclose(
        xg.compile(lambda a: xg.special.multigammaln(a, 3))(a), scipy.special.multigammaln(a, 3), rtol=1e-13
    )
