"""Lines of small programs that multiply and sum: every form of einsum, products of all ranks."""

from __future__ import annotations

import numpy as np

from net.small.operands import ANY, LITERALS, NUMBERS
from net.small.writing import SmallWriter

_LETTERS = "ijklmn"
_PRODUCTS = [
    "{p} @ {q}",
    "np.matmul({p}, {q})",
    "np.dot({p}, {q})",
    "np.inner({p}, {q})",
    "np.outer({p}, {q})",
    "np.vdot({p}, {q})",
    "np.kron({p}, {q})",
    "np.tensordot({p}, {q}, 0)",
    "np.tensordot({p}, {q}, 1)",
    "np.tensordot({p}, {q}, 2)",
    "np.tensordot({p}, {q}, (0, 0))",
    "np.tensordot({p}, {q}, ([0, 1], [1, 0]))",
    "np.tensordot({p}, {q}, axes=([-1], [-1]))",
    "np.vecdot({p}, {q})",
    "np.linalg.multi_dot([{p}, {q}])",
    "np.linalg.multi_dot([{p}, {q}, {p}])",
    "np.linalg.multi_dot([{q}, {p}, {q}])",
    "{p} @ {q}.T",
    "{p}.T @ {q}",
    "{p} @ {p}.T",
    "np.convolve({p}, {q})",
    "np.convolve({p}, {q}, 'same')",
    "np.correlate({p}, {q}, 'valid')",
    "np.cross({p}, {q})",
    "np.einsum('...i,...i', {p}, {q})",
    "np.multiply.outer({p}, {q})",
    "np.add.outer({p}, {q})",
    "np.sum({p}[..., None] * {q}, axis=-2)",
    "np.linalg.outer({p}, {q})",
    "np.matmul({p}, {q}).T",
]


def product(w: SmallWriter) -> bool:
    """A product of two operands, tried in several pairs: ranks that go together are few among many."""
    names = w.names(w.choices.pick(["f", "f", NUMBERS, ANY]))
    if not names:
        return False
    for _ in range(6):
        p, q = w.some(names), w.choices.pick([*names, *names, *LITERALS[:3]])
        if w.choices.integer(0, 2) and p not in w.reached and q not in w.reached:
            continue
        form = w.choices.pick(_PRODUCTS)
        if p is not None and w.new(form.format(p=p, q=q)) is not None:
            return True
    return False


def einsum(w: SmallWriter) -> bool:
    """Letters at random: repeated in an operand, shared, alone, summed, kept; with an ellipsis; implicit."""
    names = w.names(w.choices.pick(["f", "f", "f", NUMBERS, ANY]), (0, 1, 2, 3))
    if not names:
        return False
    count = w.choices.pick([2, 1, 2, 1, 2, 3])
    operands = [w.choices.pick(names) for _ in range(count)]
    if count > 1 and w.choices.integer(0, 3) == 3:
        operands[1] = operands[0]
    if count > 1 and w.choices.integer(0, 7) == 7:
        operands[w.choices.integer(0, count - 1)] = w.choices.pick(LITERALS[:5])
    if w.choices.integer(0, 7) and not w.reached.intersection(operands):
        operands[-1] = w.some([n for n in names if n in w.reached]) or operands[-1]
    shapes = [np.shape(w.env[x]) if x in w.env else () for x in operands]
    sizes: dict[str, int] = {}
    terms = [_term(w, shape, sizes) for shape in shapes]
    dots = w.choices.integer(0, 5) == 5
    if dots:
        # The first axes of some operands are left to the ellipsis.
        terms = ["..." + t[w.choices.integer(0, len(t)) :] for t in terms]
    text = ",".join(terms)
    left = sorted(set(text) - set(",."))
    form = w.choices.integer(0, 4)
    if form > 0:
        kept = [c for c in left if form == 1 or w.choices.integer(0, 1)]
        if form == 2 and len(kept) > 1:
            kept = kept[::-1]
        text += "->" + ("..." if dots else "") + "".join([] if form == 4 else kept)
    return w.new(f"np.einsum('{text}', {', '.join(operands)})") is not None


def _term(w: SmallWriter, shape: tuple[int, ...], sizes: dict[str, int]) -> str:
    term = ""
    for n in shape:
        known = [c for c, size in sizes.items() if size == n]
        new = [c for c in _LETTERS if c not in sizes][:1]
        letter = w.choices.pick(known) if known and (not new or w.choices.integer(0, 3)) else "".join(new)
        sizes.setdefault(letter or "z", n)
        term += letter or "z"
    return term
