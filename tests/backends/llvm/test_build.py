"""IR becomes code that runs, in this process, beside itself, and in a forked child."""

import ctypes
import gc
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from xpgrad.backends.cpu.llvm import build

if reason := build.available():
    pytest.skip(reason, allow_module_level=True)

SCALE = """
define void @kernel(ptr noalias %x, ptr noalias %y, i64 %n) "prefer-vector-width"="512" {
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%i1, %loop]
  %px = getelementptr float, ptr %x, i64 %i
  %v = load float, ptr %px
  %w = fmul float %v, FACTOR
  %py = getelementptr float, ptr %y, i64 %i
  store float %w, ptr %py
  %i1 = add nuw nsw i64 %i, 1
  %c = icmp slt i64 %i1, %n
  br i1 %c, label %loop, label %end
end:
  ret void
}
"""
TABLE = """
@table = internal constant [4 x double] [double 1.5, double 2.5, double 3.5, double 4.5]
define double @at(i64 %i) {
  %p = getelementptr double, ptr @table, i64 %i
  %v = load double, ptr %p
  ret double %v
}
"""
POWER = """
declare double @pow(double, double)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define double @cubed(double %x, ptr %p) {
  call void @llvm.memset.p0.i64(ptr %p, i8 7, i64 100000, i1 false)
  %y = call double @pow(double %x, double 3.0)
  ret double %y
}
"""


def scale(factor):
    return build.compile_ir(SCALE.replace("FACTOR", f"{factor:.1f}"))


def run_scale(loaded, n=1003):
    x, y = np.arange(n, dtype=np.float32), np.empty(n, np.float32)
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    signature(loaded["kernel"])(x.ctypes.data, y.ctypes.data, n)
    return y


def run_at(loaded, i):
    return ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(loaded["at"])(i)


def test_compiled_ir_computes():
    np.testing.assert_array_equal(run_scale(build.load(scale(3), ["kernel"])), 3 * np.arange(1003, dtype="f4"))


def test_code_finds_its_constants():
    loaded = build.load(build.compile_ir(TABLE), ["at"])
    assert [run_at(loaded, i) for i in range(4)] == [1.5, 2.5, 3.5, 4.5]


def test_code_may_call_the_c_library():
    loaded = build.load(build.compile_ir(POWER), ["cubed"])
    buffer = ctypes.create_string_buffer(100000)
    cubed = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_void_p)(loaded["cubed"])
    assert cubed(2.0, ctypes.addressof(buffer)) == 8.0
    assert set(buffer.raw) == {7}


def test_loops_are_vectorised(monkeypatch):
    # The IR is one scalar loop; more than one multiplication in the object is the vectoriser's work.
    llvm = build._binding()
    names = []
    emit = llvm.TargetMachine.emit_object

    def watch(machine, module):
        names.append(str(module))
        return emit(machine, module)

    monkeypatch.setattr(llvm.TargetMachine, "emit_object", watch)
    scale(3)
    assert " x float> " in names[0]


def test_objects_may_define_the_same_name():
    loaded = [build.load(scale(k), ["kernel"]) for k in (2, 5, 2)]
    for k, one in zip((2, 5, 2), loaded, strict=True):
        assert run_scale(one)[7] == 7 * k


def test_code_is_unloaded_with_the_last_reference(monkeypatch):
    unloaded = []
    monkeypatch.setattr(build, "_unload", unloaded.append)
    obj = build.compile_ir(TABLE)
    first, second = build.load(obj, ["at"]), build.load(obj, ["at"])
    del first
    gc.collect()
    assert len(unloaded) == 1
    assert run_at(second, 2) == 3.5
    unloaded[0].close()


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="counts mappings, which Linux lists in /proc")
def test_loading_and_unloading_a_thousand_times_does_not_fill_the_memory():
    obj = build.compile_ir(TABLE)
    maps = lambda: len(Path("/proc/self/maps").read_text().splitlines())
    build.load(obj, ["at"])
    before = maps()
    for _ in range(1000):
        assert run_at(build.load(obj, ["at"]), 1) == 2.5
    assert maps() < before + 100


def test_the_same_ir_gives_the_same_object():
    assert scale(3) == scale(3)
    assert scale(3) != scale(4)


def test_ir_that_does_not_parse_is_our_error_and_is_shown():
    with pytest.raises(AssertionError, match=r"(?s)value doesn't match.*1 define void @f\(\) \{\n +2 +ret i32"):
        build.compile_ir("define void @f() {\n  ret i32 0\n}")


def test_the_line_that_llvm_names_is_shown_however_far_down():
    with pytest.raises(AssertionError, match=r"(?s)  200   ret i32 0$"):
        build.compile_ir("define void @f() {\n" + "; filler\n" * 198 + "  ret i32 0\n}")


