"""Codes that choose entries of a table, compiled: values, gradients, bounds, bits of several threads."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.ops.indexing import ARRAY, scatter_add
from xpgrad.testing import assert_agrees, tolerance

RNG = np.random.default_rng(5)
M = 97
Y = RNG.normal(size=M)


def drawn(low, high, size, dtype=np.int64):
    return RNG.integers(low, high, size).astype(dtype)


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("of_codes", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32])
def test_a_table_and_its_gradient_for_codes_of_each_dtype(compiler, of_codes, dtype):
    if compiler.name == "cuda" and of_codes not in (np.int8, np.uint32, np.int64):
        return
    least = -7 if np.dtype(of_codes).kind == "i" else 0
    codes, w, y = drawn(least, 7, M, of_codes), np.linspace(-1, 2, 7).astype(dtype), Y.astype(dtype)
    value, gradient = compiler.compile(xg.value_and_grad(lambda w: np.sum((w[codes] - y) ** 2)))(w)
    apart = w.astype(float)[codes] - y
    assert_agrees(value, np.sum(apart**2), dtype)
    assert_agrees(gradient, np.bincount(codes.astype(int) % 7, 2 * apart, 7), dtype)


CODES = drawn(-4, 4, M)
COLUMNS = np.stack([drawn(-4, 4, M, np.int32), drawn(0, 4, M, np.int32)], axis=1)
HOT = np.eye(4)[CODES]
TABLE = np.linspace(-1, 1, 12).reshape(4, 3)
SCALE = RNG.normal(size=(M, 3))

# A function of a table of 4 rows, and the same by products with one-hot rows.
READS = {
    "rows": (lambda E: E[CODES] * SCALE, lambda E: (HOT @ E) * SCALE),
    "columns": (lambda E: E.T[:, CODES] * SCALE.T, lambda E: (E.T @ HOT.T) * SCALE.T),
    "take": (lambda E: np.take(E.T, CODES, axis=1) * SCALE.T, lambda E: (E.T @ HOT.T) * SCALE.T),
    "a table that is computed": (lambda E: np.exp(E - np.mean(E))[CODES] * SCALE,
                                 lambda E: (HOT @ np.exp(E - np.mean(E))) * SCALE),
    "a view of a table": (lambda E: E[::-1, 1][CODES] * Y, lambda E: (HOT @ E[::-1, 1]) * Y),
    "a column of codes": (lambda E: E[COLUMNS[:, 1], :] * SCALE,
                          lambda E: (np.eye(4)[COLUMNS[:, 1]] @ E) * SCALE),
    "a matrix of codes": (lambda E: np.sum(np.sin(E[COLUMNS]), axis=1) * SCALE,
                          lambda E: np.sum(np.sin(np.eye(4)[COLUMNS] @ E), axis=1) * SCALE),
    "several tables": (lambda E: E[:, 0][CODES] * Y + E[:, 1][COLUMNS[:, 0]] * E[:, 2][CODES],
                       lambda E: (HOT @ E[:, 0]) * Y + (np.eye(4)[COLUMNS[:, 0]] @ E[:, 1]) * (HOT @ E[:, 2])),
    "a product": (lambda E: (E[CODES] @ np.ones(3)) * Y, lambda E: (HOT @ E @ np.ones(3)) * Y),
    "a row of one entry": (lambda E: np.exp(E[:1, 0])[np.zeros(M, int)] * Y, lambda E: np.exp(E[0, 0]) * Y),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_reads_at_codes_are_products_with_one_hot_rows(compiler, name):
    read, product = READS[name]
    f = xg.value_and_grad(lambda E: np.sum(np.tanh(read(E))))
    wanted = xg.value_and_grad(lambda E: np.sum(np.tanh(product(E))))(TABLE)
    for got, want in zip(compiler.compile(f)(TABLE), wanted, strict=True):
        assert_agrees(got, want, np.float64)


def test_codes_and_tables_are_arguments(compiler):
    def loss(tables, codes, y):
        z = tables["a"][codes["a"]] + tables["b"][codes["b"]]
        return np.mean(np.logaddexp(0, z) - y * z)

    tables = {"a": TABLE[:, 0].copy(), "b": TABLE[:3, 1].copy()}
    codes = {"a": CODES, "b": COLUMNS[:, 1] % 3}
    y = (Y > 0).astype(float)
    value, gradient = compiler.compile(xg.value_and_grad(loss))(tables, codes, y)
    z = tables["a"][codes["a"]] + tables["b"][codes["b"]]
    apart = (1 / (1 + np.exp(-z)) - y) / M
    assert_agrees(value, np.mean(np.logaddexp(0, z) - y * z), np.float64)
    for k, n in (("a", 4), ("b", 3)):
        assert_agrees(gradient[k], np.bincount(codes[k] % n, apart, n), np.float64)


def test_codes_that_the_loop_computes(compiler):
    y, w = Y, TABLE[:, 0].copy()
    got = compiler.compile(xg.value_and_grad(lambda w: np.sum(w[np.where(y > 0, 1, -1)] * y)))(w)
    gradient = np.array([0, y[y > 0].sum(), 0, y[y <= 0].sum()])
    assert_agrees(got[0], w @ gradient, np.float64)
    assert_agrees(got[1], gradient, np.float64)


def test_a_value_of_the_loop_is_read_at_codes_of_its_own_length(compiler):
    order = RNG.permutation(M)
    got = compiler.compile(xg.grad(lambda x: np.sum(np.sin(x) * np.sin(x)[order] * Y)))(Y)
    back = np.argsort(order)
    assert_agrees(got, np.cos(Y) * (np.sin(Y)[order] * Y + np.sin(Y)[back] * Y[back]), np.float64)


@pytest.mark.parametrize("shape", [(M,), (1,), ()])
def test_what_is_added_by_codes_may_be_the_same_for_all(compiler, shape):
    g = np.full(shape, 0.5)
    got = compiler.compile(lambda g: scatter_add(np.exp(g), CODES, index=(ARRAY,), shape=(4,)))(g)
    assert_agrees(got, np.exp(0.5) * np.bincount(CODES % 4, minlength=4), np.float64)


def test_a_category_without_samples_has_no_gradient(compiler):
    w, none = np.ones(4), np.zeros(0, np.int64)
    f = xg.value_and_grad(lambda w, codes: np.sum(np.exp(w)[codes]))
    value, gradient = compiler.compile(f)(w, none)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(4))


def test_sums_of_numpys_by_code_are_compiled(compiler):
    def f(g):
        added = np.zeros_like(g, shape=(4,))
        np.add.at(added, CODES, np.exp(g))
        return added + np.bincount(CODES % 4, weights=np.sin(g), minlength=4)

    got = compiler.compile(f)(Y)
    assert_agrees(got, np.bincount(CODES % 4, np.exp(Y) + np.sin(Y)), np.float64)


def test_the_length_of_a_bincount_is_not_known_while_its_codes_are_not(compiler):
    with pytest.raises(xg.TraceError, match="bincount: decided by the data"):
        compiler.compile(lambda g, codes: np.bincount(codes, weights=g))(Y, CODES % 4)


def test_a_bincount_needs_a_weight_for_each_code():
    with pytest.raises(xg.ShapeError, match=r"bincount: needs a weight for each code(?s:.*)float64\[97\]"):
        xg.grad(lambda g: np.sum(np.bincount([0, 1], weights=g)))(Y)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_large_table_is_added_to_as_numpy_does(compiler, rows):
    if compiler.name == "cuda":
        return
    k, m = 30_000, 5000
    codes, g = drawn(-k, k, m), RNG.normal(size=(m, 2) if rows == 2 else m)
    table = np.zeros((k, 2) if rows == 2 else k)
    got = compiler.compile(xg.grad(lambda E: np.sum(E[codes] * np.exp(g))))(table)
    np.add.at(table, codes, np.exp(g))
    assert_agrees(got, table, np.float64)


def test_a_large_table_is_as_exact_as_a_bincount(compiler):
    """One category has nearly all samples; in float32 their sum would lose three digits."""
    if compiler.name not in ("definition", "llvm"):  # the library's, which adds in float32
        return
    m, k = 200_000, 30_000
    codes, g = np.zeros(m, np.int64), np.full(m, 0.1, np.float32)
    codes[: m // 10] = np.arange(m // 10) % k
    got = compiler.compile(xg.grad(lambda w, g: np.sum(w[codes] * g)))(np.zeros(k, np.float32), g)
    wanted = np.bincount(codes, g, k)
    assert got.dtype == np.float32
    np.testing.assert_array_less(np.abs(got - wanted), tolerance(np.float32).value * (wanted + 1) / 20)


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.parametrize("bad", [5, -6, 1 << 20, -(1 << 20)])
@pytest.mark.parametrize("m", [40, 50_000])
def test_a_code_outside_is_numpys_error_at_the_users_line(generator, bad, m):
    if generator.name in ("cuda", "gpu"):  # CuPy wraps an index
        return
    step = generator.compile(xg.value_and_grad(lambda w, c, y: np.sum((w[c] - y) ** 2)))
    w, codes, y = np.ones(5), np.arange(m, dtype=np.int32) % 5, np.zeros(m)
    assert step(w, codes, y)[0] == m
    codes[m // 2] = bad
    with pytest.raises(
        IndexError, match=rf"getitem: index {bad} is out of bounds for axis 0 with size 5(?s:.*)w\[c\]"
    ):
        step(w, codes, y)
    codes[m // 2] = -5
    assert step(w, codes, y)[0] == m


def _loss(tables, codes, X, y):
    z = X @ tables[0]
    for k, c in enumerate(codes, 1):
        t = tables[k][c]
        z = z + (t if t.ndim == 1 else np.sum(t, axis=1))
    return np.mean(np.logaddexp(0, z) - y * z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_two_and_seven_threads_give_the_same_bytes(threaded, dtype):
    """Tables that each chunk has a copy of, and one that is too large for that."""
    m, sizes = 150_000, [3, 400, 60_000, (20_000, 4)]
    rng = np.random.default_rng(1)
    tables = [rng.normal(size=n).astype(dtype) for n in (5, *sizes)]
    codes = [rng.integers(0, n if isinstance(n, int) else n[0], m).astype(np.int32) for n in sizes]
    X = rng.normal(size=(m, 5)).astype(dtype)
    y = (rng.random(m) < 0.5).astype(dtype)
    found = set()
    for threads in (1, 2, 7):
        out = threaded.compile(xg.value_and_grad(_loss), threads=threads)(tables, codes, X, y)
        found.add(b"".join(np.asarray(v).tobytes() for v in flatten(out)[0]))
    assert len(found) == 1
    z = X @ tables[0] + sum(np.reshape(t[c], (m, -1)).sum(1) for t, c in zip(tables[1:], codes, strict=True))
    apart = (1 / (1 + np.exp(-z.astype(float))) - y) / m
    for gradient, c, n in zip(out[1][1:4], codes, sizes, strict=False):
        assert_agrees(gradient, np.bincount(c, apart, n), dtype)


def test_explain_says_of_a_large_table_why_it_has_a_step_of_its_own(generator):
    codes = np.arange(100_000) % 20_000
    text = generator.explain(xg.grad(lambda w: np.sum(w[codes] ** 2)), np.ones(20_000))
    assert "without a loop over tiles (a table is too large for a copy in each chunk)" in text


def test_explain_says_why_a_cuda_kernel_does_not_add_to_a_table(for_cuda):
    m, k = 400_000, 3000
    codes, y = np.arange(m) % k, np.ones(m)
    text = for_cuda.explain(xg.grad(lambda w: np.sum(np.exp(w[codes] * y))), np.ones(k))
    assert "scatter_add to a table of 3000 entries is the library's, which adds in any order" in text


def test_explain_says_that_one_loop_reads_and_adds_by_codes(generator):
    def loss(w, c, y):
        return np.mean((w[c] - y) ** 2)

    m = 300_000
    text = generator.explain(xg.value_and_grad(loss), np.ones(5), np.arange(m) % 5, np.zeros(m))
    assert "reads input 1 int64[300000] once" in text
    assert "sums scatter_add float64[5]" in text


@pytest.mark.rotated
@pytest.mark.parametrize("m", [M, 70_000])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint16])
def test_counts_are_integers(compiler, dtype, m):
    """Integers are added as NumPy adds them, and wrap as its do."""
    codes = np.random.default_rng(0).integers(0, 5, m)
    add = (codes + 1).astype(dtype)

    def counts(codes, add):
        table = np.zeros_like(add, shape=(5,))
        np.add.at(table, codes, add)
        return table

    found = compiler.compile(counts)(codes, add)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, counts(codes, add))
