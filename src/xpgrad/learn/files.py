"""Models in files without pickle: arrays as safetensors, and what they mean as JSON.

In:  a fitted estimator of `xpgrad.learn`, or the path of a file.
Out: a file, or the estimator.
Holds: reading runs no code of the file. A file is written beside the old one and then takes its place, so that
       a full disk leaves the old one. A checksum finds what was altered.
"""

from __future__ import annotations

import hashlib
import json
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from xpgrad import _files
from xpgrad._errors import DataError, DependencyError, message
from xpgrad._version import __version__
from xpgrad.learn import _sklearn as sk
from xpgrad.learn.columns import Layout
from xpgrad.learn.places import host

FORMAT = 1  # of the JSON beside the arrays; a reader refuses what is newer
_SCALARS = (bool, int, float, str, type(None))


def save(model: Any, path: Any) -> None:
    """Write a fitted estimator to a file.

    Parameters
    ----------
    model : estimator
    path : str or Path
        Written anew, or replaced.

    Raises
    ------
    DataError
        The model is not fitted, or holds something that is no number, text or array.
    OSError
        The file cannot be written; what was there before stays.
    """
    _files.replace(Path(path), packed(model))


def packed(model: Any, table: Any = None) -> bytes:
    """The content of the file of a fitted estimator.

    Parameters
    ----------
    model : estimator
    table : object, optional
        What JSON can hold: how a table becomes the estimator's columns. It is kept beside the estimator.

    Raises
    ------
    DataError
        As in `save`.
    """
    name = type(model).__name__
    sk.check_is_fitted(model)
    arrays: dict[str, Any] = {}
    facts = {
        "format": FORMAT,
        "estimator": name,
        "version": __version__,
        "parameters": {
            k: _stored(v, f"parameter.{k}", arrays, name)
            for k, v in model.get_params(False).items()
            if k != "cluster"
        },
        "attributes": {
            k: _stored(v, f"attribute.{k}", arrays, name)
            for k, v in vars(model).items()
            if k.endswith("_") and not k.startswith("_")
        },
    }
    if table is not None:
        facts["table"] = table
    written = json.dumps(facts, sort_keys=True)
    metadata = {"xpgrad": written, "sha256": _checksum(written, arrays)}
    content: bytes = _safetensors().save(arrays, metadata)
    return content


def load(path: Any) -> Any:
    """Read an estimator from a file that `save` wrote.

    Raises
    ------
    DataError
        The file is truncated or altered, is no model, or was written by a newer version.
    OSError
        The file cannot be read.
    """
    model, _ = unpacked(Path(path).read_bytes(), path)
    return model


def unpacked(content: bytes, path: Any) -> tuple[Any, Any]:
    """The estimator in the content of a file, and the table beside it, or None.

    Parameters
    ----------
    path : object
        What errors call the file.

    Raises
    ------
    DataError
        As in `load`.
    """
    from xpgrad import learn

    file = _safetensors()
    from safetensors import SafetensorError

    try:
        arrays = file.load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
        written = metadata["xpgrad"]
        facts = json.loads(written)
        found = (facts["format"], facts["estimator"], facts["parameters"], facts["attributes"])
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(message(f"load: {path} is no model of xpgrad, or is truncated: {error}")) from error
    version, name, parameters, attributes = found
    if version > FORMAT:
        raise DataError(
            message(
                f"load: {path} was written by xpgrad {facts.get('version')}, in format {version}; this is "
                f"xpgrad {__version__}, which reads up to format {FORMAT}",
                remedy="pip install --upgrade xpgrad",
            )
        )
    if metadata.get("sha256") != _checksum(written, arrays):
        raise DataError(message(f"load: {path} was altered: its checksum is another"))
    if name not in learn.__all__ or not isinstance(getattr(learn, name), type):
        raise DataError(message(f"load: {path} holds a {name!r}, which xg.learn does not have"))
    model = getattr(learn, name)(**{k: _restored(v, arrays) for k, v in parameters.items()})
    for k, v in attributes.items():
        setattr(model, k, _restored(v, arrays))
    return model, facts.get("table")


class Saved:
    """An estimator with the method `save`."""

    def save(self, path: Any) -> None:
        """Write the model to a file that `xpgrad.learn.load` reads; see `xpgrad.learn.files`."""
        save(self, path)


def _safetensors() -> Any:
    try:
        from safetensors import numpy
    except ImportError as error:
        said = f"models are saved with safetensors, which cannot be imported: {error}"
        raise DependencyError(message(said, remedy='pip install "xpgrad[learn]"')) from error
    return numpy


def _checksum(written: str, arrays: dict[str, Any]) -> str:
    digest = hashlib.sha256(written.encode())
    for name in sorted(arrays):
        x = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {x.dtype.str} {x.shape}".encode())
        digest.update(x.tobytes())
    return digest.hexdigest()


def _stored(x: Any, name: str, arrays: dict[str, Any], model: str) -> Any:
    """A value as JSON; arrays of numbers go to ``arrays``."""
    x = fspath(x) if isinstance(x, PathLike) else host(x)
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, _SCALARS):
        return x
    if isinstance(x, Layout):
        levels = [[i, _stored(v, f"{name}.{i}", arrays, model)] for i, v in x.levels.items()]
        return {"kind": "columns", "names": x.names, "n": x.n_columns, "levels": levels}
    if isinstance(x, np.ndarray) and x.dtype.kind in "biuf":
        arrays[name] = np.ascontiguousarray(x)
        return {"kind": "array", "name": name, "shape": list(x.shape)}
    if isinstance(x, np.ndarray) and x.dtype.kind in "UO":
        values = [_stored(v, f"{name}.{i}", arrays, model) for i, v in enumerate(x.ravel().tolist())]
        return {"kind": "texts", "values": values, "shape": list(x.shape), "text": x.dtype.kind == "U"}
    if isinstance(x, (list, tuple)):
        values = [_stored(v, f"{name}.{i}", arrays, model) for i, v in enumerate(x)]
        return {"kind": type(x).__name__, "values": values}
    if isinstance(x, dict):
        pairs = [
            [_stored(k, f"{name}.{i}.key", arrays, model), _stored(v, f"{name}.{i}", arrays, model)]
            for i, (k, v) in enumerate(x.items())
        ]
        return {"kind": "dict", "pairs": pairs}
    raise DataError(
        message(
            f"save: {model} holds {name} of type {type(x).__name__}, which a file without code cannot hold",
            remedy="functions of your own are saved as the module they are in",
        )
    )


def _restored(x: Any, arrays: dict[str, Any]) -> Any:
    if not isinstance(x, dict):
        return x
    kind = x["kind"]
    if kind == "columns":
        levels = {i: _restored(v, arrays) for i, v in x["levels"]}
        return Layout(x["names"], x["n"], levels)
    if kind == "array":
        return arrays[x["name"]].reshape(x["shape"]).copy()
    if kind == "dict":
        return {_restored(k, arrays): _restored(v, arrays) for k, v in x["pairs"]}
    values = [_restored(v, arrays) for v in x["values"]]
    if kind == "texts":
        return np.array(values, dtype=str if x["text"] else object).reshape(x["shape"])
    return tuple(values) if kind == "tuple" else values
