"""Models with a linear predictor of numbers and categories, fitted by Newton's method."""

from xpgrad.optim.linear.design import Design
from xpgrad.optim.linear.gram import weighted_gram
from xpgrad.optim.linear.lbfgs import lbfgs_linear
from xpgrad.optim.linear.newton import newton_linear
from xpgrad.optim.linear.objective import LinearObjective, Point
from xpgrad.optim.linear.products import minimize_through_products

__all__ = [
    "Design",
    "LinearObjective",
    "Point",
    "lbfgs_linear",
    "minimize_through_products",
    "newton_linear",
    "weighted_gram",
]
