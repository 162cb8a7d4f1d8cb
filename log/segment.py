"""One segment: a `.log` file and its indexes, from a base offset on.

The names and formats are Kafka's. A segment that is not active any more opens its files when
somebody reads it and gives them back on `forget`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection

from log.file_system import Buffer, File, FileSystem
from log.index_check import is_largest, is_whole, place_of_entry
from log.log_config import LogConfig
from log.offset_index import ENTRY_SIZE as OFFSET_ENTRY_SIZE
from log.offset_index import OffsetIndex
from log.scan import Place, first_place_ending_at, iterate_places
from log.time_index import ENTRY_SIZE as TIME_ENTRY_SIZE
from log.time_index import NO_TIMESTAMP, TimeIndex
from log.transaction_index import TransactionIndex
from wire.records.batch import BatchHeader

logger = logging.getLogger(__name__)

LOG_SUFFIX = ".log"
INDEX_SUFFIX = ".index"
TIME_INDEX_SUFFIX = ".timeindex"
TRANSACTION_INDEX_SUFFIX = ".txnindex"
DELETED_SUFFIX = ".deleted"
ASIDE_SUFFIX = ".aside"
SUFFIXES = (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)
# An index entry holds 4 bytes, of which Kafka uses 31 bits, for an offset.
MAX_RELATIVE_OFFSET = (1 << 31) - 1
REBUILT_INTERVAL_BYTES = 4096


def segment_path(directory: str, base_offset: int, suffix: str) -> str:
    return f"{directory}/{base_offset:020d}{suffix}"


class Segment:
    """Mutable; owned by its `PartitionLog`.

    `max_timestamp`, `offset_of_max_timestamp` and what is said of the first batch are known for
    the active segment; others are asked `largest_timestamp()`.
    """

    __slots__ = (
        "_bytes_since_index",
        "_directory",
        "_file_system",
        "_first_timestamp",
        "_indexes_are_checked",
        "_log",
        "base_offset",
        "created_ms",
        "max_timestamp",
        "offset_index",
        "offset_of_max_timestamp",
        "size",
        "time_index",
        "transaction_index",
    )

    def __init__(
        self,
        file_system: FileSystem,
        directory: str,
        base_offset: int,
        *,
        created_ms: int,
        size: int = 0,
        found: Collection[str] = (),
        log: File | None = None,
    ) -> None:
        """`found`: the suffixes of the files that exist already; `size`: that of the log file."""
        self.base_offset = base_offset
        self.created_ms = created_ms
        self.size = size
        self._file_system = file_system
        self._directory = directory
        self._log = log
        self.offset_index = OffsetIndex(
            file_system,
            self.path(INDEX_SUFFIX),
            base_offset=base_offset,
            exists=INDEX_SUFFIX in found,
        )
        self.time_index = TimeIndex(
            file_system,
            self.path(TIME_INDEX_SUFFIX),
            base_offset=base_offset,
            exists=TIME_INDEX_SUFFIX in found,
        )
        self.transaction_index = TransactionIndex(
            file_system,
            self.path(TRANSACTION_INDEX_SUFFIX),
            exists=TRANSACTION_INDEX_SUFFIX in found,
        )
        self.max_timestamp = NO_TIMESTAMP
        self.offset_of_max_timestamp = base_offset
        self._first_timestamp: int | None = None
        self._bytes_since_index = 0
        # Indexes that were found on the disk are checked at their first use.
        self._indexes_are_checked = self.size == 0

    @property
    def name(self) -> str:
        return f"{self.base_offset:020d}{LOG_SUFFIX}"

    def path(self, suffix: str) -> str:
        return segment_path(self._directory, self.base_offset, suffix)

    def log(self) -> File:
        """The open `.log` file; created where missing."""
        if self._log is None:
            self._log = self._file_system.open(self.path(LOG_SUFFIX), create=True)
        return self._log

    # --- appending ---

    def append(
        self, data: Buffer, *, last_offset: int, max_timestamp: int, index_interval_bytes: int
    ) -> None:
        """Append one batch. An OSError leaves the segment as it was (see `File.append`)."""
        indexed = self._bytes_since_index > index_interval_bytes
        if indexed:
            self.offset_index.file.write_when_due()
            self.time_index.file.write_when_due()
        log = self._log
        assert log is not None
        position = log.append(data)
        self.size = log.size
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.offset_of_max_timestamp = last_offset
        if indexed:
            self.offset_index.append(last_offset, position)
            self.time_index.append(self.max_timestamp, self.offset_of_max_timestamp)
            self._bytes_since_index = 0
        self._bytes_since_index += len(data)
        if position == 0:
            self._first_timestamp = max_timestamp

    def append_several(
        self, data: Buffer, headers: list[BatchHeader], *, index_interval_bytes: int
    ) -> None:
        """Append adjoining batches with one write."""
        self.offset_index.file.write_when_due()
        self.time_index.file.write_when_due()
        position = self.log().append(data)
        self.size = self.log().size
        for header in headers:
            self.note(
                position,
                header.size_bytes,
                last_offset=header.last_offset,
                max_timestamp=header.max_timestamp,
                index_interval_bytes=index_interval_bytes,
            )
            position += header.size_bytes

    def note(
        self,
        position: int,
        size: int,
        *,
        last_offset: int,
        max_timestamp: int,
        index_interval_bytes: int,
    ) -> None:
        """Enter a batch that is in the file already into what is kept in memory."""
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.offset_of_max_timestamp = last_offset
        if self._bytes_since_index > index_interval_bytes:
            self.offset_index.append(last_offset, position)
            self.time_index.append(self.max_timestamp, self.offset_of_max_timestamp)
            self._bytes_since_index = 0
        self._bytes_since_index += size
        if position == 0:
            self._first_timestamp = max_timestamp

    def must_roll_for(
        self,
        size: int,
        *,
        last_offset: int,
        max_timestamp: int,
        now_ms: int,
        config: LogConfig,
        jitter_ms: int,
    ) -> bool:
        """Kafka's LogSegment.shouldRoll, for a batch or more of `size` bytes.

        But a batch without timestamps counts as of now: in Kafka it never makes a segment old.
        """
        if last_offset - self.base_offset > MAX_RELATIVE_OFFSET:
            return True
        if self.size == 0:
            return False
        if self.size + size > config.segment_bytes:
            return True
        # The indexes only grow when an entry is due.
        if self._bytes_since_index > config.index_interval_bytes and self._indexes_are_full(config):
            return True
        first = self._first_timestamp
        if first is None:
            # The first append since the log was opened.
            self.resume()
            first = self.first_timestamp()
        if first < 0:
            waited_ms = now_ms - self.created_ms
        else:
            # By record time, so that a replay of old data makes the same segments (KIP-33).
            waited_ms = (max_timestamp if max_timestamp >= 0 else now_ms) - first
        return waited_ms > config.segment_ms - jitter_ms

    def _indexes_are_full(self, config: LogConfig) -> bool:
        limit = config.segment_index_bytes
        # The last entry of the time index is for the seal.
        return (
            self.time_index.file.entry_count >= limit // TIME_ENTRY_SIZE - 1
            or self.offset_index.file.entry_count >= limit // OFFSET_ENTRY_SIZE
        )

    def first_timestamp(self) -> int:
        """The largest timestamp of the first batch, -1 without one."""
        if self._first_timestamp is None:
            return self._read_first_timestamp()
        return self._first_timestamp

    def _read_first_timestamp(self) -> int:
        for place in iterate_places(self.log(), 0, self.size):
            self._first_timestamp = place.max_timestamp
            return place.max_timestamp
        return NO_TIMESTAMP

    # --- looking up ---

    def place_of(self, offset: int, *, cached_only: bool = False) -> Place | None:
        """The first batch that ends at or behind `offset`; None if every one ends before it.

        With `cached_only` it raises ColdRead rather than wait for the disk.
        """
        self._check_indexes()
        start = self.offset_index.lookup(offset)
        return first_place_ending_at(self.log(), start, self.size, offset, cached_only=cached_only)

    def place_of_timestamp(self, timestamp: int, *, least_offset: int) -> Place | None:
        """The first batch at or behind `least_offset` with a record at or past `timestamp`."""
        self._check_indexes()
        entry = self.time_index.entry_below(timestamp)
        if entry and place_of_entry(self.log(), self.offset_index, self.size, *entry) is None:
            self._rebuild_indexes()
        start = max(self.time_index.lookup(timestamp), least_offset)
        for place in iterate_places(self.log(), self.offset_index.lookup(start), self.size):
            if place.max_timestamp >= timestamp and place.last_offset >= least_offset:
                return place
        return None

    def largest_timestamp(self) -> tuple[int, int]:
        """`(timestamp, offset)`; the offset is the last one of the batch. `(-1, ...)` if none."""
        if self.max_timestamp < 0 and self.size:
            was_closed = self._log is None
            # Retention asks every old segment: the last entry of one index has to do.
            timestamp, offset = self.time_index.last_entry()
            if timestamp <= 0 or offset < self.base_offset:
                # Zeros, as Kafka preallocates them, or none: perhaps not the index of this file.
                self._check_indexes()
                timestamp, offset = self.time_index.last_entry()
            self.max_timestamp, self.offset_of_max_timestamp = timestamp, offset
            if was_closed:
                self.forget()  # none stays open for that
        return self.max_timestamp, self.offset_of_max_timestamp

    def confirm_largest_timestamp(self) -> None:
        """Ask the batches before something is decided by it; the indexes are rebuilt if wrong."""
        was_closed = self._log is None
        believed = self.largest_timestamp()
        self._check_indexes()
        if self.size and not is_largest(self.log(), self.offset_index, self.size, *believed):
            self._rebuild_indexes()
        if was_closed:
            self.forget()

    def modified_ms(self) -> int:
        return self._file_system.status(self.path(LOG_SUFFIX)).modified_ms

    def last_place(self) -> Place | None:
        """The last batch, found from the last index entry on. None in an empty segment."""
        offset, position = self.offset_index.last_entry()
        last = None
        for place in iterate_places(self.log(), position, self.size):
            if last is None and position and place.last_offset != offset:
                return None  # the index is not this file's
            last = place
        return last

    # --- opening, rebuilding, cutting ---

    def resume(self) -> None:
        """Learn what an active segment knows of itself; it was closed cleanly or cut."""
        last = self.last_place()
        if last is None:
            return
        self.max_timestamp, self.offset_of_max_timestamp = self.time_index.last_entry()
        if last.max_timestamp > self.max_timestamp:
            self.max_timestamp, self.offset_of_max_timestamp = last.max_timestamp, last.last_offset
        self.confirm_largest_timestamp()
        self._bytes_since_index = self.size - self.offset_index.last_entry()[1]
        self._read_first_timestamp()

    def _check_indexes(self) -> None:
        """Rebuild the indexes if they cannot be those of the log file: they are caches."""
        if self._indexes_are_checked:
            return
        self._indexes_are_checked = True
        if not self._indexes_are_sane():
            self._make_indexes()

    def _rebuild_indexes(self) -> None:
        """They contradict a batch. Of a damaged log file they may know more than it tells."""
        if is_whole(self.log(), self.size, base_offset=self.base_offset):
            self._make_indexes()

    def _make_indexes(self) -> None:
        logger.warning("the indexes of %s are rebuilt", self.path(LOG_SUFFIX))
        self.clear_indexes()
        for place in iterate_places(self.log(), 0, self.size):
            if not 0 <= place.last_offset - self.base_offset <= MAX_RELATIVE_OFFSET:
                break  # damaged: no index can say so, and lookups go on without one from here
            self.note(
                place.position,
                place.size,
                last_offset=place.last_offset,
                max_timestamp=place.max_timestamp,
                index_interval_bytes=REBUILT_INTERVAL_BYTES,
            )
        self.seal()

    def _indexes_are_sane(self) -> bool:
        if not (self.offset_index.is_sane(self.size) and self.time_index.is_sane()):
            return False
        offset, position = self.offset_index.last_entry()
        first = next(iterate_places(self.log(), position, self.size), None)
        if first is None or (self.offset_index.entry_count and first.last_offset != offset):
            return False
        # A sealed segment has its maximum there, which no batch exceeds.
        return self.time_index.last_entry()[0] >= first.max_timestamp

    def clear_indexes(self) -> None:
        self._indexes_are_checked = True
        self.offset_index.clear()
        self.time_index.clear()
        self.max_timestamp, self.offset_of_max_timestamp = NO_TIMESTAMP, self.base_offset
        self._first_timestamp = None
        self._bytes_since_index = 0

    def truncate(self, position: int, *, end_offset: int) -> None:
        """Cut the log file at `position`, where the batch of `end_offset` starts; durable.

        The file is flushed before anything else is appended: else a crash could leave old batches
        behind new ones.
        """
        self._check_indexes()
        log = self.log()
        log.truncate(position)
        log.flush()
        self.size = position
        self.offset_index.truncate(position)
        self.time_index.truncate(end_offset)
        self.transaction_index.truncate(end_offset)
        self.max_timestamp, self.offset_of_max_timestamp = self.time_index.last_entry()
        if position == 0:
            self._first_timestamp = None
        _, indexed_position = self.offset_index.last_entry()
        self._bytes_since_index = 0
        for place in iterate_places(log, indexed_position, position):
            self._bytes_since_index += place.size
            if place.max_timestamp > self.max_timestamp:
                self.max_timestamp = place.max_timestamp
                self.offset_of_max_timestamp = place.last_offset

    # --- the end of a segment ---

    def seal(self) -> None:
        """Write what the indexes hold back: at a roll, and before the log closes."""
        if self.max_timestamp >= 0:
            self.time_index.append(self.max_timestamp, self.offset_of_max_timestamp)
        self.offset_index.file.write()
        self.time_index.file.write()

    def files(self) -> list[File]:
        """What has to be flushed for a sealed segment."""
        files = [self.log(), self.offset_index.file.file(), self.time_index.file.file()]
        if self.transaction_index.exists:
            files.append(self.transaction_index.file())
        return files

    def forget(self) -> None:
        """Give back descriptors and memory of a sealed segment."""
        if self._log is not None:
            self._log.close()
            self._log = None
        self.offset_index.forget()
        self.time_index.forget()
        self.transaction_index.forget()

    def drop(self) -> None:
        """Let go of the files without writing anything more."""
        self.offset_index.file.drop()
        self.time_index.file.drop()
        self.forget()

    def moved(self, directory: str) -> None:
        """The directory has another name; the files are closed. Nothing is looked for under the
        old name, which may be another partition's by now.
        """
        self._directory = directory
        self.offset_index.file.path = self.path(INDEX_SUFFIX)
        self.time_index.file.path = self.path(TIME_INDEX_SUFFIX)
        self.transaction_index.path = self.path(TRANSACTION_INDEX_SUFFIX)

    def set_aside(self) -> list[str]:
        """Let go of the files and rename them to `.aside`: kept for a person, loaded by nobody."""
        return self._rename(ASIDE_SUFFIX)

    def delete(self) -> list[str]:
        """Rename the files to `.deleted` and let go of them; the paths to remove later.

        Slices that were handed out stay readable: they hold the file.
        """
        return self._rename(DELETED_SUFFIX)

    def _rename(self, added: str) -> list[str]:
        self.drop()
        paths = []
        for suffix in SUFFIXES:
            path = self.path(suffix)
            with contextlib.suppress(FileNotFoundError):
                self._file_system.rename(path, path + added)
                paths.append(path + added)
        return paths
