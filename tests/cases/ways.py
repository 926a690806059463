"""Ways in which a function can read the world: each gives ``f(x) = 2 x`` and, after a change, ``5 x``.

A way is a function that returns ``f`` and what makes the change. Those in ``REFUSED`` cannot be watched; what
they read has the name that is given there.
"""

import abc
import argparse
import array
import builtins
import collections
import configparser
import contextlib
import contextvars
import copy
import ctypes
import dataclasses
import enum
import functools
import importlib
import io
import itertools
import operator
import os
import random
import sys
import tempfile
import threading
import time
import types
import typing
import uuid
import warnings
import weakref
from types import SimpleNamespace

import numpy as np

WAYS = {}
REFUSED = {}


def way(make):
    WAYS[make.__name__.replace("_", " ")] = make
    return make


def refused(name):
    def keep(make):
        REFUSED[make.__name__.replace("_", " ")] = make, name
        return make

    return keep


class Box:
    """An object with a method, a property and more, all of ``k``."""

    shared = 2.0

    def __init__(self, k=2.0):
        self.k = k

    def f(self, x):
        return self.k * x

    def g(self, x):
        return self.f(x)

    @property
    def rate(self):
        return self.k

    @functools.cached_property
    def lazy(self):
        return self.k

    @classmethod
    def of_class(cls, x):
        return cls.shared * x

    @staticmethod
    def of_none(x):
        return Box.shared * x

    def __call__(self, x):
        return self.k * x

    def __mul__(self, x):
        return self.k * x

    def __getitem__(self, i):
        return self.k

    def __len__(self):
        return int(self.k)

    def __iter__(self):
        yield self.k

    def __contains__(self, y):
        return self.k == y

    def __bool__(self):
        return self.k == 2.0

    def __enter__(self):
        return self.k

    def __exit__(self, *_):
        pass

    def __eq__(self, other):
        return self.k == other

    __hash__ = object.__hash__


class Slotted:
    __slots__ = ("k", "unset")

    def __init__(self):
        self.k = 2.0


def fresh(base=Box, **members):
    """A class of its own, so that it can be changed."""
    return type("Fresh", (base,), members)


def sets(owner, name="k", value=5.0):
    return lambda: setattr(owner, name, value)


def enters(mapping, key="k", value=5.0):
    return lambda: mapping.__setitem__(key, value)


# ── globals, cells, defaults ─────────────────────────────────────────────────────────────────
@way
def a_global():
    globals()["G"] = 2.0
    return lambda x: G * x, enters(globals(), "G")  # noqa: F821


@way
def a_global_that_shadows_a_builtin():
    globals().pop("len", None)
    undo.append(lambda: globals().pop("len", None))
    return lambda x: len([0, 0]) * x, enters(globals(), "len", lambda _: 5.0)


@way
def a_global_that_was_not_there():
    globals().pop("LATE", None)

    def f(x):
        try:
            return LATE * x
        except NameError:
            return 2.0 * x

    return f, enters(globals(), "LATE")


@way
def a_global_that_is_deleted():
    globals()["SOON"] = 2.0

    def f(x):
        try:
            return SOON * x
        except NameError:
            return 5.0 * x

    return f, lambda: globals().pop("SOON")


@way
def globals_by_name():
    globals()["BY"] = 2.0
    return lambda x: globals()["B" + "Y"] * x, enters(globals(), "BY")


@way
def a_name_in_eval():
    globals()["EV"] = 2.0
    return lambda x: eval("EV") * x, enters(globals(), "EV")


@way
def a_closure_variable():
    k = 2.0

    def change():
        nonlocal k
        k = 5.0

    return lambda x: k * x, change


@way
def a_closure_variable_not_yet_there():
    def f(x):
        try:
            return k * x
        except NameError:
            return 2.0 * x

    def change():
        nonlocal k
        k = 5.0

    if False:
        k = 0
    return f, change


@way
def a_closure_variable_of_a_function_in_a_closure():
    k = 2.0
    inner = lambda x: k * x

    def change():
        nonlocal k
        k = 5.0

    return lambda x: inner(x), change


@way
def a_function_that_is_replaced():
    globals()["helper"] = lambda x: 2.0 * x
    return lambda x: helper(x), enters(globals(), "helper", lambda x: 5.0 * x)  # noqa: F821


@way
def the_code_of_a_function():
    def g(x):
        return 2.0 * x

    return lambda x: g(x), lambda: setattr(g, "__code__", (lambda x: 5.0 * x).__code__)


@way
def the_defaults_of_a_function():
    def g(x, k=2.0):
        return k * x

    return lambda x: g(x), lambda: setattr(g, "__defaults__", (5.0,))


@way
def the_defaults_of_the_function_itself():
    def g(x, k=2.0):
        return k * x

    return g, lambda: setattr(g, "__defaults__", (5.0,))


@way
def the_keyword_defaults_of_a_function():
    def g(x, *, k=2.0):
        return k * x

    return lambda x: g(x), enters(g.__kwdefaults__)


@way
def a_mutable_default():
    def g(x, ks=[2.0]):  # noqa: B006
        return ks[0] * x

    return g, enters(g.__defaults__[0], 0)


@way
def a_mutable_keyword_default():
    def g(x, *, ks={"k": 2.0}):  # noqa: B006
        return ks["k"] * x

    return lambda x: g(x), enters(g.__kwdefaults__["ks"])


@way
def an_object_as_a_default():
    box = Box()

    def g(x, b=box):
        return b.f(x)

    return g, sets(box)


@way
def an_attribute_of_a_function():
    def g(x):
        return g.k * x

    g.k = 2.0
    return g, sets(g)


@way
def the_content_of_a_cell():
    k = 2.0
    g = lambda x: k * x
    return lambda x: g(x), lambda: setattr(g.__closure__[0], "cell_contents", 5.0)


# ── objects ──────────────────────────────────────────────────────────────────────────────────
@way
def an_attribute():
    box = Box()
    return lambda x: box.k * x, sets(box)


@way
def an_attribute_of_a_global_object():
    globals()["MODEL"] = Box()
    return lambda x: MODEL.k * x, sets(MODEL)  # noqa: F821


@way
def a_method_of_a_closed_over_object():
    box = Box()
    return lambda x: box.f(x), sets(box)


@way
def a_method_of_a_global_object():
    globals()["MODEL"] = Box()
    return lambda x: MODEL.f(x), sets(MODEL)  # noqa: F821


@way
def a_bound_method():
    box = Box()
    return box.f, sets(box)


@way
def a_second_method():
    box = Box()
    return box.g, sets(box)


@way
def a_second_method_of_a_closed_over_object():
    box = Box()
    return lambda x: box.g(x), sets(box)


@way
def a_bound_method_kept_in_a_variable():
    box = Box()
    f = box.f
    return lambda x: f(x), sets(box)


@way
def a_bound_method_kept_in_another_object():
    box = Box()
    other = SimpleNamespace(f=box.f)
    return lambda x: other.f(x), sets(box)


@way
def a_property():
    box = Box()
    return lambda x: box.rate * x, sets(box)


@way
def a_property_of_a_method_s_object():
    class P(Box):
        def h(self, x):
            return self.rate * x

    box = P()
    return box.h, sets(box)


