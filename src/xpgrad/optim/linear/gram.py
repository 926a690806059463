"""``X' D X`` of a Design, assembled by blocks.

In:  a Design, and a weight for each sample.
Out: a float64 matrix on the host, with a row and a column for each coefficient.
Holds: no category is expanded. Number x number is one product, number x code and code x code are sums by
code; what another block's sums over levels give is not summed again over the samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from xpgrad.data.reading import in_order
from xpgrad.devices import asnumpy, namespace, to_device
from xpgrad.devices.door import is_source
from xpgrad.optim.linear.design import Design, Group, merged
from xpgrad.optim.linear.programs import Programs, sums

# Up to as many columns of numbers, their product is computed in the loop that adds up by code; above, by BLAS.
IN_LOOP = 24
# Entries of a table with a row of numbers for each code, to which samples scatter.
_WIDE = 1 << 12
# Entries of a block of rows that BLAS multiplies.
_BLOCK = 1 << 17


def weighted_gram(design: Design, d: Any, programs: Programs | None = None) -> Any:
    """``X' diag(d) X``.

    Parameters
    ----------
    design : Design
    d : float[n]
        On the device of the design.
    programs : Programs, optional
        Of the fit, which says how its sources are read.

    Returns
    -------
    float64[p, p]
        Symmetric, on the host.
    """
    q = 0 if design.numbers is None else design.numbers.shape[1]
    x = None if design.is_sparse else design.numbers
    fused = x is not None and 0 < q <= IN_LOOP
    single = tuple((k,) for k in range(len(design.levels)))
    pairs = design.pairs or single
    wide = merged(design.levels, _WIDE // q) if x is not None and q else ()
    program = sums() if programs is None else programs.sums()
    total, moments, square, tables, blocks = asnumpy(
        program(
            d,
            x if fused or wide else None,
            fused,
            _zeros(design, pairs, ()),
            [design.joint(group) for group in pairs],
            _zeros(design, wide, (q,)),
            [design.joint(group) for group in wide],
        )
    )
    if design.is_sparse:
        moments, square = design.numbers.gram(d)
        wide = single
        blocks = [design.numbers.by_code(d, design.codes[k], design.levels[k]) for (k,) in single]
    elif q and not fused:
        moments, square = by_blocks(x, d, programs)
    out = np.zeros((design.columns, design.columns))
    if design.intercept:
        out[0, 0] = total
    if q:
        out[design.of_numbers, design.of_numbers] = square
        if design.intercept:
            out[0, design.of_numbers] = out[design.of_numbers, 0] = moments
    for group, table in zip(wide, blocks, strict=True):
        for k in group:
            block = design.marginal(table, group, (k,))
            out[design.of_levels[k], design.of_numbers] = block
            out[design.of_numbers, design.of_levels[k]] = block.T
    for group, table in zip(pairs, tables, strict=True):
        _of_codes(design, out, group, table)
    return out


def _of_codes(design: Design, out: Any, group: Group, table: Any) -> None:
    """The blocks of each two categories of a group, and those of each with itself and the intercept."""
    for k, other in combinations(group, 2):
        block = design.marginal(table, group, (k, other))
        out[design.of_levels[k], design.of_levels[other]] = block
        out[design.of_levels[other], design.of_levels[k]] = block.T
    for k in group:
        rows = design.of_levels[k]
        counts = design.marginal(table, group, (k,))
        np.fill_diagonal(out[rows, rows], counts)
        if design.intercept:
            out[0, rows] = out[rows, 0] = counts


def _zeros(design: Design, groups: tuple[Group, ...], tail: tuple[int, ...]) -> list[Any]:
    dtype = np.float64 if design.dtype == np.float64 else np.float32
    tables = [np.zeros((prod(design.levels[k] for k in group), *tail), dtype) for group in groups]
    return to_device(tables, design.device) if tables else []


def by_blocks(x: Any, d: Any, programs: Programs | None = None) -> tuple[Any, Any]:
    """``x' d`` and ``x' diag(d) x`` by BLAS, in blocks of rows; half of the work where no weight is negative.

    Parameters
    ----------
    x : float[n, q]
        Of a source, pieces are read ahead.
    d : float[n]

    Returns
    -------
    float64[q], float64[q, q]
        On the host; the products of each block are in the dtype of ``x``, their sum is in float64.
    """
    xp = np if is_source(x) else namespace(x)
    n, q = x.shape
    rows = max(256, _BLOCK // q) if xp is np else max(1, n)
    has_roots = bool(d.min() >= 0)
    moments, square = np.zeros(q), np.zeros((q, q))
    for part, weights in _blocks(x, d, rows, programs):
        factor = xp.sqrt(weights) if has_roots else weights
        scaled = part * factor[:, None]
        if has_roots:
            both = factor @ scaled, scaled.T @ scaled
        else:
            both = scaled.sum(axis=0), scaled.T @ part
        first, second = both if xp is np else asnumpy(both)
        moments += first
        square += second
    return moments, square


def _blocks(x: Any, d: Any, rows: int, programs: Programs | None) -> Iterator[tuple[Any, Any]]:
    """So many rows of ``x``, and their weights; of a source with the same blocks as of an array."""
    whole: Any = [(0, len(x), [x])]
    if is_source(x):
        assert programs is not None
        assert programs.streaming is not None
        whole = in_order([x], programs.streaming.kept, rows)
    for begin, end, (part,) in whole:
        for start in range(0, end - begin, rows):
            stop = min(start + rows, end - begin)
            yield part[start:stop], d[begin + start : begin + stop]
