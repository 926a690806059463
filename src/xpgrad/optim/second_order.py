"""Derivatives of second order of a loss over a tree of parameters, in terms of one real vector.

In:  an Objective, and parameters on their device.
Out: value, gradient and Hessian, or products with it, of the vector of all real and imaginary parts.
Holds: each is one compiled program where the loss can be compiled; vectors and matrices stay on their device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._trees import flatten, unflatten
from xpgrad.core import aval_of
from xpgrad.devices import namespace
from xpgrad.optim.evaluation import Loss, Objective, Step
from xpgrad.optim.flat import Flat
from xpgrad.transforms import hessian, jvp, value_and_grad


class SecondOrder:
    """A loss as a function of one real vector, with its first two derivatives.

    Parameters
    ----------
    objective : Objective
    params : tree of float or complex arrays and scalars
        The shape of the tree, and the point at which the loss asks its demands of the data.

    Attributes
    ----------
    start : vector
        The parameters given.
    """

    def __init__(self, objective: Objective, params: Any) -> None:
        self._objective = objective
        leaves, structure = flatten(params)
        twofold = tuple(aval_of(x).dtype.kind == "c" for x in leaves)
        parts = [[x.real, x.imag] if two else [x] for x, two in zip(leaves, twofold, strict=True)]
        reals = [x for part in parts for x in part]
        self._joined = _joining(structure, twofold)
        self._whole = objective.derived(self._of(_value_gradient_hessian))
        self._first: Step | None = None
        self._product: Step | None = None
        self._xp = namespace((reals, objective.data))
        self._flat = Flat(reals, self._xp)
        self.start = self._flat.vector(reals)

    def check_data(self, x: Any) -> None:
        """Ask what the loss demands of its data, before the first step."""
        self._whole.check(self._flat.tree(x), *self._objective.data)

    def params(self, x: Any) -> Any:
        """The tree of parameters at a vector."""
        return self._joined(self._flat.tree(x))

    def first(self, x: Any) -> tuple[Any, Any]:
        """Value and gradient."""
        if self._first is None:
            self._first = self._objective.derived(self._of(value_and_grad))
        self._objective.evaluations += 1
        value, gradient = self._first(self._flat.tree(x), *self._objective.data)
        return value, self._flat.vector(gradient)

    def whole(self, x: Any) -> tuple[Any, Any, Any]:
        """Value, gradient and Hessian, in one program."""
        self._objective.evaluations += 1
        value, (gradient, blocks) = self._whole(self._flat.tree(x), *self._objective.data)
        xp, g = self._xp, self._flat.vector(gradient)
        sizes = [aval_of(leaf).size for leaf in gradient]
        rows = [
            xp.concatenate([xp.asarray(b).reshape(n, m) for b, m in zip(row, sizes, strict=True)], axis=1)
            for row, n in zip(blocks, sizes, strict=True)
        ]
        return value, g, xp.concatenate(rows, axis=0)

    def times(self, x: Any, v: Any) -> tuple[Any, Any]:
        """``v' H v`` and ``H v`` at ``x``."""
        if self._product is None:
            self._product = self._objective.derived(self._of(_product))
        curvature, product = self._product(self._flat.tree(x), self._flat.tree(v), *self._objective.data)
        return curvature, self._flat.vector(product)

    def _of(self, transform: Any) -> Any:
        """From the loss of the tree to a function of the list of real leaves."""

        joined = self._joined

        def of_loss(loss: Loss) -> Loss:
            def of_reals(reals: Any, *data: Any) -> Any:
                return loss(joined(reals), *data)

            derived: Loss = transform(of_reals)
            return derived

        return of_loss


def _joining(structure: Any, twofold: tuple[bool, ...]) -> Any:
    """From the list of real leaves to the tree of parameters; ``twofold`` tells its complex leaves."""

    def joined(reals: Any) -> Any:
        rest = iter(reals)
        return unflatten(structure, [next(rest) + 1j * next(rest) if two else next(rest) for two in twofold])

    return joined


def _value_gradient_hessian(f: Loss) -> Loss:
    def step(x: Any, *data: Any) -> Any:
        value, gradient = value_and_grad(f)(x, *data)
        return value, (gradient, hessian(f)(x, *data))

    return step


def _product(f: Loss) -> Loss:
    def step(x: Any, v: Any, *data: Any) -> Any:
        def gradient(at: Any) -> Any:
            return value_and_grad(f)(at, *data)[1]

        product = jvp(gradient, (x,), (v,))[1]
        return sum(np.sum(a * b) for a, b in zip(v, product, strict=True)), product

    return step
