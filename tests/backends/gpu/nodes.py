"""Single nodes as CUDA kernels: what the tests of expressions run behind the shim."""

import numpy as np

from xpgrad.backends.gpu.cuda.printing.expressions import check, expression, read, stored_type, value_type
from xpgrad.backends.gpu.cuda.printing.functions import definitions
from xpgrad.backends.gpu.cuda.printing.source import prelude
from xpgrad.codegen.scalar.ops import read_dtype
from xpgrad.core import SCALAR_TYPES


def kernel(case, name, calls):
    """A kernel that stores what the case's expression gives for each entry; what it calls goes to ``calls``.

    For float32 arrays x0 and x1::

        extern "C" __global__ void f(const float* p0, const float* p1, float* y, long long n) {
            for (long long i = blockIdx.x; i < n; i += gridDim.x) {
                const float a0 = p0[i];
                const float a1 = p1[i];
                y[i] = ::atan2f(a0, a1);
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
    value = expression(node, [f"a{k}" for k in range(len(dtypes))], dtypes, calls)
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
        calls = set()
        kernels = [kernel(self._cases[key], name, calls) for key, name in self._names.items()]
        return "\n".join([prelude(), definitions(calls), *kernels])

    def run(self, key):
        if self._module is None:
            self._module = self._shim.module(self.source())
        case = self._cases[key]
        lengths = [len(x) for x in case.operands if not isinstance(x, SCALAR_TYPES)]
        y = np.zeros(lengths[0], case.node.dtype)
        self._module.launch(self._names[key], 3, 1, [*case.operands, y, lengths[0]])
        return y
