"""What the tests of sources share: the names and sizes of the samples in files."""

import numpy as np
import pytest

from xpgrad.backends.cpu.llvm.build import available

M, NAMES = 70_001, ["x0", "x1", "x2"]
CITIES = np.array(["Oslo", "Bern", "Lima", "Rome"])

needs_llvm = pytest.mark.skipif(available() is not None, reason=str(available()))
