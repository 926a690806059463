"""The special functions of `bench.special`, few entries: compiled, each is what it is in SciPy."""

import pytest

from bench.special import measure, problems


@pytest.mark.parametrize("case", list(problems(100)), ids=lambda case: case[0])
def test_a_special_function_agrees_compiled(case):
    _, op, operands = case
    assert min(measure(op, operands, rounds=1)["xpgrad"]) > 0
