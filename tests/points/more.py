"""Elementwise functions of ``x`` with other operands given: SciPy's with parameters, activations, losses.

Each as our function, the same in mpmath, and the points.
"""

import mpmath as mp
import numpy as np

import xpgrad as xg
from points.references import _ncdf, _rel_entr
from xpgrad.core import OPS

FROM_0 = [0.0, 1e-8, 0.5, 1.0, 3.0, 20.0]
POSITIVE = [0.5, 1.0, 3.0, 20.0]
UNIT = [0.0, 1e-8, 0.25, 0.5, 0.75, 1.0]
REAL = [0.0, -0.0, 1e-8, -1e-8, 0.5, -0.5, 1.0, -1.0, 2.5, -2.5, 8.0, -8.0, 40.0, -40.0, 400.0, -400.0]


def _regular(x):
    if x < 0:
        raise ValueError("outside the domain")
    return x


def _of_gamma(upper):
    def of(a):
        def f(x):
            return mp.gammainc(a, *((_regular(x), mp.inf) if upper else (0, _regular(x))), regularized=True)

        return f

    return of


def _betainc(a, b):
    def f(x):
        if not 0 <= x <= 1:
            raise ValueError("outside the domain")
        return mp.betainc(a, b, 0, x, regularized=True)

    return f


def _softplus(x):
    return mp.log(1 + mp.exp(x))


def _expit(x):
    return 1 / (1 + mp.exp(-x))


def _tanh_gelu(x):
    return x * _expit(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))


def _elu(alpha):
    return lambda x: x if x > 0 else alpha * mp.expm1(x)


def _loss(name, y, **params):
    f = getattr(xg.losses, name)
    return lambda x: f(x, np.full(np.shape(x), y), reduction="none", **params)


def _op(name, *given):
    return lambda x: OPS[name](*given, x)


def _bessel(op, f):
    """For several orders; negative and half ones too."""
    return {f"{op}({v})": (_op(op, v), lambda x, v=v: f(v, x)) for v in (0.0, 1.0, 2.0, 0.5, 2.5)}


def _with(points, table):
    return {name: (*pair, points) for name, pair in table.items()}


