"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Write a file anew beside the old one, and then put it in its place.

    What is there and no regular file (a device, a pipe) is written to: it must not be replaced.

    Raises
    ------
    OSError
        It cannot be written; what was there before stays.
    """
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            file.write(content)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
