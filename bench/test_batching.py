"""The problems of `bench.batching`, few samples: every contender has the result of the first."""

import pytest

from bench.batching import measure, problems


@pytest.mark.parametrize("case", list(problems(200)), ids=lambda case: case[0])
def test_the_contenders_agree(case):
    times, first = measure(case[1](), rounds=1)
    assert "xpgrad" in times
    assert first > 0
