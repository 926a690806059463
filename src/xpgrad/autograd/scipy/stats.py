"""Distributions: those of `xpgrad.stats`, each also as a module to import."""

import sys
from typing import Any

import xpgrad.stats as ours

__path__: list[str] = []  # so that ``import xpgrad.autograd.scipy.stats.norm`` looks here
sys.modules.update({f"{__name__}.{name}": getattr(ours, name) for name in ours.__all__})


def __getattr__(name: str) -> Any:
    return getattr(ours, name)
