"""What only a real GPU shows of compiled functions: graphs, copies, streams, memory, threads, errors."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.backends import choose
from xpgrad.backends.gpu.limits import Limits
from xpgrad.devices import gpu_status
from xpgrad.testing import close, tolerance

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("real_gpu")]


def in_columns(params, X, Y):
    W, b = params
    A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def in_rows(params, X, Y):
    W, b = params
    return np.mean((X @ W + b - Y) ** 2)


GRAPHS = Limits(cuda_graphs=True)
AFTER = GRAPHS.graph_calls
LOSSES = {"columns": in_columns, "rows": in_rows}
M, N = 20_011, 24  # no multiple of a tile, a block or a warp


def data(samples, dtype=np.float64):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((M, N)).astype(dtype), (rng.random((M, 1)) < 0.5).astype(dtype)
    params = rng.standard_normal((N, 1)).astype(dtype), np.array(0.3, dtype)
    return params, *((X, Y) if samples == "rows" else (np.ascontiguousarray(X.T), np.ascontiguousarray(Y.T)))


def bits(tree):
    return [x.tobytes() for x in flatten(xg.asnumpy(tree))[0]]


def agree(got, f, args):
    """``got`` is what ``f(*args)`` is in NumPy and float64, within the dtype of ``got``."""
    expected = flatten(f(*tree64(args)))[0]
    for a, b in zip(flatten(xg.asnumpy(got))[0], expected, strict=True):
        assert close(np.asarray(a), np.asarray(b), tolerance(np.asarray(a).dtype).value)


def tree64(args):
    leaves, structure = flatten(args)
    return xg._trees.unflatten(structure, [np.asarray(x, np.float64) for x in leaves])


@pytest.fixture
def cp():
    return xg.namespace("gpu")


def card(limits, number=0):
    """A device with limits of its own."""
    from xpgrad.backends.gpu.cuda.device import CudaDevice

    return CudaDevice(number, limits)


@pytest.fixture
def graphs(real_gpu):
    """Calls in the test are captured."""
    with choose.use("cuda", None, card(GRAPHS)):
        yield


# ── graphs ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize("samples", LOSSES)
def test_a_graph_gives_the_bits_of_the_calls_before_it_in_new_arrays(samples):
    args = xg.to_device(data(samples, np.float32), "gpu")
    step = xg.compile(xg.value_and_grad(LOSSES[samples]))
    outs = [step(*args) for _ in range(AFTER + 3)]
    assert f"after {AFTER} calls with the same buffers (1 kept)" in step.explain(*args)
    assert len({tuple(bits(out)) for out in outs}) == 1
    addresses = [x.data.ptr for out in outs for x in flatten(out)[0]]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.usefixtures("graphs")
def test_a_graph_sees_what_is_written_to_its_inputs_and_keeps_no_result(cp):
    args = data("rows")
    params, X, Y = xg.to_device(args, "gpu")
    step = xg.compile(xg.value_and_grad(in_rows))
    for _ in range(AFTER):
        before = step(params, X, Y)
    kept = bits(before)
    X *= 0.5
    params[0][...] = cp.linspace(-1, 1, N).reshape(N, 1)
    agree(step(params, X, Y), xg.value_and_grad(in_rows), xg.asnumpy((params, X, Y)))
    assert bits(before) == kept


@pytest.mark.usefixtures("graphs")
def test_a_graph_is_kept_for_each_stream(cp):
    args = xg.to_device(data("columns"), "gpu")
    step = xg.compile(xg.value_and_grad(in_columns))
    cp.cuda.get_current_stream().synchronize()
    found = []
    for stream in (cp.cuda.Stream(), cp.cuda.Stream(non_blocking=True), cp.cuda.Stream.null):
        with stream:
            found += [step(*args) for _ in range(AFTER + 1)]
        stream.synchronize()
    assert "(3 kept)" in step.explain(*args)
    assert len({tuple(bits(out)) for out in found}) == 1


# ── streams, threads, devices ────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("graphs")
def test_kernels_are_ordered_by_the_users_stream(cp):
    """What a slow kernel on the stream writes, the compiled function reads."""
    x = cp.zeros(1 << 22)
    f = xg.compile(lambda x: np.sum(x * x))
    f(x)
    cp.cuda.get_current_stream().synchronize()
    with cp.cuda.Stream(non_blocking=True) as stream:
        for k in range(1, 2 * AFTER):
            for _ in range(50):
                x += 1
            total = f(x)
            assert total.get() == x.size * (50.0 * k) ** 2
        stream.synchronize()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("samples", LOSSES)
def test_every_run_and_every_stream_gives_the_same_bits(cp, samples, dtype):
    args = xg.to_device(data(samples, dtype), "gpu")
    f = xg.value_and_grad(LOSSES[samples])
    found = {tuple(bits(xg.compile(f)(*args))) for _ in range(2)}
    cp.cuda.get_current_stream().synchronize()
    with cp.cuda.Stream(non_blocking=True) as stream:
        out = xg.compile(f)(*args)
        stream.synchronize()
    found.add(tuple(bits(out)))
    assert len(found) == 1


def in_threads(n, work):
    start = threading.Barrier(n)

    def begin(k):
        start.wait()
        work(k)

    with ThreadPoolExecutor(n) as pool:
        list(pool.map(begin, range(n)))


@pytest.mark.parametrize("streams", [False, True], ids=["one stream", "a stream each"])
def test_threads_share_a_compiled_function(cp, streams):
    step = xg.compile(xg.value_and_grad(in_columns))
    params, X, Y = data("columns")
    shared = xg.to_device((X, Y), "gpu")
    cp.cuda.get_current_stream().synchronize()

    device = card(GRAPHS)

    def work(k):
        own = cp.cuda.Stream(non_blocking=True) if streams else cp.cuda.Stream.null
        with own, choose.use("cuda", None, device):
            mine = params[0] + 0.1 * k, params[1]
            there = xg.to_device(mine, "gpu")
            for _ in range(2 * AFTER):
                agree(step(there, *shared), xg.value_and_grad(in_columns), (mine, X, Y))

    in_threads(4, work)


def test_a_second_gpu_computes_what_the_first_does(cp):
    count = len(gpu_status().gpus)
    if count < 2:
        pytest.skip(f"needs two GPUs; there is {count}")
    args = data("rows")
    step = xg.compile(xg.value_and_grad(in_rows))
    first = step(*xg.to_device(args, "gpu"))
    there = xg.to_device(args, "gpu:1")
    for _ in range(AFTER + 1):  # while the first GPU is the current one
        second = step(*there)
        assert xg.device_of(second) == "gpu:1"
        assert bits(first) == bits(second)
    with pytest.raises(xg.DeviceError, match="arguments on two devices"):
        step(xg.to_device(args[0], "gpu"), *there[1:])
    agree(xg.compile(xg.value_and_grad(in_rows), device="gpu:1")(*args), xg.value_and_grad(in_rows), args)


# ── what is copied ───────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("graphs")
@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize:UserWarning")
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_nothing_is_copied_to_the_host(compiled):
    import cupyx

    args = xg.to_device(data("columns"), "gpu")
    step = xg.value_and_grad(in_columns)
    run = xg.compile(step) if compiled else step
    with cupyx.allow_synchronize(False):
        for _ in range(AFTER + 1):
            out = run(*args)
        with pytest.raises(cupyx.DeviceSynchronized):
            xg.asnumpy(out)


@pytest.mark.usefixtures("graphs")
def test_arguments_are_left_alone_and_results_share_no_memory(cp):
    x, y = xg.to_device((np.arange(6.0).reshape(3, 2), np.ones((3, 2))), "gpu")

    def f(x, y):
        z = x + y
        return x, x, x.T, x[1:], z, z, z.reshape(-1), np.broadcast_to(y[:1], (3, 2)), y

    run = xg.compile(f)
    for _ in range(AFTER + 1):
        outs = run(x, y)
        for k, (got, expected) in enumerate(zip(outs, f(x.get(), y.get()), strict=True)):
            assert np.array_equal(got.get(), expected)
            assert not any(cp.may_share_memory(got, other) for other in (x, y, *outs[:k]))
        for out in outs:
            out[...] = -1
    assert x.get().tolist() == [[0, 1], [2, 3], [4, 5]]


# ── devices, as the function sees them ───────────────────────────────────────────────────────
def test_a_compiled_function_knows_where_its_arguments_are():
    def f(x):
        assert xg.device_of(x) == "gpu"
        return np.sum(x * xg.namespace(x).arange(3.0))

    x = xg.to_device(np.ones(3), "gpu")
    assert xg.compile(f)(x).get() == 3
    assert xg.compile(xg.grad(f))(x).get().tolist() == [0, 1, 2]
    assert "CUDA kernels" in xg.compile(f).explain(x)


def test_index_arrays_of_numpys_are_taken_by_kernels():
    X = np.arange(9.0).reshape(3, 3) / 9
    rows, labels = np.array([0, 2, 1]), np.array([2, 0, 1])
    f = xg.value_and_grad(lambda X: np.sum(np.exp(X)[rows, labels]))
    run, there = xg.compile(f), xg.to_device(X, "gpu")
    agree(run(there), f, (X,))
    assert "CUDA kernels" in run.explain(there)


@pytest.mark.parametrize("device", [None, "gpu"], ids=["where they are", "device=gpu"])
def test_a_numpy_array_that_a_function_closes_over_is_an_error_that_says_what_is_where(device):
    weights = np.arange(3.0)
    f = xg.compile(lambda x: np.sum(np.exp(x) * weights), device=device)
    with pytest.raises(xg.DeviceError, match="multiply: operands on two devices") as error:
        f(xg.to_device(np.ones(3), "gpu"))
    assert "float64[3] on the CPU" in str(error.value)
    assert "np.sum(np.exp(x) * weights)" in str(error.value)


# ── samples on the host ──────────────────────────────────────────────────────────────────────
@pytest.fixture
def mapped(tmp_path):
    """Arrays in files, mapped into memory."""

    def mapped(*arrays):
        found = []
        for x in arrays:
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
            np.save(path, x)
            found.append(np.load(path, mmap_mode="r"))
        return found

    return mapped


def streaming(size):
    """A device whose tiles from the host have at most ``size`` bytes."""
    return card(Limits(staging=size))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("samples", LOSSES)
def test_a_mapped_file_goes_through_the_gpu_in_tiles(mapped, samples, dtype):
    params, X, Y = data(samples, dtype)
    step = xg.value_and_grad(LOSSES[samples])
    run = xg.compile(step, device="gpu")
    args = params, *mapped(X, Y)
    with choose.use("cuda", None, streaming(X.nbytes // 7)):
        found = [run(*args) for _ in range(3)]  # buffers that one call leaves, the next one fills
        text = run.explain(*args)
    agree(found[0], step, (params, X, Y))
    assert len({tuple(bits(out)) for out in found}) == 1
    assert "from the host: 8 tiles of" in text
    assert xg.device_of(found[0]) == "gpu"


def test_threads_stream_by_one_compiled_function(mapped):
    params, X, Y = data("rows")
    step = xg.value_and_grad(in_rows)
    run = xg.compile(step, device="gpu")
    args, device = (params, *mapped(X, Y)), streaming(X.nbytes // 20)
    others = params, X[::-1].copy(), np.zeros_like(Y)
    both = [(args, (params, X, Y)), ((params, *mapped(*others[1:])), others)]

    def work(k):
        args, plain = both[k % 2]
        with choose.use("cuda", None, device):
            for _ in range(3):
                agree(run(*args), step, plain)

    in_threads(4, work)


@contextmanager
def room(cp, size):
    """Arrays are made in a pool of their own, of ``size`` bytes."""
    pool = cp.cuda.MemoryPool()
    pool.set_limit(size=size)
    with cp.cuda.using_allocator(pool.malloc):
        yield


def test_a_tile_that_does_not_fit_is_halved_and_the_result_is_the_same(cp, mapped):
    params, X, Y = data("rows", np.float32)
    step = xg.value_and_grad(in_rows)
    run = xg.compile(step, device="gpu")
    args = params, *mapped(X, Y)
    with room(cp, X.nbytes), choose.use("cuda", None, streaming(2 * X.nbytes)):
        got = run(*args)
        text = run.explain(*args)
    agree(got, step, (params, X, Y))
    assert f"out of memory: tiles of {M // 2} samples instead" in text


# ── memory and errors ────────────────────────────────────────────────────────────────────────
def test_out_of_memory_says_how_much_was_asked_for_and_the_next_call_works(cp):
    x = cp.ones(1 << 20)
    f = xg.compile(lambda x: np.exp(x) * 2)
    with (
        room(cp, 1 << 20),
        pytest.raises(xg.DeviceError, match="out of memory allocating 8,388,608 bytes") as error,
    ):
        f(x)
    assert "free" in str(error.value)
    assert "test_card.py:" in str(error.value)
    assert close(f(x)[:1].get(), np.exp([1.0]) * 2, tolerance(np.float64).value)


def test_an_array_that_does_not_fit_is_refused_by_its_place_in_the_tree(cp):
    with room(cp, 1 << 20), pytest.raises(xg.DeviceError, match=r"^to_device: tree\['X'\]: out of memory"):
        xg.to_device({"X": np.ones(1 << 20)}, "gpu")


FAILING = """
    import os, sys
    import numpy as np
    import xpgrad as xg
    from xpgrad._errors import at_line
    from xpgrad.backends.gpu.cuda.device import device

    card = device(0)
    x = xg.to_device(np.zeros(4, np.float32), "gpu")
    module, _ = card.compile('extern "C" __global__ void region(float* y) { y[1ll << 40] = 1; }')
    try:
        with at_line("fit.py:3: A = X @ w"):
            card.launch(module, "region", 1, 32, [x], 0)
        xg.asnumpy(x)
    except xg.DeviceError as error:
        print(error)
    try:
        xg.to_device(np.ones(3), "gpu")
    except xg.DeviceError as error:
        print("again:", error)
    sys.stdout.flush()
    os._exit(0)  # CuPy would report it once more when it frees its memory
