"""Programs that read the world: globals, containers, objects, methods, which change between two calls.

A value lies somewhere: in a list, in a dict of objects, behind a property, in a default. `_place` makes
such a place out of smaller ones, with an expression that reads it and the lines that change it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from net.program import NetProgram
from xpgrad.testing.program import Input, Step
from xpgrad.testing.writing import Choices

_CLASSES = {
    "Box": """class Box:
    shared = 2.0
    def __init__(self, v): self.v = v
    def get(self): return self.v
    def twice(self): return self.get() + self.get()
    def scaled(self): return self.shared * self.v
    @property
    def prop(self): return self.v
    def __call__(self): return self.v
    def __getitem__(self, key): return self.v
    def __len__(self): return 2
    @classmethod
    def common(cls): return cls.shared
    @staticmethod
    def fixed(v): return 3.0 * v""",
    "Child": """class Child(Box):
    def get(self): return super().get() * 2.0""",
    "Slotted": """class Slotted:
    __slots__ = ("v",)
    def __init__(self, v): self.v = v
    def get(self): return self.v""",
    "Outer": """class Outer:
    def __init__(self, v): self.inner = Box(v); self.parts = [self.inner]
    def get(self): return self.inner.get()
    def total(self): return sum(part.get() for part in self.parts)""",
    "Frozen": """import dataclasses
