"""What each elementwise op is, in mpmath; and its derivatives there, by differences of hundreds of digits.

A function here is given ``mpf`` or ``mpc`` numbers and raises, or is not finite, where it has no value.
"""

from math import log10

import mpmath as mp
import numpy as np
import scipy.special


def _limit(f, at):
    """``f``, with a value of its own at the removable singularities ``at``."""
    return lambda x: at[int(x)] if x in at else f(x)


def _real(f):
    """``f`` of real numbers with a real value."""

    def real(*xs):
        y = f(*xs)
        if isinstance(y, mp.mpc) and y.imag != 0:
            raise ValueError("outside the domain")
        return mp.re(y)

    return real


def _cbrt(x):
    return mp.sign(x) * mp.cbrt(abs(x))


def _mills(x):
    return mp.npdf(x) / _ncdf(x)


def _ncdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _ndtri(p):
    return -mp.sqrt(2) * _erfcinv(2 * p)


def _erfcinv(x):
    """Newton's method from SciPy's digits."""
    if not 0 < x < 2:
        raise ValueError("outside the domain")
    y = mp.mpf(float(scipy.special.erfcinv(float(x))))
    for _ in range(8):
        y += (mp.erfc(y) - x) * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
    return y


def _sinc(x):
    return mp.sinc(mp.pi * x)


def _xlogy(x, y):
    return mp.mpf(0) if x == 0 else x * mp.log(y)


ONE = {
    "negative": lambda x: -x,
    "positive": lambda x: x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "exp": mp.exp,
    "exp2": lambda x: mp.power(2, x),
    "exp10": lambda x: mp.power(10, x),
    "expm1": mp.expm1,
    "log": _real(mp.log),
    "log2": _real(lambda x: mp.log(x) / mp.log(2)),
    "log10": _real(lambda x: mp.log(x) / mp.log(10)),
    "log1mexp": _real(lambda x: mp.log1p(-mp.exp(-x)) if x > 1 else mp.log(-mp.expm1(-x))),
    "log1p": _real(lambda x: mp.log(1 + x)),
    "sqrt": _real(mp.sqrt),
    "root": _real(mp.sqrt),
    "cbrt": _cbrt,
    "sin": mp.sin,
    "cos": mp.cos,
    "cosm1": lambda x: mp.cos(x) - 1,
    "tan": mp.tan,
    "arcsin": _real(mp.asin),
    "arccos": _real(mp.acos),
    "arctan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "arcsinh": mp.asinh,
    "arccosh": _real(mp.acosh),
    "arctanh": _real(mp.atanh),
    "degrees": mp.degrees,
    "radians": mp.radians,
    "rad2deg": mp.degrees,
    "deg2rad": mp.radians,
    "fabs": abs,
    "absolute": abs,
    "conjugate": lambda x: x,
    "real": lambda x: x,
    "imag": lambda x: 0 * x,
    "angle": lambda x: mp.mpf(0) if x >= 0 else mp.pi,
    "nan_to_num": lambda x: x,
    "sinc": _sinc,
    "expit": lambda x: 1 / (1 + mp.exp(-x)),
    "log_expit": lambda x: -mp.log(1 + mp.exp(-x)),
    "softplus": lambda x: mp.log(1 + mp.exp(x)),
    "logit": _real(lambda x: mp.log(x / (1 - x))),
    "entr": _real(lambda x: -x * mp.log(x)),
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erfi": mp.erfi,
    "erfcx": lambda x: mp.exp(x * x) * mp.erfc(x),
    "dawsn": lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x),
    "erfinv": lambda x: _erfcinv(1 - x),
    "erfcinv": _erfcinv,
    "ndtr": _ncdf,
    "normal_density": mp.npdf,
    "log_ndtr": lambda x: mp.log(_ncdf(x)),
    "ndtri": _ndtri,
    "ndtri_exp": lambda x: _ndtri(mp.exp(x)),
    "inv_mills": _mills,
    "inv_mills_excess": lambda x: x + _mills(x),
    "gammaln": lambda x: mp.re(mp.loggamma(x)),
    "loggamma": _real(mp.loggamma),
    "gamma": mp.gamma,
    "digamma": mp.digamma,
    "rgamma": mp.rgamma,
    "j0": lambda x: mp.besselj(0, x),
    "j1": lambda x: mp.besselj(1, x),
    "y0": _real(lambda x: mp.bessely(0, x)),
    "y1": _real(lambda x: mp.bessely(1, x)),
    "i0": lambda x: mp.besseli(0, x),
    "i0e": lambda x: mp.exp(-abs(x)) * mp.besseli(0, x),
    "i1": lambda x: mp.besseli(1, x),
    "i1e": lambda x: mp.exp(-abs(x)) * mp.besseli(1, x),
    "k0": _real(lambda x: mp.besselk(0, x)),
    "k0e": _real(lambda x: mp.exp(x) * mp.besselk(0, x)),
    "k1": _real(lambda x: mp.besselk(1, x)),
    "k1e": _real(lambda x: mp.exp(x) * mp.besselk(1, x)),
    "exprel": _limit(lambda x: mp.expm1(x) / x, {0: mp.mpf(1)}),
    "expi": _real(mp.ei),
    "exp1": _real(mp.e1),
}


def _power(x, y):
    return mp.mpf(1) if x == y == 0 else mp.power(x, y)


def _fmod(x, y):
    return x - y * (mp.floor(x / y) if x * y > 0 else mp.ceil(x / y))


def _rel_entr(x, y):
    if x < 0 or y <= 0:
        raise ValueError("outside the domain")
    return x * mp.log(x / y) if x else mp.mpf(0)


