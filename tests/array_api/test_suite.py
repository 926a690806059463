"""What runs the public suite of the array API standard is ready for it."""

import pytest
from hypothesis import given, settings
from hypothesis.extra.array_api import make_strategies_namespace

from array_api import compare, traced
from xpgrad.trace import Traced

xps = make_strategies_namespace(traced, api_version="2024.12")


@settings(max_examples=30, deadline=None)
@given(xps.arrays(dtype=xps.scalar_dtypes(), shape=xps.array_shapes(max_dims=2, max_side=3)))
def test_hypothesis_draws_traced_arrays(x):
    assert type(x) is Traced
    same = traced.asarray(x, copy=True)
    assert bool(traced.all((same == x) | (x != x)))
    assert x.__array_namespace__() is same.__array_namespace__()


REPORT = """<testsuites><testsuite>
<testcase classname="m" name="good"/>
<testcase classname="m" name="bad">{bad}</testcase>
<testcase classname="m" name="away"><skipped/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize(("bad", "status"), [("", 0), ("<failure/>", 1), ("<skipped/>", 1)])
def test_a_test_that_numpy_passes_must_pass(tmp_path, capsys, bad, status):
    (tmp_path / "numpy.xml").write_text(REPORT.format(bad=""))
    (tmp_path / "ours.xml").write_text(REPORT.format(bad=bad))
    assert compare.main(tmp_path / "numpy.xml", tmp_path / "ours.xml") == status
    assert ("worse than NumPy: m::bad" in capsys.readouterr().out) == bool(status)
