"""The disk as the log sees it: a `FileSystem` of paths and an append-only `File`.

`OsFileSystem` is production; `simulator.disk.SimulatedDisk` is its counterpart, which knows what
would survive a power loss and can be told to fail. Deliberately not here: buffering, retries
(a failed fsync is never retried: the kernel has already marked the pages clean), and async calls
(whoever must not block calls from an executor).

A `File` belongs to one thread. Three of its methods may run in another one while the owner
appends, because they touch the descriptor and nothing else: `flush`, `read_at` and
`read_at_nowait`. The caller retains the file for the time of the call: a descriptor number is
reused at once after a close.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Buffer = bytes | bytearray | memoryview
TEMPORARY_SUFFIX = ".tmp"

_CAN_ADVISE = hasattr(os, "posix_fadvise")
# Linux only. Elsewhere a read that must not block is a plain read: the page cache decides.
_RWF_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None) if sys.platform == "linux" else None


class TornAppendError(OSError):
    """An append failed and so did taking back its first bytes: the tail of the file is unknown."""


@dataclass(frozen=True, slots=True)
class FileStatus:
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """What a file system holds in all, and what of it this process may still use."""

    total_bytes: int
    usable_bytes: int


class File(Protocol):
    """One open file, counted by reference. Also a `wire.records.file_slice.SliceSource`."""

    path: str
    size: int

    def append(self, data: Buffer) -> int:
        """Write at the end, whole or not at all; return the position of the first byte.

        Raises OSError after taking back what was written, TornAppendError if that failed too.
        """
        ...

    def read_at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        ...

    def read_at_nowait(self, position: int, size: int) -> bytes | None:
        """As `read_at`, or None where the bytes would have to come from the disk."""
        ...

    def flush(self) -> None:
        """Make the appended bytes durable. After one OSError every later call raises it again."""
        ...

    def settle(self) -> None:
        """Make durable what is not, and read from now on what the disk has: a failed fsync leaves
        pages in the cache that count as written, for the next process too. Raises OSError.
        """
        ...

    def truncate(self, size: int) -> None: ...

    def fileno(self) -> int | None:
        """A descriptor for sendfile, None where there is none (a simulated file)."""
        ...

    def retain(self) -> None: ...

    def release(self) -> None: ...

    def close(self) -> None:
        """Give up the owner's reference (once); the descriptor closes with the last one."""
        ...


class Lock(Protocol):
    def close(self) -> None: ...


class FileSystem(Protocol):
    """Paths are absolute or relative strings with `/`; errors are OSError as `os` raises them."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and appending; FileNotFoundError unless it exists or `create`."""
        ...

    def read_file(self, path: str) -> bytes: ...

    def list_directory(self, path: str) -> list[str]:
        """The names in it, sorted; neither `.` nor `..`."""
        ...

    def exists(self, path: str) -> bool: ...

    def is_directory(self, path: str) -> bool: ...

    def status(self, path: str) -> FileStatus: ...

    def make_directory(self, path: str, *, durable: bool = True) -> None:
        """Create it and its parents where missing; each new entry is durable on return.

        With `durable` False the caller syncs the last parent, once for several directories.
        """
        ...

    def rename(self, old: str, new: str) -> None:
        """Atomic; replaces `new`. Durable only after `sync_directory` of the parents."""
        ...

    def remove(self, path: str) -> None: ...

    def remove_tree(self, path: str) -> None:
        """Remove a directory and all below it; nothing happens if it does not exist."""
        ...

    def sync_directory(self, path: str) -> None: ...

    def space(self, path: str) -> DiskSpace:
        """Of the file system that `path` is in."""
        ...

    def lock(self, path: str) -> Lock:
        """Take an exclusive lock on the file `path` (created); BlockingIOError if it is taken."""
        ...


def write_atomically(file_system: FileSystem, path: str, data: bytes) -> None:
    """Replace `path` by `data`, durable on return: a crash leaves the old or the new content."""
    write_all_atomically(file_system, {path: data})


