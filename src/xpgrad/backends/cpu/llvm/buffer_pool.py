"""Buffers and workspaces that a program keeps from call to call.

In:  values between the steps, and the sizes of tiles.
Out: arrays and blocks with arbitrary contents.
Holds: a buffer belongs to one call until it is given back; outputs are never given back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from xpgrad.backends.cpu.llvm.array_layout import DATA, is_known
from xpgrad.backends.interface import Env
from xpgrad.backends.outputs import base_of
from xpgrad.core import Node, Value


class BufferPool:
    """Arrays of values between the steps, kept for the next call.

    The system maps new memory page by page when it is first written to, which can take as long as the
    computation. Outputs are not kept: they belong to the caller.
    """

    def __init__(self) -> None:
        self._nodes: set[Value] = set()
        self._free: dict[Any, list[Any]] = {}

    def keep(self, nodes: Iterable[Value]) -> None:
        """Keep the arrays of these nodes."""
        self._nodes = set(nodes)

    def take(self, node: Node) -> Any:
        """An array for ``node``, with arbitrary contents."""
        try:
            return self._free[node.shape, node.dtype].pop()
        except LookupError:
            return np.empty(node.shape, node.dtype)

    def give(self, env: Env, outputs: Sequence[Any]) -> None:
        """Take back the arrays that no output looks into."""
        taken = {id(base_of(x)) for x in outputs}
        for node, x in env.items():
            if node in self._nodes and id(x) not in taken:
                self._free.setdefault((x.shape, x.dtype), []).append(x)


class Workspaces:
    """Workspaces for tiles, kept from call to call."""

    def __init__(self, size: int) -> None:
        self._size = size + 64
        self._free: list[Any] = []

    def take(self) -> tuple[Any, int]:
        """A block of memory, and an address in it that is a multiple of 64."""
        try:
            block = self._free.pop()
        except IndexError:
            block = np.empty(self._size, np.uint8)
        return block, -(-address(block) // 64) * 64

    def give(self, block: Any) -> None:
        self._free.append(block)


class Pinned:
    """Arrays whose addresses do not change."""

    def __init__(self) -> None:
        self._held: list[Any] = []

    def array(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Any:
        n = prod(shape)
        block = np.zeros(n * dtype.itemsize + 64, np.uint8)
        self._held.append(block)
        start = -address(block) % 64
        return block[start : start + n * dtype.itemsize].view(dtype).reshape(shape)

    def keep(self, array: Any) -> None:
        self._held.append(array)


def address(x: Any) -> int:
    """The address of the first entry of an array."""
    if type(x) is np.ndarray and is_known():
        return ctypes.c_int64.from_address(id(x) + DATA).value
    found: int = x.__array_interface__["data"][0]
    return found
