"""Code written against the array API standard runs on traced arrays as it does on the strict ones."""

import array_api_strict
import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import close, tolerance
from xpgrad.trace import Symbols

EXACT = tolerance(np.float64).value
X = np.random.default_rng(0).uniform(0.2, 0.9, size=(3, 4))


def namespace(x):
    return x.__array_namespace__()


UNARY = """
    abs acos acosh asin asinh atan atanh ceil cos cosh exp expm1 floor log log10 log1p log2 negative
    positive real reciprocal round sign sin sinh sqrt square tan tanh trunc
""".split()
PROGRAMS = {name: (lambda x, name=name: getattr(namespace(x), name)(x)) for name in UNARY}
PROGRAMS["acosh"] = lambda x: namespace(x).acosh(x + 1)
PROGRAMS |= {
    "softmax": lambda x: (
        namespace(x).exp(x - namespace(x).max(x, axis=1, keepdims=True))
        / namespace(x).sum(
            namespace(x).exp(x - namespace(x).max(x, axis=1, keepdims=True)), axis=1, keepdims=True
        )
    ),
    "statistics": lambda x: (
        namespace(x).var(x, axis=0, correction=1) + namespace(x).mean(x) + namespace(x).std(x)
    ),
    "concat and stack": lambda x: namespace(x).stack(
        [namespace(x).concat([x, 2 * x], axis=0), namespace(x).ones((6, 4))], axis=-1
    ),
    "permute_dims": lambda x: namespace(x).permute_dims(x, (1, 0)),
    "matmul": lambda x: namespace(x).matmul(x, namespace(x).matrix_transpose(x)),
    "tensordot": lambda x: namespace(x).tensordot(x, x, axes=((0, 1), (0, 1))),
    "vecdot": lambda x: namespace(x).vecdot(x, x),
    "linalg": lambda x: namespace(x).linalg.vector_norm(x) + namespace(x).linalg.trace(x[:, :3]),
    "where": lambda x: namespace(x).where(x > 0.5, x, namespace(x).zeros_like(x)),
    "pow and atan2": lambda x: namespace(x).pow(x, namespace(x).asarray(2.0)) + namespace(x).atan2(x, x + 1),
    "take": lambda x: namespace(x).take(x, namespace(x).asarray([2, 0]), axis=0),
    "sort": lambda x: namespace(x).sort(x, axis=-1),
    "reshape and flip": lambda x: namespace(x).flip(namespace(x).reshape(x, (-1,))),
    "expand_dims and squeeze": lambda x: namespace(x).squeeze(namespace(x).expand_dims(x, axis=0), axis=0),
    "astype": lambda x: namespace(x).astype(x, namespace(x).float32),
    "clip": lambda x: namespace(x).clip(x, 0.3, 0.6),
    "logaddexp": lambda x: namespace(x).logaddexp(x, 2 * x),
    "broadcast_to": lambda x: namespace(x).broadcast_to(x[0, :], (2, 4)),
    "prod and min": lambda x: namespace(x).prod(x, axis=0) - namespace(x).min(x, axis=0),
    "operators": lambda x: (x**2 + 1) / (x - 2) * -x @ x.T,
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    PROGRAMS["cumulative_sum"] = lambda x: namespace(x).cumulative_sum(x, axis=1)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_portable_program_gives_the_value_of_the_strict_namespace(name):
    f = PROGRAMS[name]
    expected = np.asarray(f(array_api_strict.asarray(X)))
    out, pullback = xg.vjp(f, X)
    assert out.dtype == expected.dtype
    assert close(out, expected, EXACT)
    assert pullback(np.ones_like(out))[0].shape == X.shape


def test_every_name_of_the_standard_is_in_the_namespace():
    xp = namespace(Symbols().enter(X))
    names = [n for n in array_api_strict.__all__ if not n.startswith("_")]
    own = {"ArrayAPIStrictFlags", "Device", "get_array_api_strict_flags", "reset_array_api_strict_flags"}
    own |= {"set_array_api_strict_flags"}
    missing = [n for n in names if n not in own and not hasattr(np, n)]
    lacking = [n for n in names if n not in own and n not in missing and not hasattr(xp, n)]
    assert lacking == []
