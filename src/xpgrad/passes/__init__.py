"""Graph to Graph: rewrite a program in forms that are stable, and cheap to plan.

In:  a verified Graph, as it was traced.
Out: a Graph with the same inputs and as many outputs, of the same shapes and dtypes.
Holds: a pass is a pure function; `verify` holds after each. An output may be an input itself, or another
output; it is never a constant. Constants are passed on by reference, never copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from xpgrad.core import Graph, Node
from xpgrad.ops.loops import LOOP
from xpgrad.passes.cse import cse
from xpgrad.passes.dead import dead
from xpgrad.passes.entries import entries
from xpgrad.passes.fold import fold
from xpgrad.passes.lower import lower
from xpgrad.passes.rewriting import Note, Rewriting, rewrite, silent
from xpgrad.passes.roll import roll
from xpgrad.passes.simplify import simplify
from xpgrad.passes.slices import slices
from xpgrad.passes.stabilise import stabilise
from xpgrad.passes.writes import writes

Pass = Callable[[Graph, Note], Graph]


def bodies(graph: Graph, note: Note = silent) -> Graph:
    """The passes for the bodies of loops."""
    done: dict[int, Graph] = {}

    def optimised(body: Graph) -> Graph:
        if id(body) not in done:
            done[id(body)], reports = run_passes(body)
            for report in reports:
                for text in report.notes:
                    note(f"in a loop: {report.name}: {text}")
        return done[id(body)]

    if not any(node.op is LOOP for node in graph.nodes):
        return graph

    def rule(r: Rewriting, node: Node, operands: list[Any]) -> Any:
        if node.op is not LOOP:
            return None
        params = {**node.params, "body": optimised(node.params["body"])}
        return r.copy(Node(LOOP, operands, params, node.aval, node.at), operands)

    return rewrite(graph, rule, note)


# The second `simplify` is for the nodes that lowering writes; it also finds the nodes that are equal.
PIPELINE: tuple[tuple[str, Pass], ...] = (
    ("fold", fold),
    ("cse", cse),
    ("writes", writes),
    ("roll", roll),
    ("stabilise", stabilise),
    ("simplify", simplify),
    ("lower", lower),
    ("simplify again", simplify),
    ("entries", entries),
    ("slices", slices),
    ("dead", dead),
    ("bodies", bodies),
)


class PassReport(NamedTuple):
    """The report of one pass.

    Attributes
    ----------
    name : str
    nodes_before, nodes_after : int
    notes : tuple of str
        The rewritings in words, each once: ``"log(1 + x) -> log1p(x)  at fit.py:12: y = np.log(1 + x)"``.
    """

    name: str
    nodes_before: int
    nodes_after: int
    notes: tuple[str, ...]


def run_passes(graph: Graph) -> tuple[Graph, list[PassReport]]:
    """``graph`` after `PIPELINE`, and the report of each pass."""
    reports = []
    for name, one in PIPELINE:
        before = len(graph.nodes)
        notes: list[str] = []
        graph = one(graph, notes.append)
        reports.append(PassReport(name, before, len(graph.nodes), tuple(dict.fromkeys(notes))))
    return graph, reports


__all__ = ["PIPELINE", "PassReport", "run_passes"]
