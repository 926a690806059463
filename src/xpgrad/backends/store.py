"""The store of compiled kernels on disk, so that the second process starts warm.

In:  a key, which is the text of everything that decides the machine code, and the code.
Out: the code that was stored under that key, or None.
Holds: the result will be executed, so nothing is read that another user could have written: the directory
       and each file in it belong to this user, and nobody else can write to them. The result has the
       checksum that it was stored with, under the key that was asked for. An error here does not stop
       the caller: it is a warning, and the kernel in memory still runs.

One file is one kernel, named by the SHA-256 of its key. It is written under another name and renamed, so
that a reader finds all of it or nothing; two processes that write one entry write the same. The time of a
file is that of its last use.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import sys
import time
import warnings
from collections.abc import Hashable
from contextlib import suppress

VARIABLE = "XPGRAD_CACHE_DIR"
REMEDY = f"set {VARIABLE} to a directory that only you can write to"

# 256 MiB is thousands of kernels. Past it the oldest go, down to three quarters.
LIMIT = 256 << 20

# Puts between two scans of the whole directory: other processes write to it too.
_PUTS_BETWEEN_SCANS = 64
_LEFTOVER_AFTER = 3600.0  # seconds, after which an unfinished file is that of a killed process

_MAGIC = b"XPGRADK\n"
_FORMAT = 1
# Magic, format, SHA-256 of the key, SHA-256 of the payload, length of the payload.
_HEADER = struct.Struct("<8sI32s32sQ")
_SUFFIX = ".kernel"
_UNFINISHED = ".tmp"
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

# The causes that this process has warned about, each once: a directory, or an entry and its fault.
_warned: set[Hashable] = set()


class Store:
    """The kernels in one directory: ``directory``, or that of `default_directory`."""

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        chosen = default_directory() if directory is None else os.fspath(directory)
        self.directory = None if chosen is None else os.path.abspath(chosen)
        self._total = 0
        self._puts = 0

    def get(self, key_text: str) -> bytes | None:
        """The checked payload under this key; None if there is none, or none that can be trusted."""
        directory = self._checked()
        if directory is None:
            return None
        key = _digest(key_text.encode())
        path = os.path.join(directory, key.hex() + _SUFFIX)
        try:
            data = _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(directory, f"cannot read {path} ({error.strerror}); the kernel is compiled again; {REMEDY}")
            return None
        payload = _payload(data, key) if isinstance(data, bytes) else data
        if isinstance(payload, _Fault):
            _warn((path, payload), f"{path} is ignored: {payload}; the kernel is compiled again")
            return None
        with suppress(OSError):  # a directory that cannot be written to is still good to read from
            os.utime(path)
        return payload

    def put(self, key_text: str, payload: bytes) -> None:
        """Store ``payload`` under this key, and replace what is there."""
        directory = self._checked(create=True)
        if directory is None:
            return
        key = _digest(key_text.encode())
        path = os.path.join(directory, key.hex() + _SUFFIX)
        data = _HEADER.pack(_MAGIC, _FORMAT, key, _digest(payload), len(payload)) + payload
        try:
            _write(path, data)
        except OSError as error:
            _warn(
                directory,
                f"cannot write to {directory} ({error.strerror}); "
                f"kernels will be compiled again by the next process; {REMEDY}",
            )
            return
        self._bound(directory, len(data))

    def _checked(self, create: bool = False) -> str | None:
        """The directory, if it exists and is safe. It is checked each time, for it may have changed."""
        directory = self.directory
        if directory is None:
            _warn("no home", f"no home directory to keep compiled kernels in; {REMEDY}")
            return None
        try:
            if create:
                _make(directory)
            danger = _danger(directory)
        except FileNotFoundError:
            if create:  # it went away, or is a link to nowhere
                _warn(directory, f"{directory} cannot be made; kernels are not kept; {REMEDY}")
            return None
        except OSError as error:
            _warn(directory, f"cannot use {directory} ({error.strerror}); kernels are not kept; {REMEDY}")
            return None
        if danger:
            _warn(
                directory,
                f"{directory} {danger}; kernels are code that will be run, so none is read from it "
                f"or written to it; {REMEDY}",
            )
            return None
        return directory

    def _bound(self, directory: str, written: int) -> None:
        """Keep the directory below the limit; it is scanned now and then, not for each entry."""
        self._total += written
        if self._puts % _PUTS_BETWEEN_SCANS == 0 or self._total > LIMIT:
            with suppress(OSError):
                self._total = _prune(directory)
        self._puts += 1


_stores: dict[str | None, Store] = {}


def default_store() -> Store:
    """The store in the default directory: one for the process, which counts the bytes that it has put there."""
    store = Store()
    return _stores.setdefault(store.directory, store)


class _Fault(str):
    """The reason why an entry cannot be used."""


def default_directory() -> str | None:
    """``$XPGRAD_CACHE_DIR``, or the directory of this system for a user's caches; None without a home."""
    if chosen := os.environ.get(VARIABLE):
        return chosen
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return os.path.join(local, "xpgrad", "cache") if local else None
    home = os.path.expanduser("~")
    has_home = os.path.isabs(home)
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "xpgrad") if has_home else None
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the specification says to ignore one that is not
        return os.path.join(base, "xpgrad")
    return os.path.join(home, ".cache", "xpgrad") if has_home else None


