"""A program over sources as bytes, from which another process makes the same program.

In:  a StreamedProgram, or its bytes.
Out: its bytes and their digest; or a program with the same steps, kernels and chunks.
Holds: the graph travels, and no code of the user's, but for a function of `from_chunks`. An op is its name; the
process that unpacks knows it by that name, or there is an error.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DataError, DeviceError, TraceError, message
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm.single_call import chunks_of
from xpgrad.backends.cpu.llvm.streamed import StreamedProgram, StreamedStep
from xpgrad.backends.layouts import placed
from xpgrad.backends.streaming import Streaming
from xpgrad.core import Aval, Const, Graph, Input, Node, Operand, Value
from xpgrad.core.op import OPS
from xpgrad.data.source import Source
from xpgrad.trace.tape import PICK

Place = tuple[str, int]
"""Where a value is: among the inputs or the nodes, and its number."""


class Packed(NamedTuple):
    """A program as bytes, and what tells it from others."""

    content: bytes
    digest: str


class Part(NamedTuple):
    """The samples of an array that a share needs.

    Attributes
    ----------
    begin : int
    entries : array
    shape : tuple of int
        Of all samples.
    """

    begin: int
    entries: Any
    shape: tuple[int, ...]

    def whole(self) -> Any:
        """The array, with arbitrary entries elsewhere: memory that is never touched is never taken."""
        found = np.empty(self.shape, self.entries.dtype)
        found[self.begin : self.begin + len(self.entries)] = self.entries
        return found


def packed(program: StreamedProgram, sources: dict[Value, Source]) -> Packed:
    """The bytes of a program for these sources.

    Raises
    ------
    TraceError
        An op, or a parameter of one, cannot travel.
    """
    import cloudpickle

    graph, place = program.plan.graph, places(program.plan.graph)
    nodes = []
    for node in graph.nodes:
        if node.op is not PICK and OPS.get(node.op.name) is not node.op:
            what = f"{node.op.name} is an op of its own, which no other process knows"
            raise TraceError(message(f"cluster: {what}", {"value": node.aval}, at=node.at or ""))
        operands = [(u.data, u.aval) if isinstance(u, Const) else place[u] for u in node.operands]
        kinds = [isinstance(u, Const) for u in node.operands]
        nodes.append((node.op.name, operands, kinds, dict(node.params), tuple(node.aval), node.at))
    content = cloudpickle.dumps(
        {
            "inputs": [tuple(v.aval) for v in graph.inputs],
            "nodes": nodes,
            "outputs": [place[v] for v in graph.outputs],
            "sources": {place[v]: x for v, x in sources.items()},
            "digests": {place[v]: x.digest for v, x in sources.items()},
            "layouts": {
                place[v]: (x.shape, x.dtype, x.strides) for v, x in program.laid_out.items() if v not in sources
            },
            "kernels": kernels_of(program),
        }
    )
    return Packed(content, hashlib.sha256(content).hexdigest())


def unpacked(content: bytes, threads: int, memory_limit: Any) -> tuple[StreamedProgram, dict[Value, Source]]:
    """The program, and its sources.

    Raises
    ------
    DataError
        A file is not the one that it is where the program was made.
    DeviceError
        The kernels or the chunks are others: another version of xpgrad.
    """
    import cloudpickle

    known = cloudpickle.loads(content)
    graph = Graph()
    graph.inputs = [Input(Aval(*aval)) for aval in known["inputs"]]
    graph.nodes = []

    def found(x: Any) -> Any:
        return graph.inputs[x[1]] if x[0] == "input" else graph.nodes[x[1]]

    for name, operands, kinds, params, aval, at in known["nodes"]:
        given: list[Operand] = [
            Const(*x) if kind else found(x) for x, kind in zip(operands, kinds, strict=True)
        ]
        op = PICK if name == PICK.name else OPS[name]
        graph.nodes.append(Node(op, given, params, Aval(*aval), at))
    graph.outputs = [found(x) for x in known["outputs"]]
    for place, source in known["sources"].items():
        if source.digest != known["digests"][place]:
            what = f"cluster: {source.name} is not the same for a worker as where the fit runs"
            raise DataError(message(what, remedy="give all of them the same files, by the same paths"))
    arrays = [
        known["sources"].get(("input", k)) or placed(*known["layouts"]["input", k])
        for k in range(len(graph.inputs))
    ]
    program = choose.build(graph, arrays, threads, streaming=Streaming(memory_limit))
    if not isinstance(program, StreamedProgram) or kernels_of(program) != known["kernels"]:
        raise DeviceError(message("cluster: a worker makes other kernels of the program: another version?"))
    return program, {found(place): source for place, source in known["sources"].items()}


def places(graph: Graph) -> dict[Value, Place]:
    """Where each value of a graph is."""
    found: dict[Value, Place] = {v: ("input", k) for k, v in enumerate(graph.inputs)}
    found |= {n: ("node", k) for k, n in enumerate(graph.nodes)}
    return found


def kernels_of(program: StreamedProgram) -> list[tuple[str, tuple[int, int, int]]]:
    """What must be the same in two processes: the text of each kernel over samples, and its chunks."""
    steps = [step for step in program.steps if isinstance(step, StreamedStep)]
    return [(hashlib.sha256(step.kernel.text.encode()).hexdigest(), chunks_of(step.kernel)) for step in steps]
