"""How a trace is recorded and guarded: what it writes itself, nesting, threads, profilers, memory."""

import cProfile
import functools
import gc
import logging
import sys
import threading
import time
import warnings
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm import program as llvm
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.compiler import compile


# ── what the function writes itself ──────────────────────────────────────────────────────────
def _appends(world, x):
    world.calls.append(x.shape)
    return 2 * x


def _counts(world, x):
    world.n += 1
    return 2 * x


def _counts_in_a_dict(world, x):
    world.d["n"] = world.d.get("n", 0) + 1
    return 2 * x


def _counts_by_setattr(world, x):
    setattr(world, "n", world.n + 1)  # noqa: B010
    return 2 * x


def _remembers(world, x):
    if x.shape not in world.d:
        world.d[x.shape] = 2.0
    return world.d[x.shape] * x


def _writes_into_an_array(world, x):
    world.table[0] += 1.0
    return 2 * x


def _keeps_the_last(world, x):
    world.last = x.shape
    return 2 * x


def _computes_once(world, x):
    if world.k is None:
        world.k = 2.0
    return world.k * x


WRITERS = {
    f.__name__.strip("_").replace("_", " "): f
    for f in (
        _appends,
        _counts,
        _counts_in_a_dict,
        _counts_by_setattr,
        _remembers,
        _writes_into_an_array,
        _keeps_the_last,
        _computes_once,
    )
}


def _world():
    return SimpleNamespace(calls=[], n=0, d={}, table=np.zeros(3), last=None, k=None)


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_function_writes_itself_makes_no_trace_of_it_stale(name):
    world = _world()
    f = compile(functools.partial(WRITERS[name], world))
    g = compile(functools.partial(WRITERS[name], world))
    counts = []
    for _ in range(4):
        for n in (2, 3, 4):
            assert f(np.ones(n)).tolist() == [2.0] * n
            assert g(np.ones(n)).tolist() == [2.0] * n
        counts.append(len(g.traces))
    assert len(f.traces) == 3
    # Where g reads what f has written, it is traced again, and no more when both have been.
    assert counts[0] == 3
    assert counts[-1] == counts[-2]


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_method_writes_itself_makes_no_trace_of_it_stale(name):
    class World(SimpleNamespace):
        @compile
        def step(self, x):
            return WRITERS[name](self, x)

    world = World(**vars(_world()))
    for _ in range(3):
        for n in (2, 3):
            assert world.step(np.ones(n)).tolist() == [2.0] * n
    assert len(world.step.traces) == 2


def test_what_a_function_has_written_is_watched_afterwards():
    world = _world()
    f = compile(functools.partial(_computes_once, world))
    assert (f(1.0), f(1.0)) == (2, 2)
    world.k = 5.0
    assert (f(1.0), f(1.0)) == (5, 5)
    world.k = None
    assert f(1.0) == 2
    assert len(f.traces) == 3


def test_a_change_by_another_thread_while_it_is_traced_is_noticed():
    box, reading, changed = SimpleNamespace(k=2.0), threading.Event(), threading.Event()

    def f(x):
        y = box.k * x
        if not reading.is_set():
            reading.set()
            changed.wait(10)
        return y

    compiled = compile(f)
    change = threading.Thread(target=lambda: (reading.wait(10), setattr(box, "k", 5.0), changed.set()))
    change.start()
    compiled(1.0)
    change.join()
    assert compiled(1.0) == 5


# ── what does not count ──────────────────────────────────────────────────────────────────────
def test_what_is_not_read_makes_no_trace():
    box, other = SimpleNamespace(k=2.0, n=0), SimpleNamespace(k=3.0)
    settings = {"k": 2.0, "n": 0}
    f = compile(lambda x: box.k * settings["k"] * x)
    for n in range(5):
        box.n, other.k, settings["n"] = n, n, n
        assert f(1.0) == 4
    assert len(f.traces) == 1


def test_an_equal_value_in_its_place_makes_no_trace():
    box = SimpleNamespace(k=2.0, name="ab", pair=(1, 2.0))
    f = compile(lambda x: box.k * x + len(box.name) + box.pair[1])
    for _ in range(3):
        box.k, box.name, box.pair = float("2.0"), "".join(["a", "b"]), (1, float("2.0"))
        assert f(1.0) == 6
    assert len(f.traces) == 1
    box.k = 2  # an int: the dtype may be another
    f(1.0)
    assert len(f.traces) == 2


