"""The compiled function: trace once for each signature, then run the program.

In:  a user's function.
Out: a callable with the same arguments and results.
Holds: a signature (structure, shapes, dtypes, strides, and what is no array) is traced once; numbers
never enter a trace, so no value of an array or of a Python float makes another.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import update_wrapper
from operator import is_
from typing import Any

from xpgrad._errors import DeviceError, TraceError, describe, message
from xpgrad._trees import flatten, unflatten
from xpgrad.backends import choose
from xpgrad.backends.streaming import Streaming
from xpgrad.compiler import recording
from xpgrad.compiler.capture_guards import CaptureGuards, used_within
from xpgrad.compiler.methods import CompiledMethod, Method, alive_of
from xpgrad.compiler.pickling import copied, found_by_name, picklable
from xpgrad.compiler.prior import Prior
from xpgrad.compiler.requirements import Requirements
from xpgrad.compiler.signature import is_traced, known_key, order_of_call, signature_of
from xpgrad.compiler.specialization import Specialization
from xpgrad.core import Const, Graph
from xpgrad.devices import device_of, resolve, to_device
from xpgrad.devices.door import is_data, is_source
from xpgrad.passes import run_passes
from xpgrad.passes.hoist import hoisted
from xpgrad.passes.requirements import separated
from xpgrad.passes.restabilise import rewrites_heard
from xpgrad.trace import Traced, debugging, graph_of
from xpgrad.trace.boundary import admitted_arguments, call
from xpgrad.trace.quiet import uncollected

Fun = Callable[..., Any]

KEPT = 256
"""The most signatures that are kept; the oldest is dropped first."""

_WARN_AT = 64


class _ReachedFromOutside(Exception):
    """The function closes over an array of an enclosing trace, of which it is a part."""


class Compiled:
    """The result of `compile`."""

    __qualname__: Any

    def __init__(
        self,
        f: Fun,
        device: str | None,
        threads: int | None,
        memory_limit: Any = None,
        *,
        of_params: bool = False,
        same_data: bool = False,
        streaming: Streaming | None = None,
    ) -> None:
        self._f, self._device, self._options = f, device, (device, threads, memory_limit)
        self._streaming = Streaming(memory_limit) if streaming is None else streaming
        self._of_params, self._same_data = of_params, same_data
        self._threads = choose.thread_count(threads)
        self._lock = threading.RLock()
        self._cache: OrderedDict[Any, Specialization] = OrderedDict()
        self._plain: dict[Any, Specialization] = {}
        self._latest: tuple[Any, Specialization | None] = (None, None)
        self._enter: Any = None
        self._traces: list[str] = []
        self._compilations = 0
        update_wrapper(self, f, updated=())  # not the attributes: ``f`` may have such as these itself
        self._of_instances: dict[int, tuple[Any, Compiled]] = {}

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """The method of an object, compiled for each object; the attributes that it reads are watched."""
        if instance is None:
            return self
        known = self._of_instances.get(id(instance))
        if known is None:
            held, key = self._of_instances, id(instance)
            alive = alive_of(instance, lambda _: held.pop(key, None) and None)
            known = held[key] = (alive, Compiled(Method(self._f, alive), *self._options))
        return CompiledMethod(self, instance, known[1])

    def __watched__(self) -> list[Any]:
        """The attributes that a function which calls it reads."""
        return [self._f]

    def __copy__(self) -> Compiled:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """Itself, as a copy of a Python function; for a method, the method of the copied object."""
        f = copied(self._f, memo)
        return self if f is self._f else Compiled(f, *self._options)

    def __reduce__(self) -> Any:
        """The name, as Python functions are pickled; otherwise the function and its options."""
        if found_by_name(self):
            return self.__qualname__
        return _again, (picklable(self._f), *self._options)

    @property
    def traces(self) -> tuple[str, ...]:
        """One line for each trace so far, with its signature."""
        return tuple(self._traces)

    @property
    def compilations(self) -> int:
        """The number of kernels compiled so far, without those that were found in the store."""
        return self._compilations

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        enter = self._enter
        if enter is not None and not kwargs and not debugging.nans and not recording.active:
            out = enter(args)
            if out is not None:
                return out
        if not kwargs:
            key, plain = known_key(args)
            latest = self._latest  # to compare keys takes a fifth of the time that it takes to hash one
            trace = latest[1] if key == latest[0] else self._plain.get(key)
            if trace is not None and trace.captures.same() and not debugging.nans:
                if recording.active:
                    used_within(trace.captures)
                else:
                    self._enter = trace.entry(key, args)
                return trace.run(plain)
        given, structure = flatten((args, kwargs))
        if any(type(x) is Traced for x in given):
            return self._f(*args, **kwargs)  # a part of the function that is being traced
        leaves = admitted_arguments(given, args, kwargs, "compile")
        if self._device is not None:
            leaves = self._placed(leaves)
        try:
            trace, arrays = self._lookup(leaves, structure, order_of_call(self._f, args, kwargs))
        except _ReachedFromOutside:
            return self._f(*args, **kwargs)
        if debugging.nans:
            return trace.run_checked(arrays)
        if not kwargs and self._device is None and key is not None and all(map(is_, leaves, given)):
            if len(self._plain) > KEPT:
                self._plain.clear()
            self._plain[key] = trace
            self._latest = key, trace
        return trace.run(arrays)

    def explain(self, *args: Any, source: bool = False, **kwargs: Any) -> str:
        """The graph, the passes and the program for these arguments; nothing is computed.

        Parameters
        ----------
        args, kwargs
            The arguments of a call. An argument of the function named ``source`` is given by position.
        source : bool
            Whether the text of each kernel is shown: LLVM IR on the CPU, CUDA C++ on a GPU, as it was
            compiled. Steps of NumPy or CuPy have none, and are named.

        Returns
        -------
        str
            The graph; the rewritings of each pass, with your line, within transforms and after them; the
            steps with their tiles; the kernel that runs each or, with the reason, what runs it instead.
        """
        trace, _ = self._traced_for(args, kwargs)
        asks = 0 if trace.demanded is None else len(trace.demanded)
        text = choose.explain(
            trace.graph, trace.rewrites, trace.reports, trace.program, source=source, asks=asks
        )
        return text if trace.prior is None else "\n".join([text, "", *trace.prior.describe(source)])

    def check(self, *args: Any) -> bool:
        """Check the demands that `compile_step` leaves out of each call; returns whether there are any.

        Raises
        ------
        DataError
            A demand on the arguments after the first alone does not hold.
        """
        trace, arrays = self._traced_for(args, {})
        if trace.settled is None:
            return False
        trace.settled.check(arrays)
        return True

    def _traced_for(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Specialization, list[Any]]:
        given, structure = flatten((args, kwargs))
        leaves = admitted_arguments(given, args, kwargs, "compile")
        if self._device is not None:
            leaves = self._placed(leaves)
        return self._lookup(leaves, structure, order_of_call(self._f, args, kwargs))

    def _placed(self, leaves: Sequence[Any]) -> list[Any]:
        """The arguments on the device; those that do not fit stay on the host, to be copied tile by tile."""
        assert self._device is not None
        place = resolve(self._device)
        stays = [not is_data(x) or choose.stays_on_host(x, place) for x in leaves]
        rest = iter(to_device([x for x, kept in zip(leaves, stays, strict=True) if not kept], place))
        return [x if kept else next(rest) for x, kept in zip(leaves, stays, strict=True)]

    def _lookup(self, leaves: Sequence[Any], structure: Any, order: Any) -> tuple[Specialization, list[Any]]:
        key = (structure, order, tuple(map(signature_of, leaves)))
        arrays = [x for x in leaves if is_traced(x)]
        try:
            trace = self._cache.get(key)
        except TypeError:
            raise _not_hashable(leaves) from None
        if trace is None or not trace.captures.same():
            with self._lock:
                trace = self._cache.get(key)
                if trace is None or not trace.captures.same():
                    with uncollected():
                        trace = self._trace(leaves, structure, key, changed=trace is not None)
        used_within(trace.captures)
        return trace, arrays

    def _trace(self, leaves: Sequence[Any], structure: Any, key: Any, changed: bool) -> Specialization:
        traced = [is_traced(x) for x in leaves]

        def of_arrays(*arrays: Any) -> Any:
            rest = iter(arrays)
            args, kwargs = unflatten(
                structure, [next(rest) if t else x for x, t in zip(leaves, traced, strict=True)]
            )
            return call(self._f, args, kwargs)

        arrays = [x for x, t in zip(leaves, traced, strict=True) if t]
        if self._device is None:
            _check_one_device(arrays)
        others = [x for x, t in zip(leaves, traced, strict=True) if not t]
        f = self._f.bound() if isinstance(self._f, Method) else self._f
        captures = CaptureGuards(f, others, weak=isinstance(self._f, Method))
        try:
            with rewrites_heard() as rewrites, captures:
                graph, rebuild = graph_of(of_arrays, *arrays)
        except TraceError:
            captures.raise_refused()
            raise
        captures.settle()
        if _is_reached(graph, rebuild):
            raise _ReachedFromOutside
        fixed_from = _count_of_first(structure, traced) if self._of_params else None
        whole, each_call, settled = separated(graph, fixed_from)
        optimised, reports = run_passes(whole)
        streams = self._device is not None
        trace = Specialization(optimised, rebuild, rewrites, reports, captures)
        rest, given = optimised, arrays
        samples = min((x.samples for x in arrays if is_source(x)), default=None)
        split = hoisted(optimised, fixed_from, samples) if self._same_data and fixed_from is not None else None
        if split is not None:
            assert fixed_from is not None
            if settled.outputs:  # before anything is computed of data that may be refused
                Requirements(settled, self._threads, streams, self._streaming).check(arrays)
            trace.prior = Prior(split.prior, arrays, fixed_from, self._threads, self._streaming)
            rest, given = split.rest, [*arrays, *trace.prior.of(arrays)]
            self._compilations += trace.prior.compiled
        trace.program = choose.build(rest, given, self._threads, streams, self._streaming)
        if each_call.outputs:
            trace.demanded = Requirements(each_call, self._threads, streams, self._streaming)
        if settled.outputs:
            trace.settled = Requirements(settled, self._threads, streams, self._streaming)
        self._compilations += trace.program.compiled
        why = "what it reads from outside has changed: " if changed else ""
        got = [describe(x) if t else repr(x) for x, t in zip(leaves, traced, strict=True)]
        self._traces.append(why + ", ".join(got))
        self._cache[key] = trace
        self._cache.move_to_end(key)
        if len(self._cache) > KEPT:
            self._cache.popitem(last=False)
        if len(self._traces) == _WARN_AT:
            name = getattr(self._f, "__name__", "f")
            warnings.warn(
                f"compile: {name} has been traced {_WARN_AT} times; an argument that changes in every call "
                "and is no array or float (an int, say) makes a new trace each time",
                RuntimeWarning,
                stacklevel=4,
            )
        return trace


def compile(
    f: Fun | None = None, *, device: str | None = None, threads: int | None = None, memory_limit: Any = None
) -> Any:
    """Compile a function of arrays to one pass over the samples.

    Parameters
    ----------
    f : callable
        Takes and returns trees of arrays and scalars; may itself be a gradient
        (``xg.compile(xg.value_and_grad(loss))``). Without it, a decorator is returned.
    device : str, optional
        ``"cpu"``, ``"gpu"``, ``"gpu:1"`` or ``"auto"``: arguments are moved there first. By default
        they run where they are. For a GPU, a memory-mapped array, or one that would take more than half
        of the GPU's free memory, stays on the host and is copied tile by tile, where the function is a sum
        over the samples; ``explain`` shows the tiles, or says why it is copied whole.
    threads : int, optional
        The number of CPU threads to use; by default all that the process may use. The result has the same
        bits with any number.
    memory_limit : int or str, optional
        Bytes, or ``"800MB"``, for the sources among the arguments (`xpgrad.data`): what is read ahead, and what
        stays in memory from one call to the next. By default a quarter of what is free at the first call.

    Returns
    -------
    callable
        With ``.explain(*args)``, ``.traces`` and ``.compilations``. Results are new arrays.

    Raises
    ------
    TraceError
        In a call: the function asks for the numbers of an array (an ``if`` on one, ``float(x)``,
        ``x[x > 0]``); the message has the line and what to write instead. On shapes it is free.

    Notes
    -----
    The function is run with stand-ins for its arrays, once for each new combination of shapes,
    dtypes and memory layouts. Arrays and Python floats may then have any values. Python ints, bools and
    strings are constants of a trace, and another value is another trace. Neither compiles a kernel again:
    sizes and scalars are arguments of the kernels.

    Side effects of the function (printing, appending to a list) happen while it is traced, not in each
    call. What it reads from outside while it is traced (globals, closure variables, attributes of objects
    and classes, entries of lists and dicts) is watched: another value is another trace. An array that it
    closes over is compared whole in each call, with a copy that is kept. What cannot be watched (a file,
    the clock, random numbers) is a TraceError that names it. Under ``xg.debug(nans=True)`` nodes run one
    by one.

    An index outside its axis is an OutOfBoundsError on the CPU. On a GPU it wraps around, as CuPy's do:
    an error would have to wait for the device.
    """
    if f is None:
        return lambda g: compile(g, device=device, threads=threads, memory_limit=memory_limit)
    if not callable(f):
        raise TraceError(message(f"compile: {describe(f)} is no function"))
    return Compiled(f, device, threads, memory_limit)


def compile_step(
    f: Fun, device: str | None, *, same_data: bool = False, streaming: Streaming | None = None
) -> Compiled:
    """`compile` of ``f(params, *data)``; `Compiled.check` checks the demands of ``f`` on the data alone.

    ``same_data``: the data are the same arrays in most calls, with the same entries. What depends on them alone
    is then computed once, where that saves reading them (`passes.hoist`).
    """
    return Compiled(f, device, None, of_params=True, same_data=same_data, streaming=streaming)


def _again(f: Fun, device: str | None, threads: int | None, memory_limit: Any = None) -> Compiled:
    return Compiled(f, device, threads, memory_limit)


def _count_of_first(structure: Any, traced: Sequence[bool]) -> int:
    """The number of arrays that are leaves of the first argument."""
    args, _ = unflatten(structure, range(len(traced)))
    return sum(traced[i] for i in flatten(args[0])[0])


def _is_reached(graph: Graph, rebuild: Fun) -> bool:
    """Whether an array of an enclosing trace is among the constants of the graph, or its results."""
    constants = [u.data for node in graph.nodes for u in node.operands if isinstance(u, Const)]
    results = flatten(rebuild([None] * len(graph.outputs)))[0]
    return any(type(x) is Traced for x in (*constants, *results))


def _not_hashable(leaves: Sequence[Any]) -> TraceError:
    for x in leaves:
        try:
            hash(signature_of(x))
        except TypeError:
            return TraceError(
                message(f"compile: an argument of type {type(x).__name__} is no array and not hashable")
            )
    raise AssertionError("each leaf is hashable")


def _check_one_device(arrays: Sequence[Any]) -> None:
    places = {f"array {i}": device_of(x) for i, x in enumerate(arrays) if getattr(x, "shape", ()) != ()}
    if len(set(places.values())) > 1:
        raise DeviceError(
            message(
                "compile: arguments on two devices",
                {name: f"{describe(arrays[int(name[6:])])} on {place}" for name, place in places.items()},
                remedy='xg.compile(f, device="gpu") moves them all, as xg.to_device does',
            )
        )
