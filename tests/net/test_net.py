"""The net itself: what its programs have, how much of them is compared, and that what differs is seen."""

import numpy as np
import pytest

from net.checking import check
from net.comparing import Difference, same
from net.differences import along, is_smooth
from net.drawing import KINDS, draw
from net.program import NetProgram
from net.running import one
from net.shrinking import shrunk
from xpgrad.testing.program import Input, Step


# ── the programs ─────────────────────────────────────────────────────────────────────────────
def test_programs_have_what_the_net_is_for():
    text = {kind: "\n".join(draw(seed, kind).source for seed in range(250)) for kind in KINDS}
    for kind, words in {
        "reductions": "np.any( np.all( argmax where= initial= keepdims bool[ np.int64( axis=() median",
        "contractions": "'ii-> @ np.inner( np.outer( np.kron( tensordot einsum(' ... multi_dot np.dot( K =",
        "indexing": "np.add.at( np.arange( [0, 0, copy=True deepcopy np.zeros(0, take( += fill_diagonal :: ] =",
        "integers": "<< >> np.gcd( reciprocal uint8 int8 floor_divide // % int32",
        "keywords": "out= where= dtype= .outer( linspace geomspace polyval interp( accumulate x ** x 1 / x",
        "pointwise": "logaddexp np.hypot( 1 / (1 + np.exp( complex128 float32 huge tiny infinite -0.0 astype(",
        "world": "W0 class .get() prop partial cell_contents __defaults__ 100_003 __slots__ * 150",
    }.items():
        missing = [word for word in words.split() if word not in text[kind]]
        assert not missing, kind
    assert "float64[0" in text["any"]
    assert ", 1]" in text["any"]


@pytest.mark.slow
def test_most_programs_are_compared_in_every_way():
    """What is refused, or not smooth, is not compared: that must not become the rule."""
    found = [one(seed, kind, llvm=10**9) for kind in ("pointwise", "contractions") for seed in range(40)]
    for what, least in (("value", 0.75), ("jvp", 0.4), ("gradient", 0.6), ("second derivative", 0.4)):
        share = sum(any(c.split(",")[0] == what for c in x["compared"]) for x in found) / len(found)
        assert share >= least, (what, share)


# ── what compares ────────────────────────────────────────────────────────────────────────────
def test_a_kink_is_no_place_for_differences():
    t, u = (np.array([0.7, -0.4]),), (np.array([0.7, -0.4, 0.2]),)
    assert is_smooth(lambda x: np.logaddexp(0.0, x), (np.zeros(2),), t)
    for f in (
        np.abs,
        np.sort,
        np.max,
        lambda x: np.maximum(x, 0.0),
        np.median,
        np.linalg.norm,
        lambda x: x > 0,
    ):
        assert not is_smooth(f, (np.zeros(3),), u)


def test_differences_are_right_to_what_they_allow():
    x, t = np.array([0.3, -1.2]), np.array([0.7, -0.4])
    ((got, allowed),) = along(np.sin, (x,), (t,))
    assert np.all(np.abs(got - np.cos(x) * t) <= allowed)
    assert np.all(allowed < 1e-5)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (np.float64(1.0), np.float64(1.0 + 1e-9)),
        (np.float32(1.0), np.float64(1.0)),
        (np.ones(3), np.ones((3, 1))),
        (np.array([1, 2]), np.array([1, 3])),
        (np.float64(0.0), np.float64(-0.0)),
        (np.float64(np.nan), np.float64(np.inf)),
        (np.array([1e300, 1.0]), np.array([1e300, 2.0])),
    ],
)
def test_what_differs_is_seen(got, want):
    with pytest.raises(Difference):
        same(got, want, what="value", signs=True)


def test_a_program_that_differs_is_shrunk_to_the_line_that_does(monkeypatch):
    steps = (
        Step("a", "a = x + 1"),
        Step("b", "b = np.tanh(a)"),
        Step("c", "c = b * y"),
        Step("d", "d = c * c"),
    )
    inputs = (Input("x", (3,), "float64"), Input("y", (3,), "float64", "F"))
    program = NetProgram(inputs, steps, "np.sum(d)")
    check(program)

    def differs(program, generators):
        if "np.tanh" in program.source:
            raise Difference("value: wrong")

    monkeypatch.setattr("net.shrinking.check", differs)
    small, _ = shrunk(program, ("interpreter",), Difference("value: wrong"))
    assert [step.target for step in small.steps] == ["a", "b"] or len(small.steps) == 1
    assert "np.tanh" in small.source
