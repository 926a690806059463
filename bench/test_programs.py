"""The programs of `bench.programs`: the contenders agree, autograd among them where it is installed."""

import pytest

from bench.programs import NAMES, contenders, measure, program


@pytest.mark.parametrize("name", ["bayesian_logistic", "rotations"])
def test_the_contenders_agree(name):
    times, _ = measure(name, rounds=1)
    assert all(t > 0 for v in times.values() for t in v)


def test_autograd_runs_most_of_the_programs():
    pytest.importorskip("autograd")
    errors = {name: contenders(name)[1] for name in ("mlp", "springs", "rotations")}
    assert errors == dict.fromkeys(errors)


def test_a_program_without_changed_imports_is_ours():
    assert len(NAMES) >= 30
    assert program("mlp").np.__name__ == "numpy"
