"""Lines of small programs that read by indices, move entries, and write: repeated indices, masks."""

from __future__ import annotations

import numpy as np

from net.small.operands import ANY, LITERALS, axis, some
from net.small.writing import SmallWriter
from xpgrad.testing.program import Step


def _indices(w: SmallWriter, n: int) -> list[str]:
    """Index arrays into an axis of length ``n``: repeated, `arange`, from the end, empty, names, lists."""
    if not n:
        return ["np.arange(0)", "[]", "slice(None)"]
    names = [
        k for k in w.names("iu", (1, 2)) if np.size(w.env[k]) and -n <= _lowest(w, k) and _highest(w, k) < n
    ]
    names += [k for k in w.names("b", (1,)) if np.shape(w.env[k]) == (n,) and k in w.inputs]
    top = n - 1
    return [
        *names * 3,
        f"np.arange({n})",
        f"[0, {top}, 0]",
        f"np.array([{top}, {top}, 0, -1])",
        "[0]",
        f"np.zeros(3, int) + {top}",
        f"np.arange({n})[::-1]",
        "[-1, 0]",
        "np.array([[0], [-1]])",
        "np.zeros(0, int)",
        f"np.int64({top})",
        "np.array(0)",
    ]


def _lowest(w: SmallWriter, name: str) -> int:
    return int(np.min(w.env[name]))


def _highest(w: SmallWriter, name: str) -> int:
    return int(np.max(w.env[name]))


def _subscript(w: SmallWriter, x: str) -> str:
    shape = np.shape(w.env[x])
    parts = []
    for n in shape:
        form = w.choices.integer(0, 5)
        if form < 3:
            parts.append(w.choices.pick(_indices(w, n)))
        else:
            parts.append(w.choices.pick([":", "::2", "::-1", "1:", ":-1", "0:1", "0:0", "0", "-1", "-2:"]))
    if w.choices.integer(0, 3) == 3:
        parts.insert(w.choices.integer(0, len(parts)), w.choices.pick(["None", "..."]))
    while len(parts) > 1 and w.choices.integer(0, 3) == 3:
        parts.pop()
    return ", ".join(parts) or "..."


def gather(w: SmallWriter) -> bool:
    """Reading by indices, slices and masks, and the functions that do the same."""
    x = some(w, w.choices.pick(["f", "f", ANY]), (1, 2, 3))
    if x is None:
        return False
    if w.choices.integer(0, 1):
        return w.new(f"{x}[{_subscript(w, x)}]", "view") is not None
    k = w.choices.integer(0, np.ndim(w.env[x]) - 1)
    n = np.shape(w.env[x])[k]
    i = w.choices.pick(_indices(w, n))
    forms = [f"np.take({x}, {i}, axis={k})", f"np.take({x}, {i}, axis={k}, mode='wrap')", f"{x}.take({i}, {k})"]
    forms += [
        f"np.take({x}, [0, 5, -1], mode='clip')",
        f"np.delete({x}, 0, axis={k})",
        f"np.append({x}, {x}, {k})",
    ]
    forms += [
        f"np.insert({x}, 0, 2.0, axis={k})",
        f"np.repeat({x}, 2, axis={k})",
        f"np.repeat({x}, {n}, axis={k})",
    ]
    forms += [f"np.compress(np.arange({n}) % 2 == 0, {x}, axis={k})", f"{x}[np.arange({n}) % 2 == 0]"]
    forms += [f"np.tile({x}, 2)", f"np.tile({x}, 1)", f"np.tile({x}, (2, 1))", f"np.roll({x}, 1, axis={k})"]
    forms += [
        f"np.roll({x}, 0)",
        f"np.roll({x}, np.int64(-1), axis={k})",
        f"np.flip({x}, {k})",
        f"np.rot90({x})",
    ]
    forms += [f"np.pad({x}, 1)", f"np.pad({x}, (0, 2), mode='edge')", f"np.tril({x})", f"np.triu({x}, 1)"]
    forms += [f"{x}[np.ix_({', '.join(['[0, 0]'] * np.ndim(w.env[x]))})]", f"np.split({x}, [1], axis={k})[1]"]
    forms += [
        f"np.array_split({x}, 2, axis={k})[0]",
        f"np.concatenate([{x}, {x}], axis={k})",
        f"np.stack([{x}, {x}])",
    ]
    return w.new(w.choices.pick(forms)) is not None


