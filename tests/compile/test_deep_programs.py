"""Programs of many lines one after another: no walk over them is recursive, and none takes their square.

So that they need not have thousands, Python's limit of frames is lowered.

What is right is in closed form: lines that undo one another, or a recurrence in plain Python.
"""

import copy
import pickle
import sys
from functools import cache

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm import program as llvm
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.compiler import compile
from xpgrad.passes import run_passes
from xpgrad.plan import Region, Target, loop_nests, make_plan
from xpgrad.testing import tolerance
from xpgrad.trace import graph_of

N = 320
FRAMES = 140  # besides those of the test: what `compile` itself takes, and not once for each line


@pytest.fixture(autouse=True)
def few_frames():
    before = sys.getrecursionlimit()
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + FRAMES)
    yield
    sys.setrecursionlimit(before)


x = np.array([0.1, -0.2, 0.3, 0.4])
CLOSE = tolerance(np.float64).value
needs_llvm = pytest.mark.skipif(available() is not None, reason="llvmlite cannot be used here")


# ── chains, with their values and derivatives in closed form ─────────────────────────────────
def inverse_pairs(z):
    for _ in range(N):
        z = np.log(np.exp(z))
    return np.sum(z * z)


def moves_under_a_logarithm(z):
    z = np.exp(np.reshape(z, (2, 2)))
    for _ in range(N // 2):
        z = z.T
    return np.sum(np.log(z) ** 2)


def many_moves_under_a_logarithm(z):
    z = np.exp(z)
    for _ in range(N // 2):
        z = np.broadcast_to(np.reshape(np.reshape(z, (2, 2)).T.T, (1, 4))[0], (4,))
    return np.sum(np.log(z) ** 2)


def signs(z):
    u, v = z, z
    for _ in range(N):
        u = -u
    for _ in range(N + 1):
        v = -v
    return np.sum((np.exp(u) - np.exp(v)) / (np.exp(u) + np.exp(v)))


def products_with_minus_one(z):
    u = z
    for _ in range(N + 1):
        u = u * -1
    return np.sum(1 / (1 + np.exp(u)))


def ones_spread_again_and_again(z):
    one = np.full_like(z, 1.0)
    for _ in range(N):
        one = np.broadcast_to(one, (4,))
    return np.sum(one / (one + np.exp(-z)))


def numbers_without_axes(z):
    s = z[0]
    for _ in range(N):
        s = np.reshape(s, ())
    return s * s


def wheres(z):
    for _ in range(N):
        z = np.where(z > 100.0, z * 7.0, z + 0.5) - 0.5
    return np.sum(z * z)


def sorts(z):
    for _ in range(N // 2):
        z = np.sort(z)  # two nodes that no kernel takes
    return np.sum(z * z)


def writes(z):
    z = z.copy()
    for k in range(N // 2):
        z[k % 4] = z[k % 4] + 0.0
    return np.sum(z * z)


def expit(t):
    return 1 / (1 + np.exp(-t))


def squares(t):
    return np.sum(t * t), 2 * t


def first_squared(t):
    return t[0] ** 2, np.array([2 * t[0], 0, 0, 0])


def summed_expit(t):
    return np.sum(expit(t)), expit(t) * expit(-t)


CHAINS = {
    inverse_pairs: squares,
    moves_under_a_logarithm: squares,
    many_moves_under_a_logarithm: squares,
    signs: lambda t: (np.sum(np.tanh(t)), 1 / np.cosh(t) ** 2),
    products_with_minus_one: summed_expit,
    ones_spread_again_and_again: summed_expit,
    numbers_without_axes: first_squared,
    wheres: squares,
    sorts: squares,
    writes: squares,
}


def close(found, right):
    # A line that adds and takes away 1/2 rounds, N times.
    np.testing.assert_allclose(found, right, rtol=CLOSE, atol=N * 2e-16)


@pytest.mark.parametrize("f", CHAINS, ids=lambda f: f.__name__)
def test_a_long_chain_is_differentiated_eagerly(f):
    value, slope = CHAINS[f](x)
    found = xg.value_and_grad(f)(x)
    close(found[0], value)
    close(found[1], slope)
    close(xg.jvp(f, (x,), (np.ones(4),))[1], np.sum(slope))
    h = 1e-5  # the closed form has no more derivatives: they are differences of it, entry by entry
    second = (CHAINS[f](x + h)[1] - CHAINS[f](x - h)[1]) / (2 * h)
    found = xg.grad(lambda t: np.sum(xg.grad(f)(t)))(x)
    np.testing.assert_allclose(found, second, rtol=1e-6, atol=1e-8)


SHORT_FOR_LLVM = [f for f in CHAINS if f not in (wheres, writes, signs)]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("f", "generator"),
    [
        *((f, "interpreter") for f in CHAINS),
        *(pytest.param(f, "llvm", marks=needs_llvm) for f in SHORT_FOR_LLVM),
    ],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_a_long_chain_is_compiled(f, generator):
    value, slope = CHAINS[f](x)
    with choose.use(generator):
        step = compile(xg.value_and_grad(f))
        found = step(x)
        assert step.explain(x)
    close(found[0], value)
    close(found[1], slope)


def test_a_hessian_of_a_long_chain_is_compiled():
    with choose.use("interpreter"):
        found = compile(xg.hessian(moves_under_a_logarithm))(x)
    np.testing.assert_allclose(found, 2 * np.eye(4), rtol=CLOSE)


def test_a_long_chain_is_minimized_copied_and_pickled():
    fit = xg.minimize(inverse_pairs, x, method="lbfgs", max_iter=5)
    assert np.abs(fit.params).max() < 1e-6
    step = compile(inverse_pairs)
    value = step(x)
    assert copy.deepcopy(step)(x) == value == pickle.loads(pickle.dumps(step))(x)


# ── plans ────────────────────────────────────────────────────────────────────────────────────
def many(xs):
    total = 0.0
    for v in xs:
        total = total + np.sum(v * v)
    return total


@pytest.mark.parametrize(("count", "size"), [(N, 20), (20, 20_000)])
def test_as_many_axes_as_parameters_are_cut_without_recursion(count, size):
    """Each array has an axis of its own; all differ in length."""
    xs = [np.full(size + k, k / 1e3) for k in range(count)]
    with choose.use("interpreter"):
        found = compile(xg.grad(many))(xs)
    for k, g in enumerate(found):
        np.testing.assert_array_equal(g, np.full(size + k, 2 * (k / 1e3)))


def test_axes_that_are_too_short_each_are_in_no_loop():
    graph = run_passes(graph_of(many, [np.zeros(20 + k) for k in range(N)])[0])[0]
    plan = make_plan(graph, Target(1 << 19), [], {})
    assert not any(isinstance(step, Region) for step in plan.steps)
    each = make_plan(graph, Target(1 << 19, small=0), [], {})
    assert sum(isinstance(step, Region) for step in each.steps) == N


# ── kernels ──────────────────────────────────────────────────────────────────────────────────
def recurrence(z):
    for _ in range(N):
        z = z * 0.75 + 1 / (1 + z * z)
    return np.sum(z)


@cache
def recurrence_by_hand(dtype):
    """Value and gradient, an entry at a time."""
    z, slope = x.astype(dtype), np.ones(4, dtype)
    for _ in range(N):
        z, slope = z * 0.75 + 1 / (1 + z * z), slope * (0.75 - 2 * z / (1 + z * z) ** 2)
    return np.sum(z), slope


class Texts:
    """What LLVM would be given by a program, and the loop nests of its kernels."""

    def __init__(self, f, *args, monkeypatch):
        self.texts = []
        with monkeypatch.context() as patch:
            patch.setattr(llvm, "ready", self._take)
            with choose.use("llvm"):
                compile(f).explain(*args)

    def _take(self, text, names):
        self.texts.append(text)
        return dict.fromkeys(names, 0), True

    def functions(self):
        """The lines of each function."""
        return [body.count("\n") for text in self.texts for body in text.split("\ndefine ")[1:]]


@pytest.mark.slow
@needs_llvm
@pytest.mark.parametrize("f", [wheres, recurrence, writes], ids=lambda f: f.__name__)
def test_the_functions_that_llvm_compiles_are_bounded_however_long_the_program(f, monkeypatch):
    found = Texts(xg.value_and_grad(f), x, monkeypatch=monkeypatch)
    assert sum(found.functions()) > 400
    assert max(found.functions()) < 4000


@needs_llvm
def test_a_program_that_is_cut_into_many_functions_computes_the_same(monkeypatch):
    monkeypatch.setattr(loop_nests, "MOST", 4)
    monkeypatch.setattr("xpgrad.backends.cpu.llvm.kernel.TOGETHER", 5)

    def f(z):
        for _ in range(6):
            z = z * 0.75 + 1 / (1 + z * z)
        return np.sum(z * z, axis=0).sum()

    for m in (3, 5000):  # in one call, and in a loop over tiles
        z = np.linspace(-1, 1, 2 * m).reshape(m, 2)
        u, slope = z, np.ones_like(z)
        for _ in range(6):
            u, slope = u * 0.75 + 1 / (1 + u * u), slope * (0.75 - 2 * u / (1 + u * u) ** 2)
        with choose.use("llvm"):
            value, grad = compile(xg.value_and_grad(f))(z)
        np.testing.assert_allclose(value, np.sum(u * u), rtol=CLOSE)
        np.testing.assert_allclose(grad, 2 * u * slope, rtol=CLOSE, atol=CLOSE)


@needs_llvm
def test_a_product_and_the_sum_that_adds_it_are_rounded_once_wherever_a_body_is_cut(monkeypatch):
    """So that what is computed again in another loop has the same bits."""
    z = np.random.default_rng(0).normal(size=9) / 3

    def f(z):
        for k in range(12):
            z = z * (k + 0.1) + np.sqrt(np.abs(z))
        return z

    found = []
    for most in (256, 3, 4, 5):
        monkeypatch.setattr(loop_nests, "MOST", most)
        with choose.use("llvm"):
            found.append(compile(f)(z))
    assert all(np.array_equal(found[0], other) for other in found[1:])


def test_the_interpreter_has_the_recurrence_by_hand():
    value, slope = recurrence_by_hand(np.float64)
    with choose.use("interpreter"):
        found = compile(xg.value_and_grad(recurrence))(x)
    close(found[0], value)
    close(found[1], slope)


@needs_llvm
def test_the_time_that_axes_and_steps_take_grows_with_the_program_and_not_with_its_square():
    """Counted in calls of Python's, which no other program on the machine disturbs."""
    counts = []
    for n in (100, 400):
        calls = 0

        def count(frame, event, arg):
            nonlocal calls
            calls += event == "call"

        def f(z, n=n):
            for _ in range(n):
                z = np.cumsum(np.where(z > 0, z * 0.5, np.exp(z)))
            return np.sum(z)

        graph = run_passes(graph_of(xg.grad(f), x)[0])[0]
        before = sys.getprofile()
        sys.setprofile(count)
        try:
            make_plan(graph, Target(1 << 19), [], {})
        finally:
            sys.setprofile(before)
        counts.append(calls)
    assert counts[1] < 4.5 * counts[0]
