"""Barriers are wherever they must be, and threads stay within their arrays: what `races.cpp` finds.

`ShimDevice` is watched in every test. Here is what would be found, and the corpus, gradients included, in
several blocks of two warps with several tiles each.
"""

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu import test_matmul
from backends.gpu.device import SHIM, VARIANTS, ShimDevice
from backends.gpu.shim import Shim, missing
from cases.programs import CASES
from xpgrad._trees import flatten
from xpgrad.backends import choose
from xpgrad.backends.gpu.limits import Limits
from xpgrad.compiler import compile
from xpgrad.plan import Target
from xpgrad.testing import expect, random_program

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

LOOP = Target(1 << 12, small=0)
PLAIN = Limits(tile=16, blocks=3)
TILES = PLAIN._replace(**VARIANTS)


# ── small kernels ────────────────────────────────────────────────────────────────────────────
HEAD = """extern "C" __global__ void f(const int* x, int* y, int k) {
    const int t = threadIdx.x, n = blockDim.x;"""
HELD = "XG_DYNAMIC_SHARED(bytes); int* held = (int*)bytes;"
READ = "const int a = __shfl_xor_sync(0xffffffffu, y[5], 1);"
NO_BARRIER, NO_ORDER = "no barrier is between them", "blocks have no barrier between them"


def launch(body, k=0, blocks=1, x=64, y=64, shared=256):
    """Both orders of the threads; the arrays have so many entries."""
    module = SHIM.module(f"{HEAD}\n    {body}\n}}")
    for reverse in (False, True):
        args = [np.ones(x, np.int32), np.zeros(y, np.int32), np.int32(k)]
        module.launch("f", blocks, 64, args, shared, reverse)


@pytest.mark.parametrize(
    "body",
    [
        f"{HELD} held[t] = t; __syncthreads(); y[t] = held[n - 1 - t];",
        "__shared__ int held[64]; held[t] = t; __syncthreads(); y[t] = held[n - 1 - t];",
        "y[t] = t; __syncthreads(); y[n - 1 - t] += t;",
        "y[t] = __shfl_xor_sync(0xffffffffu, x[t], 1);",
        "int a[64]; for (int i = 0; i < n; ++i) a[i] = x[i]; y[t] = a[n - 1 - t];",
        "if (t == k) y[0] = 1; __syncthreads(); y[t] = t == 0 ? 2 : y[t];",
    ],
)
def test_accesses_with_a_barrier_between_are_not_reported(body):
    launch(body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (f"{HELD} held[t] = t; y[t] = held[t ^ 1];", "of the dynamic shared memory"),
        ("__shared__ int held[64]; held[t] = t; y[t] = held[t ^ 1];", "of a __shared__ array"),
        ("y[t] = t; y[t ^ 1] += t;", "of y, .*" + NO_BARRIER),
        (
            "y[0] = x[0];",
            "thread 1 of block 0 writes entry 0 of y, which thread 0 of block 0 writes: " + NO_BARRIER,
        ),
        ("y[t] = x[t]; __shfl_sync(0xffffffffu, 0, 0); y[t ^ 1] = 0;", NO_BARRIER),
        ("atomicAdd(y, x[t]);", "entry 0 of y, .*" + NO_BARRIER),
    ],
)
def test_a_missing_barrier_is_reported(body, found):
    with pytest.raises(RuntimeError, match=f"^f, 1 blocks of 64 threads: .*{found}"):
        launch(body)


@pytest.mark.parametrize("writer", [0, 1, 31, 32, 63])
def test_whoever_writes_what_others_read(writer):
    with pytest.raises(RuntimeError, match=f"entry 5 of y, .*{NO_BARRIER}"):
        launch(f"{READ} if (t == k) y[5] = a;", writer)
    launch(f"{READ} __syncthreads(); if (t == k) y[5] = a;", writer)


@pytest.mark.parametrize(
    "body",
    [
        "y[t] = x[t];",
        "if (blockIdx.x == 0) y[t] = 1; else if (y[t] == x[t]) y[63 - t] = 0;",
        "int a = 0; for (int i = 0; i < n; ++i) a += y[i]; __syncthreads(); if (blockIdx.x == 1) y[t] = a;",
    ],
)
def test_blocks_do_not_share_what_one_of_them_writes(body):
    with pytest.raises(RuntimeError, match=NO_ORDER):
        launch(body, blocks=2)


def test_each_block_has_its_own_shared_memory():
    launch(f"{HELD} held[t] = t; __syncthreads(); y[blockIdx.x * n + t] = held[n - 1 - t];", blocks=2, y=128)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            "y[t] = x[t + 1];",
            "thread 63 of block 0 reads 4 bytes that it has not, at byte 256 of x, whose bytes are 256",
        ),
        ("y[t + 1] = x[t];", "thread 63 of block 0 writes 4 bytes that it has not, at byte 256 of y"),
        ("y[t] = x[t - 1];", "thread 0 of block 0 reads 4 bytes that it has not, at byte -4 of x"),
        ("if (t == 0) *(double*)(y + 63) = 0;", "writes 8 bytes that it has not, at byte 252 of y"),
        (
            f"{HELD} held[t + 1] = t;",
            "writes 4 bytes that it has not, at byte 256 of the dynamic shared memory",
        ),
        (f"{HELD} y[t] = held[t];", "of the dynamic shared memory, which nobody has written yet"),
        ("((int*)x)[t] = 1;", "writes to x, which is const"),
    ],
)
def test_an_access_outside_of_what_a_thread_has_is_reported(body, found):
    with pytest.raises(RuntimeError, match=found):
        launch(body)


