"""Gradients of plain NumPy code, on the CPU and on the GPU: the public names."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from xpgrad._errors import (
    DataError,
    DependencyError,
    DeviceError,
    DTypeError,
    NotDifferentiableError,
    NumericsError,
    OutOfBoundsError,
    ShapeError,
    TraceError,
    XpgradError,
)
from xpgrad._version import __version__
from xpgrad.autodiff import custom_vjp
from xpgrad.devices import asnumpy, device_of, devices, namespace, to_device
from xpgrad.trace import debug
from xpgrad.transforms import (
    checkpoint,
    grad,
    hessian,
    hvp,
    implicit,
    jacobian,
    jvp,
    linearize,
    scan,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)

if _TYPE_CHECKING:
    from xpgrad import (
        autograd,
        data,
        integrate,
        interpolate,
        learn,
        linalg,
        losses,
        nn,
        optim,
        optimize,
        scale,
        signal,
        special,
        stats,
        testing,
    )
    from xpgrad.compiler import compile
    from xpgrad.optim import Fit, minimize
    from xpgrad.testing import check_grads

# Where the names that are imported when they are first used come from; None: a module of that name.
_LATER = {
    "Fit": "optim",
    "autograd": None,
    "check_grads": "testing",
    "compile": "compiler",
    "data": None,
    "integrate": None,
    "interpolate": None,
    "learn": None,
    "linalg": None,
    "losses": None,
    "minimize": "optim",
    "nn": None,
    "optim": None,
    "optimize": None,
    "scale": None,
    "signal": None,
    "special": None,
    "stats": None,
    "testing": None,
}

__all__ = [
    "DTypeError",
    "DataError",
    "DependencyError",
    "DeviceError",
    "Fit",
    "NotDifferentiableError",
    "NumericsError",
    "OutOfBoundsError",
    "ShapeError",
    "TraceError",
    "XpgradError",
    "__version__",
    "asnumpy",
    "autograd",
    "check_grads",
    "checkpoint",
    "compile",
    "custom_vjp",
    "data",
    "debug",
    "device_of",
    "devices",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "integrate",
    "interpolate",
    "jacobian",
    "jvp",
    "learn",
    "linalg",
    "linearize",
    "losses",
    "minimize",
    "namespace",
    "nn",
    "optim",
    "optimize",
    "scale",
    "scan",
    "signal",
    "special",
    "stats",
    "stop_gradient",
    "testing",
    "to_device",
    "value_and_grad",
    "vjp",
    "vmap",
]


def __getattr__(name: str) -> _Any:
    if name not in _LATER:
        raise AttributeError(f"module 'xpgrad' has no attribute {name!r}")
    home = _LATER[name]
    found = _import_module(f"xpgrad.{home or name}")
    value = found if home is None else getattr(found, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
