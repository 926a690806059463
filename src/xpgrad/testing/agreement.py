"""Comparison of two results, in units of the error that rounding can cause.

`sensitivity` measures that by Monte Carlo arithmetic (Parker, 1997): the function's graph is run in
float64, once as it is and twice with every input and every op's result perturbed, entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpgrad._trees import flatten, paths, unflatten
from xpgrad.backends import reference
from xpgrad.core import Graph, Node, Value
from xpgrad.passes.restabilise import as_written
from xpgrad.testing.tolerances import close, tolerance
from xpgrad.trace import graph_of

PERTURBATION = 1e-7
# The changes under these perturbations are combined by the root of the sum of squares: the largest of two
# normal samples is too small in one case of a hundred.
SEEDS = (1, 2, 3, 4, 5, 6)
# Ops that give back entries of their operands, and so do not round.
_EXACT = set(
    """absolute argpartition astype broadcast_to clip conjugate copy copysign concatenate custom diagonal
    embed_diagonal fabs fmax fmin getitem imag index_update max maximum min minimum nan_to_num negative pad
    pick positive real reshape transpose tril triu where""".split()
)


def assert_agrees(
    actual: Any,
    expected: Any,
    dtype: Any,
    *,
    sensitivity: Sequence[float] | None = None,
    like: Any = None,
    source: str = "",
) -> None:
    """Assert that two trees have one structure and, leaf by leaf, the same shape and values.

    Parameters
    ----------
    actual, expected : trees
        Of NumPy arrays and numbers; ``expected`` computed in float64.
    dtype : dtype
        Whose row of the tolerance table holds: the coarsest that ``actual`` was computed in.
    sensitivity : sequence of float, optional
        For each leaf, from the function of this name. The bound is then ``tolerance(dtype).value``
        times the larger of this and the largest entry: a sum of terms that cancel is held to what
        their rounding can do to it, and a small result to no less than a large one. Without it
        `close` compares, whose bound is absolute below 1.
    like : tree, optional
        Leaves whose dtypes those of ``actual`` must be.
    source : str
        Printed below the message: what was computed.

    Raises
    ------
    AssertionError
        With the path of the first leaf that differs, both values, and ``source``.
    """
    got, structure = flatten(actual)
    wanted, expected_structure = flatten(expected)
    below = f"\n{source}" if source else ""
    assert structure == expected_structure, f"the structures differ: {structure}, {expected_structure}{below}"
    dtypes = [np.asarray(x).dtype for x in (wanted if like is None else flatten(like)[0])]
    units = [None] * len(wanted) if sensitivity is None else list(sensitivity)
    assert len(units) == len(wanted) == len(dtypes), "sensitivity and like have one entry for each leaf"
    for k, (a, b) in enumerate(zip(map(np.asarray, got), map(np.asarray, wanted), strict=True)):
        where = f"output{paths(expected)[k]}" if structure is not None else "output"
        assert a.shape == b.shape, f"{where}: shape {a.shape}, not {b.shape}{below}"
        if like is not None:
            assert a.dtype == dtypes[k], f"{where}: dtype {a.dtype}, not {dtypes[k]}{below}"
        with np.printoptions(threshold=12):
            problem = _difference(a, b, dtype, units[k])
        assert problem is None, f"{where}: {problem}{below}"


@dataclass(frozen=True)
class Expected:
    """A function's result, and the error that rounding can cause in it; `expect` makes one.

    Attributes
    ----------
    value : tree
        Computed in float64.
    sensitivity : list of float
        For each leaf.
    like : tree
        Computed in the dtypes of the arguments.
    dtype : dtype
        The coarsest float dtype of the arguments.
    source : str
    """

    value: Any
    sensitivity: list[float]
    like: Any
    dtype: np.dtype[Any]
    source: str

    @property
    def tame(self) -> bool:
        """Whether all is finite and no output moves by over 100 times the perturbation.

        Relative to the larger of the largest entry and 1e-3; integers must not move at all.
        """
        for leaf, moved in zip(flatten(self.value)[0], self.sensitivity, strict=True):
            x = np.asarray(leaf)
            if not np.all(np.isfinite(x)) or not moved <= 100 * max(_largest(x), 1e-3):
                return False
            if x.dtype.kind not in "fc" and moved:
                return False
        return True

    def check(self, actual: Any) -> None:
        """Assert that ``actual`` agrees, within the tolerance table, and in dtypes exactly."""
        assert_agrees(
            actual, self.value, self.dtype, sensitivity=self.sensitivity, like=self.like, source=self.source
        )


def expect(f: Callable[..., Any], args: Sequence[Any], source: str = "") -> Expected:
    """The result of ``f(*args)`` by NumPy in float64, and the error that rounding can cause in it.

    ``f`` is a program, or a transform of one such as ``xg.grad(program)``, which computes eagerly.
    """
    leaves, structure = flatten(tuple(args))
    single = any(getattr(x, "dtype", None) == np.float32 for x in leaves)
    args64 = unflatten(structure, [_in_float64(x) for x in leaves])
    with np.errstate(all="ignore"):
        like = f(*args)
        value = f(*args64) if single else like
        moved = sensitivity(f, args64)
    return Expected(value, moved, like, np.dtype(np.float32 if single else np.float64), source)


def sensitivity(f: Callable[..., Any], args: Sequence[Any]) -> list[float]:
    """For each leaf of ``f(*args)`` its largest change under perturbations of 1e-7, over 1e-7.

    The changes under six perturbations are combined by the root of the sum of the squares.

    Every float input and every op's result is multiplied by ``1 + 1e-7 u``, ``u`` normal, entry by
    entry; ops that move or choose entries round nothing and are left alone. So a well-conditioned
    result has about its own size, and one that cancels, as ``x - x.mean()`` of a single ``x`` does,
    the size of what it is made of. A result that no float reaches has 0.
    """
    with as_written():
        graph, rebuild = graph_of(f, *args)
    inputs = flatten(tuple(args))[0]
    leaves = [np.asarray(x) for x in flatten(rebuild(reference.run(graph, inputs)))[0]]
    moved = [0.0] * len(leaves)
    for seed in SEEDS:
        others = flatten(rebuild(_run_perturbed(graph, inputs, np.random.default_rng(seed))))[0]
        for k, (a, b) in enumerate(zip(others, leaves, strict=True)):
            if b.dtype.kind in "b":
                gap = float(np.any(a != b))
            else:
                gap = _largest(a - b) / PERTURBATION
            moved[k] = float(np.hypot(moved[k], gap)) if gap == gap else np.inf
    return moved


def _run_perturbed(graph: Graph, inputs: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """`reference.run`, with what rounds perturbed, and the inputs."""
    held = [perturbed(x, rng) for x in inputs]
    env: dict[Value, Any] = dict(zip(graph.inputs, held, strict=True))
    for node in graph.nodes:
        out = reference.run_node(node, env)
        env[node] = perturbed(out, rng) if rounds(node) else out
    return [env[value] for value in graph.outputs]


def rounds(node: Node) -> bool:
    """Whether the op of ``node`` may round, and not just move or choose entries."""
    return node.op.name not in _EXACT


def perturbed(x: Any, rng: np.random.Generator) -> Any:
    """``x`` with each entry times ``1 + PERTURBATION u``, ``u`` normal; as it is where no float or complex."""
    if getattr(x, "dtype", np.dtype(bool)).kind not in "fc":
        return x
    return x * (1 + PERTURBATION * np.asarray(rng.normal(size=x.shape))).astype(x.real.dtype)


def _in_float64(x: Any) -> Any:
    return x.astype(np.float64) if getattr(x, "dtype", None) == np.float32 else x


def _largest(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _difference(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], dtype: Any, unit: float | None) -> str | None:
    """A description of the difference between ``a`` and ``b``; None if they agree."""
    if b.dtype.kind in "biu":
        wrong = a != b
        return f"{np.sum(wrong)} of {b.size} entries differ: {a} instead of {b}" if np.any(wrong) else None
    bound = tolerance(dtype).value
    if unit is None:
        return None if close(a, b, bound) else f"{a} instead of {b}, relative to 1 or more not within {bound}"
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return f"what is not finite differs: {a} instead of {b}"
    allowed = bound * max(unit, float(np.max(np.abs(b[finite]), initial=0.0)))
    apart = np.abs(np.where(finite, a, 0) - np.where(finite, b, 0))
    if bool(np.all(apart <= allowed)):  # and no NaN
        return None
    return f"{np.max(apart):.2e} apart, allowed {allowed:.2e}: {a} instead of {b}"
