"""From an optimised Graph to something that runs: the choice of a backend, and what it says of itself.

In:  a Graph and the arrays that it was traced for.
Out: a Program: ``run(arrays) -> outputs``.
Holds: what a generator declines runs by a plainer one, and `explain` gives the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

from xpgrad._errors import at_line
from xpgrad.backends.cpu.interpret import Interpreter
from xpgrad.backends.cpu.pool import thread_count
from xpgrad.backends.reference import run_node
from xpgrad.core import Graph, Value
from xpgrad.core.show import show
from xpgrad.devices import device_of
from xpgrad.plan import Plan, Region, Target, make_plan

__all__ = ["build", "explain", "generator", "thread_count", "use"]

_wanted: ContextVar[str] = ContextVar("generator", default="auto")
_target: ContextVar[Target | None] = ContextVar("target", default=None)


@contextmanager
def use(name: str, target: Target | None = None) -> Iterator[None]:
    """Build programs by one generator alone: ``"llvm"``, ``"interpreter"``, or ``"auto"``.

    ``target`` stands in for the machine's: with a cache of a few hundred bytes a small array has many
    tiles.
    """
    tokens = _wanted.set(name), _target.set(target)
    try:
        yield
    finally:
        _wanted.reset(tokens[0])
        _target.reset(tokens[1])


def generator() -> tuple[str, str]:
    """The generator for the CPU that is used now, and why it is not LLVM's where it is not."""
    wanted = _wanted.get()
    if wanted == "interpreter":
        return wanted, "the interpreter was asked for"
    from xpgrad.backends.cpu.llvm.build import available

    reason = available()
    return ("llvm", "") if reason is None else ("interpreter", reason)


class NodeByNode:
    """A graph with GPU arrays in it: each op by CuPy's row."""

    compiled = 0

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        known: dict[Value, Any] = dict(zip(self._graph.inputs, inputs, strict=True))
        for node in self._graph.nodes:
            with at_line(node.at):  # for the error where an operand is on another device
                known[node] = run_node(node, known)
        return [known[v] for v in self._graph.outputs]

    def describe(self) -> str:
        return "each node by CuPy's own kernels: there is no generator for CUDA yet"


class Interpreted:
    """A plan in the hands of the interpreter."""

    compiled = 0

    def __init__(self, plan: Plan, threads: int, reason: str) -> None:
        self.plan, self._reason = plan, reason
        self._interpreter = Interpreter(plan, threads)

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        return self._interpreter.run(inputs)

    def describe(self) -> str:
        return f"by the NumPy interpreter ({self._reason})\n{describe_plan(self.plan)}"


