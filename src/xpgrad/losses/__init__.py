"""Losses: how far predictions are from labels, in a form that does not overflow.

Each is ``loss(prediction, labels, *, weights=None, reduction="mean")``, on NumPy, CuPy or traced
arrays. Classification takes logits, never probabilities: that is where stability comes from.

Shapes: labels broadcast to the shape of the prediction (never the other way round: a column beside
a row would silently make a matrix). ``weights`` broadcast to the shape of the losses, one for each
sample or entry; the mean is then the weighted one, ``sum(w l) / sum(w)``.

dtypes are NumPy's, but integer and boolean labels and weights take the prediction's: float32 stays
float32.

Errors, of all of them: DataError for an empty batch, for labels outside the range that a loss
states and for negative weights; ShapeError for shapes that do not broadcast; ValueError for an
unknown ``reduction``. Ranges are looked up in the numbers, which costs one pass over the labels (and
on the GPU waits for it): in each call, eager or compiled; by `xpgrad.minimize`, which compiles, once, before
the first step.
"""

from xpgrad.losses.classification import (
    binary_cross_entropy,
    cross_entropy,
    hinge,
    kl_divergence,
    squared_hinge,
)
from xpgrad.losses.regression import (
    gamma_nll,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_squared_error,
    normal_nll,
    poisson_nll,
    quantile,
)

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "gamma_nll",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_squared_error",
    "normal_nll",
    "poisson_nll",
    "quantile",
    "squared_hinge",
]
