"""Every ufunc and function of NumPy on arrays of traced objects: NumPy's values on floats, or a TraceError.

The functions are NumPy's own list of ufuncs and the calls of `cases.numpy_calls`; the points are those below.
"""

import itertools

import numpy as np
import pytest

import xpgrad as xg
from cases.linalg_calls import NORMS
from cases.numpy_calls import CASES
from xpgrad._trees import flatten

POINTS = {
    "of both signs": [0.7, -1.3, 0.4],
    "positive": [0.5, 1.5, 2.5],
    "zeros": [0.0, -0.0, 1.5],
    "ties": [1.0, 1.0, 0.0],
    "whole": [2.0, -3.0, 4.0],
    "halves": [7.5, -7.5, 0.25],
    "NaN first": [np.nan, 0.5, -2.0],
    "NaN": [0.5, np.nan, 2.0],
    "infinite": [np.inf, -np.inf, 0.5],
}
UFUNCS = sorted({u.__name__ for u in vars(np).values() if isinstance(u, np.ufunc) and u.nin <= 2})

# Forms of a call: how ``u`` is called with the entries of x and of y, all or some of them in a list.
UNARY = {
    "list": lambda u, x, array: u(array([*x])),
    "with a number": lambda u, x, array: u(array([*x[:-1], 1.25])),
}
BINARY = {
    "lists": lambda u, x, y, array: u(array([*x]), array([*y])),
    "a plain right": lambda u, x, _, array: u(array([*x]), np.array([0.5, np.nan, -0.0])[: len(x)]),
    "a number right": lambda u, x, _, array: u(array([*x]), 0.75),
    "an integer right": lambda u, x, _, array: u(array([*x]), 2),
    "with numbers": lambda u, x, y, array: u(array([*x[:-1], 1.25]), array([0.5, *y[1:]])),
    "a plain left": lambda u, _, y, array: u(np.array([0.5, np.nan, -0.0])[: len(y)], array([*y])),
    "reduce": lambda u, x, _, array: u.reduce(array([*x])),
    "accumulate": lambda u, x, _, array: u.accumulate(array([*x])),
    "outer": lambda u, x, y, array: u.outer(array([*x]), array([*y])),
}
# Forms that ask no traced entry: Python's `and` takes the truth value of its left operand alone (decision 35).
UNSEEN = {("logical_and", "a plain left"), ("logical_or", "a plain left")}
# NumPy's own loops over floats fold these otherwise than entry by entry, from the left.
FOLDS = ("reduce", "accumulate", "outer")
NO_FOLD = {"power", "float_power", "arctan2"}


def _one_way(u):
    """Whether ``u`` is only called."""
    return u.nout > 1 or u.signature is not None


def _floats(entries):
    return np.array([float(e) for e in entries])


def _plain(f):
    with np.errstate(all="ignore"):
        try:
            return f()
        except (TypeError, ValueError) as error:
            return error


def _same(got, expected):
    for a, b in zip(flatten(got)[0], flatten(expected)[0], strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype.kind) == (b.shape, b.dtype.kind)
        np.testing.assert_allclose(a, b, rtol=1e-12)


def _is_right_or_refused(traced, plain, *args):
    expected = _plain(plain)
    try:
        with np.errstate(all="ignore"):
            got = xg.vjp(traced, *args)[0]
    except (TypeError, ValueError) as caught:
        got = caught
    if isinstance(got, Exception):
        if not isinstance(expected, Exception):
            assert isinstance(got, xg.TraceError)
            assert "np.stack" in str(got) or "bind the name anew" in str(got)
            assert "test_elements_sweep.py:" in str(got) or "_calls.py:" in str(got)
        return
    assert not isinstance(expected, Exception), f"{got} where NumPy raises {expected}"
    _same(got, expected)


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", UFUNCS)
def test_a_ufunc_of_a_list_of_traced_numbers_is_numpys_or_refused(name):
    u = getattr(np, name)
    for n, (x, y) in itertools.product((2, 3), itertools.product(POINTS.values(), repeat=2)):
        x, y = np.array(x[:n]), np.array(y[:n])
        if u.nin == 1:
            for form in UNARY.values():
                _is_right_or_refused(
                    lambda x, f=form: f(u, x, np.array), lambda f=form, x=x: f(u, x, _floats), x
                )
            continue
        for of, form in BINARY.items():
            if (name, of) in UNSEEN or (name in NO_FOLD and of in FOLDS) or (_one_way(u) and of in FOLDS):
                continue
            _is_right_or_refused(
                lambda x, y, f=form: f(u, x, y, np.array), lambda f=form, x=x, y=y: f(u, x, y, _floats), x, y
            )


