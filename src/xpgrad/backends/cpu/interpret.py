"""The NumPy interpreter of a Plan: it runs tile by tile, node by node, with reused buffers.

In:  a Plan, and arrays for the inputs of its graph.
Out: arrays for its outputs.
Holds: no input is written to; chunks are combined in order, float32 sums in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad.backends.cpu.blas import one_blas_thread
from xpgrad.backends.cpu.pool import run_chunks
from xpgrad.backends.outputs import unshared
from xpgrad.backends.reference import run_node
from xpgrad.backends.tile_operands import TileOperand, summed, tile_params, two_sum
from xpgrad.codegen.kernel_ir import COMBINE, identity
from xpgrad.core import Const, Node, Value
from xpgrad.plan import Plan, Region, Untiled
from xpgrad.plan.codes import adds_by_code

_WIDER = {  # the dtype in which a sum is added up
    np.dtype(np.float16): np.float64,
    np.dtype(np.float32): np.float64,
    np.dtype(np.complex64): np.complex128,
}

Env = dict[Value, Any]


class Interpreter:
    """Runs a Plan with NumPy.

    Parameters
    ----------
    plan : Plan
    threads : int
        The number of threads that share the chunks of a region.
    """

    def __init__(self, plan: Plan, threads: int) -> None:
        self.plan, self.threads = plan, threads
        self.loops = {id(step): Loop(step, plan) for step in plan.steps if isinstance(step, Region)}
        self._last = plan.last_uses()

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        env: Env = dict(zip(self.plan.graph.inputs, inputs, strict=True))
        for node in self.plan.views:
            env[node] = run_node(node, env)
        for k, step in enumerate(self.plan.steps):
            if isinstance(step, Untiled):
                with np.errstate(all="ignore"):
                    for node in step.nodes:
                        env[node] = run_node(node, env)
            else:
                self.loops[id(step)].run(env, self.threads)
            for node in step.nodes:
                for u in node.operands:
                    if self._last.get(u) == k:
                        env.pop(u, None)
        return unshared([env[v] for v in self.plan.graph.outputs], inputs)


class _Call:
    """One node of a loop: its implementation, its operands, and the axis of its output that is tiled."""

    __slots__ = ("axis", "dtype", "node", "operands", "params", "ufunc")

    def __init__(self, node: Node, region: Region, plan: Plan) -> None:
        self.node = node
        self.axis = region.tiled.get(node)
        self.operands = [TileOperand(node, i, plan.axes, region.loop_axis) for i in range(len(node.operands))]
        self.params = tile_params(node, self.axis)
        f = getattr(np, node.op.name, None)
        self.ufunc = f if isinstance(f, np.ufunc) and not node.params else None
        self.dtype = node.dtype

    def shape(self, n: int) -> tuple[int, ...]:
        return tuple(n if a == self.axis else m for a, m in enumerate(self.node.shape))


class Loop:
    """One region: a function of the bounds of a tile, run for each chunk."""

    def __init__(self, region: Region, plan: Plan) -> None:
        self.region = region
        self.calls = [_Call(node, region, plan) for node in region.nodes]
        self.monoids = {node: plan.axes.relations[node].monoid for node in region.sums}
        self.dead_after = self._dead_after()
        # Their results may look into their operands' memory, or be their operands.
        views = [
            c for c in self.calls if c.node.op.makes_view or not c.node.op.traits.isdisjoint(("same", "raises"))
        ]
        self._looked_into = {o.value for c in views for o in c.operands}

    def _dead_after(self) -> list[list[Value]]:
        last: dict[Value, int] = {}
        kept: set[Value] = set(self.region.stores)
        for k, call in enumerate(self.calls):
            for operand in call.operands:
                if operand.value in self.region.tiled and operand.value not in kept:
                    last[operand.value] = k
        dead: list[list[Value]] = [[] for _ in self.calls]
        for value, k in last.items():
            dead[k].append(value)
        return dead

    def run(self, env: Env, threads: int) -> None:
        """Put the values that the region stores and sums into ``env``."""
        region = self.region
        for node in region.stores:
            env[node] = np.empty(node.shape, node.dtype)
        partials: list[dict[Any, Any]] = [{} for _ in range(region.chunks)]

        def chunk(k: int, _worker: int) -> None:
            end = min((k + 1) * region.chunk, region.extent)
            with np.errstate(all="ignore"):  # each thread has its own state
                for begin in range(k * region.chunk, end, region.tile):
                    self._tile(env, partials[k], begin, min(begin + region.tile, end))

        with one_blas_thread(region.chunks > 1):
            run_chunks(chunk, region.chunks, threads)
        for node in region.sums:
            lost = [p.get((node, "lost"), 0.0) for p in partials]
            env[node] = self._combined(node, [p[node] for p in partials], lost)

    def _tile(self, env: Env, sums: dict[Any, Any], begin: int, end: int) -> None:
        n = end - begin
        parts: Env = {}
        free: dict[Any, list[Any]] = {}
        for call, dead in zip(self.calls, self.dead_after, strict=True):
            node = call.node
            operands = []
            for o in call.operands:
                if o.value in parts:
                    operands.append(parts[o.value])
                else:
                    whole = o.value.data if isinstance(o.value, Const) else env[o.value]
                    operands.append(o.part(whole, begin, end))
            if call.ufunc is not None and call.axis is not None:
                shape = call.shape(n)
                spare = free.get((shape, call.dtype))
                out = spare.pop() if spare else np.empty(shape, call.dtype)
                parts[node] = call.ufunc(*operands, out=out, dtype=None)
            else:
                wide = _WIDER.get(node.dtype) if node.op.name == "sum" else None
                if adds_by_code(node) and node.dtype in _WIDER:
                    terms: Any = np.asarray(operands[0], _WIDER[node.dtype])
                    made = node.op(terms, operands[1], **call.params(n))
                    made = made if call.axis is None else made.astype(node.dtype)
                elif wide is None:
                    made = node.op(*operands, **call.params(n))
                else:
                    made = np.sum(operands[0], dtype=wide, **call.params(n))
                    made = made if call.axis is None else made.astype(node.dtype)
                if call.axis is None:
                    self._add(sums, node, made)
                else:
                    parts[node] = made
            for u in dead:
                spent = parts.pop(u)
                if isinstance(spent, np.ndarray) and spent.base is None and u not in self._looked_into:
                    free.setdefault((spent.shape, spent.dtype), []).append(spent)
        for node in self.region.stores:
            where = (*(slice(None),) * self.region.tiled[node], slice(begin, end))
            env[node][where] = parts[node]

    def _add(self, sums: dict[Any, Any], node: Node, part: Any) -> None:
        if node not in sums:
            wide = _WIDER.get(node.dtype)
            sums[node] = np.array(part, dtype=wide) if wide else np.array(part)
        elif self._keeps_lost(node):
            sums[node], lost = two_sum(sums[node], part)
            sums[node, "lost"] = sums.get((node, "lost"), 0) + lost
        else:
            sums[node] = COMBINE[self.monoids[node]](sums[node], part)

    def _keeps_lost(self, node: Node) -> bool:
        """Whether a sum is in float64, so that its rounding errors from tile to tile are kept beside it."""
        return self.monoids[node] == "sum" and node.dtype == np.float64

    def _combined(self, node: Node, partials: Sequence[Any], lost: Sequence[Any]) -> Any:
        monoid = self.monoids[node]
        if not partials:
            return np.full(node.shape, identity(monoid, node.dtype), node.dtype)[()]
        if self._keeps_lost(node):
            parts = np.stack(partials)
            beside = np.stack([np.broadcast_to(x, parts[0].shape) for x in lost])
            return summed(parts, beside)[()]
        total = partials[0]
        for part in partials[1:]:
            total = COMBINE[monoid](total, part)
        return np.asarray(total).astype(node.dtype)[()]
