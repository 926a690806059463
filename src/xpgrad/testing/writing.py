"""Writing a random program, line by line, while it runs.

In:  Choices (from hypothesis, or from a generator of random numbers) and the inputs.
Out: Steps, and what each name holds in plain NumPy.
Holds: no line writes to an input's memory. NumPy ran every line without a warning; all values are finite and
of moderate size; a comparison of floats is decided by a margin, so that rounding, of float32 too, does not
change its outcome.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from xpgrad.testing.program import Input, Step

T = TypeVar("T")

_LARGEST_SIZE = 70_000
_LARGEST_VALUE = 1e4
_MARGIN = 1e-3
_NAMES = "abcdefghijopqrstuv"


class Choices(Protocol):
    """The source of random choices; the first of a sequence is the simplest."""

    def integer(self, low: int, high: int) -> int:
        """From ``low`` to ``high``, both included."""
        ...

    def pick(self, xs: Sequence[T]) -> T: ...


class Writer:
    """The program so far: its ``steps``, and ``env``, what every name holds."""

    def __init__(self, choices: Choices, inputs: Sequence[Input]) -> None:
        self.choices = choices
        self.scope: dict[str, Any] = {"np": np}
        self.inputs = {x.name: x.make() for x in inputs}
        self.env: dict[str, Any] = dict(self.inputs)
        self.steps: list[Step] = []
        self.reshaped: set[str] = set()

    # ── lines ────────────────────────────────────────────────────────────────────────────────
    def new(self, text: str, kind: str = "new") -> str | None:
        """Assign ``text`` to a new name, and give the name; None where it cannot be."""
        count = sum(step.kind != "write" for step in self.steps)
        name = _NAMES[count % len(_NAMES)] + str(count // len(_NAMES) or "")
        if not self.take(Step(name, f"{name} = {text}", kind)):
            return None
        return self.tamed(name)

    def tamed(self, name: str) -> str:
        """``name``, or a new name that holds it brought back to moderate size."""
        x = np.asarray(self.env[name])
        if x.dtype.kind == "f" and x.size and np.max(np.abs(x)) > 8:
            scaled = self.choices.pick([f"np.tanh({name} / 8)", f"{name} / {float(np.max(np.abs(x))):.0f}"])
            return self.new(scaled) or name
        return name

    def take(self, step: Step) -> bool:
        """Run one line; take it into the program if NumPy and the bounds allow."""
        ok = self.run(step) and self.accepts(self.env[step.target])
        if ok:
            self.steps.append(step)
        elif step.kind == "write":
            self._replay()
        else:
            self.env.pop(step.target, None)
        return ok

    def writable(self) -> list[str]:
        """Names of arrays that may be written to: no input's memory, and no reshape in the family."""
        found = []
        for name, x in self.env.items():
            if name in self.inputs or not isinstance(x, np.ndarray) or not x.flags.writeable or not x.size:
                continue
            family = [n for n, y in self.env.items() if isinstance(y, np.ndarray) and np.may_share_memory(x, y)]
            if not any(n in self.inputs or n in self.reshaped for n in family):
                found.append(name)
        return found[::-1]

    def run(self, step: Step) -> bool:
        """Run one line; False where NumPy or Python raises or warns."""
        with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
            warnings.simplefilter("error")
            try:
                exec(step.text, self.scope, self.env)
            except Exception:  # of any kind, NumPy's or Python's: no line of a program
                return False
        return True

    def _replay(self) -> None:
        """Undo what a refused write has done."""
        self.env = dict(self.inputs)
        for step in self.steps:
            assert self.run(step)

    def accepts(self, value: Any) -> bool:
        """Whether a line may make this value."""
        x = np.asarray(value)
        if x.dtype.kind not in "fbi" or x.size > _LARGEST_SIZE or x.ndim > 4:
            return False
        return bool(np.all(np.isfinite(x)) and np.max(np.abs(x), initial=0) <= _LARGEST_VALUE)

    # ── operands ─────────────────────────────────────────────────────────────────────────────
    def names(self, kinds: str = "f", ndim: Sequence[int] | None = None) -> list[str]:
        """Names of arrays and numbers of these kinds, the newest first."""
        found = [n for n, x in self.env.items() if np.asarray(x).dtype.kind in kinds]
        if ndim is not None:
            found = [n for n in found if np.ndim(self.env[n]) in ndim]
        return found[::-1]

    def some(self, names: Sequence[T]) -> T | None:
        """One of them, every other time the first; None if there is none."""
        if not names:
            return None
        return names[0] if self.choices.integer(0, 1) == 0 else self.choices.pick(names)

    def array(self, ndim: Sequence[int] = (1, 2, 3)) -> str | None:
        """A float array with axes."""
        return self.some(self.names("f", ndim))

    def partner(self, name: str, kinds: str = "f") -> str | None:
        """An operand that broadcasts with ``name``."""
        shape = np.shape(self.env[name])
        return self.some([n for n in self.names(kinds) if _fits(shape, np.shape(self.env[n]))])

    def axis(self, name: str) -> int:
        """An axis of ``name``, now and then counted from the end."""
        n = np.ndim(self.env[name])
        k = self.choices.integer(0, n)
        return -1 if k == n else k

    # ── numbers that decide ──────────────────────────────────────────────────────────────────
    def threshold(self, name: str) -> str | None:
        """A number that no entry of ``name`` is near, in the largest gap between its entries."""
        x = np.unique(np.asarray(self.env[name], dtype=float))
        if x.size < 2:
            return "0.5" if not x.size or abs(x[0] - 0.5) > 0.1 else "1.5"
        inner = x[x.size // 10 : x.size - x.size // 10] if x.size > 10 else x
        k = int(np.argmax(np.diff(inner)))
        c = f"{(inner[k] + inner[k + 1]) / 2:.4g}"
        return c if self.apart(x, float(c)) else None

    def apart(self, x: Any, y: Any) -> bool:
        """Whether the entries of ``x`` and ``y`` differ by a margin, everywhere."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        scale = max(1.0, np.max(np.abs(x), initial=0.0), np.max(np.abs(y), initial=0.0))
        return bool(np.all(np.abs(x - y) > _MARGIN * scale))

    def distinct(self, name: str, axis: int | None) -> bool:
        """Whether neighbours in the order along ``axis`` differ by a margin."""
        x = np.sort(np.asarray(self.env[name], dtype=float), axis=axis)
        return self.apart(np.diff(x, axis=-1 if axis is None else axis), 0.0)

    def extreme_alone(self, name: str, axis: int | None, sign: int) -> bool:
        """Whether the largest entry (the smallest, with ``sign`` -1) leads by a margin."""
        x = np.sort(sign * np.asarray(self.env[name], dtype=float), axis=axis)
        along = -1 if axis is None else axis
        count: int = x.shape[along]
        if count < 2:
            return count == 1
        return self.apart(*np.split(np.take(x, [-2, -1], axis=along), 2, axis=along))


def _fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return int(np.prod(shape)) <= _LARGEST_SIZE


def needed(steps: Sequence[Step], result: str) -> tuple[Step, ...]:
    """``steps`` without the last ones, as far as nothing before or after reads what they make.

    In the middle a line that nobody needs stays: it is there to be removed by a compiler.
    """
    kept = list(steps)
    while kept and kept[-1].kind != "write" and not mentions(result, kept[-1].target):
        kept.pop()
    return tuple(kept)


def mentions(text: str, name: str) -> bool:
    """Whether an expression or a line reads or writes ``name``."""
    return re.search(rf"\b{name}\b", text) is not None
