"""The log of one partition: append, read, flush, truncate, retire.

Synchronous and clockless: whoever calls passes `now_ms` and runs flushes in its thread. One owner
(the broker's loop) calls it. The parts: `segments`, `writing`, `reading` and `lookup` (where bytes
lie), `flushing` (what a flush consists of), `opening` and `recovery`, `truncation`, `retention`
(what is old), `validation`, `producer_state` and `leader_epochs` (what an append means).
Deliberately not here: the high watermark, which is the replicas' (`kbroker.replication.partition`).
"""

from __future__ import annotations

import errno

from log import lookup
from log.file_system import FileSystem
from log.flushing import NO_FLUSHED_END, FlushedEnd, Flushing, FlushTicket
from log.log_config import LogConfig
from log.lookup import OffsetAndTimestamp
from log.opening import OpenedLog, open_log
from log.producer_snapshot import remove_snapshots
from log.producer_state import Origin
from log.reading import BoundaryCache, out_of_range, read_slice
from log.recompression import PreparedBatch
from log.replicated import append_replicated
from log.retention import old_segments
from log.transaction_index import AbortedTransaction
from log.truncation import cut
from log.validation import is_plain, only_batch, validate_produced, validate_replicated
from log.writing import AppendResult, Writer, marker_in, result_of_duplicate
from wire.records.batch import BatchHeader, crc_is_of_all, stamp
from wire.records.file_slice import FileSlice

__all__ = ["AppendResult", "PartitionLog"]


