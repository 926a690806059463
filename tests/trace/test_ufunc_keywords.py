"""Keywords and methods of every ufunc that a traced array takes: NumPy's result, or refused by its name.

The calls are generated: `CALLS` for each ufunc of the table. NumPy itself says what each gives.
"""

import warnings

import numpy as np
import pytest

import xpgrad as xg
from cases.signatures import DOMAINS, smooth
from cases.sweeping import difference
from xpgrad.backends import reference
from xpgrad.trace import graph_of
from xpgrad.trace.functions import TABLE

UFUNCS = sorted({f for f in TABLE if isinstance(f, np.ufunc) and not f.signature}, key=lambda f: f.__name__)
MASK = np.array([[True, False, True], [False, True, True]])


def calls(f):
    """``(name, call)``: each call takes the operands, and may write to what it makes of them."""

    def into(*xs, where=True, shape=None, **kwargs):
        plain = f(*map(np.ones_like, map(xg.stop_gradient, xs)))
        out = np.zeros_like(xs[0], shape=shape or np.shape(plain), dtype=plain.dtype)
        out += np.asarray(2, plain.dtype) if plain.dtype != bool else False
        return f(*xs, out=out, where=where, **kwargs), out

    def by_position(*xs):
        return f(*xs, np.zeros_like(xs[0], dtype=f(*map(xg.stop_gradient, xs)).dtype))

    if f.nout == 1:
        yield "out", into
        yield "out, where", lambda *xs: into(*xs, where=MASK)
        yield "out, one row of where", lambda *xs: into(*xs, where=MASK[0])
        yield "out, larger", lambda *xs: into(*xs, shape=(2, 2, 3))
        yield "out, smaller", lambda *xs: into(*xs, shape=(3,))
        yield "out, positional", by_position
    yield "where alone, True", lambda *xs: f(*xs, where=True)
    for dtype in (np.float32, np.float64, complex, bool, int):
        yield f"dtype={dtype.__name__}", lambda *xs, dtype=dtype: f(*xs, dtype=dtype)
    for casting in ("no", "equiv", "safe", "same_kind", "unsafe"):
        yield f"casting={casting}", lambda *xs, casting=casting: f(*xs, casting=casting)
        yield (
            f"casting={casting}, dtype=float32",
            lambda *xs, casting=casting: f(*xs, casting=casting, dtype=np.float32),
        )
    yield "order", lambda *xs: f(*xs, order="F")
    yield "subok", lambda *xs: f(*xs, subok=False)
    for k in (0, -1, (0, 1), None):
        yield f"reduce, axis={k}, keepdims", lambda x, *_, k=k: f.reduce(x, axis=k, keepdims=True)
    yield "reduce", lambda x, *_: f.reduce(x)
    yield "reduce, initial", lambda x, *_: f.reduce(x, axis=1, initial=0.75)
    yield "reduce, where", lambda x, *_: f.reduce(x, axis=1, where=MASK, initial=0.75)
    yield "reduce, float32", lambda x, *_: f.reduce(x, axis=0, dtype=np.float32)
    yield "reduce, out", lambda x, *_: f.reduce(x, axis=0, out=np.zeros_like(x, shape=3))
    yield "accumulate", lambda x, *_: f.accumulate(x)
    yield "accumulate, axis=1", lambda x, *_: f.accumulate(x, axis=1)
    yield "accumulate, float32", lambda x, *_: f.accumulate(x, 0, np.float32)
    yield "reduceat", lambda x, *_: f.reduceat(x, [0, 1])
    yield "outer", lambda x, *ys: f.outer(x, *ys)
    yield "outer of a number", lambda x, *ys: f.outer(x, *[1.5 for _ in ys])
    yield "outer, float32", lambda x, *ys: f.outer(x, *ys, dtype=np.float32)

    def at(x, *ys):
        x = x * 1
        f.at(x, (np.array([0, 0, 1]), 1), *[0.5 for _ in ys])
        return x

    yield "at", at


def operands(f):
    draw = DOMAINS.get(f, smooth)
    return [draw(2, 3, seed=3 + k) for k in range(f.nin)]


def outcome(run):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return run(), None
        except Exception as error:
            return None, error


def by_graph(call, xs):
    graph, rebuild = graph_of(lambda *xs: call(*xs), *xs)
    return rebuild(reference.run(graph, xs))


def eagerly(call, xs):
    found = []

    def inexact(*xs):
        out = call(*xs)
        found.extend(out if type(out) is tuple else [out])
        return [x for x in found if getattr(x, "dtype", np.dtype(int)).kind in "fc"]

    plain = iter(xg.vjp(inexact, *xs)[0])
    results = [next(plain) if getattr(x, "dtype", np.dtype(int)).kind in "fc" else x for x in found]
    return tuple(results) if len(results) > 1 else results[0]


@pytest.mark.parametrize("f", UFUNCS, ids=lambda f: f.__name__)
def test_a_keyword_or_method_gives_numpys_result_or_is_refused_by_name(f):
    wrong = []
    for name, call in calls(f):
        xs = operands(f)
        expected, error = outcome(lambda call=call, xs=xs: call(*xs))
        for how in (eagerly, by_graph):
            got, ours = outcome(lambda call=call, xs=xs, how=how: how(call, xs))
            if ours is not None:
                named = f.__name__ in str(ours)
                if not (named and isinstance(ours, xg.XpgradError)) and (
                    error is None or not isinstance(ours, (TypeError, ValueError))
                ):
                    wrong.append(f"{name}, {how.__name__}: {ours!r}, NumPy: {error!r}")
            elif error is not None:
                wrong.append(f"{name}, {how.__name__}: NumPy raises {error!r}, and not this")
            elif (text := difference(got, expected, eps=4e-6 if "float32" in name else 1e-11)) is not None:
                wrong.append(f"{name}, {how.__name__}: {text}")
    assert not wrong, "\n".join(wrong)


def test_a_masked_write_keeps_the_derivative_of_what_it_leaves():
    def f(x):
        y = x * 3
        np.multiply(x, x, out=y, where=np.array([True, False]))
        return np.sum(y)

    assert np.array_equal(xg.grad(f)(np.array([2.0, 5.0])), [4.0, 3.0])
