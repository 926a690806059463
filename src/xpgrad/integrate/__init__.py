"""Integrals of samples and of differential equations by SciPy's names, differentiable."""

from xpgrad.integrate._equations import IvpResult, odeint, solve_ivp
from xpgrad.integrate._samples import cumulative_trapezoid, simpson, trapezoid

__all__ = ["IvpResult", "cumulative_trapezoid", "odeint", "simpson", "solve_ivp", "trapezoid"]
