"""Every way to copy an array, or to look into it, on every kind of array: NumPy decides what a later write
shows in, and finite differences what the derivative is.

The programs make an array, copy it or look into it (an idiom), write to the one or the other, and return both.
Both are of degree two at most in the entries of the argument, so that central differences are exact up to
rounding.
"""

from __future__ import annotations

import copy
import copyreg
import dataclasses
import inspect
import io
import multiprocessing.reduction
import pickle

import cloudpickle
import joblib
import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import reference
from xpgrad.testing import close, tolerance
from xpgrad.trace import graph_of

EXACT = tolerance(np.float64).value
X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])


@dataclasses.dataclass
class Pair:
    first: object
    second: object = 1.0


class Holder:
    def __init__(self, held):
        self.held = held


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held):
        self.held = held


def namespace(x):
    return x.__array_namespace__() if hasattr(x, "__array_namespace__") else np


# From the array to what is a copy of it, or shares its memory: NumPy says which.
IDIOMS = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "deepcopy of a list": lambda a: copy.deepcopy([a, 1])[0],
    "deepcopy of a dict of tuples": lambda a: copy.deepcopy({"k": (1, a)})["k"][1],
    "deepcopy of a dataclass": lambda a: copy.deepcopy(Pair(a)).first,
    "deepcopy of an object": lambda a: copy.deepcopy(Holder(a)).held,
    "deepcopy of an object with slots": lambda a: copy.deepcopy(Slotted(a)).held,
    "copy of a list": lambda a: copy.copy([a])[0],
    "copy of an object": lambda a: copy.copy(Holder(a)).held,
    "asdict": lambda a: dataclasses.asdict(Pair(a))["first"],
    "asdict, nested": lambda a: dataclasses.asdict(Pair([Pair(a)]))["first"][0]["first"],
    "astuple": lambda a: dataclasses.astuple(Pair(1.0, a))[1],
    "dataclasses.replace": lambda a: dataclasses.replace(Pair(a), second=2).first,
    "copy of a copy": lambda a: copy.deepcopy(copy.copy(a)),
    "x.copy()": lambda a: a.copy(),
    "x.copy('F')": lambda a: a.copy("F"),
    "x.copy(order='K')": lambda a: a.copy(order="K"),
    "np.copy": np.copy,
    "np.copy(order='C')": lambda a: np.copy(a, order="C"),
    "np.copy(subok=True)": lambda a: np.copy(a, subok=True),
    "np.reshape": lambda a: np.reshape(a, (-1,)),
    "np.reshape(order='F')": lambda a: np.reshape(a, (-1,), order="F"),
    "np.reshape(copy=True)": lambda a: np.reshape(a, (-1,), copy=True),
    "np.reshape(copy=True), same shape": lambda a: np.reshape(a, np.shape(a), copy=True),
    "np.reshape(copy=True, order='F')": lambda a: np.reshape(a, (-1, 1), order="F", copy=True),
    "np.reshape(copy=None)": lambda a: np.reshape(a, np.shape(a) + (1,), copy=None),
    "np.reshape(copy=False)": lambda a: np.reshape(a, np.shape(a) + (1,), copy=False),
    "x.reshape": lambda a: a.reshape(-1),
    "x.reshape(copy=True)": lambda a: a.reshape(-1, copy=True),
    "x.reshape(copy=True, order='F')": lambda a: a.reshape((-1, 1), copy=True, order="F"),
    "x.reshape(copy=None)": lambda a: a.reshape(a.shape, copy=None),
    "x.reshape(copy=False)": lambda a: a.reshape(a.shape, copy=False),
    "flatten": lambda a: a.flatten(),
    "flatten('F')": lambda a: a.flatten("F"),
    "ravel": lambda a: a.ravel(),
    "ravel('F')": lambda a: a.ravel("F"),
    "np.ravel": np.ravel,
    "astype": lambda a: a.astype(np.float64),
    "astype(copy=False)": lambda a: a.astype(np.float64, copy=False),
    "astype(complex)": lambda a: a.astype(complex, copy=False).real,
    "np.astype": lambda a: np.astype(a, float),
    "np.astype(copy=False)": lambda a: np.astype(a, float, copy=False),
    "np.full_like with itself": lambda a: np.full_like(a, a),
    "np.block": np.block,
    "np.positive": np.positive,
    "unary plus": lambda a: +a,
    "np.conj": np.conj,
    "x.conj()": lambda a: a.conj(),
    "x.real": lambda a: a.real,
    "np.real": np.real,
    "np.real_if_close": np.real_if_close,
    "np.nan_to_num": np.nan_to_num,
    "np.nan_to_num(copy=False)": lambda a: np.nan_to_num(a, copy=False),
    "np.where": lambda a: np.where(True, a, 0.0),
    "np.concatenate": lambda a: np.concatenate([np.atleast_1d(a)]),
    "np.stack": lambda a: np.stack([a]),
    "np.tile": lambda a: np.tile(a, 1),
    "np.repeat": lambda a: np.repeat(a, 1),
    "np.roll": lambda a: np.roll(a, 0),
    "np.clip": lambda a: np.clip(a, -10, 10),
    "np.sum over no axes": lambda a: np.sum(a, axis=()),
    "x[...]": lambda a: a[...],
    "x[()]": lambda a: a[()],
    "x[None]": lambda a: a[None],
    "x.view()": lambda a: a.view(),
    "x.view(np.ndarray)": lambda a: a.view(np.ndarray) if np.ndim(a) else a,
    "x.T": lambda a: a.T,
    "x.T.T": lambda a: a.T.T,
    "copy of a transpose": lambda a: copy.copy(a.T),
    "deepcopy of a view": lambda a: copy.deepcopy(a[...]),
    "np.transpose": np.transpose,
    "np.squeeze": np.squeeze,
    "np.expand_dims": lambda a: np.expand_dims(a, 0),
    "np.atleast_1d": np.atleast_1d,
    "np.atleast_2d": np.atleast_2d,
    "np.atleast_3d": np.atleast_3d,
    "np.flip": np.flip,
    "np.broadcast_arrays": lambda a: np.broadcast_arrays(a, a)[0],
    "np.flipud": np.flipud,
    "np.rot90": np.rot90,
    "np.rot90 by no turn": lambda a: np.rot90(a, 4),
    "np.swapaxes": lambda a: np.swapaxes(a, 0, 1),
    "np.moveaxis": lambda a: np.moveaxis(a, 0, -1),
    "np.rollaxis": lambda a: np.rollaxis(a, 1),
    "np.diagonal": np.diagonal,
    "np.diag": np.diag,
    "np.split": lambda a: np.split(a, 1)[0],
    "np.hsplit": lambda a: np.hsplit(a, 1)[0],
    "the first of an iteration": lambda a: next(iter(a)),
    "einsum of a transpose": lambda a: np.einsum("ij->ji", a),
    "einsum of nothing": lambda a: np.einsum("i...", a),
    "np.broadcast_to": lambda a: np.broadcast_to(a, np.shape(a)),
    "np.matrix_transpose": np.matrix_transpose,
    "np.permute_dims": lambda a: np.permute_dims(a),
    "np.meshgrid": lambda a: np.meshgrid(a, a)[0],
    "np.meshgrid(copy=False)": lambda a: np.meshgrid(a, a, copy=False)[0],
    "np.take": lambda a: np.take(a, range(np.shape(a)[0]), axis=0),
    "np.delete": lambda a: np.delete(a, [], axis=0),
    "np.append": lambda a: np.append(a, []),
    "np.pad": lambda a: np.pad(a, 0),
    "np.sort": np.sort,
    "np.triu": np.triu,
    "np.cumsum": lambda a: np.cumsum(a, axis=0),
    "np.diff of order 0": lambda a: np.diff(a, 0),
    "np.select": lambda a: np.select([np.ones(np.shape(a), bool)], [a]),
    "np.linalg.matrix_power": lambda a: np.linalg.matrix_power(a[:, :1], 1),
    "an array of indices": lambda a: a[[0]],
    "a mask": lambda a: a[np.ones(len(a), bool)],
    "namespace asarray": lambda a: namespace(a).asarray(a),
    "namespace asarray(copy=True)": lambda a: namespace(a).asarray(a, copy=True),
    "namespace array": lambda a: namespace(a).array(a),
    "namespace astype(copy=False)": lambda a: namespace(a).astype(namespace(a).asarray(a), float, copy=False),
    "namespace reshape(copy=True)": lambda a: namespace(a).reshape(a, (-1,), copy=True),
}
if "copy" not in inspect.signature(np.reshape).parameters:  # NumPy 2.0
    IDIOMS = {name: f for name, f in IDIOMS.items() if "copy=" not in name or "reshape" not in name}

