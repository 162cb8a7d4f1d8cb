"""The sparse `.timeindex` of a segment: running maximum of the timestamps -> offset of its batch.

On disk: Kafka's entries of 8 bytes timestamp and 4 bytes relative offset (the last offset of the
batch that holds the maximum), big-endian, timestamps strictly increasing. The last entry of a
segment that is not active any more is its largest timestamp.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct

from log.file_system import FileSystem
from log.index_file import IndexFile

ENTRY = Struct(">qI")
ENTRY_SIZE = ENTRY.size
NO_TIMESTAMP = -1


class TimeIndex:
    """Mutable; owned by its segment. Lookups are rare (ListOffsets), so they read the file."""

    __slots__ = ("_last", "base_offset", "file")

    def __init__(
        self, file_system: FileSystem, path: str, *, base_offset: int, exists: bool = False
    ) -> None:
        self.base_offset = base_offset
        self.file = IndexFile(file_system, path, entry_size=ENTRY_SIZE, exists=exists)
        self._last: tuple[int, int] | None = None if exists else (NO_TIMESTAMP, base_offset)

    @property
    def entry_count(self) -> int:
        return self.file.entry_count

    def append(self, timestamp: int, offset: int) -> None:
        """Add the running maximum, unless it has not grown since the last entry."""
        last_timestamp, last_offset = self.last_entry()
        if timestamp > last_timestamp and offset >= last_offset:
            self.file.append(ENTRY.pack(timestamp, offset - self.base_offset))
            self._last = (timestamp, offset)

    def last_entry(self) -> tuple[int, int]:
        """`(timestamp, offset)`; `(-1, base offset)` if there is none."""
        if self._last is None:
            entries = self.entries(self.file.entry_count - 1)
            self._last = entries[-1] if entries else (NO_TIMESTAMP, self.base_offset)
        return self._last

    def lookup(self, timestamp: int) -> int:
        """An offset before which every timestamp is smaller than this one."""
        entry = self.entry_below(timestamp)
        return entry[1] if entry else self.base_offset

    def entry_below(self, timestamp: int) -> tuple[int, int] | None:
        """The last entry with a smaller timestamp."""
        low, high = 0, self.file.entry_count  # the first entry at or past `timestamp`
        while low < high:
            middle = (low + high) // 2
            entry = self.entries(middle, 1)
            if entry and entry[0][0] < timestamp:
                low = middle + 1
            else:
                high = middle
        return self.entries(low - 1, 1)[0] if low else None

    def entries(self, start: int = 0, count: int | None = None) -> list[tuple[int, int]]:
        start = max(0, start)
        data = self.file.read(start, self.file.entry_count - start if count is None else count)
        whole = len(data) // ENTRY_SIZE * ENTRY_SIZE
        return [
            (timestamp, self.base_offset + relative)
            for timestamp, relative in ENTRY.iter_unpack(data[:whole])
        ]

    def is_sane(self) -> bool:
        entries = self.entries()
        return (
            self.file.is_whole
            and len(entries) == self.file.entry_count
            and all(
                before[0] < after[0] and before[1] <= after[1]
                for before, after in pairwise(entries)
            )
        )

    def truncate(self, end_offset: int) -> None:
        """Drop the entries of offsets at or past `end_offset`."""
        entries = self.entries()
        keep = len(entries)
        while keep and entries[keep - 1][1] >= end_offset:
            keep -= 1
        self.file.truncate(keep)
        self._last = entries[keep - 1] if keep else (NO_TIMESTAMP, self.base_offset)

    def clear(self) -> None:
        self.file.truncate(0)
        self._last = (NO_TIMESTAMP, self.base_offset)

    def forget(self) -> None:
        self.file.close()
