"""From the user's NumPy lines to ops: the traced array, NumPy's protocols, the name tables."""

from xpgrad.trace import (  # noqa: F401 - they give Traced its methods
    copying,
    elements,
    flat,
    leaving,
    namespace,
    operators,
    protocols,
    subscripts,
)
from xpgrad.trace.debugging import debug
from xpgrad.trace.symbolic import Symbols, graph_of
from xpgrad.trace.tape import Tape
from xpgrad.trace.traced import Trace, Traced, strip

__all__ = ["Symbols", "Tape", "Trace", "Traced", "debug", "graph_of", "strip"]
