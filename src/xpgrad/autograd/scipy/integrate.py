"""Differential equations: `xpgrad.integrate.odeint`."""

from xpgrad.integrate import odeint

__all__ = ["odeint"]
