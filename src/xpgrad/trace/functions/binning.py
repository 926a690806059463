"""Histograms: sums of weights by bin, and the edges of bins."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, TraceError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.indexing import ARRAY, flip, scatter_add
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import full_like, reshape
from xpgrad.trace.functions._table import array, cast, implements, known, ndim, on_host, scalar_of, shape, whole
from xpgrad.trace.functions.creation import linspace
from xpgrad.trace.functions.grids import diff
from xpgrad.trace.traced import Traced, strip


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Edges between the least and the greatest entry move with these."""
    if type(bins) is Traced and bins.shape:
        return bins
    if range is not None and any(type(end) is Traced for end in range):
        raise TraceError(message("histogram_bin_edges: range= cannot be traced"))
    if np.ndim(bins) or isinstance(bins, str) or range is not None:
        given = (
            known(a, "histogram_bin_edges") if isinstance(bins, str) else np.zeros(1, aval_of(array(a)).dtype)
        )
        return np.histogram_bin_edges(given, bins, range)
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
    edges = linspace(ew.where(flat, low - 0.5, low), ew.where(flat, high + 0.5, high), n + 1)
    of = np.histogram_bin_edges(np.ones(1, aval_of(a).dtype), 1).dtype
    return cast(edges, of)


def _places(x: Any, edges: Any) -> tuple[Any, Any]:
    """The bin of each entry, and whether it is in one; the last bin has both its edges."""
    n = shape(edges)[0] - 1
    found = red.searchsorted(edges, x, side="right") - 1
    return ew.minimum(ew.maximum(found, 0), n - 1), (x >= edges[0]) & (x <= edges[-1])


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """Counts are constant; a sum of weights has the derivative 1 in each weight of its bin."""
    edges = histogram_bin_edges(a, bins, range)
    a = whole(a)
    w = full_like(a, value=1, dtype=np.dtype(float)) if weights is None else array(weights)
    if shape(w) != shape(a):
        raise ShapeError(message("histogram: needs a weight for each entry", {"entries": a, "weights": w}))
    a, w = reshape(a, shape=(-1,)), reshape(w, shape=(-1,))
    places, inside = _places(a, edges)
    w = ew.where(inside, w, cast(whole(0), aval_of(w).dtype))
    sums = scatter_add(w, places, index=(ARRAY,), shape=(shape(edges)[0] - 1,))
    if density:
        return sums / diff(edges) / red.sum(sums), edges
    return (cast(sums, np.dtype(np.intp)) if weights is None else sums), edges


@implements(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    if not isinstance(bins, int | np.integer) and len(bins) != 2:
        bins = [bins, bins]  # the same edges for both
    sums, edges = histogramdd([x, y], bins, range, density, weights)
    return sums, edges[0], edges[1]


@implements(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    if isinstance(sample, (list, tuple)):
        columns = [whole(x) for x in sample]
    else:
        sample = whole(sample)
        columns = [sample[:, k] for k in np.arange(shape(sample)[1])] if ndim(sample) == 2 else [sample]
    n, d = shape(columns[0])[0], len(columns)
    each = [bins] * d if isinstance(bins, int | np.integer) else list(bins)
    ranges = [None] * d if range is None else list(range)
    if len(each) != d or len(ranges) != d:
        raise ValueError(f"histogramdd: needs bins and a range for each of {d} axes")
    edges = [histogram_bin_edges(x, b, r) for x, b, r in zip(columns, each, ranges, strict=True)]
    w = full_like(columns[0], value=1, dtype=np.dtype(float)) if weights is None else array(weights)
    if shape(w) != (n,):
        got = {"entries": columns[0], "weights": w}
        raise ShapeError(message("histogramdd: needs a weight for each entry", got))
    at: Any = 0
    for x, line in zip(columns, edges, strict=True):
        places, inside = _places(x, line)
        at = at * (shape(line)[0] - 1) + places
        w = ew.where(inside, w, 0.0)
    lengths = tuple(shape(line)[0] - 1 for line in edges)
    sums = scatter_add(w, at, index=(ARRAY,), shape=(int(np.prod(lengths)),))
    sums = reshape(cast(sums, np.dtype(float)), shape=lengths)
    if density:
        total = red.sum(sums)
        for k, line in enumerate(edges):
            sums = sums / reshape(diff(line), shape=(-1,) + (1,) * (d - k - 1))
        sums = sums / total
    return sums, edges


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The number of the bin of each entry, of bins that rise or fall."""
    x, edges = array(x), array(bins)
    if ndim(edges) != 1:
        raise ShapeError(message("digitize: the bins must be a vector", {"bins": edges}))
    n = shape(edges)[0]
    steps = diff(edges)
    rising, falling = (red.all(ok) for ok in (steps >= 0, steps <= 0))
    edges = demand(edges, rising | falling, "digitize: bins must rise or fall", "bins")
    side = "left" if right else "right"
    up = red.searchsorted(edges, x, side=side)
    down = n - red.searchsorted(flip(edges, 0), x, side=side)
    return scalar_of(ew.where(rising, up, down))