@way
def a_property_that_is_replaced():
    kind = fresh(rate=property(lambda self: 2.0))
    box = kind()
    return lambda x: box.rate * x, sets(kind, "rate", property(lambda self: 5.0))


@way
def an_attribute_of_what_a_property_gives():
    inner = Box()
    kind = fresh(part=property(lambda self: inner))
    box = kind()
    return lambda x: box.part.k * x, sets(inner)


@way
def an_attribute_that_a_property_shadows_later():
    kind = fresh()
    box = kind()
    return lambda x: box.k * x, sets(kind, "k", property(lambda self: 5.0))


@way
def a_cached_property_that_was_read():
    box = Box()
    assert box.lazy == 2.0
    return lambda x: box.lazy * x, enters(box.__dict__, "lazy")


@way
def a_cached_property_that_is_read_while_tracing():
    box = Box()

    def change():
        del box.lazy
        box.k = 5.0

    return lambda x: box.lazy * x, change


@way
def slots():
    s = Slotted()
    return lambda x: s.k * x, sets(s)


@way
def a_slot_that_was_empty():
    s = Slotted()

    def f(x):
        try:
            return s.unset * x
        except AttributeError:
            return 2.0 * x

    return f, sets(s, "unset")


@way
def slots_in_a_method():
    class S(Slotted):
        __slots__ = ()

        def f(self, x):
            return self.k * x

    s = S()
    return s.f, sets(s)


@way
def a_class_attribute():
    kind = fresh(k2=2.0)
    return lambda x: kind.k2 * x, sets(kind, "k2")


@way
def a_class_attribute_through_the_object():
    kind = fresh(k2=2.0)
    box = kind()
    return lambda x: box.k2 * x, sets(kind, "k2")


@way
def a_class_attribute_that_the_object_shadows_later():
    kind = fresh(k2=2.0)
    box = kind()
    return lambda x: box.k2 * x, sets(box, "k2")


@way
def a_class_attribute_that_a_subclass_shadows_later():
    kind = fresh(k2=2.0)
    sub = fresh(kind)
    box = sub()
    return lambda x: box.k2 * x, sets(sub, "k2")


@way
def a_class_attribute_through_the_method_s_class():
    class C(Box):
        k2 = 2.0

        def h(self, x):
            return type(self).k2 * x

    return C().h, sets(C, "k2")


@way
def a_class_attribute_behind_one_of_the_object():
    class C(Box):
        k2 = 2.0

        def h(self, x):
            return type(self).k2 * x

    c = C()
    c.k2 = 7.0
    return c.h, sets(C, "k2")


@way
def a_class_attribute_through_dunder_class():
    class C(Box):
        k2 = 2.0

        def h(self, x):
            return self.__class__.k2 * x

    return C().h, sets(C, "k2")


@way
def a_class_attribute_in_a_class_method():
    kind = fresh(shared=2.0)
    return lambda x: kind.of_class(x), sets(kind, "shared")


@way
def a_class_attribute_in_a_static_method():
    undo.append(lambda v=Box.shared: setattr(Box, "shared", v))
    return lambda x: Box.of_none(x), sets(Box, "shared")


@way
def an_attribute_deleted_so_that_the_class_s_is_seen():
    kind = fresh(k2=5.0)
    box = kind()
    box.k2 = 2.0
    return lambda x: box.k2 * x, lambda: delattr(box, "k2")


@way
def the_class_of_an_object():
    kind = fresh(f=lambda self, x: 5.0 * x)
    box = Box()
    return lambda x: box.f(x), sets(box, "__class__", kind)


@way
def the_class_of_an_object_asked_by_isinstance():
    kind = fresh()
    box = Box()
    return lambda x: (5.0 if isinstance(box, kind) else 2.0) * x, sets(box, "__class__", kind)


@way
def the_bases_of_a_class():
    class A:
        def f(self, x):
            return 2.0 * x

    class B:
        def f(self, x):
            return 5.0 * x

    class C(A):
        pass

    c = C()
    return lambda x: c.f(x), sets(C, "__bases__", (B,))


@way
def a_method_replaced_on_its_class():
    kind = fresh()
    box = kind()
    return lambda x: box.f(x), sets(kind, "f", lambda self, x: 5.0 * x)


@way
def a_method_replaced_on_a_base():
    base = fresh(m=lambda self, x: 2.0 * x)
    box = fresh(base)()
    return lambda x: box.m(x), sets(base, "m", lambda self, x: 5.0 * x)


@way
def a_method_replaced_on_the_object():
    box = Box()
    return lambda x: box.f(x), sets(box, "f", lambda x: 5.0 * x)


@way
def a_second_method_replaced_on_its_class():
    kind = fresh()
    return kind().g, sets(kind, "f", lambda self, x: 5.0 * x)


@way
def the_compiled_method_replaced_on_its_class():
    kind = fresh(m=lambda self, x: self.n(x), n=lambda self, x: 2.0 * x)
    return kind().m, sets(kind, "n", lambda self, x: 5.0 * x)


@way
def a_method_of_a_super_class():
    class A:
        def f(self, x):
            return 2.0 * x

    class B(A):
        def f(self, x):
            return super().f(x)

    return B().f, sets(A, "f", lambda self, x: 5.0 * x)


@way
def an_attribute_in_a_method_of_a_super_class():
    class B(Box):
        def f(self, x):
            return super().f(x)

    b = B()
    return lambda x: b.f(x), sets(b)


