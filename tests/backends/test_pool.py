"""Each chunk runs once, on as many threads as asked for, and the pool is always fit for the next call."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import numpy as np
import pytest

from xpgrad.backends.cpu import pool
from xpgrad.backends.cpu.pool import run_chunks, thread_count

LONG = 20  # seconds until a test that hangs fails

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")


def meeting(n):
    """A task whose chunks end when all of n are under way at the same time: n threads, or an error."""
    barrier = threading.Barrier(n, timeout=LONG)
    return lambda chunk, worker: barrier.wait()


def is_healthy(threads=3):
    met, came = meeting(threads), []

    def task(chunk, worker):
        met(chunk, worker)
        came.append(worker)

    run_chunks(task, threads, threads)
    assert sorted(came) == list(range(threads))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n_chunks", [0, 1, 2, 7, 1000])
def test_each_chunk_runs_once(n_chunks, threads):
    seen = []
    run_chunks(lambda chunk, worker: seen.append(chunk), n_chunks, threads)
    assert sorted(seen) == list(range(n_chunks))


def test_as_many_threads_as_asked_for_work_at_once():
    for threads in (2, 5, 3):
        is_healthy(threads)


def test_workers_have_numbers_of_their_own_and_the_caller_is_0():
    names, met = {}, meeting(4)

    def task(chunk, worker):
        met(chunk, worker)
        names.setdefault(worker, set()).add(threading.get_ident())

    run_chunks(task, 4, 4)
    assert sorted(names) == [0, 1, 2, 3]
    assert names[0] == {threading.get_ident()}
    assert len(set.union(*names.values())) == 4


def test_chunks_go_to_whoever_is_free():
    # Worker a holds one chunk until the other worker has done all the rest.
    rest_done, counts = threading.Event(), {0: 0, 1: 0}

    def task(chunk, worker):
        counts[worker] += 1
        if chunk == 0:
            assert rest_done.wait(LONG)
        elif chunk == 9:
            rest_done.set()

    run_chunks(task, 10, 2)
    assert sorted(counts.values()) == [1, 9]


def test_threads_are_started_once_and_kept():
    is_healthy(3)
    before = threading.enumerate()
    for _ in range(50):
        run_chunks(lambda chunk, worker: None, 10, 3)
    assert threading.enumerate() == before


@pytest.mark.parametrize(("n_chunks", "threads"), [(5, 1), (1, 5)])
def test_one_thread_or_one_chunk_starts_nothing(n_chunks, threads, monkeypatch):
    monkeypatch.setattr(pool, "_pool", pool._Pool())
    idents = []
    run_chunks(lambda chunk, worker: idents.append((threading.get_ident(), worker)), n_chunks, threads)
    assert set(idents) == {(threading.get_ident(), 0)}
    assert pool._pool.size == 0


def test_calls_that_are_over_before_a_worker_wakes_do_not_cost_the_next_one_its_workers():
    is_healthy(3)
    for _ in range(50):
        for _ in range(20):
            run_chunks(lambda chunk, worker: None, 3, 3)
        is_healthy(3)


def test_threads_do_not_keep_a_process_alive():
    run_python("from xpgrad.backends.cpu.pool import run_chunks; run_chunks(lambda c, w: None, 4, 4)")


def test_a_call_inside_a_task_runs_in_its_thread():
    seen = []

    def outer(chunk, worker):
        here = threading.get_ident()
        run_chunks(lambda c, w: seen.append((chunk, c, w, threading.get_ident() == here)), 3, 4)

    run_chunks(outer, 6, 3)
    assert sorted(seen) == [(chunk, c, 0, True) for chunk in range(6) for c in range(3)]
    is_healthy()


def test_several_threads_may_call_at_once():
    results, start = {}, threading.Barrier(6, timeout=LONG)

    def user(k):
        start.wait()
        total = 0
        for _ in range(50):
            parts = np.zeros(20)

            def task(chunk, worker, parts=parts):
                parts[chunk] = k * chunk

            run_chunks(task, 20, 3)
            total += parts.sum()
        results[k] = total

    users = [threading.Thread(target=user, args=(k,)) for k in range(6)]
    for u in users:
        u.start()
    for u in users:
        u.join(LONG)
    assert results == {k: 50 * k * 190 for k in range(6)}


def test_a_call_does_not_wait_for_workers_that_another_call_holds():
    inside, release = threading.Barrier(3, timeout=LONG), threading.Event()

    def hold(chunk, worker):
        inside.wait()
        assert release.wait(LONG)

    holder = threading.Thread(target=run_chunks, args=(hold, 2, 2))
    pool_before = pool._pool
    try:
        pool._pool = pool._Pool()  # with one worker, which is held
        holder.start()
        inside.wait()
        seen = []
        for _ in range(100):
            run_chunks(lambda chunk, worker: seen.append(worker), 5, 2)
        assert seen == [0] * 500
        # What nobody can take does not pile up.
        assert pool._pool._bells.qsize() <= 1
        assert pool._pool._openings == []
    finally:
        release.set()
        holder.join(LONG)
        pool._pool = pool_before


def test_without_another_thread_to_be_had_the_caller_does_it_all(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pool, "_pool", pool._Pool())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    seen = []
    run_chunks(lambda chunk, worker: seen.append((chunk, worker)), 5, 3)
    assert seen == [(k, 0) for k in range(5)]


# Errors and interrupts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_error_of_the_first_failing_chunk_is_raised(threads):
    def task(chunk, worker):
        if chunk in (3, 4, 50):
            raise ZeroDivisionError(chunk)

    for _ in range(20):
        with pytest.raises(ZeroDivisionError) as caught:
            run_chunks(task, 100, threads)
        assert caught.value.args == (3,)
    is_healthy()


def test_an_error_of_a_later_chunk_does_not_take_the_place_of_the_first():
    first_failed, met = threading.Event(), meeting(2)

    def task(chunk, worker):
        met(chunk, worker)
        if chunk == 0:
            first_failed.set()
        else:
            assert first_failed.wait(LONG)
            threading.Event().wait(0.02)  # until the other error has been taken down
        raise ValueError(f"chunk {chunk}")

    with pytest.raises(ValueError, match="chunk 0"):
        run_chunks(task, 2, 2)


def test_an_error_ends_the_handing_out():
    seen, met = [], meeting(2)

    def task(chunk, worker):
        seen.append(chunk)
        if chunk < 2:
            met(chunk, worker)
            raise ValueError(chunk)

    with pytest.raises(ValueError, match="0"):
        run_chunks(task, 1000, 2)
    assert sorted(seen) == [0, 1]


def test_what_is_running_when_a_chunk_fails_is_waited_for():
    failed, over, met = threading.Event(), [], meeting(2)

    def task(chunk, worker):
        met(chunk, worker)
        if worker == 0:
            failed.set()
            raise ValueError
        assert failed.wait(LONG)
        for _ in range(1000):  # the caller has failed, and must still be here
            pass
        over.append(chunk)

    with pytest.raises(ValueError):  # noqa: PT011
        run_chunks(task, 2, 2)
    assert len(over) == 1


def test_an_error_does_not_keep_the_tasks_arrays_alive():
    is_healthy(2)
    gc.disable()
    try:
        big = np.zeros(10)
        alive = weakref.ref(big)

        def task(chunk, worker, big=big):
            raise ValueError("no")

        with contextlib.suppress(ValueError):
            run_chunks(task, 4, 2)
        del big, task
        deadline = (
            time.monotonic() + LONG
        )  # a helper that comes late holds the job until it sees that it is over
        while alive() is not None and time.monotonic() < deadline:
            time.sleep(0.001)
        assert alive() is None
    finally:
        gc.enable()


def test_the_traceback_leads_into_the_task():
    def task(chunk, worker):
        raise ValueError("in the task")

    with pytest.raises(ValueError, match="in the task") as caught:
        run_chunks(task, 4, 2)
    assert caught.traceback[-1].name == "task"


@pytest.fixture
def interruptible():
    """Ctrl-C raises, also in a shell's background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name != "posix", reason="signals one thread of this process")
