"""For tests, of xpgrad and of code that uses it: `check_grads` and the tolerance table."""

from xpgrad.testing.checks import check_grads
from xpgrad.testing.tolerances import Tolerance, close, tolerance

__all__ = ["Tolerance", "check_grads", "close", "tolerance"]
