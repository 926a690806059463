"""What dies in the middle of a fit costs no bits, and every wait ends."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from distributed import Client, LocalCluster

import xpgrad as xg
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.scale import cluster

pytestmark = [
    pytest.mark.skipif(available() is not None, reason=str(available())),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

M = 100_000
W = np.array([0.5, -0.25, 0.125])


def loss(w, X, y):
    z = X @ w
    return np.mean(np.log(1 + np.exp(z)) - y * z)


def bits(result):
    return [np.asarray(x).tobytes() for x in xg._trees.flatten(result)[0]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("cluster")
    X = np.asfortranarray(rng.normal(size=(M, 3)))
    np.save(path / "X.npy", X)
    np.save(path / "y.npy", (X.sum(1) > 0).astype(float))
    return [xg.data.npy(path / f"{name}.npy") for name in ("X", "y")]


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_bits(data):
    X, y = data
    expected = bits(xg.minimize(loss, W, (X, y), method="lbfgs", tol=0, max_iter=12).params)
    started = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with started, Client(started) as client:
        killed = []

        def kill(info):
            if info.iteration in (2, 5, 8):
                client.wait_for_workers(1, timeout=60)
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[-1], signal.SIGKILL)

        fit = xg.minimize(loss, W, (X, y), method="lbfgs", tol=0, max_iter=12, cluster=client, callback=kill)
    assert len(set(killed)) == 3
    assert bits(fit.params) == expected


@pytest.mark.slow
def test_a_fit_goes_on_from_its_checkpoint_when_the_scheduler_has_died(data, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_LOST", 2.0)
    X, y = data
    more = {"method": "lbfgs", "tol": 0, "max_iter": 12}
    expected = bits(xg.minimize(loss, W, (X, y), **more).params)
    address = "tcp://127.0.0.1:18787"
    begin = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "18787", "--no-dashboard"]
    serve = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    started = [subprocess.Popen(x, stderr=subprocess.DEVNULL) for x in (begin, serve)]
    try:
        with Client(address, timeout=60) as client:

            def kill(info):
                if info.iteration == 4:
                    started[0].kill()

            with pytest.raises(xg.DeviceError, match=r"scheduler at tcp://127\.0\.0\.1:18787 is gone"):
                xg.minimize(
                    loss, W, (X, y), **more, cluster=client, callback=kill, checkpoint=tmp_path / "fit.npz"
                )
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert bits(xg.minimize(loss, W, (X, y), **more, checkpoint=tmp_path / "fit.npz").params) == expected