SPECIAL = {
    "a call": lambda box, x: box(x),
    "an operator": lambda box, x: box * x,
    "an index": lambda box, x: box[0] * x,
    "a length": lambda box, x: len(box) * x,
    "a loop": lambda box, x: sum(k * x for k in box),
    "unpacking": lambda box, x: [*box][0] * x,
    "in": lambda box, x: (2.0 if 2.0 in box else 5.0) * x,
    "a truth value": lambda box, x: (2.0 if box else 5.0) * x,
    "with": lambda box, x: _within(box, x),
    "an equality": lambda box, x: (2.0 if box == 2.0 else 5.0) * x,
    "getattr": lambda box, x: getattr(box, "k") * x,  # noqa: B009
    "getattr of a computed name": lambda box, x: getattr(box, "kk"[1:]) * x,
    "getattr with a default": lambda box, x: getattr(box, "k", 3.0) * x,
    "vars": lambda box, x: vars(box)["k"] * x,
    "the dict": lambda box, x: box.__dict__["k"] * x,
    "items of vars": lambda box, x: sum(v for _, v in sorted(vars(box).items()) if v) * x,
    "object's getattribute": lambda box, x: object.__getattribute__(box, "k") * x,
    "attrgetter": lambda box, x: operator.attrgetter("k")(box) * x,
    "methodcaller": lambda box, x: operator.methodcaller("f", x)(box),
    "a copy": lambda box, x: copy.copy(box).k * x,
    "a deep copy": lambda box, x: copy.deepcopy(box).k * x,
    "a comprehension": lambda box, x: [b.k * x for b in [box]][0],
    "a generator": lambda box, x: next(b.k * x for b in [box]),
    "map": lambda box, x: list(map(lambda b: b.k * x, [box]))[0],
    "map of a method": lambda box, x: list(map(box.f, [x]))[0],
    "sorted by": lambda box, x: sorted([box], key=lambda b: b.k)[0].k * x,
    "reduce": lambda box, x: functools.reduce(lambda a, b: a * b.k, [box], x),
    "a function of it": lambda box, x: _rate(box) * x,
    "what a function gives back": lambda box, x: _same(box).k * x,
    "a method of what a function gives back": lambda box, x: _same(box).f(x),
    "a pair of it": lambda box, x: _pair(box)[1].k * x,
    "a match": lambda box, x: _matched(box) * x,
    "a walrus": lambda box, x: (k := box.k) and k * x,
    "a conditional": lambda box, x: (box if x is not None else None).k * x,
    "a lambda made inside": lambda box, x: (lambda: box.k * x)(),
    "a class made inside": lambda box, x: _made_class(box)().k * x,
    "an object made inside": lambda box, x: SimpleNamespace(inner=box).inner.k * x,
    "a list made inside": lambda box, x: [box, box][-1].k * x,
    "a dict made inside": lambda box, x: {"b": box}["b"].k * x,
    "a partial made inside": lambda box, x: functools.partial(Box.f, box)(x),
    "the class's function": lambda box, x: Box.f(box, x),
    "a variable set twice": lambda box, x: _set_twice(box, x),
    "a loop over many": lambda box, x: _in_a_loop([Box(0.0), box], x),
    "an exception": lambda box, x: _raised(box) * x,
    "an f-string": lambda box, x: float(f"{box.k}") * x,
    "weakref": lambda box, x: weakref.ref(box)().k * x,
    "a proxy": lambda box, x: weakref.proxy(box).k * x,
    "hasattr": lambda box, x: (box.k if hasattr(box, "k") else 0.0) * x,
    "recursion": lambda box, x: _down(box, 3) * x,
    "star arguments": lambda box, x: _starred(*[box], **{"y": x}),
    "exec": lambda box, x: _executed(box) * x,
}


def _within(box, x):
    with box as k:
        return k * x


def _rate(b):
    return b.k


def _same(b):
    return b


def _pair(b):
    return 0, b


def _matched(b):
    match b:
        case Box(k=k):
            return k
    return 0.0


def _made_class(b):
    class Made:
        k = b.k

    return Made


def _set_twice(b, x):
    m = b
    y = m.k * x
    m = None
    return y if m is None else x


def _in_a_loop(bs, x):
    total = 0.0
    for b in bs:
        total = total + b.k * x
    b = None
    return total


def _raised(b):
    try:
        raise KeyError(b)
    except KeyError as e:
        return e.args[0].k


def _down(b, n):
    return b.k if n == 0 else _down(b, n - 1)


def _starred(*args, **kwargs):
    return args[0].k * kwargs["y"]


def _executed(b):
    space = {"b": b}
    exec("k = b.k", space)
    return space["k"]


def _special(use, hold):
    def make():
        box = Box()
        held = hold(box)
        return lambda x: use(held(), x), sets(box)

    return make


HOLDERS = {
    "closed over": lambda box: lambda: box,
    "in a list": lambda box, held=None: lambda held=[box]: held[0],
    "in a dict in an object": lambda box: lambda o=SimpleNamespace(d={"b": box}): o.d["b"],
}
for _name, _use in SPECIAL.items():
    for _where, _hold in HOLDERS.items():
        WAYS[f"{_name}, {_where}"] = _special(_use, _hold)


@way
def getattr_of_an_attribute_that_was_not_there():
    box = Box()
    return lambda x: getattr(box, "late", 2.0) * x, sets(box, "late")


@way
def hasattr_of_an_attribute_that_was_not_there():
    box = Box()
    return lambda x: (5.0 if hasattr(box, "late") else 2.0) * x, sets(box, "late")


@way
def an_attribute_that_was_not_there_caught():
    box = Box()

    def f(x):
        try:
            return box.late * x
        except AttributeError:
            return 2.0 * x

    return f, sets(box, "late")


@way
def an_attribute_that_was_not_there_caught_further_out():
    box = Box()
    g = lambda b, x: b.late * x

    def f(x):
        try:
            return g(box, x)
        except AttributeError:
            return 2.0 * x

    return f, sets(box, "late")


@way
def a_dunder_getattr():
    kind = fresh(__getattr__=lambda self, name: self.k)
    box = kind()
    return lambda x: box.anything * x, sets(box)


@way
def a_dunder_getattr_that_is_shadowed():
    kind = fresh(__getattr__=lambda self, name: 2.0)
    box = kind()
    return lambda x: box.anything * x, sets(box, "anything")


@way
def a_dunder_getattr_of_data():
    class D:
        def __init__(self):
            self._data = {"k": 2.0}

        def __getattr__(self, name):
            return self._data[name]

    d = D()
    return lambda x: d.k * x, enters(d._data)


@way
def a_dunder_getattribute():
    class D:
        def __getattribute__(self, name):
            return object.__getattribute__(self, "_" + name)

    d = D()
    d._k = 2.0
    return lambda x: d.k * x, sets(d, "_k")


@way
def a_descriptor():
    class Rate:
        def __init__(self):
            self.k = 2.0

        def __get__(self, instance, owner):
            return self.k

    rate = Rate()
    box = fresh(r=rate)()
    return lambda x: box.r * x, sets(rate)


@way
def a_descriptor_that_stores_in_the_object():
    class Field:
        def __set_name__(self, owner, name):
            self.name = "_" + name

        def __get__(self, instance, owner):
            return getattr(instance, self.name)

        def __set__(self, instance, value):
            setattr(instance, self.name, value)

    class C:
        k = Field()

    c = C()
    c.k = 2.0
    return lambda x: c.k * x, sets(c)


@way
def a_metaclass_attribute():
    meta = type("Meta", (type,), {"k": 2.0})
    kind = meta("Kind", (), {})
    return lambda x: kind.k * x, sets(meta)


@way
def a_class_registry():
    class Base:
        registry: typing.ClassVar = {}

    Base.registry["a"] = lambda x: 2.0 * x
    return lambda x: Base.registry["a"](x), enters(Base.registry, "a", lambda x: 5.0 * x)


@way
def subclasses_in_a_registry():
    class Base:
        kinds: typing.ClassVar = []

        def __init_subclass__(cls):
            Base.kinds.append(cls)

    class One(Base):
        k = 2.0

    def change():
        class Two(Base):
            k = 3.0

    return lambda x: sum(kind.k for kind in Base.kinds) * x, change


@way
def an_abstract_class():
    class A(abc.ABC):
        @abc.abstractmethod
        def rate(self): ...

        def f(self, x):
            return self.rate() * x

    class B(A):
        def __init__(self):
            self.k = 2.0

        def rate(self):
            return self.k

    b = B()
    return b.f, sets(b)


@way
def a_dataclass():
    @dataclasses.dataclass
    class D:
        k: float = 2.0

    d = D()
    return lambda x: d.k * x, sets(d)


@way
def a_dataclass_asked_for_its_fields():
    @dataclasses.dataclass
    class D:
        k: float = 2.0

    d = D()
    return lambda x: dataclasses.asdict(d)["k"] * x, sets(d)


