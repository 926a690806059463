"""Histograms: sums of weights by bin, and the edges of bins."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, TraceError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.indexing import ARRAY, scatter_add
from xpgrad.ops.shape import full_like, reshape
from xpgrad.trace.functions._table import array, beside, cast, implements, known, on_host, shape, whole
from xpgrad.trace.functions.creation import linspace
from xpgrad.trace.functions.grids import diff
from xpgrad.trace.traced import Traced, strip


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Edges between the least and the greatest entry move with these."""
    if np.ndim(bins) or isinstance(bins, str) or range is not None:
        a = known(a, "histogram_bin_edges") if isinstance(bins, str) else np.zeros(1)
        if range is not None and any(type(end) is Traced for end in range):
            raise TraceError(message("histogram_bin_edges: range= cannot be traced"))
        return np.histogram_bin_edges(a, bins, range)
    a = reshape(whole(a), shape=(-1,))
    n = index(bins)
    if n < 1:
        raise ValueError(f"histogram_bin_edges: needs at least one bin, got {n}")
    if not shape(a)[0]:
        return np.histogram_bin_edges(np.zeros(0), n)
    low, high = red.min(a), red.max(a)
    for end in map(strip, (low, high)):
        if on_host(end) and not np.isfinite(end):
            raise ValueError("histogram_bin_edges: the range of the entries is not finite")
    flat = ew.equal(low, high)
    return linspace(ew.where(flat, low - 0.5, low), ew.where(flat, high + 0.5, high), n + 1)


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """Counts are constant; sums of weights have the derivative 1 in each weight of their bin."""
    edges = histogram_bin_edges(a, bins, range, weights)
    a = whole(a)
    w = full_like(a, value=1, dtype=np.dtype(float)) if weights is None else array(weights)
    if shape(w) != shape(a):
        raise ShapeError(message("histogram: needs a weight for each entry", {"entries": a, "weights": w}))
    a, w = reshape(a, shape=(-1,)), reshape(w, shape=(-1,))
    n = shape(edges)[0] - 1
    inside = (a >= edges[0]) & (a <= edges[-1])
    places = red.searchsorted(edges, a, side="right") - 1
    w = ew.where(inside, w, cast(whole(0), aval_of(w).dtype))
    sums = scatter_add(w, ew.minimum(ew.maximum(places, 0), n - 1), index=(ARRAY,), shape=(n,))
    if density:
        return sums / diff(edges) / red.sum(sums), edges
    return (cast(sums, np.dtype(np.intp)) if weights is None else sums), edges


@implements(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    pair = bins if isinstance(bins, (list, tuple)) and len(bins) == 2 else (bins, bins)
    sums, edges = histogramdd([x, y], pair, range, density, weights)
    return sums, edges[0], edges[1]


@implements(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Sums of weights have a derivative in these; the entries must be known, and their derivative is none."""
    columns = [known(x, "histogramdd") for x in sample] if isinstance(sample, (list, tuple)) else None
    plain = np.stack(columns, 1) if columns is not None else known(sample, "histogramdd")
    plain = plain.reshape(-1, 1) if plain.ndim == 1 else plain
    counts, edges = np.histogramdd(plain, bins, range)
    moving = [type(x) is Traced for x in (sample if columns is not None else [sample])]
    fixed = range is not None or not np.isscalar(bins)
    if any(moving) and not fixed:
        raise TraceError(
            message(
                "histogramdd: the edges between traced entries would lose their derivative",
                remedy="give the edges as bins=, or range=",
            )
        )
    if weights is None:
        return np.histogramdd(plain, bins, range, density=density)
    w = array(weights)
    inside = np.ones(len(plain), bool)
    places = []
    for k, line in enumerate(edges):
        inside &= (plain[:, k] >= line[0]) & (plain[:, k] <= line[-1])
        places.append(np.clip(np.searchsorted(line, plain[:, k], side="right") - 1, 0, len(line) - 2))
    at = np.ravel_multi_index(places, counts.shape)
    w = ew.where(beside(w, inside), cast(w, np.dtype(float)), 0.0)
    sums = reshape(scatter_add(w, at, index=(ARRAY,), shape=(counts.size,)), shape=counts.shape)
    if density:
        volume = np.ones(counts.shape)
        for k, line in enumerate(edges):
            volume = volume * np.diff(line).reshape((-1,) + (1,) * (len(edges) - k - 1))
        sums = sums / beside(w, volume) / red.sum(sums)
    return sums, edges


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The number of the bin of each entry; the bins must be known, as whether they rise is asked."""
    edges = np.asarray(known(bins, "digitize"))
    if edges.ndim != 1:
        raise ShapeError(message("digitize: the bins must be a vector", {"bins": edges}))
    side = "left" if right else "right"
    if (np.diff(edges) >= 0).all():
        return red.searchsorted(edges, array(x), side=side)
    if not (np.diff(edges) <= 0).all():
        raise ValueError("digitize: the bins must rise or fall monotonically")
    return len(edges) - red.searchsorted(edges[::-1].copy(), array(x), side=side)
