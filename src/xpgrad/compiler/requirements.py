"""The demands of a compiled function on its data: a program checks them, a node refuses.

In:  graphs whose outputs are the demands, and in each call the arrays, or whether each demand holds.
Out: nothing, or the DataError of the demand that does not hold, with the user's line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.backends import choose, reference
from xpgrad.backends.streaming import Streaming
from xpgrad.core import Graph, Node
from xpgrad.devices import asnumpy
from xpgrad.devices.door import is_source
from xpgrad.passes import run_passes
from xpgrad.passes.requirements import asked


class Requirements:
    """Demands on the inputs of one trace.

    Parameters
    ----------
    demands : Graph
        Its outputs are `require` nodes.
    threads : int
    streams : bool
        Whether arrays on the host may be arguments beside those on the GPU.
    streaming : Streaming, optional
        How sources among the arguments are read.
    """

    def __init__(self, demands: Graph, threads: int, streams: bool, streaming: Streaming | None = None) -> None:
        self._demands, self._threads, self._streams, self._streaming = demands, threads, streams, streaming
        self._program: Any = None

    def __len__(self) -> int:
        return len(self._demands.outputs)

    def check(self, arrays: Sequence[Any]) -> None:
        """Check the demands by a program of their own: one pass over the data."""
        if self._program is None:
            graph, _ = run_passes(asked(self._demands))
            self._program = choose.build(graph, arrays, self._threads, self._streams, self._streaming)
        self.refuse_unless(self._program.run(arrays), arrays)

    def refuse_unless(self, holds: Sequence[Any], arrays: Sequence[Any]) -> None:
        """Raise the DataError of the first demand that does not hold."""
        if all(map(bool, holds)):
            return
        if not any(map(is_source, arrays)):
            with np.errstate(all="ignore"):
                reference.run(self._demands, asnumpy(list(arrays)))
        # Of sources, which are not in memory; or a rounding differed, and node by node the demand holds.
        outputs = zip(self._demands.outputs, holds, strict=True)
        node = next(x for x, held in outputs if isinstance(x, Node) and not held)
        raise DataError(message(node.params["rule"], at=node.at))
