"""Slices are made where their entries come from: graphs before and after the pass, printed and read."""

import importlib
import textwrap

import numpy as np
import pytest

from xpgrad.core import show, verify
from xpgrad.passes import run_passes
from xpgrad.passes.slice_keys import Run, apart, composed, index_of, key_of, within
from xpgrad.trace import graph_of

slices = importlib.import_module("xpgrad.passes.slices")
X = np.zeros((8, 6))


@pytest.fixture(autouse=True)
def small_values_too(monkeypatch):
    monkeypatch.setattr(slices, "LARGE", 0)


def passed(f, *args):
    graph, _ = run_passes(graph_of(f, *args)[0])
    verify(graph)
    return show(graph)


def assert_passed(text, f, *args):
    assert passed(f, *args) == textwrap.dedent(text).strip()


def test_a_difference_of_neighbours_of_a_cheap_value_is_computed_from_slices_of_the_input():
    def f(x):
        y = x * 2
        return y[1:] - y[:-1]

    assert_passed(
        """
        in   a  float64[8, 6]
        b = getitem(a, index=(slice(0, 7, 1), slice(0, 6, 1)))  float64[7, 6]
        c = multiply(b, 2)  float64[7, 6]
        d = getitem(a, index=(slice(1, 8, 1), slice(0, 6, 1)))  float64[7, 6]
        e = multiply(d, 2)  float64[7, 6]
        f = subtract(e, c)  float64[7, 6]
        out  f
        """,
        f,
        X,
    )


def test_one_of_an_expensive_value_reads_it_from_memory():
    def f(x):
        y = np.exp(np.sin(x))
        return y[1:] - y[:-1]

    assert passed(f, X).count("exp(") == 1


def test_a_slice_that_alone_is_read_is_all_that_is_computed():
    assert_passed(
        """
        in   a  float64[8, 6]
        b = getitem(a, index=(slice(2, 8, 1), slice(0, 6, 1)))  float64[6, 6]
        c = exp(b)  float64[6, 6]
        out  c
        """,
        lambda x: np.exp(x)[2:],
        X,
    )


def test_what_was_written_is_read_as_it_was_made_and_what_was_not_as_it_was_before():
    def f(x):
        y = np.zeros_like(x)
        y[1:-1] = np.sqrt(x[1:-1])
        return y[2:-2] + x[:1], y[:1]

    assert_passed(
        """
        in   a  float64[8, 6]
        b = full_like(a, value=0, shape=(1, 6), dtype=float64)  float64[1, 6]
        c = getitem(a, index=(slice(2, 6, 1), slice(0, 6, 1)))  float64[4, 6]
        d = sqrt(c)  float64[4, 6]
        e = getitem(a, index=(slice(0, 1, 1), slice(0, 6, 1)))  float64[1, 6]
        f = add(d, e)  float64[4, 6]
        out  f, b
        """,
        f,
        X,
    )


def test_a_slice_across_the_edge_of_what_was_written_is_read_from_the_array():
    def f(x):
        y = np.zeros_like(x)
        y[1:-1] = x[1:-1]
        return y[1:] * 2

    text = passed(f, X)
    assert "index_update" in text
    assert text.count("getitem") == 2


def test_a_write_that_a_later_one_hides_is_dropped():
    def f(x, v):
        y = x * 1
        y[2:4] = v
        y[1:5] = 3.0
        return y

    assert passed(f, X, X[2:4]).count("index_update") == 1


def test_the_interior_of_a_rolled_array_is_a_slice_of_it():
    text = passed(lambda x: np.roll(x, 1, axis=0)[1:] - np.roll(x, -1, axis=0)[1:-1].sum(axis=0), X)
    assert "concatenate" not in text


def test_a_product_that_is_rounded_with_a_sum_in_one_slice_alone_is_stored():
    """y[1:] has it in a sum, y[:-1] in a product as well: both would be rounded in another way."""

    def f(x, z):
        p = x * z
        return (p + 1)[1:], (p * z)[:-1]

    assert passed(f, X, X).count("= multiply(a, b)") == 1


INDICES = [
    np.s_[1:-1],
    np.s_[::2],
    np.s_[::-1],
    np.s_[-2:0:-2],
    3,
    -1,
    np.s_[2:2],
    np.s_[..., 1:4],
    np.s_[1, ::-2],
]


@pytest.mark.parametrize("inner", INDICES, ids=str)
@pytest.mark.parametrize("outer", INDICES, ids=str)
def test_keys_are_composed_and_compared_as_numpy_indexes(outer, inner):
    x = np.arange(8 * 6).reshape(8, 6)
    a = key_of(x.shape, outer)
    np.testing.assert_array_equal(x[index_of(a)], x[outer])
    b = key_of(x.shape, inner)
    shared = bool(np.intersect1d(x[outer], x[inner]).size)
    assert not (apart(a, b) and shared)
    inside = within(b, a)
    if inside is not None:
        np.testing.assert_array_equal(x[outer][index_of(inside)], x[inner])
    try:
        expected = x[outer][inner]
    except IndexError:
        return
    c = key_of(x[outer].shape, inner)
    np.testing.assert_array_equal(x[index_of(composed(a, c))], expected)


def test_every_second_entry_is_apart_from_those_between_and_within_all():
    even, odd, all_ = key_of((8,), np.s_[::2]), key_of((8,), np.s_[1::2]), key_of((8,), np.s_[:])
    assert apart(even, odd)
    assert within(even, all_) == (Run(0, 2, 4),)
    assert within(all_, even) is None
