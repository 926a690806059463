"""The transforms: `grad`, `vjp`, `jvp`, `jacobian`, `vmap`, `scan`, `implicit` and others.

All nest, and all take any Python control flow on what is not batched. Arguments and results are trees: tuples,
lists, dicts, namedtuples, dataclasses of arrays and scalars.
"""

from xpgrad.transforms.derivatives import checkpoint, grad, jvp, stop_gradient, value_and_grad, vjp
from xpgrad.transforms.implicit import implicit
from xpgrad.transforms.loops import scan
from xpgrad.transforms.mapping import vmap
from xpgrad.transforms.matrices import hessian, hvp, jacobian, linearize

__all__ = [
    "checkpoint",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "jacobian",
    "jvp",
    "linearize",
    "scan",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]
