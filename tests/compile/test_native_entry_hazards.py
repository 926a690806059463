"""Calls that run natively while what they look at changes or dies: other threads, collections, interrupts."""

import os
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy as np
import pytest
from tests.compile.test_native_entry import is_native, pytestmark, warm  # noqa: F401

import xpgrad as xg
from xpgrad.backends.cpu.llvm import entry


def test_a_cycle_through_the_native_function_is_collected_after_its_definition():
    # In a process whose freed memory is overwritten: a definition that is freed first is then no definition.
    code = """
        import gc
        import numpy as np
        import xpgrad as xg

        def make(k):
            def f(x):
                return np.sum(x * k) if compiled else 0
            compiled = xg.compile(f)
            return compiled

        x = np.arange(4.0)
        for k in range(20):
            f = make(float(k))
            for _ in range(4):
                assert f(x) == 6 * k
        del f
        gc.collect()
        print("alive")
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=dict(os.environ, PYTHONMALLOC="malloc", MALLOC_PERTURB_="255"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "alive\n"), found.stderr[-2000:]


HOLDERS = {
    "list": (lambda x: [x], lambda p: p[0], lambda p, x: p.__setitem__(0, x)),
    "dict": (lambda x: {"x": x}, lambda p: p["x"], lambda p, x: p.__setitem__("x", x)),
    "tuple in a list": (lambda x: [(x,)], lambda p: p[0][0], lambda p, x: p.__setitem__(0, (x,))),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_an_array_that_is_replaced_during_a_call_lives_until_its_end(holder):
    hold, get, put = HOLDERS[holder]
    compiled = xg.compile(lambda p: np.sum(np.exp(get(p))), threads=1)
    n = 300_000
    tree = hold(np.zeros(n))
    assert warm(compiled, tree) == n
    done, wrong, alive = threading.Event(), [], []

    def replace():
        while not done.is_set():
            new = np.zeros(n)
            alive.append(weakref.ref(new))
            put(tree, new)
            del new
            done.wait(0.0003)

    other = threading.Thread(target=replace)
    other.start()
    for _ in range(300):
        value = compiled(tree)
        if value != n:
            wrong.append(value)
    done.set()
    other.join()
    assert not wrong
    assert sum(r() is not None for r in alive) == 1  # no call has kept one


def test_a_result_of_many_empty_containers_takes_the_usual_way(monkeypatch):
    compiled, x = xg.compile(lambda x: [np.sum(x), [() for _ in range(5)]]), np.arange(3.0)
    monkeypatch.setattr(entry, "MOST", 4)
    assert not is_native(compiled, x)
    assert compiled(x) == [3.0, [()] * 5]


@pytest.mark.parametrize("error", [KeyboardInterrupt, AttributeError])
def test_an_error_while_guards_are_looked_at_is_raised(error):
    class Meta(type):
        pass

    class Settings(metaclass=Meta):
        power = 2.0

    compiled, x = xg.compile(lambda x: np.sum(x) * Settings.power), np.arange(4.0)
    assert warm(compiled, x) == 12.0
    enter = compiled._enter
    assert type(enter) is type(len)

    def refuse(_):
        raise error("power")

    Meta.power = property(refuse)
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            enter((x,))
    else:
        assert enter((x,)) is None
        with pytest.raises(AttributeError, match="power"):
            compiled(x)
    del Meta.power
    assert warm(compiled, x) == 12.0


def test_an_attribute_that_is_not_there_is_watched():
    class Settings:
        pass

    def f(x):
        try:
            return np.sum(x) * Settings.power
        except AttributeError:
            return np.sum(x) * 3.0

    compiled, x = xg.compile(f), np.arange(4.0)
    assert warm(compiled, x) == 18.0
    Settings.power = 2.0
    assert compiled(x) == 12.0
    del Settings.power
    assert warm(compiled, x) == 18.0
