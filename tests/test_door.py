"""What users give as data, by every way in: converted as NumPy would, or refused by type, with what to write.

One table of data, one of ways in: each way gives the outcome that the table states for the data. torch and JAX
are too large to be installed for tests: what they do when NumPy asks is done by stand-ins.
"""

from __future__ import annotations

import array
import decimal
import fractions

import array_api_strict
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import xarray as xr

import xpgrad as xg
from xpgrad._errors import DTypeError, TraceError, XpgradError

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

F = [1.0, 2.0, 3.0]
W = np.array([0.5, 1.0, 1.5])


class Quantity(np.ndarray):
    """As astropy's: arithmetic of its own."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return NotImplemented


class Labelled(np.ndarray):
    """A subclass whose arithmetic is ndarray's."""

    label = "metres"


class Tensor:
    """As torch's: NumPy has its numbers, unless it has a gradient, is elsewhere, or of another dtype."""

    __module__ = "torch"
    __cuda_array_interface__ = {}

    def __init__(self, values, complaint=None):
        self.values, self.complaint = np.asarray(values), complaint
        self.shape, self.dtype = self.values.shape, "torch.float64"

    def __array__(self, dtype=None, copy=None):
        if self.complaint is not None:
            raise self.complaint
        return self.values


class JaxArray(Tensor):
    __module__ = "jaxlib._jax"


class OnlyDlpack:
    def __dlpack__(self, **_):
        raise BufferError("never asked")


def masked_of_subclass():
    return np.ma.array(np.array(F).view(Labelled), mask=[0, 0, 1])


def read_only():
    x = np.array(F)
    x.flags.writeable = False
    return x


def unaligned():
    packed = np.zeros(3, dtype=[("flag", "u1"), ("x", "f8")])
    packed["x"] = F
    return packed["x"]


def mapped(tmp_path):
    x = np.memmap(tmp_path / "x.bin", dtype=float, mode="w+", shape=3)
    x[:] = F
    return x


# What becomes an array, with the entries that NumPy gives it.
CONVERTED = {
    "an array": lambda: np.array(F),
    "float32": lambda: np.float32(F),
    "float16": lambda: np.float16(F),
    "longdouble": lambda: np.longdouble(F),
    "big-endian": lambda: np.array(F, ">f8"),
    "big-endian float32": lambda: np.array(F, ">f4"),
    "big-endian integers": lambda: np.array([1, 2, 3], ">i2"),
    "big-endian, every other": lambda: np.array([1, 0, 2, 0, 3, 0], ">f8")[::2],
    "uint8": lambda: np.uint8([1, 2, 255]),
    "booleans": lambda: np.array([True, False, True]),
    "read-only": read_only,
    "backward": lambda: np.array(F[::-1])[::-1],
    "broadcast": lambda: np.broadcast_to(2.0, 3),
    "unaligned": unaligned,
    "no axes": lambda: np.array(2.0),
    "no entries": lambda: np.zeros((0, 3)),
    "NumPy's scalar": lambda: np.float64(2.0),
    "masked, no mask": lambda: np.ma.array(F),
    "masked, nothing masked": lambda: np.ma.array(F, mask=[0, 0, 0]),
    "a harmless subclass": lambda: np.array(F).view(Labelled),
    "array.array": lambda: array.array("d", F),
    "memoryview": lambda: memoryview(np.array(F)),
    "pandas Series": lambda: pd.Series(F),
    "pandas Series, another index": lambda: pd.Series(F, index=[7, 3, 1]),
    "pandas Int64": lambda: pd.Series([1, 2, 3], dtype="Int64"),
    "pandas Int64 with a blank": lambda: pd.Series([1, None, 3], dtype="Int64"),
    "pandas Float64": lambda: pd.Series(F, dtype="Float64"),
    "pandas boolean": lambda: pd.Series([True, False, True], dtype="boolean"),
    "pandas on Arrow": lambda: pd.Series(F, dtype="double[pyarrow]"),
    "pandas categories of numbers": lambda: pd.Series([3.0, 1.0, 3.0], dtype="category"),
    "pandas sparse": lambda: pd.Series(pd.arrays.SparseArray(F)),
    "pandas Index": lambda: pd.Index(F),
    "pandas RangeIndex": lambda: pd.RangeIndex(1, 4),
    "pandas DataFrame": lambda: pd.DataFrame({"a": F, "b": F, "c": F}),
    "pandas DataFrame of integers and floats": lambda: pd.DataFrame({"a": F, "b": [1, 2, 3], "c": F}),
    "Polars Series": lambda: pl.Series(F),
    "Polars Series with a blank": lambda: pl.Series([1, None, 3]),
    "Polars booleans": lambda: pl.Series([True, False, True]),
    "Polars DataFrame": lambda: pl.DataFrame({"a": F, "b": F, "c": F}),
    "Arrow array": lambda: pa.array(F),
    "Arrow array with a blank": lambda: pa.array([1.0, None, 3.0]),
    "Arrow chunked array": lambda: pa.chunked_array([F]),
    "Arrow table": lambda: pa.table({"a": F, "b": F, "c": F}),
    "xarray": lambda: xr.DataArray(F, dims="x"),
    "another array library": lambda: array_api_strict.asarray(F),
    "a tensor": lambda: Tensor(F),
    "JAX": lambda: JaxArray(np.float32(F)),
}

