"""What the lines of small programs are about: operands, axes, keywords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from net.small.writing import SmallWriter

FLOATS, NUMBERS, ANY = "fc", "fciu", "fciub"
LITERALS = ("0.0", "1.0", "2.0", "-1.0", "0.5", "-0.0", "3", "2", "1", "0", "-1", "1e-3", "True")


def some(w: SmallWriter, kinds: str = "f", ndim: Sequence[int] | None = None) -> str | None:
    """A name of one of these kinds, more often a new one, and one that an argument reaches."""
    names = w.names(kinds, ndim)
    reached = [n for n in names if n in w.reached]
    return w.some(reached if reached and w.choices.integer(0, 7) else names)


def partner(w: SmallWriter, x: str, kinds: str = ANY) -> str:
    """A second operand: a name that broadcasts with ``x``, the same again, or a literal."""
    shape = np.shape(w.env[x])
    names = [n for n in w.names(kinds) if _fits(shape, np.shape(w.env[n]))]
    form = w.choices.integer(0, 6)
    if form == 0 or not names:
        return w.choices.pick(LITERALS)
    return x if form == 1 else w.choices.pick(names)


def axis(w: SmallWriter, x: str, several: bool = True, none: bool = True) -> str:
    """The text of an axis of ``x``: one, from either end, None, a tuple, the empty tuple, NumPy's integer."""
    n = np.ndim(w.env[x])
    forms = ["None"] if none else []
    for k in range(n):
        forms += [str(k), str(k - n), f"np.int64({k})"]
    if several:
        forms += ["()"]
        forms += [f"({a}, {b})" for a in range(n) for b in range(-n, n) if b % n != a]
    return w.choices.pick(forms or ["0"])


def how(w: SmallWriter, x: str, allowed: str, several: bool = True) -> str:
    """Keywords of a reduction of ``x``: from ``allowed``, words among axis, keepdims, where, initial, ddof."""
    words = allowed.split()
    texts = []
    if "axis" in words and w.choices.integer(0, 3):
        texts.append(f"axis={axis(w, x, several)}")
    if "keepdims" in words and w.choices.integer(0, 2) == 2:
        texts.append("keepdims=True")
    if "where" in words and w.choices.integer(0, 3) == 3:
        masks = [m for m in w.names("b") if _into(np.shape(w.env[m]), np.shape(w.env[x]))]
        if masks:
            texts.append(f"where={w.choices.pick(masks)}")
    if "initial" in words and w.choices.integer(0, 4) == 4:
        texts.append(f"initial={w.choices.pick(['0.5', '0', '-1.0', '2', '100.0'])}")
    if "ddof" in words and w.choices.integer(0, 3) == 3:
        texts.append(f"ddof={w.choices.pick(['1', '0', '2'])}")
    return "".join(f", {text}" for text in texts)


def array_text(values: Any) -> str:
    """``np.array(...)`` that makes ``values``."""
    x = np.asarray(values)
    plain = x.dtype in (np.float64, np.int64, np.bool_) and x.size
    if x.dtype.kind == "c":
        return f"{array_text(x.real)} + 1j * {array_text(x.imag)}"
    text = repr(x.tolist()).replace("inf", "np.inf").replace("nan", "np.nan")
    if 0 in x.shape:
        return f"np.zeros({x.shape}, np.{x.dtype.name})"
    return f"np.array({text})" if plain else f"np.array({text}, np.{x.dtype.name})"


def _fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def _into(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return _fits(a, b) and np.broadcast_shapes(a, b) == b
