"""Activations: functions of one array, entry by entry.

``x`` is ``float[...]``: any shape, any finite values; the result has its shape and dtype (integers
become float64 where the function is not piecewise linear). Where a function has a kink, the
derivative is that of the side stated.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from xpgrad.ops import elementwise as ew
from xpgrad.ops import special as sp
from xpgrad.trace.functions._table import array


def relu(x: Any) -> Any:
    """``max(x, 0)``; the derivative at 0 is 0.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]

    Notes
    -----
    Nair, Hinton, Rectified linear units improve restricted Boltzmann machines, ICML 2010.
    """
    x = array(x)
    return ew.where(x <= 0, 0, x)  # in this order NaN stays NaN


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``; the derivative at 0 and at 6 is 0.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]
        In [0, 6].

    Notes
    -----
    Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.
    """
    x = array(x)
    return ew.where(x >= 6, 6, relu(x))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """``x`` where positive, ``negative_slope * x`` elsewhere; the derivative at 0 is the slope.

    Parameters
    ----------
    x : float[...]
    negative_slope : float

    Returns
    -------
    float[...]

    Notes
    -----
    Maas, Hannun, Ng, Rectifier nonlinearities improve neural network acoustic models, ICML 2013.
    """
    x = array(x)
    return ew.where(x <= 0, negative_slope * x, x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere; the derivative at 0 is alpha.

    Parameters
    ----------
    x : float[...]
    alpha : float

    Returns
    -------
    float[...]
        Greater than ``-alpha``.

    Notes
    -----
    Clevert, Unterthiner, Hochreiter, ICLR 2016, eq. 14.
    """
    x = array(x)
    positive = x > 0
    return ew.where(positive, x, alpha * ew.expm1(ew.where(positive, 0, x)))


def celu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere; its derivative is continuous.

    Parameters
    ----------
    x : float[...]
    alpha : float
        Positive.

    Returns
    -------
    float[...]
        Greater than ``-alpha``.

    Notes
    -----
    Barron, Continuously differentiable exponential linear units, 2017.
    """
    return alpha * elu(array(x) / alpha)


def selu(x: Any) -> Any:
    """`elu`, scaled so that normal inputs keep mean 0 and variance 1; at 0 the derivative of the left.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]

    Notes
    -----
    Klambauer et al., Self-normalizing neural networks, NIPS 2017, eq. 2 and 14.
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def gelu(x: Any, approximate: bool = False) -> Any:
    """``x`` times the normal distribution function of ``x``.

    Parameters
    ----------
    x : float[...]
    approximate : bool
        Take the formula with tanh, which differs by at most 5e-4 and needs no SciPy.

    Returns
    -------
    float[...]

    Raises
    ------
    DependencyError
        Exact, on the CPU, and SciPy is not installed.

    Notes
    -----
    ``x ndtr(x)``, or ``x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``.
    Hendrycks, Gimpel, Gaussian error linear units, 2016.
    """
    x = array(x)
    if not approximate:
        return x * sp.ndtr(x)
    # (1 + tanh(u)) / 2 is expit(2u). Beyond 40 it has long become 0 or 1, and the cube may overflow.
    u = ew.clip(x, -40, 40)
    return x * sp.expit((2 * sqrt(2 / pi)) * (u + 0.044715 * (u * u * u)))


def silu(x: Any) -> Any:
    """``x * sigmoid(x)``, also known as swish.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]

    Notes
    -----
    Elfwing, Uchibe, Doya, Neural Networks 107, 2018.
    """
    x = array(x)
    return x * sp.expit(x)


swish = silu


def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]

    Notes
    -----
    Misra, Mish: a self regularized non-monotonic activation function, BMVC 2020.
    """
    x = array(x)
    return x * ew.tanh(sp.softplus(x))


def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``, without overflow.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]
        Positive.

    Notes
    -----
    Glorot, Bordes, Bengio, Deep sparse rectifier neural networks, AISTATS 2011.
    """
    return sp.softplus(array(x))


def softsign(x: Any) -> Any:
    """``x / (1 + abs(x))``.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]
        In (-1, 1).

    Notes
    -----
    Glorot, Bengio, Understanding the difficulty of training deep feedforward networks, AISTATS 2010.
    """
    x = array(x)
    return x / (1 + abs(x))


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``: `xpgrad.special.expit`.

    Parameters
    ----------
    x : float[...]
        Log-odds, in nats.

    Returns
    -------
    float[...]
        In [0, 1].

    Notes
    -----
    Bishop, Pattern Recognition and Machine Learning, eq. 4.59.
    """
    return sp.expit(array(x))


def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``, without overflow.

    Parameters
    ----------
    x : float[...]
        Log-odds, in nats.

    Returns
    -------
    float[...]
        In nats, at most 0.

    Notes
    -----
    ``-softplus(-x)``. Bishop, Pattern Recognition and Machine Learning, eq. 4.59.
    """
    return sp.log_expit(array(x))


def hard_tanh(x: Any) -> Any:
    """``min(max(x, -1), 1)``; the derivative at -1 and 1 is 0.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]
        In [-1, 1].

    Notes
    -----
    Collobert, Large scale machine learning, thesis, 2004.
    """
    x = array(x)
    return ew.where(x >= 1, 1, ew.where(x <= -1, -1, x))


def hard_sigmoid(x: Any) -> Any:
    """``relu6(x + 3) / 6``; the derivative at -3 and 3 is 0.

    Parameters
    ----------
    x : float[...]

    Returns
    -------
    float[...]
        In [0, 1].

    Notes
    -----
    Howard et al., Searching for MobileNetV3, ICCV 2019.
    """
    return relu6(array(x) + 3) / 6
