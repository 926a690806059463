"""A compiled function of sources has the bits of the same arrays in memory, whatever is read when."""

import re

import numpy as np
import pytest

import xpgrad as xg
from data.samples import NAMES, M, needs_llvm
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm import streamed
from xpgrad.data.reading import Kept, Pass, Piece
from xpgrad.data.source import ChunkSource

pytestmark = needs_llvm


def logistic(w, X, y):
    z = X @ w
    return -np.mean(y * np.log(1 / (1 + np.exp(-z))) + (1 - y) * np.log(1 - 1 / (1 + np.exp(-z))))


def standardised(w, X, y):
    return logistic(w, (X - X.mean(0)) / X.std(0), y)


def of_cities(w, X, y, city):
    return np.mean((X @ w[0] + w[1][city] - y) ** 2)


W = np.array([0.5, -0.25, 0.125])


@pytest.fixture
def table(folder):
    return xg.data.parquet(str(folder / "part*.parquet"))


def bits(result):
    return [np.asarray(x).tobytes() for x in xg._trees.flatten(result)[0]]


@pytest.mark.parametrize(
    ("loss", "piece"),  # many pieces in a chunk, a few, one
    [(logistic, 1 << 12), (logistic, 1 << 15), pytest.param(standardised, 1 << 14, marks=pytest.mark.slow)],
)
def test_the_bits_are_those_of_the_arrays_in_memory(loss, piece, samples, folder, table, monkeypatch):
    monkeypatch.setattr(streamed, "PIECE", piece)
    X, y, _ = samples
    expected = bits(xg.compile(xg.value_and_grad(loss))(W, X, y))
    for threads in (1, 3):
        step = xg.compile(xg.value_and_grad(loss), threads=threads)
        for given in ((table[NAMES], table["y"]), (xg.data.npy(folder / "fortran.npy"), y)):
            assert [bits(step(W, *given)), bits(step(W, *given))] == [expected, expected]


def test_the_bits_of_rows_and_of_columns_are_those_of_arrays_that_lie_so(samples, folder):
    X, y, _ = samples
    step = xg.compile(xg.value_and_grad(logistic))
    assert bits(step(W, xg.data.npy(folder / "rows.npy"), y)) == bits(step(W, np.ascontiguousarray(X), y))
    step = xg.compile(xg.value_and_grad(lambda w, X, y: logistic(w, X.T, y)))
    columns = xg.data.npy(folder / "columns.npy", axis=-1)
    assert bits(step(W, columns, y)) == bits(step(W, np.ascontiguousarray(X.T), y))


@pytest.mark.parametrize(
    "method", ["lbfgs", *(pytest.param(m, marks=pytest.mark.slow) for m in ("newton", "newton_cg", "adam"))]
)
def test_a_fit_has_the_bits_of_the_fit_in_memory(method, samples, table):
    X, y, _ = samples
    expected = xg.minimize(standardised, W, (X, y), method=method, max_iter=5)
    fit = xg.minimize(
        standardised, W, (table[NAMES], table["y"]), method=method, max_iter=5, memory_limit="8MB"
    )
    assert bits((fit.params, fit.value)) == bits((expected.params, expected.value))
    assert fit.n_iter == expected.n_iter


def test_codes_of_a_column_of_texts_choose_coefficients(samples, table):
    X, y, _ = samples
    step = xg.compile(xg.value_and_grad(of_cities))
    w = (W, np.array([0.1, 0.2, 0.3, 0.4]))
    codes = table["city"]
    expected = step(w, X, y, codes.read())
    assert bits(step(w, table[NAMES], table["y"], codes)) == bits(expected)
    with pytest.raises(
        xg.OutOfBoundsError, match=r"an index is outside its axis, in samples 0 to [^$]*of_cities|w\[1\]"
    ):
        step((W, np.ones(3)), table[NAMES], table["y"], codes)