# What is refused: what the message says of it, and what to write.
REFUSED = {
    "objects": (lambda: np.array(F, object), "an array that has dtype object, of float", "dtype=float"),
    "objects, of a DataFrame with a boolean column": (
        lambda: pd.DataFrame({"a": F, "b": [True, False, True]}).to_numpy(),
        "dtype object, of float, bool",
        "df.to_numpy(dtype=float)",
    ),
    "objects with None": (lambda: np.array([1.0, None], object), "dtype object, of float, NoneType", "dtype="),
    "no objects": (lambda: np.array([], object), "dtype object", "dtype=float"),
    "masked": (lambda: np.ma.masked_equal(F, 2.0), "numpy.MaskedArray that has 1 masked entries", "x.filled"),
    "masked subclass": (masked_of_subclass, "has 1 masked entries", "x.compressed()"),
    "np.ma.masked": (lambda: np.ma.masked, "has 1 masked entries", "x.filled"),
    "np.matrix": (lambda: np.matrix(F), "numpy.matrix that has a __mul__ of its own", "np.asarray(x)"),
    "a unit": (lambda: np.array(F).view(Quantity), "Quantity that has a __array_ufunc__", "np.asarray(x)"),
    "text": (lambda: np.array(["a", "b", "c"]), "holds text", "np.unique"),
    "bytes": (lambda: np.array([b"a", b"b", b"c"]), "holds text", "np.unique"),
    "NumPy's text": (lambda: np.array(["a"], dtype=np.dtypes.StringDType()), "holds text", "np.unique"),
    "a string of NumPy's": (lambda: np.str_("a"), "numpy.str_ that holds text", "np.unique"),
    "dates": (lambda: np.array(["2020-01-01"], "M8[D]"), "holds dates", "np.timedelta64(1, 'D')"),
    "a date": (lambda: np.datetime64("2020-01-01"), "holds dates", "np.timedelta64(1, 'D')"),
    "durations": (lambda: np.array([1, 2, 3], "m8[s]"), "holds durations", "np.timedelta64(1, 's')"),
    "a duration": (lambda: np.timedelta64(1, "s"), "holds durations", "np.timedelta64(1, 's')"),
    "fields": (lambda: np.zeros(3, [("a", float), ("b", int)]), "has fields, a, b", "x['a']"),
    "records": (lambda: np.rec.array([(1.0, 2.0)] * 3, dtype=[("a", float), ("b", float)]), "fields", "x['a']"),
    "a record": (lambda: np.zeros(3, [("a", float)])[0], "has fields, a", "x['a']"),
    "void": (lambda: np.zeros(3, "V4"), "none of NumPy's own", "x.astype"),
    "Decimal": (lambda: decimal.Decimal(2), "decimal.Decimal that is no int, float or complex", "float(x)"),
    "Fraction": (lambda: fractions.Fraction(1, 2), "fractions.Fraction that is no int", "float(x)"),
    "pandas boolean with a blank": (
        lambda: pd.Series([True, None, True], dtype="boolean"),
        "pandas.Series that gives dtype object, of bool, NAType",
        "na_value=np.nan",
    ),
    "pandas text": (lambda: pd.Series(["a", "b", "c"]), "pandas.Series", "x.cat.codes"),
    "pandas categories of text": (lambda: pd.Series(["a", "b"], dtype="category"), "of str", "x.cat.codes"),
    "pandas dates": (lambda: pd.Series(pd.date_range("2020", periods=3)), "holds dates", "timedelta64"),
    "pandas dates in a zone": (
        lambda: pd.Series(pd.date_range("2020", periods=3, tz="UTC")),
        "Timestamp",
        "x.",
    ),
    "pandas DataFrame with a boolean column": (
        lambda: pd.DataFrame({"a": F, "b": [True, False, True]}),
        "pandas.DataFrame that gives dtype object, of float, bool",
        "x.to_numpy(dtype=float)",
    ),
    "pandas DataFrame with text": (lambda: pd.DataFrame({"a": F, "b": ["x", "y", "z"]}), "float, str", "x."),
    "Polars text": (lambda: pl.Series(["a", "b", "c"]), "polars.Series that holds text", "np.unique"),
    "Polars booleans with a blank": (lambda: pl.Series([True, None]), "of bool, NoneType", "pl.Float64"),
    "Polars lists": (lambda: pl.Series([[1.0], [2.0, 3.0]]), "polars.Series", "pl.Float64"),
    "Polars DataFrame with text": (lambda: pl.DataFrame({"a": F, "b": ["x"] * 3}), "polars.DataFrame", "pl."),
    "Arrow text": (lambda: pa.array(["a", "b"]), "pyarrow.StringArray", 'x.cast("double")'),
    "Arrow table with text": (lambda: pa.table({"a": F, "b": ["x"] * 3}), "pyarrow.Table", "column by column"),
    "xarray Dataset": (lambda: xr.Dataset({"a": ("x", F)}), "xarray.Dataset", 'x["name"].to_numpy()'),
    "sparse": (lambda: scipy.sparse.csr_array(np.diag(F)), "scipy.csr_array that is sparse", "x.toarray()"),
    "sparse matrix": (lambda: scipy.sparse.coo_matrix(np.diag(F)), "coo_matrix that is sparse", "x.toarray()"),
    "a tensor with a gradient": (
        lambda: Tensor(F, RuntimeError("Can't call numpy() on Tensor that requires grad.")),
        "torch.Tensor that makes no array of NumPy's: Can't call numpy()",
        "x.detach()",
    ),
    "a tensor on a GPU": (
        lambda: Tensor(F, TypeError("can't convert cuda:0 device type tensor to numpy.")),
        "can't convert cuda:0",
        "cupy.from_dlpack",
    ),
    "bfloat16 of JAX": (lambda: JaxArray(np.zeros(3, "V2")), "none of NumPy's own", "x.astype(np.float32)"),
    "only dlpack": (OnlyDlpack, "OnlyDlpack that gives dtype object", "np.asarray(x, dtype=float)"),
}

