"""The mutants can be applied: `python -m tests.mutants` asks which net finds them."""

import ast

import pytest

from mutants.applying import ROOT, every, nets

MUTANTS = every()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.group}: {m.item}")
def test_a_mutant_replaces_what_occurs_once(mutant):
    text = (ROOT / mutant.file).read_text()
    assert text.count(mutant.old) == 1
    assert mutant.new != mutant.old
    if mutant.file.endswith(".py"):
        ast.parse(mutant.text())


def test_no_two_mutants_have_one_name():
    names = [(m.group, m.item) for m in MUTANTS]
    assert len(set(names)) == len(names)


def test_the_tests_that_look_for_mutants_are_there():
    for files in nets().values():
        for file in (f for group in files.values() for f in group):
            assert (ROOT / file.split("::")[0]).exists(), file
