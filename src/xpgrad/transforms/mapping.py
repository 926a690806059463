"""`vmap`: a function of one sample as a function of many.

In:  a function of trees of arrays, and for each leaf the axis of its samples.
Out: the function of all samples at once, each op carried out on the whole batch (`autodiff.batching`).
Holds: the result is that of a loop over the samples, stacked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpgrad import backends  # noqa: F401 - registers NumPy
from xpgrad._errors import ShapeError, TraceError, describe, message
from xpgrad._trees import flatten, paths, prefix_leaves, unflatten
from xpgrad.autodiff import Batch
from xpgrad.core import SCALAR_TYPES
from xpgrad.devices.door import admitted, is_array
from xpgrad.ops._batching import batch, moved
from xpgrad.ops.shape import copy, full_like
from xpgrad.trace import Traced
from xpgrad.trace.boundary import call, fresh
from xpgrad.transforms.derivatives import named

Fun = Callable[..., Any]


def vmap(f: Fun, in_axes: Any = 0, out_axes: Any = 0) -> Fun:
    """A function that maps ``f`` over an axis of its arguments.

    Parameters
    ----------
    f : callable
        A function of one sample: takes and returns trees of arrays.
    in_axes : int, None, or a tree of these
        The axis of the samples in each argument, counted from the end if it is negative; None: all samples
        share the argument. A tuple has an entry for each positional argument, and an entry stands for all
        leaves of the tree that it is given for. Keyword arguments have their samples along axis 0.
    out_axes : int, None, or a tree of these
        The axis of the samples in each result; None, for a result that is the same for all samples: without
        one.

    Returns
    -------
    callable
        With the arguments of ``f``, mapped ones with one more axis; gives what ``f`` gives, with one more axis:
        ``np.stack([f(x[i], ...) for i in range(n)])``.

    Raises
    ------
    ShapeError
        The samples of two arguments differ in number; an argument lacks the axis; no argument is mapped; a
        result whose ``out_axes`` is None differs from sample to sample.
    TraceError
        ``f`` decides by the numbers of a sample (``if x > 0``, ``x[x > 0]``), or calls an op that has no form
        for a batch.

    Notes
    -----
    Nests with every transform, in both orders, and with `compile`. Each op is carried out once on the whole
    batch; a matrix that all samples share meets them in one matrix product. Random numbers that ``f`` draws
    are the same for all samples.

    Examples
    --------
    Gradients of each sample by itself, ``(n, 3)`` for ``X (n, 3)``, ``y (n,)`` and ``w (3,)``:

    >>> xg.vmap(xg.grad(loss), in_axes=(None, 0, 0))(w, X, y)
    """

    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = flatten((args, kwargs))
        leaves = [admitted(x, _argument, args, kwargs, i) for i, x in enumerate(leaves)]
        axes = _in_axes(in_axes, args, kwargs)
        size = _size(leaves, axes, args, kwargs)
        trace = Batch(size)
        entered = [
            x if axis is None else trace.enter(moved(_taken(x), axis, 0))
            for x, axis in zip(leaves, axes, strict=True)
        ]
        given, named_ = unflatten(structure, entered)
        outs, out_structure = flatten(call(f, given, named_))
        wanted = _out_axes(out_axes, unflatten(out_structure, outs), len(outs))
        results = [_result(trace, x, axis, i) for i, (x, axis) in enumerate(zip(outs, wanted, strict=True))]
        trace.closed = True
        return unflatten(out_structure, results)

    return named(mapped, vmap, f, in_axes, out_axes)


def _taken(x: Any) -> Any:
    return x.snapshot() if type(x) is Traced else x


# ── arguments ────────────────────────────────────────────────────────────────────────────────
def _argument(args: Any, kwargs: Any, i: int) -> str:
    return f"vmap: {_named((args, kwargs), i)}"


def _named(both: Any, i: int) -> str:
    path = paths(both)[i]
    return f"{'args' if path.startswith('[0]') else 'kwargs'}{path[3:]}"


def _in_axes(in_axes: Any, args: Any, kwargs: Any) -> list[int | None]:
    """The axis of each leaf of the arguments."""
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise ShapeError(message(f"vmap: in_axes has {len(in_axes)} entries for {len(args)} arguments"))
    if not isinstance(in_axes, tuple):
        _check_axes("in_axes", (in_axes,))
        in_axes = (in_axes,) * len(args)
    found = prefix_leaves(in_axes, args)
    if found is None:
        raise ShapeError(message(f"vmap: in_axes {in_axes!r} is no tree prefix of the arguments"))
    _check_axes("in_axes", found)
    return [*found, *[0] * len(flatten(kwargs)[0])]


def _check_axes(name: str, axes: Any) -> None:
    for axis in axes:
        if axis is not None and (not isinstance(axis, int) or isinstance(axis, bool)):
            raise TraceError(message(f"vmap: {name} has {describe(axis)}, where an axis is an int or None"))


def _size(leaves: list[Any], axes: list[int | None], args: Any, kwargs: Any) -> int:
    """The number of samples."""
    sizes: dict[int, int] = {}
    for i, (x, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            continue
        shape = getattr(x, "shape", ())
        if not is_array(x) or not -len(shape) <= axis < len(shape):
            what = "has no axes to map over" if not shape else f"has no axis {axis}"
            raise ShapeError(
                message(
                    f"vmap: {_named((args, kwargs), i)} {what}",
                    {"argument": x},
                    remedy="None in in_axes: all samples share it",
                )
            )
        sizes[i] = shape[axis]
    if not sizes:
        raise ShapeError(message("vmap: in_axes maps no argument", remedy="give an axis to at least one"))
    if len(set(sizes.values())) > 1:
        got = {
            _named((args, kwargs), i): f"{describe(leaves[i])}, {n} along axis {axes[i]}"
            for i, n in sizes.items()
        }
        raise ShapeError(message("vmap: the arguments differ in the number of samples", got))
    return next(iter(sizes.values()))


# ── results ──────────────────────────────────────────────────────────────────────────────────
def _out_axes(out_axes: Any, out: Any, n: int) -> list[int | None]:
    found = prefix_leaves(out_axes, out)
    if found is None:
        raise ShapeError(message(f"vmap: out_axes {out_axes!r} is no tree prefix of the result"))
    _check_axes("out_axes", found)
    return found


def _result(trace: Batch, x: Any, axis: int | None, i: int) -> Any:
    """A result as it leaves the trace."""
    x = fresh(x)
    data, mapped = trace.taken(x)
    if axis is None:
        if mapped:
            raise ShapeError(
                message(
                    f"vmap: result {i} differs from sample to sample, but its out_axes is None", {"result": x}
                )
            )
        return data
    if not mapped:
        if not is_array(data) and not isinstance(data, SCALAR_TYPES):
            raise TraceError(message(f"vmap: result {i} is no array", {"result": data}))
        if isinstance(data, SCALAR_TYPES):
            return full_like(data, value=data, shape=(trace.size,))
        data = copy(batch(data, False, trace.size), order="C")
    n = len(data.shape)
    if not -n <= axis < n:
        raise ShapeError(message(f"vmap: result {i} has no axis {axis}", {"result": data}))
    return moved(data, 0, axis)