@pytest.mark.parametrize("where", ["in the caller's chunk", "while it waits"])
def test_an_interrupt_waits_for_what_is_running_and_leaves_the_pool_healthy(where, interruptible):
    is_healthy(2)
    main, both, over, seen = threading.main_thread().ident, meeting(2), [], []

    def task(chunk, worker):
        seen.append(chunk)
        if chunk < 2:
            both(chunk, worker)
            if worker == 0:
                if where == "in the caller's chunk":
                    threading.Event().wait(LONG)
                return
            if where == "while it waits":
                threading.Event().wait(0.05)  # the caller has nothing left to do, and sleeps
            for _ in range(3):  # an impatient user
                signal.pthread_kill(main, signal.SIGINT)
                threading.Event().wait(0.05)  # the caller has been interrupted, and must still be here
            over.append(chunk)

    n_chunks = 1000 if where == "in the caller's chunk" else 2
    with pytest.raises(KeyboardInterrupt):
        run_chunks(task, n_chunks, 2)
    assert len(over) == 1
    assert sorted(seen) == [0, 1]
    assert not pool._here.working
    is_healthy()


# Fork ---------------------------------------------------------------------------------------------------


@forks
def test_a_forked_child_starts_threads_of_its_own():
    code = """
        import os, signal, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads
        from xpgrad.backends.cpu import pool
        def is_healthy():
            barrier = threading.Barrier(3, timeout=20)
            pool.run_chunks(lambda chunk, worker: barrier.wait(), 3, 3)
        is_healthy()
        # Another thread keeps the pool busy, so that the child is made in the middle of something.
        over = threading.Event()
        def busy():
            while not over.is_set():
                pool.run_chunks(lambda chunk, worker: None, 10, 3)
        thread = threading.Thread(target=busy)
        thread.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                is_healthy()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        over.set()
        thread.join()
        is_healthy()
        print("well")
    """
    assert run_python(code) == "well"