# From the argument to the array that is copied.
ARRAYS = {
    "the argument": lambda x: x,
    "an intermediate": lambda x: x * 2,
    "a column-major one": lambda x: np.copy(x, order="F"),
    "a view": lambda x: (x * 2)[:, 1:],
    "a transposed view": lambda x: (x * 2).T,
    "a row": lambda x: x[1],
    "a view of the argument": lambda x: x[:1],
    "a 0-d array": lambda x: np.copy(x[0, 1]),
    "a 0-d view": lambda x: x[1, 2, ...],
    "a scalar": lambda x: np.sum(x),
    "an entry": lambda x: x[0, 1],
}


def write_in_place(a):
    a *= 3
    a -= 1
    return a


def write_entries(a):
    a[...] = a * 2 + 1
    return a


def program(make, idiom, write, to):
    """Make an array ``o``, and ``y`` of it by the idiom; write to one; return the argument and both, and what
    they are by another name: a scalar's is bound to the old value still."""

    def f(x):
        o = make(x)
        y = idiom(o)
        o_too, y_too = o, y
        if to == "original":
            o = write(o)
        else:
            y = write(y)
        return x * 1.0, o * 1.0, y * y, o_too * 1.0, y_too * 1.0

    return f


def differences(f, x):
    """Along a fixed direction, of what ``f`` gives on plain arrays of its own."""
    t = np.linspace(0.5, 1.5, x.size).reshape(x.shape)
    ahead, behind = f(x + 0.125 * t), f(x - 0.125 * t)
    return t, [(a - b) / 0.25 for a, b in zip(ahead, behind, strict=True)]


