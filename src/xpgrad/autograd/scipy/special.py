"""The names of `xpgrad.special`."""

from typing import Any

import xpgrad.special as ours


def __getattr__(name: str) -> Any:
    return getattr(ours, name)
