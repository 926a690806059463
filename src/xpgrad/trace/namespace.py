"""The array namespace of traced arrays: the names of the array API standard, 2025.12.

In:  ``xp = x.__array_namespace__()`` of a traced array, then ``xp.f(...)``.
Out: arrays of the trace of ``x``, whatever ``f`` makes, constants, truth values and integers too. From then on
     the trace's own ops give these as arrays of the trace.
Holds: there is one namespace for each array module, as the libraries that are written in it ask for.

NumPy's functions lead to ops as ever; here they get the standard's names and keywords where NumPy has others.
"""

from __future__ import annotations

import weakref
from functools import partial, wraps
from threading import local
from types import ModuleType
from typing import Any

import numpy as np

from xpgrad._errors import DeviceError, message
from xpgrad.devices import namespace
from xpgrad.trace.functions.scipy_special import special_function
from xpgrad.trace.functions.standard import OURS
from xpgrad.trace.leaving import constant_under, leaves_trace
from xpgrad.trace.traced import Trace, Traced, lifted, strip
from xpgrad.trace.views import as_array

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")
_PARTS = ("linalg", "fft", "special")


class Namespace:
    """The names of the standard, for arrays in one array module.

    Attributes
    ----------
    _module : module
        NumPy or CuPy, or its ``linalg`` or ``fft``.
    _part : str
        ``""``, ``"linalg"``, ``"fft"`` or ``"special"``, where portable libraries look for SciPy's functions.
    """

    __slots__ = ("_module", "_part")

    def __init__(self, module: Any, part: str = "") -> None:
        self._module = module
        self._part = part

    @property
    def __name__(self) -> str:
        return f"{__name__}.{self._part or self._module.__name__}"

    def __repr__(self) -> str:
        return f"<array namespace of traced arrays, {self.__name__}>"

    def __dir__(self) -> list[str]:
        ours = [name.removeprefix(f"{self._part}_") for name in OURS]
        return sorted({*dir(self._module), *ours, "special"} if not self._part else dir(self._module))

    def __getattr__(self, name: str) -> Any:
        if not self._part and name in _PARTS:
            return _namespace_of(self._module, name)
        if self._part == "special":
            function = special_function(name)
            if function is None:
                raise AttributeError(f"xpgrad has no derivative of scipy.special.{name}")
        else:
            ours = OURS.get(f"{self._part}_{name}" if self._part else name)
            function = getattr(self._module, name) if ours is None else partial(ours, self._module)
        if isinstance(function, (type, ModuleType)) or not callable(function):
            return function

        @wraps(function)
        def of_a_trace(*args: Any, **kwargs: Any) -> Any:
            return _lifted(_trace(), function(*args, **kwargs))

        return of_a_trace


_known: dict[tuple[str, str], Namespace] = {}


def _namespace_of(module: Any, part: str = "") -> Namespace:
    """The one namespace of a module, or the one of its part."""
    key = module.__name__, part
    if key not in _known:
        _known[key] = Namespace(getattr(module, part) if part in ("linalg", "fft") else module, part)
    return _known[key]


class _Asked(local):
    """The traces whose arrays were asked for their namespace in this thread, the last one last."""

    def __init__(self) -> None:
        self.traces: list[weakref.ref[Trace]] = []


_asked = _Asked()


def _trace() -> Trace | None:
    """The innermost trace that is open still, of those that were asked for a namespace."""
    while _asked.traces:
        trace = _asked.traces[-1]()
        if trace is not None and not trace.closed:
            return trace
        _asked.traces.pop()
    return None


def _lifted(trace: Trace | None, out: Any) -> Any:
    """``out``, one array or a tuple or list of them, as arrays of ``trace``."""
    if type(out) is Traced:
        return out if out.shape else as_array(out)
    if isinstance(out, (tuple, list)):
        parts = [_lifted(trace, x) for x in out]
        return type(out)(*parts) if hasattr(out, "_fields") else type(out)(parts)
    if trace is None or isinstance(out, Namespace):
        return out
    if isinstance(out, (np.ndarray, np.generic)):
        return as_array(lifted(trace, np.asarray(out)))
    return lifted(trace, out) if hasattr(out, "__array_namespace__") and hasattr(out, "shape") else out


# ── attributes and methods of the array ──────────────────────────────────────────────────────
def _array_namespace(self: Any, *, api_version: Any = None) -> Namespace:
    if api_version not in (None, *VERSIONS):
        raise ValueError(f"array namespace: version {api_version!r} of the standard is not one of {VERSIONS}")
    trace = self._trace
    if not trace.portable or _trace() is not trace:
        trace.portable = True
        _asked.traces.append(weakref.ref(trace))
        _asked.traces.sort(key=lambda ref: -1 if (found := ref()) is None else found.level)
    return _namespace_of(namespace(self.xpgrad_device))


def _device(self: Any) -> Any:
    return "cpu" if self._below is None else getattr(strip(self), "device", "cpu")


def _to_device(self: Any, device: Any, /, *, stream: Any = None) -> Any:
    """The array itself, where it is on ``device`` already.

    Raises
    ------
    DeviceError
        It is on another: a traced array stays where the arguments are.
    """
    if device != self.device and device != self.xpgrad_device:
        raise DeviceError(
            message(
                f"to_device: a traced array stays on its device, {self.xpgrad_device!r}",
                {"array": self},
                remedy="xg.to_device of the arguments, before they are differentiated",
            )
        )
    return self


def _dlpack(self: Any, **kwargs: Any) -> Any:
    if (known := constant_under(self)) is not None:
        return known.__dlpack__(**kwargs)
    raise leaves_trace(
        self, "__dlpack__", "xg.stop_gradient(x) gives the plain array", "state the function with xg.custom_vjp"
    )


def _dlpack_device(self: Any) -> Any:
    data = strip(self)
    return (1, 0) if type(data) is Traced else np.asarray(data).__dlpack_device__()


def install() -> None:
    """Give `Traced` what the standard asks of an array."""
    methods = {
        "__array_namespace__": _array_namespace,
        "to_device": _to_device,
        "__dlpack__": _dlpack,
        "__dlpack_device__": _dlpack_device,
        "device": property(_device),
    }
    for name, method in methods.items():
        setattr(Traced, name, method)


install()
