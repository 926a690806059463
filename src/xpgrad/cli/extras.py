"""Optional packages, imported when a command needs them and not before.

In:  the name of a package of the extra ``demo``.
Out: the imported module, or a DependencyError that says what to type.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

from xpgrad._errors import DependencyError, message

DEMO = 'pip install "xpgrad[demo]"'


def require(module: str, purpose: str, *, remedy: str = DEMO) -> ModuleType:
    """Import ``module``, or say for what it is needed and how to install it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    purpose : str
        What needs it, as a noun: ``"reading a table"``.
    remedy : str
        The command that installs it.

    Raises
    ------
    DependencyError
        The module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise DependencyError(
            message(
                f"{purpose} needs the package {package}",
                {"import": str(error)},
                at="",
                remedy=remedy,
            )
        ) from error


def installed(module: str) -> bool:
    """Whether a top-level module can be imported; it is not."""
    return find_spec(module) is not None
