"""The objective of a model with a linear predictor, and its derivatives in the coefficients.

In:  the loss of a sample, a Design, the data, and penalties.
Out: value, gradient and Hessian as NumPy arrays.
Holds: what has the length of the samples stays on their device; coefficients are on the host, in float64.

    F(coef) = scale * sum_i weights_i unit(eta_i, data_i) + sum(l2 * coef ** 2) / 2 + sum(l1 * abs(coef))
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np

from xpgrad._errors import DataError, ShapeError, message
from xpgrad._trees import tree_map
from xpgrad.backends.streaming import Streaming
from xpgrad.devices import asnumpy, to_device
from xpgrad.optim.linear.design import Design
from xpgrad.optim.linear.gram import weighted_gram
from xpgrad.optim.linear.programs import Programs, Unit
from xpgrad.optim.linear.sampling import Sampled, sampled
from xpgrad.transforms import jvp, value_and_grad

# For the start of a fit.
_SAMPLES = 1024
_EVALUATIONS, _NEAR = 20, 1e-2


class Point(NamedTuple):
    """The smooth part of the objective at some coefficients.

    Attributes
    ----------
    coef : float64[p] or float64[p, K]
    value : float
        With the l2 penalty, without l1.
    gradient : float64, as coef
        Of ``value``.
    curvature : float[n] or float[K, n, K], or None
        Second derivatives of ``weights * unit`` in the predictor, on the device.
    """

    coef: Any
    value: float
    gradient: Any
    curvature: Any


class LinearObjective:
    """The objective of a model with a linear predictor.

    Parameters
    ----------
    unit : callable
        ``unit(eta, *data)``, the loss of each sample, of shape (n,), in NumPy code. ``eta`` has shape (n,), or
        (n, K) with ``outputs=K``. The same function object is compiled once for all fits.
    design : Design
    data : tuple
        Arrays whose first axis are the samples, and numbers.
    outputs : int, optional
        K, for a predictor of several outputs.
    weights, offset : float[n], optional
        Of the samples; the offset is added to the predictor, and has shape (n, K) for K outputs.
    scale : float
        Of the sum over the samples.
    l2, l1 : float or float[p] or float[p, K]
        Penalties, not negative. A number is for all coefficients but the intercept.
    streaming : Streaming, optional
        How sources are read, if the design or the data are such.

    Attributes
    ----------
    shape : tuple of int
        Of the coefficients.
    evaluations : int
        The number of evaluations of value and gradient.
    known_hessian : float64[p, p] or None
        The Hessian, if somebody knows that it is the same everywhere.
    last_hessian : float64[p, p] or None
        What `hessian` computed last.
    """

    remark = ""

    def __init__(
        self,
        unit: Unit,
        design: Design,
        data: tuple[Any, ...] = (),
        *,
        outputs: int | None = None,
        weights: Any = None,
        offset: Any = None,
        scale: float = 1.0,
        l2: Any = 0.0,
        l1: Any = 0.0,
        streaming: Streaming | None = None,
    ) -> None:
        if not design.size:
            raise DataError(message("LinearObjective: the design holds no samples"))
        self.design = design
        self.data = tuple(data)
        self.shape = (design.columns,) if outputs is None else (design.columns, outputs)
        self.weights = _per_sample("weights", weights, (design.size,), design)
        self.offset = _per_sample("offset", offset, (design.size, *self.shape[1:]), design)
        self.scale = scale
        self.l2 = self._penalty("l2", l2)
        self.l1 = self._penalty("l1", l1)
        self.evaluations = 0
        self._has_sample, self._sample = False, cast("Sampled | None", None)
        self.known_hessian: Any = None
        self.last_hessian: Any = None
        self._unit = unit
        self._programs = Programs(unit, streaming)
        self._codes = [design.joint(group) for group in design.groups]

    def _penalty(self, name: str, given: Any) -> Any:
        penalty = np.asarray(given, np.float64)
        if not (np.isfinite(penalty).all() and (penalty >= 0).all()):
            raise DataError(message(f"LinearObjective: {name} must be finite and not negative", {name: given}))
        if penalty.ndim == 0:
            penalty = np.full(self.shape, penalty)
            if self.design.intercept:
                penalty[0] = 0
        if penalty.shape == (self.shape[0],) != self.shape:
            penalty = penalty[:, None]
        return np.broadcast_to(penalty, self.shape)

    def at(self, coef: Any, curved: bool = True) -> Point:
        """Value, gradient and, if asked for, curvature at coefficients: one pass over the samples."""
        self.evaluations += 1
        parts = to_device(self.design.parts(coef), self.design.device)
        program = self._programs.terms()
        numbers = self.design.numbers
        if self.design.is_sparse:
            parts, numbers = (parts[0], numbers.times(parts[1]), parts[2]), None
        value, gradient, curvature = program(
            parts, numbers, self._codes, self.weights, self.offset, self.data, curved
        )
        if self.design.is_sparse:
            gradient = (gradient[0], self.design.numbers.transposed(gradient[1]), gradient[2])
        value, gradient = asnumpy((value, gradient))
        with np.errstate(all="ignore"):  # a step too far may overflow
            value = self.scale * float(value) + float((self.l2 * coef**2).sum()) / 2
            return Point(coef, value, self.scale * self.design.joined(*gradient) + self.l2 * coef, curvature)

    def again(self, coef: Any) -> Point:
        """`at`, where a fit was broken off; the evaluation has been counted."""
        self.evaluations -= 1
        return self.at(coef)

    def told(self) -> tuple[Any, ...]:
        """The arrays that tell this objective from another."""
        numbers = self.design.numbers
        if self.design.is_sparse:
            numbers = (numbers.matrix.data, numbers.matrix.indices, numbers.matrix.indptr)
        return numbers, self.design.codes, self.data, self.weights, self.offset, self.l2, self.l1

    def start(self) -> Any:
        """Where a fit may start: the intercept that fits some of the samples alone, the rest 0.

        With several outputs, or no intercept, 0.
        """
        coef = np.zeros(self.shape)
        if not self.design.intercept or len(self.shape) > 1:
            return coef
        step = -(-self.design.size // _SAMPLES)
        weights, offset, data = tree_map(
            lambda x: x[::step] if getattr(x, "shape", ()) else x, (self.weights, self.offset, self.data)
        )
        like = self.design.ones(step)

        def total(intercept: Any) -> Any:
            losses = self._unit(intercept * like if offset is None else intercept * like + offset, *data)
            return np.mean(losses if weights is None else weights * losses)

        coef[0] = _least(total)
        return coef

    def absolute(self, coef: Any) -> float:
        """The l1 penalty."""
        return float((self.l1 * abs(coef)).sum())

    def sampled_hessian(self, point: Point) -> Any:
        """The Hessian as some of the samples tell it, or None where all are to be asked."""
        if not self._has_sample:
            self._has_sample = True
            self._sample = sampled(self.design, self._programs) if len(self.shape) == 1 else None
        if self._sample is None or self.known_hessian is not None or not bool(point.curvature.min() >= 0):
            return None
        out = self._sample.gram(point.curvature)
        if out is None:
            return None
        out *= self.scale
        out[np.diag_indices_from(out)] += self.l2
        return out

    def hessian(self, point: Point) -> Any:
        """The Hessian of the smooth part, of shape (p, p), or (p K, p K) for coefficients of shape (p, K)."""
        if self.known_hessian is not None:
            return self.known_hessian
        if len(self.shape) == 1:
            out = weighted_gram(self.design, point.curvature, self._programs)
        else:
            p, outputs = self.shape
            blocks = np.empty((p, outputs, p, outputs))
            for k in range(outputs):
                for j in range(k, outputs):
                    block = weighted_gram(self.design, point.curvature[k, :, j].copy(), self._programs)
                    blocks[:, k, :, j] = blocks[:, j, :, k] = block
            out = blocks.reshape(p * outputs, p * outputs)
        out *= self.scale
        out[np.diag_indices_from(out)] += self.l2.reshape(-1)
        self.last_hessian = out
        return out


def _least(f: Any) -> float:
    """Roughly where a function of one number has its minimum; 0 where it is not finite."""
    with np.errstate(all="ignore"):  # a step too far may overflow; it is halved
        (value, slope), (_, bend) = jvp(value_and_grad(f), (0.0,), (1.0,))
        at, step = 0.0, float(-slope / bend)
        for _ in range(_EVALUATIONS):
            if not np.isfinite(step) or bend <= 0:
                break
            (new, slope), (_, bend) = jvp(value_and_grad(f), (at + step,), (1.0,))
            if new <= value:
                at, value, step = at + step, new, float(-slope / bend)
                if abs(step) <= _NEAR:
                    break
            else:
                step /= 2
    return at


def _per_sample(name: str, x: Any, shape: tuple[int, ...], design: Design) -> Any:
    if x is None:
        return None
    if tuple(x.shape) != shape:
        got = {name: x, "design": f"{design.size} samples"}
        raise ShapeError(message(f"LinearObjective: {name} must have shape {shape}", got))
    return x.astype(design.dtype, copy=False)
