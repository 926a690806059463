"""Single nodes as kernels: what the tests of expressions run behind the shim."""

from typing import NamedTuple

import numpy as np

from xpgrad.backends.gpu.cuda.printing.expressions import (
    check,
    expression,
    read,
    read_dtype,
    stored_type,
    value_type,
)
from xpgrad.backends.gpu.cuda.printing.functions import stated_functions
from xpgrad.backends.gpu.cuda.printing.source import prelude
from xpgrad.core import OPS, SCALAR_TYPES, Input, Node, aval_of

ELEMENTWISE = sorted(name for name, op in OPS.items() if "pointwise" in op.traits)
ONE_OPERAND = {
    "floor", "ceil", "trunc", "rint", "sign", "round", "logical_not", "invert", "isnan", "isinf", "isfinite",
    "signbit", "gammasgn", "astype", "copy", "stop_gradient",
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
        """The op's NumPy row, of operands brought to ``dtype`` where they are floats."""
        given = [
            x.astype(dtype) if dtype is not None and getattr(x, "dtype", np.dtype(bool)).kind == "f" else x
            for x in self.operands
        ]
        with np.errstate(all="ignore"):
            return np.asarray(OPS[self.name](*given, **self.node.params))


def kernel(case, name):
    """A kernel that stores what the case's expression gives for each entry.

    For float32 arrays x0 and x1::

        extern "C" __global__ void f(const float* p0, const float* p1, float* y, long long n) {
            for (long long i = blockIdx.x; i < n; i += gridDim.x) {
                const float a0 = p0[i];
                const float a1 = p1[i];
                y[i] = xg::arctan2(a0, a1);
            }
        }
    """
    node = case.node
    check(node)
    parameters, loads, dtypes = [], [], []
    for k, x in enumerate(case.operands):
        if isinstance(x, SCALAR_TYPES):
            dtype = np.dtype(type(x))
            parameters.append(f"{value_type(dtype)} a{k}")
        else:
            dtype = read_dtype(x.dtype)
            parameters.append(f"const {stored_type(x.dtype)}* p{k}")
            loads.append(f"const {value_type(dtype)} a{k} = {read(x.dtype, f'p{k}[i]')};")
        dtypes.append(dtype)
    parameters.append(f"{value_type(node.dtype)}* y")
    value = expression(node, [f"a{k}" for k in range(len(dtypes))], dtypes)
    return (
        f'extern "C" __global__ void {name}({", ".join(parameters)}, long long n) {{\n'
        "    for (long long i = blockIdx.x; i < n; i += gridDim.x) {\n"
        f"        {' '.join(loads)}\n        y[i] = {value};\n    }}\n}}"
    )


class Kernels:
    """Cases compiled as one source, when the first of them is run."""

    def __init__(self, shim, cases):
        self._shim, self._cases, self._names = shim, cases, {}
        self._module = None

    def __len__(self):
        return len(self._cases)

    def source(self):
        self._names = {key: f"k{i}" for i, key in enumerate(self._cases)}
        body = "\n".join(kernel(self._cases[key], name) for key, name in self._names.items())
        return "\n".join([prelude(), stated_functions(body), body])

    def run(self, key):
        if self._module is None:
            self._module = self._shim.module(self.source())
        case = self._cases[key]
        lengths = [len(x) for x in case.operands if not isinstance(x, SCALAR_TYPES)]
        y = np.zeros(lengths[0], case.node.dtype)
        self._module.launch(self._names[key], 3, 1, [*case.operands, y, lengths[0]])
        return y
