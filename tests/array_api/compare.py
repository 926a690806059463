"""The tests of the public suite that fail for traced arrays and pass for NumPy: there must be none.

    python tests/array_api/compare.py NUMPY.xml OURS.xml

Both are reports of pytest, by ``--junit-xml``.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter


def outcomes(path):
    """``passed``, ``failed`` or ``skipped`` for each test of a report."""
    found = {}
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        failed = bool(kinds & {"failure", "error"})
        name = f"{case.get('classname')}::{case.get('name')}"
        found[name] = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
    return found


def worse(numpy, ours):
    """The tests that are worse for ours than for NumPy: they fail, are skipped, or were not run."""
    return sorted(name for name, outcome in numpy.items() if outcome == "passed" and ours.get(name) != "passed")


def main(numpy_report, our_report):
    """Print what both reports count, and the tests that are worse; the status is 1 if there are any."""
    numpy, ours = outcomes(numpy_report), outcomes(our_report)
    for name, found in (("NumPy", numpy), ("traced arrays", ours)):
        counts = Counter(found.values())
        print(f"{name}: " + ", ".join(f"{counts[k]} {k}" for k in ("passed", "failed", "skipped")))
    found = worse(numpy, ours)
    print(*(f"worse than NumPy: {name}" for name in found), sep="\n")
    return int(bool(found) or not numpy)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
