"""Data larger than memory, and a cluster on this machine: ``python -m bench.scale [--json OUT]``.

    npy, parquet   a logistic regression on 32 features in float32, in files of --gigabytes, with memory_limit a
                   tenth of it. Each contender has a process of its own: reading alone (into a buffer; pyarrow's
                   row groups to nothing), value and gradient over the source, the same in memory. Where the
                   source is read, private memory may grow by the limit and a tenth of it from when all is
                   imported and compiled (RLIMIT_DATA); the peak of the resident set is reported.
    cluster        steps over a source that stays in memory: on one thread, and on 1, 2 and 4 Dask workers of
                   one thread each; what n empty tasks cost (--model predicts a step as the kernel's time by
                   the workers that have a core, and those tasks).
    kills          kill -9 of a worker in mid-fit, --kills times in a row.

Each part is a run of its own, which --json adds to the file: `--parts kills --json OUT`. Bits are compared in
all of it. Everything is read from the page cache, where reading costs least.
"""

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import xpgrad as xg
from bench.peers.report import conditions

FEATURES = 32
ROWS = 100_000  # of a row group
NAMES = [f"x{k}" for k in range(FEATURES)]


def loss(w: Any, X: Any, y: Any) -> Any:
    """The logistic loss, as a user writes it."""
    z = X @ w
    return np.mean(np.log(1 + np.exp(z)) - y * z)


FORMS = ("npy", "parquet")
PARTS = (*FORMS, "cluster", "kills")
W = np.linspace(-0.1, 0.1, FEATURES, dtype=np.float32)


def write(folder: Path, gigabytes: float) -> int:
    """Write the samples in both formats; the number of samples."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    groups = max(int(gigabytes * 1e9 / (4 * FEATURES * ROWS)), 1)
    m = groups * ROWS
    X = np.lib.format.open_memmap(folder / "X.npy", mode="w+", dtype=np.float32, shape=(m, FEATURES))
    y = np.lib.format.open_memmap(folder / "y.npy", mode="w+", dtype=np.float32, shape=(m,))
    rng = np.random.default_rng(0)
    schema = pa.schema([(name, pa.float32()) for name in (*NAMES, "y")])
    with pq.ParquetWriter(folder / "all.parquet", schema, compression="zstd", use_dictionary=False) as writer:
        for begin in range(0, m, ROWS):
            part = rng.standard_normal((ROWS, FEATURES), np.float32)
            labels = (part[:, 0] > 0).astype(np.float32)
            X[begin : begin + ROWS], y[begin : begin + ROWS] = part, labels
            columns = [np.ascontiguousarray(c) for c in part.T]
            writer.write_table(pa.table(dict(zip(NAMES, columns, strict=True)) | {"y": labels}))
    return m


def sources(folder: Path, form: str) -> tuple[Any, Any]:
    if form == "npy":
        return xg.data.npy(folder / "X.npy"), xg.data.npy(folder / "y.npy")
    table = xg.data.parquet(folder / "all.parquet")
    return table[NAMES], table["y"]


def digest(result: Any) -> str:
    value, gradient = result
    return hashlib.sha256(np.asarray(value).tobytes() + gradient.tobytes()).hexdigest()[:16]


# ── one contender, in a process of its own ───────────────────────────────────────────────────
def alone(folder: Path, form: str) -> None:
    """Read everything once, with as many threads as the readers of a pass."""
    from concurrent.futures import ThreadPoolExecutor

    from xpgrad.data.reading import PIECE, READERS

    if form == "npy":

        def read(part: range) -> None:
            buffer = bytearray(PIECE)
            with open(folder / "X.npy", "rb", buffering=0) as file:
                for at in part:
                    os.preadv(file.fileno(), [buffer], at)

        size = (folder / "X.npy").stat().st_size
        parts = [range(k * PIECE, size, READERS * PIECE) for k in range(READERS)]
    else:
        import pyarrow.parquet as pq

        def read(part: range) -> None:
            file = pq.ParquetFile(folder / "all.parquet")
            for k in part:
                file.read_row_group(k, use_threads=False)

        count = pq.ParquetFile(folder / "all.parquet").num_row_groups
        parts = [range(k, count, READERS) for k in range(READERS)]
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(read, parts))


def contender(folder: Path, form: str, what: str, limit: int, passes: int) -> dict[str, Any]:
    """Seconds of each pass, the bits, and the peak of memory above what imports take."""
    step = xg.compile(xg.value_and_grad(loss), memory_limit=limit)
    X, y = sources(folder, form)
    if what == "memory":
        X, y = X.read(), y.read()
    found: dict[str, Any] = {"seconds": []}
    if what == "source":
        step.explain(W, X, y)  # which compiles
        import pyarrow.parquet

        few = pyarrow.parquet.ParquetFile(folder / "all.parquet")
        few.read_row_group(0, columns=["y"], use_threads=False)
        before = status("VmData")
        most = before + limit + limit // 10
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        found["may_grow_mb"] = round((most - before) / 1e6)
    start = status("VmHWM")
    for _ in range(passes):
        begin = time.perf_counter()
        if what == "alone":
            alone(folder, form)
        else:
            found["bits"] = digest(step(W, X, y))
        found["seconds"].append(round(time.perf_counter() - begin, 3))
    peak = status("VmHWM")
    return found | {"peak_mb": round(peak / 1e6), "peak_above_start_mb": round((peak - start) / 1e6)}


def status(name: str) -> int:
    """Bytes of a line of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith(name)).split()[1]) << 10


