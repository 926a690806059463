"""Whatever a function makes lands on its operands' device: shown with a stand-in for CuPy's arrays.

The stand-in computes with NumPy, and refuses NumPy arrays among its operands as CuPy does. It shows
that no op is given operands of two devices, no result leaves the device, and nothing is copied to the host
on the way; what CuPy itself does is for a GPU to show.
"""

import numpy as np
import pytest

import xpgrad as xg
from cases.linalg_calls import CASES as LINALG
from cases.numpy_calls import CASES
from xpgrad.backends import Backend, choose, registry
from xpgrad.backends.cpu.numpy import numpy_implementations
from xpgrad.compiler import compile, compiled
from xpgrad.core import OPS
from xpgrad.trace import Traced, subscripts
from xpgrad.trace.functions import _table

INDICES = {"getitem", "scatter_add", "index_update", "last_writes"}  # whose index arrays may be NumPy's
# Their argument is a plain array of the user's, which would be on the device.
BY_THE_USER = {"interp"}


class Device:
    id = 0


class StandIn(np.ndarray):
    """An array of another library."""

    device = Device()

    def __array_function__(self, func, types, args, kwargs):
        if Traced in types:
            return NotImplemented
        if np.ndarray in types:
            raise TypeError(f"{func.__name__}: a NumPy array among the operands")
        return put(super().__array_function__(func, types, args, kwargs))

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if any(type(x) is Traced for x in inputs):
            return NotImplemented
        if any(type(x) is np.ndarray for x in inputs):
            raise TypeError(f"{ufunc.__name__}: a NumPy array among the operands")
        if out is not None:
            kwargs["out"] = tuple(map(taken, out))
        result = getattr(ufunc, method)(*map(taken, inputs), **kwargs)
        return put(result) if out is None else out[0]

    def __setitem__(self, index, value):
        super().__setitem__(index, taken(value))


StandIn.__module__ = "cupy.stand_in"

# What takes numbers from a device to the host, each with a wait for all that was asked of the device before.
TO_THE_HOST = (
    "__bool__ __float__ __int__ __index__ __complex__ item tolist tobytes __contains__ __iter__".split()
)
copies = []
# The rank decides on the shape of the residuals, imaginary parts on the dtype, as they do in NumPy.
DEPENDS_ON_NUMBERS = {"linalg: lstsq": {"__int__"}, "linalg: eig": {"__bool__"}}


def counted(name):
    def method(self, *args):
        copies.append(name)
        return getattr(self.view(np.ndarray), name)(*args)

    return method


for _name in TO_THE_HOST:
    setattr(StandIn, _name, counted(_name))


def put(x):
    """Move NumPy's arrays and scalars in ``x`` to the stand-in's device."""
    if isinstance(x, (tuple, list)):
        return type(x)(*map(put, x)) if hasattr(x, "_fields") else type(x)(map(put, x))
    return np.asarray(x).view(StandIn) if isinstance(x, (np.ndarray, np.generic)) else x


def taken(x):
    return x.view(np.ndarray) if type(x) is StandIn else x


def on_the_stand_in(name, f):
    def on_it(*operands, **params):
        if name not in INDICES and any(type(x) is np.ndarray for x in operands):
            raise TypeError(f"{name}: a NumPy array among the operands")
        return put(f(*map(taken, operands), **params))

    return on_it


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    """Let the stand-in's arrays be taken for CuPy's."""
    backend = Backend("cupy", {name: on_the_stand_in(name, f) for name, f in numpy_implementations().items()})
    monkeypatch.setattr(registry, "gpu_backend", lambda: backend)

    def to_device(tree, device):
        return put(tree) if device != "cpu" else tree

    for module in (xg, _table, subscripts):
        monkeypatch.setattr(module, "to_device", to_device)
    for module in (choose, compiled):
        monkeypatch.setattr(module, "device_of", lambda x: "gpu" if type(x) is StandIn else "cpu")
    forget()
    yield
    forget()


def forget():
    """Drop the implementations that ops remember for CuPy's arrays."""
    for op in OPS.values():
        op.implementations[2] = None


def draw(shapes):
    rng = np.random.default_rng(7)
    return [np.asarray(rng.normal(size=s)) for s in shapes]


def on_device(tree):
    return all(type(x) is StandIn for x in (tree if isinstance(tree, tuple) else (tree,)))


@pytest.mark.parametrize("name", [*CASES, *(f"linalg: {n}" for n in LINALG)])
def test_values_tangents_and_cotangents_stay_on_the_device(name):
    f, shapes = LINALG[name[8:]] if name.startswith("linalg: ") else CASES[name]
    args = put(draw(shapes))
    copies.clear()
    out, pullback = xg.vjp(f, *args)
    assert on_device(out)
    assert on_device(pullback(put(_ones(out))))
    _, tangent = xg.jvp(f, args, put([np.ones(x.shape) for x in args]))
    assert on_device(tangent)
    needed = {wait for word, waits in DEPENDS_ON_NUMBERS.items() if word in name for wait in waits}
    assert set(copies) <= needed


def test_a_copy_to_the_host_is_counted():
    copies.clear()
    xg.grad(lambda x: x[0] * float(xg.stop_gradient(x[1])))(put(np.ones(2)))
    assert copies == ["__float__"]


def _ones(out):
    if isinstance(out, tuple):
        return type(out)(*map(_ones, out)) if hasattr(out, "_fields") else tuple(map(_ones, out))
    return np.ones(out.shape, out.dtype)


def test_a_numpy_array_beside_a_device_array_is_refused_by_name():
    with pytest.raises(xg.DeviceError, match="operands on two devices"):
        xg.grad(lambda x: np.sum(x * np.ones(3)))(put(np.ones(3)))


# ── compiled functions that close over an array ──────────────────────────────────────────────
def weighted(weights):
    return lambda x: np.sum(np.exp(x) * weights)


@pytest.mark.parametrize("x", [np.ones(3), 2.0], ids=["array", "number"])
def test_a_compiled_function_that_closes_over_a_device_array_runs_on_the_device(x):
    f = compile(xg.value_and_grad(weighted(put(np.arange(3.0)))))
    expected = xg.value_and_grad(weighted(np.arange(3.0)))(x)
    found = f(put(x))
    assert on_device(found)
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(taken(a), b)
    assert "by the library" in f.explain(put(x))


@pytest.mark.parametrize("ours", [put, np.asarray], ids=["device", "host"])
def test_an_array_on_one_device_and_a_constant_on_another_is_the_error_of_eager_mode(ours):
    theirs = np.asarray if ours is put else put
    f = xg.value_and_grad(weighted(ours(np.arange(3.0))))
    x = theirs(np.ones(3))
    said = []
    for run in (f, compile(f)):
        with pytest.raises(xg.DeviceError, match="multiply: operands on two devices") as error:
            run(x)
        said.append(str(error.value))
    assert said[0] == said[1]
    assert "np.sum(np.exp(x) * weights)" in said[0]


def test_a_compiled_function_of_host_arrays_alone_is_left_to_the_cpu():
    f = compile(weighted(np.arange(3.0)))
    assert f(np.ones(3)) == pytest.approx(3 * np.e)
    assert "CuPy" not in f.explain(np.ones(3))
