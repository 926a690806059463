"""A pass over sources on a cluster of Dask's, with the bits of one machine."""

from __future__ import annotations

from xpgrad.scale.cluster import on

__all__ = ["on"]