class PartitionLog:
    """Mutable. Invariants: log start <= log end, recovery point <= log end.

    `recovery_point` is the durable end: every record below it survives a power loss. `failed` is
    the error after which this log takes nothing any more until it is opened again.
    """

    def __init__(
        self,
        file_system: FileSystem,
        directory: str,
        opened: OpenedLog,
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
        self.name = f"{topic}-{partition}"
        self.topic_id = topic_id
        self.config = config
        self.segments = opened.segments
        self.leader_epochs = opened.leader_epochs
        self.producer_state = opened.producer_state
        self.log_start_offset = opened.log_start_offset
        self.log_end_offset = opened.log_end_offset
        self.flushing = Flushing(
            file_system, directory, self.segments, opened.recovery_point, opened.flushed_end
        )
        self._leader_epoch = self.leader_epochs.latest_epoch
        self._boundaries = BoundaryCache()
        self._writer = Writer(
            self.name,
            file_system,
            directory,
            segments=self.segments,
            flushing=self.flushing,
            producer_state=self.producer_state,
            boundaries=self._boundaries,
        )

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
        flushed_end: FlushedEnd = NO_FLUSHED_END,
    ) -> PartitionLog:
        """Open or create the log in `directory`; the offsets are those of the checkpoints.

        `clean` says that the last shutdown was. Everything found is durable on return. OSError, and
        LogDamagedError where flushed records are unreadable, unless `accept_damage` cuts them off.
        """
        opened = open_log(
            file_system,
            directory,
            name=f"{topic}-{partition}",
            config=config,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
            high_watermark=high_watermark,
            clean=clean,
            accept_damage=accept_damage,
            now_ms=now_ms,
            flushed_end=flushed_end,
        )
        log = cls(
            file_system,
            directory,
            opened,
            topic=topic,
            partition=partition,
            topic_id=topic_id,
            config=config,
        )
        log._writer.is_changed = not clean
        log.flush_now()
        return log

    @property
    def recovery_point(self) -> int:
        return self.flushing.recovery_point

    @property
    def failed(self) -> OSError | None:
        return self.flushing.failed

    @property
    def size_bytes(self) -> int:
        return self.segments.size_bytes

    def update_config(self, config: LogConfig) -> None:
        self.config = config
        self.producer_state.producer_id_expiration_ms = config.producer_id_expiration_ms

    def append_as_leader(
        self,
        records: memoryview,
        *,
        leader_epoch: int,
        now_ms: int,
        header: BatchHeader | None = None,
        transactional_id_given: bool = False,
        internal: bool = False,
        prepared: PreparedBatch | None = None,
        transaction_version: int = 0,
    ) -> AppendResult:
        """Append the one batch of `records`; its base offset and leader epoch are stamped in place.

        `header` is from `only_batch`, `prepared` from `prepare`; `internal` is for our own batches,
        `transaction_version` for markers (KIP-890). KafkaError, OSError: nothing has changed then.
        """
        if self.flushing.failed is not None or self._writer.tail_is_torn:
            self._writer.check()
        if header is None:
            header = only_batch(records)
        if is_plain(header, len(records), self.config, now_ms) and (
            (prepared is not None and prepared.crc_is_valid) or crc_is_of_all(records, header)
        ):
            data, log_append_time_ms = records, -1
        else:
            header, data, log_append_time_ms = validate_produced(
                records,
                config=self.config,
                now_ms=now_ms,
                header=header,
                name=self.name,
                transactional_id_given=transactional_id_given,
                internal=internal,
                prepared=prepared,
            )
        base_offset, update = self.log_end_offset, None
        if header.producer_id >= 0:
            if not internal:
                duplicate = self.producer_state.find_duplicate(header)
                if duplicate is not None:
                    return result_of_duplicate(duplicate, self.log_start_offset)
            update = self.producer_state.plan(
                header,
                base_offset=base_offset,
                origin=Origin.COORDINATOR if internal else Origin.CLIENT,
                marker=marker_in(data, header) if header.is_control else None,
                transaction_version=transaction_version,
            )
        stamp(data, 0, base_offset=base_offset, leader_epoch=leader_epoch)
        last_offset = base_offset + header.last_offset_delta
        self._writer.append(
            data,
            base_offset=base_offset,
            last_offset=last_offset,
            max_timestamp=header.max_timestamp,
            now_ms=now_ms,
            config=self.config,
            update=update,
        )
        self.log_end_offset = last_offset + 1
        if leader_epoch != self._leader_epoch:
            self.assign_epoch_start(leader_epoch, base_offset)
        start = self.log_start_offset
        return AppendResult(base_offset, last_offset, log_append_time_ms, start, False)

    def append_as_follower(self, records: memoryview, *, now_ms: int) -> AppendResult | None:
        """Append the whole batches of what a leader sent, as they are; None if there is none.

        Raises KafkaError where they do not continue this log, OSError from the disk; batches before
        the failed write may have been appended then.
        """
        self._writer.check()
        batches = validate_replicated(records, next_offset=self.log_end_offset)
        if not batches:
            return None
        try:
            append_replicated(
                records,
                batches,
                writer=self._writer,
                producer_state=self.producer_state,
                leader_epochs=self.leader_epochs,
                config=self.config,
                now_ms=now_ms,
            )
        finally:
            self.log_end_offset = self.producer_state.end_offset
            self._leader_epoch = self.leader_epochs.latest_epoch
        return AppendResult(
            batches[0][1].base_offset, self.log_end_offset - 1, -1, self.log_start_offset, False
        )

    def roll(self, now_ms: int) -> None:
        """Make a new active segment at the log end, unless the active one is empty."""
        self._writer.check()
        if self.segments.active.size:
            self._writer.roll_at(self.log_end_offset, now_ms=now_ms)

    def read(
        self,
        start_offset: int,
        *,
        max_bytes: int,
        upper_bound_offset: int,
        at_least_one_batch: bool = True,
        cached_only: bool = False,
    ) -> FileSlice | None:
        """The bytes of the batches from the one that contains `start_offset` on, in one segment.

        At most `max_bytes`, which may cut the last batch; the first one is whole, and with
        `at_least_one_batch` there even if it is larger. None: nothing below `upper_bound_offset`.
        The caller releases the slice. KafkaError: OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE where the
        batch is missing; OSError; with `cached_only` ColdRead, not a wait for the disk."""
        end_offset = self.log_end_offset
        if not self.log_start_offset <= start_offset <= end_offset:
            raise out_of_range(start_offset, self.log_start_offset, end_offset)
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
            cached_only=cached_only,
            may_have_holes=self.config.may_have_holes,
        )

    def last_stable_offset(self, high_watermark: int) -> int:
        """Up to where read_committed consumers see; exclusive."""
        return self.producer_state.last_stable_offset(high_watermark)

    def aborted_transactions(self, start: int, upper: int) -> list[AbortedTransaction]:
        """The aborted transactions with records in `[start, upper)`."""
        return lookup.aborted_transactions(
            self.segments, start_offset=start, upper_bound_offset=upper
        )

    def offset_for_timestamp(self, timestamp: int) -> OffsetAndTimestamp | None:
        """The first record whose timestamp is at least this one, with its leader epoch."""
        return lookup.offset_for_timestamp(
            self.segments, timestamp, log_start_offset=self.log_start_offset
        )

    def offset_of_max_timestamp(self) -> OffsetAndTimestamp | None:
        """The first record with the largest timestamp (KIP-734); None without any."""
        return lookup.offset_of_max_timestamp(self.segments)

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """`(epoch, end offset)` as OffsetForLeaderEpoch answers (KIP-279); (-1, -1): unknown."""
        return self.leader_epochs.end_offset_for(epoch, log_end_offset=self.log_end_offset)

    def assign_epoch_start(self, epoch: int, start: int) -> None:
        """Note that the leader of `epoch` writes from `start` on, also if it has not yet."""
        self.leader_epochs.assign(epoch, start)
        self._leader_epoch = epoch

    def forget_empty_epochs(self) -> None:
        """Epochs in which nothing was written are not this log's, once somebody else's is taken."""
        self.leader_epochs.truncate_from_end(self.log_end_offset)
        self._leader_epoch = self.leader_epochs.latest_epoch

    def prepare_flush(self) -> FlushTicket | None:
        """What makes everything up to the log end durable, None if all is. Files are retained."""
        end_offset, flushing = self.log_end_offset, self.flushing
        if flushing.recovery_point >= end_offset or flushing.failed is not None:
            return None
        active = self.segments.active
        # The high watermark will be here: readers are cut at it.
        self._boundaries.note(end_offset, active, active.size)
        return flushing.prepare(end_offset)

    def complete_flush(self, ticket: FlushTicket) -> None:
        """Take the success of `ticket.sync()`: raise the recovery point."""
        self.flushing.complete(ticket)

    def fail_flush(self, ticket: FlushTicket, error: OSError) -> None:
        """Take the failure of `ticket.sync()`: this log goes offline until it is opened again."""
        self.flushing.fail(ticket, error)

    def flush_now(self) -> None:
        """Flush in the caller's thread. Raises OSError; the log is offline then."""
        self._writer.check()
        ticket = self.prepare_flush()
        if ticket is not None:
            self.flushing.run(ticket)

    def truncate_to(self, offset: int) -> None:
        """Drop every record at or past `offset`, durably; a batch across it goes as a whole.

        Raises OSError; the log is offline then.
        """
        self._writer.check()
        if offset >= self.log_end_offset:
            self.forget_empty_epochs()
            return
        if offset < self.segments.first.base_offset:
            self.truncate_fully_and_start_at(offset)
            return
        try:
            end_offset = cut(
                self.segments,
                self.producer_state,
                self.file_system,
                self.directory,
                offset=offset,
                lower=self.flushing.flushed_end.lower,
            )
            self._truncated(end_offset)
        except OSError as error:
            self.flushing.failed = error
            raise

    def truncate_fully_and_start_at(self, offset: int) -> None:
        """Drop every record; the next one is at `offset`. Raises OSError; offline then."""
        self._writer.check()
        try:
            self.flushing.flushed_end.lower(0)
            self.segments.start_over(offset)
            self.leader_epochs.clear()
            self._truncated(offset)
            self.log_start_offset = self.flushing.recovery_point = offset
            remove_snapshots(self.file_system, self.directory, past=-1)
            self.producer_state.reset(offset, now_ms=0)
        except OSError as error:
            self.flushing.failed = error
            raise

    def _truncated(self, end_offset: int) -> None:
        self.log_end_offset = end_offset
        self.log_start_offset = min(self.log_start_offset, end_offset)
        self.leader_epochs.truncate_from_end(end_offset)
        self._leader_epoch = self.leader_epochs.latest_epoch
        self._boundaries.clear()
        self._writer.is_changed = True
        self.flushing.truncated(end_offset)

    def advance_log_start(self, offset: int) -> None:
        """Records below `offset` are not served any more; retention removes their segments.

        Raises KafkaError(OFFSET_OUT_OF_RANGE) past the log end. Never moves back.
        """
        if offset > self.log_end_offset:
            raise out_of_range(offset, self.log_start_offset, self.log_end_offset)
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self.leader_epochs.truncate_from_start(offset)
            self.producer_state.on_log_start(offset)

    def apply_retention(self, now_ms: int, high_watermark: int) -> int:
        """Delete a few segments that are too old, too much, or below the log start; how many.

        Their files are renamed; `remove_deleted_files` removes them. Raises OSError.
        """
        self._writer.check()
        self.producer_state.remove_expired(now_ms)
        old = old_segments(
            self.segments,
            config=self.config,
            log_start_offset=self.log_start_offset,
            log_end_offset=self.log_end_offset,
            high_watermark=high_watermark,
            now_ms=now_ms,
        )
        if not old:
            return 0
        if old[-1] is self.segments.active:
            self.roll(now_ms)
        following = self.segments.after(old[-1])
        assert following is not None
        self._writer.make_names_durable()
        self.advance_log_start(max(self.log_start_offset, following.base_offset))
        self._boundaries.clear()
        self.segments.delete(old)
        self.flushing.recovery_point = max(self.flushing.recovery_point, self.log_start_offset)
        remove_snapshots(self.file_system, self.directory, before=following.base_offset)
        return len(old)

    def remove_deleted_files(self, now_ms: int) -> None:
        """Remove renamed files once they have waited `file_delete_delay_ms`."""
        self.segments.remove_deleted(now_ms=now_ms, delay_ms=self.config.file_delete_delay_ms)

    def close(self) -> None:
        """Flush, write what the indexes and the producer state hold back, and close the files.

        Slices in flight keep theirs open. An OSError says that the shutdown is not clean.
        """
        try:
            if self.failed is None and self._writer.is_changed:
                self.flush_now()
                self._writer.finish(self.log_start_offset)
        finally:
            self.segments.close()

    def discard(self, deleted: str) -> None:
        """Rename the directory of a deleted partition and let go of its files; nothing is flushed.

        Raises OSError if it keeps its name. Slices in flight keep their files open.
        """
        self.flushing.give_up(OSError(errno.ENOENT, f"{self.name} was deleted"))
        self.directory = self.segments.discard(deleted)
