"""A smaller program that differs for the same reason: lines, outputs and inputs are left out one by one."""

from dataclasses import replace

from net.checking import check
from net.comparing import Difference
from xpgrad.testing.writing import mentions


def shrunk(program, generators, error):
    """The smallest program found, and its error; ``error`` is that of ``program``."""
    kind = _kind(error)
    for _ in range(4):
        for smaller in _smaller(program):
            try:
                check(smaller, generators)
            except Difference as found:
                if _kind(found) == kind:
                    program, error = smaller, found
                    break
            except Exception:  # no program any more
                continue
        else:
            break
    return program, error


def _kind(error):
    return str(error).split("\n")[0].split(":")[0].split(",")[0]


def _smaller(program):
    steps = program.steps
    for k in range(len(steps)):
        rest = steps[:k] + steps[k + 1 :]
        yield _cleared(replace(program, steps=rest))
    for step in steps:
        yield _cleared(replace(program, result=step.target))
        before = steps[: steps.index(step) + 1]
        yield _cleared(replace(program, steps=before, result=step.target))
    for k in range(len(program.changes)):
        yield replace(program, changes=program.changes[:k] + program.changes[k + 1 :])
    for k, x in enumerate(program.inputs):
        if x.layout != "C":
            yield replace(
                program, inputs=(*program.inputs[:k], replace(x, layout="C"), *program.inputs[k + 1 :])
            )


def _cleared(program):
    """Without inputs and constants that no line reads."""
    text = "\n".join([*(step.text for step in program.steps), program.result])
    inputs = tuple(x for x in program.inputs if mentions(text, x.name)) or program.inputs[:1]
    if program.changes:
        return replace(program, inputs=inputs)
    setup = tuple(s for s in program.setup if mentions(text, s.split(" ")[0]))
    return replace(program, inputs=inputs, setup=setup)
