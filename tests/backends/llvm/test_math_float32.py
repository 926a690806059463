"""The float32 math functions against NumPy and SciPy in float64, over the whole range."""

import numpy as np
import pytest

from xpgrad.backends.cpu.llvm import build
from xpgrad.codegen.scalar import functions

sp = pytest.importorskip("scipy.special")
if reason := build.available():
    pytest.skip(reason, allow_module_level=True)

from backends.llvm.math_kernels import function, ulps, worst  # noqa: E402
from backends.llvm.test_math_special import SPECIAL  # noqa: E402

# Every 1009th bit pattern: NaN, infinities, subnormal numbers, both signs.
EVERY = np.arange(0, 2**32, 1009, dtype=np.uint64).astype(np.uint32).view(np.float32)
NUMPY = "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh"
SCIPY = "exp10 expit erf erfc erfcx ndtr log_ndtr gammaln"


def _sinc(x):
    y = (np.float32(np.pi) * x.astype(np.float32)).astype(np.float64)
    return np.where(x == 0, 1, np.sin(y) / np.where(x == 0, 1, y))


def _logit(x):
    near = np.clip(x, 0.25, 0.75)
    return np.where(x == near, 2 * np.arctanh(2 * near - 1), sp.logit(x))


UNARY = {
    **{name: getattr(np, name) for name in (NUMPY + " arctanh sqrt cbrt sign").split()},
    **{name: getattr(np, name) for name in "floor ceil trunc rint".split()},
    **{name: getattr(sp, name) for name in SCIPY.split()},
    "softplus": lambda x: np.logaddexp(0, x),
    "logit": _logit,
    "sinc": _sinc,
    "inv_mills": lambda x: np.sqrt(2 / np.pi) / sp.erfcx(-x / np.sqrt(2)),
    "normal_density": lambda x: np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi),
}
TWO = {name: getattr(np, name) for name in "arctan2 hypot power".split()}


@pytest.mark.sweep
@pytest.mark.parametrize("name", sorted(UNARY))
def test_a_unary_function_is_within_its_bound_over_the_whole_range(name):
    with np.errstate(all="ignore"):
        y = function(name, "float")(EVERY)
        error, where = worst(ulps(y, UNARY[name](EVERY.astype(np.float64))), EVERY)
    assert error <= functions.ULP[name, "float"], (name, error, where)


@pytest.mark.parametrize("name", sorted(TWO))
def test_a_binary_function_is_within_its_bound(name):
    rng = np.random.default_rng(0)
    any_pair = rng.integers(0, 2**32, (2, 300_000), dtype=np.uint64).astype(np.uint32).view(np.float32)
    moderate = (rng.uniform(-30, 30, (2, 300_000))).astype(np.float32)
    x, y = np.concatenate([any_pair, moderate, np.abs(moderate)], axis=1)
    with np.errstate(all="ignore"):
        z = function(name, "float")(x, y)
        wide = x.astype(np.float64), y.astype(np.float64)
        error, where = worst(ulps(z, TWO[name](*wide)), x, y)
    assert error <= functions.ULP[name, "float"], (name, error, where)


def test_every_function_has_its_test():
    elsewhere = {"fmax", "fmin", "copysign", "fmod", "remainder", "floor_divide"} | set(SPECIAL)
    assert set(UNARY) | set(TWO) | elsewhere == set(functions.BODIES)
    assert set(functions.ULP) == {(name, kind) for name in functions.BODIES for kind in ("float", "double")}
