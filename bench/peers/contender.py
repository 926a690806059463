"""What a contender is, and by which name it is found.

A library's module (``by_torch``) has one function for each job it can do, ``job(problem)`` and what
its row here adds. The function prepares the data in the library's own arrays. It gives a Contender,
whose ``build()`` makes the step: what a user writes before the loop. ``step()`` gives value and
gradient, computed to the end.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.peers.problems import Problem
from bench.peers.processes import Missing


def as_it_comes(result: Any) -> tuple[Any, tuple[Any, ...]]:
    """A step's result that already is ``(value, (gradient of each parameter, ...))``."""
    value, gradient = result
    return value, tuple(gradient)


class Contender(NamedTuple):
    """``unpack(step())`` is the value and NumPy arrays in the layout of the problem's parameters.

    ``explain()``, of those who have one, is what their compiler has to say about the step.
    """

    build: Callable[[], Callable[[], Any]]
    unpack: Callable[[Any], tuple[Any, tuple[Any, ...]]] = as_it_comes
    explain: Callable[[], str] | None = None


# Name: module here, what its functions are told, distributions whose version counts.
CONTENDERS: dict[str, tuple[str, dict[str, bool], tuple[str, ...]]] = {
    "numpy": ("by_numpy", {}, ("numpy", "scipy")),
    "autograd": ("by_autograd", {}, ("autograd",)),
    "torch": ("by_torch", {"compiled": False}, ("torch",)),
    "torch.compile": ("by_torch", {"compiled": True}, ("torch",)),
    "jax": ("by_jax", {"compiled": False}, ("jax", "jaxlib")),
    "jax.jit": ("by_jax", {"compiled": True}, ("jax", "jaxlib")),
    "sklearn": ("by_sklearn", {}, ("scikit-learn",)),
    "xpgrad": ("by_xpgrad", {"compiled": False}, ("xpgrad",)),
    "xpgrad.compile": ("by_xpgrad", {"compiled": True}, ("xpgrad", "llvmlite")),
}
OURS = ("xpgrad", "xpgrad.compile")


def make(name: str, job: str, problem: Problem) -> Contender:
    """The contender ``name`` for ``job``, its data prepared.

    Raises
    ------
    Missing
        Its library is not installed.
    """
    module, told, _ = CONTENDERS[name]
    return load(f"bench.peers.{module}", job, problem, told)


def load(module: str, job: str, problem: Problem, told: dict[str, Any]) -> Contender:
    """The contender that ``job`` of a module gives; `Missing` if a library that it needs is not installed."""
    try:
        function = getattr(importlib.import_module(module), job)
    except ModuleNotFoundError as error:
        if (error.name or "bench").partition(".")[0] in ("bench", "xpgrad"):
            raise
        raise Missing(f"{error.name} is not installed") from error
    found: Contender = function(problem, **told)
    return found
