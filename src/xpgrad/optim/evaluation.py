"""The loss and its gradient, compiled or eager, and the scalars that the host needs of them.

In:  a loss, its data, and parameters on their device.
Out: value and gradient on that device; floats where a method must choose.
Holds: `fetch` is the only way from a device to the host, and carries scalars alone. What is not compiled
although it was to be is said, once for each fit.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from xpgrad._errors import DataError, TraceError
from xpgrad._trees import flatten
from xpgrad.backends.streaming import Streaming
from xpgrad.compiler import compile_step
from xpgrad.devices import asnumpy, device_of, namespace, to_device
from xpgrad.devices.door import is_source
from xpgrad.transforms import value_and_grad

Loss = Callable[..., Any]

_ON_HOST = (bool, int, float, np.generic, np.ndarray)


class Step:
    """The function that a method calls once for each step, compiled or line by line.

    Parameters
    ----------
    function : callable
        ``(first, *data) -> tuple``: value and gradient of a loss for ``first``, the parameters; or more than
        these, for parameters and whatever else changes from step to step.
    compile : bool or None
        True: compiled, whatever the loss. False: line by line. None: compiled if the loss can be traced
        with shapes alone; if not, line by line, with a warning.
    method : str
        Who warns.
    streams_to : str or None
        The GPU to which data that lies on the host are copied tile by tile; None: all is where it is to be.
    same_data : bool
        The data are the same in all steps; what depends on them alone is computed once.
    streaming : Streaming, optional
        How sources among the data are read.

    Attributes
    ----------
    remark : str
        Why the loss is run line by line although it was to be compiled; empty where it is not so.
    """

    def __init__(
        self,
        function: Loss,
        compile: bool | None,
        method: str,
        streams_to: str | None,
        same_data: bool = False,
        streaming: Streaming | None = None,
    ) -> None:
        self.remark = ""
        self._method = method
        self._eager = function
        self._must = compile is True
        self._streams_to = streams_to
        self._compiled = None
        if compile is not False:
            self._compiled = compile_step(self._eager, streams_to, same_data=same_data, streaming=streaming)

    def __call__(self, *args: Any) -> Any:
        if self._compiled is None:
            return self._line_by_line(args)
        try:
            return self._compiled(*args)
        except TraceError as error:
            if self._must or any(map(is_source, flatten(args[1:])[0])):
                raise
            said = str(error)
        out = self._line_by_line(args)  # raises what is wrong with the loss itself
        self._compiled = None
        self._say(said)
        return out

    def check(self, *args: Any) -> bool:
        """Ask what the loss demands of its data; False where nothing is asked here.

        Line by line the loss asks by itself, in each step. What is wrong with the loss, the step will say.
        """
        if self._compiled is None:
            return False
        try:
            return self._compiled.check(*args)
        except TraceError:
            return False

    def _line_by_line(self, args: tuple[Any, ...]) -> Any:
        if self._streams_to is not None:
            args = to_device(args, self._streams_to)
        return self._eager(*args)

    def _say(self, said: str) -> None:
        headline, *rest = said.splitlines()
        line = next((text.strip() for text in rest if text.startswith("  at ")), "")
        self.remark = f"; the loss was not compiled: {headline} {line}".rstrip()
        warnings.warn(
            f"{self._method}: the loss cannot be compiled, and is run line by line\n  "
            + said.replace("\n", "\n  ")
            + "\n  compile=False says that this is meant",
            RuntimeWarning,
            stacklevel=_users_level(),
        )


def _users_level() -> int:
    """The number of frames up to the user's call, for a warning of the caller's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "xpgrad":
        level, frame = level + 1, frame.f_back
    return level


class Objective:
    """A loss with its data, which counts its evaluations.

    Parameters
    ----------
    loss : callable
    data : tuple
    compile, method, streams_to, same_data, streaming
        As in `Step`.
    together : callable, optional
        It makes the function of a `Step` of that of value and gradient, so that both are compiled together.

    Attributes
    ----------
    data : tuple
        The arguments of the loss after the parameters.
    evaluations : int
        The number of evaluations of value and gradient together, so far.
    """

    def __init__(
        self,
        loss: Loss,
        data: Sequence[Any] = (),
        *,
        compile: bool | None = None,
        method: str = "minimize",
        streams_to: str | None = None,
        same_data: bool = False,
        streaming: Streaming | None = None,
        together: Callable[[Loss], Loss] | None = None,
    ) -> None:
        function = value_and_grad(loss) if together is None else together(value_and_grad(loss))
        self._loss = loss
        self._options, self._streaming = (compile, method, streams_to), streaming
        self._step = Step(function, *self._options, same_data, streaming)
        self._others: list[Step] = []
        self.data = tuple(data)
        self.evaluations = 0

    @property
    def remark(self) -> str:
        """A remark for the end of a fit on how the loss was run."""
        return next((step.remark for step in (self._step, *self._others) if step.remark), "")

    def derived(self, of_loss: Callable[[Loss], Loss]) -> Step:
        """Another function of the loss, compiled as the first; line by line where one before had to be."""
        compile, method, streams_to = self._options
        if any(step.remark for step in (self._step, *self._others)):
            compile = False
        step = Step(of_loss(self._loss), compile, method, streams_to, streaming=self._streaming)
        self._others.append(step)
        return step

    def __call__(self, first: Any, data: Sequence[Any] | None = None) -> Any:
        """Value and gradient, or what the `Step` gives, on their device; on all the data, or on a batch."""
        self.evaluations += 1
        return self._step(first, *(self.data if data is None else data))

    def check_data(self, first: Any, batches: Iterable[tuple[Sequence[Any], str]] | None = None) -> None:
        """Ask, before the first step, what the loss demands of its data: of all at once, or of named batches.

        ``first`` is as in a step.

        Raises
        ------
        DataError
            A demand does not hold; with the line of the loss.
        """
        if batches is None:
            self._step.check(first, *self.data)
            return
        silent = 0
        for data, which in batches:
            try:
                asked = self._step.check(first, *data)
            except DataError as error:
                raise DataError(f"{error}\n  in a batch of {which}") from error
            silent += not asked
            if silent == 2:  # of the smaller batch, which comes first, and of the others
                return


def peaks(tree: Any) -> list[Any]:
    """The largest magnitude in each leaf, on its device; NaN where there is one."""
    return [
        abs(x).max() if getattr(x, "shape", ()) else abs(x)
        for x in flatten(tree)[0]
        if prod(getattr(x, "shape", ()))
    ]


def fetch(*scalars: Any) -> list[float]:
    """Bring scalars, or arrays of one entry, to the host, in one transfer however many they are."""
    if all(isinstance(x, _ON_HOST) for x in scalars):
        return [float(x) if type(x) is not np.ndarray else float(x.item()) for x in scalars]
    xp = namespace(next(x for x in scalars if device_of(x) != "cpu"))
    together = xp.stack([xp.asarray(x, dtype=np.float64).reshape(()) for x in scalars])
    return [float(x) for x in asnumpy(together)]


def fetch_value_and_norm(value: Any, gradient: Any) -> tuple[float, float]:
    """The loss and the largest magnitude in its gradient, in one transfer."""
    number, *largest = fetch(value, *peaks(gradient))
    return number, float(np.max(largest, initial=0.0))
