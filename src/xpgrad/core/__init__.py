"""The nouns that every stage shares: Aval, Op, Value, Graph. Knows no arrays and no backend."""

from xpgrad.core.aval import Aval, aval_of, is_inexact
from xpgrad.core.graph import Graph, Value, operands_of, verify
from xpgrad.core.op import OPS, SCALAR_TYPES, Carrier, Op, carrier_of, register_carrier
from xpgrad.core.show import show

__all__ = [
    "OPS",
    "SCALAR_TYPES",
    "Aval",
    "Carrier",
    "Graph",
    "Op",
    "Value",
    "aval_of",
    "carrier_of",
    "is_inexact",
    "operands_of",
    "register_carrier",
    "show",
    "verify",
]