@pytest.mark.parametrize(("a", "b"), [(0.0, -0.0), (1.0, True), (1, True), (2.0, np.float32(2)), (b"a", "a")])
def test_equal_is_not_the_same_where_the_bits_or_types_differ(a, b):
    box = SimpleNamespace(k=a)
    f = compile(lambda x: (x, repr(box.k)))
    assert f(1.0)[1] == repr(a)
    box.k = b
    assert f(1.0)[1] == repr(b)


def test_printing_logging_and_warning_are_no_reading(capsys, caplog):
    log = logging.getLogger("xpgrad.test")

    def f(x):
        print("shape", x.shape)
        log.warning("traced")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.warn("traced", stacklevel=1)
        return 2 * x

    compiled = compile(f)
    assert (compiled(1.0), compiled(2.0)) == (2, 4)
    assert capsys.readouterr().out == "shape ()\n"
    assert [r.message for r in caplog.records] == ["traced"]
    assert len(compiled.traces) == 1


def test_what_runs_when_objects_are_freed_is_no_reading():
    seen = []

    class Timed:
        def __del__(self):
            seen.append(time.time())

    def collected(phase, info):
        seen.append(time.perf_counter())

    def f(x):
        Timed()
        gc.collect(0)
        return 2 * x

    gc.callbacks.append(collected)
    try:
        assert compile(f)(1.0) == 2
    finally:
        gc.callbacks.remove(collected)
    assert len(seen) > 1


def test_locks_and_imports_within_are_no_reading():
    lock = threading.Lock()

    def f(x):
        import colorsys

        with lock:
            return colorsys.rgb_to_hsv(0.5, 0.5, 0.5)[2] * x

    compiled = compile(f)
    assert (compiled(1.0), compiled(2.0)) == (0.5, 1.0)
    assert len(compiled.traces) == 1


# ── arguments that are no arrays ─────────────────────────────────────────────────────────────
def test_an_object_that_is_an_argument_and_changes_is_noticed():
    box = SimpleNamespace(k=2.0)

    class Setting:
        def __init__(self):
            self.k, self.layers = 2.0, [box]

        def f(self, x):
            return self.layers[0].k * self.k / 2 * x

    setting = Setting()
    f = compile(lambda x, s: s.f(x))
    assert (f(1.0, setting), f(2.0, setting)) == (2, 4)
    setting.k = 4.0
    assert f(1.0, setting) == 4
    box.k = 5.0
    assert (f(1.0, setting), f(1.0, s=setting)) == (10, 10)
    assert len(f.traces) == 4  # by its name it is another signature


def test_two_objects_that_say_that_they_are_equal_are_not_taken_for_one_another():
    class Named:
        def __init__(self, name, k):
            self.name, self.k = name, k

        def __eq__(self, other):
            return self.name == other.name

        def __hash__(self):
            return hash(self.name)

    f = compile(lambda x, n: n.k * x)
    assert (f(1.0, Named("a", 2.0)), f(1.0, Named("a", 5.0))) == (2, 5)


def test_a_function_that_is_an_argument_is_watched():
    box = SimpleNamespace(k=2.0)
    g = lambda x: box.k * x
    f = compile(lambda x, g: g(x))
    assert f(1.0, g) == 2
    box.k = 5.0
    assert f(1.0, g) == 5


# ── nesting ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_what_a_compiled_function_reads_is_read_by_the_one_that_calls_it_with_numbers(warm):
    box = SimpleNamespace(k=2.0)
    inner = compile(lambda y: box.k * y)
    outer = compile(lambda x: inner(1.0) * x)
    if warm:
        inner(1.0)
    assert (outer(1.0), outer(2.0)) == (2, 4)
    box.k = 5.0
    assert (outer(1.0), inner(1.0)) == (5, 5)
    assert len(outer.traces) == 2


@pytest.mark.parametrize("around", [
    lambda f: compile(lambda x: compile(f)(x)),
    lambda f: compile(lambda x: compile(compile(f))(x)),
    lambda f: compile(xg.jacobian(compile(lambda x: f(x) * x / 2))),
    lambda f: compile(lambda x: xg.jvp(f, (x,), (x,))[1]),
    lambda f: compile(lambda x: xg.vjp(f, x)[1](x)[0]),
    lambda f: compile(xg.checkpoint(f)),
    lambda f: compile(functools.partial(lambda g, x: g(x), f)),
    lambda f: compile(functools.lru_cache(maxsize=None)(lambda: f)()),
    lambda f: compile(SimpleNamespace(f=f).f),
])  # fmt: skip
def test_a_change_is_noticed_through_whatever_is_around(around):
    box = SimpleNamespace(k=2.0)
    f = around(lambda x: box.k * x)
    assert float(f(1.0)) == 2
    box.k = 5.0
    assert float(f(1.0)) == 5
    assert len(f.traces) == 2


