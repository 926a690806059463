"""The functions of `bench.found`, small: compiled, each is what it is in NumPy."""

import pytest

from bench.found import measure, problems


@pytest.mark.parametrize("case", problems(n=50), ids=lambda case: case[0])
def test_a_function_as_it_was_found_agrees_compiled(case):
    _, f, args = case
    assert min(measure(f, args, rounds=1)["xpgrad"]) > 0