# Ufuncs that give numbers to differentiate, and that NumPy's loops over objects have.
SMOOTH = {"sqrt", "exp", "log1p", "arctan2", "hypot", "fmod", "power", "multiply", "maximum", "fmin", "divide"}


@pytest.mark.parametrize("of", ["list", "with a number", "lists", "an integer right", "with numbers", "outer"])
@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_derivatives_of_a_ufunc_are_those_with_stack(name, of):
    u = getattr(np, name)
    if of not in (UNARY if u.nin == 1 else BINARY):
        return
    x, y = np.array([0.7, 1.3, 0.4]), np.array([1.1, 0.3, 2.2])

    def loss(array):
        def f(x, y):
            out = UNARY[of](u, x, array) if u.nin == 1 else BINARY[of](u, x, y, array)
            return np.sum(np.stack([out, out**2]))

        return f

    try:
        got = xg.grad(loss(np.array), (0, 1))(x, y)
    except xg.TraceError:
        assert of in ("with a number", "with numbers", "an integer right")  # a method that a float has not
        return
    _same(got, xg.grad(loss(np.stack), (0, 1))(x, y))


# What asks no entry, and is refused only in the function that makes the list.
ELSEWHERE = {"nan_to_num"}


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [name for name in {**CASES, **NORMS} if name not in ELSEWHERE])
def test_a_function_of_a_list_of_traced_numbers_is_numpys_or_refused(name):
    f, shapes = {**CASES, **NORMS}[name][:2]
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=s) for s in shapes]
    for value, at in itertools.product((None, 0.0, np.nan, np.inf, -np.inf), (0, 1)):
        args = [x.copy() for x in drawn]
        for x in args:
            if value is not None:
                x.flat[at % x.size] = value
        _is_right_or_refused(lambda *xs: f(*map(np.array, xs)), lambda args=args: f(*args), *args)


def _code_that_choose(x):
    a = np.array([x[0], x[1]])
    return {
        "logical_and": lambda: np.logical_and(a, a),
        "logical_or of a list": lambda: np.logical_or([x[0], 1.0], [1.0, 2.0]),
        "reduce": lambda: np.logical_or.reduce(a),
        "nan_to_num": lambda: np.nan_to_num([x[0], x[1]]),
        "maximum": lambda: np.maximum(a, 0.0),
        "sort": lambda: np.sort(a),
        "sort in place": lambda: a.sort(),
        "argmax": lambda: a.argmax(),
        "argmin": lambda: np.argmin([x[0], x[1]]),
        "unique": lambda: np.unique(a),
        "clip": lambda: np.clip(a, 0, 1),
        "max": lambda: a.max(),
        "searchsorted": lambda: np.searchsorted(a, 0.5),
    }


@pytest.mark.parametrize("name", _code_that_choose(np.ones(2)))
def test_a_choice_that_would_lose_nan_is_refused_even_where_it_is_caught(name):
    def loss(x):
        try:
            _code_that_choose(x)[name]()
        except Exception:  # as some of NumPy's loops go on
            if name == "nan_to_num":
                raise
        return np.sum(x)

    with pytest.raises(xg.TraceError, match=r"test_elements_sweep.py:"):
        xg.grad(loss)(np.array([0.5, np.nan]))
    assert xg.grad(np.sum)(np.ones(2)).tolist() == [1, 1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_python_s_choices_are_as_with_floats():
    def f(x):
        a = np.array([x[0], x[1]])
        found = max(x[0], x[1]) + min(a) + sorted(a)[0]
        first, again = a > 1, np.greater(a, 1)
        assert not (first | again).any()
        if a[0] and bool(a[1]) and any([a[1]]) and all(a):
            found = found + np.sum(np.where(a, a, 0.0))
        return found

    x = np.array([0.5, np.nan])
    assert np.isnan(xg.vjp(f, x)[0])
    assert xg.vjp(lambda x: max(np.array([x[0], x[1]])), x)[0] == 0.5


def test_signs_and_maxima_that_are_whole_numbers_are_floats():
    x = np.array([0.5, -1.5])
    for f in (lambda x: np.sign([x[0], x[1]]), lambda x: np.maximum([x[0], x[1]], 2)):
        assert xg.vjp(f, x)[0].dtype == float
