"""Each program runs as it is, eagerly and compiled, and its gradient is right."""

from importlib import import_module

import numpy as np
import pytest

import xpgrad as xg
from programs import NAMES
from xpgrad._trees import flatten, tree_map


@pytest.fixture(params=NAMES)
def program(request):
    return import_module(f"programs.{request.param}")


# All of them take a minute to compile. In this one a loop takes rows that were not yet made.
COMPILED = [pytest.param(name, marks=() if name == "rotations" else pytest.mark.slow) for name in NAMES]


def along(loss, params, direction, h=1e-5):
    """The derivative along ``direction`` by central differences of order 4."""
    at = lambda t: loss(tree_map(lambda x, d: x + t * d, params, direction))
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def test_a_program_has_the_right_gradient(program):
    params = program.start()
    rng = np.random.default_rng(1)
    direction = tree_map(lambda x: rng.normal(size=np.shape(x)), params)
    value, gradient = xg.value_and_grad(program.loss)(params)
    slope = sum(np.sum(g * d) for g, d in zip(flatten(gradient)[0], flatten(direction)[0], strict=True))
    assert np.isclose(value, program.loss(params), rtol=1e-12)
    assert np.isclose(slope, along(program.loss, params, direction), rtol=1e-6, atol=1e-8 * abs(float(value)))


@pytest.mark.parametrize("program", COMPILED, indirect=True)
def test_a_compiled_program_gives_the_same_and_keeps_its_kernels(program):
    params = program.start()
    both = xg.value_and_grad(program.loss)
    value, gradient = both(params)
    step = xg.compile(both)
    compiled, compiled_gradient = step(params)
    assert np.isclose(compiled, value, rtol=1e-10)
    for ours, reference in zip(flatten(compiled_gradient)[0], flatten(gradient)[0], strict=True):
        assert np.allclose(ours, reference, rtol=1e-7, atol=1e-9 * np.max(np.abs(reference), initial=1e-3))
    before = step.traces, step.compilations
    other = tree_map(lambda x: np.asarray(x + 0.01), params)
    assert np.isclose(step(other)[0], program.loss(other), rtol=1e-10)
    assert (step.traces, step.compilations) == before
