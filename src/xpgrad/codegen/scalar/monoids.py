"""The bodies that combine two values of a reduction; `kernel_ir.identity` has the initial value."""

from __future__ import annotations

from xpgrad.codegen.scalar.ops import SCALAR_OPS

# By the monoid of an op: the body of the op that combines two values of one type.
BODIES = {
    monoid: SCALAR_OPS[name].body
    for monoid, name in {
        "sum": "add",
        "prod": "multiply",
        "max": "maximum",
        "min": "minimum",
        "any": "logical_or",
        "all": "logical_and",
    }.items()
}