# The directory ------------------------------------------------------------------------------------------


def _make(directory: str) -> None:
    if os.path.isdir(directory):
        return
    os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        if not os.path.isdir(directory):  # otherwise another process was first
            raise


def _danger(directory: str) -> str | None:
    """The reason why somebody else could put code into the directory; None if nobody can."""
    if not hasattr(os, "geteuid"):
        return None  # Windows: the user's profile is closed to others
    link, there = os.lstat(directory), os.stat(directory)
    if not stat.S_ISDIR(there.st_mode):
        return "is not a directory"
    user = os.geteuid()
    if link.st_uid != user or there.st_uid != user:
        return "belongs to another user"
    if there.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written to by others"
    return None


def _prune(directory: str) -> int:
    """Remove the files of killed processes and, above the limit, the kernels that were unused for longest.

    Returns the bytes that are left. Only files with our suffixes are counted or removed.
    """
    entries = []
    now = time.time()
    with os.scandir(directory) as files:
        for file in files:
            if not file.name.endswith((_SUFFIX, _UNFINISHED)):
                continue
            try:
                info = file.stat(follow_symlinks=False)
            except OSError:
                continue  # another process removed or renamed it
            if file.name.endswith(_SUFFIX):
                entries.append((info.st_mtime_ns, info.st_size, file.path))
            elif now - info.st_mtime > _LEFTOVER_AFTER:
                _remove(file.path)
    total = sum(size for _, size, _ in entries)
    if total <= LIMIT:
        return total
    for _, size, path in sorted(entries):
        if total <= LIMIT * 3 // 4:
            break
        _remove(path)
        total -= size
    return total


# Files --------------------------------------------------------------------------------------------------


def _read(path: str) -> bytes | _Fault:
    """The bytes of a file that only this user can have written."""
    if os.path.islink(path):  # where the flag below does not exist, and to tell it from an error
        return _Fault("it is a link")
    if os.path.isdir(path):
        return _Fault("it is a directory")
    descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    with open(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            return _Fault("it is not a file")
        if hasattr(os, "geteuid"):
            if info.st_uid != os.geteuid():
                return _Fault("it belongs to another user")
            if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return _Fault("it can be written to by others")
        return file.read()


def _payload(data: bytes, key: bytes) -> bytes | _Fault:
    if len(data) < _HEADER.size:
        return _Fault("it is truncated")
    magic, version, stored_key, checksum, length = _HEADER.unpack_from(data)
    payload = data[_HEADER.size :]
    if magic != _MAGIC:
        return _Fault("it is not a kernel of xpgrad")
    if version != _FORMAT:
        return _Fault(f"it has format {version}, and this xpgrad reads format {_FORMAT}")
    if stored_key != key:
        return _Fault("it is the kernel of another key")
    if len(payload) != length:
        return _Fault("it is truncated" if len(payload) < length else "it is too long")
    if _digest(payload) != checksum:
        return _Fault("its checksum is wrong")
    return payload


def _write(path: str, data: bytes) -> None:
    """Write all of the file or, whatever happens, nothing."""
    unfinished = f"{path}.{os.getpid()}.{os.urandom(6).hex()}{_UNFINISHED}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(unfinished, path)
    except BaseException:
        _remove(unfinished)
        raise


def _remove(path: str) -> None:
    with suppress(OSError):  # another process was first, or it goes with the next look
        os.unlink(path)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _warn(cause: Hashable, text: str) -> None:
    if cause not in _warned:
        _warned.add(cause)
        warnings.warn(f"cache of compiled kernels: {text}", RuntimeWarning, stacklevel=3)
