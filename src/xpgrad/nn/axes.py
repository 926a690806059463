"""Functions along an axis: normalising, gating, encoding of classes, dropout.

``axis`` has no default: with samples in columns, features and classes stand on axis 0, with
samples in rows on axis 1, and a silent choice would be wrong for one of the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.core import aval_of
from xpgrad.devices import device_of, namespace, to_device
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops import special as sp
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import astype, reshape
from xpgrad.trace import strip
from xpgrad.trace.functions._table import array, axis_of
from xpgrad.transforms import stop_gradient


def softmax(x: Any, *, axis: red.Axis) -> Any:
    """``exp(x) / sum(exp(x))`` along ``axis``.

    Parameters
    ----------
    x : float[..., k, ...]
        Log-odds up to a constant; -inf gives 0.
    axis : int, tuple of int, or None
        Where the k classes stand.

    Returns
    -------
    float[..., k, ...]
        In [0, 1], with sum 1; NaN where every entry is -inf.

    Raises
    ------
    ShapeError
        ``axis`` does not fit, or is empty.

    Notes
    -----
    Bishop, Pattern Recognition and Machine Learning, eq. 4.62.
    """
    return sp.softmax(array(x), axis=axis)


def log_softmax(x: Any, *, axis: red.Axis) -> Any:
    """``x - logsumexp(x)``: the logarithm of `softmax`, in nats.

    Parameters, errors and source are those of `softmax`.
    """
    return sp.log_softmax(array(x), axis=axis)


def logsumexp(x: Any, *, axis: red.Axis, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` along ``axis``, without overflow.

    Parameters
    ----------
    x : float[..., k, ...]
    axis : int, tuple of int, or None
    keepdims : bool
        Keep the axes summed over, with length 1.

    Returns
    -------
    float[...]
        -inf where every entry is; its derivative there is taken to be 0.

    Raises
    ------
    ShapeError
        ``axis`` does not fit, or is empty.

    Notes
    -----
    Blanchard, Higham, Higham, IMA J. Numer. Anal. 2021, eq. 1.3.
    """
    return sp.logsumexp(array(x), axis=axis, keepdims=keepdims)


def glu(x: Any, *, axis: int) -> Any:
    """Gated linear unit: the first half along ``axis`` times the sigmoid of the second.

    Parameters
    ----------
    x : float[..., 2 k, ...]
    axis : int

    Returns
    -------
    float[..., k, ...]

    Raises
    ------
    ShapeError
        ``axis`` does not fit, or its length is odd.

    Notes
    -----
    Dauphin et al., Language modeling with gated convolutional networks, ICML 2017, eq. 1.
    """
    x = array(x)
    a = axis_of("glu", x, axis)
    if x.shape[a] % 2:
        raise ShapeError(message(f"glu: axis {axis} cannot be halved, its length is {x.shape[a]}", {"x": x}))
    head, k = (slice(None),) * a, x.shape[a] // 2
    return x[(*head, slice(0, k))] * sp.expit(x[(*head, slice(k, None))])


def one_hot(labels: Any, n_classes: int, *, axis: int, dtype: Any = np.float64) -> Any:
    """Indicator vectors of classes.

    Parameters
    ----------
    labels : int[...]
        Classes, from 0.
    n_classes : int
    axis : int
        Where the classes stand in the result: 0 for samples in columns, -1 for samples in rows.
    dtype : dtype
        The dtype of the result.

    Returns
    -------
    float[..., n_classes, ...]
        1 at each label, 0 elsewhere, on the labels' device.

    Raises
    ------
    DTypeError
        The labels are no integers.
    DataError
        A label is outside ``0 ... n_classes - 1``.
    ShapeError
        ``axis`` does not fit.
    """
    labels = array(labels)
    aval = aval_of(labels)
    if aval.dtype.kind not in "iu":
        raise DTypeError(message("one_hot: labels must be integers", {"labels": labels}))
    labels = classes_within("one_hot", labels, n_classes)
    n = aval.ndim + 1
    if not -n <= axis < n:
        raise ShapeError(message(f"one_hot: axis {axis} does not fit a result of {n} axes", {"labels": labels}))
    return astype(is_class(labels, n_classes, axis % n), dtype=np.dtype(dtype))


