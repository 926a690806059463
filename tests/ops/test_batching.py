"""Every op on a batch: the values of a loop over the samples, and derivatives of order 1 and 2."""

import numpy as np
import pytest

import xpgrad as xg
from cases.batches import (
    CASES,
    SIZE,
    SMOOTH,
    applied,
    differentiable,
    drawn,
    gradients,
    looped,
    number,
    same,
    subsets,
)
from cases.special_ops import ONCE
from xpgrad.core import OPS


def test_every_op_has_a_case():
    # A trace takes the first two apart; passes make the others, after a batch is.
    never_on_a_batch = {"pick", "custom", "loop", "checked", "assemble", "rounded"}
    assert {case[1] for case in CASES} == {n for n in OPS if OPS[n].batching} == set(OPS) - never_on_a_batch


@pytest.mark.parametrize(("label", "name", "draws", "params"), CASES, ids=[c[0] for c in CASES])
def test_the_values_are_those_of_the_loop(label, name, draws, params):
    f = applied(name, params)
    for mapped in subsets(len(draws)):
        for at in (0, -1):
            whole, samples = drawn(draws, mapped, at)
            axes = tuple(at if k in mapped else None for k in range(len(draws)))
            expected = looped(f, samples)
            assert same(xg.vmap(f, axes)(*whole), expected), mapped
        if not isinstance(expected, tuple):
            assert same(np.moveaxis(xg.vmap(f, axes, -1)(*whole), -1, 0), expected)


@pytest.mark.parametrize(("label", "name", "draws", "params"), SMOOTH, ids=[c[0] for c in SMOOTH])
def test_the_derivatives_are_those_of_the_loop(label, name, draws, params):
    f, op = applied(name, params), OPS[name]
    for mapped in subsets(len(draws)):
        whole, samples = drawn(draws, mapped)
        axes = tuple(0 if k in mapped else None for k in range(len(draws)))
        if not differentiable(op, samples[0]):
            continue
        first, second = gradients(f, op, samples[0], axes)
        assert same(xg.vmap(first, axes)(*whole), looped(first, samples)), mapped
        if name not in ONCE:
            assert same(xg.vmap(second, axes)(*whole), looped(second, samples)), mapped


@pytest.mark.parametrize(("label", "name", "draws", "params"), SMOOTH, ids=[c[0] for c in SMOOTH])
def test_the_derivative_of_a_batch_is_the_sum_of_its_samples(label, name, draws, params):
    f, op = applied(name, params), OPS[name]
    for mapped in subsets(len(draws)):
        whole, samples = drawn(draws, mapped)
        axes = tuple(0 if k in mapped else None for k in range(len(draws)))
        places = differentiable(op, samples[0])
        if not places:
            continue

        def by_batch(*given, whole=whole, axes=axes, places=places):
            full = list(whole)
            for i, x in zip(places, given, strict=True):
                full[i] = x
            return np.sum(xg.vmap(lambda *xs: number(f, places, xs)(*[xs[i] for i in places]), axes)(*full))

        def by_loop(*given, whole=whole, places=places, mapped=mapped):
            full = list(whole)
            for i, x in zip(places, given, strict=True):
                full[i] = x
            rows = [[x[k] if i in mapped else x for i, x in enumerate(full)] for k in range(SIZE)]
            return sum(number(f, places, row)(*[row[i] for i in places]) for row in rows)

        given = [whole[i] for i in places]
        every = tuple(range(len(places)))
        assert same(xg.grad(by_batch, every)(*given), xg.grad(by_loop, every)(*given))
        tangents = [np.cos(x) for x in given]
        if not any(np.iscomplexobj(x) for x in given):
            pushed = [xg.jvp(g, given, tangents)[1] for g in (by_batch, by_loop)]
            assert same(np.asarray(pushed[0]), np.asarray(pushed[1]))
