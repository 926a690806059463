"""Reductions by as many threads as a block has, literals, and what the shim itself reports."""

from functools import reduce

import numpy as np
import pytest

from backends.gpu import shim
from xpgrad.backends.gpu.cuda.printing.expressions import combine, identity, literal, monoid_type, value_type
from xpgrad.backends.gpu.cuda.printing.source import prelude
from xpgrad.testing import close, tolerance

pytestmark = pytest.mark.skipif(shim.missing() is not None, reason=str(shim.missing()))

DTYPES = "float32 float64 bool int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
MONOIDS = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum, "any": np.logical_or,
    "all": np.logical_and,
}  # fmt: skip
BLOCKS = [1, 32, 64, 256]


def pairs():
    """Which monoids reduce which dtypes: NumPy adds truth values as integers."""
    for dtype in DTYPES:
        for monoid in MONOIDS:
            if (dtype == "bool") == (monoid in ("any", "all")) or monoid in ("max", "min"):
                yield monoid, dtype


def some(dtype, n=7):
    rng = np.random.default_rng(2)
    x = rng.normal(size=n) * 3 if dtype.startswith("f") else rng.integers(0, 2 if dtype == "bool" else 100, n)
    return x.astype(dtype)


@pytest.fixture(scope="module")
def compiler():
    return shim.Shim()


@pytest.fixture(scope="module")
def reductions(compiler):
    """For each pair a kernel that folds an array, and one whose blocks reduce an entry of each thread."""
    parts = [prelude()]
    for monoid, dtype in pairs():
        kind, name = value_type(np.dtype(dtype)), monoid_type(monoid)
        parts.append(f"""
extern "C" __global__ void fold_{monoid}_{dtype}(const {kind}* x, {kind}* y, long long n) {{
    {kind} a = {identity(monoid, np.dtype(dtype))};
    for (long long i = 0; i < n; ++i) a = {combine(monoid, "a", "x[i]")};
    y[0] = a;
    y[1] = {name}::identity<{kind}>();
}}
extern "C" __global__ void __launch_bounds__(256) block_{monoid}_{dtype}(
    const {kind}* __restrict__ x, {kind}* __restrict__ y, {kind}* __restrict__ z) {{
    XG_DYNAMIC_SHARED(xg_shared);
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = xg::warp_reduce<{name}>(x[i]);
    z[i] = xg::block_reduce<{name}>(x[i], ({kind}*)xg_shared);
    z[i] = {combine(monoid, "z[i]", f"xg::block_reduce<{name}>(x[i], ({kind}*)xg_shared)")};
}}""")
    return compiler.module("\n".join(parts))


@pytest.mark.parametrize(("monoid", "dtype"), list(pairs()))
def test_values_combine_as_numpys_reduction_does(monoid, dtype, reductions):
    x, y = some(dtype), np.zeros(2, dtype)
    reductions.launch(f"fold_{monoid}_{dtype}", 1, 1, [x, y, len(x)])
    with np.errstate(over="ignore"):
        assert y[0] == reduce(MONOIDS[monoid], x)
        assert MONOIDS[monoid](x, y[1]).tolist() == x.tolist()  # the identity


@pytest.mark.parametrize("monoid", ["max", "min", "sum"])
def test_a_nan_goes_through_a_reduction_wherever_it_stands(monoid, reductions):
    for k in range(3):
        x, y = np.array([1, 2, 3], np.float32), np.zeros(2, np.float32)
        x[k] = np.nan
        reductions.launch(f"fold_{monoid}_float32", 1, 1, [x, y, len(x)])
        assert np.isnan(y[0])


