"""The docstrings of distributions, made of their own facts, and the table of the documentation."""

from __future__ import annotations

from typing import Any

_WHAT = {
    "a": "first shape",
    "b": "second shape",
    "c": "shape",
    "s": "standard deviation of the logarithm",
    "df": "degrees of freedom",
    "kappa": "concentration",
    "mu": "mean",
    "n": "number of trials or successes",
    "p": "probability of success, in [0, 1]",
    "loc": "location, added to the standard form (default 0)",
    "scale": "scale, a positive factor of the standard form (default 1)",
}


def document(cls: Any) -> None:
    """Append parameters, methods and what is missing to the docstring of the class of a distribution."""
    names = [*cls.shapes, "loc", *(["scale"] if cls.scaled else [])]
    parts = [cls.__doc__.strip(), "Parameters\n----------"]
    for name in names:
        constant = name in cls.whole or (name == "loc" and not cls.scaled)
        more = "; a whole number, in which the derivative is 0" if constant else ""
        parts[-1] += f"\n{name} : float[...]\n    {_WHAT[name].capitalize()}{more}."
    present = [f"`{m}`" for m in cls.methods if m not in cls.lacks]
    parts.append(
        f"Methods: {', '.join(present)}.\n"
        "They take the point first, then these parameters by position or name, Operands broadcast;\n"
        "float32 stays float32; invalid parameters give NaN. `rvs` takes ``size=`` and ``rng=``, a\n"
        "`numpy.random.Generator` or a seed, and raises DataError for invalid parameters."
    )
    for method, reason in cls.lacks.items():
        parts.append(f"No `{method}`: {reason}.")
    parts.append(f"Notes\n-----\nThe names and the parameters of `scipy.stats.{cls.name}`.")
    cls.__doc__ = "\n\n".join(parts) + "\n"
