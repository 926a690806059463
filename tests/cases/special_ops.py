"""Special functions as ops: their names, and operands for them."""

import numpy as np

import xpgrad as xg

_NAMES = """
    expit log_expit softplus logit log1mexp xlogy xlog1py entr xlog_ratio rel_entr kl_div
    erf erfc erfi erfcx dawsn erfinv erfcinv ndtr normal_density log_ndtr ndtri ndtri_exp
    inv_mills inv_mills_excess gammaln loggamma gamma digamma polygamma zeta rgamma
    beta betaln gamma_kernel beta_kernel
    gammainc gammaincc gammaincinv gammainccinv betainc betaincc betaincinv
    log_gammainc log_gammaincc gamma_score_below gamma_score_above gamma_curvature_below gamma_curvature_above
    log_betainc beta_score_a beta_score_b stdtr stdtrit
    j0 j1 jv y0 y1 yn yv i0 i0e i1 i1e iv ive k0 k0e k1 k1e kn kv kve exprel exp10 cosm1 expi exp1
"""
NAMES = _NAMES.split()
ALONG_AXES = ("logsumexp", "softmax", "log_softmax")
WITHOUT_A_NAME = (
    "normal_density",
    "inv_mills",
    "inv_mills_excess",
    "gamma_kernel",
    "beta_kernel",
    "softmax_or_zero",
    "xlog_ratio",
    "softplus",  # new in SciPy 1.16
    "log1mexp",
    "log_gammainc",
    "log_gammaincc",
    "gamma_score_below",
    "gamma_score_above",
    "gamma_curvature_below",
    "gamma_curvature_above",
    "log_betainc",
    "beta_score_a",
    "beta_score_b",
)
# Operands in which there is a first derivative and no second.
ONCE = {
    "gamma_score_below": 1,
    "gamma_score_above": 1,
    "betainc": 2,
    "betaincc": 2,
    "log_betainc": 2,
    "betaincinv": 2,
    "stdtr": 1,
    "stdtrit": 1,
}
TAILS = """
    log_gammainc log_gammaincc gamma_score_below gamma_score_above gamma_curvature_below gamma_curvature_above
    log_betainc beta_score_a beta_score_b stdtr stdtrit
""".split()
SHAPES = {"same": [(2, 3)] * 4, "broadcast": [(2, 1), (3,), (1, 1), (2, 3)], "scalars": [()] * 4}
F64, F32 = np.dtype(np.float64), np.dtype(np.float32)


def operands(op, shapes, dtype=F64):
    """Arrays drawn from the op's domain."""
    rng = np.random.default_rng(3)
    domain = op.domain if isinstance(op.domain[0], tuple) else (op.domain,) * len(op.pulls)
    return [rng.uniform(*d, size=s).astype(dtype) for d, s in zip(domain, shapes, strict=False)]


def in_known_operands(op, xs, f=None):
    """``f`` (or the op) as a function of the operands in which the op has a derivative; and those."""
    places = [i for i, rule in enumerate(op.pulls) if rule is not None]

    def g(*given):
        full = list(xs)
        for i, x in zip(places, given, strict=True):
            full[i] = x
        return (f or op)(*full)

    return g, [xs[i] for i in places]


def derivatives(f, x):
    """Value, first and second derivative of an elementwise function, at each entry of ``x``."""
    ones = np.ones_like(x)

    def slope(x):
        return xg.vjp(f, x)[1](ones)[0]

    return f(x), slope(x), xg.vjp(slope, x)[1](ones)[0]