# How many threads ---------------------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.delenv("XPGRAD_NUM_THREADS", raising=False)
    return lambda value: monkeypatch.setenv("XPGRAD_NUM_THREADS", value)


def test_what_the_user_asks_for_counts(environment):
    environment("5")
    assert thread_count(3) == 3
    assert thread_count(np.int64(4)) == 4
    assert thread_count(None) == 5


@pytest.mark.parametrize("value", ["", "  "])
def test_without_a_wish_it_is_the_cpus_of_this_process(environment, value, monkeypatch):
    environment(value)
    monkeypatch.setattr(pool, "_quota", lambda: 1000)
    if hasattr(os, "process_cpu_count"):
        monkeypatch.setattr(os, "process_cpu_count", lambda: 6)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    assert thread_count() == 6
    monkeypatch.setattr(pool, "_quota", lambda: 2)
    assert thread_count() == 2


@pytest.mark.parametrize("threads", [0, -1, 2.0, "2", True, [1]])
def test_what_is_no_positive_integer_is_refused(threads):
    with pytest.raises(ValueError, match="threads must be a positive integer, got "):
        thread_count(threads)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1e3"])
def test_the_variable_is_refused_by_name(environment, value):
    environment(value)
    with pytest.raises(ValueError, match=f"XPGRAD_NUM_THREADS must be a positive integer, got '{value}'"):
        thread_count()


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"/a/b": "150000 100000", "/a": "max 100000"}, 2),
        ({"/a/b": "max 100000", "/a": "100000 100000"}, 1),
        ({"/a/b": "400000 100000", "": "50000 100000"}, 1),
        ({"/a/b": "max 100000"}, 1 << 20),
        ({}, 1 << 20),
    ],
)
def test_the_quota_of_a_container_is_the_tightest_on_the_way_up(tmp_path, limits, expected):
    for group, text in limits.items():
        folder = tmp_path / group.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(text + "\n")
    (tmp_path / "membership").write_text("1:name=systemd:/x\n0::/a/b\n")
    assert pool._quota(str(tmp_path), str(tmp_path / "membership")) == expected


def test_without_cgroups_there_is_no_quota(tmp_path):
    assert pool._quota(str(tmp_path), str(tmp_path / "nothing")) == 1 << 20


def run_python(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()
