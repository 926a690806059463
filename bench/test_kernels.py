"""The record of the workloads' kernels."""

import pytest

from bench.kernels import ARCHITECTURES, FORMS, record
from xpgrad.backends.gpu.cuda import nvrtc

if reason := nvrtc.available():
    pytest.skip(reason, allow_module_level=True)
if nvrtc.version()[0] != 12:
    pytest.skip(f"NVRTC {nvrtc.version()[0]} does not compile for {ARCHITECTURES[0]}", allow_module_level=True)


@pytest.mark.parametrize("name", ["rosenbrock", "mlp"])
def test_each_kernel_of_a_workload_is_recorded_with_its_registers_and_spills(name):
    found = record([name])["kernels"]
    assert list(found) == [name]
    for kernels in (found[name][form][arch] for form in FORMS for arch in ARCHITECTURES):
        assert kernels
        for used in kernels:
            assert 0 < used["registers"] <= 255
            assert {"spill_stores", "spill_loads", "shared", "stack"} < set(used)
