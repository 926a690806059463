"""What goes into a compiled function and what comes out: trees, layouts, dtypes, aliases."""

import gc
import weakref
from collections import namedtuple
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten, unflatten
from xpgrad.compiler import compile, compiled
from xpgrad.testing import close, tolerance

rng = np.random.default_rng(0)
Pair = namedtuple("Pair", "w b")


@dataclass
class Layer:
    w: object
    b: object
    name: str = "first"


# ── how it is asked for ──────────────────────────────────────────────────────────────────────
def test_a_decorator_works_with_and_without_arguments():
    @compile
    def double(x):
        """Twice."""
        return 2 * x

    @compile(threads=1)
    def triple(x):
        return 3 * x

    assert double(2.0) == 4
    assert triple(np.ones(2)).tolist() == [3, 3]
    assert (double.__name__, double.__doc__) == ("double", "Twice.")


def test_what_is_no_function_is_refused():
    with pytest.raises(xg.TraceError, match=r"float64\[3\] is no function"):
        compile(np.ones(3))


def test_a_compiled_function_that_is_compiled_again_keeps_its_own_counts():
    inner = compile(lambda x: x + 1, threads=1)
    outer = compile(inner)
    assert outer(np.ones(2)).tolist() == [2, 2]
    assert (len(inner.traces), len(outer.traces)) == (0, 1)


def test_arguments_on_two_gpus_are_refused_with_what_is_where(monkeypatch):
    monkeypatch.setattr(compiled, "device_of", lambda x: "gpu:1" if len(x) == 2 else "gpu")
    with pytest.raises(xg.DeviceError, match="compile: arguments on two devices") as error:
        compile(lambda x, y: np.sum(x) * np.sum(y))(np.ones(3), np.ones(2))
    assert "array 0 float64[3] on gpu\n  array 1 float64[2] on gpu:1\n" in str(error.value)
    assert 'xg.compile(f, device="gpu") moves them all' in str(error.value)


# ── trees ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.rotated
@pytest.mark.parametrize(
    "tree",
    [
        (np.ones(3), 2.0),
        [np.ones(3), np.float32(2)],
        {"w": np.ones(3), "b": 0.5},
        Pair(np.ones(3), 0.5),
        Layer(np.ones(3), 0.5),
        {"layers": [(np.ones((2, 3)), np.zeros(2)), Pair(np.ones((1, 2)), 1.0)], "none": None},
    ],
    ids=["tuple", "list", "dict", "namedtuple", "dataclass", "nested"],
)
def test_trees_go_in_and_come_out(generator, tree):
    def f(tree):
        leaves, structure = flatten(tree)
        return unflatten(structure, [x if isinstance(x, str) else x * 2 for x in leaves])

    got, expected = generator.compile(f)(tree), f(tree)
    assert type(got) is type(tree)
    assert flatten(got)[1] == flatten(expected)[1]
    for a, b in zip(flatten(got)[0], flatten(expected)[0], strict=True):
        assert np.array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype


def test_constants_and_none_in_the_output_come_out_as_they_are(compiler):
    table = np.arange(3)

    def f(x):
        return {
            "y": x + 1,
            "nothing": None,
            "name": "model",
            "n": 3,
            "list": [True, (x.shape, None)],
            "t": table,
        }

    for _ in range(2):
        out = compiler.compile(f)(np.ones(2))
        assert out["y"].tolist() == [2, 2]
        assert (out["nothing"], out["name"], out["n"], out["list"]) == (None, "model", 3, [True, ((2,), None)])
        assert out["t"].tolist() == [0, 1, 2]
        out["t"][:] = 9  # the caller's own
    assert table.tolist() == [0, 1, 2]


def test_keywords_in_any_order_and_defaults_are_one_trace():
    @compile
    def f(x, *, scale=2.0, shift=0.0):
        return x * scale - shift

    x = np.ones(3)
    assert f(x, scale=3.0, shift=1.0).tolist() == f(x, shift=1.0, scale=3.0).tolist() == [2, 2, 2]
    assert len(f.traces) == 1
    assert f(x).tolist() == [2, 2, 2]
    assert f(x=x, shift=2.0).tolist() == [0, 0, 0]
    assert len(f.traces) == 3


def test_functions_without_array_arguments_run():
    f = compile(lambda n=3: np.ones(n))
    first = f()
    first[:] = 7
    assert f().tolist() == [1, 1, 1]
    assert f(2).tolist() == [1, 1]


