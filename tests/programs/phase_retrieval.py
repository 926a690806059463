"""A signal from the absolute values of its Fourier transform, where part of it is known."""

import numpy as np

rng = np.random.default_rng(0)
signal = np.concatenate([np.ones(8), rng.normal(size=24)])
magnitudes = np.abs(np.fft.fft(signal, 64))


def start():
    return 0.1 * rng.normal(size=24)


def loss(unknown):
    spectrum = np.fft.fft(np.concatenate([np.ones(8), unknown]), 64)
    power = np.real(spectrum) ** 2 + np.imag(spectrum) ** 2
    return np.mean((power - magnitudes**2) ** 2) / 1e3
