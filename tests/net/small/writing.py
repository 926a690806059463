"""Writing a small program: any line that NumPy runs, warnings, infinities and poles included."""

from __future__ import annotations

import copy
import warnings

import numpy as np

from xpgrad.testing.writing import Writer, mentions

_LARGEST_SIZE = 1_100_000


class SmallWriter(Writer):
    """The program so far; ``reached`` has the names that hold what depends on an argument."""

    def __init__(self, choices, inputs, setup=()):
        super().__init__(choices, inputs)
        self.reached = set(self.inputs)
        self.scope["copy"] = copy
        for text in setup:
            exec(text, self.scope)
        self.inputs |= {n: x for n, x in self.scope.items() if n not in ("np", "copy", "__builtins__")}
        self.env = dict(self.inputs)

    def tamed(self, name):
        return name

    def take(self, step):
        ok = super().take(step)
        if ok and any(mentions(step.text, n) for n in self.reached):
            self.reached.add(step.target)
        return ok

    def run(self, step):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                exec(step.text, self.scope, self.env)
            except (ZeroDivisionError, OverflowError):
                return self._run_at_pole(step)
            except Exception:  # of any kind, NumPy's or Python's: no line of a program
                return False
        return True

    def _run_at_pole(self, step):
        """As NumPy's scalars have it, where Python's floats raise."""
        env = {n: np.float64(x) if type(x) is float else x for n, x in self.env.items()}
        try:
            exec(step.text, self.scope, env)
        except Exception:
            return False
        self.env[step.target] = env[step.target]
        return True

    def accepts(self, value):
        if not isinstance(value, np.ndarray | np.generic | float | int | complex):
            return False
        x = np.asarray(value)
        return x.dtype.kind in "fbiuc" and x.size <= _LARGEST_SIZE and x.ndim <= 5
