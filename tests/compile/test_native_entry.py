"""Calls that run natively from the arguments to the result: the same results, all other calls as before."""

import gc
import sys
import threading
import time
import weakref
from contextlib import contextmanager

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends.cpu.llvm import build, entry, spinning
from xpgrad.compiler.specialization import Specialization

pytestmark = pytest.mark.skipif(
    build.available() is not None or not entry.is_supported(),
    reason=str(build.available() or "objects are laid out in another way here"),
)


def warm(f, *args):
    """The result of a call that was taken natively."""
    for _ in range(3):
        f(*args)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Specialization, "run", None)
        return f(*args)


def is_native(f, *args):
    try:
        warm(f, *args)
    except TypeError:
        return False
    return True


def loss(p, X, y, scale=1.0):
    return scale * np.mean((p[0] @ X + p[1] - y) ** 2)


def data(features=3, samples=10, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    p = rng.normal(size=features).astype(dtype), rng.normal(size=()).astype(dtype)
    return p, rng.normal(size=(features, samples)).astype(dtype), rng.normal(size=samples).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("features", "samples"), [(1, 1), (3, 10), (3, 0), (700, 9), (40, 3000)])
def test_the_native_call_has_the_bits_of_the_usual_one(features, samples, dtype):
    step = xg.compile(xg.value_and_grad(loss), threads=1)
    args = data(features, samples, dtype=dtype)
    value, (dw, db) = step(*args)
    again, (dw2, db2) = warm(step, *args)
    assert type(again) is type(value)
    assert type(db2) is type(db)
    for a, b in ((value, again), (dw, dw2), (db, db2)):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_call_that_threads_share_enters_natively_while_they_spin(order, monkeypatch):
    step = xg.compile(xg.value_and_grad(loss), threads=2)
    args = data(300, 4000)
    args = args[0], np.asarray(args[1], order=order), args[2]
    value, (dw, db) = step(*args)
    monkeypatch.setattr(spinning.SPIN_WAIT, "_turns", 1 << 40)
    native = 0
    for _ in range(200):
        if is_native(step, *args):
            native += 1
            again, (dw2, db2) = step(*args)
            assert value == again
            assert db == db2
            np.testing.assert_array_equal(dw, dw2)
        if native == 5:
            break
    spinning.SPIN_WAIT.call()
    assert native == 5


def test_a_call_that_threads_share_takes_the_usual_way_while_they_sleep():
    step = xg.compile(xg.value_and_grad(loss), threads=2)
    args = data(300, 4000)
    expected = step(*args)
    for _ in range(3):
        step(*args)
    spinning.SPIN_WAIT.call()
    until = time.monotonic() + 10
    while spinning.SPIN_WAIT._mailboxes[:-1, 0].any() and time.monotonic() < until:
        time.sleep(0.01)
    with usual_calls() as runs:
        value, (dw, db) = step(*args)
    assert runs == [1]
    assert value == expected[0]
    assert db == expected[1][1]
    np.testing.assert_array_equal(dw, expected[1][0])


@contextmanager
def usual_calls():
    """Notes each call that takes the usual way."""
    runs, run = [], Specialization.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Specialization, "run", lambda self, arrays: (runs.append(1), run(self, arrays))[1])
        yield runs


FORMS = {
    "list": lambda w, x: ([w, 2.5], x),
    "dict": lambda w, x: ({"w": w, "b": 2.5}, x),
    "dict, in another order than that of its keys": lambda w, x: ({"b": w, "a": 2.5}, x),
    "nested": lambda w, x: (({"w": [w]}, (2.5,)), x),
    "NumPy's numbers": lambda w, x: ((w, np.float64(2.5)), x),
    "single precision": lambda w, x: ((w.astype(np.float32), np.float32(2.5)), x.astype(np.float32)),
    "constants": lambda w, x: ((w, 2.5, None, 3, "text", True), x),
    "an array without axes": lambda w, x: ((w, np.array(2.5)), x),
}


@pytest.mark.parametrize("form", FORMS)
def test_arguments_and_results_of_every_plain_form(form):
    def f(tree, x):
        leaves = [u for u in _leaves(tree) if not isinstance(u, (str, bool, int, type(None)))]
        w = next(u for u in leaves if np.shape(u))
        b = next(u for u in leaves if not np.shape(u))
        return {"sum": np.sum(w * x) + b, "terms": [w * x, (x * b,)]}, w + 1

    compiled = xg.compile(f)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        args = FORMS[form](rng.normal(size=5), rng.normal(size=5))
        got, more = warm(compiled, *args)
        expected, wanted = f(*args)
        np.testing.assert_allclose(got["sum"], expected["sum"], rtol=1e-5)
        np.testing.assert_allclose(got["terms"][0], expected["terms"][0], rtol=1e-6)
        np.testing.assert_allclose(got["terms"][1][0], expected["terms"][1][0], rtol=1e-6)
        np.testing.assert_allclose(more, wanted, rtol=1e-6)
        assert type(got["terms"]) is list
        assert type(got["terms"][1]) is tuple


