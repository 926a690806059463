"""The words of `explain`: the graph, the rewritings, the steps, and the text of kernels.

In:  an optimised Graph, what the passes did, and the Program.
Out: text.
Holds: the words about a step come from the object that runs it, not from the plan; a kernel has its number
or its name once, under its step.

    program
      step 0: one loop over 10000 entries, 2112 in a tile, 5 chunks: dot, add, exp, sum
        reads input 1 float64[3, 10000] once
        sums sum float64[] at fit.py:7: return np.sum(np.exp(w @ X + b))
        done by kernel 0 (compiled), once for each chunk
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any

from xpgrad.core import Const, Graph, Node, Operand, Value
from xpgrad.core.show import show
from xpgrad.ops.loops import parts_of
from xpgrad.plan import Plan, Region
from xpgrad.plan.plan import Step

INDENT = "  "


def explain(
    graph: Graph,
    rewrites: Sequence[str],
    reports: Sequence[Any],
    program: Any,
    *,
    source: bool = False,
    asks: int = 0,
) -> str:
    """The graph, the rewritings of each pass, and how the program runs it.

    ``rewrites`` are those before differentiation. ``source`` adds the text of each kernel. ``asks`` is the
    number of outputs, the last, that say whether the data are as the function demands.
    """
    shown = show(graph).splitlines()
    for i in range(len(graph.inputs)):
        shown[i] += f"  (input {i})"
    if asks:
        shown.append(
            f"the last {asks} of them: whether the data are as a loss demands"
            if asks > 1
            else "the last of them: whether the data are as a loss demands"
        )
    lines = ["graph after all passes", *indented(shown), "", "passes"]
    if rewrites:
        lines += ["  stabilise, within transforms, before they differentiate"]
        lines += indented(dict.fromkeys(rewrites), 2)
    for report in reports:
        lines.append(f"  {report.name:<10} {report.nodes_before} -> {report.nodes_after} nodes")
        lines += indented(report.notes, 2)
    return "\n".join([*lines, "", "program", *indented(program.describe(source))])


def indented(lines: Iterable[str], by: int = 1) -> list[str]:
    """``lines`` indented; an empty line stays empty."""
    return [by * INDENT + line if line else line for line in lines]


def source_lines(language: str, text: str) -> list[str]:
    """The text of a kernel, under its heading."""
    return [f"{language}:", *indented(text.splitlines())]


def describe_steps(plan: Plan, groups: Sequence[Sequence[Any]], source: bool, *, tiles: bool) -> list[str]:
    """Each step of ``plan`` in words, with the steps of the program that run it, in ``groups``.

    ``tiles``: the program's tiles and chunks are the plan's.
    """
    lines = []
    numbers = count()
    for k, (step, group) in enumerate(zip(plan.steps, groups, strict=True)):
        done = next((s.step for s in group if isinstance(s.step, Region)), step)
        lines += describe_step(plan, k, done, tiles=tiles)
        working = [s for s in group if not getattr(s, "only_looks", False)]
        for one in group:
            lines += indented(one.describe(numbers, working == [one], source))
    return lines or [NOTHING]


UNWRITTEN = "no source, NumPy's functions do it"
NOTHING = "nothing is computed: each output is an argument, or looks into one"


def describe_step(plan: Plan, k: int, step: Step, *, tiles: bool = True) -> list[str]:
    """A step of a plan in words, without the steps of the program that run it."""
    names = names_of(step.nodes)
    if not isinstance(step, Region):
        return [f"step {k}: without a loop over tiles ({step.reason}): {names}"]
    cut = f", {_tiles(step)}" if tiles else ""
    lines = [f"step {k}: one loop over {step.extent} entries{cut}: {names}"]
    lines += [f"  reads {name} once" for name in _reads(plan, step)]
    for node in step.sums:
        monoid = plan.axes.relations[node].monoid
        lines.append(f"  {'sums' if monoid == 'sum' else 'reduces by ' + monoid} {_what(node)}")
    return lines + [f"  writes {_what(node)}" for node in step.stores]


def _tiles(region: Region) -> str:
    chunks = f"{region.chunks} chunk{'s' if region.chunks != 1 else ''}"
    return f"{min(region.tile, region.extent)} in a tile, {chunks}"


def _reads(plan: Plan, region: Region) -> list[str]:
    """The arrays that a loop reads tile by tile, in words."""
    inputs: dict[Value, str] = {v: f"input {i}" for i, v in enumerate(plan.graph.inputs)}
    root: dict[Value, Operand] = {}
    for view in plan.views:
        (source,) = view.operands
        root[view] = root.get(source, source)
    found: dict[Value, str] = {}
    for node in region.nodes:
        for i, u in enumerate(node.operands):
            if u in region.tiled or region.loop_axis not in plan.axes.operand_loop_axes(node, i):
                continue
            base = root.get(u, u)
            if isinstance(base, Const):
                found[u] = f"a constant {u.aval}"
            else:
                found[base] = f"{inputs.get(base, 'a stored value')} {base.aval}"
    return list(found.values())


def _what(node: Node) -> str:
    return f"{node.op.name} {node.aval}" + (f" at {node.at}" if node.at else "")


def names_of(nodes: Sequence[Node]) -> str:
    """The ops of ``nodes``."""
    return ", ".join(n.op.name for n in nodes)


def in_words(loop: Node) -> str:
    """A `loop` node: its length, the user's line, and what goes from one iteration to the next."""
    body: Graph = loop.params["body"]
    parts = parts_of(loop)
    carried, slices, stacked = len(parts.carries), len(parts.slices), len(body.outputs) - len(parts.carries)
    where = f" at {loop.at}" if loop.at else ""
    counts = f"{carried} carried, {slices} read slice by slice, {stacked} stacked"
    return f"a loop of {loop.params['length']} iterations{where}: {counts}: {names_of(body.nodes)}"


def compiled_or_found(fresh: bool) -> str:
    """The words for a kernel that was compiled when the function was traced, or found in the store."""
    return "compiled" if fresh else "found ready"


def number(numbers: Iterator[int]) -> str:
    """The name of the next kernel."""
    return f"kernel {next(numbers)}"
