"""Open the segments of a log: trusted after a clean shutdown, else checked from the recovery point.

After a crash the bytes that no flush covered may be there, torn, missing, or there behind a hole:
that is cut off and said. A bad batch among records that were flushed, as far as the checkpoints and
`log.flushed_ends` tell, is what no crash explains: the log refuses to open rather than drop them.
Which files there are is `log.loading`'s business.
"""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass

from log.file_system import FileSystem
from log.flushing import NO_FLUSHED_END, FlushedEnd
from log.leader_epochs import LeaderEpochs
from log.log_config import LogConfig
from log.producer_snapshot import load_newest_snapshot, write_snapshot
from log.producer_state import CompletedTransaction, ProducerState
from log.scan import find_sound_batch, iterate_whole
from log.segment import ASIDE_SUFFIX, LOG_SUFFIX, MAX_RELATIVE_OFFSET, Segment
from log.segments import Segments
from log.setting_aside import set_aside
from log.transaction_index import AbortedTransaction
from wire.errors import WireError
from wire.records.batch import BatchHeader
from wire.records.control import EndTransactionMarker, read_end_transaction_marker

logger = logging.getLogger(__name__)


class LogDamagedError(Exception):
    """Records that were committed cannot be read. The text names the file and the ways out."""


class LogStartMissingError(LogDamagedError):
    """They are those at the log's start: what a leader sends comes behind its end."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What recovery works on. `high_watermark` and `recovery_point` are the checkpointed ones."""

    file_system: FileSystem
    directory: str
    name: str
    segments: Segments
    leader_epochs: LeaderEpochs
    producer_state: ProducerState
    config: LogConfig
    recovery_point: int
    high_watermark: int
    log_start_offset: int
    accept_damage: bool
    now_ms: int
    flushed_end: FlushedEnd = NO_FLUSHED_END

    @property
    def promised_end(self) -> int:
        """No crash can have taken a record below this offset.

        With the page cache as durability the high watermark promises nothing after a power loss.
        """
        if self.config.flush_messages == 1:
            return max(self.flushed_end_offset, self.high_watermark)
        return self.recovery_point

    @property
    def flushed_end_offset(self) -> int:
        """Below it everything was flushed, as a file says that a truncation changes first."""
        return max(self.recovery_point, self.flushed_end.end_offset)

    def is_missed_from(self, offset: int, promised_end: int) -> bool:
        """Whether a log that ended at `offset` would lack records that were promised.

        None is served below the log start: what was deleted need not have been flushed.
        """
        return max(offset, self.log_start_offset) < promised_end


def trusted_end(recovery: Recovery) -> int | None:
    """The log end of a log that was closed cleanly; None if its active segment denies that."""
    active = recovery.segments.active
    if active.size == 0:
        return active.base_offset
    last = active.last_place()
    if last is None or last.position + last.size != active.size:
        logger.warning("%s: %s was left clean but does not look so", recovery.name, active.name)
        return None
    # Thousands of logs are opened at start: what only an append needs is read by the first one.
    active.offset_index.forget()
    return last.last_offset + 1


def check_end(recovery: Recovery, end_offset: int, *, clean: bool) -> None:
    """Refuse if records at the end are missing that a flush had covered.

    A high watermark alone, or an end that counts the page cache, is worth an error line after a
    crash: a flush need not have come that far.
    """
    promised = recovery.promised_end
    if end_offset >= promised:
        return
    text = (
        f"{recovery.name} ends at offset {end_offset}, but was committed up to {promised}: "
        f"the last {promised - end_offset} records are missing from {recovery.directory}"
    )
    was_flushed = recovery.is_missed_from(end_offset, recovery.flushed_end_offset)
    is_damage = clean or (was_flushed and recovery.config.flush_messages == 1)
    if is_damage and not recovery.accept_damage:
        raise LogDamagedError(f"{text}. {_ways_out(recovery, recovery.directory, end_offset)}")
    logger.error("%s", text)
    # Told once, it is not missed again by a start that has promised more since.
    recovery.flushed_end.lower(end_offset)


def recover(recovery: Recovery) -> int:
    """Check every batch from the recovery point's segment on, and rebuild what is derived: indexes,
    producer state, leader epochs. Returns the log end. Raises LogDamagedError.
    """
    segments = recovery.segments
    suspects = segments.from_offset(recovery.recovery_point)
    start_offset = suspects[0].base_offset
    restore_producers(recovery, end_offset=start_offset)
    recovery.leader_epochs.truncate_from_end(start_offset)
    end_offset = start_offset
    for index, segment in enumerate(suspects):
        if index:
            _write_snapshot(recovery)
        end_offset, position = _check(recovery, segment)
        rest = suspects[index + 1 :]
        is_torn = position < segment.size
        if rest:
            # An unflushed tail can be lost as a whole, and what was rolled after it be there.
            gap = rest[0].base_offset - end_offset
            is_torn = is_torn or gap < 0 or (gap > 0 and not recovery.config.may_have_holes)
        if is_torn:
            if _is_to_be_kept(recovery, segment, position, end_offset, rest):
                set_aside(recovery.file_system, segments, segment, position, rest)
            else:
                segments.delete(rest[::-1])
            segment.truncate(position, end_offset=end_offset)
            break
        if rest:
            segment.seal()
    return end_offset


def _write_snapshot(recovery: Recovery) -> None:
    try:
        write_snapshot(recovery.file_system, recovery.directory, recovery.producer_state)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # It is a cache: what it holds can be read from the log.
        logger.warning("%s: a snapshot of its producers was not written: %s", recovery.name, error)


