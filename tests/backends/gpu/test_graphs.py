"""CUDA graphs: repeated calls with the same buffers are one graph, whose results are new arrays."""

import gc
import weakref

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from cases.programs import CASES
from xpgrad._errors import message
from xpgrad._trees import flatten
from xpgrad.backends import choose
from xpgrad.backends.gpu.cuda.arguments import Refused
from xpgrad.backends.gpu.limits import Limits
from xpgrad.compiler import compile
from xpgrad.plan import Target
from xpgrad.testing import tolerance

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

CLOSE = tolerance(np.float64).value
RATE = 1 / 20_000
GRAPHS = Limits(cuda_graphs=True)
AFTER, KEPT = GRAPHS.graph_calls, GRAPHS.graphs_kept


def loss(w, X, rate):
    return np.sum(np.tanh(X @ w) ** 2) * rate


STEP = xg.value_and_grad(loss)


class Calls:
    """A compiled step on the shim, and what it launched in each call."""

    def __init__(self, f):
        self.compiled, self.device = compile(f), ShimDevice(GRAPHS)

    def __call__(self, *args):
        self.device.launches.clear()
        with choose.use("cuda", None, self.device):
            out = self.compiled(*args)
            self.text = self.compiled.explain(*args)
        return out, list(self.device.launches)


@pytest.fixture
def args():
    rng = np.random.default_rng(0)
    return rng.standard_normal(4), rng.standard_normal((20_000, 4)), RATE


def test_the_same_buffers_are_captured_and_what_lies_in_them_may_change(args):
    calls = Calls(STEP)
    for k in range(AFTER + 2):
        (value, grad), launched = calls(*args)
        expected, expected_grad = STEP(*args)
        np.testing.assert_allclose(value, expected, rtol=CLOSE)
        np.testing.assert_allclose(grad, expected_grad, rtol=CLOSE)
        assert (launched == ["graph"]) == (k >= AFTER - 1)
        args[0][...] -= 0.1 * grad
    assert "a CUDA graph after 3 calls with the same buffers (1 kept)" in calls.text


def test_without_the_switch_no_call_is_captured_and_explain_says_so(args):
    calls = Calls(STEP)
    calls.device = ShimDevice()
    for _ in range(AFTER + 2):
        _, launched = calls(*args)
        assert "graph" not in launched
    assert "no CUDA graph: the switch `cuda_graphs` is off" in calls.text


def test_results_of_a_graph_are_new_arrays(args):
    calls = Calls(STEP)
    for _ in range(AFTER):
        (_, first), _ = calls(*args)
    before = first.copy()
    args[0][...] = 0
    (_, second), launched = calls(*args)
    assert launched == ["graph"]
    assert np.array_equal(first, before)
    assert not np.shares_memory(first, second)


def test_another_scalar_or_another_buffer_is_another_graph(args):
    calls = Calls(STEP)
    w, X, _ = args
    for _ in range(AFTER):
        calls(w, X, RATE)
    for other in ((w, X, 0.25), (w.copy(), X, RATE), (w, X.copy(), RATE)):
        (value, _), launched = calls(*other)
        assert launched != ["graph"]
        np.testing.assert_allclose(value, loss(*other), rtol=CLOSE)


def test_a_scalar_of_numpy_goes_to_the_device_once(args):
    w, X, _ = args
    calls = Calls(STEP)
    for _ in range(AFTER + 1):
        (value, _), launched = calls(w, X, np.float64(RATE))
    assert launched == ["graph"]
    np.testing.assert_allclose(value, loss(w, X, RATE), rtol=CLOSE)


def test_a_few_graphs_are_kept(args):
    calls = Calls(STEP)
    held = [args[0].copy() for _ in range(KEPT + 2)]
    for w in held:
        for _ in range(AFTER):
            calls(w, args[1], RATE)
    assert f"({KEPT} kept)" in calls.text


def test_a_program_with_a_step_of_the_library_says_why_it_has_no_graph(args):
    calls = Calls(lambda x: np.sum(np.cumsum(x) ** 2))
    for _ in range(AFTER + 1):
        value, launched = calls(args[1])
    assert "graph" not in launched
    assert "no CUDA graph: cumsum is the library's" in calls.text
    np.testing.assert_allclose(value, np.sum(np.cumsum(args[1]) ** 2), rtol=CLOSE)


