"""Fit a linear predictor, and scalars beside it: the one place where estimators meet a solver.

In:  a `Problem`: the loss of a sample, a `Design`, targets, weights, offsets and penalties.
Out: a `Solution`, in the units of the data.
Holds: the objective is ``sum(w loss) / sum(w) + l2 / 2 |c|² + l1 |c|`` of the coefficients ``c``; intercepts
are not
       penalised. Without a penalty the first level of a categorical column is the reference: its coefficient is
       0.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.backends.streaming import Streaming
from xpgrad.devices import asnumpy, to_device, using
from xpgrad.devices.door import is_source
from xpgrad.devices.sparse import is_sparse
from xpgrad.learn.columns import Design
from xpgrad.learn.families import Family
from xpgrad.learn.streamed import blocks, counts_of
from xpgrad.learn.watch import callback
from xpgrad.optim import linear, minimize
from xpgrad.optim.linear.sparse import SparseNumbers
from xpgrad.scale import on

# Coefficients up to which the Hessian is a matrix: of a linear predictor alone, and with scalars beside it.
_NEWTON, _NEWTON_BESIDE = 3000, 200

# Columns times pairs of outputs up to which Newton's few Hessians cost less than the gradients of L-BFGS, also
# where that needs hundreds. The Hessian of 60 columns and 10 outputs has 3,300 products over the samples.
_PAIRS = 500
_SCALE = "divide the columns by their standard deviations"


@dataclass(frozen=True)
class Problem:
    """What is to be minimised.

    Attributes
    ----------
    family : Family
    design : Design
    sizes : tuple of int
        The number of levels of each categorical column.
    y : float[n], int[n] or float[n, k]
        Several targets are fitted one by one.
    outputs : int
        Columns of the linear predictor; with 1 it has no such axis.
    weights, offset : float[n] or None
        ``offset`` is added to the linear predictor.
    intercept : bool
    l2, l1 : float
    start : Solution
        Where to begin.
    checkpoint : path or None
        A file of this fit alone, as in `xpgrad.minimize`.
    memory_limit, cluster
        As in `xpgrad.minimize`, if there are sources.
    """

    family: Family
    design: Design
    sizes: tuple[int, ...]
    y: Any
    outputs: int
    weights: Any
    offset: Any
    intercept: bool
    l2: float
    l1: float
    start: Solution
    checkpoint: Any = None
    memory_limit: Any = None
    cluster: Any = None

    @property
    def is_streamed(self) -> bool:
        """Whether sources are among the data."""
        return self.design.is_streamed or is_source(self.y)


class Solution(NamedTuple):
    """A linear predictor, and how it was found.

    Attributes
    ----------
    intercept : float[] or float[k]
    numbers : float[p] or float[p, k]
        The coefficients of the columns of numbers.
    tables : tuple of float[levels] or float[levels, k]
        The coefficients of the levels of each categorical column.
    shape : tuple of float
        The scalars fitted along.
    n_iter : int
    converged : bool
    message : str
    """

    intercept: Any
    numbers: Any
    tables: tuple[Any, ...] = ()
    shape: tuple[Any, ...] = ()
    n_iter: int = 0
    converged: bool = True
    message: str = ""


def predictor(intercept: Any, numbers: Any, tables: tuple[Any, ...], design: Design) -> Any:
    """The linear predictor: each table is read at the codes of its column."""
    eta = intercept
    if design.numbers.shape[1]:
        eta = design.numbers @ numbers + eta
    for table, codes in zip(tables, design.codes, strict=True):
        eta = eta + table[codes]
    return eta


def solve(problem: Problem, *, method: str, tol: float, max_iter: int, device: str) -> Solution:
    """Minimise the objective of a problem.

    Parameters
    ----------
    method : {"auto", "newton", "lbfgs"}
        "auto" is Newton's method where the Hessian is a matrix of moderate size and soon computed.
    tol : float
        For the largest entry of the gradient; with "lbfgs", the columns of numbers being standardised.
    max_iter : int
    device : str

    Raises
    ------
    DataError
        An l1 penalty with "lbfgs".
    """
    if problem.y.ndim == 2:
        return _each_target(problem, method=method, tol=tol, max_iter=max_iter, device=device)
    return _solve(problem, method, tol, max_iter, device, _Shared())


def _each_target(problem: Problem, *, method: str, tol: float, max_iter: int, device: str) -> Solution:
    """The solutions of several targets, side by side; what does not depend on the target is made once."""
    shared, found = _Shared(), []
    for k in range(problem.y.shape[1]):
        start = problem.start._replace(
            intercept=problem.start.intercept[k],
            numbers=problem.start.numbers[:, k],
            tables=tuple(t[:, k] for t in problem.start.tables),
        )
        path = None if problem.checkpoint is None else f"{problem.checkpoint}.{k}"
        one = replace(problem, y=np.ascontiguousarray(problem.y[:, k]), start=start, checkpoint=path)
        found.append(_solve(one, method, tol, max_iter, device, shared))
    slow = [k for k, one in enumerate(found) if not one.converged]
    return Solution(
        np.stack([one.intercept for one in found]),
        np.stack([one.numbers for one in found], axis=1),
        tuple(np.stack(tables, axis=1) for tables in zip(*(one.tables for one in found), strict=True)),
        n_iter=max(one.n_iter for one in found),
        converged=not slow,
        message=f"target {slow[0]}: {found[slow[0]].message}" if slow else found[0].message,
    )


@dataclass
class _Shared:
    """What the fits of several targets share: the design, and the Hessian if it is the same for all."""

    design: Any = None
    hessian: Any = None


def _solve(problem: Problem, method: str, tol: float, max_iter: int, device: str, shared: _Shared) -> Solution:
    """The solution for one target."""
    alone = not problem.start.shape
    sparse = is_sparse(problem.design.numbers)
    if method == "auto":
        coefficients = (problem.design.numbers.shape[1] + sum(problem.sizes)) * problem.outputs
        pairs = _columns(problem.design) * problem.outputs * (problem.outputs + 1) / 2
        small = coefficients <= (_NEWTON if alone else _NEWTON_BESIDE) and pairs <= _PAIRS
        method = "newton" if (small and (alone or not sparse)) or problem.l1 else "lbfgs"
    if problem.l1 and method == "lbfgs":
        raise DataError(
            message("an l1 penalty has corners, which L-BFGS cannot pass", remedy='solver="newton"')
        )
    if method == "newton" and alone:
        return _by_newton(problem, tol, max_iter, device, shared)
    if method == "newton" and sparse:
        raise DataError(
            message(
                "Newton's method does not fit a scale or dispersion along with the coefficients of sparse X",
                remedy='solver="lbfgs"',
            )
        )
    return _by_minimize(problem, method, tol, max_iter, device)


def _columns(design: Design) -> float:
    """The numbers in a row that are not 0, as far as the form of the data shows it."""
    X = design.numbers
    return float(X.nnz / max(X.shape[0], 1) if is_sparse(X) else X.shape[1] + len(design.codes))


def _by_newton(problem: Problem, tol: float, max_iter: int, device: str, shared: _Shared) -> Solution:
    """Newton's method on the quadratic that each step assembles from the columns."""
    n, dtype = len(problem.y), problem.design.numbers.dtype
    y, weights, offset = to_device((problem.y, problem.weights, problem.offset), device)
    streaming = Streaming(problem.memory_limit) if problem.is_streamed else None
    with using(device), nullcontext() if problem.cluster is None else on(problem.cluster):
        if shared.design is None:
            X, codes = problem.design.on(device)
            X = X if X.shape[1] else None
            shared.design = linear.Design(X, codes, problem.sizes, intercept=problem.intercept)
        design = shared.design
        objective = linear.LinearObjective(
            problem.family.unit,
            design,
            (y, *problem.family.known),
            outputs=problem.outputs if problem.outputs > 1 else None,
            weights=weights,
            offset=offset,
            scale=1 / (n if problem.weights is None else float(np.sum(problem.weights, dtype=np.float64))),
            l2=problem.l2,
            l1=problem.l1,
            streaming=streaming,
        )
        objective.known_hessian = shared.hessian if problem.family.quadratic else None
        start, fixed = problem.start, np.zeros(design.columns, dtype=bool)
        if not (problem.l2 or problem.l1):
            fixed[[at.start for at in design.of_levels[0 if problem.intercept else 1 :]]] = True
        at = [start.intercept[None]] if problem.intercept else []
        coef = np.concatenate([*at, start.numbers, *start.tables]).astype(np.float64)
        coef[fixed] = 0
        fixed = fixed if problem.outputs == 1 else fixed[:, None]
        fit = linear.newton_linear(
            objective,
            coef,
            fixed=fixed,
            max_iter=max_iter,
            tol=tol,
            callback=callback(max_iter),
            checkpoint=problem.checkpoint,
        )
        shared.hessian = shared.hessian if objective.last_hessian is None else objective.last_hessian
    found = fit.params.astype(dtype)
    return Solution(
        found[0] if problem.intercept else np.zeros_like(start.intercept),
        found[design.of_numbers],
        tuple(found[at] for at in design.of_levels),
        n_iter=fit.n_iter,
        converged=fit.converged,
        message=fit.message,
    )


