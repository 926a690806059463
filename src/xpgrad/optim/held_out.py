"""The loss on held-out data after each iteration, and where it was least.

In:  parameters on their device, after each iteration.
Out: whether to stop; the parameters with the least loss on the held-out data.
Holds: one scalar comes to the host for each iteration.
"""

from __future__ import annotations

from typing import Any

from xpgrad._trees import tree_map
from xpgrad.backends.streaming import Streaming
from xpgrad.optim.evaluation import Loss, Step, fetch


class HeldOut:
    """Data that a fit does not see.

    Parameters
    ----------
    loss : callable
        ``loss(params, *data)``.
    data : tuple
        On the device of the fit.
    patience : int
        Iterations without a new least loss after which to stop.
    compile : bool or None
        As in `minimize`.
    start : tree
        The parameters given.
    streaming : Streaming, optional
        How sources among the data are read.

    Attributes
    ----------
    best : tuple
        The least loss, the iteration and the parameters there: the state of a checkpoint.
    """

    def __init__(
        self,
        loss: Loss,
        data: tuple[Any, ...],
        patience: int,
        compile: bool | None,
        start: Any,
        streaming: Streaming | None = None,
    ) -> None:
        self._value = Step(loss, compile, "minimize", None, streaming=streaming)
        self._data, self._patience = data, patience
        self.best: tuple[float, int, Any] = (float("inf"), 0, start)
        self.is_patient = True

    def note(self, iteration: int, params: Any) -> float:
        """The loss on the held-out data; a NaN is no new least one."""
        (value,) = fetch(self._value(params, *self._data))
        if value < self.best[0]:
            copy = tree_map(lambda x: x.copy() if hasattr(x, "copy") else x, params)
            self.best = (value, iteration, copy)
        self.is_patient = iteration - self.best[1] < self._patience
        return value