def test_a_zero_of_the_other_sign_is_another_scalar(args):
    calls = Calls(lambda X, s: np.sum(np.copysign(1.0, s) * X, axis=0))
    calls_of = [0.0] * AFTER + [-0.0]
    for s in calls_of:
        total, launched = calls(args[1], s)
        np.testing.assert_allclose(total, np.copysign(1.0, s) * args[1].sum(axis=0), rtol=1e-13, atol=1e-13)
    assert launched != ["graph"]


def test_a_graph_keeps_no_argument(args):
    calls = Calls(STEP)
    w, X = args[0].copy(), args[1].copy()
    for _ in range(AFTER):
        _, launched = calls(w, X, RATE)
    assert launched == ["graph"]
    there = [weakref.ref(w), weakref.ref(X)]
    del w, X
    gc.collect()
    assert all(x() is None for x in there)


def test_outputs_of_many_shapes_lie_side_by_side(args):
    def f(w, X):
        z = X @ w
        return np.sum(z), z, X.T @ z, np.sum(z) > 0, z[:0]

    calls = Calls(f)
    for _ in range(AFTER + 1):
        found, launched = calls(*args[:2])
    assert launched == ["graph"]
    for x, y in zip(found, f(*args[:2]), strict=True):
        assert (x.shape, x.dtype) == (np.shape(y), np.asarray(y).dtype)
        np.testing.assert_allclose(x, y, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("f", "why"),
    [
        (lambda w, X: np.tanh(X), "one kernel is launched as fast as a graph"),
        (lambda w, X: (np.sum(X @ w), X.T), "an output looks into an argument"),
        (lambda w, X: (np.sum(np.tanh(X)), np.tanh(X @ np.ones((4, 8)))), "1280008 bytes"),
    ],
)
def test_a_graph_that_would_gain_nothing_is_none(args, f, why):
    calls = Calls(f)
    for _ in range(AFTER + 1):
        _, launched = calls(*args[:2])
    assert "graph" not in launched
    assert "no CUDA graph: " in calls.text
    assert why in calls.text


def test_a_device_that_refuses_to_capture_goes_on_kernel_by_kernel_and_says_why(args):
    class Refusing(ShimDevice):
        def capture(self, start):
            raise Refused("not this driver")

    calls = Calls(STEP)
    calls.device = Refusing(GRAPHS)
    for _ in range(AFTER + 2):
        (value, _), launched = calls(*args)
        assert len(launched) > 1
        np.testing.assert_allclose(value, loss(*args), rtol=CLOSE)
    assert "no CUDA graph: the device refuses to capture it: not this driver" in calls.text


def test_what_copies_between_its_kernels_is_not_captured(args):
    """Every second row, in two halves: an array in another order than C, in which the next kernel reads."""

    def f(w, X):
        whole = np.exp(X)
        return np.tanh(whole[::2].reshape(2, -1, 4)) * np.sum(whole)

    calls = Calls(f)
    for _ in range(AFTER + 2):
        found, launched = calls(*args[:2])
    assert "graph" not in launched
    assert (
        "no CUDA graph: the device refuses to capture it: between its kernels an array is copied" in calls.text
    )
    np.testing.assert_allclose(found, f(*args[:2]), rtol=1e-13)


@pytest.mark.parametrize("name", ["kernel_energy", "gray_scott_in_place"])
def test_views_of_what_is_stored_are_read_where_it_lies_and_captured(name):
    case = CASES[name]
    args, f = case.args(70, np.float64), xg.value_and_grad(case.f) if case.scalar else case.f
    compiled, device = compile(f), ShimDevice(GRAPHS)
    with choose.use("cuda", Target(1 << 12, small=0), device):
        found = [flatten(compiled(*args))[0] for _ in range(AFTER + 2)]
    assert "graph" in device.launches
    for later in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], later, strict=True))


def test_an_error_of_the_device_has_the_users_line(args):
    class Broken(ShimDevice):
        def launch(self, module, name, *rest):
            raise xg.DeviceError(message(f"kernel {name}: out of luck"))

    with choose.use("cuda", None, Broken()), pytest.raises(xg.DeviceError, match="kernel nest0") as error:
        compile(STEP)(*args)
    assert "return np.sum(np.tanh(X @ w) ** 2) * rate" in str(error.value)
