"""CUDA C++ becomes CUBIN, on any machine; what each kernel takes is read; what does not compile is shown."""

import sys
from types import SimpleNamespace

import pytest

from xpgrad import DependencyError, DeviceError
from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.backends.gpu.cuda.nvrtc import Resources, compile_cubin
from xpgrad.devices import extra

ARCHITECTURES = ["sm_70", "sm_80", "sm_90"]
REVERSE = """
// Blöcke von 256
extern "C" __global__ void __launch_bounds__(256) reverse(const float* __restrict__ x, float* __restrict__ y) {
  __shared__ float block[256];
  long long first = 256LL * blockIdx.x;
  block[threadIdx.x] = x[first + threadIdx.x];
  __syncthreads();
  y[first + threadIdx.x] = block[255 - threadIdx.x];
}
"""
# 64 float64 at once: 128 registers and more, where a block of 1024 threads leaves 64 to each.
MANY = """
extern "C" __global__ void __launch_bounds__(THREADS) many(const double* x, double* y) {
  double v[64], sum = 0;
  #pragma unroll
  for (int k = 0; k < 64; ++k) v[k] = x[64 * threadIdx.x + k];
  __syncthreads();
  #pragma unroll
  for (int k = 0; k < 64; ++k) sum += v[k] * x[k];
  #pragma unroll
  for (int k = 0; k < 64; ++k) y[64 * threadIdx.x + k] = v[k] * sum;
}
"""
CALLS = """
__device__ __noinline__ float pick(const float* x, int n) {
  float kept[40], sum = 0;
  for (int i = 0; i < 40; ++i) kept[i] = x[i];
  for (int i = 0; i < n; ++i) sum += kept[(int)x[i]];
  return sum;
}
template <class T> __global__ void first(T* x) { x[0] = pick(x, 3); }
template __global__ void first<float>(float*);
extern "C" __global__ void second(float* x) { x[0] = x[1]; }
"""


@pytest.fixture
def compiler():
    """NVRTC; the `test` extra installs it wherever there are wheels of it."""
    reason = nvrtc.available()
    if sys.platform == "darwin":
        pytest.skip(reason)
    assert reason is None


@pytest.fixture(params=ARCHITECTURES)
def arch(compiler, request):
    if request.param == "sm_70" and nvrtc.version()[0] > 12:
        pytest.skip("NVRTC 13 compiles for nothing older than sm_75")
    return request.param


@pytest.fixture
def looks_again():
    """`available` forgets what it found, before the test and after it."""
    nvrtc.available.cache_clear()
    yield
    nvrtc.available.cache_clear()


def wrong(source, arch="sm_80"):
    """What is said of a text that does not compile."""
    with pytest.raises(AssertionError) as caught:
        compile_cubin(source, arch, "fit.cu")
    return str(caught.value)


def test_a_kernel_is_compiled_without_a_gpu(arch):
    cubin = compile_cubin(REVERSE, arch)
    assert cubin.image[:4] == b"\x7fELF"
    assert int.from_bytes(cubin.image[18:20], "little") == 190  # EM_CUDA
    assert b"reverse" in cubin.image
    assert f"entry function 'reverse' for '{arch}'" in cubin.log


def test_the_same_text_gives_the_same_image(compiler):
    assert compile_cubin(REVERSE).image == compile_cubin(REVERSE).image
    assert compile_cubin(REVERSE, "sm_80").image != compile_cubin(REVERSE, "sm_90").image


def test_what_a_kernel_takes_is_read(arch):
    took = compile_cubin(REVERSE, arch).resources["reverse"]
    assert 0 < took.registers <= 64
    assert took == Resources(took.registers, spill_stores=0, spill_loads=0, shared=1024, stack=0)


def test_what_finds_no_register_is_counted(arch):
    roomy, tight = (
        compile_cubin(MANY.replace("THREADS", str(threads)), arch).resources["many"] for threads in (64, 1024)
    )
    assert roomy.registers > 128
    assert roomy[1:] == (0, 0, 0, 0)
    assert tight.registers <= 64
    assert tight.spill_stores > 256
    assert tight.spill_loads > 256
    assert tight.stack > 256


def test_each_kernel_of_a_module_is_reported_with_what_it_calls(compiler):
    resources = compile_cubin(CALLS).resources
    assert {name: took.stack for name, took in resources.items()} == {"_Z5firstIfEvPT_": 160, "second": 0}


def test_spills_of_a_called_function_count_for_each_kernel_that_calls_it():
    log = """\
ptxas info    : 0 bytes gmem, 400 bytes cmem[3]
ptxas info    : Compiling entry function 'fit' for 'sm_80'
ptxas info    : Function properties for fit
    40 bytes stack frame, 36 bytes spill stores, 44 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 56 bytes cumulative stack size, 1024 bytes smem
ptxas info    : Compile time = 12.578 ms
ptxas info    : Function properties for called
    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Compiling entry function 'add' for 'sm_80'
ptxas info    : Function properties for add
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, 368 bytes cmem[0]
"""
    assert nvrtc._resources(log) == {
        "fit": Resources(32, spill_stores=48, spill_loads=52, shared=1024, stack=56),
        "add": Resources(8, spill_stores=0, spill_loads=0, shared=0, stack=0),
    }


