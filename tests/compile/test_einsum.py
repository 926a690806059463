"""Every kind of einsum of one and two operands, compiled, against NumPy: value, gradient and Hessian."""

import itertools
import zlib

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import assert_agrees

ONE = """-> i-> i->i ii-> ii->i ij-> ij->i ij->j ij->ji iij-> iij->i iij->j iij->ij iji->j iji->ij iii-> iii->i
ijij-> ijij->ij iijj->ij""".split()
TWO = """i,i-> i,i->i i,j-> i,j->i i,j->ij i,j->ji ij,ij-> ij,ij->i ij,ij->ij ij,ji-> ij,ji->ij ij,j-> ij,j->i
ij,jk-> ij,jk->j ij,jk->ik ij,jk->ki ij,jk->ijk ii,i-> ii,i->i ii,ii-> ii,ii->i ii,ij-> ii,ij->j ii,ij->ij
ij,jj->i ij,jj->ij ii,jj-> ii,jj->ij bij,bjk-> bij,bjk->bik bij,bij->b ijj,j->i ijj,jk->ik , ,->  ,i-> ,i->i
i,->i ij,-> ii,-> ii,->i""".split()
SIZES = {
    "plain": {"i": 3, "j": 4, "k": 2, "b": 2},
    "i is 1": {"i": 1, "j": 4, "k": 2, "b": 1},
    "j is 1": {"i": 3, "j": 1, "k": 2, "b": 2},
    "i is empty": {"i": 0, "j": 4, "k": 2, "b": 2},
}


def _explicit(subscripts):
    return subscripts if "->" in subscripts else f"{subscripts}->"


def _operands(subscripts, sizes):
    rng = np.random.default_rng(zlib.crc32(subscripts.encode()))
    terms = _explicit(subscripts).split("->")[0].split(",")
    return [rng.uniform(0.5, 1.5, [sizes[c] for c in term]) for term in terms]


def _jacobian(subscripts, operands, k):
    """Of the linear map from operand ``k`` to the result, by NumPy, an entry of the operand at a time."""
    columns = []
    for at in np.ndindex(operands[k].shape):
        unit = np.zeros(operands[k].shape)
        unit[at] = 1
        columns.append(np.ravel(np.einsum(subscripts, *operands[:k], unit, *operands[k + 1 :])))
    size = np.einsum(subscripts, *operands).size
    return np.array(columns).reshape(operands[k].size, size).T


CASES = [
    pytest.param(subscripts, sizes, id=f"{subscripts} where {sizes}")
    for subscripts, sizes in itertools.product([*ONE, *TWO], SIZES)
]


def _is_drawn(compiler, subscripts, sizes):
    """A share of what costs a run of the C++ compiler, and of it the trace, whose gradient is a diagonal."""
    return (
        compiler.name != "cuda"
        or (subscripts, sizes) == ("ii->", "plain")
        or zlib.crc32(f"{subscripts}{sizes}".encode()) % 50 == 0
    )


def _has_hessians(compiler, subscripts, sizes):
    """Those of the interpreter always; of LLVM, whose kernels take longer than all else, one in three."""
    if compiler.name == "llvm":
        return zlib.crc32(f"{subscripts}{sizes}".encode()) % 3 == 0
    return compiler.name != "cuda"


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.sweep
@pytest.mark.parametrize(("subscripts", "sizes"), CASES)
def test_value_gradient_and_hessian_are_those_of_numpys_einsum(compiler, subscripts, sizes):
    if not _is_drawn(compiler, subscripts, sizes):
        return
    operands = _operands(subscripts, SIZES[sizes])
    with_hessians = _has_hessians(compiler, subscripts, sizes)
    subscripts = _explicit(subscripts)
    z = np.asarray(np.einsum(subscripts, *operands))
    weights = np.linspace(0.5, 1.5, z.size).reshape(z.shape)

    def loss(*xs):
        return np.sum(weights * np.einsum(subscripts, *xs) ** 2) / 2

    def everything(*xs):
        argnums = tuple(range(len(xs)))
        hessians = [xg.hessian(loss, k)(*xs) for k in argnums if with_hessians]
        return np.einsum(subscripts, *xs), xg.grad(loss, argnums)(*xs), hessians

    value, gradient, hessians = compiler.compile(everything)(*operands)
    assert_agrees(value, z, np.float64)
    for k, x in enumerate(operands):
        jacobian = _jacobian(subscripts, operands, k)
        assert_agrees(gradient[k], (jacobian.T @ np.ravel(weights * z)).reshape(x.shape), np.float64)
        if hessians:
            expected = (jacobian.T * np.ravel(weights)) @ jacobian
            assert_agrees(hessians[k], expected.reshape(x.shape * 2), np.float64)


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.sweep
@pytest.mark.parametrize(("subscripts", "constant"), list(itertools.product(TWO, (0, 1))))
def test_an_operand_may_be_a_constant_of_the_function(compiler, subscripts, constant):
    """Its transposes and reshapes are then constants too."""
    if not _is_drawn(compiler, f"{subscripts}{constant}", ""):
        return
    given = _operands(subscripts, SIZES["plain"])
    subscripts = _explicit(subscripts)
    z = np.asarray(np.einsum(subscripts, *given))

    def parts(x):
        operands = [given[constant], x] if constant == 0 else [x, given[constant]]
        return np.einsum(subscripts, *operands)

    x = given[1 - constant]
    value, gradient = compiler.compile(xg.value_and_grad(lambda x: np.sum(parts(x) ** 2) / 2))(x)
    assert_agrees(value, np.sum(z**2) / 2, np.float64)
    expected = _jacobian(subscripts, given, 1 - constant).T @ np.ravel(z)
    assert_agrees(gradient, expected.reshape(x.shape), np.float64)


@pytest.mark.rotated("definition", "llvm")
@pytest.mark.parametrize("scalar", [2.0, 2, np.float32(2), True])
@pytest.mark.parametrize("subscripts", [",i->i", ",i->", ",->", ",ii->i"])
def test_an_operand_may_be_a_number(compiler, subscripts, scalar):
    if compiler.name == "cuda" and scalar is not True:
        return
    x = np.arange(1.0, 10.0)[: 3 if "i" in subscripts else 1]
    x = np.outer(x, x) if "ii" in subscripts else x if "i" in subscripts else x[0]
    got = compiler.compile(lambda x: np.einsum(subscripts, scalar, x))(x)
    assert_agrees(got, np.einsum(subscripts, scalar, x), np.float64)


@pytest.mark.parametrize("subscripts", ["i,i->", "i,i->i", "i,j->ij"])
def test_a_vector_may_meet_itself(compiler, subscripts):
    r = np.array([1.0, -2.0, 3.0])
    z = np.einsum(subscripts, r, r)
    loss = lambda r: np.sum(np.einsum(subscripts, r, r) ** 2) / 2
    expected = sum(_jacobian(subscripts, [r, r], k).T @ np.ravel(z) for k in range(2))
    assert_agrees(compiler.compile(xg.grad(loss))(r), expected, np.float64)
