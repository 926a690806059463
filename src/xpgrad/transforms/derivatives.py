"""Derivatives of functions of trees: gradients, products in both modes, what is exempt from them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from xpgrad import backends  # noqa: F401 - registers NumPy
from xpgrad._errors import DTypeError, ShapeError, TraceError, describe, message
from xpgrad._trees import flatten, paths, tree_map, unflatten
from xpgrad.autodiff import Duals, call_with_rule, copied, pull, stopped, untaped
from xpgrad.core import SCALAR_TYPES, aval_of
from xpgrad.devices.door import admitted_leaves
from xpgrad.ops.shape import astype, full_like
from xpgrad.trace import Tape, Trace, Traced
from xpgrad.trace.boundary import call, check_floating, enter, fresh, leave
from xpgrad.trace.symbolic import tracing

Fun = Callable[..., Any]
Argnums = int | Sequence[int]


def value_and_grad(f: Fun, argnums: Argnums = 0, has_aux: bool = False) -> Fun:
    """A function that returns ``f``'s value and its gradient.

    Parameters
    ----------
    f : callable
        Returns a real scalar, or ``(scalar, aux)`` with ``has_aux``. An array of one entry, of any number of
        axes, serves as a scalar.
    argnums : int or sequence of int
        Which positional arguments to differentiate; trees of float or complex arrays.
    has_aux : bool
        Whether ``f`` returns something beside the scalar, which is passed through.

    Returns
    -------
    callable
        With the arguments of ``f``; gives ``(value, gradient)``, or ``((value, aux), gradient)``. The value
        has the shape that ``f`` gave it.
        The gradient has the structure, shapes and dtypes of the argument (a tuple of them where
        ``argnums`` is a sequence); in a Python number, whose dtype gives way to an array's, the dtype
        that it was computed in. For a complex ``z = x + iy`` it is ``dL/dx - i dL/dy``.

    Raises
    ------
    DTypeError
        An argument to differentiate has integers or booleans; ``f`` is complex.
    ShapeError
        ``f`` returns no single number.

    Notes
    -----
    Reverse mode: the cost is a small multiple of that of ``f``, whatever the number of
    parameters, and the memory that of its intermediate arrays.
    """

    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        tape = Tape()
        leaves, rebuild, traced = enter(tape, args, argnums, "grad")
        out = _call(tape, f, traced, kwargs)
        aux = None
        if has_aux:
            out, aux = _pair(out)
        value, node = _scalar(tape, out)
        aux = tree_map(lambda x: leave(tape, x), aux) if has_aux else None
        tape.closed = True
        tape.check_constants()
        tape.constants.clear()  # the sweep frees each as it goes
        seeds = [] if node is None else [(node, 1.0)]
        gradient = rebuild(pull(tape.records, seeds, [x._node for x in leaves], like=_like(leaves), free=True))
        return ((value, aux) if has_aux else value), gradient

    return named(value_and_gradient, value_and_grad, f, argnums, has_aux)


def grad(f: Fun, argnums: Argnums = 0, has_aux: bool = False) -> Fun:
    """A function that returns the gradient of ``f``; with ``has_aux`` ``(gradient, aux)``.

    Parameters, errors and notes are those of `value_and_grad`.
    """
    both = value_and_grad(f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return named(gradient, grad, f, argnums, has_aux)


def vjp(f: Fun, *args: Any) -> tuple[Any, Fun]:
    """``f``'s output and its pullback, which takes a cotangent of it to cotangents of ``args``.

    Parameters
    ----------
    f : callable
        Returns a tree of arrays.
    *args : trees of float or complex arrays

    Returns
    -------
    out : tree
        ``f(*args)``.
    pullback : callable
        ``pullback(g)`` with the structure and shapes of ``out``; gives a tuple with one tree for
        each argument. May be called more than once.

    Raises
    ------
    ShapeError
        In the pullback: the cotangent does not have the structure or the shapes of the output.
    """
    tape = Tape()
    leaves, rebuild, traced = enter(tape, args, tuple(range(len(args))), "vjp")
    outs, structure = flatten(_call(tape, f, traced))
    nodes = [x._node if type(x) is Traced and x._trace is tape else None for x in map(fresh, outs)]
    values = [copied(leave(tape, x)) for x in outs]  # the tape may keep them
    tape.closed = True

    def pullback(g: Any) -> Any:
        tape.check_constants()
        gs, given = admitted_leaves(g, "pullback: the cotangent")
        if given != structure or [_shape(a) for a in gs] != [_shape(v) for v in values]:
            raise ShapeError(
                message(
                    "pullback: the cotangent does not match the output",
                    {"cotangent": ", ".join(map(describe, gs)), "output": ", ".join(map(describe, values))},
                )
            )
        seeds = [
            (node, _aligned(part, node, "pullback"))
            for node, part in zip(nodes, gs, strict=True)
            if node is not None
        ]
        return rebuild(pull(tape.records, seeds, [x._node for x in leaves], like=_like(leaves)))

    return unflatten(structure, values), pullback


def jvp(f: Fun, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """``f``'s output at ``primals`` and its tangent along ``tangents`` (forward mode).

    Parameters
    ----------
    primals, tangents : sequences of trees
        One of each for each argument of ``f``, with equal structure and shapes.

    Returns
    -------
    (out, tangent)
        Trees of the structure of ``f``'s result.

    Raises
    ------
    ShapeError
        Tangents and primals differ in structure or shapes.
    """
    xs, structure = admitted_leaves(tuple(primals), "jvp: primals")
    ts, given = admitted_leaves(tuple(tangents), "jvp: tangents")
    if structure != given or [_shape(x) for x in xs] != [_shape(t) for t in ts]:
        raise ShapeError(
            message(
                "jvp: the tangents do not match the primals",
                {"primals": ", ".join(map(describe, xs)), "tangents": ", ".join(map(describe, ts))},
            )
        )
    duals = Duals()
    check_floating(xs, [f"primals{p}" for p in paths(tuple(primals))], "jvp")
    traced = [duals.enter(x, _aligned(t, x, "jvp")) for x, t in zip(xs, ts, strict=True)]
    outs, out_structure = flatten(_call(duals, f, unflatten(structure, traced)))
    values, pushed = [], []
    for x in map(fresh, outs):
        ours = type(x) is Traced and x._trace is duals
        values.append(x._below if ours else x)
        pushed.append(x._node if ours and x._node is not None else _zeros(values[-1]))
    duals.closed = True
    return unflatten(out_structure, values), unflatten(out_structure, pushed)


def stop_gradient(x: Any) -> Any:
    """``x`` (a tree) as a constant: its derivative is zero, in every mode and order.

    Traced arrays are given back as plain ones, copies that may be written to.
    """
    return tree_map(lambda leaf: stopped(leaf) if type(leaf) is Traced else leaf, x)


def checkpoint(f: Fun) -> Fun:
    """``f``, keeping only its arguments for the backward sweep, which runs it again.

    Memory for time: nothing inside ``f`` is kept, and one more forward pass is made. ``f`` takes
    and returns trees of arrays; what it differentiates must reach it as an argument.

    Raises
    ------
    TraceError
        A traced array reaches ``f`` from an enclosing function.
    """

    def fwd(*args: Any) -> Any:
        return untaped(f, args), args

    def bwd(args: Any, g: Any) -> Any:
        leaves, structure = flatten(args)
        floating = [i for i, x in enumerate(leaves) if aval_of(x).dtype.kind in "fc"]

        def of_floating(*xs: Any) -> Any:
            full = list(leaves)
            for i, x in zip(floating, xs, strict=True):
                full[i] = x
            return f(*unflatten(structure, full))

        cs = vjp(of_floating, *[leaves[i] for i in floating])[1](g)
        found = [_zeros(x) for x in leaves]
        for i, c in zip(floating, cs, strict=True):
            found[i] = c
        return tuple(unflatten(structure, found))

    def checkpointed(*args: Any) -> Any:
        if any(type(x) is Traced and isinstance(x._trace, Duals) for x in flatten(args)[0]):
            return f(*args)  # forward mode keeps nothing anyway
        return call_with_rule(f, fwd, bwd, args, "checkpoint", checkpointed)

    return named(checkpointed, checkpoint, f)


def _call(trace: Trace, f: Fun, args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Any:
    """Call the user's function; with shapes alone, what ``trace`` is to see is its stable form."""
    if not tracing():
        return call(f, args, kwargs)
    from xpgrad.passes.restabilise import call_stable  # eager mode needs no passes

    return call_stable(trace, f, args, kwargs)


