"""The programs of the net: each seed is one program, of one of the kinds by turns."""

from net.program import NetProgram
from net.small.generation import LINES, small_program
from net.small.world import world_program
from xpgrad.testing import random_program
from xpgrad.testing.generation import Seeded

# Of ten programs one reads the world, two are smooth ones on arrays of any size, and the rest are small.
_FAMILIES = [*LINES, "any"]
KINDS = ("smooth", "world", *_FAMILIES)


def kind_of(seed):
    """Of which of `KINDS` the program with this seed is."""
    turn = seed % 10
    return {0: "smooth", 1: "smooth", 2: "world"}.get(turn) or _FAMILIES[turn - 3]


def draw(seed, kind=None):
    """The program with this seed."""
    kind = kind or kind_of(seed)
    if kind == "smooth":
        smooth = random_program(seed, scalar=seed % 3 == 0, max_steps=6)
        return NetProgram(smooth.inputs, smooth.steps, smooth.result)
    if kind == "world":
        return world_program(Seeded(seed))
    return small_program(Seeded(seed), None if kind == "any" else kind)


def generators_of(seed, kind, llvm=3, cuda=0):
    """By which generators a program is compiled: what LLVM compiles takes most of the time."""
    names = ["interpreter"]
    # The smooth ones are long, and `tests/compile/test_random_graphs.py` compiles as many.
    share = 3 * llvm if kind == "smooth" else llvm
    if kind != "world" and seed // 10 % share == 0:
        names.append("llvm")
    if cuda and kind != "world" and seed // 10 % cuda == 0:
        names.append("cuda")
    return tuple(names)