# ── fresh results, arguments untouched ───────────────────────────────────────────────────────
def test_outputs_that_alias_inputs_or_one_another_are_fresh_arrays(generator):
    def f(x, y):
        z = x + y
        return x, x, x.T, x[1:], z, z, z.reshape(-1), np.broadcast_to(y[:1], (3, 2)), y

    x, y = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    run = generator.compile(f)
    for _ in range(2):
        outs = run(x, y)
        for a, b in zip(outs, f(x, y), strict=True):
            assert np.array_equal(a, b)
        for i, a in enumerate(outs):
            assert a.flags.writeable
            assert not any(np.may_share_memory(a, b) for b in (x, y, *outs[:i]))


@pytest.mark.sweep
@pytest.mark.parametrize("m", [5, 40_000])
def test_arguments_are_let_go(generator, m):
    loss = lambda w, x: np.sum(np.tanh(x[1:] @ w) ** 2) + x[0, 0] + np.sum(x.T)
    f = generator.compile(xg.value_and_grad(loss))
    x, w = np.ones((m, 3)), np.ones(3)
    f(w, x)
    there = [weakref.ref(x), weakref.ref(w)]
    del x, w
    gc.collect()
    assert all(one() is None for one in there)


def test_no_argument_is_ever_written_to(compiler):
    def f(x, y):
        x += 1
        y[0] = x[0] * 2
        np.multiply(x, y, out=x)
        x[x > 1] = 0
        return x, y

    x, y = rng.normal(size=5), rng.normal(size=5)
    expected = f(x.copy(), y.copy())
    kept = x.copy(), y.copy()
    x.flags.writeable = y.flags.writeable = False
    got = compiler.compile(f)(x, y)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])


