"""The race itself: every contender computes the notes' step, and who does not is caught."""

import numpy as np
import pytest

from xpgrad.backends import choose
from xpgrad.cli.contenders import LARGEST_Z, Absent, Contender, by_hand, line_up, loss, starting_point
from xpgrad.cli.measure import TOLERANCE, in_float64, measure
from xpgrad.cli.problem import build
from xpgrad.devices import gpu_status


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(4)
    columns = [(f"x{j}", rng.normal(size=10_500)) for j in range(6)]
    return build("noise", "heads", columns, rng.random(10_500) < 0.3)


@pytest.fixture(scope="module")
def point(problem):
    return starting_point(problem.X)


def contender(step, rows=8400):
    return Contender("fake", "a fake", "cpu", "float32", rows, step)


def test_the_start_saturates_nothing(problem, point):
    W = point[0]
    assert np.abs(np.dot(W.T, problem.X)).max() == pytest.approx(LARGEST_Z)
    assert np.isfinite(loss(point, problem.X, problem.Y))


def test_the_float64_step_is_the_notes_formulas(problem, point):
    exact = [p.astype(float) for p in point]
    value, (dW, db) = by_hand(exact, problem.X.astype(float), problem.Y.astype(float))
    truth = in_float64(point, problem.X, problem.Y)
    assert truth.difference(value, dW, db) < TOLERANCE["float64"]


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_every_contender_agrees_to_rounding(problem, point, device):
    entries = line_up(problem, point, device)
    runners = [entry for entry in entries if isinstance(entry, Contender)]
    results = measure(runners, point, problem.X, problem.Y, repeats=2)
    assert [result.key for result in results][:4] == ["loop", "numpy", "xpgrad-cpu", "xpgrad-compiled"]
    for result in results:
        assert result.agrees, (result.label, result.difference)
        assert result.seconds > 0
        assert len(result.repeats) == 2


def test_the_first_call_of_the_compiled_step_is_told_apart(problem, point):
    eager, compiled = line_up(problem, point, "cpu")[2:4]
    one, two = measure([eager, compiled], point, problem.X, problem.Y, repeats=1)
    assert one.preparation == ""
    assert "tracing" in two.preparation
    assert two.first_call > two.seconds


def test_without_llvm_the_compiled_step_is_interpreted_and_says_so(problem, point):
    with choose.use("interpreter"):
        compiled = line_up(problem, point, "cpu")[3]
        (result,) = measure([compiled], point, problem.X, problem.Y, repeats=1)
        assert result.agrees
        assert "NumPy interpreter; the interpreter was asked for" in result.preparation


def test_a_missing_gpu_takes_no_part_and_says_why(problem, point):
    last = line_up(problem, point, "auto")[-1]
    if gpu_status().available:
        assert isinstance(last, Contender)
    else:
        assert last == Absent("xpgrad-gpu", last.label, gpu_status().reason, gpu_status().remedy)


def test_with_device_cpu_no_gpu_takes_part(problem, point):
    last = line_up(problem, point, "cpu")[-1]
    assert isinstance(last, Absent)
    assert "--device cpu" in last.reason


def test_the_loop_is_timed_on_a_slice_and_scaled(problem, point):
    loop = line_up(problem, point, "cpu")[0]
    (result,) = measure([loop], point, problem.X, problem.Y, repeats=1)
    assert (result.rows, result.rows_of) == (2000, 8400)
    assert result.seconds == pytest.approx(result.repeats[0] * 4.2)


def wrong_loss(value, dW, db):
    return value * 1.001, (dW, db)


def wrong_weight(value, dW, db):
    return value, (dW + 1e-3 * np.eye(*dW.shape, dtype=dW.dtype), db)


def wrong_bias(value, dW, db):
    return value, (dW, db * 1.001)


def nan_gradient(value, dW, db):
    return value, (dW * np.nan, db)


@pytest.mark.parametrize("spoil", [wrong_loss, wrong_weight, wrong_bias, nan_gradient])
def test_a_contender_that_disagrees_is_caught(spoil, problem, point):
    value, (dW, db) = by_hand(point, problem.X, problem.Y)
    fake = contender(lambda: spoil(value, dW, db))
    (result,) = measure([fake], point, problem.X, problem.Y, repeats=1)
    assert not result.agrees


def test_contenders_take_turns(problem, point):
    answer = by_hand(point, problem.X, problem.Y)
    seen = []
    fakes = [contender(lambda name=name: (seen.append(name), answer)[1]) for name in "ab"]
    measure(fakes, point, problem.X, problem.Y, repeats=2)
    assert seen == ["a", "b", *"aabbaabb"]


def test_progress_hears_of_every_check_and_every_turn(problem, point):
    fake = contender(lambda: by_hand(point, problem.X, problem.Y))
    heard = []
    measure([fake], point, problem.X, problem.Y, 3, heard.append)
    assert heard == ["a fake"] * 4
