"""The nouns that every stage shares; nothing here knows arrays or a backend."""

from xpgrad.core.aval import Aval, aval_of, is_inexact
from xpgrad.core.graph import Const, Graph, Input, Node, Operand, Value, operands_of, verify
from xpgrad.core.op import OPS, SCALAR_TYPES, Dispatcher, Implementation, Op, dispatcher_of, register_dispatcher
from xpgrad.core.show import show

__all__ = [
    "OPS",
    "SCALAR_TYPES",
    "Aval",
    "Const",
    "Dispatcher",
    "Graph",
    "Implementation",
    "Input",
    "Node",
    "Op",
    "Operand",
    "Value",
    "aval_of",
    "dispatcher_of",
    "is_inexact",
    "operands_of",
    "register_dispatcher",
    "show",
    "verify",
]
