"""The code that the math functions become: vectors, no calls; coefficients with the errors stated."""

import re
from pathlib import Path

import pytest
from mpmath import mp

from xpgrad.backends.cpu.llvm import build
from xpgrad.backends.cpu.llvm.functions import definitions, symbol
from xpgrad.codegen.scalar import bessel_polynomials, functions, polynomials, special_polynomials

llvm = pytest.importorskip("llvmlite.binding")
if reason := build.available():
    pytest.skip(reason, allow_module_level=True)

from backends.llvm import remez  # noqa: E402
from backends.llvm.math_kernels import loop, operands_of  # noqa: E402

# For each table of coefficients the module that holds them.
FILES = {"elementary": polynomials, "special": special_polynomials, "bessel": bessel_polynomials}
STATED = {
    name: float(error)
    for module in FILES.values()
    for error, name in re.findall(r"2\*\*(-[0-9.]+)\n(\w+) = ", Path(module.__file__).read_text())
}
SPECS = [(table, spec) for table in FILES for spec in remez.specs(table)]


def optimised(text):
    """The module after the passes, for this processor, and its assembly."""
    module = llvm.parse_assembly(text)
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, reloc="pic"
    )
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return str(module), machine.emit_assembly(module)


@pytest.fixture(scope="module", autouse=True)
def _printer():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize("name", sorted(functions.BODIES))
def test_a_loop_is_vectorised_and_calls_nothing(name, kind):
    ir, assembly = optimised(loop(name, kind))
    vectors = re.findall(rf"store <(\d+) x (?:{kind}|i32|i64)>", ir)
    assert vectors, "no vector is stored"
    assert min(map(int, vectors)) * (4 if kind == "float" else 8) >= 16
    # A rare argument goes to the C library, by functions of whole vectors that are inlined afterwards.
    own = re.sub(r"^define [^@]*@xg\.slow\.[\s\S]*?^}", "", ir, flags=re.MULTILINE)
    called = {c for c in re.findall(r"call [^@]*@([\w.]+)", own) if not c.startswith("llvm.")}
    assert {
        c for c in called if not re.fullmatch(r"xg\.slow\.(sin|cos|tan|fmod|zeta_left)(\.v\d+)?", c)
    } == set()
    assert called or not re.search(r"^\s+(call|bl)\b", assembly, re.MULTILINE)


@pytest.mark.parametrize("kind", ["float", "double"])
def test_no_function_branches_but_for_loops_or_assumes_finite_numbers(kind):
    for name in functions.BODIES:
        kinds = (kind,) * operands_of(name)
        text = definitions([(name, kinds)]).partition(f"{symbol(name, kind)}(")[2]
        assert not re.search(r"\b(nnan|ninf|reassoc|fast|load|fptosi)\b", text), name
        loops = any(
            i.op == "loop" for i in functions.function(name, functions.BODIES[name], kinds).instructions
        )
        assert bool(re.search(r"\bbr\b", text)) == loops, name


def test_each_function_is_defined_once_and_each_intrinsic_declared_once():
    kinds = ("float", "double")
    wanted = [(name, (kind,) * operands_of(name)) for name in functions.BODIES for kind in kinds]
    text = definitions([*wanted, *wanted])
    heads = re.findall(r"^(?:define|declare)[^@]*@([\w.]+)", text, re.MULTILINE)
    assert len(heads) == len(set(heads))
    own = [h for h in heads if h.startswith("xg.") and not h.startswith("xg.slow.")]
    assert len(own) == len(wanted) + len(functions.RARE)
    llvm.parse_assembly(text).verify()


@pytest.mark.sweep
@pytest.mark.parametrize(("table", "spec"), SPECS, ids=[spec.name for _, spec in SPECS])
def test_a_polynomial_has_the_error_that_is_stated(table, spec):
    points = remez.chebyshev(spec.lo, spec.hi, 300)
    error = remez.error_of(
        list(getattr(FILES[table], spec.name)),
        points,
        [spec.f(x) for x in points],
        [abs(spec.weight(x)) for x in points],
    )
    stated = STATED[spec.name]
    assert stated - 0.5 < float(mp.log(error, 2)) < stated + 0.06