def write_all_atomically(file_system: FileSystem, contents: Mapping[str, bytes]) -> None:
    """Replace each path by its data, durable on return: a crash leaves the old or the new of each.

    tmp + fsync + rename + fsync(directory), in this order (KAFKA-16541). Each step is taken for all
    files before the next: a journal that one fsync commits has the others' changes too.
    """
    files: list[File] = []
    try:
        for path, data in contents.items():
            temporary = path + TEMPORARY_SUFFIX
            if file_system.exists(temporary):
                file_system.remove(temporary)
            file = file_system.open(temporary, create=True)
            files.append(file)
            file.append(data)
        for file in files:
            file.flush()
    finally:
        for file in files:
            file.close()
    for path in contents:
        file_system.rename(path + TEMPORARY_SUFFIX, path)
    for directory in dict.fromkeys(parent_directory(path) for path in contents):
        file_system.sync_directory(directory)


def parent_directory(path: str) -> str:
    return os.path.dirname(path) or "."


class OsFile:
    """A `File` on a descriptor. Mutable; references start at one, the owner's."""

    __slots__ = ("_descriptor", "_flush_error", "_references", "path", "size")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._references = 1
        self._flush_error: OSError | None = None

    def append(self, data: Buffer) -> int:
        position = self.size
        length = len(data)
        try:
            written = os.pwrite(self._descriptor, data, position)
            if written != length:
                self._append_rest(memoryview(data), position, written)
        except OSError as error:
            self._take_back(position, error)
            raise
        self.size = position + length
        return position

    def _append_rest(self, data: memoryview, position: int, written: int) -> None:
        # A disk that is nearly full takes a part first and says ENOSPC at the next call.
        while written < len(data):
            count = os.pwrite(self._descriptor, data[written:], position + written)
            if count == 0:
                raise OSError(errno.EIO, "the file takes no more bytes", self.path)
            written += count

    def _take_back(self, position: int, cause: OSError) -> None:
        try:
            os.ftruncate(self._descriptor, position)
        except OSError as error:
            raise TornAppendError(error.errno, f"{error.strerror}, after {cause}", self.path) from (
                cause
            )

    def read_at(self, position: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, position)
        if len(data) == size or position + len(data) >= self.size:
            return data
        parts = [data]
        missing = size - len(data)
        while missing and data:  # a signal or the 2 GiB limit of one call
            data = os.pread(self._descriptor, missing, position + size - missing)
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def read_at_nowait(self, position: int, size: int) -> bytes | None:
        if _RWF_NOWAIT is None:
            return self.read_at(position, size)
        size = min(size, self.size - position)
        if size <= 0:
            return b""
        buffer = bytearray(size)
        try:
            count = os.preadv(self._descriptor, [buffer], position, _RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):  # some file systems lack it
                return self.read_at(position, size)
            raise
        # A part of the bytes was cached: the rest would wait for the disk.
        return bytes(buffer) if count == size else None

    def flush(self) -> None:
        if self._flush_error is not None:
            raise self._flush_error
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._flush_error = error
            raise

    def settle(self) -> None:
        self.flush()
        if _CAN_ADVISE:
            # Clean pages go; it is advice, but nobody has mapped or locked these.
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        self.size = size

    def fileno(self) -> int | None:
        return self._descriptor

    def retain(self) -> None:
        assert self._references > 0
        self._references += 1

    def release(self) -> None:
        assert self._references > 0
        self._references -= 1
        if self._references == 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def close(self) -> None:
        self.release()


class OsLock:
    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """For a child process to inherit: the lock is taken until whoever holds it last ends."""
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # gives up the lock, unless a child has it too
            self._descriptor = -1


class OsFileSystem:
    """The operating system's files. Stateless."""

    def open(self, path: str, *, create: bool = False) -> OsFile:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return OsFile(path, os.open(path, flags, 0o644))

    def read_file(self, path: str) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while part := os.read(descriptor, 1 << 20):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)

    def list_directory(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def status(self, path: str) -> FileStatus:
        status = os.stat(path)
        return FileStatus(status.st_size, status.st_mtime_ns // 1_000_000)

    def make_directory(self, path: str, *, durable: bool = True) -> None:
        wanted = path
        missing = []
        while path and not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for directory in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o755)
            if durable or directory != wanted:
                self.sync_directory(parent_directory(directory))

    def rename(self, old: str, new: str) -> None:
        os.replace(old, new)

    def remove(self, path: str) -> None:
        os.unlink(path)

    def remove_tree(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)

    def sync_directory(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def space(self, path: str) -> DiskSpace:
        status = os.statvfs(path)
        block = status.f_frsize
        return DiskSpace(status.f_blocks * block, status.f_bavail * block)

    def lock(self, path: str) -> OsLock:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return OsLock(descriptor)