def _by_minimize(problem: Problem, method: str, tol: float, max_iter: int, device: str) -> Solution:
    """Any loss, with scalars beside the predictor, in coefficients of like curvature."""
    units = _Units(problem)
    family, l2, intercept = problem.family, problem.l2, problem.intercept

    def loss(params: Any, data: Any) -> Any:
        design = Design(data["numbers"], tuple(data["codes"]))
        b, w, tables = units.of_the_data(params["b"], params["w"], params["t"])
        return objective(params, predictor(b if intercept else 0.0 * b, w, tables, design), data)

    def through_product(params: Any, product: Any, data: Any) -> Any:
        b, _, _ = units.of_the_data(params["b"], params["w"], params["t"])
        return objective(params, product + (b if intercept else 0.0 * b), data)

    def objective(params: Any, eta: Any, data: Any) -> Any:
        _, w, tables = units.of_the_data(params["b"], params["w"], params["t"])
        if "offset" in data:
            eta = eta + data["offset"]
        each = family.losses(eta, data["y"], *params["shape"])
        value = np.mean(data["weights"] * each if "weights" in data else each)
        if l2:
            for x in (w, *tables):
                value = value + 0.5 * data["l2"] * np.sum(x * x)
        return value

    start = units.standardised(problem.start)
    common: dict[str, Any] = {"tol": tol, "max_iter": max_iter, "callback": callback(max_iter)}
    common["checkpoint"] = problem.checkpoint
    if is_sparse(problem.design.numbers):
        fit = linear.minimize_through_products(
            through_product,
            start,
            problem.design.on(device).numbers,
            (_data(problem),),
            slopes=lambda params: units.of_the_data(params["b"], params["w"], params["t"])[1],
            **common,
        )
    else:
        data = _data(problem) | {"numbers": problem.design.numbers, "codes": problem.design.codes}
        fit = minimize(
            loss,
            start,
            (data,),
            method=method,
            device=device,
            sample_axis=0,
            progress=False,
            memory_limit=problem.memory_limit,
            cluster=problem.cluster,
            **common,
        )
    found = asnumpy(fit.params)
    if not np.isfinite(fit.value):
        raise DataError(message(f"the loss is not finite where the fit begins: {fit.message}", remedy=_SCALE))
    b, w, tables = units.of_the_data(found["b"], found["w"], found["t"])
    return Solution(
        b if intercept else 0.0 * b, w, tables, tuple(found["shape"]), fit.n_iter, fit.converged, fit.message
    )