def classes_within(name: str, labels: Any, n_classes: int) -> Any:
    """``labels``, or a DataError for a class outside ``0 ... n_classes - 1``."""
    rule = f"{name}: labels must be classes 0 ... {n_classes - 1}"
    return demand(labels, (labels >= 0) & (labels < n_classes), rule, "labels")


def is_class(labels: Any, n_classes: int, axis: int) -> Any:
    """Whether each class, along a new axis, is that of the label: bool[..., n_classes, ...]."""
    shape = aval_of(labels).shape
    xp = namespace(strip(labels))
    classes = xp.arange(n_classes).reshape((1,) * axis + (-1,) + (1,) * (len(shape) - axis))
    return (reshape(labels, shape=(*shape[:axis], 1, *shape[axis:])) if shape else labels) == classes


def standardize(x: Any, *, axis: red.Axis, eps: float = 1e-5) -> Any:
    """``(x - mean) / sqrt(variance + eps)`` along ``axis``.

    Parameters
    ----------
    x : float[...]
    axis : int, tuple of int, or None
        Over which mean and variance are taken: the samples for a batch, the features for a layer.
    eps : float
        Added to the variance, in squared units of ``x``; keeps a constant finite.

    Returns
    -------
    float[...]
        Without unit.

    Raises
    ------
    ShapeError
        ``axis`` does not fit.

    Notes
    -----
    Ioffe, Szegedy, Batch normalization, ICML 2015; Ba, Kiros, Hinton, Layer normalization, 2016.
    """
    x = array(x)
    red.axes_of("standardize", x, axis)
    d = x - red.mean(x, axis=axis, keepdims=True)
    return d / ew.sqrt(red.mean(d * d, axis=axis, keepdims=True) + eps)


def normalize(x: Any, *, axis: red.Axis, eps: float = 1e-12) -> Any:
    """``x`` over its Euclidean norm along ``axis``, or over ``eps`` if that is larger.

    Parameters
    ----------
    x : float[...]
    axis : int, tuple of int, or None
    eps : float
        Positive, in units of ``x``.

    Returns
    -------
    float[...]
        Vectors of norm 1, or less if the norm was below ``eps``.

    Raises
    ------
    ShapeError
        ``axis`` does not fit.
    """
    x = array(x)
    red.axes_of("normalize", x, axis)
    # Scaled by the largest entry, so that no square overflows or underflows.
    size = red.max(abs(stop_gradient(x)), axis=axis, keepdims=True)
    size = ew.where(size > 0, size, 1)
    u = x / size
    square = red.sum(u * u, axis=axis, keepdims=True)
    norm = ew.sqrt(ew.where(square > 0, square, 1))
    long = (square > 0) & (norm * size > eps)
    return ew.where(long, u / norm, ew.where(long, 0, x) / eps)


def dropout(x: Any, rate: float, rng: Any) -> Any:
    """Zero each entry with probability ``rate`` and divide the others by ``1 - rate``.

    Parameters
    ----------
    x : float[...]
    rate : float
        In [0, 1).
    rng : numpy.random.Generator
        Where the choice comes from; it is advanced. (On the GPU a ``cupy.random.Generator`` saves
        the transfer of the mask.)

    Returns
    -------
    float[...]
        With the expectation ``x``.

    Raises
    ------
    ValueError
        ``rate`` is not in [0, 1).

    Notes
    -----
    Srivastava et al., JMLR 15, 2014.
    """
    if not 0 <= rate < 1:
        raise ValueError(message(f"dropout: rate must be in [0, 1), not {rate}"))
    x = array(x)
    keep = to_device(rng.random(aval_of(x).shape) >= rate, device_of(x))
    return ew.where(keep, x / (1 - rate), 0)