WAYS = {
    "to_device": lambda d: xg.to_device(d, "cpu"),
    "asnumpy of a tree": lambda d: xg.to_device({"d": [d]}, "cpu")["d"][0],
    "an operand": lambda d: xg.jacobian(lambda w: (w * d).reshape(-1))(W),
    "an operand, compiled": lambda d: xg.compile(xg.jacobian(lambda w: (w * d).reshape(-1)))(W),
    "an operand of a ufunc": lambda d: xg.grad(lambda w: np.sum(np.subtract(w, d) ** 2))(W),
    "an operand in place": lambda d: xg.grad(lambda w: in_place(w * np.ones((3, 1)), d))(W),
    "an operand of a ufunc, written to": lambda d: xg.grad(lambda w: into(w * np.ones((3, 1)), d))(W),
    "a written entry": lambda d: xg.grad(lambda w: written(w * np.ones((3, 1)), d))(W),
    "an operand of a function": lambda d: xg.grad(lambda w: np.sum(np.where(w > 0, w, d) ** 2))(W),
    "an operand of jvp": lambda d: xg.jvp(lambda w: w + d, (W,), (W,))[0],
    "an argument beside it": lambda d: xg.grad(lambda w, d: np.sum((w - d) ** 2))(W, d),
    "an argument, compiled": lambda d: xg.compile(xg.grad(lambda w, d: np.sum((w - d) ** 2)))(W, d),
    "an argument by name, compiled": lambda d: xg.compile(lambda w, d: w * d)(W, d=d),
    "the data of minimize": lambda d: data_of_minimize(d),
    "closed over in minimize": lambda d: (
        xg.minimize(lambda w: np.sum((w - d) ** 2), W, method="gd", max_iter=1).params
    ),
    "an activation": lambda d: xg.nn.softplus(d),
    "a special function": lambda d: xg.special.expit(d),
}
PARAMETERS = {
    "grad": lambda d: xg.grad(lambda p: np.sum(p * p))(d),
    "grad of a tree": lambda d: xg.grad(lambda p: np.sum(p["W"] * p["W"]))({"W": d})["W"],
    "vjp": lambda d: xg.vjp(lambda p: p * 2, d)[0],
    "jvp": lambda d: xg.jvp(lambda p: p * 2, (d,), (d,))[1],
    "jacobian": lambda d: xg.jacobian(lambda p: p * p)(d),
    "hessian": lambda d: xg.hessian(lambda p: np.sum(p * p))(d),
    "hvp": lambda d: xg.hvp(lambda p: np.sum(p**3))(d, d),
    "check_grads": lambda d: xg.check_grads(lambda p: p * p, (d,)),
    "compile of grad": lambda d: xg.compile(xg.grad(lambda p: np.sum(p * p)))(d),
    "minimize": lambda d: xg.minimize(lambda p: np.sum(p * p), d, method="gd", max_iter=1).params,
}


