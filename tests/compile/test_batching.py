"""Every op on a batch, compiled: the values and the gradients of a loop over the samples."""

import pytest

import xpgrad as xg
from cases.batches import CASES, SMOOTH, applied, differentiable, drawn, gradients, looped, same
from xpgrad.core import OPS


@pytest.mark.sweep
@pytest.mark.parametrize(("label", "name", "draws", "params"), CASES, ids=[c[0] for c in CASES])
def test_compiled_the_values_are_those_of_the_loop(label, name, draws, params, generator):
    f = applied(name, params)
    mapped = tuple(range(len(draws)))[::2]
    whole, samples = drawn(draws, mapped)
    axes = tuple(0 if k in mapped else None for k in range(len(draws)))
    assert same(generator.compile(xg.vmap(f, axes))(*whole), looped(f, samples))


@pytest.mark.sweep
@pytest.mark.parametrize(("label", "name", "draws", "params"), SMOOTH, ids=[c[0] for c in SMOOTH])
def test_compiled_the_derivatives_are_those_of_the_loop(label, name, draws, params, generator):
    f, op = applied(name, params), OPS[name]
    mapped = tuple(range(len(draws)))[::2]
    whole, samples = drawn(draws, mapped)
    axes = tuple(0 if k in mapped else None for k in range(len(draws)))
    if differentiable(op, samples[0]):
        first, _ = gradients(f, op, samples[0], axes)
        assert same(generator.compile(xg.vmap(first, axes))(*whole), looped(first, samples))
