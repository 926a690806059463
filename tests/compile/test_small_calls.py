"""Small programs run in one native call: arrays by address, arguments of plain kinds, one call at a time."""

import threading

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm import build, program
from xpgrad.compiler import compile
from xpgrad.plan import Target

needs_llvm = pytest.mark.skipif(build.available() is not None, reason=str(build.available()))


def loss(p, X, y):
    z = p["w"] @ X + p["b"]
    return np.mean(np.logaddexp(0, z) - y * z)


def data(features, samples, seed=0):
    rng = np.random.default_rng(seed)
    p = {"w": rng.normal(size=features), "b": rng.normal()}
    return p, rng.normal(size=(features, samples)), (rng.random(samples) < 0.5).astype(float)


def is_one_call(text):
    return "all steps done by kernel 0" in text


@needs_llvm
@pytest.mark.parametrize(("features", "samples"), [(1, 3), (4, 600), (32, 500), (600, 40), (20, 5000)])
def test_a_small_step_is_one_call_and_gives_what_eager_code_does(features, samples):
    step = xg.value_and_grad(loss)
    compiled = compile(step)
    for seed in range(3):  # each time with other arrays
        args = data(features, samples, seed)
        value, gradient = compiled(*args)
        expected, wanted = step(*args)
        assert np.isclose(value, expected, rtol=1e-12)
        assert np.allclose(gradient["w"], wanted["w"], rtol=1e-10, atol=1e-12)
        assert np.isclose(gradient["b"], wanted["b"], rtol=1e-10, atol=1e-12)
    assert is_one_call(compiled.explain(*args))


@needs_llvm
def test_one_call_and_step_by_step_have_the_same_bits(monkeypatch):
    args = data(32, 2000)
    fused = compile(xg.value_and_grad(loss))
    value, gradient = fused(*args)
    assert is_one_call(fused.explain(*args))
    monkeypatch.setattr(program.LLVMProgram, "_fuse", lambda *_: None)
    steps = compile(xg.value_and_grad(loss))
    again, found = steps(*args)
    assert not is_one_call(steps.explain(*args))
    assert (value, gradient["b"]) == (again, found["b"])
    assert np.array_equal(gradient["w"], found["w"])


def notes(p, X, Y):
    W, b = p
    A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


@needs_llvm
@pytest.mark.parametrize("features", [1, 32, 1200])  # 1,200 weights are more than is copied
@pytest.mark.parametrize("classes", [1, 3])
def test_gradients_that_are_transposed_products_leave_the_call_as_views(features, classes):
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(features, classes)) / 50, rng.normal(size=(classes, 1))
    X, Y = rng.normal(size=(features, 500)), (rng.random((classes, 500)) < 0.5).astype(float)
    compiled = compile(xg.value_and_grad(notes))
    value, (dW, db) = compiled((W, b), X, Y)
    assert is_one_call(compiled.explain((W, b), X, Y))
    A = 1 / (1 + np.exp(-(W.T @ X + b)))
    assert np.isclose(value, -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A)), rtol=1e-12)
    assert np.allclose(dW, X @ (A - Y).T / Y.size, rtol=1e-9, atol=1e-13)
    assert np.allclose(db, (A - Y).sum(axis=1, keepdims=True) / Y.size, rtol=1e-9, atol=1e-13)
    kept = dW.copy()
    compiled((W + 1, b), X, Y)
    assert np.array_equal(dW, kept)
    assert dW.flags.writeable


VIEWS = {
    "transposed": lambda y: y.T,
    "in another shape": lambda y: y.reshape(-1, 2),
    "reversed": lambda y: y[::-1, 1:],
    "a number": lambda y: y[1, 2],
    "with another axis": lambda y: y[:, None, :].T,
    "repeated": lambda y: np.broadcast_to(y[:1], (5, 40)),
    "copied": lambda y: y.T.reshape(-1),
    "transposed twice": lambda y: y.T.T,
}


@needs_llvm
@pytest.mark.parametrize("rows", [4, 40])  # what is copied out of kept memory, and what is made for the call
@pytest.mark.parametrize("kind", VIEWS)
def test_outputs_that_are_views_are_arrays_of_their_own(kind, rows):
    f = lambda x: (VIEWS[kind](np.exp(x)), np.sum(x))
    x = np.random.default_rng(0).normal(size=(rows, 40))
    compiled = compile(f)
    shown, _ = compiled(x)
    wanted = f(x)[0]
    assert (type(shown), np.shape(shown)) == (type(wanted), np.shape(wanted))
    assert np.allclose(shown, wanted, rtol=1e-14)
    again, _ = compiled(x + 1)
    assert np.allclose(shown, wanted, rtol=1e-14)
    assert not np.shares_memory(shown, again)


