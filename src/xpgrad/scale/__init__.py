"""A pass over sources on a cluster of Dask's, with the bits of one machine."""

from __future__ import annotations

from xpgrad.scale.cluster import on
from xpgrad.scale.connecting import workers

__all__ = ["on", "workers"]
