"""Small helpers that programs for autograd use."""

from xpgrad.autograd.misc.flatten import flatten

__all__ = ["flatten"]