@needs_llvm
def test_a_value_and_its_view_as_outputs_share_no_memory():
    y, z, w = compile(lambda x: ((y := np.exp(x)), y.T, y.reshape(-1)))(np.ones((3, 4)))
    z[...] = 0
    w[...] = 1
    assert np.allclose(y, np.e, rtol=1e-15)
    assert not z.any()


@needs_llvm
def test_arrays_of_every_layout_are_read_where_they_lie():
    f = lambda x, y: np.exp(x) * y + 1
    wide = np.random.default_rng(0).normal(size=(90, 80))
    for x in (
        wide,
        wide.T.copy().T,
        wide[::2],
        wide[:, ::-1],
        wide[10:, 3:].T,
        np.broadcast_to(wide[0], (90, 80)),
    ):
        y = np.ascontiguousarray(x)[::-1]
        compiled = compile(f)
        assert np.allclose(compiled(x, y), f(x, y), rtol=1e-14)
        assert is_one_call(compiled.explain(x, y))


@needs_llvm
def test_results_are_arrays_of_their_own():
    f = compile(lambda x: (x * 2, x + 1, np.sum(x, axis=0)))
    x = np.random.default_rng(0).normal(size=(40, 50))
    first = f(x)
    kept = [r.copy() for r in first]
    second = f(x + 1)
    assert all(map(np.array_equal, first, kept))
    assert not any(np.shares_memory(a, b) for a in first for b in (*second, x))


@needs_llvm
def test_several_threads_call_at_once():
    step = compile(xg.value_and_grad(loss))
    cases = [data(32, 1000, seed) for seed in range(4)]
    expected = [step(*args) for args in cases]
    wrong = []

    def call(args, wanted):
        for _ in range(200):
            value, gradient = step(*args)
            if value != wanted[0] or not np.array_equal(gradient["w"], wanted[1]["w"]):
                wrong.append((value, wanted[0]))

    threads = [threading.Thread(target=call, args=pair) for pair in zip(cases, expected, strict=True)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


@needs_llvm
def test_an_index_outside_of_its_axis_is_an_error_in_each_call():
    f = compile(lambda x, i: np.sum((x * 2)[np.arange(700), i]))
    x, i = np.ones((700, 3)), np.zeros(700, int)
    assert f(x, i) == 1400
    for _ in range(2):
        with pytest.raises(IndexError):
            f(x, np.full(700, 3))
    assert f(x, i) == 1400


KINDS = {
    "numbers of NumPy": (lambda a, x: a * x, (np.float32(2), np.arange(3.0))),
    "a whole number": (lambda n, x: x**n, (3, np.arange(3.0))),
    "a truth value": (lambda flag, x: x if flag else -x, (False, np.arange(3.0))),
    "a name": (lambda name, x: getattr(np, name)(x), ("exp", np.arange(3.0))),
    "nothing": (lambda n, x: x + 1 if n is None else x, (None, np.arange(3.0))),
    "a list": (lambda xs: xs[0] * xs[1], ([np.arange(3.0), 2.0],)),
    "a dict": (lambda d: d["b"] - d["a"], ({"b": np.arange(3.0), "a": 2.0},)),
    "a dict in a tuple": (lambda t: t[0]["b"] - t[1], (({"b": np.arange(3.0)}, 2.0),)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_of_plain_kinds_find_their_program_again(kind):
    f, args = KINDS[kind]
    compiled = compile(f)
    for _ in range(3):
        assert np.allclose(compiled(*args), f(*args))
    assert len(compiled.traces) == 1


def test_equal_numbers_of_other_classes_are_other_arguments():
    f = compile(lambda n, x: x * 1.0 if n is True else x * 2.0)
    x = np.ones(2)
    assert [f(n, x)[0] for n in (True, 1, True, 1)] == [1, 2, 1, 2]


def test_a_dict_in_another_order_has_the_same_values_in_the_same_places():
    f = compile(lambda d: d["b"] - 2 * d["a"])
    a, b = np.arange(3.0), np.ones(3)
    for d in ({"a": a, "b": b}, {"b": b, "a": a}) * 2:
        assert np.array_equal(f(d), b - 2 * a)


@needs_llvm
def test_a_chunk_has_the_least_bytes_of_the_target():
    x = np.zeros(4096)
    for least, chunks in ((1, 64), (4096 * 8, 2), (4096 * 16, 1)):
        with choose.use("llvm", Target(cache=512, grain=16, small=0, chunk=least)):
            assert f", {chunks} chunk" in compile(lambda x: np.exp(x)).explain(x)
