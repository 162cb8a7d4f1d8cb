"""The log of one partition: append, read, flush, truncate, retire.

Synchronous and clockless: whoever calls passes `now_ms` and runs flushes in its thread. One owner
(the broker's loop) calls it. The parts: `segments` and `reading` (where bytes lie), `flushing`
(what a flush consists of), `recovery` (opening), `retention` (what is old), `validation`,
`producer_state` and `leader_epochs` (what an append means). Deliberately not here: the high
watermark, which is the replicas' (`kbroker.replication.partition`).
"""

from __future__ import annotations

import errno
import zlib
from dataclasses import dataclass

from log.file_system import FileSystem, TornAppendError
from log.flushing import FlushTicket
from log.log_config import LogConfig
from log.reading import BoundaryCache, read_slice
from log.recovery import open_segments
from log.segment import Segment
from log.segments import Segments
from log.validation import validate_produced
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import stamp
from wire.records.file_slice import FileSlice


@dataclass(frozen=True, slots=True)
class AppendResult:
    """`log_append_time_ms` is -1 where the producer's own timestamps stand."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    log_start_offset: int
    duplicate: bool


class PartitionLog:
    """Mutable. `recovery_point` is the durable end: every record below it survives a power loss."""

    def __init__(
        self,
        file_system: FileSystem,
        directory: str,
        *,
        topic: str,
        partition: int,
        topic_id: bytes,
        config: LogConfig,
    ) -> None:
        """Only `open` calls this."""
        self.file_system = file_system
        self.directory = directory
        self.topic = topic
        self.partition = partition
        self.topic_id = topic_id
        self.config = config
        self.segments = Segments(file_system, directory)
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.recovery_point = 0
        self.failed: OSError | None = None
        """The failed flush after which this log takes nothing any more."""
        self._tail_is_torn = False
        self._truncation_count = 0
        self._synced_directory_changes = 0
        self._boundaries = BoundaryCache()

    @classmethod
    def open(
        cls,
        file_system: FileSystem,
        directory: str,
        *,
        topic: str,
        partition: int,
        topic_id: bytes,
        config: LogConfig,
        recovery_point: int,
        log_start_offset: int,
        high_watermark: int,
        clean: bool,
        now_ms: int,
        accept_damage: bool = False,
    ) -> PartitionLog:
        """Open or create the log in `directory`; the offsets are those of the checkpoints.

        `clean` says that the last shutdown was. Raises LogDamagedError where committed records are
        unreadable, unless `accept_damage` says to cut them off; OSError from the disk.
        """
        log = cls(
            file_system,
            directory,
            topic=topic,
            partition=partition,
            topic_id=topic_id,
            config=config,
        )
        opened = open_segments(
            log.segments,
            file_system,
            directory,
            name=log.name,
            config=config,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
            high_watermark=high_watermark,
            clean=clean,
            accept_damage=accept_damage,
            now_ms=now_ms,
        )
        log.log_start_offset = opened.log_start_offset
        log.log_end_offset = opened.log_end_offset
        log.recovery_point = min(opened.recovery_point, opened.log_end_offset)
        return log

    @property
    def name(self) -> str:
        return f"{self.topic}-{self.partition}"

    @property
    def size_bytes(self) -> int:
        return self.segments.size_bytes

    def update_config(self, config: LogConfig) -> None:
        self.config = config

    # --- appending ---

    def append_as_leader(
        self,
        records: memoryview,
        *,
        leader_epoch: int,
        now_ms: int,
        transactional_id_given: bool = False,
        internal: bool = False,
        crc_verified: bool = False,
    ) -> AppendResult:
        """Append the one batch of `records`; its base offset and leader epoch are stamped in place.

        Raises KafkaError where the batch is refused, OSError from the disk; the log is then as it
        was before.
        """
        self._check_writable()
        config = self.config
        header, data, log_append_time_ms = validate_produced(
            records,
            config=config,
            now_ms=now_ms,
            transactional_id_given=transactional_id_given,
            internal=internal,
            crc_verified=crc_verified,
        )
        base_offset = self.log_end_offset
        last_offset = base_offset + header.last_offset_delta
        stamp(data, 0, base_offset=base_offset, leader_epoch=leader_epoch)
        segment = self._segment_for(
            len(data),
            base_offset=base_offset,
            last_offset=last_offset,
            max_timestamp=header.max_timestamp,
            now_ms=now_ms,
        )
        try:
            segment.append(
                data,
                last_offset=last_offset,
                max_timestamp=header.max_timestamp,
                index_interval_bytes=config.index_interval_bytes,
            )
        except TornAppendError:
            self._tail_is_torn = True
            raise
        self.log_end_offset = last_offset + 1
        return AppendResult(
            base_offset, last_offset, log_append_time_ms, self.log_start_offset, False
        )

    def _check_writable(self) -> None:
        if self.failed is not None:
            raise OSError(
                errno.EIO, f"{self.name} is offline after a failed flush: {self.failed}"
            ) from self.failed
        if self._tail_is_torn:
            # An append failed and its bytes could not be taken back (KAFKA-10778): nothing more
            # goes behind them until they are gone.
            log = self.segments.active.log()
            log.truncate(log.size)
            self._tail_is_torn = False

    def _segment_for(
        self, size: int, *, base_offset: int, last_offset: int, max_timestamp: int, now_ms: int
    ) -> Segment:
        segment = self.segments.active
        if segment.must_roll_for(
            size,
            last_offset=last_offset,
            max_timestamp=max_timestamp,
            now_ms=now_ms,
            config=self.config,
            jitter_ms=self._jitter_ms(segment),
        ):
            return self._roll_at(base_offset, now_ms=now_ms)
        return segment

    def _jitter_ms(self, segment: Segment) -> int:
        limit = min(self.config.segment_jitter_ms, self.config.segment_ms)
        if limit <= 0:
            return 0
        # Spread over the partitions without a random generator: equal names, equal jitter.
        return zlib.crc32(f"{self.name}/{segment.base_offset}".encode()) % limit

    def roll(self, now_ms: int) -> None:
        """Make a new active segment at the log end, unless the active one is empty."""
        self._check_writable()
        if self.segments.active.size:
            self._roll_at(self.log_end_offset, now_ms=now_ms)

    def _roll_at(self, base_offset: int, *, now_ms: int) -> Segment:
        """An OSError leaves the old segment active; what it wrote of its indexes stays right."""
        old = self.segments.active
        old.seal()
        segment = self.segments.create(base_offset, now_ms=now_ms)
        self.segments.unflushed.append(old)
        self._boundaries.clear()
        return segment

    # --- reading ---

    def read(
        self,
        start_offset: int,
        *,
        max_bytes: int,
        upper_bound_offset: int,
        at_least_one_batch: bool = True,
    ) -> FileSlice | None:
        """The bytes of the batches from the one that contains `start_offset` on, in one segment.

        At most `max_bytes`, which may cut the last batch; the first one is whole, and with
        `at_least_one_batch` it is there even if it is larger. Batches with an offset at or past
        `upper_bound_offset` stay out. None where there is nothing. The caller releases the slice.
        Raises KafkaError(OFFSET_OUT_OF_RANGE), OSError.
        """
        end_offset = self.log_end_offset
        if not self.log_start_offset <= start_offset <= end_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"{start_offset} is not within [{self.log_start_offset}, {end_offset}]",
            )
        if start_offset >= upper_bound_offset or start_offset == end_offset:
            return None
        return read_slice(
            self.segments,
            self._boundaries,
            start_offset=start_offset,
            max_bytes=max_bytes,
            upper_bound_offset=upper_bound_offset,
            log_end_offset=end_offset,
            at_least_one_batch=at_least_one_batch,
        )

    # --- flushing ---

    def prepare_flush(self) -> FlushTicket | None:
        """What makes everything up to the log end durable, None if all is. Files are retained."""
        end_offset = self.log_end_offset
        segments = self.segments
        if self.failed is not None or self.recovery_point >= end_offset:
            return None
        active = segments.active
        files = [file for segment in segments.unflushed for file in segment.files()]
        files.append(active.log())
        if active.transaction_index.exists:
            files.append(active.transaction_index.file())
        for file in files:
            file.retain()
        changes = segments.directory_changes
        self._boundaries.note(end_offset, active, active.size)
        return FlushTicket(
            self.file_system,
            tuple(files),
            self.directory if changes != self._synced_directory_changes else None,
            end_offset,
            self._truncation_count,
            changes,
        )

    def complete_flush(self, ticket: FlushTicket) -> None:
        """Take the success of `ticket.sync()`: raise the recovery point, unless a truncation
        came between (what was flushed may not be what lies there now).
        """
        ticket.release()
        if self.failed is not None:
            return
        self._synced_directory_changes = max(
            self._synced_directory_changes, ticket.directory_changes
        )
        if ticket.truncation_count == self._truncation_count:
            self.recovery_point = max(self.recovery_point, ticket.end_offset)
            self.segments.flushed_below(self.recovery_point)

    def fail_flush(self, ticket: FlushTicket, error: OSError) -> None:
        """Take the failure of `ticket.sync()`: this log goes offline until it is opened again.

        Never retried: the kernel has marked the pages clean, so a second fsync would succeed
        without having written them.
        """
        ticket.release()
        if self.failed is None:
            self.failed = error

    def flush_now(self) -> None:
        """Flush in the caller's thread. Raises OSError; the log is offline then."""
        self._check_writable()
        ticket = self.prepare_flush()
        if ticket is None:
            return
        try:
            ticket.sync()
        except OSError as error:
            self.fail_flush(ticket, error)
            raise
        self.complete_flush(ticket)

    # --- the end ---

    def close(self) -> None:
        """Flush, write the indexes, and close the files. Slices in flight keep theirs open."""
        try:
            if self.failed is None:
                self.flush_now()
                for segment in (*self.segments.unflushed, self.segments.active):
                    segment.seal()
        finally:
            self.segments.close()
