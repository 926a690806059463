"""What is stored comes back, what cannot be trusted does not, and nothing that fails stops the caller."""

import errno
import os
import stat
import subprocess
import sys
import textwrap
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

from xpgrad.backends import store as module
from xpgrad.backends.store import Store, default_directory, default_store

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")


@pytest.fixture(autouse=True)
def nothing_warned_yet(monkeypatch):
    monkeypatch.setattr(module, "_warned", set())


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@contextmanager
def one_warning(said):
    with pytest.warns(RuntimeWarning, match=said) as seen:
        yield seen
    assert len(seen) == 1


def entry(store):
    """The one file in the directory."""
    (name,) = os.listdir(store.directory)
    return Path(store.directory, name)


def damage(path, position, value):
    data = bytearray(path.read_bytes())
    data[position] = value
    path.write_bytes(data)


# Keys and payloads --------------------------------------------------------------------------------------


def test_what_was_put_comes_back(store):
    assert store.get("key") is None
    store.put("key", b"\x00code\xff")
    store.put("other", b"")
    assert store.get("key") == b"\x00code\xff"
    assert store.get("other") == b""
    assert store.get("ke") is None


def test_another_store_of_the_same_directory_finds_it(store):
    store.put("key", b"code")
    assert Store(store.directory).get("key") == b"code"


def test_a_second_put_replaces_the_first(store):
    store.put("key", b"old")
    store.put("key", b"new, and longer")
    assert store.get("key") == b"new, and longer"
    assert len(os.listdir(store.directory)) == 1


def test_asking_creates_nothing(store):
    assert store.get("key") is None
    assert not os.path.exists(store.directory)


@posix
def test_only_the_owner_can_look_in(store):
    old = os.umask(0)
    try:
        store.put("key", b"code")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(store.directory).st_mode) == 0o700
    assert stat.S_IMODE(entry(store).stat().st_mode) == 0o600


# Entries that are not what they should be ---------------------------------------------------------------