def build(graph: Graph, arrays: Sequence[Any], threads: int) -> Any:
    """A program for ``graph``, planned for arrays laid out in memory as ``arrays`` are."""
    if any(device_of(x) != "cpu" for x in (*arrays, *_constants(graph))):
        return NodeByNode(graph)
    name, reason = generator()
    held: dict[Value, Any] = {v: np.asarray(x) for v, x in zip(graph.inputs, arrays, strict=True)}
    if name == "interpreter":
        # Each call into NumPy has its cost, and the GIL is handed over between two: larger tiles than a
        # cache holds are the lesser evil.
        target = _target.get() or Target(cache=4 * cache_size())
        plan = make_plan(graph, target, viewable(held), contiguous(held))
        return Interpreted(plan, threads, reason)
    from xpgrad.backends.cpu.llvm.program import Program

    target = _target.get() or Target(cache=cache_size() // 2)
    plan = make_plan(graph, target, viewable(held), contiguous(held))
    return Kernels(Program(plan, held, threads))


def _constants(graph: Graph) -> Iterator[Any]:
    """What the function closes over, and numbers."""
    for node in graph.nodes:
        assert node.saved is not None
        yield from (x for u, x in zip(node.inputs, node.saved[1:], strict=True) if u is None)


class Kernels:
    """A plan in kernels of LLVM's."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self.compiled = program.compiled
        self.run = program.run

    def describe(self) -> str:
        lines = []
        for step in self._program.steps:
            how = (
                f"by NumPy: {step.reason}"
                if hasattr(step, "reason")
                else f"by a kernel ({'compiled now' if step.fresh else 'found ready'})"
            )
            lines.append(f"{how}: {_names(step.step.nodes)}")
        return "\n".join([describe_plan(self._program.plan), *lines])


def viewable(held: dict[Value, Any]) -> Any:
    """Whether a reshape of an input is a view, tried on the arrays; what is one is added to ``held``."""

    def is_viewable(node: Value) -> bool:
        assert node.op is not None
        assert node.saved is not None
        source = node.inputs[0]
        x = held[source] if source is not None else np.asarray(node.saved[1])
        try:
            y = (
                np.reshape(x, node.shape, copy=False)
                if node.op.name == "reshape"
                else node.op(x, **node.params)
            )
        except ValueError:
            return False
        if not isinstance(y, np.ndarray):  # NumPy gives a copy where an index leaves no axis
            index = node.params["index"]
            y = x[(*(index if type(index) is tuple else (index,)), ...)]
        held[node] = y
        return True

    return is_viewable


def contiguous(held: dict[Value, Any]) -> Any:
    """The axis along which an array of ``held`` is contiguous."""

    def unit_axis(value: Value) -> int | None:
        x = held.get(value)
        if x is None:
            return None
        found = [
            a for a, (n, s) in enumerate(zip(x.shape, x.strides, strict=True)) if n != 1 and s == x.itemsize
        ]
        return found[0] if found else None

    return unit_axis


@cache
def cache_size() -> int:
    """Bytes of the cache that belongs to one core (the second level); 512 KiB where that is not told."""
    try:
        with open("/sys/devices/system/cpu/cpu0/cache/index2/size") as file:
            text = file.read().strip()
        return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}[text[-1]]
    except (OSError, ValueError, KeyError):
        return 1 << 19


def explain(graph: Graph, reports: Sequence[Any], program: Any) -> str:
    """The graph, what each pass did, and how the program runs it."""
    lines = ["graph after all passes", *_indented(show(graph)), "", "passes"]
    for report in reports:
        lines.append(f"  {report.name:<10} {report.nodes_before} -> {report.nodes_after} nodes")
        lines += [f"    {note}" for note in report.notes]
    return "\n".join([*lines, "", "program", *_indented(program.describe())])


def _indented(text: str) -> list[str]:
    return ["  " + line for line in text.splitlines()]


def describe_plan(plan: Plan) -> str:
    """The steps of a plan in words."""
    lines = []
    for k, step in enumerate(plan.steps):
        names = _names(step.nodes)
        if isinstance(step, Region):
            lines.append(
                f"step {k}: one loop over {step.extent} entries, {step.tile} in a tile, "
                f"{step.chunks} chunks: {names}"
            )
            lines += [f"  reads {name} once" for name in _reads(plan, step)]
            lines += [f"  sums {_what(n)}" for n in step.sums]
            lines += [f"  writes {_what(n)}" for n in step.stores]
        else:
            lines.append(f"step {k}: without a loop over tiles ({step.reason}): {names}")
    return "\n".join(lines)


def _reads(plan: Plan, region: Region) -> list[str]:
    """What a loop reads tile by tile, in words."""
    inputs = {v: f"input {i}" for i, v in enumerate(plan.graph.inputs)}
    root: dict[Value, Value] = {}
    for view in plan.views:
        source = view.inputs[0]
        if source is not None:
            root[view] = root.get(source, source)
    found: dict[str, None] = {}
    for node in region.nodes:
        for i, u in enumerate(node.inputs):
            if u is None or region.label not in plan.axes.operand_labels(node, i) or u in region.tiled:
                continue
            base = root.get(u, u)
            found[f"{inputs.get(base, 'a stored value')} {base.aval}"] = None
    return list(found)


def _what(node: Value) -> str:
    assert node.op is not None
    return f"{node.op.name} {node.aval}" + (f" at {node.at}" if node.at else "")


def _names(nodes: Sequence[Value]) -> str:
    return ", ".join(n.op.name for n in nodes if n.op is not None)