@way
def a_dataclass_with_slots():
    @dataclasses.dataclass(slots=True)
    class D:
        k: float = 2.0

    d = D()
    return lambda x: dataclasses.astuple(d)[0] * x, sets(d)


@way
def a_frozen_dataclass_with_a_list():
    @dataclasses.dataclass(frozen=True)
    class D:
        ks: list

    d = D([2.0])
    return lambda x: d.ks[0] * x, enters(d.ks, 0)


@way
def a_frozen_dataclass_changed_behind_its_back():
    @dataclasses.dataclass(frozen=True)
    class D:
        k: float = 2.0

    d = D()
    return lambda x: d.k * x, lambda: object.__setattr__(d, "k", 5.0)


@way
def a_named_tuple_in_an_object():
    T = collections.namedtuple("T", "k")
    o = SimpleNamespace(t=T(2.0))
    return lambda x: o.t.k * x, sets(o, "t", T(5.0))


@way
def a_list_in_a_named_tuple():
    T = collections.namedtuple("T", "ks")
    t = T([2.0])
    return lambda x: t.ks[0] * x, enters(t.ks, 0)


@way
def an_enum_member():
    class E(enum.Enum):
        A = 2.0
        B = 5.0

    o = SimpleNamespace(e=E.A)
    return lambda x: o.e.value * x, sets(o, "e", E.B)


@way
def an_attribute_of_an_enum_member():
    class E(enum.Enum):
        A = 1

    E.A.k = 2.0
    return lambda x: E.A.k * x, sets(E.A)


@way
def a_simple_namespace():
    s = SimpleNamespace(k=2.0)
    return lambda x: s.k * x, sets(s)


@way
def a_deep_chain():
    s = SimpleNamespace(a=SimpleNamespace(b=SimpleNamespace(c=Box())))
    return lambda x: s.a.b.c.f(x), sets(s.a.b.c)


@way
def an_object_in_a_chain_replaced():
    s = SimpleNamespace(a=SimpleNamespace(b=Box()))
    return lambda x: s.a.b.k * x, sets(s, "a", SimpleNamespace(b=Box(5.0)))


@way
def layers_of_a_model():
    class Layer:
        def __init__(self, rate):
            self.rate = rate

        def __call__(self, x):
            return self.rate * x

    class Model:
        def __init__(self):
            self.layers = [Layer(1.0), Layer(2.0)]

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    m = Model()
    return m.forward, sets(m.layers[1], "rate")


# ── containers ───────────────────────────────────────────────────────────────────────────────
@way
def an_entry_of_a_list():
    ks = [2.0]
    return lambda x: ks[0] * x, enters(ks, 0)


@way
def an_entry_of_a_list_by_a_computed_index():
    ks, i = [0.0, 2.0], [0, 1]
    return lambda x: ks[i[-1]] * x, enters(ks, 1)


@way
def the_length_of_a_list():
    ks = [0, 0]
    return lambda x: len(ks) * x, lambda: ks.extend([0, 0, 0])


@way
def an_entry_of_a_long_list():
    ks = [0.0] * 5000
    ks[4321] = 2.0
    return lambda x: sum(ks) * x, enters(ks, 4321)


@way
def an_entry_of_a_list_of_lists_deep_down():
    ks = [[[[[[2.0]]]]]]
    return lambda x: ks[0][0][0][0][0][0] * x, enters(ks[0][0][0][0][0], 0)


@way
def an_object_in_a_list():
    ks = [Box(0.0), Box()]
    return lambda x: sum(b.k for b in ks) * x, sets(ks[1])


@way
def an_object_in_a_global_list():
    globals()["LAYERS"] = [Box()]

    def f(x):
        for layer in LAYERS:  # noqa: F821
            x = layer.k * x
        return x

    return f, sets(LAYERS[0])  # noqa: F821


@way
def an_object_in_a_long_list():
    ks = [Box(0.0) for _ in range(300)]
    ks[222].k = 2.0
    return lambda x: sum(b.k for b in ks) * x, sets(ks[222])


@way
def an_object_in_a_tuple():
    ks = (Box(),)
    return lambda x: ks[0].k * x, sets(ks[0])


@way
def an_object_in_a_dict():
    ks = {"a": Box()}
    return lambda x: sum(b.k for b in ks.values()) * x, sets(ks["a"])


@way
def an_object_got_from_a_dict():
    ks = {"a": Box()}
    return lambda x: ks.get("a").k * x, sets(ks["a"])


@way
def an_entry_of_a_dict():
    ks = {"k": 2.0}
    return lambda x: ks["k"] * x, enters(ks)


@way
def an_entry_of_a_dict_by_get():
    ks = {}
    return lambda x: ks.get("k", 2.0) * x, enters(ks)


@way
def a_key_of_a_dict():
    ks = {2.0: None}

    def change():
        ks.clear()
        ks[5.0] = None

    return lambda x: sum(ks) * x, change


@way
def the_order_of_a_dict():
    ks = {"a": 2.0, "b": 5.0}

    def change():
        ks["a"] = ks.pop("a")

    return lambda x: next(iter(ks.values())) * x, change


@way
def whether_a_key_is_in_a_dict():
    ks = {}
    return lambda x: (5.0 if "k" in ks else 2.0) * x, enters(ks)


@way
def a_key_error():
    ks = {}

    def f(x):
        try:
            return ks["k"] * x
        except KeyError:
            return 2.0 * x

    return f, enters(ks)


@way
def a_function_in_a_dict():
    ks = {"f": lambda x: 2.0 * x}
    return lambda x: ks["f"](x), enters(ks, "f", lambda x: 5.0 * x)


@way
def what_a_function_in_a_dict_reads():
    box = Box()
    ks = {"f": lambda x: box.k * x}
    return lambda x: ks["f"](x), sets(box)


@way
def what_a_function_in_a_list_of_an_object_reads():
    box = Box()
    o = SimpleNamespace(steps=[lambda x: box.f(x)])

    def f(x):
        for step in o.steps:
            x = step(x)
        return x

    return f, sets(box)