def test_an_array_without_entries_is_not_written():
    with pytest.raises(RuntimeError, match="writes 4 bytes that it has not, at byte 0 of y, whose bytes are 0"):
        launch("if (t == 0) y[0] = 1;", y=0)


def test_what_is_written_overlaps_no_other_argument():
    module = SHIM.module(f"{HEAD} }}")
    x = np.zeros(8, np.int32)
    module.launch("f", 1, 32, [x[:4], x[4:], np.int32(0)])
    with pytest.raises(RuntimeError, match="x and y overlap, and one of them is written"):
        module.launch("f", 1, 32, [x[:5], x[4:], np.int32(0)])


def test_a_report_has_the_line_of_the_source():
    with pytest.raises(RuntimeError) as error:
        launch(f"{HELD} held[t] = t;\n    y[t] = held[t ^ 1];")
    assert str(error.value).endswith("\n    line 4: y[t] = held[t ^ 1];")


# ── kernels that were made wrong ─────────────────────────────────────────────────────────────
class Changed(ShimDevice):
    """Compiles texts with a change to their kernels, watched or not."""

    def __init__(self, change, watched=True, reverse=False):
        super().__init__(TILES, 64, reverse)
        self._change, self._watched, self.changed = change, watched, False

    def compile(self, text):
        changed = self._change(text)
        self.changed = self.changed or changed != text
        return super().compile(changed) if self._watched else (UNWATCHED.module(changed), True)


UNWATCHED = Shim()


def softmax(columns):
    params, X, Y = test_matmul.data(67, 40, 3, "f4")
    f = test_matmul.softmax_columns if columns else test_matmul.softmax
    return xg.value_and_grad(f), (params, np.ascontiguousarray(X.T) if columns else X, Y)


def bits(f, args, device):
    with choose.use("cuda", LOOP, device):
        return [np.asarray(x).tobytes() for x in flatten(compile(f)(*args))[0]]


def without_barrier(k):
    """Leaves out barrier ``k`` of the kernels of a text, and none of the functions that they call."""

    def change(text):
        called, head, kernels = text.partition('extern "C" __global__')
        parts = kernels.split("__syncthreads();")
        if k + 1 < len(parts):
            parts[k : k + 2] = ["".join(parts[k : k + 2])]
        return called + head + "__syncthreads();".join(parts)

    return change


@pytest.mark.slow
@pytest.mark.parametrize("columns", [False, True])
def test_a_barrier_without_which_results_change_is_reported_where_it_is_missing(columns):
    f, args = softmax(columns)
    expected = bits(f, args, ShimDevice(TILES, 64))
    found = []
    for k in range(100):
        device = Changed(without_barrier(k))
        try:
            assert bits(f, args, device) == expected
        except RuntimeError:
            found.append(k)
        if not device.changed:
            break
        others = [bits(f, args, Changed(without_barrier(k), watched=False, reverse=r)) for r in (False, True)]
        assert k in found or others == [expected, expected]
    assert len(found) >= 3  # parts, the scores of a sample, its share of the slopes


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: text.replace(" + blockIdx.x * ", " + 0 * "), NO_ORDER),
        (lambda text: text.replace("__syncthreads();\n    return x;", "return x;"), NO_BARRIER),
    ],
    ids=["all blocks add to the parts of the first", "a sum reads shared memory without a barrier"],
)
def test_a_change_that_makes_a_race_is_reported(change, found):
    device = Changed(change)
    with pytest.raises(RuntimeError, match=found):
        bits(*softmax(columns=False), device)
    assert device.changed


# ── kernels as they are ──────────────────────────────────────────────────────────────────────
@pytest.mark.sweep
@pytest.mark.parametrize("name", CASES)
def test_kernels_of_the_corpus_have_no_races(name):
    case = CASES[name]
    f, args = xg.value_and_grad(case.f) if case.scalar else case.f, case.args(70, np.float32)
    limits = TILES if list(CASES).index(name) % 2 else PLAIN
    with choose.use("cuda", LOOP, ShimDevice(limits, 64)):
        got = compile(f)(*args)
    expect(f, args, name).check(got)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_kernels_of_random_programs_have_no_races(seed):
    program = random_program(seed, scalar=bool(seed % 2), dtype="float32")
    f = xg.value_and_grad(program, argnums=program.argnums) if seed % 2 else program
    on = VARIANTS if seed // 2 % 2 else {}
    limits = Limits((4, 16, 64)[seed % 3], 5, (0, 1024, 40960)[seed // 3 % 3], 64, **on)
    with choose.use("cuda", Target((256, 1024, 4096)[seed // 9 % 3], run=1, small=0), ShimDevice(limits, 64)):
        compile(f)(*program.args)


def test_a_product_over_no_features_writes_no_slopes():
    w, X = np.ones(0, np.float32), np.ones((100_000, 0), np.float32)
    with choose.use("cuda", None, ShimDevice(None, 64)):
        slopes = compile(xg.grad(lambda w, X: np.sum(np.tanh(X @ w))))(w, X)
    assert slopes.shape == (0,)
