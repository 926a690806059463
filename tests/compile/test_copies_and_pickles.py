"""Copies and pickles of compiled functions, of methods, and of objects that hold them."""

import copy
import functools
import pickle
import subprocess
import sys
import textwrap
import threading

import cloudpickle
import numpy as np
import pytest

import xpgrad as xg


def double(x):
    return 2 * x


def loss(w):
    return np.sum(w**2)


@xg.compile
def decorated(x):
    return 3 * x


@xg.compile(threads=1)
def decorated_with_options(x):
    return 4 * x


compiled_double = xg.compile(double, threads=1)


class Model:
    def __init__(self, rate):
        self.rate = rate
        self.own = xg.compile(self.plain)

    def plain(self, x):
        return self.rate * x

    @xg.compile
    def step(self, x):
        return self.rate * x


class Slotted:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate

    @xg.compile
    def step(self, x):
        return self.rate * x


class Holder:
    def __init__(self, f):
        self.f = f


def scaled(k, x):
    return k * x


FUNCTIONS = {
    "a decorated function": (decorated, 3.0),
    "decorated with options": (decorated_with_options, 4.0),
    "a function under another name": (compiled_double, 2.0),
    "a partial": (xg.compile(functools.partial(scaled, 5.0)), 5.0),
    "a gradient": (xg.compile(xg.grad(loss)), 2.0),
    "a gradient of a gradient": (xg.compile(xg.grad(xg.grad(loss))), 2.0),
    "value and gradient": (xg.compile(xg.value_and_grad(loss, has_aux=False)), (1.0, 2.0)),
    "a product with the Hessian": (xg.compile(functools.partial(xg.hvp(loss), 1.0)), 2.0),
    "a Jacobian": (xg.compile(xg.jacobian(double)), 2.0),
    "a Hessian": (xg.compile(xg.hessian(loss)), 2.0),
    "a checkpoint": (xg.compile(xg.checkpoint(double)), 2.0),
    "a gradient of a compiled function": (xg.compile(xg.grad(xg.compile(loss))), 2.0),
    "a NumPy function": (xg.compile(np.negative), -1.0),
    "a method of an object": (Model(6.0).own, 6.0),
    "a compiled method": (Model(7.0).step, 7.0),
}

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {k}": (lambda f, k=k: pickle.loads(pickle.dumps(f, k))) for k in range(2, 6)},
    "cloudpickle": lambda f: cloudpickle.loads(cloudpickle.dumps(f)),
    "in a partial, pickled": lambda f: pickle.loads(pickle.dumps(functools.partial(f))),
    "in a partial, copied": lambda f: copy.deepcopy(functools.partial(f)),
    "held, copied": lambda f: copy.deepcopy(Holder([f])).f[0],
    "held, pickled": lambda f: pickle.loads(pickle.dumps(Holder({"f": f}))).f["f"],
}


@pytest.mark.parametrize("called", [False, True], ids=["new", "called before"])
@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_copy_computes_what_the_function_does(name, how, called):
    f, expected = FUNCTIONS[name]
    if called:
        f(1.0)
    np.testing.assert_allclose(COPIES[how](f)(1.0), expected)


@pytest.mark.parametrize("f", [decorated, compiled_double, xg.compile(xg.grad(loss))], ids=["a", "b", "c"])
def test_a_copy_of_a_compiled_function_is_itself(f):
    assert copy.copy(f) is f
    assert copy.deepcopy(f) is f
    assert copy.deepcopy(Holder([f])).f[0] is f


def test_a_decorated_function_is_pickled_by_its_name():
    for f in (decorated, decorated_with_options, Model.step):
        assert pickle.loads(pickle.dumps(f)) is f
        assert pickle.loads(pickle.dumps(f, 0)) is f
    assert pickle.loads(pickle.dumps(Holder(decorated))).f is decorated


def test_the_options_come_back():
    f = pickle.loads(pickle.dumps(xg.compile(double, device="cpu", threads=1)))
    assert (f._device, f._threads) == ("cpu", 1)
    assert pickle.loads(pickle.dumps(xg.compile(double)))._options[1] is None  # all that the process may, there
    x = np.array([1.0, 2.0])
    back = pickle.loads(pickle.dumps(xg.compile(xg.grad(lambda_args, argnums=(1,), has_aux=True))))
    np.testing.assert_allclose(back(x, 2 * x)[0][0], x)


def lambda_args(a, b):
    return np.sum(a * b), a


def test_no_trace_kernel_or_lock_travels():
    f = xg.compile(double)
    before = len(pickle.dumps(f))
    f(np.ones(1000))
    assert len(pickle.dumps(f)) == before < 300
    assert pickle.loads(pickle.dumps(f)).traces == ()


@pytest.mark.parametrize("kind", [Model, Slotted])
@pytest.mark.parametrize("how", [n for n in COPIES if n.startswith(("deepcopy", "pickle", "cloud"))])
def test_an_object_with_a_compiled_method_is_copied_with_one_of_its_own(kind, how):
    first = kind(2.0)
    assert first.step(1.0) == 2
    second = COPIES[how](first)
    second.rate = 5.0
    assert (second.step(1.0), first.step(1.0)) == (5, 2)
    assert not vars(first).keys() - {"rate", "own"} if kind is Model else True


@pytest.mark.parametrize("how", [n for n in COPIES if n.startswith(("deepcopy", "pickle", "cloud"))])
def test_a_compiled_method_is_copied_with_its_object_once(how):
    first = Model(2.0)
    first.itself = first.step
    second = COPIES[how](first)
    second.rate = 5.0
    assert (second.own(1.0), second.itself(1.0), first.own(1.0), first.itself(1.0)) == (5, 5, 2, 2)


def test_an_object_without_weak_references_has_a_compiled_method():
    a, b = Slotted(2.0), Slotted(3.0)
    assert (a.step(1.0), b.step(1.0), a.step(2.0)) == (2, 3, 4)
    assert len(a.step.traces) == 1


def test_what_has_no_name_is_refused_as_a_python_function_is():
    with pytest.raises((pickle.PicklingError, AttributeError), match=r"local object|lambda"):
        pickle.dumps(xg.compile(lambda x: x))
    f = cloudpickle.loads(cloudpickle.dumps(xg.compile(xg.grad(lambda x: x**3))))
    assert f(2.0) == pytest.approx(12)


def test_a_script_sends_its_compiled_functions_to_another_process(tmp_path):
    source = """
        import sys, cloudpickle, numpy as np, xpgrad as xg

        rate = 2.0

        @xg.compile
        def f(x):
            return rate * x

        class Model:
            def __init__(self):
                self.k = 5.0
            @xg.compile
            def step(self, x):
                return self.k * f(x)

        m = Model()
        m.step(1.0)
        with open(sys.argv[1], "wb") as file:
            cloudpickle.dump((f, m, m.step, xg.compile(xg.grad(lambda x: f(x) ** 2))), file)
    """
    path = tmp_path / "sent"
    subprocess.run([sys.executable, "-c", textwrap.dedent(source), str(path)], check=True)
    with open(path, "rb") as file:
        f, m, step, slope = cloudpickle.load(file)
    assert (f(3.0), m.step(1.0), step(1.0), slope(1.0)) == (6, 10, 10, 8)


def test_a_deep_copy_may_hold_locks_of_the_users_own_only():
    holder = Holder(xg.compile(double))
    holder.f(1.0)
    copy.deepcopy(holder)
    holder.lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        copy.deepcopy(holder)