def test_the_rule_of_a_custom_vjp_is_watched():
    root = xg.custom_vjp(lambda x: x)
    root.defvjp(lambda x: (x, None), lambda r, g: (2.0 * g,))
    f = compile(xg.grad(lambda x: root(x)))
    assert f(1.0) == 2
    root.defvjp(lambda x: (x, None), lambda r, g: (5.0 * g,))
    assert f(1.0) == 5


# ── threads, profilers, debuggers ────────────────────────────────────────────────────────────
def test_two_threads_trace_at_once_and_each_sees_its_own():
    start = threading.Barrier(2)
    found = {}

    def work(k):
        box = SimpleNamespace(k=float(k))

        def f(x):
            time.sleep(0.01)
            return box.k * x

        def g(x):
            start.wait(10)
            return f(x) + f(x)

        compiled = compile(g)
        values = [compiled(1.0), compiled(2.0)]
        box.k *= 10
        found[k] = [*values, compiled(1.0)], len(compiled.traces)

    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {1: ([2, 4, 20], 2), 2: ([4, 8, 40], 2)}


def test_the_hooks_of_a_profiler_and_a_debugger_are_called_and_put_back():
    profiled, traced = [], []

    def profiler(frame, event, arg):
        profiled.append(frame.f_code.co_name)

    def debugger(frame, event, arg):
        traced.append(frame.f_code.co_name)

    def function_of_mine(x):
        return 2 * x

    before = sys.getprofile(), sys.gettrace()
    sys.setprofile(profiler)
    sys.settrace(debugger)
    try:
        compile(lambda x: function_of_mine(x))(1.0)
        assert sys.getprofile() is profiler
        assert sys.gettrace() is debugger
    finally:
        sys.setprofile(before[0])
        sys.settrace(before[1])
    assert "function_of_mine" in profiled
    assert "function_of_mine" in traced


@pytest.mark.parametrize("error", [ValueError, None])
def test_the_hook_is_put_back_after_an_error(error):
    before = sys.getprofile()

    def f(x):
        if error:
            raise error("no")
        return float(x)

    with pytest.raises(error or xg.TraceError):
        compile(f)(1.0)
    assert sys.getprofile() is before
    box = SimpleNamespace(k=2.0)
    assert compile(lambda x: box.k * x)(1.0) == 2


def test_a_profile_of_cprofile_goes_on_after_a_trace():
    def after_the_trace():
        return 1

    profile = cProfile.Profile()
    profile.enable()
    assert compile(lambda x: 2 * x)(1.0) == 2
    after_the_trace()
    profile.disable()
    assert any("after_the_trace" in str(entry.code) for entry in profile.getstats())


# ── memory, and what it costs ────────────────────────────────────────────────────────────────
def test_a_compiled_method_does_not_keep_its_object_alive():
    class Child:
        def __init__(self, parent):
            self.parent, self.rate = parent, 2.0

    class Model:
        def __init__(self):
            self.k, self.child, self.layers = 2.0, Child(self), [Child(self)]

        @property
        def rate(self):
            return self.k

        def plain(self, x):
            return self.rate * x

        @compile
        def step(self, x):
            return self.plain(x) + self.child.rate + self.k + sum(layer.rate for layer in self.layers)

    model = Model()
    assert model.step(1.0) == 8
    gone = weakref.ref(model)
    model.child.parent = model.layers[0].parent = None
    model = None
    gc.collect()
    assert gone() is None


def test_a_trace_that_was_left_does_not_keep_what_it_read():
    class Big:
        k = 2.0

    big = Big()
    f = compile(lambda x: big.k * x)
    f(1.0)
    gone = weakref.ref(big)
    f = big = None
    gc.collect()
    assert gone() is None


def test_the_guard_of_a_plain_function_is_short():
    def rosenbrock(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    f = compile(xg.value_and_grad(rosenbrock))
    f(np.ones(10))
    guards = next(iter(f._cache.values())).captures._guards
    assert guards.count() <= 6


@pytest.mark.skipif(available() is not None, reason="llvmlite cannot be used here")
def test_a_compiled_function_may_look_for_its_kernels_while_another_is_traced(monkeypatch):
    monkeypatch.setattr(llvm, "_ready", {})
    inner, x = compile(lambda x: x * 2.0), np.arange(3.0)
    with choose.use("llvm"):
        outer = compile(lambda y: y + inner(x))  # of numbers: compiled and called while the other is traced
        assert np.array_equal(outer(x), 3 * x)
