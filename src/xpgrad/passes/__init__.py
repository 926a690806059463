"""Graph to Graph: what a program computes, in forms that are stable, and cheap to plan.

In:  a verified Graph, as it was traced.
Out: a Graph with the same inputs and as many outputs, of the same shapes and dtypes.
Holds: a pass is a pure function; `verify` holds after each. An output may be an input itself, or
another output; it is never a constant. Constants are passed on by reference, never copied.
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

# Simplified a second time, for what lowering wrote out; the forms that nodes share are found on the way.
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
    """What one pass did.

    Attributes
    ----------
    name : str
    nodes_before, nodes_after : int
    notes : tuple of str
        What was rewritten, in words, each once: ``"log(1 + x) -> log1p(x)  at fit.py:12: y = np.log(1 + x)"``.
    """

    name: str
    nodes_before: int
    nodes_after: int
    notes: tuple[str, ...]


def run_passes(graph: Graph) -> tuple[Graph, list[PassReport]]:
    """``graph`` through `PIPELINE`, and what each pass did."""
    reports = []
    for name, one in PIPELINE:
        before = len(graph.nodes)
        notes: list[str] = []
        graph = one(graph, notes.append)
        reports.append(PassReport(name, before, len(graph.nodes), tuple(dict.fromkeys(notes))))
    return graph, reports


__all__ = ["PIPELINE", "PassReport", "run_passes"]