def eager(f, x, t):
    out, pullback = xg.vjp(f, x)
    return out, [np.sum(pullback(only(out, k))[0] * t) for k in range(len(out))]


def only(out, k):
    """Cotangents that pick output ``k`` and sum it."""
    return tuple(np.ones_like(y) if i == k else np.zeros_like(y) for i, y in enumerate(out))


def forward(f, x, t):
    out, tangents = xg.jvp(f, (x,), (t,))
    return out, [np.sum(y) for y in tangents]


def shapes_alone(f, x, t):
    graph, rebuild = graph_of(f, x)
    out = rebuild(reference.run(graph, [x]))
    graph, rebuild = graph_of(lambda x, t: xg.jvp(f, (x,), (t,))[1], x, t)
    tangents = rebuild(reference.run(graph, [x, t]))
    graph, rebuild = graph_of(lambda x, g: xg.vjp(f, x)[1](g)[0], x, only(out, 0))
    for k in range(len(out)):
        (pulled,) = reference.run(graph, [x, *only(out, k)])
        assert close(np.sum(pulled * t), np.sum(tangents[k]), EXACT)
    return out, [np.sum(y) for y in tangents]


def jvp_of(f):
    return lambda x: xg.jvp(f, (x,), (x,))


def is_known(text, mode):
    """Whether an error is one of the writes, or reads, that cannot be followed, and names the line."""
    known = (UNSURE, *REFUSALS) if mode is shapes_alone else REFUSALS
    return any(part in text for part in known) and "at test_copies.py:" in text


