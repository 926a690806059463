"""What rounding alone can do to each entry of a result."""

import numpy as np

from xpgrad._trees import flatten
from xpgrad.backends import reference
from xpgrad.core import Const
from xpgrad.passes.restabilise import as_written
from xpgrad.testing.agreement import PERTURBATION, SEEDS, perturbed, rounds
from xpgrad.trace import graph_of


def rounding(f, args):
    """For each entry of each leaf of ``f(*args)`` what rounding alone can do to it, over its unit.

    As `xpgrad.testing.sensitivity`, but of arguments that are exact: a zero stays zero, a huge angle is what
    it is, and equal entries stay equal until an op rounds them. What an op sums up is perturbed term by term.
    Where the result is not finite, or not finite under a perturbation, it is infinite or NaN.
    """
    with as_written(), np.errstate(all="ignore"):
        graph, rebuild = graph_of(f, *args)
        inputs = flatten(tuple(args))[0]
        leaves = [np.asarray(x) for x in flatten(rebuild(reference.run(graph, inputs)))[0]]
        moved = [np.zeros(x.shape) for x in leaves]
        for seed in SEEDS:
            others = flatten(rebuild(_run_perturbed(graph, inputs, np.random.default_rng(seed))))[0]
            for k, (a, b) in enumerate(zip(map(np.asarray, others), leaves, strict=True)):
                if b.dtype.kind in "fc":
                    same = (a == b) | (np.isnan(a) & np.isnan(b))
                    gap = np.where(same, 0.0, np.abs(a - b) / PERTURBATION)
                else:
                    gap = np.where(a != b, np.inf, 0.0)
                moved[k] = np.hypot(moved[k], np.where(np.isnan(gap), np.inf, gap))
    return moved


def _run_perturbed(graph, inputs, rng):
    """`reference.run`, with what rounds perturbed: results, and the operands of what is not elementwise."""
    env = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        known = env
        if rounds(node) and not node.op.is_elementwise and node.op.kind != "constant":
            known = env | {u: perturbed(env[u], rng) for u in node.operands if not isinstance(u, Const)}
        out = reference.run_node(node, known)
        env[node] = perturbed(out, rng) if rounds(node) else out
    return [env[value] for value in graph.outputs]