def test_ir_that_does_not_verify_is_our_error_and_is_shown():
    with pytest.raises(AssertionError, match=r"(?s)refer.*1 define i32 @f"):
        build.compile_ir("define i32 @f() {\n  %x = add i32 1, %x\n  ret i32 %x\n}")


def test_a_function_that_is_not_in_the_object_is_our_error(capfd):
    with pytest.raises(AssertionError, match=r"object with other does not link.*Symbols not found"):
        build.load(build.compile_ir(TABLE), ["other"])
    assert capfd.readouterr().err == ""


def test_an_error_leaves_the_linker_in_order():
    with pytest.raises(AssertionError):
        build.load(b"no object", ["at"])
    assert run_at(build.load(build.compile_ir(TABLE), ["at"]), 0) == 1.5


def test_several_threads_may_compile_and_load_at_once():
    results = {}

    def work(k):
        results[k] = run_scale(build.load(scale(k), ["kernel"]))[3]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {k: 3 * k for k in range(8)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.slow
def test_a_child_forked_while_a_thread_compiles_can_call_compile_and_load():
    # In a process of its own, which has no threads but these.
    code = """
        import ctypes, os, signal, threading, warnings
        from xpgrad.backends.cpu.llvm import build
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads
        TABLE = '''%s'''
        at = lambda loaded: ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(loaded["at"])
        loaded, over = build.load(build.compile_ir(TABLE), ["at"]), threading.Event()
        def compile():
            while not over.is_set():
                build.compile_ir(TABLE)
        thread = threading.Thread(target=compile)
        thread.start()
        for i in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # rather than hang
                new = build.load(build.compile_ir(TABLE), ["at"])
                os._exit(0 if at(loaded)(1) == 2.5 and at(new)(3) == 4.5 else 1)
            assert os.waitpid(child, 0)[1] == 0
        over.set()
        thread.join()
        print("well")
    """
    assert run_python(textwrap.dedent(code) % TABLE) == "well"


def test_a_process_ends_well_with_code_still_loaded():
    code = f"""
import ctypes, gc
from xpgrad.backends.cpu.llvm import build
kept = [build.load(build.compile_ir('''{TABLE}'''), ["at"]) for _ in range(3)]
cycle = [kept]
cycle.append(cycle)
del kept
print("well")
"""
    assert run_python(code) == "well"


def test_loading_a_stored_object_sets_up_no_part_of_the_compiler(tmp_path):
    file = tmp_path / "kernel.o"
    file.write_bytes(build.compile_ir(TABLE))
    code = f"""
import ctypes, sys
from xpgrad.backends.cpu.llvm import build
assert "llvmlite" not in sys.modules
build.fingerprint()
loaded = build.load(open({str(file)!r}, "rb").read(), ["at"])
print(ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(loaded["at"])(3), build._printer.cache_info().currsize)
"""
    assert run_python(code) == "4.5 0"


def test_the_fingerprint_names_everything_that_decides_the_code():
    import llvmlite
    import llvmlite.binding as llvm

    import xpgrad

    parts = build.fingerprint().split(", ")
    assert f"xpgrad {xpgrad.__version__}" in parts
    assert f"llvmlite {llvmlite.__version__}" in parts
    assert f"LLVM {'.'.join(map(str, llvm.llvm_version_info))}" in parts
    assert llvm.get_host_cpu_name() in parts
    assert llvm.get_host_cpu_features().flatten() in parts
    assert f"{8 * ctypes.sizeof(ctypes.c_void_p)} bit" in parts
    assert "\n" not in build.fingerprint()


@pytest.fixture
def asked_again():
    build.available.cache_clear()
    yield
    build.available.cache_clear()


def test_without_llvmlite_the_reason_says_what_to_type(asked_again, monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert build.available().endswith('pip install "xpgrad[cpu]"')
    assert "cannot be imported" in build.available()


def test_an_old_llvmlite_is_named_with_its_version(asked_again, monkeypatch):
    monkeypatch.setattr("llvmlite.__version__", "0.44.1")
    assert build.available() == 'llvmlite 0.44.1 is older than 0.45; pip install "xpgrad[cpu]"'


def test_a_machine_without_a_target_is_a_reason(asked_again, monkeypatch):
    def no_target():
        raise RuntimeError("No available targets are compatible with triple")

    monkeypatch.setattr(build, "_machine", no_target)
    assert build.available().startswith("LLVM has no native target")


def test_a_library_that_does_not_load_is_a_reason(asked_again, monkeypatch):
    def broken():
        raise OSError("Could not find/load shared object file")

    monkeypatch.setattr(build, "_machine", broken)
    assert "cannot load its library" in build.available()


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()
