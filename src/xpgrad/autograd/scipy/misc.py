"""``logsumexp``, where old programs look for it."""

from xpgrad.special import logsumexp

__all__ = ["logsumexp"]
