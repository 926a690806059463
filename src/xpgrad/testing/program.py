"""Array programs as data: inputs, lines of NumPy, a result.

A Program prints as the NumPy source of a function and runs on plain and on traced arrays.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from xpgrad.testing.agreement import Expected, expect

Transform = Callable[[Callable[..., Any]], Callable[..., Any]]

LAYOUTS = ("C", "F", "every second", "reversed", "inside", "broadcast", "read-only", "unaligned")


def laid_out(values: np.ndarray[Any, Any], layout: str) -> np.ndarray[Any, Any]:
    """``values`` in memory as ``layout`` says; for ``"broadcast"`` its first row throughout.

    Layouts: ``"C"`` and ``"F"`` order; ``"every second"`` entry of every axis of a larger array;
    ``"reversed"``, with negative strides; ``"inside"``, a window of a larger array; ``"broadcast"``,
    with stride 0; ``"read-only"``; ``"unaligned"``, off the dtype's alignment.
    """
    if layout == "F":
        return np.asfortranarray(values)
    held: np.ndarray[Any, Any]
    if layout == "every second":
        held = np.zeros([2 * n for n in values.shape], values.dtype)
        held[(slice(None, None, 2),) * values.ndim] = values
        return held[(slice(None, None, 2),) * values.ndim]
    if layout == "reversed":
        back = (slice(None, None, -1),) * values.ndim
        return np.ascontiguousarray(values[back])[back]
    if layout == "inside":
        held = np.zeros([n + 3 for n in values.shape], values.dtype)
        window = tuple(slice(1, n + 1) for n in values.shape)
        held[window] = values
        return held[window]
    if layout == "broadcast":
        return np.broadcast_to(values[:1] if values.ndim else values, values.shape)
    if layout == "unaligned":
        memory = np.zeros(values.nbytes + 1, np.uint8)
        held = memory[1:].view(values.dtype).reshape(values.shape)
        held[...] = values
        return held
    held = np.array(values)
    held.flags.writeable = layout != "read-only"
    return held


@dataclass(frozen=True)
class Input:
    """An argument: its name and how to make it.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
        ``"python"`` for a Python float.
    layout : str
        One of `LAYOUTS`.
    below : int
        Integers are drawn from 0 to below it; floats, from the normal distribution.
    seed : int
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str = "C"
    below: int = 2
    seed: int = 0

    def make(self) -> Any:
        """The argument, an array of its own."""
        rng = np.random.default_rng(self.seed)
        if self.dtype == "python":
            return round(float(rng.uniform(0.2, 1.5)), 3)
        return laid_out(np.asarray(self.entries(rng), dtype=self.dtype), self.layout)

    def entries(self, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """Entries for `make`, which are cast to the dtype."""
        kind = np.dtype(self.dtype).kind
        if kind not in "fc":
            return rng.integers(0, self.below, size=self.shape)
        values = self.floats(rng)
        return values if kind == "f" else values + 1j * self.floats(rng)

    def floats(self, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """Real entries."""
        return np.asarray(rng.normal(size=self.shape))

    def range(self) -> str:
        """The range of the entries, for `str`."""
        return "" if np.dtype(self.dtype).kind in "fc" else f", 0 to below {self.below}"

    def __str__(self) -> str:
        if self.dtype == "python":
            return f"{self.name}: {self.make()!r}"
        text = f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}], {self.layout}, seed {self.seed}"
        few = np.prod(self.shape) <= 12 and self.layout in LAYOUTS
        return text + self.range() + (f": {self.make().tolist()}" if few else "")


class Step(NamedTuple):
    """One line of a program.

    Attributes
    ----------
    target : str
        The name that it assigns to, or into.
    text : str
    kind : str
        ``"new"``: an array of its own; ``"view"``: it may look into another; ``"write"``: in place.
    """

    target: str
    text: str
    kind: str = "new"


@dataclass(frozen=True)
class Program:
    """A function of arrays as data: ``inputs``, ``steps``, and the expression ``result``.

    Call it with arguments like `args`; ``print(program)`` shows its source.

    Attributes
    ----------
    inputs : tuple of `Input`
    steps : tuple of `Step`
    result : str
    modules : dict of str to module
        What the source has imported.
    """

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    result: str

    modules: ClassVar[dict[str, ModuleType]] = {"np": np}

    @property
    def source(self) -> str:
        """The program as a NumPy function, its inputs described above it."""
        return "\n".join([*(f"# {x}" for x in self.inputs), *self.lines()])

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Program(\n{self.source}\n)"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """Print a failing example for hypothesis."""
        printer.text(repr(self))

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments, made anew."""
        return tuple(x.make() for x in self.inputs)

    @property
    def argnums(self) -> tuple[int, ...]:
        """The numbers of the arguments that are float arrays, to be differentiated."""
        return tuple(k for k, x in enumerate(self.inputs) if x.dtype.startswith("float"))

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def expect(self, transform: Transform | None = None, extra: Sequence[Any] = ()) -> Expected:
        """`expect` of ``transform(program)(*args, *extra)``; of the program itself by default."""
        f = self if transform is None else transform(self)
        return expect(f, (*self.args, *extra), self.source)

    @cached_property
    def expected(self) -> Expected:
        """`expect` of the program itself."""
        return self.expect()

    def scope(self) -> dict[str, Any]:
        """A new scope with the names that the source defines: ``scope["program"]`` is the function."""
        lines = [line + "\n" for line in self.lines()]
        # A name of its own, under which messages find the line.
        name = f"program_{hash((*lines,)) & 0xFFFFFFFFFFFF:x}.py"
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
        scope: dict[str, Any] = dict(self.modules)
        exec(compile("".join(lines), name, "exec"), scope)
        return scope

    @cached_property
    def _function(self) -> Callable[..., Any]:
        function: Callable[..., Any] = self.scope()["program"]
        return function

    def lines(self) -> list[str]:
        """The lines of the source."""
        head = f"def program({', '.join(x.name for x in self.inputs)}):"
        return [head, *(f"    {step.text}" for step in self.steps), f"    return {self.result}"]
