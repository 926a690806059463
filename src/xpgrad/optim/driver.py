"""`minimize`: choose the method, the device and the batches, and run.

In:  a loss, parameters and data, anywhere.
Out: a Fit, with parameters on the device where it ran.
Holds: arguments are checked before anything is computed or moved.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from os import PathLike
from typing import Any

from xpgrad._errors import DataError, message
from xpgrad._trees import flatten, unflatten
from xpgrad.backends import choose
from xpgrad.backends.streaming import Streaming
from xpgrad.devices import common_device, resolve, to_device, using
from xpgrad.devices.door import array_of, is_source, named_leaf
from xpgrad.optim.batches import Batches, check_not_empty
from xpgrad.optim.bounded import Box, projected_quasi_newton
from xpgrad.optim.checkpoints import kept_in
from xpgrad.optim.descent import full_batch, minibatches, with_step
from xpgrad.optim.evaluation import Loss, Objective
from xpgrad.optim.first_order import (
    Rule,
    Schedule,
    adam_rule,
    adamw_rule,
    clipped_rule,
    momentum_rule,
    sgd_rule,
)
from xpgrad.optim.held_out import HeldOut
from xpgrad.optim.newton import newton_steps
from xpgrad.optim.newton_cg import trust_region_steps
from xpgrad.optim.progress import progress_bar
from xpgrad.optim.quasi_newton import quasi_newton
from xpgrad.optim.records import Callback, Fit, Run
from xpgrad.optim.source_batches import SourceBatches

# The optimiser of each first-order method, and its default learning rate.
_FIRST_ORDER: dict[str, tuple[Callable[[float | Schedule], Rule], float]] = {
    "gd": (sgd_rule, 0.1),
    "momentum": (momentum_rule, 0.01),
    "adam": (adam_rule, 1e-3),
    "adamw": (adamw_rule, 1e-3),
}
# The methods that choose their steps by all the data.
_FULL_BATCH = {"lbfgs": quasi_newton, "newton": newton_steps, "newton_cg": trust_region_steps}
_METHODS = (*_FIRST_ORDER, *_FULL_BATCH)

_MAX_ITER = 1000
_MAX_PASSES = 100  # with minibatches, each of many steps
_TOL = 1e-5


def minimize(
    loss: Loss,
    params: Any,
    data: tuple[Any, ...] | list[Any] = (),
    *,
    method: str,
    device: str | None = None,
    max_iter: int | None = None,
    tol: float | None = None,
    batch_size: int | None = None,
    sample_axis: int = -1,
    learning_rate: float | Schedule | None = None,
    clip_norm: float | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    progress: bool | None = None,
    compile: bool | None = None,
    checkpoint: str | PathLike[str] | None = None,
    bounds: tuple[Any, Any] | None = None,
    validation: tuple[Any, ...] | None = None,
    patience: int = 10,
    memory_limit: int | str | None = None,
    cluster: Any = None,
) -> Fit:
    """Find the parameters for which a loss is least.

    Parameters
    ----------
    loss : callable
        ``loss(params, *data)``, a real scalar or an array of one entry, in plain NumPy. With minibatches it
        must be a mean over the samples, not a sum.
    params : tree of float or complex arrays and scalars
        Where to start. On a GPU, a 0-d array costs less than a Python float, which lives on the
        host and is sent there at each step.
    data : tuple of trees
        What the loss takes after the parameters; ``(X,)`` for a single array. They must not be written to
        while the fit runs: sums and products of the data alone are computed once. Sources (`xpgrad.data`) stand
        for arrays that do not fit into memory: each step reads them by parts, and has the bits of a fit in
        memory.
    method : {"gd", "momentum", "adam", "adamw", "lbfgs", "newton", "newton_cg"}
        The last three use all the data in each step, choose its length, and are for smooth losses: "lbfgs" for
        up to some millions of parameters; "newton" for up to some hundreds, in few iterations, each with the
        Hessian; "newton_cg" for ill-conditioned losses of more parameters, by products with the Hessian.
    device : str, optional
        Where to compute: ``"cpu"``, ``"gpu"``, ``"gpu:1"`` or ``"auto"``. By default where
        ``params`` and ``data`` are. What is there already is not copied. On a GPU, full-batch data in a
        memory-mapped file, or of more than half of its free memory, stay on the host: each step copies
        them tile by tile.
    max_iter : int, optional
        Iterations at most. An iteration is one pass over the data: one step, or with minibatches
        as many as there are batches. By default 1000, or 100 with minibatches.
    tol : float, optional
        Converged when no entry of the gradient is larger; with minibatches, of the mean of the
        gradients of one pass. By default 1e-5; 0 turns this off. "lbfgs" and Newton's methods are also
        converged where the loss no longer falls by more than its own rounding and the gradient is at most a
        hundredth of that of the start; a stall with a larger gradient (a loss without a lower bound,
        float32 beside a large constant) is none.
    batch_size : int, optional
        Samples for each step, drawn without replacement, in an order that is new in each pass; the
        last batch of a pass has what is left. By default all. On the CPU, arrays of up to 1 GiB with samples
        in columns are copied once, with samples in rows. Of sources the blocks are shuffled, and then the
        samples of as many blocks together as have 65,536 samples and 8 batches.
    sample_axis : int
        The axis that counts the samples in every array of ``data``, for ``batch_size``: -1 for
        samples in columns (and for one-dimensional arrays), 0 for samples in rows.
    learning_rate : float or callable, optional
        The rate of the first-order methods, or a schedule that maps the steps done to the next rate.
        By default 0.1 for "gd", 0.01 for "momentum", 0.001 for "adam" and "adamw".
    clip_norm : float, optional
        For the first-order methods: a gradient whose Euclidean norm over all parameters is larger is scaled to
        it before its step.
    seed : int
        The seed of the order of the samples; the same seed gives the same bits.
    callback : callable, optional
        Called with an `Info` after each iteration; returns True to stop. What it raises goes up.
    progress : bool, optional
        Show a bar on standard error; by default only on a terminal.
    compile : bool, optional
        Whether to compile the loss and its gradient, as `xg.compile` does: it is then called once to be
        traced, not in each step, and what it reads from outside its arguments must not change in
        ways that `xg.compile` does not see. By default it is compiled where it can be; one
        that cannot (an ``if`` on a number of an array, random numbers) is run line by line, and a
        warning and the message of the Fit name its line. True insists, False is for a loss with
        effects of its own.
    checkpoint : path, optional
        A file for the state of the fit: written every 30 seconds, when the fit ends, and when it is broken off
        (Ctrl-C, an exception). Where the file exists, the fit goes on from it, with the same bits as one that
        was never broken off, ``params`` being looked at for their structure alone; so does a fit that has
        ended, with a larger ``max_iter`` or a smaller ``tol``. The loss must be the same; nothing checks it.
    bounds : pair, optional
        The least and the largest values of real parameters, for "lbfgs": each None, a number, or a tree like
        ``params`` of None, numbers, and arrays that broadcast to the parameter. A start outside is moved to its
        bound; the loss is never asked outside. The gradient norm is then that of what no bound holds.
    validation : tuple of trees, optional
        Held-out data for the loss, in the place of ``data``. The loss on them is computed after each iteration,
        and the fit stops early where it has had no new minimum for ``patience`` iterations. However it ends,
        ``params`` are those where the loss on the held-out data was least.
    patience : int
    memory_limit : int or str, optional
        Bytes, or ``"800MB"``, for the sources among the data (`xpgrad.data`): what is read ahead, and what
        stays in memory between two passes. By default a quarter of what is free, of each worker of a cluster.
    cluster : distributed.Client, optional
        Workers of Dask's share each pass over the sources, with the same bits; as within `xpgrad.scale.on`.

    Returns
    -------
    Fit
        ``params`` are new arrays on the device of the fit. A loss that becomes NaN or infinite
        ends a first-order method at the last parameters where it was finite, with ``converged``
        False; for the full-batch methods it means a step too far, which is shortened.

    Raises
    ------
    ValueError
        An unknown method, or an option out of range or not for this method.
    DTypeError
        A parameter is an integer or boolean.
    ShapeError
        The loss is no scalar; the arrays of ``data`` differ in their number of samples; bounds are no tree like
        the parameters.
    DataError
        No parameters, no samples, or fewer than ``batch_size``. What the loss demands of its data does not
        hold: asked once, of all of them, before the first step (line by line, in each step). The checkpoint is
        damaged, or of a fit with another method, other options, shapes or data.
    DeviceError
        No such device, or arguments on two of them.
    TraceError
        With ``compile=True``: the loss cannot be compiled.

    Notes
    -----
    Each iteration brings a few scalars to the host (the loss, the gradient norm), never parameters.

    Examples
    --------
    >>> import numpy as np
    >>> import xpgrad as xg
    >>> fit = xg.minimize(lambda w, X: np.mean((X - w) ** 2), 0.0, (np.array([1.0, 3.0]),), method="lbfgs")
    >>> fit.params
    2.0
    """
    max_iter = _checked(method, data, max_iter, tol, batch_size, learning_rate, compile)
    if clip_norm is not None and method in _FULL_BATCH:
        raise ValueError(message(f'minimize: "{method}" chooses its steps by the whole gradient: no clip_norm'))
    if bounds is not None and method != "lbfgs":
        raise ValueError(message(f'minimize: "{method}" takes no bounds', remedy='use method="lbfgs"'))
    tol = _TOL if tol is None else tol
    if not flatten(params)[0]:
        raise DataError(message("minimize: there are no parameters", {"params": params}))
    box = None if bounds is None else Box(bounds, params)
    params, data, place, streams = _placed(params, tuple(data), device, batch_size is None)
    check_not_empty(data, sample_axis)
    batches, rule = None, None
    reads, streaming = any(map(is_source, flatten(data)[0])), Streaming(memory_limit)
    if compile is False and batch_size is None and reads:
        remedy = "leave compile=False out"
        raise ValueError(message("minimize: sources are read by compiled functions", remedy=remedy))
    if batch_size is not None:
        cut = (data, batch_size, sample_axis, seed)
        batches = SourceBatches(*cut, streaming.kept.limit) if reads else Batches(*cut)
    if method in _FIRST_ORDER:
        make, default = _FIRST_ORDER[method]
        rule = make(default if learning_rate is None else learning_rate)
        if clip_norm is not None:
            rule = clipped_rule(rule, clip_norm)
    together = batches is not None and place == "cpu"
    objective = Objective(
        loss,
        data,
        compile=compile,
        streams_to=place if streams else None,
        same_data=batches is None and place == "cpu",
        streaming=streaming,
        together=with_step(rule) if rule is not None and together else None,
    )
    held_out = None
    if validation is not None:
        held = to_device(_admitted(tuple(validation), "validation"), place)
        held_out = HeldOut(loss, held, _count("patience", patience), compile, params, streaming)
    options: dict[str, Any] = {
        "method": method,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    options |= {"bounds": bounds, "patience": patience, "clip_norm": clip_norm}
    with (
        using(place),
        kept_in(checkpoint, params, (*data, *(validation or ())), options, place) as kept,
        progress_bar(method, max_iter, progress) as show,
        _computing_on(cluster, reads and batch_size is None),
    ):
        run = Run(objective, params, callback, show, kept, held_out)
        if box is not None:
            return projected_quasi_newton(objective, params, run, box=box, max_iter=max_iter, tol=tol)
        if rule is None:
            return _FULL_BATCH[method](objective, params, run, max_iter=max_iter, tol=tol)
        if batches is None:
            return full_batch(objective, rule, params, run, max_iter=max_iter, tol=tol)
        return minibatches(objective, rule, params, batches, run, max_iter=max_iter, tol=tol, together=together)


def _computing_on(cluster: Any, useful: bool) -> AbstractContextManager[None]:
    """The context in which a cluster reads the sources."""
    if cluster is None:
        return nullcontext()
    if not useful:
        remedy = "leave batch_size out, and give data as sources: xg.data.parquet(...)"
        what = "minimize: a cluster shares the passes over all samples of sources"
        raise ValueError(message(what, remedy=remedy))
    from xpgrad.scale import on

    return on(cluster)


def _placed(
    params: Any, data: tuple[Any, ...], device: str | None, whole: bool
) -> tuple[Any, tuple[Any, ...], str, bool]:
    """Parameters and data on the device of the fit, its name, and whether data stay on the host."""
    params, data = _admitted(params, "params"), _admitted(data, "data")
    if device is None:
        place = common_device((params, *data), name="args", operation="minimize")
    else:
        place = resolve(device)
    leaves, structure = flatten(data)
    stays = [whole and choose.stays_on_host(x, place) for x in leaves]
    if not any(stays):
        params, data = to_device((params, data), place)
        return params, data, place, False
    moved = iter(to_device([x for x, kept in zip(leaves, stays, strict=True) if not kept], place))
    data = unflatten(structure, [x if kept else next(moved) for x, kept in zip(leaves, stays, strict=True)])
    return to_device(params, place), data, place, True


def _admitted(tree: Any, name: str) -> Any:
    """The tree with arrays and numbers in place of what is data; anything else is an error, named."""
    leaves, structure = flatten(tree)
    return unflatten(
        structure, [array_of(x, named_leaf, f"minimize: {name}", tree, i) for i, x in enumerate(leaves)]
    )


def _count(name: str, count: Any) -> int:
    if isinstance(count, bool) or not hasattr(count, "__index__") or count < 1:
        raise ValueError(message(f"minimize: {name} must be a positive integer, got {count!r}"))
    return int(count)


def _checked(
    method: str,
    data: Any,
    max_iter: int | None,
    tol: float | None,
    batch_size: int | None,
    learning_rate: Any,
    compile: Any,
) -> int:
    """Refuse options that make no sense; how many iterations there may be."""
    if method not in _METHODS:
        names = ", ".join(f'"{name}"' for name in _METHODS)
        raise ValueError(message(f"minimize: no method {method!r}; there are {names}"))
    if not isinstance(data, (tuple, list)):
        raise TypeError(
            message(
                "minimize: data must be a tuple of what the loss takes after the parameters",
                {"data": data},
                remedy="write (X,) for a single array",
            )
        )
    if compile is not None and not isinstance(compile, bool):
        raise ValueError(message(f"minimize: compile must be True, False or None, got {compile!r}"))
    for name, count in {"max_iter": max_iter, "batch_size": batch_size}.items():
        if count is not None:
            _count(name, count)
    if tol is not None and not (tol >= 0 and isfinite(tol)):
        raise ValueError(message(f"minimize: tol must be finite and not negative, got {tol!r}"))
    if method in _FULL_BATCH and batch_size is not None:
        remedy = 'leave batch_size out, or use method="adam"'
        raise ValueError(message(f'minimize: "{method}" needs all the data in each step', remedy=remedy))
    if method in _FULL_BATCH and learning_rate is not None:
        remedy = "leave learning_rate out"
        raise ValueError(message(f'minimize: "{method}" chooses the length of its steps itself', remedy=remedy))
    if max_iter is not None:
        return int(max_iter)
    return _MAX_ITER if batch_size is None else _MAX_PASSES
