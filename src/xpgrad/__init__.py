"""Write the loss once, in plain NumPy; run it forward and backward on the CPU or the GPU."""

from xpgrad._errors import (
    DataError,
    DependencyError,
    DeviceError,
    DTypeError,
    NotDifferentiableError,
    NumericsError,
    ShapeError,
    TraceError,
    XpgradError,
)
from xpgrad.autodiff import custom_vjp
from xpgrad.devices import asnumpy, device_of, devices, namespace, to_device
from xpgrad.testing import check_grads
from xpgrad.trace import debug
from xpgrad.transforms import checkpoint, grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp
