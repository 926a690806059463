"""The programs of the net as data: with inputs of special values, and what is read besides inputs."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from xpgrad.testing.program import Input, Program

# What the entries of an input are: see `NetInput`.
VALUES = ("normal", "special", "few", "equal", "zeros", "ties", "large", "huge", "tiny", "infinite")
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, -0.5)
_EXTREMES = {
    "large": (2.0**20, 2.0**49, -1e15, 1e17, 3e22, -(2.0**63)),
    "huge": (1e150, -1e150, 1e200, 1e300, 1e-5, 1.0),
    "tiny": (1e-200, -1e-200, 1e-300, 5e-324, 1e-20, 0.0),
    "infinite": (np.inf, -np.inf, np.nan, 0.0, 1.0, -1.0),
}
_EXTREMES_OF_FLOAT32 = {
    "large": (2.0**20, 2.0**24, -1e7, 1e10, 3e22, -(2.0**33)),
    "huge": (1e20, -1e20, 1e30, 3e38, 1e-5, 1.0),
    "tiny": (1e-23, -1e-23, 1e-38, 1e-44, 1e-20, 0.0),
    "infinite": _EXTREMES["infinite"],
}


@dataclass(frozen=True)
class NetInput(Input):
    """An argument with special values.

    Attributes
    ----------
    values : str
        One of `VALUES`. Floats are drawn from the normal distribution, from `SPECIAL` (``"few"``: three
        of these, so that many are equal), are all equal, all zero, pairwise equal, or of extreme sizes.
    above : int
        Integers are drawn from it to below ``below``.
    """

    values: str = "normal"
    above: int = 0

    def make(self):
        if self.dtype == "python" and self.values != "normal":
            return float(self.floats(np.random.default_rng(self.seed))[()])
        with np.errstate(over="ignore"):
            return super().make()

    def entries(self, rng):
        if np.dtype(self.dtype).kind in "fc":
            return super().entries(rng)
        return rng.integers(self.above, self.below, size=self.shape)

    def floats(self, rng):
        if self.values == "normal":
            return super().floats(rng)
        if self.values in _EXTREMES:
            single = self.dtype in ("float32", "complex64")
            return rng.choice((_EXTREMES_OF_FLOAT32 if single else _EXTREMES)[self.values], size=self.shape)
        if self.values == "equal":
            return np.full(self.shape, rng.choice((1.0, 0.1, -2.0, 3.0)))
        if self.values == "zeros":
            return np.full(self.shape, rng.choice((0.0, -0.0)))
        if self.values == "ties":
            return np.round(rng.normal(size=self.shape)) * 0.5
        return rng.choice(SPECIAL[: 3 if self.values == "few" else len(SPECIAL)], size=self.shape)

    def range(self):
        text = f", {self.values}" if self.values != "normal" else ""
        return text if np.dtype(self.dtype).kind in "fc" else f"{text}, {self.above} to below {self.below}"


@dataclass(frozen=True, repr=False)
class NetProgram(Program):
    """A program that reads more than its arguments.

    Attributes
    ----------
    setup : tuple of str
        Lines before the function: what it reads besides its arguments.
    changes : tuple of str
        Lines that change what it reads, to be run one by one between calls, by ``exec(change, scope)``.
    """

    setup: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    modules = {"np": np, "copy": copy}

    @property
    def source(self):
        return "\n".join([super().source, *(f"# then: {change}" for change in self.changes)])

    def lines(self):
        return [*(line for text in self.setup for line in text.split("\n")), *super().lines()]