def in_place(a, d):
    a += d
    return np.sum(a * a)


def into(a, d):
    np.multiply(a, d, out=a)
    return np.sum(a * a)


def written(a, d):
    a[...] = a * 2
    a[:2] = d
    return np.sum(a * a)


def data_of_minimize(d):
    """What the loss is given, as its value; and the parameters after one step."""
    fit = xg.minimize(lambda w, d: np.sum((w - d) ** 2), W, (d,), method="gd", max_iter=1)
    return fit.params, fit.value


def same(got, wanted):
    flat = [np.asarray(xg.asnumpy(x)) for x in (got if isinstance(got, tuple) else (got,))]
    for a, b in zip(flat, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        assert a.dtype == np.asarray(b).dtype
        np.testing.assert_allclose(
            a.astype(float), np.asarray(b).astype(float), rtol=1e-3 if a.dtype.itemsize == 2 else 1e-6
        )


@pytest.mark.sweep
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", CONVERTED.values(), ids=CONVERTED)
def test_data_are_read_as_numpy_reads_them_by_every_way_in(make, way):
    plain = np.array(np.asarray(make()), dtype=np.asarray(make()).dtype.type)
    try:
        expected = way(plain)
    except XpgradError as error:  # of a shape that does not fit, say: then for both
        with pytest.raises(type(error)):
            way(make())
    else:
        same(way(make()), expected)


@pytest.mark.sweep
@pytest.mark.parametrize(
    "way", [*WAYS.values(), *PARAMETERS.values()], ids=[*WAYS, *(f"{p}, as parameter" for p in PARAMETERS)]
)
@pytest.mark.parametrize(("make", "what", "remedy"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_array_of_numbers_is_refused_by_every_way_in(make, what, remedy, way):
    with pytest.raises(DTypeError) as caught:
        way(make())
    text = str(caught.value)
    assert what in text
    assert remedy in text.splitlines()[-1]
    assert text.splitlines()[-1].startswith("  write ")
    assert "at test_door.py:" in text


@pytest.mark.sweep
@pytest.mark.parametrize("way", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize("make", CONVERTED.values(), ids=CONVERTED)
def test_parameters_are_read_as_numpy_reads_them_by_every_transform(make, way):
    plain = np.array(np.asarray(make()), dtype=np.asarray(make()).dtype.type)
    if plain.dtype.kind != "f" or (way is PARAMETERS["check_grads"] and plain.dtype.itemsize not in (4, 8)):
        with pytest.raises(DTypeError):
            way(make())
    elif way is PARAMETERS["check_grads"]:
        if plain.size and np.isfinite(plain).all():
            way(make())
    else:
        same(way(make()), way(plain))


LEFT = {
    "d * w": lambda d, w: d * w,
    "d - w": lambda d, w: d - w,
    "d @ w": lambda d, w: d @ w,
    "np.multiply(d, w)": lambda d, w: np.multiply(d, w),
    "np.dot(d, w)": lambda d, w: np.dot(d, w),
    "np.add(d, w)": lambda d, w: np.add(d, w),
}
EVERYTHING = CONVERTED | {name: make for name, (make, _, _) in REFUSED.items()}


@pytest.mark.sweep
@pytest.mark.parametrize(
    "transform", [xg.jacobian, lambda f: xg.compile(xg.jacobian(f))], ids=["eager", "compiled"]
)
@pytest.mark.parametrize("make", EVERYTHING.values(), ids=EVERYTHING)
def test_where_another_library_comes_first_the_gradient_is_right_or_there_is_none(make, transform):
    """``d * w`` asks ``d`` first: what that does with a traced array is never a silent zero."""
    for f in LEFT.values():
        try:
            got = transform(lambda w, f=f: f(make(), w))(W)
        except Exception:  # each library has its own
            continue
        plain = np.asarray(make()).astype(float)
        moved = [(f(plain, W + h) - f(plain, W - h)) / 2 for h in np.eye(3)]  # all are linear
        wanted = np.stack(moved, -1)
        known = np.isfinite(wanted) & (np.isfinite(got) | np.isfinite(plain).all())  # of a blank nothing is
        np.testing.assert_allclose(np.where(known, got, 0), np.where(known, wanted, 0), rtol=1e-3, atol=1e-12)


# ── lists are trees ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_list_of_numbers_is_a_tree_and_as_an_operand_the_array_that_numpy_makes_of_it(compiled):
    def f(w, rows, y):
        return np.sum((rows @ w - y) ** 2) + np.sum(y * w) + np.sum(np.multiply(rows, w))

    rows, y = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [1.0, 0.0, 2.0]], (1.0, 2, 3.0)
    g = xg.grad(f)
    expected = g(W, np.array(rows), np.array(y))
    np.testing.assert_allclose((xg.compile(g) if compiled else g)(W, rows, y), expected)


def test_a_list_of_numbers_is_data_of_minimize():
    fit = xg.minimize(lambda w, y: np.sum((w - y) ** 2), W, ([1.0, 2.0, 3.0],), method="lbfgs")
    assert fit.converged
    np.testing.assert_allclose(fit.params, [1.0, 2.0, 3.0], atol=1e-5)


def test_a_list_of_parameters_has_a_list_of_gradients():
    assert xg.grad(lambda p: np.sum(np.stack(p) ** 2))([1.0, 2.0]) == [2.0, 4.0]


# ── what is no data ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("option", ["sum", None, np.float32, sum, range(3), b"x"], ids=repr)
def test_what_is_no_data_reaches_the_function_as_it_is(option):
    seen = []

    def f(w, option):
        seen.append(option)
        return np.sum(w * w)

    xg.grad(f)(W, option)
    xg.compile(xg.grad(f))(W, option)
    assert all(x is option or x == option for x in seen)


@pytest.mark.parametrize("way", ["compile", "minimize", "to_device"])
def test_what_can_be_read_only_once_is_refused(way):
    once = iter(F)
    ways = {
        "compile": lambda: xg.compile(lambda w, d: w)(W, once),
        "minimize": lambda: xg.minimize(lambda w, d: np.sum(w), W, (once,), method="lbfgs"),
        "to_device": lambda: xg.to_device(once, "cpu"),
    }
    with pytest.raises(DTypeError, match="can be read only once"):
        ways[way]()


@pytest.mark.parametrize("n", [2**70, -(2**64)])
def test_an_integer_beyond_64_bits_is_refused_as_data(n):
    for way in (
        lambda: xg.to_device(n, "cpu"),
        lambda: xg.compile(lambda w, n: w * n)(W, n),
        lambda: xg.minimize(lambda w, n: np.sum(w * n), W, (n,), method="lbfgs"),
    ):
        with pytest.raises(DTypeError, match="beyond 64 bits"):
            way()


# ── errors, and what stays as it is ──────────────────────────────────────────────────────────
def test_the_leaf_is_named_as_python_would_write_it():
    bad = np.array([None])
    for named, way in {
        r"compile: args\[1\]\['y'\]": lambda: xg.compile(lambda w, d: w)(W, {"y": bad}),
        r"compile: kwargs\['d'\]\[0\]": lambda: xg.compile(lambda w, d: w)(W, d=(bad,)),
        r"minimize: data\[1\]\['y'\]": lambda: xg.minimize(np.sum, W, (W, {"y": bad}), method="lbfgs"),
        r"minimize: params\['W'\]": lambda: xg.minimize(np.sum, {"W": bad}, method="lbfgs"),
        r"to_device: tree\[0\]": lambda: xg.to_device([bad], "cpu"),
        r"grad: argument 0\['W'\]": lambda: xg.grad(np.sum)({"W": bad}),
        r"jvp: tangents\[0\]": lambda: xg.jvp(np.sin, (W,), (bad,)),
        r"pullback: the cotangent": lambda: xg.vjp(np.sin, W)[1](bad),
        r"multiply: operand 1": lambda: xg.grad(lambda w: np.sum(w * bad))(W),
    }.items():
        with pytest.raises(DTypeError, match=named):
            way()


def test_a_memory_map_stays_one_and_is_read_by_every_way_in(tmp_path):
    x = mapped(tmp_path)
    assert xg.to_device(x, "cpu") is x
    for way in WAYS.values():
        same(way(x), way(np.array(F)))


def test_arrays_of_numbers_come_in_uncopied():
    for make in (lambda: np.array(F), lambda: np.array(F[::-1])[::-1], unaligned, read_only):
        x = make()
        assert xg.to_device(x, "cpu") is x


def test_a_compiled_function_that_knows_an_array_still_looks_at_other_dtypes():
    f = xg.compile(xg.grad(lambda w, d: np.sum(w * d)))
    np.testing.assert_array_equal(f(W, np.array(F)), F)
    np.testing.assert_array_equal(f(W, np.array(F, ">f8")), F)
    np.testing.assert_array_equal(f(W, np.array([4.0, 5.0, 6.0], ">f8")), [4.0, 5.0, 6.0])
    np.testing.assert_array_equal(f(W, pd.Series([7.0, 8.0, 9.0])), [7.0, 8.0, 9.0])
    with pytest.raises(DTypeError):
        f(W, np.array(F, object))
    np.testing.assert_array_equal(f(W, np.array(F)), F)


def test_a_fit_to_objects_or_masked_entries_does_not_converge_at_the_start():
    y = np.ma.masked_equal([1.0, -999.0, 3.0], -999.0)
    objects = pd.DataFrame({"a": F, "b": [True, False, True]}).to_numpy()
    for data in (y, objects, pd.DataFrame({"a": F, "b": [True, False, True]})):
        for fit in (
            lambda d: xg.minimize(lambda w, d: np.mean((d - w) ** 2), 0.0, (d,), method="lbfgs"),
            lambda d: xg.minimize(lambda w: np.mean((w - d) ** 2), 0.0, method="lbfgs"),
            lambda d: xg.minimize(lambda w: np.mean((d - w) ** 2), 0.0, method="lbfgs"),
        ):
            with pytest.raises((DTypeError, TraceError)):
                fit(data)


def test_an_index_of_text_says_that_arrays_have_no_columns_by_name():
    frame = pd.DataFrame({"a": F, "b": F})
    np.testing.assert_array_equal(xg.grad(lambda w, df: np.sum(w * df["a"]))(W, frame), F)
    with pytest.raises(DTypeError, match="columns") as caught:
        xg.compile(xg.grad(lambda w, df: np.sum(w * df["a"])))(W, frame)
    assert 'df["a"]' in str(caught.value)


@pytest.mark.parametrize("index", ["masked", "Series", "Arrow", "objects"])
def test_indices_come_in_by_the_same_door(index):
    make = {
        "masked": lambda: np.ma.array([True, False, True], mask=[0, 0, 1]),
        "Series": lambda: pd.Series([True, False, True], dtype="boolean"),
        "Arrow": lambda: pa.array([0, 2]),
        "objects": lambda: np.array([0, 2], object),
    }[index]
    f = lambda w: np.sum(w[make()] ** 2)
    if index in ("masked", "objects"):
        with pytest.raises(DTypeError):
            xg.grad(f)(W)
    else:
        np.testing.assert_array_equal(xg.grad(f)(W), 2 * W * [1, 0, 1])
