"""The failing disk as a process meets it: a real mount, skipped by name where there is no FUSE."""

import contextlib
import errno
import os
import sqlite3

import pytest

from tests.soak.failing_disk import FailingDisk, reason_against_fuse

REASON = reason_against_fuse()


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    if REASON is not None:
        pytest.skip(REASON)
    with FailingDisk(tmp_path_factory.mktemp("failing") / "disk") as disk:
        yield disk


@pytest.fixture
def disk(mounted):
    mounted.erase()
    return mounted


def sync_directory(path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def test_fdatasync_makes_bytes_durable_and_fsync_of_the_directory_names(disk):
    (disk.path / "data").mkdir()
    path = disk.path / "data" / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, b"durable", 0)
    os.fdatasync(descriptor)
    os.close(descriptor)
    sync_directory(disk.path / "data")
    sync_directory(disk.path)
    (disk.path / "data" / "unsynced").write_bytes(b"")
    assert sorted(os.listdir(disk.path / "data")) == ["file", "unsynced"]
    for seed in range(5):
        descriptor = os.open(path, os.O_RDWR)
        os.pwrite(descriptor, b"perhaps", 7)
        assert path.read_bytes() == b"durableperhaps"
        os.close(descriptor)
        disk.lose_power(seed)
        assert path.read_bytes().startswith(b"durable")
        assert os.listdir(disk.path) == ["data"]


def test_an_ftruncate_is_the_files_own(disk):
    path = disk.path / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, b"0123456789", 0)
    os.ftruncate(descriptor, 4)
    assert os.fstat(descriptor).st_size == 4
    assert os.stat(path).st_ino == os.fstat(descriptor).st_ino
    os.unlink(path)
    assert os.pread(descriptor, 10, 0) == b"0123"
    os.close(descriptor)


def test_errors_are_those_of_the_system_and_heal(disk):
    path = disk.path / "file"
    with path.open("wb", buffering=0) as file:
        file.write(b"x")
        disk.fail("fsync", "/file", count=1)
        with pytest.raises(OSError) as caught:
            os.fdatasync(file.fileno())
        assert caught.value.errno == errno.EIO
        os.fdatasync(file.fileno())
        disk.leave_room(0)
        with pytest.raises(OSError) as caught:
            file.write(b"y")
        assert caught.value.errno == errno.ENOSPC
        disk.heal()
        file.write(b"y")
    disk.fail("read", "/file")
    with pytest.raises(OSError):
        path.read_bytes()
    disk.heal()
    assert path.read_bytes() == b"xy"
    assert disk.counts()["errors"] >= 3


def test_sqlite_keeps_what_it_committed_over_power_cuts(disk):
    path = disk.path / "metadata.sqlite"
    for seed in range(8):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (x INTEGER)")
        kept = [x for (x,) in connection.execute("SELECT x FROM t ORDER BY x")]
        assert kept == list(range(10 * seed))
        for number in range(10 * seed, 10 * seed + 10):
            connection.execute("INSERT INTO t VALUES (?)", (number,))
        sync_directory(disk.path)
        disk.freeze()
        disk.release()  # what a close writes fails, as if the process were killed
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        disk.lose_power(seed)


def test_a_disk_freezes_at_a_change_and_says_so(disk):
    path = disk.path / "file"
    disk.freeze_after(1)
    assert not disk.check_frozen()
    child = os.fork()
    if child == 0:
        os.open(path, os.O_RDWR | os.O_CREAT)
        os.truncate(path, 1)  # hangs
        os._exit(0)
    assert disk.wait_until_frozen(60)
    os.kill(child, 9)
    disk.release()
    assert os.waitpid(child, 0)[1] == 9
    disk.lose_power(1)
    assert not disk.is_frozen
    (disk.path / "other").write_bytes(b"x")


def test_the_reason_against_fuse_is_one_line():
    assert REASON is None or REASON.startswith("no FUSE: ")
