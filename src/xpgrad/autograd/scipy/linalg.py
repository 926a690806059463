"""The names of `xpgrad.linalg`."""

from typing import Any

import xpgrad.linalg as ours


def __getattr__(name: str) -> Any:
    return getattr(ours, name)