NAMES = ("argument", "original", "copy", "original by another name", "copy by another name")
MODES = {"eager": eager, "jvp": forward, "compiled": shapes_alone}
# With shapes alone it is not known whether NumPy's reshape is a copy: what depends on it is refused.
UNSURE = "not known whether this reshape is a copy"
REFUSED_BY_NUMPY = (TypeError, ValueError, AttributeError, IndexError, DeprecationWarning)
REFUSALS = tuple(
    f"what {name} returns cannot be written to"
    for name in ("flip", "broadcast_to", "real", "einsum", "diagonal")
)


@pytest.mark.sweep
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("idiom", IDIOMS.values(), ids=IDIOMS)
def test_copies_and_views_of_traced_arrays_are_those_of_numpy(idiom, mode):
    compared = 0
    for where, make in ARRAYS.items():
        for write in (write_in_place, write_entries):
            for to in ("original", "copy"):
                f = program(make, idiom, write, to)
                what = f"{where}, {write.__name__} to the {to}"
                try:
                    expected = f(X.copy())
                    t, tangents = differences(f, X)
                except REFUSED_BY_NUMPY:
                    continue
                try:
                    out, derivatives = mode(f, X.copy(), t)
                except xg.TraceError as error:
                    if is_known(str(error), mode):
                        continue
                    raise AssertionError(what) from error
                for name, got, wanted in zip(NAMES, out, expected, strict=True):
                    assert np.shape(got) == np.shape(wanted), f"{what}: {name}"
                    assert close(got, wanted, EXACT), f"{what}: {name}"
                for name, got, wanted in zip(NAMES, derivatives, tangents, strict=True):
                    assert close(got, np.sum(wanted), 1e-9), f"{what}: derivative of the {name}"
                compared += 1
    assert compared >= 4


# ── one array stays one ──────────────────────────────────────────────────────────────────────
def test_an_array_that_is_twice_in_a_structure_is_twice_the_same_copy():
    def f(x):
        a = x * 2
        first, second = copy.deepcopy([a, Pair(a)])
        assert first is second.first
        assert first is not a
        second.first *= 3
        return np.sum(first) + np.sum(a)

    assert np.array_equal(xg.grad(f)(X), np.full(X.shape, 8.0))
    assert np.array_equal(xg.compile(xg.grad(f))(X), np.full(X.shape, 8.0))


def test_a_deep_copy_within_a_gradient_of_a_gradient_is_differentiated_at_both_levels():
    def f(x):
        return np.sum(copy.deepcopy({"x": x})["x"] ** 3)

    for way in (xg.hessian(f), xg.compile(xg.hessian(f))):
        assert close(way(X[0]), np.diag(6 * X[0]), EXACT)


def test_a_deep_copy_of_an_array_of_an_outer_trace_is_differentiated():
    def outer(x):
        return xg.grad(lambda y: np.sum(copy.deepcopy(x) * y**2))(x)

    assert close(xg.jacobian(outer)(X[0]), np.diag(4 * X[0]), EXACT)


def test_a_copied_parameter_of_a_dataclass_is_fitted():
    def loss(p, y):
        q = copy.deepcopy(p)
        return np.sum((q.first - y) ** 2) + dataclasses.asdict(p)["second"] ** 2

    fit = xg.minimize(loss, Pair(np.zeros(3), 1.0), (X[0],), method="lbfgs")
    assert fit.converged
    assert np.allclose(fit.params.first, X[0], atol=1e-5)
    assert abs(fit.params.second) < 1e-5


# ── scalars are immutable, arrays without axes are not ───────────────────────────────────────
@pytest.mark.parametrize("x", [0.5, np.float64(0.5)], ids=["Python's", "NumPy's"])
def test_a_write_into_a_scalar_is_refused_as_numpy_refuses_it(x):
    def f(s):
        t = s + 1
        t[...] = 3.0
        return t

    with pytest.raises(TypeError):
        f(x)
    for way in (xg.grad(f), xg.compile(f)):
        with pytest.raises(xg.TraceError, match="setitem: a scalar cannot be written to") as caught:
            way(x)
        assert "t[...] = 3.0" in str(caught.value)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_an_array_without_axes_stays_an_array_through_writes(mode):
    def f(x):
        a = np.copy(x[0, 0])
        b = a
        for _ in range(3):
            a += 1  # the same array each time
            a *= 2
        np.multiply(b, 3, out=b)
        b -= 1
        return a * 1.0, b * b

    t, tangents = differences(f, X)
    out, derivatives = mode(f, X, t)
    assert close(np.array(out), np.array(f(X)), EXACT)
    assert close(np.array(derivatives), np.array(tangents), 1e-9)


