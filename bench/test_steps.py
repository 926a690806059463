"""The contenders of `bench.steps`, few samples: each has the weights of NumPy by hand."""

from bench.steps import microseconds, per_step


def test_the_contenders_agree():
    times = microseconds(features=3, samples=70, size=20, rounds=1)
    assert set(per_step(times, 4)["median"]) >= {"numpy", "rows", "xpgrad", "gradient", "setup of a fit"}
