"""Repeated calls with the same buffers: one graph, whose results are new arrays."""

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from xpgrad._errors import message
from xpgrad.backends import programs
from xpgrad.backends.gpu.cuda.replay import AFTER, KEPT
from xpgrad.compiler import compile
from xpgrad.testing import tolerance

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

CLOSE = tolerance(np.float64).value


def loss(w, X, rate):
    return np.sum(np.tanh(X @ w) ** 2) * rate


STEP = xg.value_and_grad(loss)


class Calls:
    """A compiled step on the shim, and what it launched in each call."""

    def __init__(self, f):
        self.compiled, self.device = compile(f), ShimDevice()

    def __call__(self, *args):
        self.device.launches.clear()
        with programs.use("cuda", None, self.device):
            out = self.compiled(*args)
            self.text = self.compiled.explain(*args)
        return out, list(self.device.launches)


@pytest.fixture
def args():
    rng = np.random.default_rng(0)
    return rng.standard_normal(4), rng.standard_normal((50, 4)), 0.5


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
        calls(w, X, 0.5)
    for other in ((w, X, 0.25), (w.copy(), X, 0.5), (w, X.copy(), 0.5)):
        (value, _), launched = calls(*other)
        assert launched != ["graph"]
        np.testing.assert_allclose(value, loss(*other), rtol=CLOSE)


def test_a_scalar_of_numpy_goes_to_the_device_once(args):
    w, X, _ = args
    calls = Calls(STEP)
    for _ in range(AFTER + 1):
        (value, _), launched = calls(w, X, np.float64(0.5))
    assert launched == ["graph"]
    np.testing.assert_allclose(value, loss(w, X, 0.5), rtol=CLOSE)


def test_a_few_graphs_are_kept(args):
    calls = Calls(STEP)
    held = [args[0].copy() for _ in range(KEPT + 2)]
    for w in held:
        for _ in range(AFTER):
            calls(w, args[1], 0.5)
    assert f"({KEPT} kept)" in calls.text


def test_a_program_with_a_step_of_the_library_says_why_it_has_no_graph(args):
    calls = Calls(lambda x: np.sum(np.cumsum(x) ** 2))
    for _ in range(AFTER + 1):
        value, launched = calls(args[1])
    assert "graph" not in launched
    assert "no CUDA graph: cumsum is the library's" in calls.text
    np.testing.assert_allclose(value, np.sum(np.cumsum(args[1]) ** 2), rtol=CLOSE)


def test_an_error_of_the_device_has_the_users_line(args):
    class Broken(ShimDevice):
        def launch(self, module, name, *rest):
            raise xg.DeviceError(message(f"kernel {name}: out of luck"))

    with programs.use("cuda", None, Broken()), pytest.raises(xg.DeviceError, match="kernel nest0") as error:
        compile(STEP)(*args)
    assert "return np.sum(np.tanh(X @ w) ** 2) * rate" in str(error.value)
