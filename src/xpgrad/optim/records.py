"""The result of a fit and its history, with clock, callback and progress bar.

In:  value and gradient norm after each iteration.
Out: a Fit.
Holds: parameters given to the user are copies, so that writing to them changes no run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from xpgrad._trees import flatten, paths, tree_map
from xpgrad.core import aval_of
from xpgrad.devices import namespace
from xpgrad.optim.checkpoints import Checkpoint
from xpgrad.optim.held_out import HeldOut


@dataclass(frozen=True, slots=True)
class Record:
    """One iteration of a fit.

    Attributes
    ----------
    iteration : int
        0 is the start.
    value : float
        The loss; with minibatches its mean over those of this pass, each before its own step.
    gradient_norm : float
        Largest magnitude among the entries of the gradient (of the mean gradient of the pass).
    seconds : float
        Since the start of the fit.
    evaluations : int
        The number of evaluations of value and gradient together, since the start.
    validation : float or None
        The loss on the held-out data of `minimize`, at the parameters after the iteration.
    """

    iteration: int
    value: float
    gradient_norm: float
    seconds: float
    evaluations: int
    validation: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Info(Record):
    """The argument of a callback: a `Record`, and the parameters at that point.

    Attributes
    ----------
    params : tree
        A copy, on the device of the fit.
    """

    params: Any


@dataclass(frozen=True, slots=True)
class Fit:
    """The result of a minimisation.

    Attributes
    ----------
    params : tree
        The parameters found: structure, dtypes and device of those given, never the same arrays. With held-out
        data, those after the iteration where their loss was least.
    value : float
        The loss there; with minibatches the mean over the batches of the last pass. It is NaN or
        infinite only where no finite loss was found.
    history : tuple of Record
        One for each iteration; the first is the start, except with minibatches.
    converged : bool
        Whether the gradient is within ``tol``, or ("lbfgs" and Newton's methods) the loss stalls at
        its rounding with a gradient of at most a hundredth of that of the start. With held-out data: and
        they are where the loss on these was least.
    message : str
        Which criterion was met, or why the method stopped without; and why the loss was not
        compiled, if it could not be.
    n_iter : int
        Iterations done.
    """

    params: Any
    value: float
    history: tuple[Record, ...]
    converged: bool
    message: str
    n_iter: int

    def __repr__(self) -> str:
        return (
            f"Fit(value={self.value:.6g}, converged={self.converged}, n_iter={self.n_iter}, "
            f"message={self.message!r})"
        )


Callback = Callable[[Info], Any]
Show = Callable[[Record], None]


class Evaluated(Protocol):
    """What a Run reads of the objective: its data, a remark on how it is run, and the count of evaluations."""

    evaluations: int
    data: tuple[Any, ...]

    @property
    def remark(self) -> str: ...


class Run:
    """The history of one fit while it grows.

    Parameters
    ----------
    objective : Evaluated
        Whose evaluations are counted.
    start : tree
        The parameters given.
    callback : callable or None
        Called with an `Info` after each iteration, not at the start.
    show : callable or None
        Called with each Record, for a progress bar.
    checkpoint : Checkpoint or None
        Where the state of the method is kept.
    held_out : HeldOut or None
        Which says when to stop, and which parameters to return.
    """

    def __init__(
        self,
        objective: Evaluated,
        start: Any,
        callback: Callback | None = None,
        show: Show | None = None,
        checkpoint: Checkpoint | None = None,
        held_out: HeldOut | None = None,
    ) -> None:
        self._objective = objective
        self._start = start
        self._callback = callback
        self._show = show
        self._checkpoint = checkpoint
        self._held_out = held_out
        self._begun = perf_counter()
        self._history: list[Record] = []
        self.remark = ""  # of the method, for the end of the message

    def resumed(self, like: Any) -> Any:
        """The state of a method where its fit was broken off, a tree like ``like``; None at a start."""
        best = () if self._held_out is None else self._held_out.best
        found = None if self._checkpoint is None else self._checkpoint.restored((like, best))
        if found is None:
            return None
        (state, best), noted = found
        if self._held_out is not None:
            self._held_out.best = best
        self._history = [Record(**facts) for facts in noted["history"]]
        self.remark = noted["remark"]
        self._objective.evaluations = noted["evaluations"]
        self._begun = perf_counter() - noted["seconds"]
        return state

    def begin(self, start: Any, number: float, norm: float, params: Any) -> Any:
        """The state of a method where its fit was broken off; or ``start``, whose loss and norm are noted."""
        state = self.resumed(start)
        if state is not None:
            return state
        self.note(0, number, norm, lambda: params)
        return start

    def keep(self, state: Callable[[], Any]) -> None:
        """Offer the state of the method, after an iteration, to the checkpoint."""
        if self._checkpoint is None:
            return
        count = len(self._history)
        facts = {
            "remark": self.remark,
            "evaluations": self._objective.evaluations,
            "seconds": perf_counter() - self._begun,
        }
        best = () if self._held_out is None else self._held_out.best
        self._checkpoint.keep(
            (state(), best), lambda: facts | {"history": [asdict(record) for record in self._history[:count]]}
        )

    def note(self, iteration: int, value: float, norm: float, params: Callable[[], Any]) -> bool:
        """Remember an iteration; whether the callback asks to stop here."""
        seconds = perf_counter() - self._begun
        facts = (iteration, value, norm, seconds, self._objective.evaluations)
        held = None if self._held_out is None else self._held_out.note(iteration, params())
        record = Record(*facts, validation=held)
        self._history.append(record)
        if self._show is not None:
            self._show(record)
        impatient = self._held_out is not None and not self._held_out.is_patient
        if self._callback is None or iteration == 0:
            return impatient
        answer = self._callback(Info(*facts, copied(params()), validation=held))
        return impatient or (isinstance(answer, (bool, np.bool_)) and bool(answer))

    def fit(self, params: Any, value: float, converged: bool, message: str) -> Fit:
        """The Fit that ends here."""
        n_iter = self._history[-1].iteration if self._history else 0
        message += self.remark + self._objective.remark
        if self._held_out is not None:
            least, at, params = self._held_out.best
            value = next((record.value for record in self._history if record.iteration == at), value)
            converged = converged and at == n_iter
            message += (
                f"; the parameters are those after iteration {at}, of the least validation loss {least:.6g}"
            )
        return Fit(copied(params), value, tuple(self._history), converged, message, n_iter)

    # The message for each kind of end, the same for every method.

    def within_tol(self, params: Any, value: float, norm: float, tol: float) -> Fit:
        text = f"converged: the gradient norm {norm:.3g} is within tol={tol:g}"
        if norm == 0 or self._history[-1].iteration:
            text += _unmoved(self._start, params)
        return self.fit(params, value, True, text)

    def stalled(self, params: Any, value: float, norm: float, small: float, text: str) -> Fit:
        """The loss no longer falls by more than its rounding, which ``small`` gradients alone explain."""
        if norm <= small:
            text = f"converged: {text} (gradient norm {norm:.3g}){_unmoved(self._start, params)}"
            return self.fit(params, value, True, text)
        start = self._history[0].gradient_norm
        text += f", and the gradient is not small (norm {norm:.3g}, {start:.3g} at the start): the loss "
        text += "has no lower bound, or its rounding hides the decrease, which float64 would show"
        return self.fit(params, value, False, f"stopped: {text}")

    def out_of_iterations(self, params: Any, value: float, norm: float, max_iter: int) -> Fit:
        text = f"stopped at max_iter={max_iter} with gradient norm {norm:.3g}; raise max_iter to go on"
        text += _unmoved(self._start, params)
        return self.fit(params, value, False, text)

    def called_back(self, params: Any, value: float, iteration: int) -> Fit:
        if self._held_out is not None and not self._held_out.is_patient:
            waited = iteration - self._held_out.best[1]
            text = f"stopped early: the validation loss has not fallen for {waited} iterations"
            return self.fit(params, value, False, text)
        return self.fit(params, value, False, f"stopped by the callback at iteration {iteration}")

    def bad_start(self, params: Any, value: float, norm: float) -> Fit:
        what = f"the gradient has {norm}" if np.isfinite(value) else f"the loss is {value}"
        why = self.not_finite() or "xg.debug(nans=True) names the operation"
        return self.fit(params, value, False, f"{what} at the given parameters; {why}")

    def not_finite(self) -> str:
        """The NaN and infinite entries of the data and the parameters, in words; empty if there are none."""
        found = [*_not_finite("data", self._objective.data), *_not_finite("params", self._start)]
        return "; ".join(found)


def _not_finite(name: str, tree: Any) -> Iterator[str]:
    """``data[0] has nan at [2, 5], and 3 others`` for each leaf."""
    for path, x in zip(paths(tree), flatten(tree)[0], strict=True):
        if aval_of(x).dtype.kind not in "fc":
            continue
        finite = namespace(x).isfinite(x)
        wrong = finite.size - int(finite.sum())
        if not wrong:
            continue
        at = tuple(int(i[0]) for i in (~finite).nonzero()) if finite.shape else ()
        number = f"{complex(x[at]) if aval_of(x).dtype.kind == 'c' else float(x[at] if at else x)}"
        place = f" at [{', '.join(map(str, at))}]" if at else ""
        others = f", and {wrong - 1} other{'s' if wrong > 2 else ''} not finite" if wrong > 1 else ""
        yield f"{name}{path} has {number}{place}{others}"


def _unmoved(start: Any, params: Any) -> str:
    """A remark about leaves that a fit has left as they were."""
    leaves = zip(paths(start), flatten(start)[0], flatten(params)[0], strict=True)
    still = [f"params{path}" for path, a, b in leaves if bool((a == b).all() if hasattr(a, "all") else a == b)]
    if not still:
        return ""
    return f"; {' and '.join(still)} did not move: the loss does not depend on it, or its gradient was 0"


def copied(params: Any) -> Any:
    """The same tree in arrays of its own."""
    return tree_map(lambda x: x.copy() if hasattr(x, "copy") else x, params)