def _data(problem: Problem) -> dict[str, Any]:
    data = {"y": problem.y, "l2": problem.l2}
    if problem.weights is not None:
        data["weights"] = problem.weights / np.mean(problem.weights)
    if problem.offset is not None:
        data["offset"] = problem.offset
    return data


class _Units:
    """The scale in which the solver sees coefficients: each has a curvature near 1.

    Columns of numbers are centred, if there is an intercept, and divided by their spread; the data themselves
    stay as they are.
    """

    def __init__(self, problem: Problem) -> None:
        X, w = problem.design.numbers, problem.weights
        self._many = problem.outputs > 1
        dtype = X.dtype
        n = problem.design.size
        share = np.full(n, 1 / n) if w is None else np.asarray(w, dtype=np.float64) / np.sum(w)
        mean, spread = _moments(X, share, problem.memory_limit)
        second = spread if problem.intercept else spread + mean**2
        if not np.isfinite(second).all():
            at = np.flatnonzero(~np.isfinite(second))
            raise DataError(
                message(f"the squares of the columns {at[:5].tolist()} overflow", {"X": X}, remedy=_SCALE)
            )
        scale = np.sqrt(second + problem.l2)
        scale = np.where(scale > 0, scale, 1.0)
        self._scale = self._wide(scale, dtype)
        self._mean = (mean if problem.intercept else 0 * mean).astype(dtype)
        self._tables = []
        for k, (size, codes) in enumerate(zip(problem.sizes, problem.design.codes, strict=True)):
            counts = counts_of(codes, share, size, problem.memory_limit)
            inverse = 1 / np.sqrt(np.maximum(counts, 1 / n) + problem.l2)
            if not problem.l2 and (problem.intercept or k):
                inverse[0] = 0.0
            self._tables.append(self._wide(inverse, dtype))

    def _wide(self, x: Any, dtype: Any) -> Any:
        x = x.astype(dtype)
        return x[:, None] if self._many else x

    def of_the_data(self, b: Any, w: Any, tables: Any) -> tuple[Any, Any, tuple[Any, ...]]:
        """Coefficients for the data as they are."""
        w = w / self._scale
        if len(self._mean):
            b = b - self._mean @ w
        return b, w, tuple(t * s for t, s in zip(tables, self._tables, strict=True))

    def standardised(self, at: Solution) -> dict[str, Any]:
        """The parameters of the solver that stand for these coefficients."""
        b = at.intercept + self._mean @ at.numbers if len(self._mean) else at.intercept
        tables = [
            np.where(s > 0, t, 0) / np.where(s > 0, s, 1) for t, s in zip(at.tables, self._tables, strict=True)
        ]
        return {"b": b, "w": at.numbers * self._scale, "t": tuple(tables), "shape": at.shape}


def _moments(X: Any, share: Any, memory_limit: Any) -> tuple[Any, Any]:
    """Mean and variance of each column, float64[p], with shares of the samples that sum to 1.

    In blocks, so that a source has the bits of an array.
    """
    if is_sparse(X):
        columns = SparseNumbers(X)
        mean = columns.transposed(share)
        return mean, np.maximum(columns.squares(share) - mean**2, 0)
    if not X.shape[1]:
        return np.zeros(0), np.zeros(0)
    with np.errstate(over="ignore"):  # is refused
        mean, spread = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        for _, _, (x, s) in blocks([X, share], memory_limit):
            mean += s @ x
        for _, _, (x, s) in blocks([X, share], memory_limit):
            spread += s @ np.square(x - mean)
        return mean, spread
