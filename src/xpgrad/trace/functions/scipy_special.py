"""SciPy's special functions by name: ops, and those that are made of ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpgrad.core import OPS

# SciPy names one function by several ufuncs, and some as private ones.
_NAMES = {"psi": "digamma", "_zeta": "zeta", "_lgamma": "gammaln", "_log_ndtr": "log_ndtr"}


def _chdtr(v: Any, x: Any) -> Any:
    return OPS["gammainc"](v / 2, x / 2)


def _chdtrc(v: Any, x: Any) -> Any:
    return OPS["gammaincc"](v / 2, x / 2)


def _fdtr(dfn: Any, dfd: Any, x: Any) -> Any:
    return OPS["betainc"](dfn / 2, dfd / 2, dfn * x / (dfd + dfn * x))


def _fdtrc(dfn: Any, dfd: Any, x: Any) -> Any:
    return OPS["betainc"](dfd / 2, dfn / 2, dfd / (dfd + dfn * x))


_COMPOSED: dict[str, Callable[..., Any]] = {
    "chdtr": _chdtr,
    "chdtrc": _chdtrc,
    "fdtr": _fdtr,
    "fdtrc": _fdtrc,
}


def special_function(name: str) -> Callable[..., Any] | None:
    """Ours for the function of `scipy.special` of that name; None where there is none."""
    return _COMPOSED.get(name) or OPS.get(_NAMES.get(name, name))