"""


@pytest.mark.slow  # two processes; and compute-sanitizer, which leaves these out, would report the failure
@pytest.mark.parametrize("blocking", ["0", "1"])
def test_a_kernel_that_fails_is_named_with_its_line_and_that_the_process_cannot_go_on(blocking):
    environment = os.environ | {"CUDA_LAUNCH_BLOCKING": blocking}
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FAILING)], capture_output=True, text=True, env=environment
    )
    assert child.returncode == 0, child.stderr
    first, second = child.stdout.split("again:")
    for part in (
        "an illegal memory access",
        "kernel region",
        "fit.py:3: A = X @ w",
        "cannot use the GPU again",
    ):
        assert part in first
    assert first.startswith("kernel region: " if blocking == "1" else "asnumpy: tree: ")
    assert "cannot use the GPU again" in second


# ── dtypes, training ─────────────────────────────────────────────────────────────────────────
def of_half(w, X, y):
    return np.mean((X @ w - y) ** 2)


@pytest.mark.parametrize("n", [5, 200])
def test_samples_in_float16_give_float32_sums(n):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((3000, n)).astype(np.float16), rng.standard_normal(3000).astype(np.float32)
    args = rng.standard_normal(n).astype(np.float32), X, y
    step = xg.value_and_grad(of_half)
    run, there = xg.compile(step), xg.to_device(args, "gpu")
    value, grad = run(*there)
    assert value.dtype == grad.dtype == np.float32
    agree((value, grad), step, args)
    assert "by the library" not in run.explain(*there)


@pytest.mark.parametrize("samples", LOSSES)
def test_minimize_finds_on_the_gpu_what_it_finds_on_the_cpu(samples):
    params, X, Y = data(samples)
    start = np.zeros_like(params[0]), np.zeros_like(params[1])
    for method in ("lbfgs", "gd"):
        there, here = (
            xg.minimize(LOSSES[samples], start, (X, Y), method=method, device=device, max_iter=20)
            for device in ("gpu", "cpu")
        )
        assert xg.device_of(there.params) == "gpu"
        assert close(there.value, here.value, 1e-8), method


def test_minimize_reads_a_mapped_file_in_tiles(mapped):
    params, X, Y = data("rows")
    start = np.zeros_like(params[0]), np.zeros_like(params[1])
    here = xg.minimize(in_rows, start, (X, Y), method="lbfgs", device="cpu", max_iter=20)
    with choose.use("cuda", None, streaming(X.nbytes // 5)):
        there = xg.minimize(in_rows, start, tuple(mapped(X, Y)), method="lbfgs", device="gpu", max_iter=20)
    assert close(there.value, here.value, 1e-8)
