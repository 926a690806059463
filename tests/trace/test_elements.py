"""`np.array([x0, x1])` and its kin: values and derivatives are those of the same function with `np.stack`."""

import subprocess
import sys
import time

import numpy as np
import pytest

import xpgrad as xg
from cases.object_arrays import BY_NUMBERS, FORMS, REFUSED
from xpgrad._trees import flatten

TRANSFORMS = {
    "value": lambda f: lambda x, _: xg.vjp(f, x)[0],
    "forward": lambda f: lambda x, t: xg.jvp(f, (x,), (t,)),
    "reverse": lambda f: lambda x, _: xg.grad(lambda x: np.sum(np.stack([f(x) ** 2])))(x),
    "jacobian": lambda f: lambda x, _: xg.jacobian(f)(x),
    "second": lambda f: lambda x, t: xg.hvp(lambda x: np.sum(np.stack([f(x) ** 3])))(x, t),
    "reverse over reverse": lambda f: (
        lambda x, t: xg.grad(lambda x: np.sum(xg.grad(lambda x: np.sum(np.stack([f(x) ** 3])))(x) * t))(x)
    ),
    "batch": lambda f: lambda x, t: xg.vmap(f)(np.stack([x, x + abs(t)])),
}


def _drawn(n):
    rng = np.random.default_rng(n)
    return rng.uniform(0.5, 1.5, n), rng.normal(size=n)


