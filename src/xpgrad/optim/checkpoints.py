"""The state of a fit in a file, from which it goes on with the same bits.

In:  what a method keeps from one iteration to the next: trees of arrays and numbers.
Out: an ``.npz`` file, which holds no code; the state of a fit that was broken off.
Holds: a file is replaced whole or not at all. A state is read only into the fit that wrote it: the same
       method, options, shapes and data.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from xpgrad import _files
from xpgrad._errors import DataError, message
from xpgrad._trees import flatten, paths, unflatten
from xpgrad.core import aval_of
from xpgrad.devices import asnumpy, device_of, to_device
from xpgrad.devices.door import is_source

FORMAT = 1  # a reader refuses what is newer
EVERY = 30.0
"""Seconds between two writings of the file, while a fit runs."""

_META = "xpgrad"
_LOOKED_AT = 4096  # entries of each array of the data
_NUMBERS = {"float": float, "complex": complex, "int": int, "bool": bool}


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    path : str or Path
    facts : dict
        What must be the same for a fit to go on: JSON's values.
    device : str
        Where the arrays of the state are put.

    Raises
    ------
    DataError
        The file is no checkpoint, is damaged, was written by a newer version, or belongs to another fit.
    OSError
        It cannot be read, or its folder is not there.
    """

    def __init__(self, path: Any, facts: dict[str, Any], device: str) -> None:
        self._path, self._facts, self._device = Path(path), facts, device
        self._written = monotonic()
        self._kept: Callable[[], bytes] | None = None
        self._saved: dict[str, Any] | None = None
        if not self._path.parent.is_dir():
            raise FileNotFoundError(f"minimize: checkpoint: there is no folder {self._path.parent}")
        if self._path.exists():
            self._saved = _read(self._path)
            self._check(self._saved["facts"])

    def _check(self, found: dict[str, Any]) -> None:
        differ = [name for name in {**found, **self._facts} if found.get(name) != self._facts.get(name)]
        if differ:
            got = {
                name: f"{found.get(name)!r} in the file, {self._facts.get(name)!r} here"
                for name in sorted(differ)
            }
            raise DataError(
                message(
                    f"minimize: the checkpoint {self._path.name} belongs to another fit",
                    got,
                    remedy="give another path, or delete the file to begin anew",
                )
            )

    def restored(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The state of the file and what was noted with it; None if the fit begins.

        Parameters
        ----------
        like : tree
            A state with the structure of the one that was kept; its leaves are not looked at.
        """
        if self._saved is None:
            return None
        leaves = [_leaf(kind, x, self._device) for kind, x in self._saved["leaves"]]
        structure = flatten(like)[1]
        if len(leaves) != len(flatten(like)[0]):
            raise DataError(message(f"minimize: the checkpoint {self._path.name} has another state"))
        noted: dict[str, Any] = self._saved["noted"]
        return unflatten(structure, leaves), noted

    def keep(self, state: Any, noted: Callable[[], dict[str, Any]]) -> None:
        """Remember the state after an iteration; it is written if the last writing is `EVERY` seconds ago."""
        self._kept = lambda: _packed(self._facts, state, noted())
        if monotonic() - self._written >= EVERY:
            self.write()

    def write(self) -> None:
        """Write what was last kept, if it is not in the file."""
        if self._kept is not None:
            _files.replace(self._path, self._kept())
            self._kept, self._written = None, monotonic()


@contextmanager
def kept_in(
    path: Any, params: Any, data: Any, options: dict[str, Any], device: str
) -> Iterator[Checkpoint | None]:
    """The Checkpoint of a fit, which is written however the fit ends; None without a path."""
    if path is None:
        yield None
        return
    checkpoint = Checkpoint(path, facts_of(data, params, options), device)
    try:
        yield checkpoint
    finally:
        checkpoint.write()


def facts_of(data: Any, params: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What tells a fit from another: options, shapes and dtypes, and a checksum of some entries of the data."""
    described = {name: _in_words(option) for name, option in options.items()}
    for name, tree in (("params", params), ("data", data)):
        for path, x in zip(paths(tree), flatten(tree)[0], strict=True):
            aval = aval_of(x)
            described[f"{name}{path}"] = f"{aval.dtype}{list(aval.shape)}"
            if is_source(x):
                described[f"{name}{path}"] += f", digest {x.digest}"
            elif name == "data":
                described[f"{name}{path}"] += f", checksum {_checksum(x):08x}"
    return described


def _in_words(option: Any) -> str:
    return "a schedule" if callable(option) else str(option)


def _checksum(x: Any) -> int:
    """Of at most `_LOOKED_AT` entries, evenly spread."""
    shape = getattr(x, "shape", ())
    if shape:
        size = int(np.prod(shape))
        places = np.unique(np.linspace(0, max(size - 1, 0), min(size, _LOOKED_AT)).astype(np.int64))
        x = x[tuple(to_device(list(np.unravel_index(places, shape)), device_of(x)))]
    return zlib.crc32(np.ascontiguousarray(asnumpy(x)).tobytes())


# ── the file ─────────────────────────────────────────────────────────────────────────────────
def _packed(facts: dict[str, Any], state: Any, noted: dict[str, Any]) -> bytes:
    leaves = flatten(state)[0]
    meta = {"format": FORMAT, "facts": facts, "noted": noted, "kinds": [_kind(x) for x in leaves]}
    arrays = {str(i): np.asarray(asnumpy(x)) for i, x in enumerate(leaves)}
    out = io.BytesIO()
    np.savez(out, **{_META: np.frombuffer(json.dumps(meta).encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def _kind(x: Any) -> str:
    if type(x).__name__ in _NUMBERS and type(x) is _NUMBERS[type(x).__name__]:
        return type(x).__name__
    if isinstance(x, np.generic):
        return "scalar"
    return "array" if device_of(x) == "cpu" else "on the device"


def _leaf(kind: str, x: Any, device: str) -> Any:
    if kind in _NUMBERS:
        return _NUMBERS[kind](x.item())
    if kind == "scalar":
        return x[()]
    return x if kind == "array" else to_device(x, device)


def _read(path: Path) -> dict[str, Any]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            meta = json.loads(file[_META].tobytes())
            if meta["format"] > FORMAT:
                raise DataError(message(f"minimize: {path.name} was written by a newer version of xpgrad"))
            leaves = [(kind, file[str(i)]) for i, kind in enumerate(meta["kinds"])]
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            message(
                f"minimize: {path.name} is no checkpoint, or is damaged ({error})",
                remedy="delete it to begin anew, or give another path",
            )
        ) from error
    return {"facts": meta["facts"], "noted": meta["noted"], "leaves": leaves}
