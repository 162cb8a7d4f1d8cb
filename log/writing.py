"""Put batches that were accepted into the active segment, rolling it when due.

What an append must leave behind when it fails is decided here: the log as it was, or a log that
takes nothing more. Counterpart of `reading`; what may be appended is judged before.
"""

from __future__ import annotations

import errno
import zlib
from typing import NamedTuple

from log.file_system import FileSystem, TornAppendError
from log.flushing import Flushing
from log.log_config import LogConfig
from log.producer_snapshot import (
    encode_snapshot,
    remove_snapshots,
    snapshot_name,
    write_snapshot,
)
from log.producer_state import BatchMetadata, ProducerState, ProducerUpdate
from log.reading import BoundaryCache
from log.recovery import aborted
from log.segment import Segment
from log.segments import Segments
from wire.errors import ErrorCode, KafkaError, WireError
from wire.records.batch import BatchHeader
from wire.records.control import EndTransactionMarker, read_end_transaction_marker


class AppendResult(NamedTuple):
    """`log_append_time_ms` is -1 where the producer's own timestamps stand.

    A duplicate was not appended: the offsets are those of the first time (KIP-98).
    """

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    log_start_offset: int
    duplicate: bool


class Writer:
    """The writing end of one log. Mutable.

    `tail_is_torn`: an append failed and so did taking back its bytes. `is_changed`: something was
    written since the log was opened.
    """

    __slots__ = (
        "_boundaries",
        "_directory",
        "_file_system",
        "_flushing",
        "_name",
        "_producer_state",
        "_segments",
        "is_changed",
        "tail_is_torn",
    )

    def __init__(
        self,
        name: str,
        file_system: FileSystem,
        directory: str,
        *,
        segments: Segments,
        flushing: Flushing,
        producer_state: ProducerState,
        boundaries: BoundaryCache,
    ) -> None:
        self._name = name
        self._file_system = file_system
        self._directory = directory
        self._segments = segments
        self._flushing = flushing
        self._producer_state = producer_state
        self._boundaries = boundaries
        self.tail_is_torn = False
        self.is_changed = False

    def check(self) -> None:
        """Raise OSError if the log takes nothing; take back a torn tail first, if there is one."""
        failed = self._flushing.failed
        if failed is not None:
            raise OSError(
                errno.EIO, f"{self._name} is offline until it is opened again: {failed}"
            ) from failed
        if self.tail_is_torn:
            # Nothing more goes behind the torn bytes until they are gone (KAFKA-10778).
            log = self._segments.active.log()
            log.truncate(log.size)
            self.tail_is_torn = False

    def append(
        self,
        data: memoryview,
        *,
        base_offset: int,
        last_offset: int,
        max_timestamp: int,
        now_ms: int,
        config: LogConfig,
        update: ProducerUpdate | None,
        headers: list[BatchHeader] | None = None,
    ) -> None:
        """Write one batch, or several with their `headers`, and take over what `update` says.

        An OSError leaves everything as it was, but that the segment may have been rolled.
        """
        segment = self._segments.active
        if segment.must_roll_for(
            len(data),
            last_offset=last_offset,
            max_timestamp=max_timestamp,
            now_ms=now_ms,
            config=config,
            jitter_ms=self._jitter_ms(segment, config) if config.segment_jitter_ms else 0,
        ):
            try:
                segment = self.roll_at(base_offset, now_ms=now_ms)
            except OSError:
                self._refused(update)
                raise
        ended = update.completed if update is not None else None
        if ended is not None and ended.is_aborted:
            # Before the marker: a marker without its entry would show aborted records.
            self._segments.directory_changes += not segment.transaction_index.exists
            segment.transaction_index.append(aborted(ended))
        try:
            if headers is None:
                segment.append(
                    data,
                    last_offset=last_offset,
                    max_timestamp=max_timestamp,
                    index_interval_bytes=config.index_interval_bytes,
                )
            else:
                segment.append_several(
                    data, headers, index_interval_bytes=config.index_interval_bytes
                )
        except OSError as error:
            self.tail_is_torn = isinstance(error, TornAppendError)
            self.is_changed = True
            self._refused(update)
            self._take_back_abortion(segment, base_offset)
            raise
        self.is_changed = True
        self._producer_state.end_offset = last_offset + 1
        if update is not None:
            self._producer_state.apply(update)

    def _refused(self, update: ProducerUpdate | None) -> None:
        if update is not None:
            self._producer_state.refused(update)

    def _take_back_abortion(self, segment: Segment, base_offset: int) -> None:
        try:
            segment.transaction_index.truncate(base_offset)
        except OSError as error:
            self._flushing.failed = error
            raise

    def _jitter_ms(self, segment: Segment, config: LogConfig) -> int:
        limit = min(config.segment_jitter_ms, config.segment_ms)
        # Spread over the partitions without a random generator: equal names, equal jitter.
        return zlib.crc32(f"{self._name}/{segment.base_offset}".encode()) % limit if limit else 0

    def roll_at(self, base_offset: int, *, now_ms: int) -> Segment:
        """A new active segment. An OSError leaves the old one; its indexes stay right."""
        old = self._segments.active
        old.seal()
        segment = self._segments.create(base_offset, now_ms=now_ms)
        self._segments.unflushed.append(old)
        self._boundaries.clear()
        state = self._producer_state
        path = f"{self._directory}/{snapshot_name(state.end_offset)}"
        self._flushing.snapshots.append((path, encode_snapshot(state.entries)))
        return segment

    def make_names_durable(self) -> None:
        """Before older segments go: the name of the newest says where offsets go on, the snapshots
        what producers have sent. Raises OSError."""
        self._flushing.write_snapshots()
        self._file_system.sync_directory(self._directory)

    def finish(self, log_start_offset: int) -> None:
        """Make durable what a clean opening trusts: the indexes and a snapshot at the log end.

        The records are durable already. Raises OSError.
        """
        self._segments.active.seal()
        for segment in (*self._segments.unflushed, self._segments.active):
            for file in segment.files():
                file.flush()
        state = self._producer_state
        if state.end_offset > log_start_offset or state.entries:
            write_snapshot(self._file_system, self._directory, state)
            bases = [segment.base_offset for segment in self._segments]
            remove_snapshots(
                self._file_system, self._directory, before=state.end_offset, except_for=bases
            )


def result_of_duplicate(batch: BatchMetadata, log_start_offset: int) -> AppendResult:
    """The answer for a batch that was appended before; its time as in Kafka, whoever gave it."""
    time_ms = batch.timestamp_ms
    return AppendResult(batch.first_offset, batch.last_offset, time_ms, log_start_offset, True)


def marker_in(data: memoryview, header: BatchHeader) -> EndTransactionMarker | None:
    """What the control batch at the start of `data` says; INVALID_RECORD if it is malformed."""
    try:
        return read_end_transaction_marker(data, 0, header)
    except WireError as error:
        raise KafkaError(ErrorCode.INVALID_RECORD, str(error)) from None
