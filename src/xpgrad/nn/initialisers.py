"""Initial parameters.

Each is ``init(rng, shape, dtype=float64, device="cpu")`` (and keywords of its own) and gives an
array. The numbers are drawn on the CPU, so that a seed gives the same ones on every device.

Fans: with samples in columns a layer is ``W.T @ X + b`` with ``W`` of shape ``(n_in, n_out)``, with
samples in rows ``X @ W + b`` with the same ``W``. So the last axis is ``fan_out``, the one before it
``fan_in``; axes before those (a convolution's kernel) multiply both.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.devices import to_device

Shape = tuple[int, ...]
Init = Callable[..., Any]


_PARAMETERS = """

    Parameters
    ----------
    rng : numpy.random.Generator or int
        A generator, which is advanced, or a seed for a new one: the same seed twice is the same
        array twice.
    shape : tuple of int
    dtype : dtype
        A float or complex one.
    device : str
        ``"cpu"``, ``"gpu"``, ``"gpu:1"`` or ``"auto"``.{keywords}

    Returns
    -------
    array of ``shape`` and ``dtype``

    Raises
    ------
    TypeError
        ``rng`` is neither a generator nor an integer.
    DTypeError
        ``dtype`` is no float or complex one.
    DeviceError
        There is no such device.{raises}
    """
_NO_FANS = """
    ShapeError
        ``shape`` has fewer than two axes."""


def _initialiser(summary: str, keywords: str = "", raises: str = "") -> Callable[[Init], Init]:
    """Complete the docstring of an initialiser with what is common to all."""

    def complete(init: Init) -> Init:
        given = "".join(f"\n    {line}" for line in keywords.splitlines())
        init.__doc__ = summary + _PARAMETERS.format(keywords=given, raises=raises)
        return init

    return complete


def _generator(rng: Any) -> np.random.Generator:
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        return np.random.default_rng(int(rng))
    raise TypeError(
        message(f"rng must be a numpy.random.Generator or an integer seed, not {type(rng).__name__}")
    )


def _placed(x: Any, dtype: Any, device: str) -> Any:
    if np.dtype(dtype).kind not in "fc":
        raise DTypeError(message(f"parameters of dtype {np.dtype(dtype)} have no gradient"))
    return to_device(np.asarray(x, dtype=dtype), device)


def fans(shape: Shape) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight.

    Raises
    ------
    ShapeError
        Fewer than two axes: a bias has no fans.
    """
    if len(shape) < 2:
        raise ShapeError(
            message(f"a weight has fan_in and fan_out from two axes or more, not from shape {shape}")
        )
    kernel = prod(shape[:-2])
    return kernel * shape[-2], kernel * shape[-1]


@_initialiser("An array of ``value``; ``rng`` decides nothing.", "value : float")
def constant(rng: Any, shape: Shape, dtype: Any = np.float64, device: str = "cpu", *, value: float) -> Any:
    _generator(rng)
    return _placed(np.full(shape, value), dtype, device)


@_initialiser("An array of zeros, as for biases; ``rng`` decides nothing.")
def zeros(rng: Any, shape: Shape, dtype: Any = np.float64, device: str = "cpu") -> Any:
    return constant(rng, shape, dtype, device, value=0.0)


@_initialiser("An array of ones, as for scales; ``rng`` decides nothing.")
def ones(rng: Any, shape: Shape, dtype: Any = np.float64, device: str = "cpu") -> Any:
    return constant(rng, shape, dtype, device, value=1.0)


@_initialiser("Draws from a normal distribution.", "mean, std : float\n    Of the distribution.")
def normal(
    rng: Any,
    shape: Shape,
    dtype: Any = np.float64,
    device: str = "cpu",
    *,
    mean: float = 0.0,
    std: float = 1.0,
) -> Any:
    return _placed(_generator(rng).normal(mean, std, shape), dtype, device)


@_initialiser("Draws from a uniform distribution.", "low, high : float\n    The interval, [low, high).")
def uniform(
    rng: Any,
    shape: Shape,
    dtype: Any = np.float64,
    device: str = "cpu",
    *,
    low: float = 0.0,
    high: float = 1.0,
) -> Any:
    return _placed(_generator(rng).uniform(low, high, shape), dtype, device)


def _scaled(name: str, doc: str, gain: float, fan: Callable[[int, int], float], flat: bool) -> Init:
    """An initialiser with the variance ``gain / fan``."""

    def init(rng: Any, shape: Shape, dtype: Any = np.float64, device: str = "cpu") -> Any:
        std = sqrt(gain / max(fan(*fans(shape)), 1))
        if flat:
            bound = sqrt(3) * std
            return uniform(rng, shape, dtype, device, low=-bound, high=bound)
        return normal(rng, shape, dtype, device, std=std)

    init.__name__ = init.__qualname__ = name
    kind = "Uniform" if flat else "Normal"
    return _initialiser(f"{kind} draws with mean 0 and variance {doc}", raises=_NO_FANS)(init)


_GLOROT = "``2 / (fan_in + fan_out)``, for tanh and softmax. Glorot, Bengio, AISTATS 2010."
_HE = "``2 / fan_in``, for relu. He et al., Delving deep into rectifiers, ICCV 2015."
_LECUN = "``1 / fan_in``, for selu. LeCun et al., Efficient BackProp, 1998."


def _mean(fan_in: int, fan_out: int) -> float:
    return (fan_in + fan_out) / 2


def _in(fan_in: int, fan_out: int) -> float:
    return fan_in


glorot_uniform = xavier_uniform = _scaled("glorot_uniform", _GLOROT, 1, _mean, flat=True)
glorot_normal = xavier_normal = _scaled("glorot_normal", _GLOROT, 1, _mean, flat=False)
he_uniform = kaiming_uniform = _scaled("he_uniform", _HE, 2, _in, flat=True)
he_normal = kaiming_normal = _scaled("he_normal", _HE, 2, _in, flat=False)
lecun_uniform = _scaled("lecun_uniform", _LECUN, 1, _in, flat=True)
lecun_normal = _scaled("lecun_normal", _LECUN, 1, _in, flat=False)


@_initialiser(
    """A random matrix with orthonormal rows or columns (whichever are fewer), times ``gain``.

    Axes before the last are taken as one. Uniform over such matrices, for the signs of R are fixed
    (Mezzadri, Notices of the AMS 54, 2007). Saxe, McClelland, Ganguli, ICLR 2014.""",
    "gain : float",
    raises=_NO_FANS,
)
def orthogonal(
    rng: Any, shape: Shape, dtype: Any = np.float64, device: str = "cpu", *, gain: float = 1.0
) -> Any:
    fans(shape)
    rows, columns = prod(shape[:-1]), shape[-1]
    draws = _generator(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    q *= np.sign(np.diagonal(r))
    return _placed(gain * (q if rows >= columns else q.T).reshape(shape), dtype, device)
