"""Every function, operator and method that a traced array takes, called as NumPy's signatures allow.

The calls are generated (`cases.signatures`); NumPy itself says what each gives, or that it is refused.
"""

import inspect
import os

import numpy as np
import pytest

from cases import signatures
from cases.signatures import OPTIONAL, OPTIONAL_OF, UNVARIED, WRITES, Call, calls, name_of
from cases.sweeping import (
    BY_NUMBERS,
    Sweep,
    by_reference,
    dispatched,
    eagerly,
    outcome,
    problems,
    pulled_back,
)
from xpgrad._trees import flatten
from xpgrad.backends import choose, reference
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.compiler import compile
from xpgrad.testing import check_grads
from xpgrad.trace import graph_of

FUNCTIONS = [*signatures.functions(), *signatures.OPERATORS, *signatures.methods()]
TRACEABLE = [f for f in FUNCTIONS if name_of(f) not in BY_NUMBERS]
# What is compiled by instructions of our own, and not by calls of the library.
IN_LOOPS = [f for f in TRACEABLE if not name_of(f).startswith(("fft.", "linalg."))]
TWO_OPERANDS = [f for f in FUNCTIONS if signatures.several_operands(f) and f not in WRITES]
# The larger of 0.0 and -0.0 depends in NumPy on which of its loops takes the entry.
EXTREMA = {"fmin", "fmax"}
# XPGRAD_TEST_EVERY_CALL=1 makes the sweeps of compiled code wide: minutes instead of seconds.
EVERY_CALL = "XPGRAD_TEST_EVERY_CALL" in os.environ
COMPILERS = ["interpreter", *(["llvm"] if available() is None else [])]


def name(f):
    return name_of(f)


def told(found):
    found = list(found)
    assert not found, f"{len(found)} calls differ:\n" + "\n".join(text[:600] for text in found[:12])


@pytest.mark.sweep
@pytest.mark.parametrize("f", FUNCTIONS, ids=name)
def test_every_function_of_the_table_can_be_called_with_each_of_its_parameters(f):
    if not isinstance(f, np.ufunc):
        parameters = {
            p.name for p in inspect.signature(f).parameters.values() if p.default is not p.empty
        } - UNVARIED
        assert parameters <= {*OPTIONAL, *OPTIONAL_OF.get(f, {})}, (
            "say in OPTIONAL what a parameter of this name takes"
        )
    done = set()
    for call in calls(f):
        tried = set(call.varied.split("+"))
        if not tried <= done and outcome(lambda call=call: Sweep(call).function([])())[1] is None:
            done |= tried
    assert "" in done, "say in OPERANDS what it takes: NumPy refuses every call"
    assert set(signatures.optional(f)) <= done, "no call with this parameter succeeds"


@pytest.mark.sweep
@pytest.mark.parametrize("f", FUNCTIONS, ids=name)
def test_values_errors_and_derivatives_are_numpys(f):
    told(text for call in calls(f, 0.6 if EVERY_CALL else 0.1) for text in problems(call, eagerly))


@pytest.mark.sweep
@pytest.mark.parametrize("f", TRACEABLE, ids=name)
def test_values_and_errors_are_numpys_with_shapes_alone(f):
    told(text for call in calls(f, 0.06) for text in problems(call, by_reference, compiled=True))


@pytest.mark.sweep
@pytest.mark.parametrize("f", TRACEABLE, ids=name)
def test_compiled_values_and_errors_are_numpys(f):
    run = compiled_by("interpreter")
    told(text for call in some(f, 0.05, 0.003) for text in problems(call, run, compiled=True))


@pytest.mark.slow
@pytest.mark.skipif(available() is not None, reason="no LLVM")
@pytest.mark.parametrize("f", IN_LOOPS if EVERY_CALL else IN_LOOPS[::3], ids=name)
def test_values_by_llvm_are_numpys(f):
    signs = name_of(f).removeprefix("ndarray.") not in EXTREMA
    told(
        text
        for call in some(f, 0.01, 0.001)
        for text in problems(call, compiled_by("llvm"), compiled=True, signs=signs)
    )


def compiled_by(generator):
    def run(sweep, places):
        compiled = compile(sweep.function(places))
        with choose.use(generator):
            return compiled(*sweep.at(places))

    return run


@pytest.mark.sweep
@pytest.mark.parametrize("f", TRACEABLE, ids=name)
def test_derivatives_with_shapes_alone_are_eager_ones(f):
    def by_graph(g, *args):
        graph, rebuild = graph_of(g, *args)
        return rebuild(reference.run(graph, flatten(args)[0]))

    told(_pullbacks(calls(f, 0.03), by_graph))


@pytest.mark.slow
@pytest.mark.parametrize("generator", COMPILERS)
@pytest.mark.parametrize("f", IN_LOOPS, ids=name)
def test_compiled_derivatives_are_eager_ones(f, generator):
    def compiled(g, *args):
        with choose.use(generator):
            return compile(g)(*args)

    shares = (0.02, 0.002) if generator == "interpreter" else (0.003, 0.0)
    told(_pullbacks(some(f, *shares), compiled))


def some(f, wide, share):
    """Calls of ``f``: ``wide`` of them where every call is asked for, else ``share``, and at least one."""
    return calls(f, wide) if EVERY_CALL else calls(f, share, each=0)


def _pullbacks(chosen, how):
    for call in chosen:
        sweep = Sweep(call)
        for places in sweep.choices():
            if (
                call.smooth
                and dispatched(sweep, places)
                and (text := pulled_back(sweep, places, how)) is not None
            ):
                yield f"{call} with {places} traced: {text}"


@pytest.mark.slow
@pytest.mark.parametrize("f", TWO_OPERANDS, ids=name)
def test_second_derivatives_in_two_operands_agree_with_differences(f):
    found = [c for c in calls(f, 0.1) if c.smooth and not c.kwargs and len(Sweep(c).floats) > 1]
    found = found[: 6 if EVERY_CALL else 1]
    for call in found:
        sweep = Sweep(call)
        places = sweep.floats
        plain, error = outcome(sweep.function([]))
        several = isinstance(plain, tuple) and bool(plain)  # of a factorisation or a fit the first result
        plain = plain[0] if several else plain
        dtypes = [np.asarray(x).dtype for x in sweep.at(places)]
        if (
            error is None
            and set(dtypes) == {np.dtype(float)}
            and np.size(plain)
            and np.asarray(plain).dtype == float
        ):
            f_at = sweep.function(places)
            check_grads((lambda *xs, f=f_at: f(*xs)[0]) if several else f_at, sweep.at(places))


def test_the_generator_tries_every_pair_of_ranks():
    shapes = {tuple(map(np.shape, call.args)) for call in calls(np.matmul) if isinstance(call, Call)}
    assert {(p, q) for p in signatures.SHAPES for q in signatures.SHAPES} <= shapes