SPOILED = {
    "truncated": (lambda path: os.truncate(path, path.stat().st_size - 1), "is ignored: it is truncated"),
    "header only in part": (lambda path: os.truncate(path, 10), "it is truncated"),
    "empty": (lambda path: os.truncate(path, 0), "it is truncated"),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "it is too long"),
    "a flipped byte": (lambda path: damage(path, -1, 0), "its checksum is wrong"),
    "a flipped byte of the checksum": (lambda path: damage(path, 50, 0), "its checksum is wrong"),
    "another format": (lambda path: damage(path, 8, 99), "format 99, and this xpgrad reads format 1"),
    "not ours": (lambda path: path.write_bytes(b"\x7fELF" + bytes(200)), "not a kernel of xpgrad"),
    "another key's": (lambda path: damage(path, 13, path.read_bytes()[13] ^ 1), "the kernel of another key"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_an_entry_that_is_spoiled_is_ignored_by_name_and_rebuilt(store, how):
    spoil, said = SPOILED[how]
    store.put("key", b"code")
    path = entry(store)
    spoil(path)
    with pytest.warns(RuntimeWarning, match=said) as seen:
        assert store.get("key") is None
    assert str(path) in str(seen[0].message)
    assert store.get("key") is None  # said once
    store.put("key", b"code")
    assert store.get("key") == b"code"


def test_an_entry_under_another_name_is_not_taken_for_it(store):
    store.put("key", b"code")
    path = entry(store)
    store.put("other", b"other code")
    os.replace(next(p for p in Path(store.directory).iterdir() if p != path), path)
    with pytest.warns(RuntimeWarning, match="kernel of another key"):
        assert store.get("key") is None


@posix
def test_an_entry_that_is_a_link_is_not_followed(store, tmp_path):
    store.put("key", b"code")
    path = entry(store)
    os.replace(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(RuntimeWarning, match="it is a link"):
        assert store.get("key") is None
    store.put("key", b"code")
    assert not path.is_symlink()
    assert store.get("key") == b"code"


@posix
def test_an_entry_that_others_can_write_to_is_ignored(store):
    store.put("key", b"code")
    entry(store).chmod(0o620)
    with pytest.warns(RuntimeWarning, match="can be written to by others"):
        assert store.get("key") is None


def test_an_entry_that_is_a_directory_is_ignored(store):
    store.put("key", b"code")
    path = entry(store)
    path.unlink()
    path.mkdir()
    with pytest.warns(RuntimeWarning, match="compiled again"):
        assert store.get("key") is None
    with pytest.warns(RuntimeWarning, match="cannot write"):
        store.put("key", b"code")
    assert os.listdir(store.directory) == [path.name]


# Directories that are not safe --------------------------------------------------------------------------


def refuses(store, said):
    """Nothing is read or written, one warning names the directory."""
    before = {p: p.read_bytes() for p in Path(store.directory).iterdir()}
    with one_warning(said) as seen:
        assert store.get("key") is None
        store.put("key", b"new code")
        store.put("another", b"code")
    assert store.directory in str(seen[0].message)
    assert "XPGRAD_CACHE_DIR" in str(seen[0].message)
    assert {p: p.read_bytes() for p in Path(store.directory).iterdir()} == before


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_directory_that_others_can_write_to_is_refused(store, mode):
    store.put("key", b"code")
    os.chmod(store.directory, mode)
    refuses(store, "can be written to by others")
    os.chmod(store.directory, 0o755)
    assert store.get("key") == b"code"


@posix
def test_a_directory_of_another_user_is_refused(store, monkeypatch):
    store.put("key", b"code")
    user = os.geteuid()
    monkeypatch.setattr(module.os, "geteuid", lambda: user + 1)
    refuses(store, "belongs to another user")


@posix
def test_an_entry_of_another_user_is_ignored(store, monkeypatch):
    store.put("key", b"code")
    real = os.fstat
    monkeypatch.setattr(module.os, "fstat", lambda fd: owned_by(real(fd), os.geteuid() + 1))
    with pytest.warns(RuntimeWarning, match=r"\.kernel is ignored: it belongs to another user"):
        assert store.get("key") is None


@posix
def test_a_link_to_ones_own_directory_will_do(store, tmp_path):
    store.put("key", b"code")
    (tmp_path / "link").symlink_to(store.directory)
    linked = Store(tmp_path / "link")
    linked.put("other", b"code")
    assert linked.get("key") == linked.get("other") == b"code"


@posix
def test_a_link_of_another_user_is_refused(store, tmp_path, monkeypatch):
    store.put("key", b"code")
    link = tmp_path / "link"
    link.symlink_to(store.directory)
    real = os.lstat

    def lstat(path, **options):
        info = real(path, **options)
        return owned_by(info, os.geteuid() + 1) if os.fspath(path) == str(link) else info

    monkeypatch.setattr(module.os, "lstat", lstat)
    refuses(Store(link), "belongs to another user")


def owned_by(info, user):
    fields = list(info)
    fields[4] = user
    return os.stat_result(fields)


# Directories that do not work ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_directory_that_cannot_be_written_to_is_a_warning_and_still_read(store, monkeypatch, number):
    store.put("key", b"code")
    real = os.open

    def refuse(path, flags, *rest, **options):
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(module.os, "open", refuse)
    with one_warning(os.strerror(number)):
        store.put("other", b"code")
        store.put("third", b"code")
    assert store.get("key") == b"code"
    assert store.get("other") is None


@posix
def test_a_disk_that_is_full_in_the_middle_leaves_nothing_behind(tmp_path):
    pytest.importorskip("resource")
    code = f"""
        import os, resource, warnings
        from xpgrad.backends.store import Store
        store = Store({str(tmp_path / "cache")!r})
        store.put("key", b"code")
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            store.put("large", bytes(100_000))
            store.put("larger", bytes(200_000))
        print(len(seen), seen[0].category.__name__, len(os.listdir(store.directory)), store.get("key"))
    """
    assert run_python(code) == "1 RuntimeWarning 1 b'code'"


def test_an_interrupt_in_the_middle_leaves_nothing_behind(store, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.put("key", b"code")
    assert os.listdir(store.directory) == []


def test_a_directory_that_cannot_be_made_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "cache")
    with one_warning("cannot use .*cache"):
        store.put("key", b"code")
        store.put("other", b"code")


def in_a_file(directory, monkeypatch):
    Path(directory).parent.write_text("")


def a_file(directory, monkeypatch):
    Path(directory).write_text("")


def a_link_to_nowhere(directory, monkeypatch):
    Path(directory).symlink_to("nowhere")


def open_to_others(directory, monkeypatch):
    Path(directory).mkdir(parents=True)
    Path(directory).chmod(0o777)


def closed_to_its_owner(directory, monkeypatch):
    """As root would not see it: every file in it is refused, for reading and for writing."""
    Store(directory).put("key", b"code")

    def refuse(path, *_, **__):
        number = errno.EACCES if str(path).endswith(".kernel") else errno.EPERM
        raise PermissionError(number, os.strerror(number), path)

    monkeypatch.setattr(module.os, "open", refuse)


@posix
@pytest.mark.parametrize(
    "spoil",
    [in_a_file, a_file, a_link_to_nowhere, open_to_others, closed_to_its_owner],
    ids=lambda f: f.__name__,
)
def test_a_directory_that_is_of_no_use_is_warned_of_once_by_all_stores_of_a_process(
    tmp_path, monkeypatch, spoil
):
    directory = str(tmp_path / ("file/cache" if spoil is in_a_file else "cache"))
    spoil(directory, monkeypatch)
    with one_warning("cache") as seen:
        for key in ("key", "other"):
            assert Store(directory).get(key) is None
            Store(directory).put(key, b"code")
    assert directory in str(seen[0].message)
    assert "XPGRAD_CACHE_DIR" in str(seen[0].message)


def test_each_directory_that_is_of_no_use_is_warned_of(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("cache", "other"):
        with one_warning(f"cannot use .*file.{name} "):
            Store(tmp_path / "file" / name).put("key", b"code")


def test_a_file_where_the_directory_should_be_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.warns(RuntimeWarning, match=r"file"):
        Store(tmp_path / "file").put("key", b"code")
    assert (tmp_path / "file").read_text() == "kept"


def test_an_entry_that_cannot_be_read_is_a_warning(store, monkeypatch):
    store.put("key", b"code")
    real = os.open

    def refuse(path, flags, *rest, **options):
        if str(path).startswith(store.directory):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(module.os, "open", refuse)
    with pytest.warns(RuntimeWarning, match=r"cannot read .*Permission denied"):
        assert store.get("key") is None


def test_no_home_is_a_warning(monkeypatch):
    monkeypatch.delenv("XPGRAD_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(module.os.path, "expanduser", lambda path: path)
    store = Store()
    with one_warning("no home directory"):
        assert store.get("key") is None
        store.put("key", b"code")


# Which directory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"HOME": "/h"}, "/h/.cache/xpgrad"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/xpgrad"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "relative"}, "/h/.cache/xpgrad"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "/x", "XPGRAD_CACHE_DIR": "/mine"}, "/mine"),
        ("linux", {"HOME": "/h", "XPGRAD_CACHE_DIR": ""}, "/h/.cache/xpgrad"),
        ("darwin", {"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/h/Library/Caches/xpgrad"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/xpgrad/cache"),
        ("win32", {}, None),
    ],
)
@posix
def test_the_directory_is_where_the_system_keeps_caches(monkeypatch, platform, environment, expected):
    for name in ("HOME", "XDG_CACHE_HOME", "XPGRAD_CACHE_DIR", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module.sys, "platform", platform)
    assert default_directory() == expected


# Size ---------------------------------------------------------------------------------------------------


def test_what_was_unused_for_longest_goes_first(store, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 10_000)
    now = time.time()
    for k in range(8):
        store.put(str(k), bytes(1000))
        newest = max(Path(store.directory).iterdir(), key=lambda p: p.stat().st_mtime_ns)
        os.utime(newest, (now - 100 + k, now - 100 + k))
    assert store.get("0") == bytes(1000)  # used again: no longer the oldest
    store.put("8", bytes(1500))
    left = [k for k in range(9) if store.get(str(k)) is not None]
    assert left[0] == 0
    assert left[-1] == 8
    assert left[1:] == list(range(left[1], 9))
    assert 4 <= len(left) < 9
    assert sum(p.stat().st_size for p in Path(store.directory).iterdir()) <= 7500


def test_a_store_sees_what_others_have_written(store, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 10_000)
    for k in range(20):
        Store(store.directory).put(str(k), bytes(1000))
    assert sum(p.stat().st_size for p in Path(store.directory).iterdir()) <= 10_000


def test_many_kernels_take_one_look_at_the_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XPGRAD_CACHE_DIR", str(tmp_path / "cache"))
    looks, look = [], module._prune
    monkeypatch.setattr(module, "_prune", lambda directory: looks.append(directory) or look(directory))
    for k in range(20):
        default_store().put(str(k), b"code")
    assert looks == [str(tmp_path / "cache")]


def test_what_is_not_ours_is_neither_counted_nor_removed(store, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 10_000)
    store.put("key", b"code")
    mine = Path(store.directory, "thesis.txt")
    mine.write_bytes(bytes(50_000))
    os.utime(mine, (0, 0))
    Store(store.directory).put("other", b"code")
    assert mine.exists()
    assert store.get("key") == b"code"


def test_what_a_killed_process_left_is_removed_after_an_hour(store):
    store.put("key", b"code")
    path = entry(store)
    old, new = (path.with_name(f"{path.name}.{k}.abc.tmp") for k in (1, 2))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 4000,) * 2)
    Store(store.directory).put("other", b"code")
    assert not old.exists()
    assert new.exists()


# Two processes ------------------------------------------------------------------------------------------


def test_processes_that_write_and_read_at_once_see_whole_entries_only(tmp_path):
    code = f"""
        import os, warnings
        warnings.simplefilter("error")
        from xpgrad.backends.store import Store
        found = 0
        for k in range(200):
            store = Store({str(tmp_path / "cache")!r})
            name = str(k % 5)
            payload = name.encode() * 20_000
            store.put(name, payload)
            for other in "01234":
                got = store.get(other)
                assert got is None or got == other.encode() * 20_000
                found += got is not None
        print(found)
    """
    processes = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=-1, stderr=-1, text=True)
        for _ in range(3)
    ]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert err == ""
        assert int(out) >= 200
    assert len(os.listdir(tmp_path / "cache")) == 5


def test_the_store_imports_nothing_heavy():
    code = """
        import sys
        import xpgrad.backends.store
        print([name for name in ("llvmlite", "numba", "scipy", "multiprocessing") if name in sys.modules])
    """
    assert run_python(code) == "[]"


def test_it_works_where_warnings_are_off(store):
    store.put("key", b"code")
    os.truncate(entry(store), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert store.get("key") is None


def run_python(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
