"""What a compiled function reads from outside: it is noticed when it changes, or refused by name."""

import pytest

import xpgrad as xg
from cases import ways
from xpgrad.compiler import compile


@pytest.fixture(autouse=True)
def _as_before():
    yield
    for back in ways.undo:
        back()
    ways.undo.clear()
    ways.keep.clear()


# ── each way ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.sweep
@pytest.mark.parametrize("name", ways.WAYS)
def test_a_change_is_noticed_and_nothing_else_makes_a_trace(name):
    f, change = ways.WAYS[name]()
    compiled = compile(f)
    assert [float(compiled(x)) for x in (1.0, 2.0, 3.0)] == [2, 4, 6]
    assert len(compiled.traces) == 1, "traced again although nothing has changed"
    change()
    assert [float(compiled(x)) for x in (1.0, 2.0)] == [5, 10]
    assert len(compiled.traces) <= 2


@pytest.mark.sweep
@pytest.mark.parametrize("name", ways.WAYS)
def test_a_change_is_noticed_by_a_gradient(name):
    f, change = ways.WAYS[name]()
    compiled = compile(xg.value_and_grad(lambda x: f(x) ** 2 / 2))
    assert [pytest.approx((2, 4)), pytest.approx((8, 8))] == [
        tuple(map(float, compiled(x))) for x in (1.0, 2.0)
    ]
    change()
    assert tuple(map(float, compiled(1.0))) == pytest.approx((12.5, 25))


@pytest.mark.parametrize("name", ways.REFUSED)
def test_what_cannot_be_watched_is_refused_by_name(name):
    make, said = ways.REFUSED[name]
    f = make()
    with pytest.raises(xg.TraceError, match=said) as error:
        compile(f)(1.0)
    assert "ways.py:" in str(error.value) or "test_capture_guards.py:" in str(error.value)
