"""A process of `bench.gpu`: the problem that it is given, and variants in the time there is."""

import numpy as np
import pytest

from bench.gpu.contenders import CONTENDERS
from bench.gpu.table import WORKLOADS
from bench.gpu.worker import Worker, fetch, put
from bench.peers.agreement import check
from bench.peers.contender import make
from bench.peers.problems import Problem
from xpgrad.testing import tolerance


@pytest.mark.parametrize("mapped", [False, True])
def test_a_problem_comes_back_as_it_was(mapped, tmp_path):
    problem = Problem((np.ones((2, 1), np.float32), np.float32(0.5)), (np.arange(3),))
    put(problem, tmp_path)
    again = fetch(tmp_path, mapped=mapped)
    assert [len(again.params), len(again.data)] == [2, 1]
    for a, b in zip(problem.params + problem.data, again.params + again.data, strict=True):
        assert np.array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("name", [name for name, w in WORKLOADS.items() if w.quick])
def test_at_quick_sizes_the_lines_as_they_are_agree_with_float64_with_room(name):
    w = WORKLOADS[name]
    problem = w.make("quick")

    def result(contender):
        value, gradient = contender.unpack(contender.build()())
        return [np.float64(value), *map(np.asarray, gradient)]

    expected = result(make("numpy", w.job, problem.in_float64()))
    found = result(make("xpgrad", w.job, problem))
    differences = check(name, found, [str(g.dtype) for g in found[1:]], expected, w.dtype)
    assert max(differences) < tolerance(w.dtype).value / 2


def test_of_variants_the_fastest_is_kept_and_one_that_fails_is_named(tmp_path, monkeypatch):
    pytest.importorskip("scipy")
    w = WORKLOADS["logistic-32"]
    put(w.make("tiny"), tmp_path)
    variants = {"good": {"fused": True}, "bad": {"fused": True, "nonsense": 1}}
    monkeypatch.setitem(CONTENDERS, "cupy", CONTENDERS["cupy"]._replace(variants=variants))
    worker = Worker("logistic-32", "cupy", "tiny", "cpu", str(tmp_path))
    worker.start()
    answer = worker.first_call()
    assert answer["variant"] == "good"
    assert "nonsense" in answer["variants"]["bad"]["failed"]
    times = worker.time(seconds=0.001, flush_bytes=0)
    assert len(times["wall_s"]) >= 1
    assert times["device_s"] is None


def test_a_variant_for_which_there_is_no_time_is_not_begun_and_the_others_stay(tmp_path, monkeypatch):
    variants = {"first": {}, "slow": {}, "short": {}, "last": {}}
    monkeypatch.setitem(CONTENDERS, "cupy", CONTENDERS["cupy"]._replace(variants=variants))
    worker = Worker("logistic-32", "cupy", "tiny", "cpu", str(tmp_path))
    takes, now = {"first": 10.0, "slow": 60.0, "short": 1.0}, [0.0]
    monkeypatch.setattr("bench.gpu.worker.time.perf_counter", lambda: now[0])

    def tried(name):
        now[0] += takes[name]
        if name == "slow":
            raise RuntimeError("of no use")
        return None, None, {"tried_s": 1.0, "memory": None}

    monkeypatch.setattr(worker, "_try", tried)
    answer = worker.first_call(seconds=130.5)
    assert answer["variant"] == "first"
    assert list(answer["variants"]) == list(variants)
    assert "of no use" in answer["variants"]["slow"]["failed"]
    assert answer["variants"]["short"] == {"tried_s": 1.0, "memory": None}
    assert answer["variants"]["last"] == {"not_tried": "60 s were left; another variant took 60 s"}