def _logaddexp(x, y):
    """The smaller operand is left out where it is 2,000 digits below."""
    gap = abs(x - y)
    return max(x, y) + (mp.log(1 + mp.exp(-gap)) if gap < 5000 else 0)


def _log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


TWO = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "power": _real(_power),
    "float_power": _real(_power),
    "remainder": lambda x, y: x - y * mp.floor(x / y),
    "fmod": _fmod,
    "logaddexp": _logaddexp,
    "logaddexp2": lambda x, y: _logaddexp(x * mp.log(2), y * mp.log(2)) / mp.log(2),
    "hypot": mp.hypot,
    "arctan2": mp.atan2,
    "maximum": max,
    "minimum": min,
    "fmax": max,
    "fmin": min,
    "copysign": lambda x, y: abs(x) if y >= 0 else -abs(x),
    "heaviside": lambda x, y: y if x == 0 else mp.mpf(x > 0),
    "xlogy": _real(_xlogy),
    "xlog1py": _real(lambda x, y: _xlogy(x, 1 + y)),
    "rel_entr": _rel_entr,
    "kl_div": lambda x, y: _rel_entr(x, y) - x + y,
    "beta": lambda a, b: mp.exp(_log_beta(a, b)),
    "betaln": _log_beta,
}


# ── derivatives ──────────────────────────────────────────────────────────────────────────────
def derivatives(f, *xs):
    """``f`` and its derivatives to the second order at the floats ``xs``, by central differences.

    A dict: ``()`` the value, ``(0,)`` the derivative in the first operand, ``(0, 1)`` the mixed one, and so
    on. None stands where differences of two widths do not agree, so that there is no derivative; the dict
    is None where the function has no value.
    """
    digits = 110 + sum((2 + len(xs)) * abs(int(log10(abs(x)))) for x in xs if x)
    digits += sum(int(abs(x)) for x in xs if 16 < abs(x) < 1000)  # two exponentials of them
    if len(xs) == 1 and 8 < abs(xs[0]) < 32:
        digits += int(xs[0] ** 2 / 4)  # and the tails of a normal distribution
    with mp.workdps(digits):
        try:
            wide, noise = _differences(f, xs, 28, digits)
            narrow, _ = _differences(f, xs, 30, digits)
        except (ValueError, ZeroDivisionError, mp.libmp.libhyper.NoConvergence):
            return None
        if not mp.isfinite(narrow[()]):
            return None
        found = {}
        for k, d in narrow.items():
            if abs(d) < noise[k]:
                found[k] = 0.0
            else:
                agrees = abs(d - wide[k]) <= mp.mpf(10) ** -15 * abs(d)
                # What the width alone leaves of a zero.
                nothing = not agrees and abs(d) < mp.mpf(10) ** -50 * abs(narrow[()])
                found[k] = float(d) if agrees else 0.0 if nothing else None
        for i in range(len(xs)):
            if found[i, i] is None and abs(narrow[i, i]) > 50 * abs(wide[i, i]):
                found[i,] = None  # a kink: the second difference is proportional to the width
        # Of an odd function the second difference is 0 wherever the first is infinite.
        return {k: None if None in (found[i,] for i in k) else d for k, d in found.items()}


def _differences(f, xs, width, digits):
    xs = [mp.mpf(x) for x in xs]
    step = mp.mpf(10) ** -width * min([abs(x) for x in xs if x] + [1])
    steps = [step] * len(xs)

    def at(*moves):
        return f(*[x + m * h for x, m, h in zip(xs, moves, steps, strict=True)])

    n = len(xs)
    units = [[int(i == k) for i in range(n)] for k in range(n)]
    value = at(*[0] * n)
    found, noise = {(): value}, {(): mp.mpf(0)}
    eps = mp.mpf(10) ** (16 - digits) * (abs(value) or 1)
    for k in range(n):
        above, below, h = at(*units[k]), at(*[-u for u in units[k]]), steps[k]
        found |= {(k,): (above - below) / (2 * h), (k, k): (above - 2 * value + below) / h**2}
        noise |= {(k,): eps / h, (k, k): eps / h**2}
    if n == 2:
        area = 4 * steps[0] * steps[1]
        found[0, 1] = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / area
        noise[0, 1] = eps / area
    return found, noise


def whole(f, xs, digits=120):
    """Value, gradient and Hessian of a function of a list of numbers, at the floats ``xs``, in float64."""
    n = len(xs)
    with mp.workdps(digits):
        h = mp.mpf(10) ** (-digits // 4)

        def moved(*places):
            p = [mp.mpf(float(x)) for x in xs]
            for k, sign in places:
                p[k] += sign * h
            return f(p)

        def second(i, j):
            corners = [si * sj * moved((i, si), (j, sj)) for si in (1, -1) for sj in (1, -1)]
            return float(sum(corners) / (4 * h * h))

        first = [float((moved((i, 1)) - moved((i, -1))) / (2 * h)) for i in range(n)]
        upper = {(i, j): second(i, j) for i in range(n) for j in range(i, n)}
        hessian = np.array([[upper[min(i, j), max(i, j)] for j in range(n)] for i in range(n)])
        return float(moved()), np.array(first), hessian


def third_derivative(f, x):
    """Of a function of one number; None where differences of two widths do not agree."""
    with mp.workdps(200):
        x = mp.mpf(x)

        def at(width):
            h = mp.mpf(10) ** -width * (min(abs(x), 1) or 1)
            a, b, d, e = (f(x + j * h) for j in (-2, -1, 1, 2))
            return (e - 2 * d + 2 * b - a) / (2 * h**3)

        try:
            wide, narrow = at(20), at(22)
        except (ValueError, ZeroDivisionError):
            return None
        return float(narrow) if abs(wide - narrow) <= mp.mpf(10) ** -20 * max(abs(narrow), 1) else None