def _leaves(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [u for x in tree for u in _leaves(x)] if isinstance(tree, (tuple, list)) else [tree]


class Named(np.ndarray):
    pass


def misaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
    raw[...] = np.frombuffer(x.tobytes(), np.uint8)
    return raw.view(x.dtype).reshape(x.shape)


OTHERS = {
    "a longer axis": lambda w, b, x, y: ((w, b), np.hstack([x, x]), np.hstack([y, y])),
    "another order in memory": lambda w, b, x, y: ((w, b), np.asfortranarray(x), y),
    "every second entry": lambda w, b, x, y: ((w, b), np.repeat(x, 2, 1)[:, ::2], y),
    "another dtype": lambda w, b, x, y: ((w, b), x.astype(np.float32), y),
    "another byte order": lambda w, b, x, y: ((w, b), x.astype(x.dtype.newbyteorder()), y),
    "an address that is no multiple": lambda w, b, x, y: ((w, b), misaligned(x), y),
    "a subclass": lambda w, b, x, y: ((w, b), x.view(Named), y),
    "a list for a tuple": lambda w, b, x, y: ([w, b], x, y),
    "a float for an array": lambda w, b, x, y: ((w, float(b)), x, y),
    "one more argument": lambda w, b, x, y: ((w, b), x, y, 2.0),
    "integers": lambda w, b, x, y: ((w, b), (10 * x).astype(np.int64), y),
    "one row for all": lambda w, b, x, y: ((w, b), np.broadcast_to(x[:1], x.shape), y),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_call_of_another_form_takes_the_usual_way(other):
    (w, b), x, y = data()
    compiled = xg.compile(loss)
    warm(compiled, (w, b), x, y)
    args = OTHERS[other](w, b, x, y)
    (w2, b2), x2, y2, *scale = args
    expected = (scale or [1.0])[0] * np.mean((np.asarray(w2) @ np.asarray(x2) + b2 - y2) ** 2)
    np.testing.assert_allclose(compiled(*args), expected, rtol=1e-6)
    np.testing.assert_allclose(warm(compiled, (w, b), x, y), loss((w, b), x, y), rtol=1e-12)


def test_keys_of_a_dict_in_another_order_or_of_other_names_are_another_call():
    compiled = xg.compile(lambda p: {k: 2 * v for k, v in p.items()})
    a, b = np.ones(2), np.full(2, 3.0)
    warm(compiled, {"a": a, "b": b})
    np.testing.assert_array_equal(compiled({"b": b, "a": a})["b"], 2 * b)
    assert sorted(compiled({"a": a, "c": b})) == ["a", "c"]
    assert sorted(compiled({"a": a})) == ["a"]


def test_a_longer_array_with_the_same_strides_is_another_call():
    compiled = xg.compile(lambda x: np.sum(x))
    warm(compiled, np.ones(3))
    assert compiled(np.ones(5)) == 5.0


def closes_over(numpy, scale):
    def f(x):
        return numpy.sum(x) * scale

    def put(new):
        nonlocal scale
        scale = new

    return f, put


def test_cells_and_attributes_are_watched_natively():
    f, put = closes_over(np, 2.0)
    compiled, x = xg.compile(f), np.arange(4.0)
    assert warm(compiled, x) == 12.0
    assert type(compiled._enter) is type(len)  # no Python in between
    before = sys.getrefcount(np.sum)
    for _ in range(100):
        compiled(x)
    assert abs(sys.getrefcount(np.sum) - before) < 10
    put(3.0)
    assert compiled(x) == 18.0
    put(2.0)
    assert compiled(x) == 12.0


def test_globals_that_are_made_or_removed_are_watched_natively():
    names = {"np": np}
    exec("def f(x): return np.sum(x) + len(x.shape) * abs(-1.0)", names)
    compiled, x = xg.compile(names["f"]), np.arange(4.0)
    assert warm(compiled, x) == 7.0
    assert type(compiled._enter) is type(len)
    names["abs"] = lambda _: 10.0  # hides the one that was read
    assert compiled(x) == 16.0
    del names["abs"]
    assert compiled(x) == 7.0


def test_a_keyword_argument_is_another_call():
    compiled = xg.compile(loss)
    args = data()
    warm(compiled, *args)
    np.testing.assert_allclose(compiled(*args, scale=3.0), 3 * loss(*args), rtol=1e-12)


FACTOR = 2.0


def test_what_is_read_from_outside_is_watched():
    global FACTOR
    here = 1.0

    def f(x):
        return np.sum(x) * FACTOR + here

    compiled, x = xg.compile(f), np.arange(4.0)
    assert warm(compiled, x) == 13.0
    FACTOR = 3.0
    assert compiled(x) == 19.0
    FACTOR = 2.0
    assert warm(compiled, x) == 13.0
    here = 5.0
    assert compiled(x) == 17.0


def test_an_array_that_is_closed_over_is_compared():
    known = np.arange(4.0)
    compiled, x = xg.compile(lambda x: np.sum(x * known)), np.ones(4)
    assert warm(compiled, x) == 6.0
    known[0] = 10.0
    assert compiled(x) == 16.0


def test_an_attribute_of_an_object_is_watched():
    class Model:
        power = 2

    model = Model()
    compiled, x = xg.compile(lambda x: np.sum(x**model.power)), np.arange(3.0)
    assert warm(compiled, x) == 5.0
    model.power = 3
    assert compiled(x) == 9.0


def test_nothing_is_kept_alive_and_no_reference_is_lost():
    compiled = xg.compile(xg.value_and_grad(loss))
    args = data()
    warm(compiled, *args)
    objects = [args, args[0], args[1], *args[0], args[1].dtype, None, np.mean, compiled._enter]

    def counts():
        return [sys.getrefcount(x) for x in objects]

    before = counts()
    for _ in range(1000):
        compiled(*args)
    longer = np.hstack([args[1], args[1]])
    for _ in range(100):
        assert compiled._enter((args[0], longer, args[2])) is None
    assert max(abs(a - b) for a, b in zip(before, counts(), strict=True)) < 20
    gone = weakref.ref(args[1])
    args = None
    objects.clear()
    gc.collect()
    assert gone() is None


def test_arrays_of_results_are_new_and_owned():
    compiled = xg.compile(xg.value_and_grad(loss))
    args = data()
    first = warm(compiled, *args)[1][0]
    assert first.base is None
    assert first.flags.writeable
    kept = first.copy()
    first[...] = 0
    np.testing.assert_array_equal(warm(compiled, *args)[1][0], kept)
    assert sys.getrefcount(first) == sys.getrefcount(kept)


def test_the_function_may_be_dropped_while_others_are_made():
    args = data()
    for k in range(20):
        compiled = xg.compile(lambda p, X, y, k=k: loss(p, X, y) + k)
        assert np.isclose(warm(compiled, *args), loss(*args) + k)
        enter = compiled._enter
        del compiled
        gc.collect()
        assert np.isclose(enter(args), loss(*args) + k)


def test_an_index_outside_is_an_error_and_the_next_call_is_fine():
    compiled = xg.compile(lambda x, i: np.sum(x[i]))
    x, i = np.arange(5.0), np.array([0, 4, 2])
    assert warm(compiled, x, i) == 6.0
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(x, np.array([0, 5, 2]))
    assert warm(compiled, x, i) == 6.0


@pytest.mark.parametrize(("features", "samples"), [(3, 10), (40, 5000)])  # with the GIL, and without
def test_threads_may_call_at_once(features, samples):
    compiled = xg.compile(xg.value_and_grad(loss), threads=1)
    cases = [data(features, samples, seed) for seed in range(4)]
    expected = [xg.value_and_grad(loss)(*args) for args in cases]
    warm(compiled, *cases[0])
    wrong = []

    def work(k):
        for _ in range(200):
            value, (dw, _) = compiled(*cases[k])
            wanted, (dw2, _) = expected[k]
            if not (np.isclose(value, wanted, rtol=1e-10) and np.allclose(dw, dw2, rtol=1e-8, atol=1e-12)):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_dtypes_that_are_equal_and_not_the_same_object():
    compiled = xg.compile(lambda x: np.sum(x))
    x = np.arange(3.0)
    warm(compiled, x)
    other = np.dtype(np.float64, copy=True)
    assert other is not x.dtype
    y = np.ndarray(3, other, x.tobytes())
    assert compiled(y) == 3.0
    assert compiled(x) == 3.0


def test_under_debug_nodes_run_one_by_one():
    compiled = xg.compile(lambda x: np.log(x))
    warm(compiled, np.ones(2))
    with xg.debug(nans=True), pytest.raises(xg.NumericsError, match="log"):
        compiled(np.array([1.0, -1.0]))


def test_a_constant_in_the_result_is_no_output():
    compiled = xg.compile(lambda x: (7, np.sum(x), 0))
    x = np.arange(3.0)
    for _ in range(4):
        assert compiled(x) == (7, 3.0, 0)


def test_transposed_gradients():
    compiled = xg.compile(xg.value_and_grad(lambda W, X, Y: np.mean((W.T @ X - Y) ** 2)))
    rng = np.random.default_rng(0)
    W, X, Y = rng.normal(size=(4, 3)), rng.normal(size=(4, 20)), rng.normal(size=(3, 20))
    value, dW = warm(compiled, W, X, Y)
    R = W.T @ X - Y
    assert np.isclose(value, np.mean(R**2))
    np.testing.assert_allclose(dW, 2 * X @ R.T / R.size, rtol=1e-10, atol=1e-14)


def test_many_outputs_take_the_usual_way(monkeypatch):
    compiled, x = xg.compile(lambda x: [x * k for k in range(5)]), np.arange(3.0)
    monkeypatch.setattr(entry, "MOST", 4)
    assert not is_native(compiled, x)
    np.testing.assert_array_equal(compiled(x), [x * k for k in range(5)])
