"""A file of fixed-size entries behind the offset index and the time index.

Indexes are caches of the `.log` file: whoever doubts one rebuilds it. So entries are gathered in
memory and written in groups, the file is opened when first needed, and nothing is preallocated
(Kafka preallocates and trims; it reads files without that just as well).
"""

from __future__ import annotations

from log.file_system import File, FileSystem

# Entries wait for this many bytes before they are written: about 300 of them.
WRITE_BYTES = 4096


class IndexFile:
    """Mutable. Where there is a file already, nothing of it is known before the first use."""

    __slots__ = ("_entry_count", "_entry_size", "_file", "_file_system", "_pending", "path")

    def __init__(
        self, file_system: FileSystem, path: str, *, entry_size: int, exists: bool
    ) -> None:
        self.path = path
        self._entry_count: int | None = None if exists else 0
        self._file_system = file_system
        self._entry_size = entry_size
        self._file: File | None = None
        self._pending = bytearray()

    @property
    def entry_count(self) -> int:
        """What is written and what waits."""
        if self._entry_count is None:
            self._entry_count = self.file().size // self._entry_size
        return self._entry_count

    @property
    def is_whole(self) -> bool:
        """Whether the file ends with an entry: behind a piece of one, the next would be askew."""
        waiting = len(self._pending) // self._entry_size
        return self.file().size == (self.entry_count - waiting) * self._entry_size

    def append(self, entry: bytes) -> None:
        self._entry_count = self.entry_count + 1
        self._pending += entry

    def write_when_due(self) -> None:
        """Write what waits if it is much. An OSError leaves all as it was."""
        if len(self._pending) >= WRITE_BYTES:
            self.write()

    def write(self) -> None:
        if self._pending:
            self.file().append(self._pending)
            self._pending = bytearray()

    def read(self, index: int, count: int) -> bytes:
        """The bytes of `count` entries from `index` on, of those there are."""
        written = self.entry_count - len(self._pending) // self._entry_size
        if not written and not self._pending:
            return b""
        start = index * self._entry_size
        size = count * self._entry_size
        data = self.file().read_at(start, size) if index < written else b""
        if index + count > written and self._pending:
            first = max(0, index - written) * self._entry_size
            data += self._pending[first : (index + count - written) * self._entry_size]
        return data

    def truncate(self, entry_count: int) -> None:
        self.write()
        if entry_count < self.entry_count or entry_count == 0:
            self.file().truncate(entry_count * self._entry_size)
            self._entry_count = entry_count

    def file(self) -> File:
        """The open file; created where missing."""
        if self._file is None:
            self._file = self._file_system.open(self.path, create=True)
        return self._file

    def close(self) -> None:
        """Close the descriptor; the next use opens it again. What waits must be written before."""
        assert not self._pending
        if self._file is not None:
            self._file.close()
            self._file = None

    def drop(self) -> None:
        """Close without writing: the file is about to be removed."""
        self._pending = bytearray()
        self.close()
