"""Workers for a command: those of a scheduler by its address, or processes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xpgrad._errors import DependencyError, DeviceError, message
from xpgrad.backends.choose import thread_count


@contextmanager
def workers(address: str | None, count: int | None) -> Iterator[Any]:
    """A client of Dask's, within the context.

    Parameters
    ----------
    address : str or None
        ``"tcp://host:8786"``: a scheduler that runs.
    count : int or None
        Otherwise so many processes are started here, which share the threads of this machine.

    Raises
    ------
    DependencyError
        distributed is not installed.
    DeviceError
        There is no scheduler at the address.
    """
    try:
        import distributed
    except ImportError as error:
        what = "a cluster needs the package distributed"
        remedy = 'pip install "xpgrad[scale]"'
        raise DependencyError(message(what, {"import": str(error)}, remedy=remedy)) from error
    if address is not None:
        try:
            client = distributed.Client(address, timeout=15)
        except (OSError, TimeoutError, ValueError) as error:
            what = f"cluster: no scheduler answers at {address}"
            raise DeviceError(message(what, {"why": str(error)}, at="")) from error
        with client:
            yield client
        return
    n = count or 1
    threads = max(thread_count(None) // n, 1)
    started = distributed.LocalCluster(
        n_workers=n, threads_per_worker=threads, host="127.0.0.1", dashboard_address=None, silence_logs=50
    )
    with started, distributed.Client(started) as client:
        yield client