CONTAINERS = {
    "a default dict": (lambda: collections.defaultdict(float, k=2.0), lambda d: d["k"], enters),
    "an ordered dict": (lambda: collections.OrderedDict(k=2.0), lambda d: d["k"], enters),
    "a counter": (lambda: collections.Counter(k=2), lambda d: d["k"] * 1.0, lambda d: enters(d, "k", 5)),
    "a user dict": (lambda: collections.UserDict(k=2.0), lambda d: d["k"], enters),
    "a user list": (lambda: collections.UserList([2.0]), lambda d: d[0], lambda d: enters(d, 0)),
    "a chain map": (lambda: collections.ChainMap({}, {"k": 2.0}), lambda d: d["k"], enters),
    "a subclass of dict": (lambda: fresh(dict)(k=2.0), lambda d: d["k"], enters),
    "a subclass of list": (lambda: fresh(list)([2.0]), lambda d: d[0], lambda d: enters(d, 0)),
    "a deque": (lambda: collections.deque([2.0]), lambda d: d[0], lambda d: enters(d, 0)),
    "a set": (lambda: {2.0}, lambda d: max(d), lambda d: lambda: d.add(5.0)),
    "an array": (lambda: array.array("d", [2.0]), lambda d: d[0], lambda d: enters(d, 0)),
    "a bytearray": (lambda: bytearray([2]), lambda d: d[0] * 1.0, lambda d: enters(d, 0, 5)),
    "a memory view": (lambda: memoryview(bytearray([2])), lambda d: d[0] * 1.0, lambda d: enters(d, 0, 5)),
    "a mapping proxy": (
        lambda: SimpleNamespace(d=(d := {"k": 2.0}), p=types.MappingProxyType(d)),
        lambda o: o.p["k"],
        lambda o: enters(o.d),
    ),
    "a view of values": (
        lambda: SimpleNamespace(d=(d := {"k": 2.0}), p=d.values()),
        lambda o: sum(o.p),
        lambda o: enters(o.d),
    ),
    "a view of items": (
        lambda: SimpleNamespace(d=(d := {"k": 2.0}), p=d.items()),
        lambda o: dict(o.p)["k"],
        lambda o: enters(o.d),
    ),
    "a weak dict": (
        lambda: SimpleNamespace(b=(b := Box()), d=weakref.WeakValueDictionary(b=b)),
        lambda o: o.d["b"].k,
        lambda o: sets(o.b),
    ),
    "a weak key dict": (
        lambda: SimpleNamespace(b=(b := Box()), d=weakref.WeakKeyDictionary({b: 2.0})),
        lambda o: list(o.d.values())[0],
        lambda o: enters(o.d, o.b),
    ),
    "a structure of C": (lambda: ctypes.c_double(2.0), lambda c: c.value, lambda c: sets(c, "value")),
    "an array of C": (lambda: (ctypes.c_double * 2)(2.0), lambda c: c[0], lambda c: enters(c, 0)),
    "an environment": (
        lambda: os.environ.__setitem__("XPGRAD_K", "2.0") or os.environ,
        lambda e: float(e["XPGRAD_K"]),
        lambda e: enters(e, "XPGRAD_K", "5.0"),
    ),
    "a polynomial of NumPy's": (
        lambda: np.polynomial.Polynomial([2.0]),
        lambda p: float(p(1.0)),
        lambda p: enters(p.coef, 0),
    ),
    "a thread's local": (lambda: _local(), lambda t: t.k, sets),
    "a context variable": (lambda: _variable(), lambda v: v.get(), lambda v: lambda: v.set(5.0)),
    "an object of a context variable": (
        lambda: SimpleNamespace(v=_variable(b := Box()), b=b),
        lambda o: o.v.get().k,
        lambda o: sets(o.b),
    ),
}


def _local():
    t = threading.local()
    t.k = 2.0
    return t


def _variable(value=2.0):
    v = contextvars.ContextVar("v")
    v.set(value)
    return v


def _contained(make, read, change, hold):
    def one():
        thing = make()
        held = hold(thing)
        return lambda x: read(held()) * x, change(thing)

    return one


for _name, (_make, _read, _change) in CONTAINERS.items():
    for _where, _hold in HOLDERS.items():
        WAYS[f"{_name}, {_where}"] = _contained(_make, _read, _change, _hold)


@way
def a_list_in_a_partial():
    ks = [2.0]
    return functools.partial(lambda ks, x: ks[0] * x, ks), enters(ks, 0)


@way
def a_list_in_a_partial_closed_over():
    p = functools.partial(lambda x, ks: ks[0] * x, ks=[2.0])
    return lambda x: p(x), enters(p.keywords["ks"], 0)


@way
def a_keyword_of_a_partial():
    p = functools.partial(lambda x, k: k * x, k=2.0)
    return p, enters(p.keywords)


@way
def an_object_in_a_partial():
    box = Box()
    return functools.partial(Box.f, box), sets(box)


@way
def a_partial_method():
    class C(Box):
        p = functools.partialmethod(Box.f)

    c = C()
    return lambda x: c.p(x), sets(c)


@way
def a_bound_c_method():
    ks = {"k": 2.0}
    get = ks.get
    return lambda x: get("k") * x, enters(ks)


@way
def a_bound_dunder_of_c():
    ks = [2.0]
    get = ks.__getitem__
    return lambda x: get(0) * x, enters(ks, 0)


@way
def an_item_getter():
    ks = {"k": 2.0}
    get = operator.itemgetter("k")
    return lambda x: get(ks) * x, enters(ks)


@way
def an_attribute_getter():
    box = SimpleNamespace(b=Box())
    get = operator.attrgetter("b.k")
    return lambda x: get(box) * x, sets(box.b)


@way
def a_weak_reference():
    box = Box()
    keep.append(box)
    ref = weakref.ref(box)
    return lambda x: ref().k * x, sets(box)


@way
def a_proxy_closed_over():
    box = Box()
    keep.append(box)
    proxy = weakref.proxy(box)
    return lambda x: proxy.f(x) + 0 * proxy.k, sets(box)


@way
def a_weak_method():
    box = Box()
    keep.append(box)
    ref = weakref.WeakMethod(box.f)
    return lambda x: ref()(x), sets(box)


# ── caches ───────────────────────────────────────────────────────────────────────────────────
@way
def a_cached_function_that_is_cleared():
    box = Box()
    cached = functools.lru_cache(lambda: box.k)

    def change():
        box.k = 5.0
        cached.cache_clear()

    return lambda x: cached() * x, change


@way
def a_cached_function_that_is_cleared_and_called():
    box = Box()
    cached = functools.cache(lambda: box.k)
    cached()

    def change():
        box.k = 5.0
        cached.cache_clear()
        assert cached() == 5.0

    return lambda x: cached() * x, change


@way
def a_cached_function_that_calls_another():
    box = Box()
    inner = lambda: box.rate
    cached = functools.cache(lambda: inner())
    cached()

    def change():
        box.k = 5.0
        cached.cache_clear()
        assert cached() == 5.0

    return lambda x: cached() * x, change


@way
def a_memo_of_ones_own():
    box, memo = Box(), {}

    def rate():
        if "k" not in memo:
            memo["k"] = box.k
        return memo["k"]

    def change():
        box.k = 5.0
        memo.clear()

    return lambda x: rate() * x, change


@way
def something_made_when_first_asked_for():
    class Lazy:
        box = None

        def get(self):
            if self.box is None:
                self.box = Box()
            return self.box

    lazy = Lazy()
    return lambda x: lazy.get().k * x, lambda: setattr(lazy.box, "k", 5.0)


# ── modules ──────────────────────────────────────────────────────────────────────────────────
def _module(name="xpgrad_test_config", source="k = 2.0\ndef f(x): return k * x\n"):
    module = types.ModuleType(name)
    exec(source, module.__dict__)
    sys.modules[name] = module
    undo.append(lambda: sys.modules.pop(name, None))
    return module


@way
def an_attribute_of_a_module():
    m = _module()
    return lambda x: m.k * x, sets(m)


@way
def a_global_of_a_function_of_a_module():
    m = _module()
    return lambda x: m.f(x), sets(m)


@way
def a_module_imported_inside():
    m = _module()

    def f(x):
        import xpgrad_test_config

        return xpgrad_test_config.k * x

    return f, sets(m)


