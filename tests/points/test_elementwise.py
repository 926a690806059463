"""Every elementwise op at its special points: values and two derivatives against hundreds of digits.

In both modes and their mixture, eager, interpreted, compiled, and behind the CUDA shim. Where no derivative
exists, `docs/conventions.md` says what it is taken to be, and `test_conventions` holds it to that.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import xpgrad as xg
from cases.special_ops import TAILS
from compile.conftest import COMPILERS
from points.more import MORE
from points.references import ONE, TWO, derivatives, third_derivative
from xpgrad.core import OPS
from xpgrad.testing.tolerances import tolerance

EXACT = tolerance(np.float64).value
BELOW, ABOVE = 1 - 2.0**-53, 1 + 2.0**-52

# ── points ───────────────────────────────────────────────────────────────────────────────────
SMALL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, BELOW, -BELOW, ABOVE, 2.0, -2.0, 3.0, 1e-8, -1e-8]
EVERYWHERE = [*SMALL, 1e-160, -1e-160, 20.0, -20.0, 400.0, -400.0, 1e8, 1e200, -1e200]
OF_SPECIAL = [*SMALL, 1e-20, 8.0, -8.0, 20.0, -20.0]
OF_SECOND_KIND = [0.0, 2.0]
FEW = [0.0, 1.0, -1.0, -2.0, 1e-100, 30.0, 1e200, -1e200]
PAIRS = [(x, y) for x in FEW for y in FEW]


_SPECIAL = set(
    """erf erfc erfi erfcx dawsn erfinv erfcinv ndtr normal_density log_ndtr ndtri ndtri_exp inv_mills
    inv_mills_excess gammaln loggamma gamma digamma rgamma j0 j1 y0 y1 i0 i0e i1 i1e k0 k0e k1 k1e exprel
    expi exp1""".split()
)
_SECOND_KIND = {"y0", "y1", "k0", "k0e", "k1", "k1e"}


def function(name):
    return MORE[name][0] if name in MORE else OPS[name]


def points(name):
    """The points of an op of one operand, or of two, as one array for each operand."""
    if name in MORE:
        return (np.array(MORE[name][2]),)
    if name in TWO:
        pairs = PAIRS
        if name in ("beta", "betaln"):
            pairs = [(a, b) for a in (0.5, 1.0, 2.0, 30.0) for b in (0.1, 1.0, 2.5, 30.0)]
        if "power" in name:
            pairs = [(x, y) for x, y in PAIRS if abs(y) < 50]
        if name in ("remainder", "fmod"):
            pairs = [(x, y) for x in (0.5, 1.0, -1.0, 3.3) for y in (0.1, 0.7, -0.7, 1e-8, 30.0)]
        return tuple(np.array(pairs).T)
    if name in _SECOND_KIND:
        return (np.array(OF_SECOND_KIND),)
    return (np.array(OF_SPECIAL if name in _SPECIAL else EVERYWHERE),)


# Points at which the relative accuracy of a derivative is less, for a reason.
LESS = {
    "nn.celu": lambda k, x: k > 1 and x == 0,  # the second derivative has two sides
    "sinc": lambda k, x: abs(x) > 1e6,  # NumPy's own rounding of pi x
    "dawsn": lambda k, x: k > 1 and abs(x) > 4,  # 1 - 2 x z cancels
    "inv_mills": lambda k, x: k > 1 and abs(x) > 4,
    "inv_mills_excess": lambda k, x: k > 1 and abs(x) > 4,
    "angle": lambda k, x: x == 0,  # of -0.0 it is pi
    "gammaln": lambda k, x: x < 0,  # SciPy's digamma beside a pole
    "gamma": lambda k, x: x < 0,
    "digamma": lambda k, x: x < 0,
}


# ── ways ─────────────────────────────────────────────────────────────────────────────────────
def reverse(f):
    """Value and derivatives to the second order of an elementwise function, by pulling back."""

    def g(i):
        return lambda *xs: xg.vjp(f, *xs)[1](np.ones_like(xs[0]))[i]

    return _all(f, g, g)


def forward(f):
    def g(i):
        return _pushed(f, i)

    return _all(f, g, None)


def mixed(f):
    def g(i):
        return lambda *xs: xg.vjp(f, *xs)[1](np.ones_like(xs[0]))[i]

    return _all(f, g, None)


def _pushed(f, i):
    return lambda *xs: xg.jvp(lambda x: f(*xs[:i], x, *xs[i + 1 :]), (xs[i],), (np.ones_like(xs[i]),))[1]


def _all(f, first, second):
    def run(*xs):
        n = len(xs)
        out = {(): f(*xs)}
        for i in range(n):
            g = first(i)
            out[(i,)] = g(*xs)
            for j in range(i, n):
                if second is None:
                    out[i, j] = _pushed(g, j)(*xs)
                else:
                    out[i, j] = xg.vjp(g, *xs)[1](np.ones_like(xs[0]))[j]
        return out

    return run


WAYS = {"reverse": reverse, "forward": forward, "mixed": mixed}


# ── what is right ────────────────────────────────────────────────────────────────────────────
@cache
def expected(name):
    f = MORE[name][1] if name in MORE else (ONE | TWO)[name]
    return [derivatives(f, *map(float, p)) for p in zip(*points(name), strict=True)]


def wrong(name, found):
    """The points at which what was ``found`` is not what it should be, told."""
    told = []
    for p, right in enumerate(expected(name)):
        if right is None:
            continue
        at = [float(x[p]) for x in points(name)]
        for k, r in right.items():
            if r is None or (name in LESS and LESS[name](len(k), at[0])):
                continue
            a = float(found[k][p])
            if a == r or (np.isfinite(a) and abs(a - r) <= _bound(right, k, at)):
                continue
            if not np.isfinite(a) and (abs(r) > 1e250 or not np.isfinite(r)):
                continue  # what is beyond the largest float may be NaN
            told.append(f"{name}{tuple(at)} {k}: {a!r}, not {r!r}")
    return told


def _bound(right, k, at):
    """Relative to the derivative, and to those of which it is the change, over the size of the operands."""
    total = EXACT * abs(right[k]) + (1e-300 if k else 1e-15)
    for lower in _below(k):
        scale = abs(right[lower] or 0.0)
        for i in k[len(lower) :] if len(lower) < 2 else ():
            scale /= max(1.0, abs(at[i])) if len(at) == 1 else abs(at[i]) or 1.0
        total += 1e-2 * EXACT * scale
    return total


def _below(k):
    return [(), *[(i,) for i in k]] if len(k) == 2 else [()] if k else []


PAGE = Path(__file__).resolve().parents[2] / "docs" / "conventions.md"
SPELLED = {"absolute": "abs(", "power": " ** ", "float_power": " ** ", "root": "sqrt", "reciprocal": "1 / x"}


def is_stated(name):
    """Whether the page names the op, if there are points at which it has a value and no derivative."""
    lacking = name not in MORE and any(right and None in right.values() for right in expected(name))
    return not lacking or SPELLED.get(name, f".{name}(") in PAGE.read_text()


NAMES = [*[n for n, op in OPS.items() if n in ONE or n in TWO], *MORE]


def test_every_op_with_a_derivative_is_in_the_table():
    """Those of more operands with the others given, and under the names of their op."""
    text = Path(__file__).with_name("more.py").read_text()
    elementwise = {n for n, op in OPS.items() if op.is_elementwise}
    assert {n for n in elementwise if n not in NAMES and f'"{n}"' not in text} == IN_ANOTHER_TABLE


# In tests/ops: inverses of functions of the table, an integer order for which mpmath is slow, tails, the next
# number of a dtype.
IN_ANOTHER_TABLE = {"gammaincinv", "gammainccinv", "betaincinv", "kn", "nextafter", *TAILS}


@pytest.mark.sweep
@pytest.mark.parametrize("name", NAMES)
def test_derivatives_at_special_points(name):
    for way, of in WAYS.items():
        with np.errstate(all="ignore"):
            found = of(function(name))(*points(name))
        assert wrong(name, found) == [], way
    assert is_stated(name)


# ── compiled ─────────────────────────────────────────────────────────────────────────────────
def _groups():
    """Names of ops with the same points: each group is one program."""
    groups = {}
    for name in NAMES:
        kind = "two" if name in TWO else "special" if name in _SPECIAL or name in MORE else "one"
        groups.setdefault((kind, *map(tuple, points(name))), []).append(name)
    return list(groups.values())


# The C++ compiler takes longer than all that the test does besides.
GENERATORS = [
    pytest.param(c, marks=pytest.mark.slow if c.name == "cuda" else (), id=c.name) for c in COMPILERS[1:]
]


def _programs():
    """Generator, way and group: what is compiled costs more than what is interpreted, and is tried on less."""
    for generator in COMPILERS[1:]:
        for way in ("reverse", "forward"):
            for group in _groups():
                few, back = len(group) < 8, way == "reverse"
                if generator.name == "cuda" and (few or not back):
                    continue
                slow = generator.name == "cuda" or few or not back
                name = f"{generator.name}-{way}-{group[0]}...{group[-1]}"
                yield pytest.param(generator, way, group, marks=pytest.mark.slow if slow else (), id=name)


@pytest.mark.sweep
@pytest.mark.parametrize(("generator", "way", "group"), list(_programs()))
def test_compiled_derivatives_at_special_points(generator, group, way):
    def run(*xs):
        return {name: WAYS[way](function(name))(*xs) for name in group}

    with np.errstate(all="ignore"):
        found = generator.compile(run)(*points(group[0]))
    assert [told for name in group for told in wrong(name, found[name])] == []


# ── the third derivative, where a rule chooses between formulas ──────────────────────────────
SEAMS = [0.0, 0.3, -0.3, 0.2999, 0.5, 0.4999, 1.0, -1.0, 0.9999, -2.0, -5.0, -4.999, 2.0]
CHOOSING = """sinc j0 j1 i0 i1 i1e exprel rgamma expit softplus log_expit tanh arcsin arctan arcsinh log_ndtr
    inv_mills cbrt reciprocal sqrt square exp log""".split()


@pytest.mark.parametrize("name", CHOOSING)
def test_third_derivatives_at_the_seams_of_rules(name):
    x, ones = np.array(SEAMS), np.ones(len(SEAMS))

    def pulled(f):
        return lambda x: xg.vjp(f, x)[1](ones)[0]

    def pushed(f):
        return lambda x: xg.jvp(f, (x,), (ones,))[1]

    op = OPS[name]
    with np.errstate(all="ignore"):
        found = {f(x).tobytes(): f(x) for f in (pulled(pulled(pulled(op))), pushed(pushed(pushed(op))))}
    for p, at in enumerate(SEAMS):
        right = third_derivative(ONE[name], at)
        for third in found.values():
            # Three rules in turn, each of which is right to some roundings of its largest term.
            assert right is None or abs(third[p] - right) <= 1e2 * EXACT * max(1.0, abs(right)), (
                at,
                third[p],
                right,
            )


# ── at infinity ──────────────────────────────────────────────────────────────────────────────
WITH_LIMITS = """negative square reciprocal exp exp2 exp10 expm1 log log2 log10 log1p sqrt cbrt arctan sinh cosh
    tanh arcsinh arccosh fabs absolute expit log_expit softplus erf erfc ndtr log_ndtr gammaln digamma
    normal_density i0e i1e""".split()


def _limits(name, sign):
    """What value and derivatives tend to: from two numbers far out."""
    near, far = derivatives(ONE[name], sign * 1e25), derivatives(ONE[name], sign * 1e50)
    found = {}
    for k in near or {}:
        a, b = near[k], far[k]
        if a is None or b is None:
            continue
        if abs(b) < 1e-10:
            found[k] = 0.0
        elif abs(a - b) <= EXACT * abs(b):
            found[k] = b
        elif abs(b) > 2 * abs(a):
            found[k] = float(np.copysign(np.inf, b))
    return found


@pytest.mark.parametrize("name", WITH_LIMITS)
def test_at_infinity_a_derivative_is_its_limit(name):
    for sign in (1, -1):
        limits = _limits(name, sign)
        for way in WAYS.values():
            with np.errstate(all="ignore"):
                found = way(OPS[name])(np.array([sign * np.inf]))
            for k, limit in limits.items():
                a = float(found[k][0])
                # The second one may be NaN, of 0 times infinity; it is no other number.
                assert abs(a - limit) <= EXACT or a == limit or (len(k) == 2 and np.isnan(a)), (k, a, limit)
