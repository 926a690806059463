"""Absorption and clearance of a drug, fitted to concentrations: an equation that is solved by `odeint`."""

import numpy as np

from xpgrad.integrate import odeint

times = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])
measured = np.array([0.0, 2.1, 3.0, 3.1, 2.0, 0.7])


def start():
    return np.log(np.array([1.0, 0.3]))


def rhs(y, t, absorption, clearance):
    return np.array([-absorption * y[0], absorption * y[0] - clearance * y[1]])


def loss(log_rates):
    rates = np.exp(log_rates)
    found = odeint(rhs, np.array([5.0, 0.0]), times, (rates[0], rates[1]), steps=20)
    return np.sum((found[:, 1] - measured) ** 2)