def test_explain_says_how_often_sources_are_read(samples, table):
    X, y, _ = samples
    text = xg.compile(standardised).explain(W, table[NAMES], table["y"])
    regions = xg.compile(standardised).explain(W, X, y).count("one loop over")
    assert regions >= 3
    assert f"sources are read {regions} times, once for each region" in text
    assert "part0.parquet and 1 more: x0, x1, x2 once, in" in text
    small = xg.data.from_chunks(lambda i: np.ones(10), [10])
    assert "the sources are small and are read whole, once" in xg.compile(np.mean).explain(small)


def test_what_a_fit_needs_of_the_data_alone_is_read_once(samples):
    X, y, _ = samples
    asked = []

    def chunk(i):
        asked.append(i)
        return X[i * 10_000 : (i + 1) * 10_000]

    source = xg.data.from_chunks(chunk, [10_000] * 7 + [1], (3,))
    fit = xg.minimize(standardised, W, (source, y), method="lbfgs", max_iter=4)
    asked.clear()
    assert fit.n_iter == 4
    xg.minimize(standardised, W, (source, y), method="lbfgs", max_iter=4, memory_limit="100MB")
    assert len(asked) <= 3 * 8 + 8  # of mean, variance and the first step; then all of it is in memory


# ── refused before anything is read ──────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda w, X: np.sum(np.sort(X, axis=0) @ w), "argsort|sort"),
        (lambda w, X: np.sum((X[1:] - X[:-1]) @ w), "subtract reads other samples"),
        (lambda w, X: np.sum(X[::2] @ w), "dot reads other samples"),
        (lambda w, X: np.sum(np.cumsum(X @ w)), "cumsum needs the values of all samples"),
    ],
)
def test_what_is_no_sum_over_samples_is_refused_by_name_before_anything_is_read(function, name):
    def chunk(i):
        raise AssertionError("it was read")

    source = xg.data.from_chunks(chunk, [50_000] * 2, (3,))
    with pytest.raises(xg.TraceError, match=f"(?s)({name}).*no sum over the samples.*test_streaming.py"):
        xg.compile(function)(W, source)
    with pytest.raises(xg.TraceError, match=name):
        xg.minimize(function, W, (source,), method="lbfgs")


def test_what_no_kernel_computes_is_refused_with_the_reason():
    def chunk(i):
        raise AssertionError("it was read")

    source = xg.data.from_chunks(chunk, [50_000], (64,))
    with pytest.raises(xg.TraceError, match="dot of a source is computed by no kernel: large matrices"):
        xg.compile(lambda w, X: np.sum(np.tanh(X @ w)))(np.ones((64, 256)), source)


def test_a_value_for_each_sample_is_a_result_or_kept_between_regions_within_the_limit(samples, table):
    X = samples[0]
    predict, centred = lambda w, X: np.exp(X @ w), lambda w, X: np.mean((X @ w - np.mean(X @ w)) ** 2)
    assert bits(xg.compile(predict)(W, table[NAMES])) == bits(xg.compile(predict)(W, X))
    step = xg.compile(centred, memory_limit="10MB")
    assert bits(step(W, table[NAMES])) == bits(xg.compile(centred)(W, X))
    with pytest.raises(
        xg.DataError, match=r"(?s)memory_limit of 1 MB is less than twice what is kept for each"
    ):
        xg.compile(centred, memory_limit="1MB")(W, table[NAMES])


def test_sources_of_different_lengths_are_refused(table, folder):
    with pytest.raises(xg.ShapeError):
        xg.compile(logistic)(W, table[NAMES], xg.data.parquet(folder / "part0.parquet")["y"])


def test_without_kernels_sources_are_refused(table):
    with choose.use("interpreter"), pytest.raises(xg.DependencyError, match=r"xpgrad\[cpu\]"):
        xg.compile(logistic)(W, table[NAMES], table["y"])
    with pytest.raises(ValueError, match="compile=False"):
        xg.minimize(logistic, W, (table[NAMES], table["y"]), method="lbfgs", compile=False)
    with xg.debug(nans=True), pytest.raises(xg.TraceError, match="an argument is a source"):
        xg.compile(logistic)(W, table[NAMES], table["y"])


