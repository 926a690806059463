"""Lengths that are easily mistaken, compiled: empty axes, axes of length 1 beside longer ones, views."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import assert_agrees

ROWS = np.arange(3)
LABELS = np.array([2, 0, 1])


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("columns", [0, 1, 3])
def test_products_of_empty_and_of_thin_matrices(compiler, rows, columns):
    if compiler.name == "cuda" and rows * columns == 1:
        return
    x = np.arange(1.0, 1.0 + rows * columns).reshape(rows, columns)
    v, w = np.ones(columns), np.ones(rows)
    got = compiler.compile(lambda x: (x @ x.T, x.T @ x, x @ v, w @ x, np.sum(x @ x.T), np.outer(x, x)))(x)
    for y, z in zip(got, (x @ x.T, x.T @ x, x @ v, w @ x, np.sum(x @ x.T), np.outer(x, x)), strict=True):
        assert_agrees(y, z, np.float64)


@pytest.mark.parametrize("shape", [(3,), (1,), ()])
def test_what_is_added_at_labels_may_be_the_same_for_all_rows(compiler, shape):
    """The cotangent of a sum is one number for all entries."""
    scale = np.ones(shape)
    x = np.arange(9.0).reshape(3, 3)
    got = compiler.compile(xg.grad(lambda x: np.sum(scale * x[ROWS, LABELS])))(x)
    assert_agrees(got, np.eye(3)[LABELS], np.float64)


LOOKS = {
    "itself": lambda x: x[:3],
    "more rows than labels": lambda x: x,
    "transposed": lambda x: x.T,
    "reversed": lambda x: x[2::-1, ::-1],
    "every other column": lambda x: x[:3, ::2],
    "another order": lambda x: np.reshape(x, (3, 5)),
    "spread": lambda x: np.broadcast_to(x[:3, :1], (3, 3)),
    "one row": lambda x: x[:1],
}


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.parametrize("made", [False, True], ids=["given", "made"])
@pytest.mark.parametrize("look", LOOKS)
def test_labels_choose_from_a_view_as_from_an_array(compiler, look, made):
    if compiler.name == "cuda" and not made:
        return
    x = np.linspace(0.1, 1.5, 15).reshape(5, 3)
    seen = LOOKS[look](x)
    labels = LABELS % seen.shape[1]
    rows = ROWS % len(seen)

    def chosen(x):
        return LOOKS[look](np.exp(x) if made else x)[rows, labels]

    y = np.exp(x) if made else x
    assert_agrees(compiler.compile(chosen)(x), LOOKS[look](y)[rows, labels], np.float64)
    weights = np.arange(1.0, 4.0)
    number = np.zeros(x.size)
    np.add.at(number, LOOKS[look](np.arange(x.size).reshape(x.shape))[rows, labels], weights)
    slope = number.reshape(x.shape) * (y if made else 1)
    assert_agrees(compiler.compile(xg.grad(lambda x: np.sum(weights * chosen(x))))(x), slope, np.float64)


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32, complex])
def test_what_moves_nothing_is_a_copy_of_any_dtype(compiler, dtype):
    if compiler.name == "cuda" and dtype is not bool:
        return
    m = np.array([1, 0, 1], dtype)
    calls = {
        "roll": lambda m: np.roll(m, 0),
        "roll all around": lambda m: np.roll(m, 3, axis=0),
        "tile": lambda m: np.tile(m, 1),
        "pad": lambda m: np.pad(m, 0, mode="edge"),
    }
    for name, call in calls.items():
        got = compiler.compile(call)(m)
        assert got.dtype == m.dtype, name
        assert np.array_equal(got, call(m)), name
