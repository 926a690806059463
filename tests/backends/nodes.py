"""Single nodes: an op, its operands, and what NumPy gives."""

from typing import NamedTuple

import numpy as np

from xpgrad.core import OPS, Input, Node, aval_of

ELEMENTWISE = sorted(name for name, op in OPS.items() if "pointwise" in op.traits)
ONE_OPERAND = {
    "floor", "ceil", "trunc", "rint", "sign", "round", "logical_not", "invert", "isnan", "isinf", "isfinite",
    "signbit", "gammasgn", "astype", "copy", "rounded", "stop_gradient",
}  # fmt: skip
PARAMS = {"round": {"decimals": 2}, "astype": {"dtype": np.dtype(np.float64)}, "copy": {"order": "K"}}


def operands_of(name):
    """How many operands the op takes."""
    if name in ONE_OPERAND:
        return 1
    return 2 if OPS[name].pushes is None else len(OPS[name].pushes)


def node_of(name, operands, params=None):
    """The node of an op of arrays; a Python scalar is an argument too."""
    params = PARAMS.get(name, {}) if params is None else params
    avals = [aval_of(x) for x in operands]
    return Node(OPS[name], [Input(a) for a in avals], params, OPS[name].shape(*avals, **params))


class Case(NamedTuple):
    """An op of some operands, arrays of one length or Python scalars."""

    name: str
    operands: list
    params: dict | None = None

    @property
    def node(self):
        return node_of(self.name, self.operands, self.params)

    def expected(self, dtype=None):
        """The op by NumPy, of operands brought to ``dtype`` where they are floats."""
        given = [
            x.astype(dtype) if dtype is not None and getattr(x, "dtype", np.dtype(bool)).kind == "f" else x
            for x in self.operands
        ]
        with np.errstate(all="ignore"):
            return np.asarray(OPS[self.name](*given, **self.node.params))
