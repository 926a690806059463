"""An op applied one level down, with the array library's errors in our terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, OutOfBoundsError, XpgradError, describe, message
from xpgrad.core import Op, aval_of, dispatcher_of
from xpgrad.core.op import two_devices
from xpgrad.devices.door import admitted
from xpgrad.trace import debugging

# Errors of array libraries for wrong operands; any other error is a mistake of ours.
LIBRARY_ERRORS = (ValueError, TypeError, IndexError, ArithmeticError)


def apply_op(op: Op, datas: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Apply ``op`` one level down; an error of the array library is raised in our terms."""
    try:
        out = op(*datas, **params)
    except XpgradError:
        raise
    except LIBRARY_ERRORS as error:
        raise explained(op, datas, params, error) from error
    if debugging.nans:
        debugging.check(op.name, out, datas)
    return out


def check_numbers(op: Op, out: Any, datas: Sequence[Any]) -> Any:
    """``out``, which is not of a float or complex dtype, if it is one of booleans or integers.

    Raises
    ------
    DTypeError
        NumPy has gone over to Python's objects, through which no gradient passes.
    """
    dtype = getattr(out, "dtype", None)
    if dtype is not None and dtype.kind not in "biu":
        got = {f"operand {i}": describe(x) for i, x in enumerate(datas)} | {"output": describe(out)}
        raise DTypeError(message(f"{op.name}: the output holds no numbers", got))
    return out


def explained(op: Op, datas: Sequence[Any], params: Mapping[str, Any], error: Exception) -> Exception:
    """The shape rule's account of what is wrong, or else the library's, with the operands."""
    for i, x in enumerate(datas):
        admitted(x, "{}: operand {}".format, op.name, i)  # which says what an operand holds that is no number
    if len({c.priority for c in map(dispatcher_of, datas) if c is not None and c.name != "traced"}) > 1:
        return two_devices(op.name, datas)
    try:
        op.shape(*[aval_of(x) for x in datas], **params)
    except XpgradError as ours:
        return ours
    except (AttributeError, TypeError, ValueError):
        pass  # an operand of no shape or dtype: the library's own account says more
    got = {f"operand {i}": describe(x) for i, x in enumerate(datas)}
    kind = OutOfBoundsError if isinstance(error, IndexError) else type(error)
    text = message(f"{op.name}: {error}", got)
    if isinstance(error, np.linalg.LinAlgError):
        return np.linalg.LinAlgError(text)
    return DTypeError(text) if issubclass(kind, TypeError) else kind(text)
