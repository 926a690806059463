"""What makes a new trace, what compiles a kernel, and what the function reads from outside."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
from tests.compile.conftest import COMPILERS

import xpgrad as xg
from xpgrad.compiler import compile

rng = np.random.default_rng(0)
llvm = pytest.mark.skipif(all(c.name != "llvm" for c in COMPILERS), reason="llvmlite is not installed")
SCALE = 2.0
SETTINGS = {"scale": 2.0, "rates": [0.1, 0.2]}
TABLE = np.arange(3.0)


def logistic(params, X, Y, penalty):
    W, b = params
    A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A)) + penalty * np.sum(W * W)


def samples(m, n=5, dtype=np.float64, seed=0):
    r = np.random.default_rng(seed)
    return r.normal(size=(n, m)).astype(dtype), (r.random((1, m)) > 0.5).astype(dtype)


# ── signatures ───────────────────────────────────────────────────────────────────────────────
def test_each_shape_dtype_and_layout_is_traced_once_and_told(put):
    f = compile(lambda x: np.sum(x * x))
    a = np.ones((3, 4))
    for x in (a, a + 1, a.astype(np.float32), np.ones((4, 4)), np.asfortranarray(a), a, np.ones((4, 4)) * 2):
        np.testing.assert_allclose(xg.asnumpy(f(put(x))), np.sum(x * x))
    assert f.traces == ("float64[3, 4]", "float32[3, 4]", "float64[4, 4]", "float64[3, 4]")
    assert isinstance(f.traces, tuple)


def test_the_value_of_a_float_or_an_array_without_axes_makes_no_trace(put):
    f = compile(lambda x, c, d: x * c + d)
    for k in range(4):
        assert f(*put((np.ones(2), float(k), np.array(k / 2)))).tolist() == [1.5 * k] * 2
    assert f.traces == (f"float64[2], float {0.0!r}, float64[]",)


def test_many_traces_are_warned_of_once():
    f = compile(lambda x, n: x * n)
    for n in range(63):
        f(np.ones(1), n)
    with pytest.warns(RuntimeWarning, match="has been traced 64 times") as seen:
        f(np.ones(1), 63)
    assert seen[0].filename == __file__
    f(np.ones(1), 64)  # any warning is an error here


@llvm
@pytest.mark.parametrize("sizes", [(20_000, 30_000, 50_000), (6, 9, 17)], ids=["large", "small"])
def test_a_new_batch_size_learning_rate_or_penalty_compiles_nothing(sizes, put):
    @compile
    def step(params, X, Y, rate, penalty):
        value, (dW, db) = xg.value_and_grad(logistic)(params, X, Y, penalty)
        return value, (params[0] - rate * dW, params[1] - rate * db)

    params = (np.zeros((5, 1)), 0.1)
    compiled = None
    for m in sizes:
        X, Y = samples(m)
        for rate, penalty in ((0.1, 0.01), (0.2, 0.0)):
            value, (W, b) = xg.asnumpy(step(*put((params, X, Y, rate, penalty))))
            expected, (dW, db) = xg.value_and_grad(logistic)(params, X, Y, penalty)
            np.testing.assert_allclose(value, expected, rtol=1e-10)
            np.testing.assert_allclose(W, params[0] - rate * dW, rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(b, params[1] - rate * db, rtol=1e-8, atol=1e-12)
            step(*put((params, X, Y, np.array(rate), np.array(penalty))))
        compiled = step.compilations if compiled is None else compiled
        assert step.compilations == compiled, f"{m} samples compiled anew"
    assert len(step.traces) == 2 * len(sizes)


@llvm
def test_softmax_regression_of_several_batch_sizes_compiles_once(put):
    def loss(W, X, Y):
        Z = X @ W
        return -np.mean(np.sum(Y * (Z - np.log(np.sum(np.exp(Z), axis=1, keepdims=True))), axis=1))

    f = compile(xg.value_and_grad(loss))
    W, counts = rng.normal(size=(8, 3)), set()
    for m in (20_000, 35_000, 50_001):
        X, Y = rng.normal(size=(m, 8)), np.eye(3)[rng.integers(0, 3, m)]
        for a, b in zip(xg.asnumpy(f(*put((W, X, Y)))), xg.value_and_grad(loss)(W, X, Y), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)
        counts.add(f.compilations)
    assert len(counts) == 1


# ── what only numbers decide ─────────────────────────────────────────────────────────────────
REFUSED = {
    "if": (lambda x: x if x.sum() > 0 else -x, "bool()", "np.where"),
    "while": (lambda x: [0 for _ in iter(lambda: bool(x[0] > 0), False)], "bool()", "np.where"),
    "float": (lambda x: x * float(x[0]), "float()", "leave float() out"),
    "int": (lambda x: x * int(x[0]), "int()", "Python int"),
    "item": (lambda x: x * x[0].item(), "item()", "x[0]"),
    "index": (lambda x: [1, 2, 3][x[0].astype(int)], "an index", "Python int"),
    "selection": (lambda x: x[x > 0], "depends on the data", "np.where(mask, x, 0)"),
    "part of a selection in place": (lambda x: x.__setitem__(x > 0, x[x > 0] / 2), "the data", "x *= np.where"),
    "nonzero": (lambda x: np.nonzero(x), "decided by the data", ""),
    "asarray": (lambda x: np.asarray(x, dtype=float), "conversion to a NumPy array", "np.where builds"),
    "tolist": (lambda x: x.tolist(), "tolist()", "outside"),
}


@pytest.mark.parametrize("nested", [False, True], ids=["alone", "in a gradient"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_only_the_numbers_could_decide_is_refused_with_the_line_and_a_remedy(name, nested, put):
    f, what, remedy = REFUSED[name]
    g = xg.grad(lambda x: np.sum(f(x))) if nested else f
    with pytest.raises(xg.TraceError) as error:
        compile(g)(put(np.ones(3)))
    text = str(error.value)
    assert what in text
    assert remedy in text
    assert "test_signatures.py:" in text
    assert "derivative" not in text


def test_control_flow_on_shapes_is_free():
    @compile
    def f(x):
        assert x.dtype == np.float64
        if x.ndim == 2 and len(x) > 2:
            return sum(x[i] * i for i in range(x.shape[0]))
        return x * x.size

    assert f(np.ones((3, 2))).tolist() == [3, 3]
    assert f(np.ones(2)).tolist() == [2, 2]


# ── what is read from outside ────────────────────────────────────────────────────────────────
def test_a_global_that_changes_is_traced_again(monkeypatch):
    f = compile(lambda x: x * SCALE)
    assert f(1.0) == 2
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    assert f(1.0) == 5
    assert f(2.0) == 10
    assert len(f.traces) == 2
    assert f.traces[1].startswith("what it reads from outside has changed")


def test_a_closure_variable_that_changes_is_traced_again():
    scale = 2.0
    helper = lambda x: x * scale
    f = compile(lambda x: helper(x) + 1)
    assert f(1.0) == 3
    scale = 3.0
    assert f(1.0) == 4
    helper = lambda x: x * scale * 10
    assert f(1.0) == 31


def test_containers_attributes_and_arrays_that_change_are_traced_again(monkeypatch):
    options = SimpleNamespace(scale=2.0)
    f = compile(lambda x: x * SETTINGS["scale"] * options.scale + SETTINGS["rates"][0] + np.sum(TABLE * 2))
    assert f(1.0) == pytest.approx(4 + 0.1 + 6)
    monkeypatch.setitem(SETTINGS, "scale", 3.0)
    assert f(1.0) == pytest.approx(6 + 0.1 + 6)
    options.scale = 1.0
    assert f(1.0) == pytest.approx(3 + 0.1 + 6)
    monkeypatch.setitem(SETTINGS, "rates", SETTINGS["rates"][:])
    assert f(1.0) == pytest.approx(3 + 0.1 + 6)
    SETTINGS["rates"][0] = 0.5
    assert f(1.0) == pytest.approx(3 + 0.5 + 6)
    TABLE[0] = 1.0
    try:
        assert f(1.0) == pytest.approx(3 + 0.5 + 8)
    finally:
        TABLE[0] = 0.0
    assert len(f.traces) == 6


def test_attributes_of_a_methods_object_are_watched():
    class Model:
        def __init__(self, scale):
            self.scale = scale

        def plain(self, x):
            return x * self.scale

        @compile
        def step(self, x):
            """A step."""
            return x * self.scale

        @compile(threads=1)
        def other(self, x):
            return x + self.scale

    model, another = Model(2.0), Model(5.0)
    f = compile(model.plain)
    assert (f(1.0), model.step(1.0), another.step(1.0), another.other(1.0)) == (2, 2, 5, 6)
    model.scale = 3.0
    assert (f(1.0), model.step(1.0), another.step(1.0)) == (3, 3, 5)
    assert (len(f.traces), len(model.step.traces), len(another.step.traces)) == (2, 2, 1)
    assert Model.step.__doc__ == "A step."


def test_what_the_function_writes_is_written_while_it_is_traced(capsys):
    calls = []
    counter = SimpleNamespace(n=0)

    @compile
    def f(x):
        calls.append(x.shape)
        counter.n += 1
        print("traced", x.shape)
        return x + 1

    for _ in range(3):
        f(np.ones(2))
    f(np.ones(3))
    assert calls == [(2,), (3,)]
    assert counter.n == 2
    assert capsys.readouterr().out == "traced (2,)\ntraced (3,)\n"


generator = np.random.default_rng(0)
RANDOM = {
    "np.random": lambda x: x + np.random.normal(size=x.shape),
    "a global generator": lambda x: x + generator.normal(size=x.shape),
    "random": lambda x: x + random.random(),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_drawn_inside_are_refused(name):
    with pytest.raises(
        xg.TraceError, match=r"draws random numbers.*\n  at test_signatures.py.*\n.*draw them outside"
    ):
        compile(RANDOM[name])(np.ones(2))


def test_a_generator_in_a_closure_an_argument_or_an_object_is_seen():
    r = np.random.default_rng(0)

    class Model:
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def noisy(self, x):
            return x + self.rng.normal()

    cases = [
        (lambda x: x + r.normal(), (np.ones(2),)),
        (lambda x, r: x + r.normal(), (np.ones(2), r)),
        (Model().noisy, (np.ones(2),)),
        (xg.grad(lambda x: np.sum(x * r.normal())), (np.ones(2),)),
    ]
    for f, args in cases:
        with pytest.raises(xg.TraceError, match="random numbers"):
            compile(f)(*args)


def test_random_numbers_passed_as_an_argument_are_fresh_in_each_call():
    f = compile(lambda x, noise: x + noise)
    assert f(np.ones(2), rng.normal(size=2)).tolist() != f(np.ones(2), rng.normal(size=2)).tolist()


def test_dicts_whose_keys_stand_in_another_order_have_traces_of_their_own():
    numbered = xg.compile(lambda d: [i * np.sum(v) for i, v in enumerate(d.values(), 1)])
    one, other = {"a": np.ones(2), "b": np.full(2, 5.0)}, {"b": np.full(2, 5.0), "a": np.ones(2)}
    for _ in range(3):  # the first calls take another way than later ones
        assert numbered(one) == [2.0, 20.0]
        assert numbered(other) == [10.0, 4.0]
    inner = xg.compile(lambda pair: [i * v for i, v in enumerate(pair[0].values(), 1)])
    for _ in range(2):
        assert inner(({1: 2.0, 0: 3.0}, None)) == [2.0, 6.0]
        assert inner(({0: 3.0, 1: 2.0}, None)) == [3.0, 4.0]


def test_a_number_beyond_64_bits_is_a_float_beside_floats_and_refused_beside_integers():
    x = np.array([1.0, 3.0])
    assert np.array_equal(xg.compile(lambda x: np.maximum(x * 2**70, 10**25))(x), np.maximum(x * 2**70, 10**25))
    assert np.array_equal(xg.compile(lambda x: x < 2**65)(x), [True, True])
    with pytest.raises(xg.DTypeError, match=r"beyond 64 bits(.|\n)*write it as a float"):
        xg.compile(lambda n: n * 2**70)(np.arange(3))