def moved(w: SmallWriter) -> bool:
    """Shapes: what may be a view."""
    x = some(w, ANY)
    if x is None:
        return False
    shape = np.shape(w.env[x])
    k = axis(w, x, several=False, none=False)
    size = int(np.prod(shape))
    forms = [
        f"np.reshape({x}, (1, -1))",
        f"np.expand_dims({x}, {k})",
        f"np.moveaxis({x}, {k}, 0)",
        f"np.squeeze({x})",
    ]
    forms += [f"np.swapaxes({x}, {k}, -1)", f"np.broadcast_to({x}, (2, *np.shape({x})))", f"np.atleast_2d({x})"]
    forms += [f"np.reshape({x}, {shape[::-1]})", f"np.ravel({x})", f"np.transpose({x})", f"np.atleast_1d({x})"]
    forms += [f"np.reshape({x}, ({size},), order='F')", f"np.flip({x})", f"np.rollaxis({x}, {k})"]
    forms += [f"np.reshape({x}, np.int64({size}))", f"np.moveaxis({x}, 0, np.int64(-1))"]
    if isinstance(w.env[x], np.ndarray):
        forms += [f"{x}.T", f"{x}.reshape(-1)", f"{x}.ravel()", f"{x}.flatten()", f"{x}.squeeze()", f"{x}[...]"]
    y = w.new(w.choices.pick(forms), "view")
    return y is not None


def write(w: SmallWriter) -> bool:
    """In place: by repeated indices, masks and slices; `np.add.at`, and functions that write."""
    u = w.some([n for n in w.writable() if np.ndim(w.env[n]) and np.asarray(w.env[n]).dtype.kind in "fciu"])
    if u is None or w.choices.integer(0, 1):
        x = some(w, w.choices.pick(["f", "f", ANY]), (1, 2, 3))
        forms = [] if x is None else [f"{x}.copy()", f"np.copy({x})", f"{x} * 1", f"np.zeros_like({x})"]
        forms += ["np.zeros(3)", "np.zeros((2, 3))"]
        u = w.new(w.choices.pick(forms))
    if u is None or not np.ndim(w.env[u]):
        return False
    at = _subscript(w, u)
    values = [n for n in w.names(ANY) if np.ndim(w.env[n]) <= np.ndim(w.env[u])]
    v = w.choices.pick([*LITERALS[:7], *values * 2])
    n = np.shape(w.env[u])[0]
    i = w.choices.pick(_indices(w, n))
    forms = [
        f"{u}[{at}] = {v}",
        f"{u}[{at}] += {v}",
        f"{u}[{at}] *= {v}",
        f"{u}[{at}] -= {v}",
        f"{u}[{i}] = {v}",
    ]
    forms += [f"np.add.at({u}, {i}, {v})", f"np.subtract.at({u}, {i}, {v})", f"np.multiply.at({u}, {i}, {v})"]
    forms += [f"{u}[{u} > 0] = {v}", f"{u}[{u} == 0] = {v}", f"{u} += {v}", f"{u} *= {v}", f"{u}.fill({v})"]
    forms += [
        f"np.fill_diagonal({u}, {v})",
        f"np.copyto({u}, {v})",
        f"np.put({u}, {i}, {v})",
        f"{u}[...] = {v}",
    ]
    forms += [f"np.putmask({u}, {u} > 0, {v})", f"np.maximum({u}, {v}, out={u})", f"{u}.sort()"]
    return w.take(Step(u, w.choices.pick(forms), "write"))


def copied(w: SmallWriter) -> bool:
    """A copy or a view of an array, and a write to one of the two."""
    x = w.some([n for n in w.writable() if np.ndim(w.env[n])])
    if x is None or w.choices.integer(0, 2) == 2:
        y = some(w, "f", (1, 2))
        x = None if y is None else w.new(w.choices.pick([f"{y} * 1", f"{y} + 0", f"{y}.copy()"]))
    if x is None or not np.ndim(w.env[x]):
        return False
    shape = np.shape(w.env[x])
    forms = [f"copy.deepcopy({x})", f"copy.copy({x})", f"np.copy({x})", f"{x}.copy()"]
    forms += [
        f"np.reshape({x}, {shape[::-1]}, copy=True)",
        f"{x}.reshape({shape[::-1]}, copy=True)",
        f"{x}.flatten()",
    ]
    forms += [
        f"copy.copy({x}[:1])",
        f"copy.copy({x}.T)",
        f"copy.deepcopy([{x}])[0]",
        f"copy.deepcopy({{'k': {x}}})['k']",
    ]
    forms += [f"{x}[:]", f"{x}.T", f"{x}[::-1]", f"{x}.view()", f"{x}[:1]", f"{x}.astype({x}.dtype)"]
    forms += [f"{x}.astype({x}.dtype, copy=False)"]
    forms += [f"np.reshape({x}, {shape})", f"np.concatenate([{x}])", f"np.stack([{x}])[0]"]
    z = w.new(w.choices.pick(forms), "view")
    if z is None:
        return False
    u = w.choices.pick([z, x])
    if np.ndim(w.env[u]):
        text = w.choices.pick(
            [f"{u}[0] = 5.0", f"{u} *= 2", f"{u}[...] = 0.5", f"{u}[-1] += 1", f"{u}[:1] = {u}[-1:]"]
        )
        w.take(Step(u, text, "write"))
    return True
