"""Lines of small programs: what ufuncs take beside operands, functions of two operands, poles."""

from __future__ import annotations

import numpy as np

from net.small.operands import ANY, LITERALS, axis, partner, some
from net.small.writing import SmallWriter

_UFUNCS = "add subtract multiply divide maximum minimum hypot arctan2 logaddexp power float_power".split()
_OF_ONE = "exp tanh sin sqrt log1p square negative absolute cbrt arctan".split()
_GRIDS = [
    "np.linspace({p}, {q}, 3)",
    "np.linspace({p}, {q}, 1)",
    "np.linspace({p}, {q}, 0)",
    "np.linspace({p}, {q}, 4, endpoint=False, axis=-1)",
    "np.logspace({p}, {q}, 3)",
    "np.logspace({p}, {q}, 2, base=2.0, endpoint=False)",
    "np.geomspace(2.5, np.abs({p}) + 0.5, 3)",
    "np.geomspace(np.abs({p}) + 0.5, np.abs({q}) + 0.25, 4)",
    "np.polyval({p}, {q})",
    "np.polyval([{p}, {q}], 0.5)",
    "np.interp({p}, np.sort({q}), {q})",
    "np.interp(0.3, np.sort({q}), {p})",
    "np.searchsorted(np.sort({q}), {p})",
    "np.trapezoid({p}, {q})",
    "np.trapezoid({p}, np.sort({q}), axis=0)",
    "np.convolve({p}, {q}, 'same')",
    "np.correlate({p}, {q}, 'full')",
    "np.cross({p}, {q})",
    "np.kron({p}, {q})",
    "np.matmul({p}[None], {q}[:, None])",
    "np.stack([{p}, {p}]) @ np.stack([{q}, {q}, {q}])[:2]",
    "np.vecdot({p}, {q})",
    "np.where({p} > {q}, {p}, {q})",
    "np.heaviside({p}, {q})",
]
# At a Python float these have poles, or leave the line of the reals.
_POLES = [
    "1 / {x}",
    "{x} / {x}",
    "{x} ** -1",
    "{x} ** -0.5",
    "{x} ** {x}",
    "{x} % {x}",
    "{x} // {x}",
    "2.0 / ({x} * {x})",
    "(-1.0) ** {x}",
    "np.log({x})",
    "np.arctanh({x})",
    "1.0 / (1.0 - {x})",
    "{x} ** 0.5",
    "divmod(1.0, {x})[0]",
]


def keywords(w: SmallWriter) -> bool:
    """A ufunc with a dtype, written to an array, where a mask holds; its methods."""
    x = some(w, w.choices.pick(["f", "f", ANY]))
    if x is None:
        return False
    y, name = partner(w, x), w.choices.pick(_UFUNCS)
    k = axis(w, x, several=False, none=False)
    shape = np.shape(w.env[x])
    masks = [m for m in w.names("b") if np.shape(w.env[m]) in (shape, shape[-1:])]
    mask = w.choices.pick([*masks * 3, f"{x} > 0.25", "True"])
    dtype = w.choices.pick(["np.float32", "np.float64", "complex", "float"])
    one = w.choices.pick(_OF_ONE)
    forms = [
        f"np.{name}({x}, {y}, dtype={dtype})",
        f"np.{name}.outer({x}, {y})",
        f"np.{one}({x}, dtype={dtype})",
    ]
    forms += [f"np.{name}({x}, {y}, out=np.zeros_like({x}), where={mask})"] * 3
    forms += [f"np.{one}({x}, out={x} * 2, where={mask})"] * 2
    forms += [f"np.{one}({x}, out=np.ones_like({x}, shape=(2, *np.shape({x}))))"]
    forms += [f"np.{name}({x}, {y}, casting='same_kind')", f"np.{name}({x}, {y}, order='F')"]
    forms += [f"np.{u}.reduce({x}, axis={k})" for u in ("add", "multiply", "maximum", "minimum")]
    forms += [f"np.add.accumulate({x}, axis={k})", f"np.multiply.accumulate({x}, {k})"]
    forms += [f"np.add.reduce({x}, axis={k}, where={mask}, initial=0.5)"]
    return w.new(w.choices.pick(forms)) is not None


def several(w: SmallWriter) -> bool:
    """A function of two operands, of which either or both may be traced, of any two ranks."""
    names = w.names(w.choices.pick(["f", "f", "fc", ANY]))
    if not names:
        return False
    for _ in range(6):
        p, q = w.some(names), w.choices.pick([*names, *names, *LITERALS[:5]])
        form = w.choices.pick(_GRIDS)
        if p is not None and w.new(form.format(p=p, q=q)) is not None:
            return True
    return False


def pole(w: SmallWriter) -> bool:
    """A pole, more often of a number than of an array."""
    x = some(w, "f", (0,)) or some(w, "f")
    return x is not None and w.new(w.choices.pick(_POLES).format(x=x)) is not None