def large(folder: Path, gigabytes: float, passes: int, forms: tuple[str, ...]) -> dict[str, Any]:
    m = write(folder, gigabytes)
    size = 4 * FEATURES * m
    report: dict[str, Any] = {"samples": m, "bytes": size, "memory_limit": size // 10, "forms": {}}
    for form in forms:
        found = report["forms"][form] = {}
        for what in ("alone", "source", "memory"):
            command = [sys.executable, "-m", "bench.scale", "--contender", form, what, str(folder)]
            command += ["--limit", str(size // 10), "--passes", str(passes)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{form} {what}: {done.stderr}")
            found[what] = json.loads(done.stdout)
            print(f"{form:8} {what:7}", found[what], flush=True)
        found["same_bits"] = found["source"]["bits"] == found["memory"]["bits"]
        found["over_reading"] = round(median(found["source"]["seconds"]) / median(found["alone"]["seconds"]), 2)
        print(f"{form:8} same bits {found['same_bits']}, {found['over_reading']} of reading alone", flush=True)
    return report


# ── a cluster ────────────────────────────────────────────────────────────────────────────────
def nothing(*_: Any) -> Any:
    """A task that does nothing, and gives as many bytes as a share."""
    return np.zeros((30, 512), np.uint8)


def timed(call: Any, calls: int) -> float:
    for _ in range(3):
        call()
    times = []
    for _ in range(calls):
        begin = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begin))
    return round(median(times), 2)


def cluster(folder: Path, gigabytes: float, calls: int, model: bool) -> dict[str, Any]:
    from distributed import Client, LocalCluster

    write(folder, gigabytes)
    X, y = sources(folder, "npy")
    step, one = xg.compile(xg.value_and_grad(loss)), xg.compile(xg.value_and_grad(loss), threads=1)
    expected = digest(one(W, X, y))
    report: dict[str, Any] = {
        "bytes": X.nbytes,
        "one_thread_ms": timed(lambda: one(W, X, y), calls),
        "workers": {},
    }
    print("one thread", report["one_thread_ms"], "ms", flush=True)
    cores = len(os.sched_getaffinity(0))
    for n in (1, 2, 4):
        started = LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0")
        with started, Client(started) as client:

            def empty(client: Any = client, n: int = n) -> None:
                client.gather([client.submit(nothing, k, pure=False) for k in range(n)])

            found = report["workers"][n] = {"tasks_ms": timed(empty, calls)}
            with xg.scale.on(client):
                found["same_bits"] = digest(step(W, X, y)) == expected
                found["step_ms"] = timed(lambda: step(W, X, y), calls)
            busy = report["one_thread_ms"] / min(n, cores)
            found["overhead_ms"] = round(found["step_ms"] - busy, 2)
            if model:
                found["model_ms"] = round(busy + found["tasks_ms"], 2)
            print(n, "workers", found, flush=True)
    return report


def killed(folder: Path, gigabytes: float, kills: int, budget: float) -> dict[str, Any]:
    """Fits in which a worker is killed in mid-pass, one after another, and whether each has the bits without.

    So many, or as many as begin within ``budget`` seconds.
    """
    from threading import Timer

    from distributed import Client, LocalCluster

    write(folder, gigabytes)
    X, y = sources(folder, "npy")

    def fit(**more: Any) -> Any:
        return xg.minimize(
            loss, np.zeros(FEATURES, np.float32), (X, y), method="lbfgs", max_iter=6, tol=0, **more
        )

    expected, same, seconds, began = fit().params.tobytes(), 0, [], time.perf_counter()
    started = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with started, Client(started) as client:
        while len(seconds) < kills and time.perf_counter() - began < budget:
            client.wait_for_workers(2, timeout=60)
            victim = next(iter(client.run(os.getpid).values()))

            def kill(info: Any, victim: int = victim) -> None:
                if info.iteration == 2:
                    Timer(0.02, os.kill, (victim, signal.SIGKILL)).start()

            begin = time.perf_counter()
            same += fit(cluster=client, callback=kill).params.tobytes() == expected
            seconds.append(round(time.perf_counter() - begin, 2))
            print("killed", len(seconds), "same bits", same, seconds[-1], "s", flush=True)
    return {
        "bytes": X.nbytes,
        "times": len(seconds),
        "same_bits": same,
        "median_s": median(seconds),
        "longest_s": max(seconds),
        "seconds": seconds,
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="of each format")
    parser.add_argument("--cluster-gigabytes", type=float, default=0.2)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--calls", type=int, default=30)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--budget", type=float, default=240.0, help="seconds after which no further kill begins"
    )
    parser.add_argument("--model", action="store_true", help="predict the steps of a cluster")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--contender", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.contender:
        form, what, folder = args.contender
        print(json.dumps(contender(Path(folder), form, what, args.limit, args.passes)))
        return
    report = conditions(("numpy", "xpgrad", "llvmlite", "pyarrow", "distributed"))
    if args.json and args.json.exists():  # the parts of two runs, each with its conditions
        report = json.loads(args.json.read_text()) | {"conditions_of_the_latest_part": report}
    for part in args.parts:
        with tempfile.TemporaryDirectory() as folder:
            if part in FORMS:
                found = large(Path(folder), args.gigabytes, args.passes, (part,))
                before = report.get("large", {}).get("forms", {})
                report["large"] = found | {"forms": before | found["forms"]}
            elif part == "cluster":
                more = args.calls, args.model
                report[part] = cluster(Path(folder), args.cluster_gigabytes, *more)
            else:
                report[part] = killed(Path(folder), args.cluster_gigabytes, args.kills, args.budget)
        if args.json:
            args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
