"""Lines of small programs that go entry by entry: floats at any point, choices, integers, booleans."""

from __future__ import annotations

import numpy as np

from net.small.operands import ANY, LITERALS, NUMBERS, partner, some
from net.small.writing import SmallWriter

_OF_ONE = """exp exp2 expm1 log log2 log10 log1p sqrt cbrt square reciprocal sin cos tan arcsin arccos arctan
    sinh cosh tanh arcsinh arccosh arctanh absolute fabs sign negative positive floor ceil trunc rint deg2rad
    rad2deg degrees radians sinc nan_to_num real imag conjugate angle isnan isfinite isinf signbit logical_not
    i0 fix round spacing""".split()
_OF_TWO = """add subtract multiply divide true_divide power float_power maximum minimum fmax fmin arctan2 hypot
    logaddexp logaddexp2 copysign mod remainder fmod floor_divide nextafter heaviside greater less_equal equal
    not_equal logical_and logical_or logical_xor isclose""".split()
_OPERATORS = ["+", "-", "*", "/", "**", "//", "%", "<", ">=", "==", "!="]
_OF_INTEGERS = """left_shift right_shift bitwise_and bitwise_or bitwise_xor gcd lcm floor_divide remainder
    add subtract multiply maximum minimum power mod fmod""".split()
_OF_ONE_INTEGER = """reciprocal invert negative absolute sign square sqrt exp sin rint positive
    floor logical_not""".split()
# Sentences whose derivatives have guards, or which a compiler writes anew.
_SENTENCES = [
    "1 / (1 + np.exp(-{x}))",
    "np.log(1 / (1 + np.exp(-{x})))",
    "np.log(1 - 1 / (1 + np.exp(-{x})))",
    "np.log(1 + np.exp({x}))",
    "np.logaddexp(0.0, {x})",
    "np.logaddexp({x}, 0)",
    "np.log(np.exp({x}))",
    "np.exp(np.log({x}))",
    "np.exp({x}) - 1",
    "np.log(1 + {x})",
    "np.sqrt({x} * {x})",
    "np.sqrt({x} ** 2 + 1)",
    "np.abs({x}) ** 1.5",
    "np.abs({x}) ** 3",
    "{x} ** 0",
    "{x} ** 1",
    "{x} ** 2",
    "{x} ** 3",
    "{x} ** -1",
    "{x} ** 0.5",
    "2.0 ** {x}",
    "{x} * np.abs({x})",
    "np.where({x} > 0, {x}, 0.0)",
    "np.where({x} > 0, np.log({x}), 0.0)",
    "np.where({x} == 0, 1.0, np.sin({x}) / {x})",
    "np.maximum({x}, 0) ** 2",
    "np.maximum({x}, 0.0)",
    "{x} * ({x} > 0)",
    "np.clip({x}, -0.5, 0.5)",
    "np.clip({x}, 1.0, 0.0)",
    "np.clip({x}, 0, None)",
    "np.exp(-{x} ** 2 / 2)",
    "np.tanh({x}) * {x}",
    "np.sin({x}) ** 2 + np.cos({x}) ** 2",
    "np.expm1(-np.abs({x}))",
    "np.hypot({x}, 1.0)",
    "np.sinc({x})",
    "divmod({x}, 2.0)[1]",
    "np.divmod({x}, 0.7)[0]",
    "np.modf({x})[0]",
    "np.frexp({x})[0]",
    "np.ldexp({x}, 2)",
    "np.float_power({x}, 2)",
    "np.select([{x} > 0.5, {x} > -0.5], [{x}, {x} ** 2], 0.25)",
    "np.interp({x}, [-1.0, 0.0, 2.0], [0.5, 1.0, -1.0])",
    "np.polyval([0.5, -1.0, 2.0], {x})",
    "np.unwrap({x})",
    "np.isclose({x}, 0.5) * {x}",
    "abs({x})",
    "np.round({x}, 1)",
    "-{x}",
    "+{x}",
    "np.invert({x} > 0)",
]


