"""Bad input: a clear error, and nothing computed."""

import numpy as np
import pytest

from xpgrad import DataError, DeviceError, DTypeError, ShapeError, to_device
from xpgrad.optim import minimize


def loss(x, *data):
    return np.sum(x**2)


def never(x, *data):
    raise AssertionError("the loss was called")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"method": "sgd"},
            'minimize: no method \'sgd\'; there are "gd", "momentum", "adam", "adamw", "lbfgs", "newton"',
        ),
        ({"method": None}, "no method None"),
        ({"method": "gd", "max_iter": 0}, "max_iter must be a positive integer, got 0"),
        ({"method": "gd", "max_iter": 1.5}, "max_iter must be a positive integer, got 1.5"),
        ({"method": "gd", "batch_size": True}, "batch_size must be a positive integer, got True"),
        ({"method": "gd", "batch_size": -3}, "batch_size must be a positive integer, got -3"),
        ({"method": "gd", "tol": -1.0}, "tol must be finite and not negative, got -1.0"),
        ({"method": "lbfgs", "tol": float("nan")}, "tol must be finite and not negative, got nan"),
        ({"method": "gd", "learning_rate": -0.1}, "learning_rate must be positive and finite, got -0.1"),
        (
            {"method": "lbfgs", "batch_size": 2},
            r'"lbfgs" needs all the data in each step[\s\S]*leave batch_size out',
        ),
        (
            {"method": "lbfgs", "learning_rate": 0.1},
            r"chooses the length of its steps[\s\S]*leave learning_rate out",
        ),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_its_name(options, text):
    with pytest.raises(ValueError, match=text):
        minimize(never, np.ones(2), (np.ones(3),), **options)


def test_data_that_are_no_tuple_are_refused_before_they_are_taken_apart():
    with pytest.raises(TypeError, match=r"must be a tuple[\s\S]*data float64\[3, 2\][\s\S]*write \(X,\)"):
        minimize(never, np.ones(2), np.ones((3, 2)), method="gd")


@pytest.mark.parametrize("params", [(), {}, None, [[]]])
def test_no_parameters_are_refused(params):
    with pytest.raises(DataError, match="there are no parameters"):
        minimize(never, params, method="lbfgs")


@pytest.mark.parametrize("method", ["gd", "adam", "lbfgs"])
def test_integer_parameters_are_refused_with_the_remedy(method):
    with pytest.raises(
        DTypeError, match=r"only float and complex[\s\S]*argument 0\['k'\] int 3[\s\S]*write 3.0"
    ):
        minimize(lambda p: p["k"] ** 2, {"k": 3}, method=method)


@pytest.mark.parametrize("method", ["gd", "lbfgs"])
def test_a_loss_that_is_no_scalar_is_refused(method):
    with pytest.raises(ShapeError, match="must return a scalar"):
        minimize(lambda x: x**2, np.ones(2), method=method)


def test_an_unknown_device_is_refused_with_the_names_there_are():
    with pytest.raises(DeviceError, match="no device 'tpu'"):
        minimize(never, 1.0, method="gd", device="tpu")


@pytest.mark.gpu
def test_arrays_on_two_devices_are_refused_by_place(real_gpu):
    with pytest.raises(DeviceError, match=r"args\[0\].*float64\[2\] on gpu[\s\S]*args\[1\]"):
        minimize(never, to_device(np.ones(2), "gpu"), (np.ones(2),), method="gd")
