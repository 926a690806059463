"""Small programs from random choices: arguments and closed-over arrays of any rank, a few lines, a result.

Beside the programs of `xpgrad.testing`, which are smooth and of moderate size, these go where rules have
guards: ties, zeros of both signs, huge and tiny entries, empty axes, axes of length 1, ranks that do not
match, repeated indices, integers and booleans as numbers. Each file here has the lines of one family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from net.program import VALUES, NetInput, NetProgram
from net.small import contractions, indexing, keywords, pointwise, reductions
from net.small.operands import array_text
from net.small.writing import SmallWriter
from xpgrad.testing.program import LAYOUTS
from xpgrad.testing.writing import Choices, mentions, needed

LINES: dict[str, list[Callable[[SmallWriter], Any]]] = {
    "pointwise": [
        *[pointwise.function] * 3, *[pointwise.arithmetic] * 2,
        pointwise.choice, pointwise.cast, pointwise.constant,
    ],
    "integers": [*[pointwise.integers] * 3, pointwise.arithmetic, pointwise.cast],
    "reductions": [*[reductions.reduction] * 4, reductions.ordered, reductions.normalised],
    "contractions": [*[contractions.einsum] * 2, *[contractions.product] * 2],
    "indexing": [*[indexing.gather] * 2, indexing.moved, *[indexing.write] * 2, indexing.copied],
}  # fmt: skip
_EVERY = [line for lines in LINES.values() for line in lines]
_ANY = list(LINES.values())
LINES["keywords"] = [*[keywords.keywords] * 3, *[keywords.several] * 3, *[keywords.pole] * 2]
_DTYPES = ["float64", "float64", "float64", "float32", "complex128"]
_INTEGERS = ["int64", "int64", "int32", "uint8", "int8", "int16", "uint64"]
_LENGTHS = (3, 2, 1, 4, 3, 2, 5, 0)
# Along a long axis: nothing whose result has two of them.
_OF_LONG: list[Callable[[SmallWriter], Any]] = [
    *[reductions.reduction] * 3,
    pointwise.function,
    reductions.normalised,
    pointwise.cast,
]
_LONG = (1000, 4099, 100_003, 1_000_000)


def small_program(choices: Choices, family: str | None = None, max_steps: int = 4) -> NetProgram:
    """One program; ``family`` is a key of `LINES`, from which its lines are then mostly drawn."""
    inputs, setup = _surroundings(choices)
    w = SmallWriter(choices, inputs, setup)
    lines = choices.pick(_ANY) if family is None else LINES[family]
    if any(np.size(x) > 999 for x in w.inputs.values()):
        lines = _OF_LONG
    wanted = choices.integer(1, max_steps)
    for _ in range(5 * wanted):
        if len(w.steps) >= wanted:
            break
        choices.pick(lines if lines is _OF_LONG or choices.integer(0, 3) else _EVERY)(w)
    result = _result(w)
    steps = needed(w.steps, result)
    text = "\n".join([*(step.text for step in steps), result])
    used = tuple(x for x in inputs if mentions(text, x.name))
    return NetProgram(
        used or inputs[:1], steps, result, tuple(s for s in setup if mentions(text, s.split(" ")[0]))
    )


def _surroundings(choices: Choices) -> tuple[tuple[NetInput, ...], tuple[str, ...]]:
    """Arguments of few lengths, so that they often go together, and constants."""
    lengths = [choices.pick(_LENGTHS), choices.pick(_LENGTHS)]
    dtype = choices.pick(_DTYPES)
    values = choices.pick(["normal", "special", "normal", *(VALUES[:6] if dtype == "complex128" else VALUES)])
    if choices.integer(0, 39) == 39:  # one long axis: error of sums, tiles
        long, inputs = choices.pick(_LONG), []
        dtype = choices.pick(["float32", "float64"])
        kind = choices.pick(["normal", "equal", "ties"])
        inputs.append(
            NetInput("x", choices.pick([(long,), (long // 4, 4), (2, long // 2)]), dtype, "C", 2, 0, kind)
        )
        return tuple(inputs), ()

    def shape() -> tuple[int, ...]:
        return tuple(choices.pick(lengths) for _ in range(choices.pick([1, 2, 0, 1, 2, 3])))

    inputs = []
    for name in ("x", "y", "z")[: choices.integer(1, 3)]:
        kind = choices.pick([dtype, dtype, dtype, "float64", "python"])
        layout = choices.pick(LAYOUTS) if choices.integer(0, 5) == 5 else "C"
        of = choices.pick([values, values, "normal", "special"])
        inputs.append(
            NetInput(name, () if kind == "python" else shape(), kind, layout, 2, choices.integer(0, 99), of)
        )
    if choices.integer(0, 2) == 2:
        kind = choices.pick(_INTEGERS)
        low = 0 if kind.startswith("u") or choices.integer(0, 1) else -3
        inputs.append(NetInput("n", shape(), kind, "C", 4, choices.integer(0, 99), "normal", low))
    if choices.integer(0, 2) == 2:
        inputs.append(NetInput("m", shape(), "bool", "C", 2, choices.integer(0, 99)))
    setup = []
    for name, kind in (("K", dtype), ("L", "float64"), ("N", "int64"), ("M", "bool"), ("J", "int32")):
        if choices.integer(0, 3) == 3:
            of = choices.pick([values, "normal"])
            made = NetInput(
                name, shape(), kind, "C", 3 if kind != "bool" else 2, choices.integer(0, 99), of
            ).make()
            if made.dtype.kind == "f" and np.max(np.abs(made), initial=0.0) < 100:
                made = np.round(made, 2)
            setup.append(f"{name} = {array_text(made)}")
    return tuple(inputs), tuple(setup)


def _result(w: SmallWriter) -> str:
    """The last value, several, or a number made of it."""
    made = [s.target for s in w.steps[::-1]] or w.names()
    made = sorted(dict.fromkeys(made), key=lambda n: n not in w.reached)
    last = made[0] if made else "1.0"
    forms = [last, f"np.sum({last})", ", ".join(made[:3]), f"np.sum({last} * {last})", f"np.mean({last})"]
    if not np.ndim(w.env.get(last, 0)):
        forms = [last, last, ", ".join(made[:3]), f"{last} * {last}"]
    return w.choices.pick(forms)
