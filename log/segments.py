"""The segments of one log in order, and the files of theirs that wait for removal."""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Iterator

from log.file_system import FileSystem
from log.segment import Segment

# Sealed segments of one log that keep their descriptors and indexes for readers.
MAX_WARM_SEGMENTS = 2


class Segments:
    """Mutable; never empty once its log is open. The last one is the active one."""

    __slots__ = (
        "_bases",
        "_deleted",
        "_directory",
        "_file_system",
        "_segments",
        "_warm",
        "active",
        "directory_changes",
        "unflushed",
    )

    def __init__(self, file_system: FileSystem, directory: str) -> None:
        self._file_system = file_system
        self._directory = directory
        self._segments: list[Segment] = []
        self._bases: list[int] = []
        self._warm: list[Segment] = []
        self._deleted: list[tuple[int | None, str]] = []
        self.unflushed: list[Segment] = []
        """Sealed since the recovery point, in order."""
        self.directory_changes = 0
        """Counts created and renamed files: the directory is durable up to some count."""

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._segments)

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def first(self) -> Segment:
        return self._segments[0]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def add(self, segment: Segment) -> None:
        assert not self._bases or self._bases[-1] < segment.base_offset
        self._segments.append(segment)
        self._bases.append(segment.base_offset)
        self.active = segment

    def was_flushed_below(self, offset: int) -> None:
        """Only at opening: the sealed segments that end past `offset` wait for a flush."""
        self.unflushed = [each for each in self.from_offset(offset) if each is not self.active]

    def create(self, base_offset: int, *, now_ms: int) -> Segment:
        """A new active segment. An OSError leaves the old one active."""
        segment = Segment(self._file_system, self._directory, base_offset, created_ms=now_ms)
        segment.log()
        self.directory_changes += 1
        self.add(segment)
        return segment

    def floor(self, offset: int) -> Segment:
        """The segment that contains `offset`, or the first."""
        return self._segments[max(0, bisect_right(self._bases, offset) - 1)]

    def after(self, segment: Segment) -> Segment | None:
        slot = bisect_right(self._bases, segment.base_offset)
        return self._segments[slot] if slot < len(self._segments) else None

    def from_offset(self, offset: int) -> list[Segment]:
        """The segments from the one that contains `offset` on."""
        return self._segments[max(0, bisect_right(self._bases, offset) - 1) :]

    def touch(self, segment: Segment) -> None:
        """Note that a reader uses it; the sealed one used longest ago gives back its memory."""
        if segment is self.active or (self._warm and self._warm[-1] is segment):
            return
        if segment in self._warm:
            self._warm.remove(segment)
        self._warm.append(segment)
        if len(self._warm) > MAX_WARM_SEGMENTS:
            coldest = self._warm.pop(0)
            if coldest is not self.active and coldest not in self.unflushed:
                coldest.forget()

    def note_flushed(self, segments: tuple[Segment, ...]) -> None:
        """These sealed segments are durable with their indexes: nobody needs them open."""
        self.unflushed = [each for each in self.unflushed if each not in segments]
        for segment in segments:
            if segment not in self._warm and segment is not self.active:
                segment.forget()

    def delete(self, segments: list[Segment]) -> None:
        """Take these out in this order and rename their files, durably; `remove_deleted` does the
        rest.

        The order is from one end of the log inwards, and each is gone for good before the next
        goes: names reach the disk in any order, and a power cut must not leave a hole.
        """
        self._deleted += [(None, path) for path in self._take_out(segments, Segment.delete)]

    def _take_out(
        self, segments: list[Segment], rename: Callable[[Segment], list[str]]
    ) -> list[str]:
        paths = []
        for segment in segments:
            slot = self._bases.index(segment.base_offset)
            paths += rename(segment)
            self._file_system.sync_directory(self._directory)
            self.directory_changes += 1
            del self._segments[slot], self._bases[slot]
            self.unflushed = [other for other in self.unflushed if other is not segment]
            self._warm = [other for other in self._warm if other is not segment]
        if self._segments:
            self.active = self._segments[-1]
            self.unflushed = [other for other in self.unflushed if other is not self.active]
        return paths

    def start_over(self, base_offset: int) -> None:
        """Take out everything, durably, and begin with an empty segment."""
        self.delete(self._segments[::-1])
        self.create(base_offset, now_ms=0)

    def start_beside(self, base_offset: int) -> None:
        """As `start_over`, but the files are kept."""
        self.set_aside(self._segments[::-1])
        self.create(base_offset, now_ms=0)

    def set_aside(self, segments: list[Segment]) -> None:
        """As `delete`, but the files are kept beside, where nothing loads or removes them."""
        self._take_out(segments, Segment.set_aside)

    def remove_deleted(self, *, now_ms: int, delay_ms: int) -> None:
        """Remove renamed files once this many milliseconds have passed since the first call."""
        keep: list[tuple[int | None, str]] = []
        for due_ms, path in self._deleted:
            if due_ms is None:
                due_ms = now_ms + delay_ms
            if due_ms > now_ms:
                keep.append((due_ms, path))
                continue
            with contextlib.suppress(FileNotFoundError):
                self._file_system.remove(path)
        self._deleted = keep

    def close(self) -> None:
        """Let go of all files; what indexes hold back is lost unless the segment is sealed."""
        for segment in self._segments:
            segment.drop()

    def discard(self, new: str) -> str:
        """Let go of all files and rename their directory; its new name. Raises OSError."""
        self.close()
        self._file_system.rename(self._directory, new)
        self._directory = new
        for segment in self._segments:
            segment.moved(new)
        return new
