"""SciPy's names, by xpgrad's modules of the same names."""

from xpgrad.autograd.scipy import integrate, linalg, misc, signal, special, stats

__all__ = ["integrate", "linalg", "misc", "signal", "special", "stats"]