@pytest.mark.sweep
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("monoid", "dtype"), list(pairs()))
def test_the_threads_of_a_warp_and_of_a_block_reduce_to_one_value_of_all(monoid, dtype, block, reductions):
    x = some(dtype, 3 * block)
    if monoid == "prod":
        x = np.where(np.arange(x.size) % 37 == 5, x, np.ones_like(x))
    results = []
    for reverse in (False, True):
        y, z = np.zeros_like(x), np.zeros_like(x)
        size = 32 * x.itemsize
        reductions.launch(f"block_{monoid}_{dtype}", 3, block, [x, y, z], size, reverse)
        results.append((y.tobytes(), z.tobytes()))
    assert results[0] == results[1]
    fold = MONOIDS[monoid]
    with np.errstate(over="ignore"):
        for part, width, twice in ((y, min(block, 32), False), (z, block, True)):
            expected = fold.reduce(x.reshape(-1, width), axis=1, dtype=x.dtype)[:, None]
            expected = fold(expected, expected) if twice else expected
            rows = part.reshape(-1, width)
            assert (rows == rows[:, :1]).all()
            if dtype.startswith("f"):
                assert close(rows[:, :1], expected, tolerance(dtype).value)
            else:
                assert np.array_equal(rows[:, :1], expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_literal_is_the_number(dtype, compiler):
    if dtype.startswith("float"):
        info = np.finfo(dtype)
        numbers = [0.1, -0.0, 1, 1e20, -1 / 3, np.inf, -np.inf, np.nan]
        numbers += [info.max, info.tiny, info.smallest_subnormal]
    elif dtype == "bool":
        numbers = [False, True]
    else:
        info = np.iinfo(dtype)
        numbers = [0, 1, 100, info.min, info.min + 1, info.max, info.max // 2]
    x = np.array(numbers, dtype)
    kind = value_type(x.dtype)
    lines = "\n".join(f"    y[{i}] = {literal(v, x.dtype)};" for i, v in enumerate(x))
    y = np.zeros_like(x)
    source = f'{prelude()}\nextern "C" __global__ void f({kind}* y) {{\n{lines}\n}}'
    compiler.module(source).launch("f", 1, 1, [y])
    nan = x != x
    assert (np.isnan(y) if nan.any() else nan).tolist() == nan.tolist()
    assert y[~nan].tobytes() == x[~nan].tobytes()


# ── the shim ─────────────────────────────────────────────────────────────────────────────────
KERNELS = """
extern "C" __global__ void scale(const float* __restrict__ x, float* y, long long n, float a) {
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        y[i] = a * x[i];
}
extern "C" __global__ void reads_unset(float* y) {
    XG_DYNAMIC_SHARED(bytes);
    y[0] = ((float*)bytes)[3];
}
extern "C" __global__ void writes_beyond() {
    XG_DYNAMIC_SHARED(bytes);
    bytes[64] = 1;
}
extern "C" __global__ void waits_in_vain(float* y) {
    if (threadIdx.x == 0) y[0] = __shfl_xor_sync(0xffffffffu, y[0], 1);
    else __syncthreads();
    __syncthreads();
    __shfl_xor_sync(0xffffffffu, y[0], 1);
}
extern "C" __global__ void leaves_early(float* y) {
    if (threadIdx.x > 20) return;
    y[threadIdx.x] = xg::warp_reduce<xg::Sum>(1.0f);
}
extern "C" __global__ void races(int* y) {
    XG_DYNAMIC_SHARED(bytes);
    int* held = (int*)bytes;
    held[threadIdx.x] = threadIdx.x;
    y[threadIdx.x] = held[(threadIdx.x + 1) % blockDim.x];
}
"""


@pytest.fixture(scope="module")
def module(compiler):
    return compiler.module(prelude() + KERNELS)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_kernel_runs_with_its_arrays_and_scalars(block, module):
    x = np.arange(1000, dtype=np.float32)
    y = np.zeros_like(x)
    module.launch("scale", 2, block, [x, y, np.int64(1000), np.float32(3)])
    assert np.array_equal(y, 3 * x)


def test_a_source_is_compiled_once(compiler, module):
    assert compiler.module(prelude() + KERNELS) is module


def test_arguments_of_another_type_are_refused(module):
    x = np.zeros(3, np.float32)
    for args, said in [
        ([x, x, np.int64(3)], "takes 4 arguments, not 3"),
        ([x.astype(float), x, np.int64(3), np.float32(1)], "x points to float32, not float64"),
        ([x, x, np.int32(3), np.float32(1)], "n is a int64, not a int32"),
        ([x, np.float32(3), np.int64(3), np.float32(1)], r"y is a float\*, not a float32"),
        ([x, x, x, np.float32(1)], "n is a long long, not an array"),
    ]:
        with pytest.raises(TypeError, match=said):
            module.launch("scale", 1, 1, args)
    with pytest.raises(ValueError, match="one thread or a multiple of 32, not 7"):
        module.launch("scale", 1, 7, [x, x, np.int64(3), np.float32(1)])


def test_shared_memory_that_was_not_written_is_nan(module):
    y = np.zeros(1, np.float32)
    module.launch("reads_unset", 1, 1, [y], shared=64)
    assert np.isnan(y[0])


@pytest.mark.parametrize(
    ("name", "block", "said"),
    [
        ("writes_beyond", 1, "writes beyond its shared memory"),
        ("waits_in_vain", 32, "has threads that wait for one another in vain"),
        ("leaves_early", 32, "shuffles with lanes that are gone"),
    ],
)
def test_a_kernel_that_goes_wrong_is_reported_by_name(name, block, said, module):
    with pytest.raises(RuntimeError, match=f"^{name} {said}"):
        module.launch(name, 1, block, [] if name == "writes_beyond" else [np.zeros(32, np.float32)], shared=64)


def test_a_missing_barrier_shows_in_one_order_or_the_other(module):
    results = []
    for reverse in (False, True):
        y = np.zeros(64, np.int32)
        module.launch("races", 1, 64, [y], 256, reverse)
        results.append(y.tolist())
    assert results[0] != results[1]


def test_what_does_not_compile_is_shown_with_its_line(compiler):
    source = 'extern "C" __global__ void f(float* y) {\n    y[0] = missing(1);\n}'
    with pytest.raises(RuntimeError, match=r"line 2: .*missing.*\n\s+y\[0\] = missing\(1\);"):
        compiler.module(source)
    with pytest.raises(RuntimeError, match="heads are not understood"):
        compiler.module("template <class T> __global__ void f(T* y) {}")