def function(w: SmallWriter) -> bool:
    """A function or a sentence of one operand."""
    x = some(w, w.choices.pick(["f", "f", "f", "fc", ANY]))
    if x is None:
        return False
    if w.choices.integer(0, 1):
        return w.new(w.choices.pick(_SENTENCES).format(x=x)) is not None
    return w.new(f"np.{w.choices.pick(_OF_ONE)}({x})") is not None


def arithmetic(w: SmallWriter) -> bool:
    """Two operands: arrays, constants, literals, in either order."""
    x = some(w, w.choices.pick(["f", "f", "fc", ANY]))
    if x is None:
        return False
    y = partner(w, x)
    left, right = (x, y) if w.choices.integer(0, 2) else (y, x)
    if w.choices.integer(0, 1):
        return w.new(f"{left} {w.choices.pick(_OPERATORS)} {right}") is not None
    return w.new(f"np.{w.choices.pick(_OF_TWO)}({left}, {right})") is not None


def integers(w: SmallWriter) -> bool:
    """Arithmetic of integers and booleans, whose results are numbers further on."""
    x = some(w, w.choices.pick(["iu", "iu", "iub"]))
    if x is None:
        return False
    if w.choices.integer(0, 3) == 3:
        return w.new(f"np.{w.choices.pick(_OF_ONE_INTEGER)}({x})") is not None
    y = partner(w, x, w.choices.pick(["iu", "iub", NUMBERS]))
    left, right = (x, y) if w.choices.integer(0, 2) else (y, x)
    if w.choices.integer(0, 2):
        return w.new(f"np.{w.choices.pick(_OF_INTEGERS)}({left}, {right})") is not None
    op = w.choices.pick(["<<", ">>", "&", "|", "^", "//", "%", "+", "-", "*", "/", "**"])
    return w.new(f"{left} {op} {right}") is not None


def choice(w: SmallWriter) -> bool:
    """where with arrays and literals, masks of any origin, clip between arrays."""
    x = some(w, "f")
    if x is None:
        return False
    y, z = partner(w, x), partner(w, x)
    masks = [m for m in w.names("b") if _fits(np.shape(w.env[m]), np.shape(w.env[x]))]
    mask = w.choices.pick([f"{x} > {y}", f"{x} >= {y}", f"{x} == {y}", *masks])
    forms = [f"np.where({mask}, {x}, {z})", f"np.where({mask}, {z}, {x})", f"np.clip({x}, {y}, {z})", mask]
    forms += [f"({mask}) * {x}", f"({mask}).astype(float) + {x}"]
    return w.new(w.choices.pick(forms)) is not None


def cast(w: SmallWriter) -> bool:
    """Another dtype; Python's numbers out of scalars."""
    x = some(w, ANY)
    if x is None:
        return False
    dtype = w.choices.pick(
        ["np.float32", "np.float64", "float", "np.int32", "np.int8", "int", "bool", "complex"]
    )
    return w.new(f"{x}.astype({dtype})") is not None


def constant(w: SmallWriter) -> bool:
    """An array that no argument reaches, which a compiler may fold."""
    n = w.choices.integer(0, 3)
    lit = w.choices.pick(LITERALS)
    forms = [
        f"np.arange({n})",
        f"np.ones({n})",
        f"np.eye({n})",
        f"np.full(({n}, 1), {lit})",
        f"np.zeros(({n}, 2))",
    ]
    forms += [f"np.linspace(0.0, {lit}, {n})", f"np.arange({n}) % 2 == 0", f"np.tri({n})", f"np.float32({lit})"]
    forms += [f"np.array([{lit}, 2.0])", f"np.array({lit})", f"np.ones({n}, np.float32) * {lit}"]
    return w.new(w.choices.pick(forms)) is not None


def _fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True
