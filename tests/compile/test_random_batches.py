"""Random programs on a batch of two samples, eager and compiled: each agrees with a loop over the samples.

A third of the arguments or more are a batch; the rest is shared. What `vmap` refuses by design, a selection
whose length each sample decides, is left out.
"""

import os
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings

import xpgrad as xg
from xpgrad._trees import tree_map
from xpgrad.testing import programs

_SHARE = int(os.environ["XPGRAD_TEST_SHARE"])
_settings = settings(
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    max_examples=max(80 // _SHARE, 10),
)
# What each sample decides for itself; and a write into an array that no trace knows, or its index.
_REFUSED = (
    "each sample of vmap has its own",
    "depends on the data",
    "cannot hold a traced value",
    "would lose",
    "cannot have a traced index",
)


def _mapped(program):
    """Whether each argument is a batch: arrays, by a number made of the source."""
    chance = zlib.crc32(program.source.encode())
    arrays = [x.dtype != "python" for x in program.inputs]
    chosen = [a and (chance >> k) % 3 > 0 for k, a in enumerate(arrays)]
    return chosen if any(chosen) else arrays


def _other(x):
    """Another sample like ``x``: of floats a little less, of others the same entries in reverse."""
    return 0.875 * x if x.dtype.kind in "fc" else x[::-1]


def _batched(f, mapped):
    def run(*args):
        whole = [np.stack([x, _other(x)]) if m else x for x, m in zip(args, mapped, strict=True)]
        return xg.vmap(f, tuple(0 if m else None for m in mapped))(*whole)

    return run


def _looped(f, mapped):
    def run(*args):
        others = [_other(x) if m else x for x, m in zip(args, mapped, strict=True)]
        return tree_map(lambda a, b: np.stack([a, b]), f(*args), f(*others))

    return run


def _check(compilers, program, derive=lambda f: f):
    mapped = _mapped(program)
    assume(any(mapped))
    expected = program.expect(lambda f: _looped(derive(f), mapped))
    assume(expected.tame)
    batched = _batched(derive(program), mapped)
    try:
        expected.check(batched(*program.args))
    except xg.TraceError as error:
        if not any(text in str(error) for text in _REFUSED):
            raise
        reject()
    for compiler in compilers:
        if zlib.crc32(program.source.encode()) % compiler.share == 0:
            expected.check(compiler.compile(batched)(*program.args))


@_settings
@given(program=programs())
def test_values_agree_with_a_loop(compilers, program):
    _check(compilers, program)


@_settings
@given(program=programs(scalar=True))
def test_gradients_of_each_sample_agree_with_a_loop(compilers, program):
    assume(program.argnums)
    _check(compilers, program, lambda f: xg.value_and_grad(f, argnums=program.argnums))


@pytest.mark.parametrize("derive", [xg.jacobian, xg.hessian])
def test_matrices_of_derivatives_agree_compiled(compilers, derive):
    x = np.linspace(0.3, 1.2, 6)

    def f(x):
        y = np.cumprod(x) * np.roll(x, 1)
        return y if derive is xg.jacobian else np.sum(np.sin(y) * x[::-1])

    expected = derive(f)(x)
    for compiler in compilers:
        np.testing.assert_allclose(compiler.compile(derive(f))(x), expected, rtol=1e-11)
