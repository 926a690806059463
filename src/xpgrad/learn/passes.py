"""Passes of an optimiser over minibatches, until they no longer improve what is watched.

In:  value and gradient of a batch, an Optimizer, the batches.
Out: the parameters, and the state from which a later fit goes on.
Holds: after a pass nothing but a `Progress` decides how the fit goes on; that is what a checkpoint holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from xpgrad.learn.watch import note
from xpgrad.optim import Optimizer
from xpgrad.optim.batches import Batches
from xpgrad.optim.checkpoints import Checkpoint
from xpgrad.optim.evaluation import fetch


@dataclass
class Progress:
    """Where a fit is.

    Attributes
    ----------
    params, state : tree
        Of the model, and of the optimiser.
    done : int
        Passes, those of earlier fits included.
    losses : list of float
        The mean loss of each of these passes.
    best, kept, waited
        The least value watched, the parameters there, and the passes since it last fell by ``tol``.
    """

    params: Any
    state: Any
    done: int = 0
    losses: list[float] = field(default_factory=list)
    best: float = inf
    kept: Any = None
    waited: int = 0


def fit_in_passes(
    value_and_gradient: Callable[[Any, Any], tuple[Any, Any]],
    progress: Progress,
    batches: Batches,
    optimizer: Optimizer,
    *,
    passes: int,
    tol: float,
    patience: int,
    watched: Callable[[Any], float] | None,
    checkpoint: Checkpoint | None,
) -> tuple[Progress, bool]:
    """Run at most so many passes.

    Parameters
    ----------
    value_and_gradient : callable
        ``(params, batch)``, of the mean loss of a batch.
    passes : int
    tol, patience
        The fit ends after more than ``patience`` passes without one that lowers what is watched by ``tol``.
    watched : callable or None
        ``watched(params)``; None is the loss of the pass.
    checkpoint : Checkpoint or None

    Returns
    -------
    Progress, bool
        And whether the passes ended it, before it stopped improving.
    """
    progress.kept = progress.params
    begun = progress.done
    _resume(progress, batches, checkpoint)
    while progress.waited <= patience:
        if progress.done - begun >= passes:
            return progress, True
        total: Any = 0.0
        for batch, share in batches.epoch():
            value, gradient = value_and_gradient(progress.params, batch)
            progress.params, progress.state = optimizer.update(gradient, progress.state, progress.params)
            total = total + share * value
        (loss,) = fetch(total)
        progress.losses.append(loss)
        progress.done += 1
        note(progress.done, loss, begun + passes)
        if loss - loss != 0:
            return progress, False
        now = loss if watched is None else watched(progress.params)
        progress.waited = 0 if now < progress.best - tol else progress.waited + 1
        if now < progress.best:
            progress.best, progress.kept = now, progress.params
        _keep(progress, batches, checkpoint)
    return progress, False


def _keep(progress: Progress, batches: Batches, checkpoint: Checkpoint | None) -> None:
    if checkpoint is None:
        return
    trees = (progress.params, progress.state, progress.kept, batches.words())
    noted = {"done": progress.done, "losses": list(progress.losses)}
    noted |= {"best": progress.best, "waited": progress.waited}
    checkpoint.keep(trees, lambda: noted)


def _resume(progress: Progress, batches: Batches, checkpoint: Checkpoint | None) -> None:
    if checkpoint is None:
        return
    found = checkpoint.restored((progress.params, progress.state, progress.kept, batches.words()))
    if found is not None:
        (progress.params, progress.state, progress.kept, words), noted = found
        batches.begin_at(words)
        for name, value in noted.items():
            setattr(progress, name, value)