def _agree(got, expected):
    for a, b in zip(flatten(got)[0], flatten(expected)[0], strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


# The numbers of the samples of a batch decide nothing.
CASES = [(name, t) for name in FORMS for t in TRANSFORMS if not (name in BY_NUMBERS and t == "batch")]


@pytest.mark.sweep
@pytest.mark.parametrize(("name", "transform"), CASES)
def test_a_list_of_traced_numbers_is_an_array(name, transform):
    f, same, n = FORMS[name]
    of = TRANSFORMS[transform]
    _agree(of(f)(*_drawn(n)), of(same)(*_drawn(n)))


@pytest.mark.parametrize("name", [name for name in FORMS if name not in BY_NUMBERS])
def test_a_list_of_traced_numbers_compiles(name):
    f, same, n = FORMS[name]
    x, t = _drawn(n)

    def all_of(f):
        return lambda x, t: (f(x), TRANSFORMS["reverse"](f)(x, t), TRANSFORMS["second"](f)(x, t))

    compiled = xg.compile(all_of(f))
    for _ in range(2):
        _agree(compiled(x, t), all_of(same)(x, t))


@pytest.mark.parametrize("form", [np.array, np.stack])
def test_finite_differences_agree(form):
    xg.check_grads(
        lambda x: form([x[0] * x[1], np.sin(x[1])]) @ np.array([1.0, -2.0]), (np.array([0.5, 1.2]),), order=2
    )


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_numpy_cannot_do_with_objects_is_refused_with_the_line_and_the_remedy(name, compiled):
    f, said = REFUSED[name]

    def loss(x):
        return np.sum(f(x))

    with pytest.raises(xg.TraceError) as caught:
        (xg.compile(loss) if compiled else xg.grad(loss))(np.array([0.5, 1.5]))
    text = str(caught.value)
    assert said in text
    assert "object_arrays.py:" in text


TABLE = np.arange(6.0).reshape(3, 2)


def _count(i):
    counts = np.zeros(3)
    counts[i] = 1
    return counts


@pytest.mark.parametrize("transform", [xg.compile, lambda f: lambda i: xg.vmap(f)(i[None])])
@pytest.mark.parametrize("f", [lambda i: TABLE[i], lambda i: TABLE[:, i % 2], lambda i: TABLE[i[0]], _count])
def test_a_plain_array_with_a_traced_index_is_refused_with_the_remedy(transform, f):
    with pytest.raises(
        xg.TraceError, match=r"(?s)plain array.*index int64\[2?\].*test_elements.py:.*take_along"
    ):
        transform(f)(np.array([2, 0]))


def test_the_remedies_for_a_plain_array_with_a_traced_index():
    i = np.array([2, 0])
    np.testing.assert_array_equal(xg.compile(lambda i: np.take_along_axis(TABLE, i[:, None], 0))(i), TABLE[i])
    np.testing.assert_array_equal(xg.compile(lambda a, i: a[i])(TABLE, i), TABLE[i])


@pytest.mark.parametrize("n", [2, 3])
def test_gradients_pass_through_trees_of_results(n):
    def f(x):
        return {"a": np.array([x[0], x[1]]), "b": (np.sum([x[0], x[1]]), [x[1]])}

    out, pull = xg.vjp(f, np.arange(1.0, 1 + n))
    assert out["a"].dtype == float
    (g,) = pull({"a": np.array([1.0, 10.0]), "b": (np.float64(100.0), [np.float64(1000.0)])})
    assert g[:2].tolist() == [101, 1110]


def test_an_array_of_objects_by_hand_is_read_before_numpy_has_made_any():
    code = """if True:
        import numpy as np, xpgrad as xg
        def f(x):
            out = np.empty(2, object)
            out[0], out[1] = x[0], 3 * x[1]
            return out
        assert xg.jacobian(f)(np.ones(2)).tolist() == [[1, 0], [0, 3]]
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_series_of_traced_numbers_is_no_result():
    pd = pytest.importorskip("pandas")
    with pytest.raises(xg.TraceError, match="returns a Series"):
        xg.vjp(lambda x: pd.Series([x[0], x[1]]), np.ones(2))


def test_stop_gradient_stops_at_an_array_of_objects():
    def f(x):
        return np.sum(xg.stop_gradient(np.array([x[0], x[1]])) * x)

    assert xg.grad(f)(np.array([2.0, 5.0])).tolist() == [2, 5]


def test_the_inner_variable_is_not_lost_in_an_outer_operand():
    def outer(x):
        return xg.grad(lambda y: np.sum(x * np.array([y * x[0], y])))(3.0)

    assert outer(np.array([2.0, 5.0])) == 9
    assert xg.grad(outer)(np.array([2.0, 5.0])).tolist() == [4, 1]


def test_writing_to_the_array_of_objects_leaves_the_argument_as_it_is():
    def f(x):
        y = np.array(x)
        y[0] = 10 * x[1]
        return np.sum(y * x)

    assert xg.grad(f)(np.array([2.0, 5.0])).tolist() == [50, 30]


def test_a_write_after_the_array_of_objects_was_made_does_not_show_in_it():
    def f(x):
        x, weights = x.copy(), x
        y, z = np.array([x, x]), np.array([x[0], x[1]])
        x[0] = 7 * x[1]
        return np.sum(weights * y) + np.sum(z) + x[0]

    assert xg.grad(f)(np.array([2.0, 5.0])).tolist() == [9, 28]


def test_dtypes_are_numpys():
    x = np.array([0.5, 1.5], np.float32)
    for f in (lambda x: np.array([x[0], x[1]]), lambda x: np.array([x, x]), lambda x: np.full(2, x[0])):
        assert xg.vjp(f, x)[0].dtype == np.float32
    assert xg.vjp(lambda x: np.array([x[0], 1.0]), x)[0].dtype == np.float64
    assert xg.vjp(lambda x: np.array([x, 2]), 0.5)[0].dtype == np.float64


def test_scalars_stay_complex_where_no_list_is_about():
    xg.grad(lambda x: np.sum([x[0], x[1]]))(np.ones(2))
    assert np.allclose(xg.grad(lambda x: np.abs(np.exp((1j + 1) * x)))(0.5), np.exp(0.5))


def test_a_thousand_entries_take_a_time_linear_in_their_number():
    def seconds(n):
        def f(x):
            return np.sum(np.array([x[i] for i in range(n)]) * x)

        x, best = np.linspace(0, 1, n), np.inf
        assert np.allclose(xg.grad(f)(x), 2 * x)
        for _ in range(5):
            start = time.process_time()
            xg.grad(f)(x)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(1000) < 25 * seconds(100)  # 10 is linear, 100 quadratic
