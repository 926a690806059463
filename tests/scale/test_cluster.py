"""A pass on a cluster has the bits of one machine, whoever is there, and every wait ends with a message."""

import re
import time

import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.base import clone

import xpgrad as xg
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.core import show
from xpgrad.learn import files
from xpgrad.scale import cluster, packing, worker

pytestmark = [
    pytest.mark.skipif(available() is not None, reason=str(available())),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

M = 100_000
W = np.array([0.5, -0.25, 0.125])


def loss(w, X, y):
    z = X @ w
    return np.mean(np.log(1 + np.exp(z)) - y * z)


def by_code(params, X, y, code):
    w, b = params
    return np.mean((X @ w + b[code] - y) ** 2)


def bits(result):
    return [np.asarray(x).tobytes() for x in xg._trees.flatten(result)[0]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("cluster")
    X = np.asfortranarray(rng.normal(size=(M, 3)))
    np.save(path / "X.npy", X)
    np.save(path / "y.npy", (X.sum(1) > 0).astype(float))
    np.save(
        path / "code.npy", np.repeat([0, 1, 2], [M - 2_000, 1_000, 1_000])
    )  # two are in the last chunk alone
    return [xg.data.npy(path / f"{name}.npy") for name in ("X", "y", "code")]


@pytest.fixture(scope="module")
def step():
    return xg.compile(xg.value_and_grad(loss))


def workers(n, **more):
    more = {"processes": False, "threads_per_worker": 1, "dashboard_address": ":0"} | more
    return LocalCluster(n_workers=n, **more)


@pytest.fixture(scope="module")
def client():
    with workers(2) as started, Client(started) as found:
        yield found


def test_the_bits_are_those_of_one_machine(data, step, client):
    X, y, code = data
    params = W, np.array([0.1, 0.2, 0.3])
    of_codes = xg.compile(xg.value_and_grad(by_code))
    expected = [bits(step(W, X, y)), bits(step(2 * W, X, y)), bits(of_codes(params, X, y, code))]
    with xg.scale.on(client):
        assert [bits(step(W, X, y)), bits(step(2 * W, X, y)), bits(of_codes(params, X, y, code))] == expected


def test_a_fit_has_the_bits_of_one_machine(data, client):
    X, y, _ = data
    fit, again = (xg.minimize(loss, W, (X, y), method="lbfgs", max_iter=3, cluster=by) for by in (None, client))
    assert bits(again.params) == bits(fit.params)


def test_more_workers_than_chunks_have_empty_shares(step, monkeypatch):
    monkeypatch.setattr(choose, "READ_WHOLE", 0)
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(5_000, 3)), np.ones(5_000)
    sources = xg.data.from_chunks(lambda i: X, [5_000], (3,)), xg.data.from_chunks(lambda i: y, [5_000])
    expected = bits(step(W, X, y))
    chunks = int(re.search(r"(\d+) chunks", step.explain(W, *sources))[1])
    assert 1 < chunks < 5
    with workers(5) as started, Client(started) as client, xg.scale.on(client):
        assert bits(step(W, *sources)) == expected


def test_what_is_computed_there_is_the_same_program(data, step):
    X, y, _ = data
    trace, _ = step._traced_for((W, X, y), {})
    program = trace.program
    sources = dict(zip(program.streams, (X, y), strict=True))
    about = packing.packed(program, sources)
    made, _ = packing.unpacked(about.content, 1, None)
    assert packing.kernels_of(made) == packing.kernels_of(program)
    assert show(made.plan.graph) == show(program.plan.graph)


def test_a_file_that_differs_for_a_worker_is_named(step, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.normal(size=(M, 3)))
    y = xg.data.from_chunks(lambda i: np.zeros(M), [M])
    X = xg.data.npy(tmp_path / "X.npy")
    program = step._traced_for((W, X, y), {})[0].program
    about = packing.packed(program, dict(zip(program.streams, (X, y), strict=True)))
    np.save(tmp_path / "X.npy", rng.normal(size=(M, 3)))
    with pytest.raises(xg.DataError, match=r"X\.npy is not the same for a worker"):
        packing.unpacked(about.content, 1, None)


def test_workers_with_another_version_or_cpu_are_refused(client, data, step):
    other = worker.facts() | {"machine code": "a CPU without AVX2"}
    with pytest.raises(xg.DeviceError, match=r"(?s)worker A differs from where.*code .*AVX2 here"):
        worker.refuse_other(worker.facts(), other, "worker A")
    found = cluster.Cluster(client, 30.0)
    found._expected = other
    with cluster.run_by(found), pytest.raises(xg.DeviceError, match="a worker that has come later differs"):
        step(W, *data[:2])


def test_what_is_no_client_and_what_needs_no_cluster_is_refused(client, data):
    with pytest.raises(TypeError, match="cluster must be a client of Dask's"):
        xg.minimize(loss, W, data[:2], method="lbfgs", cluster="tcp://127.0.0.1:8786")
    with pytest.raises(ValueError, match="leave batch_size out"):
        xg.minimize(loss, W, data[:2], method="adam", batch_size=100, cluster=client)
    with pytest.raises(ValueError, match="give data as sources"):
        xg.minimize(loss, W, (np.ones((9, 3)), np.ones(9)), method="lbfgs", cluster=client)
    with pytest.raises(ValueError, match="timeout must be positive"), xg.scale.on(client, timeout=0):
        pass


def test_values_of_each_sample_travel_with_their_share(client, data):
    predict = xg.compile(lambda w, X: np.exp(X @ w))
    with xg.scale.on(client):
        found = predict(W, data[0])
    assert bits(found) == bits(predict(W, data[0]))


def test_an_array_beside_the_sources_keeps_its_strides(client, data, step):
    every_other = np.repeat(data[1].read(), 2)[::2]
    with xg.scale.on(client):
        found = step(W, data[0], every_other)
    assert bits(found) == bits(step(W, data[0], every_other))


def test_estimators_share_their_passes_with_the_bits_of_the_fit_in_memory(client, data):
    X, y, _ = data
    expected = xg.learn.LogisticRegression(tol=1e-8).fit(X.read(), y.read())
    for targets in (y, y.read()):
        model = xg.learn.LogisticRegression(tol=1e-8, cluster=client, memory_limit="50MB").fit(X, targets)
        assert bits((model.coef_, model.intercept_)) == bits((expected.coef_, expected.intercept_))
    assert clone(model).cluster is client
    saved, _ = files.unpacked(files.packed(model), "model")
    assert saved.cluster is None


def test_without_workers_the_wait_ends_with_a_message():
    expected = pytest.raises(xg.DeviceError, match=r"no worker has come to inproc.* in 0.2 s")
    with workers(0) as started, Client(started) as client, expected, xg.scale.on(client, timeout=0.2):
        pass


def test_a_share_that_takes_too_long_ends_with_a_message(client, step):
    def chunk(i):
        time.sleep(1.5)
        return np.zeros((M, 3))

    slow = xg.data.from_chunks(chunk, [M], (3,))
    y = xg.data.from_chunks(lambda i: np.zeros(M), [M])
    with (
        xg.scale.on(client, timeout=0.5),
        pytest.raises(xg.DeviceError, match=r"of 2 shares have taken 0.5 s"),
    ):
        step(W, slow, y)


def test_an_error_of_a_worker_is_the_users_error(client, step):
    def chunk(i):
        raise OSError("the disk is on fire")

    y = xg.data.from_chunks(lambda i: np.zeros(M), [M])
    with xg.scale.on(client), pytest.raises(xg.DataError, match="the disk is on fire"):
        step(W, xg.data.from_chunks(chunk, [M], (3,)), y)
