"""The public names, held."""

import xpgrad as xg

PUBLIC = [
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


def test_the_exported_names_are_these():
    assert sorted(xg.__all__) == sorted(PUBLIC)
    assert dir(xg) == sorted(PUBLIC)


def test_every_exported_name_is_there_and_documented():
    for name in PUBLIC:
        assert getattr(xg, name) is not None
        assert name == "__version__" or getattr(xg, name).__doc__


def test_a_name_that_is_not_exported_is_an_attribute_error():
    assert not hasattr(xg, "no_such_name")


def test_the_errors_are_a_tree_with_pythons_own():
    assert issubclass(xg.ShapeError, ValueError)
    assert issubclass(xg.OutOfBoundsError, IndexError)
    assert issubclass(xg.DTypeError, TypeError)
    assert issubclass(xg.DataError, ValueError)
    assert issubclass(xg.DeviceError, RuntimeError)
    assert issubclass(xg.DependencyError, ImportError)
    assert issubclass(xg.TraceError, TypeError)
    assert issubclass(xg.NotDifferentiableError, TypeError)
    assert issubclass(xg.NumericsError, ArithmeticError)
    errors = [getattr(xg, n) for n in PUBLIC if n.endswith("Error")]
    assert all(issubclass(e, xg.XpgradError) for e in errors)
