"""What has no derivative passes through; what has one keeps it; what would lose it is refused."""

import io

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import check_grads, close, tolerance

EXACT = tolerance(np.float64).value
X = np.array([0.3, -1.2, 0.8, 2.5, -0.4, 1.7])
S = np.arange(9.0).reshape(3, 3) + 0.5
WITH_NAN = np.array([0.3, np.nan, 0.8])

BY_SHAPE = {
    "result_type": lambda x: np.result_type(x, np.float32) == np.float64,
    "can_cast": lambda x: np.can_cast(x.dtype, np.float32),
    "common_type": lambda x: np.common_type(x) is np.float64,
    "diag_indices_from": lambda x: np.diag_indices_from(x)[0].tolist(),
    "tril_indices_from": lambda x: np.tril_indices_from(x)[1].tolist(),
    "triu_indices_from": lambda x: np.triu_indices_from(x, 1)[1].tolist(),
    "einsum_path": lambda x: np.einsum_path("ij,jk", x, x)[0],
}
BY_NUMBERS = {
    "array_equiv": lambda x: np.array_equiv(x, x),
    "shares_memory": lambda x: np.shares_memory(x, X),
    "nanargmax": lambda x: int(np.nanargmax(x)),
    "np.testing": lambda x: (
        np.testing.assert_allclose(x, np.asarray(S)),
        np.testing.assert_array_equal(x, x),
        np.testing.assert_array_less(x, x + 1),
        np.testing.assert_approx_equal(x[0, 0], 0.5),
    ),
    "round": lambda x: (round(x[0, 1]), round(x[0, 1] * 1.1, 1) == 1.6),
    "format": lambda x: f"{x[0, 1]:.3f}",
}


@pytest.mark.parametrize("ask", [*BY_SHAPE.values(), *BY_NUMBERS.values()], ids=[*BY_SHAPE, *BY_NUMBERS])
def test_an_answer_is_numpys_and_leaves_the_derivative_alone(ask):
    answers = []

    def f(x):
        answers.append(ask(x))
        return np.sum(x)

    assert close(xg.grad(f)(S), np.ones((3, 3)), EXACT)
    assert answers == [ask(S)]


@pytest.mark.parametrize("ask", BY_SHAPE.values(), ids=BY_SHAPE)
def test_what_asks_for_shapes_alone_compiles(ask):
    answers = []

    def f(x):
        answers.append(ask(x))
        return np.sum(x)

    assert xg.compile(f)(S) == S.sum()
    assert answers[0] == ask(S)


def test_saving_writes_the_numbers():
    def f(x):
        y = x * 2
        np.save(file, y)
        np.savetxt(text, y)
        return np.sum(y)

    file, text = io.BytesIO(), io.StringIO()
    assert close(xg.grad(f)(X), 2 * np.ones(6), EXACT)
    file.seek(0)
    assert np.array_equal(np.load(file), 2 * X)
    assert np.allclose(np.loadtxt(io.StringIO(text.getvalue())), 2 * X)
    with pytest.raises(xg.TraceError, match="save: decided by the data"):
        xg.compile(f)(X)


def test_a_failing_numpy_test_fails_with_numpys_message():
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        xg.grad(lambda x: (np.testing.assert_allclose(x, 2 * X), np.sum(x))[1])(X)


# ── entries and their order ──────────────────────────────────────────────────────────────────
def written(index, value):
    def f(x):
        y = x * 1
        y.flat[index] = value(x)
        return y

    return f


def flooded(x):
    y = x * 1
    y.flat = x[0, 0]
    return y


