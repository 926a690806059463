"""Random programs in plain NumPy: compiled, each agrees with NumPy; its derivatives with eager ones.

In units of how well each result is determined: see `xpgrad.testing.sensitivity`. A program that
fails is printed, shrunk, as its source. In sum 1,600 programs (500 for LLVM), of which hypothesis
repeats some.
"""

import os
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.testing import programs, random_program

# The function-scoped fixture is a compiler, which keeps nothing from one program to the next.
_settings = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False)


# LLVM takes about 0.2 s for the kernels of a program: a third of them, or with this variable all. What is
# compiled for a GPU takes longer.
EVERY = bool(os.environ.get("XPGRAD_TEST_EVERY_PROGRAM"))


# A run without what is slow has one of so many.
_SHARE = int(os.environ["XPGRAD_TEST_SHARE"])


def _count(n):
    return settings(_settings, max_examples=max(n // _SHARE, 10))


def _check(compilers, program, transform=None, extra=()):
    """Compiled, ``transform(program)`` is what it is in NumPy, and is so the second time."""
    try:
        expected = program.expected if transform is None else program.expect(transform, extra)
    except xg.TraceError as error:
        # Refused by design: what is differentiated is written into a copy of an argument that is not.
        refused = ("cannot hold a traced value", "would lose its derivative")
        if transform is None or not any(text in str(error) for text in refused):
            raise
        reject()
    assume(expected.tame)
    for compiler in compilers:
        if not _is_taken(compiler, program):
            continue
        args = (*program.args, *extra)
        run = compiler.compile(program if transform is None else transform(program))
        with _named(compiler):
            for _ in range(2):
                expected.check(run(*args))
        for k, (before, after) in enumerate(zip(program.args, args, strict=False)):
            assert np.array_equal(before, after), (
                f"argument {k} was written to by the {compiler.name}\n{program}"
            )


@contextmanager
def _named(compiler):
    """An error says whose it is."""
    try:
        yield
    except Exception as error:
        error.add_note(f"compiled by: {compiler.name}")
        raise


def _is_taken(compiler, program):
    if compiler.name == "gpu" and "== np.arange(" in program.source:
        return False  # an array of NumPy's own beside those on the GPU: `test_corpus` has what is said of it
    return EVERY or zlib.crc32(program.source.encode()) % compiler.share == 0


def _tangents(program):
    """One for each argument that can be differentiated, in its dtype."""
    rng = np.random.default_rng(0)
    made = [program.args[k] for k in program.argnums]
    return [np.asarray(rng.normal(size=x.shape), dtype=x.dtype) for x in made]


# ── values ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("samples", ["rows", "columns"])
@_count(85)
@given(data=st.data())
def test_values_in_float64_agree_with_numpy(compilers, samples, data):
    _check(compilers, data.draw(programs(samples=samples, dtype="float64")))


@pytest.mark.parametrize("samples", ["rows", "columns"])
@_count(85)
@given(data=st.data())
def test_values_in_float32_agree_with_numpy(compilers, samples, data):
    _check(compilers, data.draw(programs(samples=samples, dtype="float32")))


@_count(85)
@given(program=programs(dtype="mixed"))
def test_values_of_mixed_dtypes_agree_with_numpy(compilers, program):
    _check(compilers, program)


# ── derivatives ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("samples", ["rows", "columns"])
@_count(90)
@given(data=st.data())
def test_values_and_gradients_agree_with_eager_ones(compilers, samples, data):
    program = data.draw(programs(scalar=True, samples=samples))
    _check(compilers, program, lambda f: xg.value_and_grad(f, argnums=program.argnums))


@_count(80)
@given(program=programs(max_steps=7))
def test_tangents_agree_with_eager_ones(compilers, program):
    n, nums = len(program.inputs), program.argnums
    outs = [np.asarray(x).dtype.kind for x in flatten(program.expected.value)[0]]
    assume(all(kind == "f" for kind in outs))

    def transform(f):
        def pushed(*args):
            def of_floats(*xs):
                every = list(args[:n])
                for k, x in zip(nums, xs, strict=True):
                    every[k] = x
                return f(*every)

            return xg.jvp(of_floats, [args[k] for k in nums], args[n:])[1]

        return pushed

    _check(compilers, program, transform, _tangents(program))


@_count(53)
@given(program=programs(scalar=True, max_steps=6))
def test_hessian_products_agree_with_eager_ones(compilers, program):
    _check(
        compilers, program, lambda f: lambda *args: xg.hvp(f, program.argnums[0])(*args), _tangents(program)[:1]
    )


# ── the same bits ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("samples", ["rows", "columns"])
@_count(26)
@given(data=st.data())
def test_any_number_of_threads_gives_the_same_bits(threaded, samples, data):
    program = data.draw(programs(scalar=True, samples=samples))
    if not _is_taken(threaded, program):
        return
    f = xg.value_and_grad(program, argnums=program.argnums)
    first, *others = [_bits(threaded.compile(f, threads=k)(*program.args)) for k in (1, 2, 7)]
    assert all(bits == first for bits in others), f"the bits depend on the number of threads\n{program}"


def _bits(tree):
    return [np.asarray(x).tobytes() for x in flatten(tree)[0]]


# ── the programs themselves ──────────────────────────────────────────────────────────────────
def test_a_program_prints_as_source_that_computes_the_same():
    program = random_program(3)
    scope = {"np": np}
    exec(str(program), scope)
    assert _bits(scope["program"](*program.args)) == _bits(program(*program.args))


def test_programs_have_what_a_compiler_meets():
    """Of 400 programs: layouts, dtypes, sizes, in-place writes, and ops of every family."""
    drawn = [random_program(seed) for seed in range(400)]
    inputs = [x for program in drawn for x in program.inputs]
    assert {x.layout for x in inputs} == set(xg.testing.program.LAYOUTS)
    assert {x.dtype for x in inputs} == {"float32", "float64", "int64", "bool", "python"}
    assert {max(x.shape, default=0) > 999 for x in inputs} == {True, False}
    assert any(0 in x.shape for x in inputs)
    text = "\n".join(map(str, drawn))
    for part in "softmax:np.exp @ einsum .T reshape [1:] np.where np.max cumsum sort stack +=".split():
        assert part.split(":")[-1] in text, part
    assert sum(step.kind == "write" for program in drawn for step in program.steps) > 50
