"""The contenders of `bench.steps`, few samples: each has the weights of NumPy by hand."""

from bench.steps import microseconds_per_step


def test_the_contenders_agree():
    times = microseconds_per_step(features=3, samples=70, size=20, rounds=1)
    assert {"numpy", "rows", "xpgrad", "gradient"} <= set(times)