ENTRIES = {
    "flat[i]": lambda x: x.flat[4] * x.flat[1],
    "flat[i:j]": lambda x: x.flat[2:7],
    "iteration over flat": lambda x: sum(v * v for v in x.flat),
    "np.array(flat)": lambda x: np.array(x.flat),
    "flat[i] = v": written(4, lambda x: x[0, 1] ** 2),
    "flat[i:j] = v": written(slice(1, 8), lambda x: x[0] ** 2),
    "flat = v": flooded,
    "compress": lambda x: x.compress([True, False, True], axis=1),
    "argpartition": lambda x: np.take_along_axis(x, x.argpartition(1, axis=1), 1),
    "out=": lambda x: np.sum(x * x, axis=0, out=np.zeros_like(x[0])),
    "cumsum out=": lambda x: (x * x).cumsum(axis=0, out=np.zeros_like(x)),
    "unique along an axis": lambda x: np.unique(x, axis=0),
    "lexsort": lambda x: x[np.lexsort((x[:, 0], -x[:, 1]))],
    "modf": lambda x: np.modf(x)[0] * np.modf(x)[1],
    "bincount": lambda x: np.bincount([0, 2, 0], weights=x[1], minlength=5),
    "union1d": lambda x: np.union1d(x[0], [0.1]),
    "a mask and out=": lambda x: np.log(x, out=np.zeros_like(x), where=S > 3),
}


@pytest.mark.parametrize("f", ENTRIES.values(), ids=ENTRIES)
def test_entries_keep_their_derivative(f):
    value, _ = xg.vjp(f, S)
    assert close(value, f(S), EXACT)
    check_grads(f, (S,))


def test_base_is_the_array_that_a_view_looks_into():
    bases = []

    def f(x):
        bases.append((x.base, x[:2].base is x, (x * 1).base))
        return np.sum(x)

    xg.grad(f)(X)
    assert bases == [(None, True, None)]


def test_rounding_an_array_is_refused_as_by_numpy():
    with pytest.raises(TypeError, match="round"):
        round(X)
    with pytest.raises(TypeError, match=r"np\.round"):
        xg.grad(lambda x: round(x).sum())(X)


def test_a_percent_sign_names_the_format_that_works():
    with pytest.raises(xg.TraceError, match=r'f"\{x:.3f\}"'):
        xg.grad(lambda x: ("%.3f" % x[0], x.sum())[1])(X)  # noqa: UP031


def test_out_in_a_plain_array_names_the_remedy():
    with pytest.raises(xg.TraceError, match=r"np\.zeros_like"):
        xg.grad(lambda x: np.add(x, 1, out=np.zeros(6)).sum())(X)


# ── pieces ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_piece_that_is_not_taken_leaves_no_nan(compiled):
    def f(x):
        return np.sum(np.piecewise(x, [x > 0], [lambda t: np.sqrt(t) * np.log(t), lambda t: t * t]))

    made = xg.compile if compiled else lambda f: f
    value, g = made(xg.value_and_grad(f))(X)
    up = np.abs(X)
    assert close(value, np.sum(np.where(X > 0, np.sqrt(up) * np.log(up), X * X)), EXACT)
    assert close(g, np.where(X > 0, (np.log(up) / 2 + 1) / np.sqrt(up), 2 * X), EXACT)


def test_pieces_have_arguments_and_a_default():
    x = np.array([-2.0, 0.5, 3.0])
    f = lambda x: np.piecewise(x, [x < 0, x > 1], [lambda t, k: k * t, lambda t, k: t**k, 7.0], 3)
    value, pull = xg.vjp(f, x)
    assert close(value, [-6.0, 7.0, 27.0], EXACT)
    assert close(pull(np.ones(3))[0], [3.0, 0.0, 27.0], EXACT)


# ── quantiles ────────────────────────────────────────────────────────────────────────────────
W = np.array([0.5, 1.5, 0.0, 2.0, 1.0, 0.7])


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("q", [0.0, 0.3, 1.0, [0.2, 0.9], [[0.1], [0.5]]])
def test_weighted_quantiles_are_numpys(q, compiled):
    made = xg.compile if compiled else lambda f: f
    for f, x in (
        (lambda x: np.quantile(x, q, weights=W, method="inverted_cdf"), X),
        (lambda x: np.percentile(x, 50 * np.asarray(q), weights=W, method="inverted_cdf"), X),
        (lambda x: np.quantile(x, q, axis=1, weights=W[:3], method="inverted_cdf"), S),
        (lambda x: np.quantile(x, q, axis=0, weights=1 + S, method="inverted_cdf", keepdims=True), S),
        (lambda x: np.nanquantile(x, q, weights=W[:3] + 1, method="inverted_cdf"), WITH_NAN),
    ):
        assert close(made(lambda x, f=f: f(x))(x), f(x), EXACT)
        assert close(xg.vjp(f, x)[0], f(x), EXACT)