def test_an_error_shows_its_line_among_its_neighbours(compiler):
    # The lines before and after are NVRTC's no more: they come from the text.
    said = wrong(REVERSE.replace("255 - threadIdx.x", "255 - thread"))
    assert said.startswith("fit.cu does not compile for sm_80: NVRTC_ERROR_COMPILATION (6)\n")
    assert 'fit.cu(8): error: identifier "thread" is undefined' in said
    assert said.splitlines()[-4:] == [
        "     6   block[threadIdx.x] = x[first + threadIdx.x];",
        "     7   __syncthreads();",
        ">    8   y[first + threadIdx.x] = block[255 - thread];",
        "     9 }",
    ]


def test_a_file_that_is_not_there_is_an_error_with_its_line(compiler):
    assert "\n>    1 #include <nowhere.h>\n" in wrong("#include <nowhere.h>\n\nint after;\n")


def test_what_the_assembler_refuses_is_shown(compiler):
    said = wrong('extern "C" __global__ void f(float* x) { asm("frobnicate %0;" :: "f"(x[0])); }')
    assert "Not a name of any known instruction: 'frobnicate'" in said


def test_more_shared_memory_than_a_block_may_have_is_an_error_with_the_kernels_name(compiler):
    said = wrong(REVERSE.replace("block[256]", "block[20000]"))
    assert "Entry function 'reverse' uses too much shared data" in said


@pytest.mark.parametrize("unknown", ["sm_35", "sm_999", "compute_80"])
def test_an_architecture_that_nvrtc_does_not_know_is_refused(compiler, unknown):
    with pytest.raises(DeviceError, match=rf"^NVRTC [\d.]+ does not compile for {unknown}\n  knows .*sm_80, "):
        compile_cubin(REVERSE, unknown)


@pytest.mark.parametrize(
    ("version", "arch", "remedy"),
    [
        ((13, 0), "sm_70", 'that for CUDA 12 may: pip uninstall cupy-cuda13x, pip install "xpgrad[gpu]"'),
        ((13, 0), "sm_130", 'a newer one may: pip install --upgrade "cupy-cuda13x[ctk]"'),
        ((12, 4), "sm_120", 'a newer one may: pip install --upgrade "cupy-cuda12x[ctk]"'),
    ],
)
def test_a_card_that_nvrtc_does_not_know_is_told_which_may(monkeypatch, version, arch, remedy):
    known = [75, 80, 90, *([120] if version[0] == 13 else [])]
    binding = SimpleNamespace(getVersion=lambda: version, getSupportedArchs=lambda: known)
    monkeypatch.setattr(nvrtc, "_binding", lambda: binding)
    monkeypatch.setattr(nvrtc, "available", lambda: None)
    monkeypatch.setattr(nvrtc, "architectures", nvrtc.architectures.__wrapped__)
    with pytest.raises(DeviceError, match=f"does not compile for {arch}\n") as error:
        compile_cubin(REVERSE, arch)
    assert str(error.value).endswith(f"\n  {remedy}")


def test_the_version_that_is_there_compiles_for_the_oldest_cards_that_it_may(compiler):
    # The extra test names NVRTC 12: 13, which comes with CuPy for CUDA 13, begins at sm_75.
    wanted = {12: ARCHITECTURES, 13: ARCHITECTURES[1:]}[nvrtc.version()[0]]
    assert set(wanted) <= set(nvrtc.architectures())


def test_without_cupy_the_extra_is_named(looks_again, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "cupy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    assert nvrtc.available() == f'CuPy is not installed; pip install "xpgrad[{extra()}]"'
    with pytest.raises(DependencyError, match=r"^CUDA C\+\+ cannot be compiled: CuPy is not installed; pip"):
        compile_cubin(REVERSE)


def test_a_cupy_that_does_not_import_says_why(looks_again, monkeypatch):
    def binding():
        raise ImportError("\n====\nsee the guide\n") from ImportError("libc.so.7: no such file\nand more")

    monkeypatch.setattr(nvrtc, "_binding", binding)
    monkeypatch.setattr(nvrtc, "extra", lambda: "gpu13")
    expected = 'CuPy is installed but cannot be imported (libc.so.7: no such file); pip install "xpgrad[gpu13]"'
    assert nvrtc.available() == expected


@pytest.mark.parametrize("error", [RuntimeError, OSError])
def test_a_missing_library_is_named(looks_again, monkeypatch, error):
    def missing():
        raise error('Failure finding "libnvrtc.so.12": No such file\n  searched here\n')

    monkeypatch.setattr(nvrtc, "_binding", lambda: SimpleNamespace(getVersion=missing))
    assert nvrtc.available() == (
        'CuPy does not find NVRTC, the compiler library of CUDA (Failure finding "libnvrtc.so.12": '
        f'No such file); pip install "xpgrad[{extra()}]"'
    )
    with pytest.raises(DependencyError, match="does not find NVRTC"):
        nvrtc.version()
    with pytest.raises(DependencyError, match="does not find NVRTC"):
        compile_cubin(REVERSE)