@way
def a_name_imported_inside():
    m = _module()

    def f(x):
        from xpgrad_test_config import k

        return k * x

    return f, sets(m)


@way
def a_module_that_is_replaced():
    _module()

    def f(x):
        import xpgrad_test_config

        return xpgrad_test_config.k * x

    return f, lambda: _module(source="k = 5.0")


@way
def a_module_that_is_reloaded():
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "xpgrad_test_reloaded.py")
    with open(path, "w") as file:
        file.write("k = 2.0\ndef f(x): return k * x\n")
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    m = importlib.import_module("xpgrad_test_reloaded")
    undo.append(lambda: (sys.path.remove(folder), sys.modules.pop("xpgrad_test_reloaded")))

    def change():
        with open(path, "w") as file:
            file.write("k = 5.00\ndef f(x): return k * x\n")
        importlib.reload(m)

    return lambda x: m.f(x), change


@way
def a_module_s_dunder_getattr():
    m = _module(source="K = {'k': 2.0}\ndef __getattr__(name): return K[name]\n")
    return lambda x: m.k * x, enters(m.K)


@way
def getattr_of_a_module():
    m = _module()
    return lambda x: getattr(m, "k") * x, sets(m)  # noqa: B009


@way
def a_setting_of_the_standard_library():
    undo.append(lambda v=sys.getrecursionlimit: None)
    import string

    string.xpgrad_k = 2.0
    return lambda x: string.xpgrad_k * x, sets(string, "xpgrad_k")


# ── arrays ───────────────────────────────────────────────────────────────────────────────────
ARRAYS = {
    "small": lambda: np.full(3, 2.0),
    "large": lambda: np.full(200_000, 2.0),
    "large, in Fortran order": lambda: np.asfortranarray(np.full((400, 500), 2.0)),
    "large, with strides": lambda: np.full((800, 500), 2.0)[::2],
    "float32": lambda: np.full(5000, 2.0, np.float32),
    "integers": lambda: np.full(70_000, 2),
    "objects": lambda: np.full(3, 2.0).astype(object),
    "a memory map": lambda: _mapped(),
    "a subclass": lambda: np.full(9000, 2.0).view(fresh(np.ndarray)),
    "read only": lambda: _read_only(),
}


def _mapped():
    file = tempfile.NamedTemporaryFile()
    keep.append(file)
    x = np.memmap(file.name, dtype=float, shape=6000, mode="w+")
    x[:] = 2.0
    return x


def _read_only():
    whole = np.full(7000, 2.0)
    keep.append(whole)
    x = whole[:]
    x.flags.writeable = False
    return x