# ── memory ───────────────────────────────────────────────────────────────────────────────────
def counted(m=40_000, blocks=40):
    asked = []

    def chunk(i):
        asked.append(i)
        return np.full(m // blocks, float(i))

    return xg.data.from_chunks(chunk, [m // blocks] * blocks), asked


def of_pass(source, kept, capacity=1_000):
    pieces = [Piece(b, b + capacity) for b in range(0, source.samples, capacity)]
    with Pass([source], capacity, pieces, 1, kept) as read:
        for piece in pieces:
            (x,) = buffers = read.take(piece)
            assert (x[0], x[-1]) == (piece.begin // 1_000, (piece.end - 1) // 1_000)
            read.give(piece, buffers)


def test_what_fits_stays_in_memory_and_the_rest_is_read_again(monkeypatch):
    monkeypatch.setattr("xpgrad.data.reading._WORTH", float("inf"))  # all cost the same, but for noise
    source, asked = counted()
    reserved = 4 * source.block_bytes + 3 * 8_000
    for room, again in ((40, 0), (10, 30), (0, 40)):
        kept = Kept(reserved + room * 8_000)
        of_pass(source, kept)
        asked.clear()
        of_pass(source, kept)
        assert len(asked) == again
        assert kept._bytes == room * 8_000


def test_the_pieces_that_cost_most_to_read_are_kept():
    kept = Kept(100)
    kept.leave(0)
    source, _ = counted()
    assert kept.offer("cheap", [source], "a", 60, 1.0)
    assert not kept.offer("as cheap", [source], "b", 60, 1.2)
    assert kept.offer("dear", [source], "c", 60, 5.0)
    assert (kept.find("cheap"), kept.find("dear")) == (None, "c")
    kept.leave(50)
    assert kept.find("dear") is None


def test_a_limit_that_no_piece_fits_in_is_an_error_with_what_is_needed(table):
    with pytest.raises(
        xg.DataError, match=r"(?s)memory_limit of 0 MB is less than reading takes.*MB for two blocks"
    ):
        xg.compile(logistic, memory_limit="100kB")(W, table[NAMES], table["y"])


def test_an_error_of_a_reader_reaches_the_caller(samples):
    def chunk(i):
        if i == 5:
            raise OSError("no such device")
        return samples[0][i * 10_000 : (i + 1) * 10_000]

    source = xg.data.from_chunks(chunk, [10_000] * 7 + [1], (3,))
    with pytest.raises(xg.DataError, match="no such device"):
        xg.compile(logistic)(W, source, samples[1])


# ── minibatches ──────────────────────────────────────────────────────────────────────────────
def test_each_epoch_of_minibatches_has_every_sample_once_in_a_new_order():
    from xpgrad.optim.source_batches import SourceBatches

    m = 200_000
    source = xg.data.from_chunks(lambda i: np.arange(i * 20_000.0, (i + 1) * 20_000), [20_000] * 10)
    data = (source, np.arange(m), 2.0)
    orders = []
    for seed in (0, 0, 1):
        batches = SourceBatches(data, 3_000, -1, seed, 1 << 30)
        for _ in range(2):
            found = [batch for batch, _ in batches.epoch()]
            assert [len(x) for x, _, _ in found] == [3_000] * (m // 3_000) + [m % 3_000]
            assert all((x == y).all() and z == 2.0 for x, y, z in found)
            orders.append(np.concatenate([x for x, _, _ in found]))
            np.testing.assert_array_equal(np.sort(orders[-1]), np.arange(m))
    assert (orders[0] == orders[2]).all()
    assert (orders[1] == orders[3]).all()
    assert all((orders[0] != other).any() for other in (orders[1], orders[4], np.arange(m)))


def test_minibatches_have_the_same_bits_whatever_the_limit_and_go_on_from_a_checkpoint(table, tmp_path):
    def fit(passes, **more):
        data = (table[NAMES], table["y"])
        return xg.minimize(logistic, W, data, method="adam", batch_size=5_000, max_iter=passes, **more)

    expected = bits(fit(3).params)
    assert bits(fit(3, memory_limit="12MB").params) == expected
    fit(1, checkpoint=tmp_path / "fit.npz")
    assert bits(fit(3, checkpoint=tmp_path / "fit.npz").params) == expected
    with pytest.raises(xg.DataError, match="which shuffling by blocks takes"):
        fit(1, memory_limit="1MB")


def test_a_checkpoint_knows_the_files_by_their_digest(table, folder, tmp_path):
    def fit(X, y):
        return xg.minimize(logistic, W, (X, y), method="lbfgs", max_iter=2, checkpoint=tmp_path / "fit.npz")

    first = fit(table[NAMES], table["y"])
    assert bits(fit(table[NAMES], table["y"]).params) == bits(first.params)
    with pytest.raises(xg.DataError, match="belongs to another fit"):
        fit(table[["x1", "x0", "x2"]], table["y"])


def test_a_source_that_is_changed_between_two_calls_is_refused(samples, tmp_path):
    np.save(tmp_path / "X.npy", samples[0])
    step = xg.compile(logistic)
    source = xg.data.npy(tmp_path / "X.npy")
    step(W, source, samples[1])
    np.save(tmp_path / "X.npy", samples[0] + 1)
    with pytest.raises(xg.DataError, match=r"X\.npy has changed"):
        step(W, source, samples[1])


def test_a_demand_of_the_loss_on_its_data_is_checked_over_sources(table):
    labels = xg.data.from_chunks(lambda i: np.full(M, 2.0), [M])
    loss = lambda w, X, y: xg.losses.binary_cross_entropy(X @ w, y)
    with pytest.raises(xg.DataError, match="labels"):
        xg.minimize(loss, W, (table[NAMES], labels), method="lbfgs")
    assert isinstance(labels, ChunkSource)


LOSSES = {
    "softmax": lambda w, X: np.mean(xg.special.logsumexp(X @ np.outer(w, w), axis=1)),
    "many classes": lambda w, X: np.sum(np.tanh(X @ np.outer(w, w))),
    "all entries": lambda w, X: np.sum(np.sin(X) * w),
    "maxima": lambda w, X: np.sum(np.max(X * w, axis=0)),
    "one column": lambda w, X: np.mean(np.exp(X[:, 1] * w[0]) + X[:, :1] @ w[:1]),
    "a sum over samples and one over features": lambda w, X: np.sum(np.sum(X * X, 0) * w) + np.sum(X**2 @ w),
    "two regions": lambda w, X: np.mean((X @ w - np.mean(X @ w)) ** 2),
}


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "dtype"), [("rows", np.float32), ("columns", np.float64)])
@pytest.mark.parametrize("name", LOSSES)
def test_the_bits_of_many_losses_are_those_in_memory(name, dtype, layout, monkeypatch):
    monkeypatch.setattr(streamed, "PIECE", 40_000)
    monkeypatch.setattr(choose, "READ_WHOLE", 0)
    rng = np.random.default_rng(1)
    X = np.asarray(rng.normal(size=(150_003, 3)), dtype, order="C" if layout == "rows" else "F")
    w = np.array([0.5, -0.25, 0.75], dtype)
    blocks = [(begin, min(begin + 20_011, len(X))) for begin in range(0, len(X), 20_011)]
    source = ChunkSource(lambda i: X[slice(*blocks[i])], (), "X", X.shape, dtype, blocks, layout=layout)
    step = xg.compile(xg.value_and_grad(LOSSES[name]))
    assert bits(step(w, source)) == bits(step(w, X))
    assert re.search(r"in ([4-9]\d|\d\d\d+) pieces", step.explain(w, source))
