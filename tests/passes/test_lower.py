"""lower: composite ops in primitives, with the reference's values at every edge."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad import ops
from xpgrad.passes.dead import dead
from xpgrad.passes.lower import lower
from xpgrad.passes.simplify import simplify

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 4))
inf, nan = np.inf, np.nan
ROWS = np.array(
    [
        [0.0, 1.0, -1.0],
        [-inf, 0.0, 1.0],
        [-inf, -inf, -inf],
        [inf, 1.0, 0.0],
        [inf, inf, -inf],
        [nan, 0.0, 1.0],
        [1e308, -1e308, 0.0],
        [1000.0, -1000.0, 999.0],
    ]
)
EDGES = np.array([-inf, -800.0, -2.5, -1.0, -0.0, 0.0, 1e-300, 0.3, 1.0, 3.0, 800.0, inf, nan])


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1), -1])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, bool, np.complex128])
def test_a_mean_is_a_sum_times_a_number(through, axis, keepdims, dtype):
    found = through([lower], lambda x: np.mean(x, axis=axis, keepdims=keepdims), (4 * X).astype(dtype))
    assert "mean" not in found.ops


def test_the_mean_of_nothing_is_nan(through):
    assert "mean" not in through([lower], lambda x: np.mean(x, axis=0), np.ones((0, 3))).ops


@pytest.mark.parametrize("op", [ops.special.softmax, ops.special.log_softmax, ops.special.softmax_or_zero])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("axis", [1, 0, None])
def test_softmax_in_its_parts(through, op, dtype, axis):
    with np.errstate(over="ignore"):
        rows = ROWS.astype(dtype)
    found = through([lower], lambda x: op(x, axis=axis), rows)
    assert op.name not in found.ops


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [1, 0, None])
def test_logsumexp_in_its_parts(through, axis, keepdims):
    found = through([lower], lambda x: ops.special.logsumexp(x, axis=axis, keepdims=keepdims), ROWS)
    assert "logsumexp" not in found.ops


def test_a_value_and_its_derivative_share_the_exponentials(through):
    found = through([lower, dead], xg.value_and_grad(lambda x: np.sum(xg.special.logsumexp(x, axis=1))), X)
    assert found.ops.count("exp") == 1
    assert found.ops.count("max") == 1


def test_both_signs_of_the_logistic_share_one_exponential(through):
    s = xg.special
    f = lambda z: (s.expit(z), s.expit(-z), s.log_expit(z), s.log_expit(-z))
    found = through([simplify, lower, simplify, dead], f, EDGES)
    assert found.ops.count("exp") == 1
    assert found.ops.count("log1p") == 1


def test_a_logistic_alone_stays_an_op(through):
    assert through([lower], xg.special.expit, EDGES).ops == ["expit"]


@pytest.mark.parametrize("name", ["log_expit", "entr"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_special_functions_of_one_operand(through, name, dtype):
    with np.errstate(all="ignore"):
        assert name not in through([lower], getattr(ops.special, name), EDGES.astype(dtype)).ops


@pytest.mark.parametrize("op", [ops.special.xlogy, ops.special.xlog1py, ops.elementwise.logaddexp])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_special_functions_of_two_operands(through, op, dtype):
    e = EDGES.astype(dtype)
    with np.errstate(all="ignore"):
        assert op.name not in through([lower], op, e[:, None], e[None, :]).ops


@pytest.mark.parametrize("f", [np.degrees, np.radians, np.rad2deg, np.deg2rad, np.fabs])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_scalings_are_products(through, f, dtype):
    x = np.arange(-4, 5).astype(dtype)
    assert set(through([lower], lambda x: f(x), x).ops) <= {"multiply", "astype", "absolute"}


def test_clip_is_two_bounds(through):
    assert through([lower], lambda x: np.clip(x, -1, 1), EDGES, exact=True).ops == ["maximum", "minimum"]


@pytest.mark.parametrize(
    ("subscripts", "ops"),
    [
        ("ij,jk->ik", {"dot"}),
        ("ij,jk->ki", {"dot", "transpose"}),
        ("ji,jk->ik", {"dot", "transpose"}),
        ("ij,kj->ki", {"dot", "transpose"}),
        ("ij,j->i", {"dot"}),
        ("j,ij->i", {"dot", "transpose"}),
        ("j,jk->k", {"dot"}),
        ("i,i->", {"dot"}),
        ("i,j->ij", {"multiply", "reshape"}),
        ("ij,ij->ij", {"multiply"}),
        ("ij,ji->ij", {"multiply", "transpose"}),
        ("ij,ij->", {"multiply", "sum"}),
        ("ij,ij->i", {"multiply", "sum"}),
        ("bij,bj->bi", {"multiply", "sum", "reshape"}),
        ("bij,bjk->bik", {"einsum"}),
        ("ij,k->i", {"einsum"}),
        ("ij->ji", {"transpose"}),
        ("ij->j", {"sum"}),
        ("ijk->ki", {"sum", "transpose"}),
        ("ii->", {"einsum"}),
        ("ij,jk,k->i", {"einsum"}),
    ],
)
def test_einsum_in_plain_products(through, subscripts, ops):
    sizes = {"i": 3, "j": 4, "k": 5, "b": 2}
    if "ii" in subscripts or subscripts == "ij,ji->ij":
        sizes["j"] = 3
    xs = [RNG.normal(size=[sizes[c] for c in term]) for term in subscripts.split("->")[0].split(",")]
    found = through([lower, simplify, dead], lambda *xs: np.einsum(subscripts, *xs), *xs)
    assert set(found.ops) <= ops
    assert ("einsum" in found.ops) == ("einsum" in ops)


def test_einsum_with_an_axis_that_broadcasts_stays(through):
    assert through([lower], lambda x, y: np.einsum("ij,jk->ik", x, y), X, np.ones((1, 2))).ops == ["einsum"]


def test_integers_are_added_up_in_their_own_type(through):
    x = np.arange(6, dtype=np.int8).reshape(2, 3)
    through([lower], lambda x: np.einsum("ij->j", x), x)
    through([lower], lambda x, y: np.einsum("ij,ij->i", x, y), x, x)