def test_the_derivative_of_a_weighted_quantile_is_that_of_its_entry():
    f = lambda x, w: np.quantile(x, 0.6, weights=w, method="inverted_cdf")
    dx, dw = xg.grad(f, (0, 1))(X, W)
    assert close(dx, (f(X, W) == X).astype(float), EXACT)
    assert close(dw, np.zeros(6), EXACT)


def test_weights_below_zero_are_refused():
    with pytest.raises(xg.DataError, match="quantile: weights must not be negative"):
        xg.grad(lambda x: np.quantile(x, 0.5, weights=W - 1, method="inverted_cdf"))(X)


LINES = "interpolated_inverted_cdf hazen weibull linear median_unbiased normal_unbiased".split()


@pytest.mark.parametrize("method", LINES)
def test_a_quantile_has_a_derivative_in_q(method):
    check_grads(lambda q: np.quantile(X, q, method=method), (np.array([0.31, 0.57]),), modes=("rev",), order=1)
    check_grads(lambda q: np.percentile(X, q, method=method), (44.0,), modes=("rev",), order=1)


@pytest.mark.parametrize("method", ["lower", "inverted_cdf", "nearest"])
def test_a_quantile_that_takes_an_entry_has_none_in_q(method):
    assert xg.grad(lambda q: np.quantile(X, q, method=method))(0.31) == 0.0


def test_slices_without_entries_have_a_quantile_of_nan():
    x = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        value, pull = xg.vjp(lambda x: np.nanquantile(x, 0.25, axis=1), x)
    assert np.array_equal(value, [1.5, np.nan], equal_nan=True)
    assert close(pull(np.array([1.0, 0.0]))[0], [[0.75, 0.0, 0.25], [0.0, 0.0, 0.0]], EXACT)


# ── histograms, padding ──────────────────────────────────────────────────────────────────────
def test_the_edges_of_a_histogram_move_with_the_extrema():
    g = xg.jacobian(lambda x: np.histogram(x, bins=4)[1])(X)
    share = np.arange(5) / 4
    assert close(g[:, np.argmax(X)], share, EXACT)
    assert close(g[:, np.argmin(X)], 1 - share, EXACT)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_weights_of_a_histogram_have_a_derivative(compiled):
    f = lambda w: np.histogram(X, bins=3, weights=w, density=True)[0]
    w = np.arange(1.0, 7.0)
    assert close((xg.compile(f) if compiled else f)(w), f(w), EXACT)
    check_grads(f, (w,))


PADS = {
    "linear_ramp": {"end_values": (1.5, -2.0)},
    "maximum": {"stat_length": ((2, 1), (3, 2))},
    "mean": {"stat_length": 2},
    "median": {},
    "minimum": {"stat_length": ((2,), (3,))},
    "reflect": {"reflect_type": "odd"},
    "symmetric": {"reflect_type": "odd"},
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("mode", PADS)
def test_padding_is_numpys_also_beyond_the_length(mode, compiled):
    x = np.random.default_rng(3).normal(size=(3, 4))
    f = lambda x: np.pad(x, ((4, 2), (0, 9)), mode=mode, **PADS[mode])
    assert close((xg.compile(f)(x) if compiled else xg.vjp(f, x)[0]), f(x), EXACT)
    check_grads(f, (x,))


def test_a_function_pads_with_what_it_writes():
    def edge(line, widths, axis, keywords):
        line[: widths[0]] = keywords["by"] * line[widths[0]]
        line[-widths[1] :] = line[-widths[1] - 1] ** 2

    f = lambda x: np.pad(x, ((1, 2), (2, 1)), edge, by=3.0)
    assert close(xg.vjp(f, S)[0], f(S), EXACT)
    check_grads(f, (S,))


def test_traced_constants_pad_each_side():
    f = lambda x: np.pad(x, 1, constant_values=(x[0, 0], x[1, 1]))
    assert close(xg.vjp(f, S)[0], np.pad(S, 1, constant_values=(S[0, 0], S[1, 1])), EXACT)
    check_grads(f, (S,))
