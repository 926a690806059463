"""The workers of the peers' benchmark, in processes that compute one at a time.

The file of `xpgrad.cli.bench.processes` is loaded without its package: a process of a peer's holds no xpgrad,
and in one of ours the import belongs to the first call.
"""

import importlib.util
import sys
from pathlib import Path


def _without_its_package(name: str):
    package, *folders = name.split(".")
    spec = importlib.util.find_spec(package)
    path = Path(spec.submodule_search_locations[0], *folders).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"bench.peers.{folders[-1]}_of_xpgrad", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_processes = _without_its_package("xpgrad.cli.bench.processes")
Answering, Died, Missing = _processes.Answering, _processes.Died, _processes.Missing
PARENT, serve = _processes.PARENT, _processes.serve
peak_of, settled_bytes = _processes.peak_of, _processes.settled_bytes


class Process(Answering):
    """A worker of `bench.peers.worker`."""

    def __init__(
        self, workload: str, contender: str, size: str, environment: dict[str, str] | None = None
    ) -> None:
        super().__init__(
            "bench.peers.worker",
            workload,
            contender,
            size,
            name=f"{contender} on {workload}",
            environment=environment,
        )
