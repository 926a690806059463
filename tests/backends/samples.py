"""Operands for every elementwise op, edges and numbers of every size; and where NumPy is a reference."""

import numpy as np

from backends.nodes import operands_of
from xpgrad.core import OPS

EDGES = [
    *[0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1.5, -2.5, 0.7, 10, -10, 20.5, 100],
    *[-100, 1e-3, -1e-3, 1e-30, -1e-30, 1e30, -1e30],
]
FURTHER = {
    "float32": [1e-40, -1e-40, 1.2e-38, 3e38, -3e38, 88.5, -88, -104],
    "float64": [1e-310, -1e-310, 2.3e-308, 1e300, -1e300, 709.5, -709, -745, 1e100],
}
INTEGERS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def _normal(x):
    return ~(np.abs(x) < np.finfo(x.dtype).tiny) | (x == 0)


def _moderate(x):
    return _normal(x) & (x >= 0) & (x < 1e29)


# What is not trusted is not compared.
TRUSTED = {
    # pi x overflows in NumPy's.
    "sinc": lambda x: ~(np.abs(x) > 1e37),
    # SciPy's is 0 where the result is subnormal.
    "exp10": lambda x: ~(x < -307) | (x == -np.inf),
    # A quotient of two negative numbers has a logarithm in one branch of NumPy's, and none in another.
    "xlog_ratio": lambda w, x, y: ~((x < 0) & (y < 0)),
    # SciPy overflows where 1 / x is a number yet; where 1 / gamma is subnormal, ours is 0.
    "gammaln": _normal,
    "loggamma": _normal,
    "rgamma": lambda x: _normal(x) & ~(x > 34),
    # Far out SciPy takes sines of arguments that it has rounded.
    **dict.fromkeys(["j0", "j1", "y0", "y1"], lambda x: ~(np.abs(x) > 1e4) | np.isinf(x)),
    "yn": lambda n, x: ~(np.abs(x) > 1e4),
    # Left of 0 SciPy has rules of its own for pairs of poles.
    "beta": lambda a, b: _moderate(a) & _moderate(b),
    "betaln": lambda a, b: _moderate(a) & _moderate(b),
    # Large orders overflow in SciPy's. Left of 0 it adds up the terms one by one, and for odd s they cancel.
    "zeta": lambda s, q: ~(s > 100) & ((q >= -1e3) | (q == np.floor(q)) | (q != q)) & ~((q < 0) & (s > 3)),
    "polygamma": lambda n, x: (n >= 0) & (n <= 30) & ~(np.abs(x) > 1e3) & ~((x < 0) & (n > 2)),
}


def floats(name, dtype):
    """Operands of an op: edges in every combination, then numbers at random."""
    rng = np.random.default_rng(0)
    n = operands_of(name)
    edges = np.array(EDGES + FURTHER[dtype], dtype)
    edges = np.concatenate([edges[:5], edges[5 :: max(n - 1, 1)]])
    grid = [x.ravel() for x in np.meshgrid(*[edges] * n)]
    domain = OPS[name].domain or (-2.0, 2.0)
    domains = domain if isinstance(domain[0], tuple) else (domain,) * n
    xs = []
    for x, d in zip(grid, domains, strict=True):
        anywhere = np.exp(rng.uniform(-40, 9, 300)) * rng.choice([-1, 1], 300)
        parts = [x, rng.uniform(*d, 300), rng.uniform(-30, 30, 300), rng.uniform(0, 1, 300), anywhere]
        xs.append(np.concatenate(parts).astype(dtype))
    if name == "where":
        xs[0] = xs[0] > 0
    if name == "ldexp":
        xs[1] = np.clip(np.nan_to_num(xs[1]), -3000, 3000).astype(np.int64)
    if name in ("polygamma", "yn"):
        xs[0] = np.round(np.clip(np.nan_to_num(xs[0]), -40, 40))
    if name in TRUSTED:
        kept = TRUSTED[name](*xs)
        xs = [x[kept] for x in xs]
    return xs


def integers(dtype, n=1):
    """Operands of ``dtype``, its least and its largest numbers among them, in every combination."""
    if dtype == "bool":
        numbers = np.array([False, True])
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        below = (-1, -2, -7) if low else ()
        numbers = np.array([0, 1, 2, 3, 7, 100, low, low + 1, high, high - 1, high // 3, *below], dtype)
    return [x.ravel() for x in np.meshgrid(*[numbers] * n)]
