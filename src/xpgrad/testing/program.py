"""Array programs as data: inputs, lines of NumPy, a result.

A Program prints as the NumPy source of a function and runs on plain and on traced arrays.
"""

from __future__ import annotations

import copy
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from xpgrad.testing.agreement import Expected, expect

Transform = Callable[[Callable[..., Any]], Callable[..., Any]]

# What the entries of an input are: see `Input`.
VALUES = ("normal", "special", "few", "equal", "zeros", "ties", "large", "huge", "tiny", "infinite")
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, -0.5)
_EXTREMES = {
    "large": (2.0**20, 2.0**49, -1e15, 1e17, 3e22, -(2.0**63)),
    "huge": (1e150, -1e150, 1e200, 1e300, 1e-5, 1.0),
    "tiny": (1e-200, -1e-200, 1e-300, 5e-324, 1e-20, 0.0),
    "infinite": (np.inf, -np.inf, np.nan, 0.0, 1.0, -1.0),
}
_EXTREMES_OF_FLOAT32 = {
    "large": (2.0**20, 2.0**24, -1e7, 1e10, 3e22, -(2.0**33)),
    "huge": (1e20, -1e20, 1e30, 3e38, 1e-5, 1.0),
    "tiny": (1e-23, -1e-23, 1e-38, 1e-44, 1e-20, 0.0),
    "infinite": _EXTREMES["infinite"],
}

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
        Integers are drawn from ``above`` to below it.
    seed : int
    values : str
        One of `VALUES`. Floats are drawn from the normal distribution, from `SPECIAL` (``"few"``: three
        of these, so that many are equal), are all equal, all zero, pairwise equal, or of extreme sizes.
    above : int
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str = "C"
    below: int = 2
    seed: int = 0
    values: str = "normal"
    above: int = 0

    def make(self) -> Any:
        """The argument, an array of its own."""
        rng = np.random.default_rng(self.seed)
        if self.dtype == "python":
            if self.values == "normal":
                return round(float(rng.uniform(0.2, 1.5)), 3)
            return float(self._floats(rng)[()])
        kind = np.dtype(self.dtype).kind
        values: np.ndarray[Any, Any]
        if kind == "f":
            values = self._floats(rng)
        elif kind == "c":
            values = self._floats(rng) + 1j * self._floats(rng)
        else:
            values = rng.integers(self.above, self.below, size=self.shape)
        with np.errstate(over="ignore"):
            return laid_out(np.asarray(values, dtype=self.dtype), self.layout)

    @property
    def is_float(self) -> bool:
        """Whether it can be differentiated: a float or complex array, or a Python float."""
        return self.dtype == "python" or np.dtype(self.dtype).kind in "fc"

    def _floats(self, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        if self.values == "normal":
            return np.asarray(rng.normal(size=self.shape))
        if self.values in _EXTREMES:
            single = self.dtype in ("float32", "complex64")
            return np.asarray(
                rng.choice((_EXTREMES_OF_FLOAT32 if single else _EXTREMES)[self.values], size=self.shape)
            )
        if self.values == "equal":
            return np.full(self.shape, rng.choice((1.0, 0.1, -2.0, 3.0)))
        if self.values == "zeros":
            return np.full(self.shape, rng.choice((0.0, -0.0)))
        if self.values == "ties":
            return np.asarray(np.round(rng.normal(size=self.shape)) * 0.5)
        return np.asarray(rng.choice(SPECIAL[: 3 if self.values == "few" else len(SPECIAL)], size=self.shape))

    def __str__(self) -> str:
        if self.dtype == "python":
            return f"{self.name}: {self.make()!r}"
        text = f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}], {self.layout}, seed {self.seed}"
        if self.values != "normal":
            text += f", {self.values}"
        if np.dtype(self.dtype).kind not in "fc":
            text += f", {self.above} to below {self.below}"
        if np.prod(self.shape) <= 12 and self.layout in LAYOUTS:
            text += f": {self.make().tolist()}"
        return text


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
    setup : tuple of str
        Lines before the function: what it reads besides its arguments.
    changes : tuple of str
        Lines that change what it reads, to be run one by one between calls.
    """

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    result: str
    setup: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The program as a NumPy function, its inputs described above it."""
        text = [*(f"# {x}" for x in self.inputs), *self._lines()]
        return "\n".join([*text, *(f"# then: {change}" for change in self.changes)])

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Program(\n{self.source}\n)"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What hypothesis prints of a failing example."""
        printer.text(repr(self))

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments, made anew."""
        return tuple(x.make() for x in self.inputs)

    @property
    def argnums(self) -> tuple[int, ...]:
        """Which arguments are float arrays, to be differentiated."""
        return tuple(k for k, x in enumerate(self.inputs) if x.dtype.startswith("float"))

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def expect(self, transform: Transform | None = None, extra: Sequence[Any] = ()) -> Expected:
        """What ``transform(program)(*args, *extra)`` is, as `expect` has it; itself by default."""
        f = self if transform is None else transform(self)
        return expect(f, (*self.args, *extra), self.source)

    @cached_property
    def expected(self) -> Expected:
        """`expect` of the program itself."""
        return self.expect()

    def scope(self) -> dict[str, Any]:
        """What the source defines, made anew: ``scope["program"]`` is the function.

        A line of ``changes`` is run by ``exec(change, scope)``.
        """
        lines = [line + "\n" for line in self._lines()]
        # A name of its own, under which messages find the line.
        name = f"program_{hash((*lines,)) & 0xFFFFFFFFFFFF:x}.py"
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
        scope: dict[str, Any] = {"np": np, "copy": copy}
        exec(compile("".join(lines), name, "exec"), scope)
        return scope

    @cached_property
    def _function(self) -> Callable[..., Any]:
        function: Callable[..., Any] = self.scope()["program"]
        return function

    def _lines(self) -> list[str]:
        head = f"def program({', '.join(x.name for x in self.inputs)}):"
        setup = [line for text in self.setup for line in text.split("\n")]
        return [*setup, head, *(f"    {step.text}" for step in self.steps), f"    return {self.result}"]