MORE = {
    **_with(FROM_0, _bessel("jv", mp.besselj) | _bessel("iv", mp.besseli)),
    **_with(FROM_0, _bessel("ive", lambda v, x: mp.exp(-abs(x)) * mp.besseli(v, x))),
    **_with(POSITIVE, {"kv(0.5)": (_op("kv", 0.5), lambda x: mp.besselk(0.5, x))}),
    **_with(POSITIVE, {"kve(1.5)": (_op("kve", 1.5), lambda x: mp.exp(x) * mp.besselk(1.5, x))}),
    **_with([1.0], {"yn(2)": (_op("yn", 2), lambda x: mp.bessely(2, x))}),
    **_with(POSITIVE, {"yv(0.5)": (_op("yv", 0.5), lambda x: mp.bessely(0.5, x))}),
    **_with(
        POSITIVE,
        {
            "polygamma(1)": (_op("polygamma", 1), lambda x: mp.polygamma(1, x)),
            "polygamma(2)": (_op("polygamma", 2), lambda x: mp.polygamma(2, x)),
            "zeta(2)": (_op("zeta", 2.0), lambda x: mp.zeta(2, x)),
        },
    ),
    **_with(
        FROM_0, {f"gammainc({a})": (_op("gammainc", a), _of_gamma(False)(a)) for a in (0.5, 1.0, 2.0, 3.0)}
    ),
    **_with(FROM_0, {f"gammaincc({a})": (_op("gammaincc", a), _of_gamma(True)(a)) for a in (0.5, 1.0, 3.0)}),
    **_with(
        FROM_0,
        {
            f"gamma_kernel({a})": (
                lambda x, a=a: OPS["gamma_kernel"](a, x, 0.5),
                lambda x, a=a: _regular(x) ** a * mp.exp(-x - 0.5) if a % 1 else x**a * mp.exp(-x - 0.5),
            )
            for a in (0.0, 1.0, 2.0, 2.5)
        },
    ),
    **_with(
        UNIT,
        {
            f"beta_kernel({a}, {b})": (
                lambda x, a=a, b=b: OPS["beta_kernel"](a, b, x, 0.5),
                lambda x, a=a, b=b: x**a * (1 - x) ** b * mp.exp(-0.5),
            )
            for a, b in ((0.0, 0.0), (1.0, 2.0), (0.0, 1.0))
        },
    ),
    **_with(
        UNIT,
        {
            f"betainc({a}, {b})": (_op("betainc", a, b), _betainc(a, b))
            for a, b in ((0.5, 0.5), (1.0, 1.0), (2.0, 3.0), (1.0, 3.0))
        },
    ),
    **_with(UNIT, {"betaincc(2, 3)": (_op("betaincc", 2.0, 3.0), lambda x: 1 - _betainc(2, 3)(x))}),
    **_with(
        REAL,
        {
            "clip": (lambda x: OPS["clip"](x, -0.7, 0.7), lambda x: min(max(x, mp.mpf(-0.7)), mp.mpf(0.7))),
            "clip, bounds changed": (lambda x: OPS["clip"](x, 1.0, -0.7), lambda x: mp.mpf(-0.7)),
            "clip of a bound": (lambda x: OPS["clip"](0.3, x, 5.0), lambda x: min(max(mp.mpf(0.3), x), 5)),
            "where": (
                lambda x: np.where(x > 0.2, np.sqrt(np.where(x > 0.2, x, 1.0)), x * x),
                lambda x: mp.sqrt(x) if x > 0.2 else x * x,
            ),
            "ldexp": (lambda x: np.ldexp(x, 3), lambda x: 8 * x),
            "logaddexp, 0": (lambda x: np.logaddexp(x, 0.0), _softplus),
            "nn.gelu": (xg.nn.gelu, lambda x: x * _ncdf(x)),
            "nn.gelu approximate": (lambda x: xg.nn.gelu(x, approximate=True), _tanh_gelu),
            "nn.silu": (xg.nn.silu, lambda x: x * _expit(x)),
            "nn.mish": (xg.nn.mish, lambda x: x * mp.tanh(_softplus(x))),
            "nn.softplus": (xg.nn.softplus, _softplus),
            "nn.softsign": (xg.nn.softsign, lambda x: x / (1 + abs(x))),
            "nn.sigmoid": (xg.nn.sigmoid, _expit),
            "nn.log_sigmoid": (xg.nn.log_sigmoid, lambda x: -_softplus(-x)),
            "nn.elu": (lambda x: xg.nn.elu(x, 0.5), _elu(0.5)),
            "nn.celu": (xg.nn.celu, _elu(1)),
            "nn.selu": (xg.nn.selu, lambda x: mp.mpf(1.0507009873554805) * _elu(mp.mpf(1.6732632423543772))(x)),
            "sigmoid of the notes": (
                lambda x: 1 / (1 + np.exp(-np.clip(x, -300, 300))),
                lambda x: _expit(min(max(x, -300), 300)),
            ),
            "losses.binary_cross_entropy": (
                _loss("binary_cross_entropy", 0.25),
                lambda x: _softplus(x) - x / 4,
            ),
            "losses.poisson_nll": (_loss("poisson_nll", 3.0), lambda x: mp.exp(x) - 3 * x),
            "losses.gamma_nll": (_loss("gamma_nll", 3.0), lambda x: 3 * mp.exp(-x) + x),
            "losses.normal_nll": (
                _loss("normal_nll", 0.25),
                lambda x: (x - 0.25) ** 2 / 2 + mp.log(2 * mp.pi) / 2,
            ),
            "losses.huber": (_loss("huber", 0.25), lambda x: _huber(x - 0.25)),
            "losses.log_cosh": (_loss("log_cosh", 0.25), lambda x: mp.log(mp.cosh(x - 0.25))),
            "losses.squared_hinge": (_loss("squared_hinge", -1.0), lambda x: max(0, 1 + x) ** 2),
            "losses.quantile": (
                _loss("quantile", 0.25, q=0.3),
                lambda x: max(0.7 * (x - 0.25), -0.3 * (x - 0.25)),
            ),
        },
    ),
    **_with(
        FROM_0,
        {
            "xlog_ratio(2, x, 3)": (lambda x: OPS["xlog_ratio"](2.0, x, 3.0), lambda x: 2 * mp.log(x / 3)),
            "rel_entr(x, 2)": (lambda x: OPS["rel_entr"](x, 2.0), lambda x: _rel_entr(x, mp.mpf(2))),
            "kl_div(2, x)": (_op("kl_div", 2.0), lambda x: _rel_entr(mp.mpf(2), x) - 2 + x),
            "x ** 0": (lambda x: x**0, lambda x: mp.mpf(1)),
            "x ** 1": (lambda x: x**1, lambda x: x),
            "x ** 2": (lambda x: x**2, lambda x: x * x),
            "x ** 2.5": (lambda x: x**2.5, lambda x: x**2.5),
            "x ** x": (lambda x: x**x, lambda x: x**x),
            "2 ** x": (lambda x: 2.0**x, lambda x: mp.mpf(2) ** x),
        },
    ),
}


def _huber(d):
    return d * d / 2 if abs(d) <= 1 else abs(d) - mp.mpf(1) / 2
