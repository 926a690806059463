"""Graph to Graph: rewrite a program in forms that are stable, and cheap to plan.

In:  a verified Graph, as it was traced.
Out: a Graph with the same inputs and as many outputs, of the same shapes and dtypes.
Holds: a pass is a pure function; `verify` holds after each. An output may be an input itself, or another
output; it is never a constant. Constants are passed on by reference, never copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from xpgrad.core import Graph
from xpgrad.passes.cse import cse
from xpgrad.passes.dead import dead
from xpgrad.passes.fold import fold
from xpgrad.passes.lower import lower
from xpgrad.passes.rewriting import Note
from xpgrad.passes.simplify import simplify
from xpgrad.passes.stabilise import stabilise

Pass = Callable[[Graph, Note], Graph]

# The second `simplify` is for the nodes that lowering writes; it also finds the nodes that are equal.
PIPELINE: tuple[tuple[str, Pass], ...] = (
    ("fold", fold),
    ("cse", cse),
    ("stabilise", stabilise),
    ("simplify", simplify),
    ("lower", lower),
    ("simplify again", simplify),
    ("dead", dead),
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
