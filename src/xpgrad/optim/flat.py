"""A tree of parameters as one vector, on its device.

Holds: a complex entry counts as two real ones, all real parts of a leaf before all imaginary ones
(a complex view into a real vector might be misaligned on a GPU).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from xpgrad._trees import flatten, unflatten
from xpgrad.core import aval_of


class Flat:
    """The layout of the leaves of a tree in a vector.

    Parameters
    ----------
    params : tree of float or complex arrays and scalars
    xp : module
        NumPy or CuPy: where the vector lives, and the gradients come from. Python scalars alone do
        not tell, for their gradient is where the data are.

    Attributes
    ----------
    dtype : dtype
        The dtype of the vector: the real dtypes of the leaves promote to it. A Python scalar gives way to
        arrays.
    """

    def __init__(self, params: Any, xp: ModuleType) -> None:
        self._leaves, self._structure = flatten(params)
        self._xp = xp
        self._avals = [aval_of(x) for x in self._leaves]
        self.dtype = np.empty((), np.result_type(*[a.promoting for a in self._avals])).real.dtype

    def vector(self, tree: Any) -> Any:
        """A tree like the parameters as a vector."""
        return self._joined(flatten(tree)[0])

    def gradient_vector(self, tree: Any) -> Any:
        """The gradient in the real and imaginary parts: ``dL/dx - i dL/dy`` becomes ``dL/dx, dL/dy``."""
        pairs = zip(flatten(tree)[0], self._avals, strict=True)
        return self._joined([x.conjugate() if a.dtype.kind == "c" else x for x, a in pairs])

    def tree(self, vector: Any) -> Any:
        """The parameters in a vector: arrays are views of it where their dtype allows."""
        leaves, start = [], 0
        for leaf, aval in zip(self._leaves, self._avals, strict=True):
            part = vector[start : start + aval.size]
            start += aval.size
            if aval.dtype.kind == "c":
                part = part + 1j * vector[start : start + aval.size]
                start += aval.size
            if isinstance(leaf, np.generic):
                leaves.append(leaf.dtype.type(part[0].item()))
            elif isinstance(leaf, (float, complex)):
                leaves.append(part[0].item())
            else:
                leaves.append(part.reshape(aval.shape).astype(aval.dtype, copy=False))
        return unflatten(self._structure, leaves)

    def _joined(self, leaves: list[Any]) -> Any:
        parts = []
        for leaf, aval in zip(leaves, self._avals, strict=True):
            x = self._xp.asarray(leaf).reshape(-1)
            parts += [x.real, x.imag] if aval.dtype.kind == "c" else [x]
        return self._xp.concatenate([part.astype(self.dtype, copy=False) for part in parts])