@dataclasses.dataclass
class Frozen:
    v: object
    rate: float = 2.0
    def get(self): return self.v * self.rate""",
}


class _Place(NamedTuple):
    """``make`` constructs it; ``read`` and ``changes`` have ``{p}`` for the path that leads to it."""

    make: str
    read: str
    changes: tuple[str, ...]
    needs: tuple[str, ...] = ()


def world_program(choices: Choices) -> NetProgram:
    """One program whose lines read one to three places; Python and NumPy run it after each change."""
    while True:
        program = _program(choices)
        changes = _that_run(program)
        if changes:
            return replace(program, changes=changes)


def _that_run(program: NetProgram) -> tuple[str, ...]:
    """The changes after which the program still runs, one after the other."""
    scope = program.scope()
    kept: list[str] = []
    for change in (None, *program.changes):
        try:
            if change is not None:
                exec(change, scope)
            scope["program"](*program.args)
        except (TypeError, IndexError):  # an entry that is gone, another kind of value
            return tuple(kept)
        kept += [] if change is None else [change]
    return tuple(kept)


def _program(choices: Choices) -> NetProgram:
    setup: list[str] = []
    changes: list[str] = []
    steps, last = [], "x"
    for k in range(choices.integer(1, 3)):
        path = f"W{k}"
        place = _place(choices, choices.integer(0, 3))
        for name in place.needs:
            for needed in ("Box", name):  # the others build on it
                if _CLASSES[needed] not in setup:
                    setup.append(_CLASSES[needed])
        setup.append(f"{path} = {place.make}")
        steps.append(
            Step(f"a{k}", f"a{k} = {last} {choices.pick(['*', '+', '-'])} {place.read.replace('{p}', path)}")
        )
        changes += [c.replace("{p}", path) for c in place.changes]
        last = f"a{k}"
    few = [choices.pick(changes) for _ in range(choices.integer(1, 3))]
    shape = choices.pick([(), (3,)])
    inputs = (Input("x", shape, "python" if not shape and choices.integer(0, 1) else "float64", "C", 2, 5),)
    result = choices.pick([last, f"np.sum({last} * {last})", f"np.sum(np.sin({last}) + {last})"])
    return NetProgram(inputs, tuple(steps), result, tuple(setup), tuple(dict.fromkeys(few)))


def _number(choices: Choices) -> str:
    return choices.pick(["2.0", "3.0", "0.5", "-1.5", "4", "7.0"])


def _place(choices: Choices, depth: int) -> _Place:
    if depth == 0:
        return _leaf(choices)
    inner = _place(choices, depth - 1)
    kinds = [
        "list",
        "dict",
        "Box",
        "Child",
        "Slotted",
        "Outer",
        "Frozen",
        "function",
        "partial",
        "default",
        "loop",
    ]
    return _WRAPPED[choices.pick(kinds)](choices, inner)


def _leaf(choices: Choices) -> _Place:
    old, new = _number(choices), f"{choices.integer(11, 19)}.0"
    form = choices.integer(0, 5)
    if form < 3:
        return _Place(old, "{p}", (f"{{p}} = {new}",))
    if form == 3:
        return _Place(
            "np.array([1.0, 2.0, 3.0])",
            "np.sum({p})",
            ("{p}[1] = 7.0", "{p} *= 2.0", f"{{p}} = np.full(3, {new})"),
        )
    if form == 4:
        at = choices.integer(0, 100_002)
        return _Place("np.ones(100_003)", "np.sum({p})", (f"{{p}}[{at}] = {new}", f"{{p}}[{at}:] += 1.0"))
    return _Place(f"[{old}] * 150", "sum({p})", (f"{{p}}[149] = {new}", f"{{p}}.append({new})", "{p}.pop()"))


def _into(inner: _Place, path: str) -> tuple[str, tuple[str, ...]]:
    """What ``inner`` reads and changes at the end of ``path``."""
    return inner.read.replace("{p}", path), tuple(c.replace("{p}", path) for c in inner.changes)


def _list(choices: Choices, inner: _Place) -> _Place:
    read, changes = _into(inner, "{p}[0]")
    read = choices.pick([read, read, f"len({{p}}) * {read}"])
    return _Place(f"[{inner.make}, 1.0]", read, (*changes, f"{{p}} = [{inner.make}, 5.0, 6.0]"), inner.needs)


def _loop(choices: Choices, inner: _Place) -> _Place:
    item, _ = _into(inner, "item")
    _, changes = _into(inner, "{p}[1]")
    # A number of a list is changed in its place; what is behind an object or a container is, too.
    return _Place(
        f"[{inner.make}, {inner.make}]",
        f"sum({item} for item in {{p}})",
        (*changes, "{p}.pop()", f"{{p}}.append({inner.make})", "{p}.reverse()"),
        inner.needs,
    )


def _dict(choices: Choices, inner: _Place) -> _Place:
    read, changes = _into(inner, "{p}['k']")
    item, _ = _into(inner, "item")
    read = choices.pick([read, f"sum({item} for item in {{p}}.values())", _into(inner, "{p}.get('k')")[0]])
    return _Place(f"{{'k': {inner.make}}}", read, (*changes, f"{{p}}['m'] = {inner.make}"), inner.needs)


def _box(choices: Choices, inner: _Place, name: str = "Box") -> _Place:
    _, changes = _into(inner, "{p}.v")
    forms = ["{p}.v", "{p}.get()", "{p}.prop", "{p}()", "{p}[0]", "getattr({p}, 'v')", "vars({p})['v']"]
    reads = [_into(inner, form)[0] for form in forms]
    if inner.read == "{p}":
        reads += ["{p}.twice()", "{p}.scaled()", "{p}.common() * {p}.v", "{p}.fixed(1.0) * {p}.v"]
    replaced = "Box.get = lambda self: self.v" if name == "Child" else f"{{p}} = {name}({inner.make})"
    more = ("Box.shared = 9.0", "{p}.shared = 8.0", replaced) if inner.read == "{p}" else (replaced,)
    return _Place(f"{name}({inner.make})", choices.pick(reads), (*changes, *more), (name, *inner.needs))


def _child(choices: Choices, inner: _Place) -> _Place:
    made = _box(choices, inner, "Child" if inner.read == "{p}" else "Box")
    return made._replace(read="{p}.get()") if inner.read == "{p}" else made


def _slotted(choices: Choices, inner: _Place) -> _Place:
    _, changes = _into(inner, "{p}.v")
    read = _into(inner, choices.pick(["{p}.v", "{p}.get()"]))[0]
    return _Place(
        f"Slotted({inner.make})", read, (*changes, f"{{p}} = Slotted({inner.make})"), ("Slotted", *inner.needs)
    )


def _outer(choices: Choices, inner: _Place) -> _Place:
    _, changes = _into(inner, "{p}.inner.v")
    forms = ["{p}.get()", "{p}.inner.v", "{p}.parts[0].get()"]
    reads = [_into(inner, form)[0] for form in forms]
    if inner.read == "{p}":
        reads += ["{p}.total()"]
        changes += ("{p}.parts.append(Box(2.5))",)
    return _Place(f"Outer({inner.make})", choices.pick(reads), changes, ("Outer", *inner.needs))


def _frozen(choices: Choices, inner: _Place) -> _Place:
    _, changes = _into(inner, "{p}.v")
    read = _into(inner, "{p}.v")[0]
    if inner.read == "{p}":
        read, changes = choices.pick(["{p}.v", "{p}.get()"]), (*changes, "{p}.rate = 6.0")
    return _Place(f"Frozen({inner.make})", read, changes, ("Frozen", *inner.needs))


def _function(choices: Choices, inner: _Place) -> _Place:
    """A value that a function holds in its closure."""
    held = "{p}.__closure__[0].cell_contents"
    changes = () if inner.read == "{p}" else _into(inner, held)[1]
    make = f"(lambda held: lambda: held)({inner.make})"
    return _Place(
        make,
        _into(inner, "{p}()")[0],
        (*changes, f"{held} = {inner.make}", f"{{p}} = lambda: {inner.make}"),
        inner.needs,
    )


def _partial(choices: Choices, inner: _Place) -> _Place:
    _, changes = _into(inner, "{p}.args[0][0]")
    make = f"__import__('functools').partial(lambda held: held[0], [{inner.make}])"
    return _Place(make, _into(inner, "{p}()")[0], changes, inner.needs)


def _default(choices: Choices, inner: _Place) -> _Place:
    _, changes = _into(inner, "{p}.__defaults__[0][0]")
    return _Place(f"(lambda held=[{inner.make}]: held[0])", _into(inner, "{p}()")[0], changes, inner.needs)


_WRAPPED = {
    "list": _list, "dict": _dict, "Box": _box, "Child": _child, "Slotted": _slotted, "Outer": _outer,
    "Frozen": _frozen, "function": _function, "partial": _partial, "default": _default, "loop": _loop,
}  # fmt: skip