# ── layouts ──────────────────────────────────────────────────────────────────────────────────
def _unaligned(x):
    raw = np.empty(x.nbytes + 1, np.uint8)
    y = raw[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    assert not y.flags.aligned
    return y


def _strided(x):
    wide = np.zeros((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    wide[::2, ::3] = x
    return wide[::2, ::3]


def _column(x):
    """A field of records whose other one takes half of its size."""
    records = np.zeros(x.shape, [("x", x.dtype), ("note", f"V{x.itemsize // 2}")])
    records["x"] = x
    return records["x"]


LAYOUTS = {
    "C": lambda x: x,
    "F": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda x: x.T.copy().T,
    "unaligned": _unaligned,
    "a column of records": _column,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "broadcast": lambda x: np.broadcast_to(x[:, :1], x.shape),
}


def _loss(x, w):
    z = x @ w
    return np.sum(np.log1p(np.exp(-np.abs(z)))) + np.mean(x * 2), z, x[1:] - x[:-1]


@pytest.mark.rotated
@pytest.mark.sweep
@pytest.mark.parametrize("m", [7, 4000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_what_numpy_gives(compiler, layout, dtype, m):
    x = LAYOUTS[layout](np.random.default_rng(1).normal(size=(m, 5)).astype(dtype))
    w = np.linspace(-1, 2, 5).astype(dtype)
    gradient = xg.value_and_grad(lambda w, x: _loss(x, w)[0])
    wide = np.array(x, np.float64), w.astype(np.float64)
    for got, expected in (
        (compiler.compile(_loss)(x, w), _loss(*wide)),
        (compiler.compile(gradient)(w, x), gradient(*wide[::-1])),
    ):
        for a, b in zip(got, expected, strict=True):
            scale = max(float(np.max(np.abs(b))), 1.0)
            assert close(np.asarray(a) / scale, np.asarray(b) / scale, tolerance(dtype).value)
            assert np.asarray(a).dtype == np.dtype(dtype)


def test_a_layout_that_changes_between_calls_is_followed():
    f = compile(_loss)
    x, w = np.random.default_rng(1).normal(size=(50, 5)), np.ones(5)
    expected = _loss(x, w)
    for layout in ("C", "unaligned", "F", "strided", "reversed", "byte-swapped", "C"):
        for a, b in zip(f(LAYOUTS[layout](x), w), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1,), (1, 1)], ids=str)
def test_arrays_without_axes_or_entries(compiler, shape):
    def f(x):
        return np.sum(x * 2), x + 1, np.exp(x), x.T, np.sum(x, axis=tuple(range(x.ndim)), keepdims=True)

    for dtype in (np.float64, np.float32):
        x = np.full(shape, 0.5, dtype)
        for a, b in zip(compiler.compile(f)(x), f(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
            assert np.shape(a) == np.shape(b)
            assert np.asarray(a).dtype == np.asarray(b).dtype


def test_a_closed_over_column_of_records_is_read_as_it_lies(compiler):
    c = _column(np.arange(4000.0))
    f = lambda x: np.sum(c * x) + c[2] * c[:3]
    np.testing.assert_allclose(compiler.compile(f)(np.ones(4000)), f(np.ones(4000)), rtol=1e-12)


@pytest.mark.sweep
@pytest.mark.parametrize("m", [8, 50, 20_000])
@pytest.mark.parametrize("label", [5, -6, 10**12])
def test_a_label_outside_its_axis_is_refused_with_the_line(threaded, m, label):
    def loss(Z, y):
        return np.sum(xg.special.logsumexp(Z, axis=1) - Z[np.arange(len(Z)), y])  # here

    Z, y = np.random.default_rng(0).normal(size=(m, 5)), np.zeros(m, int)
    step = threaded.compile(xg.value_and_grad(loss))
    expected = step(Z, y)[0]
    y[m // 2] = label
    for _ in range(2):
        with pytest.raises(xg.OutOfBoundsError, match=f"index {label} is out of bounds for axis 1") as error:
            step(Z, y)
        assert "# here" in str(error.value)
    y[m // 2] = -5
    assert step(Z, y)[0] == expected


# ── dtypes and scalars ───────────────────────────────────────────────────────────────────────
@pytest.mark.rotated
@pytest.mark.sweep
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", "i1", "i4", "i8", "u1", "u8", "?"])
def test_any_dtype_gives_what_numpy_gives(compiler, dtype):
    x = (np.arange(12) % 5 + 1).astype(dtype).reshape(3, 4)

    def f(x):
        return (
            x + x,
            x * x,
            np.sum(x),
            np.sum(x, axis=0),
            x.T @ x,
            np.maximum(x, x[:1]),
            x > 1,
            np.mean(x),
            x * 0.5,
        )

    for a, b in zip(compiler.compile(f)(x), f(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3 if dtype == "f2" else 1e-6)
        assert np.asarray(a).dtype == np.asarray(b).dtype


@pytest.mark.rotated
@pytest.mark.parametrize(
    "c",
    [2.5, np.float32(2.5), np.float64(2.5), np.array(2.5), np.array(2.5, "f4"), 3, True, 2 + 1j, np.int64(3)],
    ids=lambda c: f"{type(c).__name__} {getattr(c, 'dtype', '')}",
)
def test_a_scalar_promotes_as_it_does_in_numpy(compiler, c):
    x = np.linspace(0, 1, 5, dtype=np.float32)

    def f(x, c):
        return x * c, c * c + x, np.sum(x) * c

    for a, b in zip(compiler.compile(f)(x, c), f(x, c), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
        assert np.asarray(a).dtype == np.asarray(b).dtype


@pytest.mark.parametrize("m", [6, 30_000])
def test_a_loop_of_the_users_may_hold_more_numbers_than_a_kernel_takes(compiler, m):
    if compiler.name == "definition":  # an entry at a time, by Python
        m = min(m, 1000)

    def f(x, k):
        for i in range(50):
            x = x + (0.01 + i / 1e4) * np.cos(k * x + i / 7) - x * (i + 1) / (3 * i + 300)
        return np.sum(x * x)

    x, k = np.linspace(-1, 1, m), 0.7
    for step in (f, xg.value_and_grad(f)) if m == 6 else (f,):
        for a, b in zip(flatten(compiler.compile(step)(x, k))[0], flatten(step(x, k))[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_ints_bools_and_strings_are_taken_as_they_are():
    @compile
    def f(x, n, flip, how):
        y = x[:n]
        if flip:
            y = y[::-1]
        for _ in range(n):
            y = y * 2
        return np.sum(y) if how == "sum" else y

    x = np.arange(4.0)
    assert f(x, 2, False, "none").tolist() == [0, 4]
    assert f(x, 2, True, "none").tolist() == [4, 0]
    assert f(x, 3, True, "sum") == 24
    assert len(f.traces) == 3
    assert "2, False, 'none'" in f.traces[0]


def test_an_unhashable_argument_is_refused_by_name():
    class Odd:
        __hash__ = None

    with pytest.raises(xg.TraceError, match="of type Odd is no array and not hashable"):
        compile(lambda x, o: x)(np.ones(2), Odd())


def test_partial_functions_and_callable_objects_are_compiled():
    class Model:
        def __init__(self):
            self.scale = 2.0

        def __call__(self, x):
            return x * self.scale

    model = Model()
    f = compile(model)
    assert f(np.ones(1)) == 2
    model.scale = 3.0
    assert f(np.ones(1)) == 3
    assert compile(partial(lambda n, x: x * n, 4))(np.ones(1)) == 4
