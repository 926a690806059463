"""What becomes of a program that is checked."""

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Outcome:
    """What became of one program: how many comparisons were made, of what, and what was refused."""

    compared: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    skipped: int = 0


@contextmanager
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
