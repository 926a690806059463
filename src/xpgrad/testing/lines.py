"""The kinds of lines of a random program; each writes one line or a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.core import OPS
from xpgrad.testing.program import Step
from xpgrad.testing.writing import Writer

# Ops of one operand; where theirs is not all of R, the operand is brought into the op's domain.
_ANYWHERE = ["exp", "tanh", "sin", "cos", "square", "negative", "arctan", "arcsinh", "expm1", "sinh", "cosh"]
_IN_DOMAIN = ["log", "sqrt", "log1p", "reciprocal", "cbrt", "arcsin", "arccos", "log2", "log10", "exp2", "tan"]
_SENTENCES = [
    "1 / (1 + np.exp(-{x}))",
    "np.log(1 + np.exp({x}))",
    "np.logaddexp(0, {x})",
    "{x} * 0.5 * (1 + np.tanh(0.8 * ({x} + 0.04 * {x}**3)))",
    "np.exp(-0.5 * {x}**2) / np.sqrt(2 * np.pi)",
    "np.log(1 / (1 + np.exp(-{x})))",
    "2.5 * {x} - 1",
    "1 - {x}",
    "{x}**2",
    "(1 + {x}**2) ** 0.5",
    "{x} / (1 + {x} * {x})",
    "-{x}",
    "np.log1p({x}**2)",
]


def function(w: Writer) -> bool:
    """A function of one array, entry by entry."""
    x = w.some(w.names())
    if x is None:
        return False
    if w.choices.integer(0, 2) == 2:
        return w.new(w.choices.pick(_SENTENCES).format(x=x)) is not None
    name = w.choices.pick(_ANYWHERE + _IN_DOMAIN)
    values = np.asarray(w.env[x])
    low, high = OPS[name].domain
    if name in _IN_DOMAIN and (np.any(values < low) or np.any(values > high)):
        x = f"{(low + high) / 2:g} + {(high - low) / 2:g} * np.tanh({x})"
    return w.new(f"np.{name}({x})") is not None


def arithmetic(w: Writer) -> bool:
    """Two operands that broadcast."""
    x = w.some(w.names())
    y = None if x is None else w.partner(x, w.choices.pick(["f", "f", "fib"]))
    if x is None or y is None:
        return False
    op = w.choices.pick(["+", "*", "-", "/", "maximum", "minimum", "hypot", "logaddexp", "power"])
    if op in ("+", "*", "-"):
        left, right = (x, y) if w.choices.integer(0, 1) == 0 else (y, x)
        return w.new(f"{left} {op} {right}") is not None
    if op == "/":
        near_zero = np.min(np.abs(np.asarray(w.env[y], dtype=float)), initial=np.inf) < 0.3
        return w.new(f"{x} / (1.5 + np.tanh({y}))" if near_zero else f"{x} / {y}") is not None
    if op in ("maximum", "minimum"):
        if not w.apart(w.env[x], w.env[y]):
            return False
        return w.new(f"np.{op}({x}, {y})") is not None
    if op == "hypot":
        return w.new(f"np.hypot({x}, 1 + {y}**2)") is not None
    if op == "power":
        return w.new(f"(0.5 + {x}**2) ** np.tanh({y})") is not None
    return w.new(f"np.logaddexp({x}, {y})") is not None


def choice(w: Writer) -> bool:
    """where, clip, maximum, abs, masks."""
    x = w.some(w.names())
    c = None if x is None else w.threshold(x)
    if x is None or c is None:
        return False
    form = w.choices.integer(0, 8)
    masks = [m for m in w.names("b") if np.shape(w.env[m]) == np.shape(w.env[x])]
    if form == 0:
        return w.new(f"np.where({x} > {c}, {x}, 0.1 * {x})") is not None
    if form == 1:
        return w.new(f"np.maximum({x}, {c})") is not None
    if form == 2:
        return w.new(f"np.abs({x} - {c})") is not None
    if form == 3:
        return w.new(f"np.clip({x}, None, {c})") is not None
    if form == 4:
        return w.new(f"{x} < {c}") is not None
    if form == 5:
        other = w.partner(x)
        return other is not None and w.new(f"np.where({x} <= {c}, {other}, {x}**2)") is not None
    if form == 6:
        return w.new(f"({x} > {c}) * {x}") is not None
    if form == 7 and masks:
        m = w.choices.pick(masks)
        return w.new(w.choices.pick([f"np.where({m}, {x}, -{x})", f"({x} >= {c}) & ~{m}"])) is not None
    return (
        w.new(w.choices.pick([f"np.sign({x} - {c})", f"np.mean({x} > {c})", f"np.any({x} > {c}, axis=-1)"]))
        is not None
    )


def reduction(w: Writer) -> bool:
    """sum, mean, max, min, var, prod over an axis or all."""
    x = w.array()
    if x is None:
        return False
    shape = np.shape(w.env[x])
    axes: list[int | tuple[int, ...] | None] = [None, *range(len(shape)), -1]
    if len(shape) > 1:
        axes += [(0, 1), (0, -1)] if len(shape) > 2 else [(0, 1)]
    axis = w.choices.pick(axes)
    keep = ", keepdims=True" if w.choices.integer(0, 2) == 2 else ""
    how = "" if axis is None and not keep else f", axis={axis}{keep}"
    name = w.choices.pick(["sum", "mean", "max", "var", "min", "prod", "norm", "average"])
    count = int(np.prod([shape[a] for a in (range(len(shape)) if axis is None else np.atleast_1d(axis))]))
    if name in ("max", "min"):
        if isinstance(axis, tuple) or not w.extreme_alone(x, axis, 1 if name == "max" else -1):
            return False
    elif name == "prod":
        if count > 40:
            return False
        return w.new(f"np.prod(1 + 0.2 * np.tanh({x}){how})") is not None
    elif name == "norm":
        return w.new(f"np.sqrt(0.1 + np.sum({x} * {x}{how}))") is not None
    elif name == "average":
        other = w.partner(x, "fib")
        if other is None or count == 0:
            return False
        return w.new(f"np.sum({x} * {other}{how}) / {count}") is not None
    if name == "sum" and count > 8:
        return w.new(f"np.sum({x}{how}) / {count}") is not None
    method = w.choices.integer(0, 2) == 2
    return w.new(f"{x}.{name}({how[2:]})" if method else f"np.{name}({x}{how})") is not None


def normalised(w: Writer) -> bool:
    """softmax, logsumexp, standardised: lines that reduce and use the result."""
    x = w.array()
    if x is None:
        return False
    axis = w.axis(x)
    form = w.choices.integer(0, 5)
    how = f"axis={axis}, keepdims=True"
    if form == 0:
        e = w.new(f"np.exp({x} - np.max({x}, {how}))") if w.extreme_alone(x, axis, 1) else w.new(f"np.exp({x})")
        return e is not None and w.new(f"{e} / np.sum({e}, {how})") is not None
    if form == 1:
        return w.new(f"np.log(np.sum(np.exp({x}), axis={axis}))") is not None
    if form == 2:
        mu = w.new(f"np.mean({x}, {how})")
        return mu is not None and w.new(f"({x} - {mu}) / np.sqrt(np.var({x}, {how}) + 0.1)") is not None
    if form == 3:
        return w.new(f"{x} - {x}.mean({how})") is not None
    if form == 4:
        return w.new(f"{x} / np.sqrt(0.1 + ({x}**2).sum({how}))") is not None
    return w.new(f"{x} - np.log(np.sum(np.exp({x}), {how}))") is not None


def contraction(w: Writer) -> bool:
    """@, dot, einsum, outer: over the samples or over the rest."""
    names = [n for n in w.names("f", (1, 2)) if np.size(w.env[n])][:9]
    forms = [form for p in names for q in names for form in _products(w, p, q)]
    form = w.some(forms)
    return form is not None and w.new(w.choices.pick(form)) is not None


def _products(w: Writer, p: str, q: str) -> list[list[str]]:
    """The products of two arrays that their shapes allow, each in its spellings."""
    a, b = w.env[p].shape, w.env[q].shape
    found: list[tuple[int, int, list[str]]] = []  # size of the result, length of the sum, spellings
    if len(a) == 2 and len(b) == 2:
        dot = [(a[1], b[0], "{p}", "{q}"), (a[0], b[0], "{p}.T", "{q}"), (a[1], b[1], "{p}", "{q}.T")]
        subscripts = ["ij,jk->ik", "ji,jk->ik", "ij,kj->ik"]
        for (n, m, left, right), text in zip(dot, subscripts, strict=True):
            if n == m:
                size = a[0] * a[1] * b[0] * b[1] // (n * m)
                spelled = [
                    f"{left} @ {right}",
                    f"np.dot({left}, {right})",
                    f"np.einsum('{text}', {{p}}, {{q}})",
                ]
                found.append((size, n, [*spelled, f"np.tensordot({left}, {right}, 1)"]))
        if a == b:
            found.append((a[0], a[1], ["np.einsum('ij,ij->i', {p}, {q})", "np.sum({p} * {q}, axis=1)"]))
    elif len(a) == 2 and len(b) == 1:
        if a[1] == b[0]:
            found.append((a[0], b[0], ["{p} @ {q}", "np.dot({p}, {q})", "np.einsum('ij,j->i', {p}, {q})"]))
        if a[0] == b[0]:
            found.append((a[1], b[0], ["{p}.T @ {q}", "{q} @ {p}", "np.dot({p}.T, {q})"]))
    elif len(a) == 1 and len(b) == 1:
        if a == b:
            found.append((1, a[0], ["{p} @ {q}", "np.dot({p}, {q})", "np.inner({p}, {q})"]))
        found.append((a[0] * b[0], 1, ["np.outer({p}, {q})", "{p}[:, None] * {q}[None, :]"]))
    over = [
        (n, [f"({s}) / {n}" if n > 12 else s for s in spelled]) for size, n, spelled in found if size <= 20_000
    ]
    return [[s.format(p=p, q=q) for s in spelled] for n, spelled in over]


def shape(w: Writer) -> bool:
    """transpose, reshape, new axes, squeeze, broadcast_to."""
    x = w.array((0, 1, 2, 3))
    if x is None:
        return False
    s = np.shape(w.env[x])
    if not isinstance(w.env[x], np.ndarray):
        return w.new(f"np.reshape({x}, (1, 1)) + 0") is not None
    size = int(np.prod(s))
    forms = [f"{x}.T", f"np.expand_dims({x}, 0)"]
    reshapes = [f"{x}.reshape(-1)", f"np.ravel({x})", f"{x}.reshape({size}, 1)"]
    if len(s) > 1:
        forms += [f"np.swapaxes({x}, 0, -1)", f"np.transpose({x})"]
        reshapes += [f"np.reshape({x}, ({s[1]}, -1))"] if size else []
    if len(s) == 1:
        forms += [f"{x}[:, None]", f"{x}[None, :]", f"{x}[np.newaxis]"]
        reshapes += [f"{x}.reshape(2, -1)"] if size and size % 2 == 0 else []
    if 1 in s:
        forms += [f"np.squeeze({x}, axis={s.index(1)})", f"{x}.squeeze()"]
        forms += [f"np.broadcast_to({x}, {tuple(3 if n == 1 else n for n in s)})"]
    if w.choices.integer(0, 2) == 2:
        y = w.new(w.choices.pick(reshapes), "view")
        if y is not None:
            w.reshaped.add(y)
        return y is not None
    return w.new(w.choices.pick(forms), "view") is not None


def piece(w: Writer) -> bool:
    """Slices, differences of neighbours, flips and rolls."""
    x = w.array((1, 2))
    if x is None:
        return False
    axis = w.choices.integer(0, np.ndim(w.env[x]) - 1)
    at = ":, " * axis

    def cut(part: str) -> str:
        return f"{x}[{at}{part}]"

    views = [cut("1:"), cut(":-1"), cut("::2"), cut("::-1"), cut("0"), cut("-1"), cut("1:-1"), f"{x}[..., 0]"]
    arrays = [
        f"{cut('1:')} - {cut(':-1')}",
        f"{cut('2:')} - 2 * {cut('1:-1')} + {cut(':-2')}",
        f"np.diff({x}, axis={axis})",
        f"np.roll({x}, 1, axis={axis})",
        f"0.5 * ({cut('2:')} + {cut(':-2')})",
        f"{x} - np.roll({x}, -2, axis={axis})",
    ]
    if np.ndim(w.env[x]) == 2:
        arrays += [f"{x}[1:, 1:] * {x}[:-1, :-1] - {x}[1:, :-1]", f"{x}[:, ::2].copy()"]
    if w.choices.integer(0, 1):
        return w.new(w.choices.pick(views), "view") is not None
    return w.new(w.choices.pick(arrays)) is not None


def in_place(w: Writer) -> bool:
    """Writes: to interior slices, to edges, to what a comparison selects, or to all."""
    names = [n for n in w.writable() if np.ndim(w.env[n]) in (1, 2) and np.asarray(w.env[n]).dtype.kind == "f"]
    u = w.some(names)
    if u is None or w.choices.integer(0, 2) == 2:
        x = w.array((1, 2))
        u = None if x is None else w.new(w.choices.pick([f"{x}.copy()", f"np.copy({x})", f"{x} + 0"]))
    if u is None:
        return False
    axis = w.choices.integer(0, np.ndim(w.env[u]) - 1)
    at = ":, " * axis
    form = w.choices.integer(0, 7)
    c = w.threshold(u)
    other = w.some([n for n in w.names("f") if _into(np.shape(w.env[n]), np.shape(w.env[u]))])
    texts = [f"{u} *= 0.5", f"{u} -= 0.25", f"{u}[{at}0] = 0.0"]
    if form == 0:
        middle, before, after = f"{u}[{at}1:-1]", f"{u}[{at}:-2]", f"{u}[{at}2:]"
        texts = [
            f"{middle} = {middle} + 0.1 * ({after} - 2 * {middle} + {before})",
            f"{middle} += 0.2 * {after}",
        ]
    elif form == 1 and c is not None:
        texts = [f"{u}[{u} < {c}] = 0", f"{u}[{u} > {c}] = 0.5"]
    elif form == 2 and other is not None:
        texts = [f"{u} += {other}", f"{u}[...] = {other}", f"{u}[:] = 0.5 * {other} + {u}"]
    elif form == 3:
        texts = [f"{u}[{at}0] = {u}[{at}-1]", f"{u}[{at}-1] = 2 * {u}[{at}0]", f"{u}[{at}1:] -= {u}[{at}:-1]"]
    elif form == 4:
        texts = [f"{u}[{at}::2] = 1.0", f"{u}[{at}1:-1] *= 0.5", f"{u}[{at}::-1] += {u}"]
    elif form == 5 and np.ndim(w.env[u]) == 2:
        laplacian = f"{u}[2:, 1:-1] + {u}[:-2, 1:-1] + {u}[1:-1, 2:] + {u}[1:-1, :-2] - 4 * {u}[1:-1, 1:-1]"
        texts = [f"{u}[1:-1, 1:-1] += 0.1 * ({laplacian})", f"{u}[0, 1:] = {u}[-1, :-1]"]
    return w.take(Step(u, w.choices.pick(texts), "write"))


def _into(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def joined(w: Writer) -> bool:
    """concatenate and stack."""
    x = w.array((1, 2))
    if x is None:
        return False
    s = np.shape(w.env[x])
    same = [n for n in w.names("f", (len(s),)) if np.shape(w.env[n]) == s]
    y = w.choices.pick(same)
    axis = w.choices.integer(0, len(s) - 1)
    matching = [n for n in w.names("f", (len(s),)) if _joins(np.shape(w.env[n]), s, axis)]
    z = w.choices.pick(matching)
    forms = [
        f"np.concatenate([{x}, {z}], axis={axis})",
        f"np.stack([{x}, {y}])",
        f"np.stack([{x}, {y}], axis=-1)",
    ]
    forms += [f"np.hstack([{x}, {y}])", f"np.concatenate([{y}, 0.5 * {x}, {z}], axis={axis})"]
    return w.new(w.choices.pick(forms)) is not None


def _joins(a: tuple[int, ...], b: tuple[int, ...], axis: int) -> bool:
    return a[:axis] == b[:axis] and a[axis + 1 :] == b[axis + 1 :]


def labels(w: Writer) -> bool:
    """Integer labels: one entry of each row, rows or columns of a table, one-hot."""
    k = w.some(w.names("i", (1,)))
    if k is None:
        return False
    m = np.shape(w.env[k])[0]
    top = int(np.max(w.env[k], initial=-1))
    forms = []
    for x in w.names("f", (1, 2)):
        s = np.shape(w.env[x])
        if len(s) == 2 and s[0] == m and s[1] > top:
            forms.append(f"{x}[np.arange({m}), {k}]")
        if len(s) == 2 and s[1] == m and s[0] > top:
            forms.append(f"{x}[{k}, np.arange({m})]")
        if s[0] > top:
            forms.append(f"{x}[{k}]" if len(s) == 1 else f"np.take({x}, {k}, axis=0)")
            forms.append(f"{x}[-1 - {k}]")
        if len(s) == 2 and s[1] > top:
            forms.append(f"{x}[:, {k}]")
        if s[0]:
            forms.append(f"{x}[({k} + 1) % {s[0]}]")
            forms.append(f"{x}[({k}[:, None] + np.arange(2)) % {s[0]}]")
        if s == (m,):
            forms.append(f"np.where({k} == 1, {x}, -{x})")
        if len(s) == 2 and s[0] == m:
            forms.append(f"({k}[:, None] == np.arange({s[1]})) * {x}")
        if len(s) == 2 and s[1] == m:
            forms.append(f"({k} == np.arange({s[0]})[:, None]) * {x}")
    form = w.some(forms)
    return form is not None and w.new(form) is not None


def ordered(w: Writer) -> bool:
    """cumsum and sort: what depends on an order along the axis."""
    x = w.array((1, 2))
    if x is None:
        return False
    axis = w.axis(x)
    n = np.shape(w.env[x])[axis]
    if w.choices.integer(0, 1) and w.distinct(x, axis):
        return w.new(f"np.sort({x}, axis={axis})") is not None
    return w.new(f"np.cumsum({x}, axis={axis}) / {max(n, 1)}") is not None


def penalty(w: Writer) -> bool:
    """A term in one array alone, as regularisation is."""
    x = w.array((1, 2))
    if x is None or not np.size(w.env[x]):
        return False
    c = w.threshold(x)
    forms = [f"0.1 * np.sum({x}**2) / {np.size(w.env[x])}", f"0.5 * np.mean({x} * {x})"]
    if c is not None:
        forms.append(f"0.1 * np.mean(np.abs({x} - {c}))")
    return w.new(w.choices.pick(forms)) is not None


# How often each kind is tried, in the mean.
LINES: list[Callable[[Writer], Any]] = [
    *[function] * 4, *[arithmetic] * 4, *[choice] * 2, *[reduction] * 4, *[normalised] * 2, *[contraction] * 4,
    *[shape] * 2, *[piece] * 2, *[in_place] * 2, joined, *[labels] * 2, ordered, penalty,
]  # fmt: skip
