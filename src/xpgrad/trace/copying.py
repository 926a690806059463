"""Python's protocols of copying: `copy` gives a differentiable copy, pickling is refused.

In:  ``copy.copy(x)``, ``copy.deepcopy(tree)``, ``dataclasses.asdict(p)``, ``pickle.dumps(x)``.
Out: an array that shares no memory with ``x`` and that gradients pass through; or a TraceError.
Holds: what belongs to the trace itself (tape, level) is never copied, by any of these.
"""

from __future__ import annotations

from typing import Any

from xpgrad._errors import TraceError
from xpgrad.trace.leaving import leaves_trace
from xpgrad.trace.traced import Traced
from xpgrad.trace.views import duplicate


def _deepcopy(self: Any, memo: Any) -> Any:
    """A copy as that of an array of numbers. Python's `copy` keeps in ``memo`` that one array stays one."""
    return duplicate(self)


def _refuse(what: str) -> Any:
    def method(self: Any, *_: Any, **__: Any) -> Any:
        raise _leaves_by(self, what)

    return method


def _leaves_by(x: Any, what: str) -> TraceError:
    return leaves_trace(
        x, what, "keep xg.stop_gradient(x), or what the function returns", "keep what the function returns"
    )


# Every way into pickle asks one of these.
_PICKLING = ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs_ex__")
# NumPy's methods that write out what an array holds.
_WRITING = ("dump", "dumps", "tobytes", "tofile")


def install() -> None:
    """Give `Traced` Python's protocols of copying."""
    methods: dict[str, Any] = {"__copy__": duplicate, "__deepcopy__": _deepcopy}
    methods |= {name: _refuse("pickling") for name in _PICKLING}
    methods |= {name: _refuse(f"{name}()") for name in _WRITING}
    for name, method in methods.items():
        setattr(Traced, name, method)


install()
