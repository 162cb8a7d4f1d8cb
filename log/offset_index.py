"""The sparse `.index` of a segment: last offset of a batch -> position of that batch.

On disk: Kafka's entries of 4 bytes offset (relative to the segment's base offset) and 4 bytes
position, big-endian, both strictly increasing. In memory: two arrays, loaded at the first lookup;
appending does not need them.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from itertools import pairwise
from struct import Struct

from log.file_system import FileSystem
from log.index_file import IndexFile

ENTRY = Struct(">II")
ENTRY_SIZE = ENTRY.size


class OffsetIndex:
    """Mutable; owned by its segment."""

    __slots__ = ("_offsets", "_positions", "base_offset", "file")

    def __init__(
        self, file_system: FileSystem, path: str, *, base_offset: int, exists: bool = False
    ) -> None:
        self.base_offset = base_offset
        self.file = IndexFile(file_system, path, entry_size=ENTRY_SIZE, exists=exists)
        new = None if exists else array("I")
        self._offsets: array[int] | None = new
        self._positions: array[int] | None = None if new is None else array("I")

    @property
    def entry_count(self) -> int:
        return self.file.entry_count

    def append(self, last_offset: int, position: int) -> None:
        relative = last_offset - self.base_offset
        self.file.append(ENTRY.pack(relative, position))
        if self._offsets is not None and self._positions is not None:
            self._offsets.append(relative)
            self._positions.append(position)

    def last_entry(self) -> tuple[int, int]:
        """`(offset, position)` of the last entry; of the segment's start if there is none."""
        count = self.file.entry_count
        if not count:
            return self.base_offset, 0
        data = self.file.read(count - 1, 1)
        if len(data) != ENTRY_SIZE:
            return self.base_offset, 0
        relative, position = ENTRY.unpack(data)
        return self.base_offset + relative, position

    def lookup(self, offset: int) -> int:
        """The position of a batch at or before the one that contains `offset`."""
        offsets, positions = self._load()
        slot = bisect_right(offsets, offset - self.base_offset) - 1
        return positions[slot] if slot >= 0 else 0

    def entries(self) -> list[tuple[int, int]]:
        offsets, positions = self._load()
        return [
            (self.base_offset + offset, position)
            for offset, position in zip(offsets, positions, strict=True)
        ]

    def is_sane(self, log_size: int) -> bool:
        """Whether the entries can be those of a log file of this size. Loads them."""
        offsets, positions = self._load()
        return (
            self.file.is_whole
            and len(offsets) == self.file.entry_count
            and _increases(offsets)
            and _increases(positions)
            and (not positions or positions[-1] < log_size)
        )

    def truncate(self, position: int) -> None:
        """Drop the entries of batches at or behind `position`."""
        offsets, positions = self._load()
        keep = bisect_left(positions, position)
        self.file.truncate(keep)
        del offsets[keep:], positions[keep:]

    def clear(self) -> None:
        """Empty it, whatever the file held."""
        self.file.truncate(0)
        self._offsets, self._positions = array("I"), array("I")

    def forget(self) -> None:
        """Give back the memory and the descriptor; the next lookup loads again."""
        self.file.close()
        self._offsets = self._positions = None

    def _load(self) -> tuple[array[int], array[int]]:
        offsets, positions = self._offsets, self._positions
        if offsets is None or positions is None:
            data = self.file.read(0, self.file.entry_count)
            words = array("I", data[: len(data) // ENTRY_SIZE * ENTRY_SIZE])
            if sys.byteorder == "little":
                words.byteswap()
            self._offsets = offsets = words[::2]
            self._positions = positions = words[1::2]
        return offsets, positions


def _increases(values: array[int]) -> bool:
    return all(before < after for before, after in pairwise(values))