def _check(recovery: Recovery, segment: Segment) -> tuple[int, int]:
    """`(end offset, position)` up to where the segment is sound."""
    segment.clear_indexes()
    segment.transaction_index.clear()
    end_offset, position = segment.base_offset, 0
    interval = recovery.config.index_interval_bytes
    state, epochs = recovery.producer_state, recovery.leader_epochs
    state.end_offset = max(state.end_offset, segment.base_offset)
    epoch = epochs.latest_epoch
    last_possible = segment.base_offset + MAX_RELATIVE_OFFSET
    for start, header, data in iterate_whole(segment.log(), 0, segment.size):
        base_offset = header.base_offset
        # The checksum does not cover the base offset.
        if not end_offset <= base_offset <= header.last_offset <= last_possible:
            break
        if base_offset > end_offset and not recovery.config.may_have_holes:
            break
        end_offset = base_offset + header.last_offset_delta + 1
        size = len(data)
        segment.note(
            start,
            size,
            last_offset=end_offset - 1,
            max_timestamp=header.max_timestamp,
            index_interval_bytes=interval,
        )
        if header.producer_id >= 0:
            completed = state.replay(header, _marker(data, header))
            if completed is not None and completed.is_aborted:
                segment.transaction_index.append(aborted(completed))
        if header.partition_leader_epoch != epoch and header.partition_leader_epoch >= 0:
            epoch = header.partition_leader_epoch
            epochs.assign(epoch, base_offset)
        position = start + size
    state.end_offset = end_offset
    return end_offset, position


def _is_to_be_kept(
    recovery: Recovery, segment: Segment, position: int, offset: int, rest: list[Segment]
) -> bool:
    """Whether what is cut at `position` is worth keeping beside the log: there are batches in it.

    Raises LogDamagedError if it is not what a crash leaves.
    """
    path = segment.path(LOG_SUFFIX)
    lost = segment.size - position + sum(other.size for other in rest)
    if recovery.is_missed_from(offset, recovery.promised_end):
        text = (
            f"{recovery.name}: the batch at position {position} of {path} (offset {offset}) is not "
            f"valid, which lies below the committed offset {recovery.promised_end}"
        )
        if not recovery.accept_damage:
            raise LogDamagedError(f"{text}. {_ways_out(recovery, path, offset)}")
        logger.error("%s. The loss is accepted: %d bytes are cut off", text, lost)
        recovery.flushed_end.lower(offset)
        return False
    place = f"{lost} bytes at offset {offset} ({path}, position {position})"
    if recovery.config.flush_messages != 1 or not _valid_behind(segment, position, offset, rest):
        logger.warning("%s: cut a torn tail of %s", recovery.name, place)
        return False
    # Unflushed writes reach the disk in any order. Nobody was told of them, but they are records.
    logger.error(
        "%s: cut %s: the batch there is not valid, valid ones that were never acknowledged follow. "
        "They are set aside as *%s, to be removed by hand if they are of no use",
        recovery.name,
        place,
        ASIDE_SUFFIX,
    )
    return True


def _ways_out(recovery: Recovery, path: str, offset: int) -> str:
    return (
        f"Restore {path} from a copy, or accept that the records of {recovery.name} from offset "
        f"{offset} on are lost; no record was touched"
    )


def _valid_behind(segment: Segment, position: int, offset: int, rest: list[Segment]) -> bool:
    end = segment.size
    if find_sound_batch(segment.log(), position, end, least_offset=offset) is not None:
        return True
    return any(
        next(iter(iterate_whole(other.log(), 0, other.size)), None) is not None for other in rest
    )


def restore_producers(recovery: Recovery, *, end_offset: int) -> None:
    """Bring the producer state to `end_offset`: the newest snapshot, then the batches behind it."""
    state = recovery.producer_state
    snapshot_offset = load_newest_snapshot(
        recovery.file_system,
        recovery.directory,
        state,
        first_offset=min(recovery.segments.first.base_offset, end_offset),
        log_end_offset=end_offset,
        now_ms=recovery.now_ms,
    )
    if snapshot_offset < end_offset:
        replay_producers(recovery.segments, state, end_offset=end_offset)
    state.end_offset = end_offset


def replay_producers(segments: Segments, state: ProducerState, *, end_offset: int) -> None:
    """Replay the batches from `state.end_offset` to `end_offset`."""
    for segment in segments.from_offset(state.end_offset):
        if segment.base_offset >= end_offset:
            return
        place = segment.place_of(state.end_offset)
        if place is None:
            continue
        for batch in iterate_whole(segment.log(), place.position, segment.size):
            if batch.header.base_offset >= end_offset:
                return
            # The first may lie across the log start: its producer is still served.
            if batch.header.last_offset >= state.end_offset:
                state.replay(batch.header, _marker(batch.data, batch.header))


def aborted(completed: CompletedTransaction) -> AbortedTransaction:
    """The entry of the transaction index for a transaction that an abort marker ended."""
    return AbortedTransaction(
        completed.producer_id,
        completed.first_offset,
        completed.last_offset,
        completed.last_stable_offset,
    )


def _marker(data: memoryview, header: BatchHeader) -> EndTransactionMarker | None:
    if not header.is_control:
        return None
    try:
        return read_end_transaction_marker(data, 0, header)
    except WireError:
        return None  # another broker's control batch: it says nothing to us
