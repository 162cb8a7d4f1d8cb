"""One open file on a simulated disk. Counterpart: `disk`, which says what happens to it."""

from __future__ import annotations

import errno
import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from log.file_system import Buffer, TornAppendError
from simulator.disk_nodes import FileNode, Truncate, Write

if TYPE_CHECKING:
    from simulator.disk import SimulatedDisk


class SimulatedFile:
    """A `File` on a `SimulatedDisk`. Mutable; references start at one, the owner's."""

    __slots__ = ("_disk", "_flush_error", "_node", "path", "reference_count", "size")

    def __init__(self, disk: SimulatedDisk, path: str, node: FileNode) -> None:
        self.path = path
        self.size = len(node.content)
        self.reference_count = 1
        self._disk = disk
        self._node = node
        self._flush_error: OSError | None = None
        disk.open_files[path] += 1

    def append(self, data: Buffer) -> int:
        self._check_open()
        position, written = self.size, bytes(data)
        try:
            self._disk.check("append", self.path)
        except TornAppendError:
            half = Write(position, written[: len(written) // 2])
            self._node.change(half, now_ms=self._disk.now_ms)
            raise
        self._disk.check_capacity(self.path, len(written))
        self._disk.begin_change("append", self.path, len(written))
        self._node.change(Write(position, written), now_ms=self._disk.now_ms)
        self.size = position + len(written)
        return position

    def read_at(self, position: int, size: int) -> bytes:
        self._check_open()
        self._disk.check("read", self.path)
        return bytes(self._node.content[position : position + size])

    def read_at_nowait(self, position: int, size: int) -> bytes | None:
        if any(fnmatchcase(self.path, pattern) for pattern in self._disk.cold_patterns):
            return None
        return self.read_at(position, size)

    def flush(self) -> None:
        self._check_open()
        if self._flush_error is not None:
            raise self._flush_error
        try:
            self._disk.check("flush", self.path)
        except OSError as error:
            if not self._disk.is_dead:
                self._node.fail_flush()
            self._flush_error = error
            raise
        self._disk.begin_change("flush", self.path)
        self._node.flush()

    def settle(self) -> None:
        self.flush()
        self._node.forget_cache()

    def truncate(self, size: int) -> None:
        self._check_open()
        self._disk.check("truncate", self.path)
        self._disk.begin_change("truncate", self.path, size)
        self._node.change(Truncate(size), now_ms=self._disk.now_ms)
        self.size = size

    def fileno(self) -> int | None:
        return None

    def retain(self) -> None:
        assert self.reference_count > 0
        self.reference_count += 1

    def release(self) -> None:
        assert self.reference_count > 0
        self.reference_count -= 1
        if self.reference_count == 0:
            self._disk.open_files[self.path] -= 1

    def close(self) -> None:
        self.release()

    def _check_open(self) -> None:
        if self.reference_count == 0:
            raise error_of(errno.EBADF, self.path)
        self._disk.check_alive(self.path)


def error_of(number: int, path: str, *, torn: bool = False) -> OSError:
    kind = TornAppendError if torn else OSError
    return kind(number, os.strerror(number), path)
