"""The operating system's files behind the seam, and the parity of the simulated ones."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from log.file_system import FileSystem, OsFile, OsFileSystem, TornAppendError, write_atomically
from simulator.disk import SimulatedDisk


@pytest.fixture(params=["os", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileSystem, str]:
    if request.param == "os":
        return OsFileSystem(), str(tmp_path)
    disk = SimulatedDisk()
    disk.make_directory("tmp")
    return disk, "tmp"


def test_appending_reading_and_truncating(place: tuple[FileSystem, str]) -> None:
    file_system, root = place
    path = f"{root}/a"
    with pytest.raises(FileNotFoundError):
        file_system.open(path)
    file = file_system.open(path, create=True)
    assert file.append(b"hello ") == 0
    assert file.append(memoryview(b"world")) == 6
    assert file.size == file_system.status(path).size == 11
    assert file.read_at(4, 3) == b"o w"
    assert file.read_at(9, 10) == b"ld"
    assert file.read_at(11, 1) == b""
    assert file.read_at_nowait(0, 99) in (b"hello world", None)
    file.truncate(5)
    file.flush()
    assert file.append(b"!") == 5
    file.close()
    assert file_system.read_file(path) == b"hello!"
    assert file_system.open(path).size == 6


def test_directories_names_and_errors(place: tuple[FileSystem, str]) -> None:
    file_system, root = place
    file_system.make_directory(f"{root}/x/y")
    file_system.make_directory(f"{root}/x/y")
    for name in ("b", "a", "c"):
        file_system.open(f"{root}/x/{name}", create=True).close()
    assert file_system.list_directory(f"{root}/x") == ["a", "b", "c", "y"]
    assert file_system.is_directory(f"{root}/x/y")
    assert not file_system.is_directory(f"{root}/x/a")
    file_system.rename(f"{root}/x/a", f"{root}/x/b")
    file_system.remove(f"{root}/x/c")
    file_system.sync_directory(f"{root}/x")
    assert file_system.list_directory(f"{root}/x") == ["b", "y"]
    for attempt in (
        lambda: file_system.remove(f"{root}/none"),
        lambda: file_system.list_directory(f"{root}/none"),
        lambda: file_system.read_file(f"{root}/none"),
        lambda: file_system.status(f"{root}/none"),
        lambda: file_system.rename(f"{root}/none", f"{root}/b"),
        lambda: file_system.sync_directory(f"{root}/none"),
    ):
        with pytest.raises(FileNotFoundError):
            attempt()
    file_system.remove_tree(f"{root}/x")
    file_system.remove_tree(f"{root}/x")
    assert not file_system.exists(f"{root}/x")


def test_a_lock_is_exclusive_until_it_is_closed(place: tuple[FileSystem, str]) -> None:
    file_system, root = place
    lock = file_system.lock(f"{root}/.lock")
    with pytest.raises(BlockingIOError):
        file_system.lock(f"{root}/.lock")
    lock.close()
    file_system.lock(f"{root}/.lock").close()


def test_an_atomic_write_replaces_the_content(place: tuple[FileSystem, str]) -> None:
    file_system, root = place
    for data in (b"one", b"", b"three"):
        write_atomically(file_system, f"{root}/checkpoint", data)
        assert file_system.read_file(f"{root}/checkpoint") == data
    assert file_system.list_directory(root) == ["checkpoint"]


def test_the_descriptor_closes_with_the_last_reference(tmp_path: Path) -> None:
    file = OsFileSystem().open(str(tmp_path / "a"), create=True)
    file.append(b"data")
    descriptor = file.fileno()
    assert descriptor is not None
    file.retain()
    file.close()
    assert file.read_at(0, 4) == b"data"
    os.fstat(descriptor)
    file.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert file.fileno() == -1


@pytest.fixture
def limited_file(tmp_path: Path) -> Iterator[OsFile]:
    """A file that the kernel lets grow to 100 bytes: the write that passes it is short."""
    file = OsFileSystem().open(str(tmp_path / "a"), create=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield file
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    file.close()


def test_a_short_write_is_taken_back(limited_file: OsFile) -> None:
    limited_file.append(b"a" * 60)
    with pytest.raises(OSError, match="File too large") as raised:
        limited_file.append(b"b" * 60)
    assert not isinstance(raised.value, TornAppendError)
    assert limited_file.size == 60
    assert os.fstat(limited_file.fileno() or 0).st_size == 60
    assert limited_file.append(b"c" * 40) == 60


def test_bytes_that_cannot_be_taken_back_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"data")
    file = OsFile(str(path), os.open(path, os.O_RDONLY))
    with pytest.raises(TornAppendError) as raised:
        file.append(b"more")
    assert raised.value.errno in (errno.EINVAL, errno.EBADF)
    file.close()


def test_a_failed_flush_is_not_retried(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    file = OsFile(str(tmp_path), writer)
    for _ in range(2):
        with pytest.raises(OSError, match="Invalid argument"):
            file.flush()
    # Also if the descriptor would take it now.
    other = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    os.dup2(other, writer)
    with pytest.raises(OSError, match="Invalid argument"):
        file.flush()
    file.close()
    os.close(reader)
    os.close(other)


def test_space_is_of_the_disk_under_a_path(place: tuple[FileSystem, str]) -> None:
    file_system, root = place
    space = file_system.space(root)
    assert 0 <= space.usable_bytes <= space.total_bytes
    assert space.total_bytes > 0