def _last(x):
    y = np.asarray(x if x.base is None or x.flags.writeable else x.base)
    return y, tuple(n // 2 for n in y.shape)


def _used(use):
    def kind(make):
        def one():
            table = make()
            y, at = _last(table)
            at_x = tuple(n // 2 for n in table.shape)
            return lambda x: use(table, at_x) * x, lambda: y.__setitem__(at, 5)

        return one

    return kind


USES = {
    "one entry": lambda table, at: float(table[at]),
    "the greatest": lambda table, at: float(np.max(table)),
    "a sum that NumPy computes": lambda table, at: float(table.sum()) - 2.0 * (table.size - 1),
}
for _name, _make in ARRAYS.items():
    for _what, _use in USES.items():
        WAYS[f"{_what} of an array: {_name}"] = _used(_use)(_make)


@way
def an_array_as_an_operand():
    table = np.full(100_000, 2.0)
    return lambda x: np.max(table * x), enters(table, 77_777)


@way
def a_small_array_as_an_operand():
    table = np.full(10, 2.0)
    return lambda x: np.max(table * x), enters(table, 7)


@way
def an_array_as_an_operand_sorted_in_place():
    table = np.full(100_000, 2.0)
    table[0] = 5.0
    return lambda x: (table * x)[-1], table.sort


@way
def two_entries_of_a_large_array_swapped():
    table = np.zeros(100_000)
    table[3:5] = 2.0, 5.0

    def change():
        table[[3, 4]] = table[[4, 3]]

    return lambda x: float(table[3]) * x, change


@way
def an_array_of_an_object():
    o = SimpleNamespace(X=np.full(50_000, 2.0))
    return lambda x: np.max(o.X) * x, enters(o.X, 41_234)


@way
def an_array_in_a_list():
    Xs = [np.full(50_000, 2.0)]
    return lambda x: max(X.max() for X in Xs) * x, enters(Xs[0], 41_234)


@way
def an_array_that_is_rebound():
    o = SimpleNamespace(X=np.full(3, 2.0))
    return lambda x: o.X[0] * x, sets(o, "X", np.full(3, 5.0))


@way
def the_shape_of_an_array():
    table = np.zeros((2, 5))
    return lambda x: table.shape[0] * x, lambda: setattr(table, "shape", (5, 2))


@way
def a_view_of_an_array():
    table = np.full(90_000, 2.0)
    view = table[10:]
    return lambda x: view.max() * x, enters(table, 50_000)


@way
def an_array_behind_a_transposed_one():
    table = np.full((300, 300), 2.0)
    return lambda x: np.max(table.T) * x, enters(table, (20, 30))


@way
def a_frame_of_pandas():
    pd = _pandas()
    df = pd.DataFrame({"k": [2.0, 2.0]})
    return lambda x: df["k"].max() * x, lambda: df.__setitem__("k", [2.0, 5.0])


@way
def an_array_of_a_frame_of_pandas():
    pd = _pandas()
    df = pd.DataFrame({"k": [2.0, 2.0]})
    return lambda x: np.max(df["k"].to_numpy() * x), lambda: df.__setitem__("k", 5.0)


@way
def a_series_of_pandas_in_an_object():
    pd = _pandas()
    o = SimpleNamespace(s=pd.Series([2.0, 3.0]))
    return lambda x: float(o.s.iloc[0]) * x, lambda: o.s.__setitem__(0, 5.0)


def _pandas():
    import pytest

    return pytest.importorskip("pandas")


# ── more of each ─────────────────────────────────────────────────────────────────────────────
LISTS = {
    "max": lambda ks: max(ks),
    "sorted": lambda ks: sorted(ks)[-1],
    "a slice": lambda ks: ks[::-1][-1],
    "unpacking": lambda ks: (lambda a, *_: a)(*ks),
    "assignment to two": lambda ks: _two(ks),
    "enumerate": lambda ks: [k for _, k in enumerate(ks)][0],
    "zip": lambda ks: [a for a, _ in zip(ks, ks, strict=True)][0],
    "reversed": lambda ks: list(reversed(ks))[-1],
    "index": lambda ks: 2.0 if 2.0 in ks[:1] else 5.0,
    "count": lambda ks: 2.0 if ks.count(2.0) == 2 else 5.0,
    "equality": lambda ks: 2.0 if ks == [2.0, 2.0] else 5.0,
    "a copy": lambda ks: ks.copy()[0],
    "a sum": lambda ks: sum(ks) - 2.0,
    "any": lambda ks: 2.0 if not any(k > 3 for k in ks) else 5.0,
    "an array of it": lambda ks: float(np.array(ks)[0]),
    "a tuple of it": lambda ks: tuple(ks)[0],
    "chained": lambda ks: next(iter(itertools.chain(ks, ks))),
    "a while loop": lambda ks: _while(ks),
    "a match": lambda ks: _match_first(ks),
    "mapped": lambda ks: list(map(float, ks))[0],
    "filtered": lambda ks: list(filter(None, ks))[0],
    "star into a list": lambda ks: [*ks][0],
    "text": lambda ks: float(str(ks)[1:4]),
}


def _two(ks):
    a, _ = ks
    return a


def _while(ks):
    i = 0
    while i < 1:
        k = ks[i]
        i += 1
    return k


def _match_first(ks):
    match ks:
        case [a, *_]:
            return a


def _list(use):
    def make():
        ks = [2.0, 2.0]
        return lambda x: use(ks) * x, enters(ks, 0)

    return make


DICTS = {
    "items": lambda d: [v for _, v in d.items()][0],
    "values": lambda d: list(d.values())[0],
    "star star": lambda d: {**d}["k"],
    "a call with it": lambda d: (lambda k: k)(**d),
    "a copy": lambda d: d.copy()["k"],
    "union": lambda d: (d | {})["k"],
    "setdefault": lambda d: d.setdefault("k", 7.0),
    "a match": lambda d: _match_key(d),
    "a computed key": lambda d: d["".join(["k"])],
    "a string format": lambda d: float("{k}".format(**d)),
    "a percent format": lambda d: float("%(k)s" % d),  # noqa: UP031
    "item getter": lambda d: operator.itemgetter("k")(d),
    "operator's": lambda d: operator.getitem(d, "k"),
    "dict of it": lambda d: dict(d)["k"],
    "a deep copy": lambda d: copy.deepcopy(d)["k"],
}


def _match_key(d):
    match d:
        case {"k": k}:
            return k


def _dict(use):
    def make():
        d = {"k": 2.0}
        return lambda x: use(d) * x, enters(d)

    return make


for _name, _use in LISTS.items():
    WAYS[f"{_name}, of a list"] = _list(_use)
for _name, _use in DICTS.items():
    WAYS[f"{_name}, of a dict"] = _dict(_use)


@way
def a_callable_object():
    box = Box()
    return box, sets(box)


@way
def the_call_of_a_callable_object():
    kind = fresh(__call__=lambda self, x: 2.0 * x)
    return kind(), sets(kind, "__call__", lambda self, x: 5.0 * x)


@way
def a_special_method_that_is_replaced():
    kind = fresh(__mul__=lambda self, x: 2.0 * x)
    box = kind()
    return lambda x: box * x, sets(kind, "__mul__", lambda self, x: 5.0 * x)


@way
def a_special_method_that_was_not_there():
    kind = type("Bare", (), {})
    thing = kind()
    return lambda x: (2.0 if thing else 5.0) * x, sets(kind, "__bool__", lambda self: False)


@way
def the_dict_of_an_object_replaced():
    box = Box()
    return lambda x: box.k * x, sets(box, "__dict__", {"k": 5.0})


@way
def the_dict_of_an_object_replaced_where_all_of_it_is_read():
    box = Box()
    return lambda x: vars(box)["k"] * x, sets(box, "__dict__", {"k": 5.0})


@way
def an_attribute_deleted_so_that_a_hook_answers():
    kind = fresh(__getattr__=lambda self, name: 5.0)
    box = kind()
    return lambda x: box.k * x, lambda: delattr(box, "k")


@way
def a_hook_of_a_metaclass():
    meta = type("Meta", (type,), {"ks": {"k": 2.0}, "__getattr__": lambda cls, name: cls.ks[name]})
    kind = meta("Kind", (), {})
    return lambda x: kind.k * x, enters(meta.ks)


@way
def a_property_of_a_metaclass():
    box = Box()
    meta = type("Meta", (type,), {"k": property(lambda cls: box.k)})
    kind = meta("Kind", (), {})
    return lambda x: kind.k * x, sets(box)


@way
def an_attribute_of_a_number_of_ones_own():
    one = fresh(float)(1.0)
    one.k = 2.0
    return lambda x: one.k * x, sets(one)


@way
def a_missing_key_of_a_dict_of_ones_own():
    box = Box()
    d = fresh(dict, __missing__=lambda self, key: box.k)()
    return lambda x: d["k"] * x, sets(box)


@way
def a_single_dispatch():
    rate = functools.singledispatch(lambda b: 2.0)
    box = Box()
    rate(box)
    return lambda x: rate(box) * x, lambda: rate.register(Box, lambda b: 5.0)


@way
def a_static_method_that_is_compiled():
    kind = fresh(s=staticmethod(lambda x: KIND.k3 * x))  # noqa: F821
    globals()["KIND"] = kind
    kind.k3 = 2.0
    return kind.s, sets(kind, "k3")


@way
def a_class_method_that_is_compiled():
    kind = fresh(c=classmethod(lambda cls, x: cls.k3 * x), k3=2.0)
    return kind.c, sets(kind, "k3")


@way
def a_decorated_function():
    box = Box()

    def twice(f):
        @functools.wraps(f)
        def g(*args, **kwargs):
            return f(*args, **kwargs) * box.k / 2.0

        return g

    return twice(lambda x: 2.0 * x), sets(box)


@way
def a_function_within_a_decorated_method():
    box = Box()

    def traced(f):
        return lambda self, x: f(self, x)

    class C:
        @traced
        def f(self, x):
            return box.k * x

    return C().f, sets(box)


@way
def a_context_manager():
    box = Box()

    @contextlib.contextmanager
    def setting():
        yield box.k

    def f(x):
        with setting() as k:
            return k * x

    return f, sets(box)


@way
def a_generator_function():
    box = Box()

    def rates(n):
        for _ in range(n):
            yield box.k

    return lambda x: sum(rates(1)) * x, sets(box)


@way
def a_generator_within_a_generator():
    box = Box()

    def inner():
        yield box

    def outer():
        yield from inner()

    return lambda x: sum(b.k for b in outer()) * x, sets(box)


@way
def an_argument_parser_s_namespace():
    args = argparse.Namespace(k=2.0)
    return lambda x: args.k * x, sets(args)


@way
def a_configuration_file_that_was_read():
    parser = configparser.ConfigParser()
    parser.read_string("[a]\nk = 2.0\n")
    return lambda x: parser.getfloat("a", "k") * x, lambda: parser.set("a", "k", "5.0")


@way
def an_environment_variable():
    os.environ["XPGRAD_K"] = "2.0"
    return lambda x: float(os.getenv("XPGRAD_K")) * x, enters(os.environ, "XPGRAD_K", "5.0")


@way
def an_environment_variable_that_was_not_there():
    os.environ.pop("XPGRAD_LATE", None)
    undo.append(lambda: os.environ.pop("XPGRAD_LATE"))
    return lambda x: float(os.environ.get("XPGRAD_LATE", "2")) * x, enters(os.environ, "XPGRAD_LATE", "5")


@way
def the_arguments_of_the_program():
    before = list(sys.argv)
    undo.append(lambda: sys.argv.__setitem__(slice(None), before))
    sys.argv.append("2")
    return lambda x: float(sys.argv[-1]) * x, lambda: sys.argv.append("5")


@way
def a_builtin_that_is_replaced():
    undo.append(lambda f=builtins.divmod: setattr(builtins, "divmod", f))
    return lambda x: divmod(4, 2)[0] * x, lambda: setattr(builtins, "divmod", lambda a, b: (5.0, 0))


@way
def a_package_s_module():
    package = _module("xpgrad_test_package", "")
    package.config = _module("xpgrad_test_package.config")

    def f(x):
        import xpgrad_test_package.config

        return xpgrad_test_package.config.k * x

    return f, sets(package.config)


@way
def a_structure_of_c_of_ones_own():
    class S(ctypes.Structure):
        _fields_ = (("k", ctypes.c_double),)

    s = S(2.0)
    return lambda x: s.k * x, sets(s)


@way
def a_row_of_a_structured_array():
    table = np.array([(2.0, 1)], dtype=[("k", float), ("n", int)])
    row = table[0]
    return lambda x: float(row["k"]) * x, lambda: table["k"].__setitem__(0, 5.0)


@way
def an_object_in_an_array_of_objects():
    table = np.empty(2, object)
    table[:] = Box(0.0), Box()
    return lambda x: table[1].k * x, sets(table[1])


@way
def an_array_without_axes():
    table = np.array(2.0)
    return lambda x: float(table) * x, lambda: table.__setitem__((), 5.0)


@way
def the_mask_of_a_masked_array():
    table = np.ma.array([2.0, 5.0], mask=[False, True])
    return lambda x: float(table.max()) * x, lambda: table.__setitem__(1, 5.0)


@way
def an_attribute_of_an_array_of_ones_own():
    table = np.full(3, 1.0).view(fresh(np.ndarray))
    table.k = 2.0
    return lambda x: float(table.T[0]) * table.k * x, sets(table)


@way
def a_matrix():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m = np.matrix([[2.0]])
    return lambda x: float(m[0, 0]) * x, enters(m, (0, 0))


@way
def a_polynomial_of_numpy_s_past():
    p = np.poly1d([2.0])
    return lambda x: float(p(0.0)) * x, enters(p, 0)


@way
def a_frame_of_pandas_asked_for_its_index():
    pd = _pandas()
    df = pd.DataFrame({"k": [1.0]}, index=[2.0])
    return lambda x: float(df.index[0]) * x, lambda: setattr(df, "index", [5.0])


# ── refused ──────────────────────────────────────────────────────────────────────────────────
@refused("it, a list_iterator")
def an_iterator():
    it = iter([2.0, 5.0, 7.0])
    return lambda x: next(it) * x


@refused("it, a generator")
def a_generator():
    it = (float(k) for k in range(9))
    return lambda x: next(it) * x


@refused("it, a count")
def a_counter_of_itertools():
    it = itertools.count(2)
    return lambda x: next(it) * x


@refused("it, a cycle")
def a_cycle():
    it = itertools.cycle([2.0, 5.0])
    return lambda x: sum(itertools.islice(it, 1)) * x


@refused("o.it, a zip")
def an_iterator_of_an_object():
    o = SimpleNamespace(it=zip([2.0], [5.0], strict=True))
    return lambda x: next(o.it)[0] * x


@refused("its, a map")
def an_iterator_in_a_list():
    its = [map(float, [2, 5])]
    return lambda x: next(its[0]) * x


@refused("reads the clock")
def the_clock():
    return lambda x: time.time() * x


@refused("reads the clock")
def the_clock_under_another_name():
    now = time.perf_counter
    return lambda x: now() * x


@refused("reads the clock")
def the_date():
    import datetime

    return lambda x: datetime.datetime.now().year * x


@refused("reads a file")
def a_file_opened_inside():
    def f(x):
        with open(__file__) as file:
            return len(file.readline()) * x

    return f


@refused("reads a file")
def a_file_read_by_pathlib():
    import pathlib

    return lambda x: len(pathlib.Path(__file__).read_text()) * x


@refused("reads a file")
def a_file_read_by_numpy():
    path = os.path.join(tempfile.mkdtemp(), "k.npy")
    np.save(path, np.array([2.0]))
    return lambda x: np.load(path)[0] * x


@refused("file, a TextIOWrapper")
def a_file_kept_open():
    file = open(__file__)
    undo.append(file.close)
    return lambda x: len(file.readline()) * x


@refused("reads a file")
def a_text_in_memory():
    text = io.StringIO("2.0\n5.0\n")
    return lambda x: float(text.readline()) * x


@refused("asks the operating system")
def whether_a_file_is_there():
    return lambda x: (2.0 if os.path.exists("k.txt") else 5.0) * x


@refused("random numbers")
def numpy_s_random_numbers():
    return lambda x: np.random.normal() * x


@refused("random numbers")
def python_s_random_numbers():
    return lambda x: random.random() * x


@refused("random numbers")
def a_generator_of_random_numbers_in_a_dict():
    r = {"r": np.random.default_rng(0)}
    return lambda x: r["r"].normal() * x


@refused("random numbers")
def a_generator_of_random_numbers_of_an_object():
    o = SimpleNamespace(r=random.Random(0))
    return lambda x: o.r.random() * x


@refused("random numbers")
def a_generator_made_inside_without_a_seed():
    return lambda x: np.random.default_rng().normal() * x


@refused("random numbers")
def a_universal_identifier():
    return lambda x: (uuid.uuid4().int % 7) * x


@refused("random numbers")
def entropy():
    return lambda x: os.urandom(1)[0] * x


@refused("starts a thread")
def a_thread():
    def f(x):
        got = []
        t = threading.Thread(target=lambda: got.append(2.0))
        t.start()
        t.join()
        return got[0] * x

    return f


@refused("conn, a Connection")
def an_object_of_c_out_of_sight():
    import sqlite3

    conn = sqlite3.connect(":memory:")
    keep.append(conn)
    return lambda x: conn.execute("select 2.0").fetchone()[0] * x


@refused("reads the clock")
def a_refusal_that_the_function_takes_for_its_own_error():
    def f(x):
        with contextlib.suppress(Exception):
            return time.time() * x
        return 2.0 * x

    return f


@refused("shm, a SharedMemory")
def memory_that_another_process_may_write_to():
    from multiprocessing import shared_memory

    shm = shared_memory.SharedMemory(create=True, size=8)
    undo.append(lambda: (shm.close(), shm.unlink()))
    return lambda x: shm.buf[0] * x


@refused("q, a Queue")
def a_queue():
    import queue

    q = queue.Queue()
    q.put(2.0)
    return lambda x: q.get() * x


@refused("reads the clock")
def the_clock_in_a_method():
    return fresh(f=lambda self, x: time.monotonic() * x)().f


@refused("walk, a generator")
def an_iterator_in_a_for_loop():
    walk = (k for k in [2.0, 5.0])

    def f(x):
        for k in walk:
            return k * x
        return x

    return f


@refused("what it is given, a list_reverseiterator")
def an_iterator_that_is_an_argument_of_a_partial():
    return functools.partial(lambda ks, x: next(ks) * x, reversed([2.0]))


keep = []
"""Alive while the test runs."""
undo = []
"""What puts things back after the test."""
