"""Fit parameters by gradient: `minimize`, and the methods that it is made of."""

from xpgrad.optim.driver import minimize
from xpgrad.optim.first_order import Optimizer, adam, adamw, clipped, momentum, sgd
from xpgrad.optim.newton import newton
from xpgrad.optim.newton_cg import newton_cg
from xpgrad.optim.quasi_newton import lbfgs
from xpgrad.optim.records import Fit, Info, Record
from xpgrad.optim.schedules import cosine, warmup

__all__ = [
    "Fit",
    "Info",
    "Optimizer",
    "Record",
    "adam",
    "adamw",
    "clipped",
    "cosine",
    "lbfgs",
    "minimize",
    "momentum",
    "newton",
    "newton_cg",
    "sgd",
    "warmup",
]