# ── results ──────────────────────────────────────────────────────────────────────────────
def _scalar(tape: Tape, out: Any) -> tuple[Any, Any]:
    """The value of the function's result and its node; the result must be a single real number."""
    if type(out) is Traced:
        value = leave(tape, out)
        one = out.shape == () or out.size == 1
        if one and out.dtype.kind != "c":
            value = copied(value) if out.shape else value  # it may look into the parameters
            return value, out._node if out._trace is tape else None
    else:
        value = out
        one = isinstance(out, SCALAR_TYPES) or (hasattr(out, "shape") and aval_of(out).size == 1)
        if one and aval_of(out).dtype.kind != "c":
            return out, None
    if isinstance(out, (tuple, list, dict)) or out is None:
        raise ShapeError(
            message(
                f"grad: the function must return a scalar, not {describe(out)}",
                remedy="return (value, aux) with has_aux=True" if isinstance(out, tuple) else None,
            )
        )
    if one:
        raise DTypeError(
            message(
                "grad: the function must return a real scalar",
                {"output": value},
                remedy="take np.real or np.abs",
            )
        )
    raise ShapeError(
        message(
            "grad: the function must return a scalar",
            {"output": value},
            remedy="sum it, or use xg.jacobian or xg.vjp",
        )
    )


def _pair(out: Any) -> tuple[Any, Any]:
    if not isinstance(out, tuple) or len(out) != 2:
        raise TraceError(message(f"has_aux: the function must return (value, aux), not {describe(out)}"))
    return out


def _like(leaves: Sequence[Traced]) -> Any:
    """An array to take the device from: the first that is one."""
    arrays = (x._below for x in leaves if hasattr(x._below, "shape") and not isinstance(x._below, np.generic))
    return next(arrays, leaves[0]._below if leaves else 0.0)


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(getattr(x, "shape", ()))


def _zeros(x: Any) -> Any:
    return full_like(x, value=0)


def _aligned(t: Any, x: Any, what: str) -> Any:
    """The tangent or cotangent ``t`` with the dtype of ``x``; a complex one of a real array is refused."""
    wanted, given = aval_of(x), aval_of(t)
    if given.dtype.kind == "c" and wanted.dtype.kind != "c":
        raise DTypeError(
            message(f"{what}: complex, where the array is real", {"array": str(wanted), "given": t})
        )
    return t if given.dtype == wanted.dtype or given.weak or wanted.weak else astype(t, dtype=wanted.dtype)


def named(wrapper: Fun, maker: Fun, f: Fun, *options: Any) -> Fun:
    with contextlib.suppress(AttributeError):
        update_wrapper(wrapper, f)
    wrapper.__qualname__ = f"{maker.__name__}({getattr(f, '__qualname__', 'f')})"
    wrapper.__dict__["_made_by"] = (maker, (f, *options))  # by which a compiled one is pickled
    return wrapper