# ── asked for without a copy ─────────────────────────────────────────────────────────────────
def test_a_reshape_that_may_not_copy_and_must_is_refused():
    def f(x):
        return np.sum((x * 2).T.reshape(-1, copy=False))

    with pytest.raises(ValueError, match="creating a copy"):
        f(X)
    with pytest.raises(xg.ShapeError, match="copy=False, but shape"):
        xg.grad(f)(X)


# ── pickling ─────────────────────────────────────────────────────────────────────────────────
PICKLING = {
    "pickle.dumps": pickle.dumps,
    "pickle.dumps, the oldest protocol": lambda x: pickle.dumps(x, 0),
    "pickle of a tree": lambda x: pickle.dumps({"w": [x]}),
    "pickle of an object": lambda x: pickle.dumps(Holder(x)),
    "pickle of a dataclass": lambda x: pickle.dumps(Pair(x)),
    "pickle to a file": lambda x: pickle.Pickler(io.BytesIO()).dump(x),
    "the pickler in Python": lambda x: pickle._Pickler(io.BytesIO()).dump(x),
    "pickle of a view": lambda x: pickle.dumps(x[1:]),
    "copyreg": lambda x: copyreg._reduce_ex(x, 1),
    "__reduce__": lambda x: x.__reduce__(),
    "object.__reduce_ex__": lambda x: object.__reduce_ex__(x, 4),
    "__getstate__": lambda x: x.__getstate__(),
    "multiprocessing": lambda x: multiprocessing.reduction.ForkingPickler.dumps(x),
    "cloudpickle": cloudpickle.dumps,
    "cloudpickle of a closure": lambda x: cloudpickle.dumps(lambda: x),
    "joblib.dump": lambda x: joblib.dump(x, io.BytesIO()),
    "joblib.hash": joblib.hash,
    "x.dumps()": lambda x: x.dumps(),
    "x.dump()": lambda x: x.dump("x.pickle"),
    "x.tobytes()": lambda x: x.tobytes(),
    "x.tofile()": lambda x: x.tofile("x.bin"),
}


@pytest.mark.parametrize("transform", [xg.grad, xg.compile, jvp_of], ids=["grad", "compile", "jvp"])
@pytest.mark.parametrize("way", PICKLING.values(), ids=PICKLING)
def test_pickling_a_traced_array_is_refused_and_the_line_named(way, transform):
    def f(x):
        y = x * 2
        way(y)
        return np.sum(y)

    with pytest.raises(xg.TraceError) as caught:
        transform(f)(X)
    text = str(caught.value)
    assert "at test_copies.py:" in text
    assert "return" in text  # the remedy


# ── what other code reads of an array ────────────────────────────────────────────────────────
MASKED = {
    "a masked array times it": lambda x: np.ma.array([1.0, 2.0, 3.0]) * x,
    "np.ma.exp": lambda x: np.ma.exp(x),
    "np.ma.getdata": lambda x: np.ma.getdata(x),
    "np.ma.masked_where": lambda x: np.ma.masked_where([True, False, False], x),
    "np.ma.average": lambda x: np.ma.average(x),
    "np.ma.dot": lambda x: np.ma.dot(x, x),
}


@pytest.mark.parametrize("f", MASKED.values(), ids=MASKED)
def test_numpys_masked_arrays_do_not_take_the_numbers_out_of_a_traced_one(f):
    for way in (xg.grad, xg.compile):
        with pytest.raises(xg.TraceError) as caught:
            way(lambda x: np.sum(f(x)))(X[0])
        assert "at test_copies.py:" in str(caught.value)
