"""Open the segments of a log: trusted after a clean shutdown, else checked from the recovery point.

After a crash the bytes behind the recovery point may be there, torn, or missing. What a crash can
explain, a torn tail, is cut off and said; what it cannot, a bad batch among records that were
committed, is damage: the log refuses to open rather than drop them silently. Which files there are
is `log.loading`'s business.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from log.file_system import FileSystem
from log.leader_epochs import LeaderEpochs
from log.log_config import LogConfig
from log.producer_snapshot import load_newest_snapshot, write_snapshot
from log.producer_state import CompletedTransaction, ProducerState
from log.scan import find_sound_batch, iterate_whole
from log.segment import LOG_SUFFIX, Segment
from log.segments import Segments
from log.transaction_index import AbortedTransaction
from wire.errors import WireError
from wire.records.batch import BatchHeader
from wire.records.control import EndTransactionMarker, read_end_transaction_marker

logger = logging.getLogger(__name__)


class LogDamagedError(Exception):
    """Records that were committed cannot be read. The text names the file and the ways out."""


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

    @property
    def promised_end(self) -> int:
        """No crash can have taken a record below this offset.

        With the page cache as durability the high watermark promises nothing after a power loss.
        """
        if self.config.flush_messages == 1:
            return max(self.recovery_point, self.high_watermark)
        return self.recovery_point


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
    """Say, or after a clean shutdown refuse, that committed records at the end are missing."""
    promised = recovery.promised_end
    if end_offset >= promised:
        return
    text = (
        f"{recovery.name} ends at offset {end_offset}, but was committed up to {promised}: "
        f"the last {promised - end_offset} records are missing from {recovery.directory}"
    )
    # After a crash the checkpoint may be older than a truncation or a deletion of the topic.
    if not clean or recovery.accept_damage:
        logger.error("%s", text)
        return
    raise LogDamagedError(f"{text}. {_ways_out(recovery, recovery.directory, end_offset)}")


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
    may_have_holes = "compact" in recovery.config.cleanup_policy
    for index, segment in enumerate(suspects):
        if index:
            write_snapshot(recovery.file_system, recovery.directory, recovery.producer_state)
        end_offset, position = _check(recovery, segment)
        rest = suspects[index + 1 :]
        is_torn = position < segment.size
        if rest:
            # An unflushed tail can be lost as a whole, and what was rolled after it be there.
            gap = rest[0].base_offset - end_offset
            is_torn = is_torn or gap < 0 or (gap > 0 and not may_have_holes)
        if is_torn:
            _decide(recovery, segment, position, end_offset, rest)
            _drop(recovery, rest)
            segment.truncate(position, end_offset=end_offset)
            break
        if rest:
            segment.seal()
    return end_offset


def _check(recovery: Recovery, segment: Segment) -> tuple[int, int]:
    """`(end offset, position)` up to where the segment is sound."""
    segment.clear_indexes()
    segment.transaction_index.clear()
    end_offset, position = segment.base_offset, 0
    interval = recovery.config.index_interval_bytes
    state, epochs = recovery.producer_state, recovery.leader_epochs
    state.end_offset = max(state.end_offset, segment.base_offset)
    epoch = epochs.latest_epoch
    for start, header, data in iterate_whole(segment.log(), 0, segment.size):
        base_offset = header.base_offset
        if base_offset < end_offset:
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


def _decide(
    recovery: Recovery, segment: Segment, position: int, offset: int, rest: list[Segment]
) -> None:
    """Raise LogDamagedError unless the bad bytes at `position` are what a crash leaves."""
    path = segment.path(LOG_SUFFIX)
    lost = segment.size - position + sum(other.size for other in rest)
    if offset < recovery.promised_end:
        why = f"which lies below the committed offset {recovery.promised_end}"
    elif recovery.config.flush_messages == 1 and _valid_behind(segment, position, offset, rest):
        why = "and valid batches follow it, so that no crash explains it"
    else:
        logger.warning(
            "%s: cut a torn tail of %d bytes at offset %d (%s, position %d)",
            recovery.name,
            lost,
            offset,
            path,
            position,
        )
        return
    text = (
        f"{recovery.name}: the batch at position {position} of {path} (offset {offset}) is not "
        f"valid, {why}"
    )
    if not recovery.accept_damage:
        raise LogDamagedError(f"{text}. {_ways_out(recovery, path, offset)}")
    logger.error("%s. The loss is accepted: %d bytes are cut off", text, lost)


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


def _drop(recovery: Recovery, segments: list[Segment]) -> None:
    """Take out what lies behind a cut, last first, durably before anything is cut."""
    if segments:
        recovery.segments.delete(segments[::-1])


def restore_producers(recovery: Recovery, *, end_offset: int) -> None:
    """Bring the producer state to `end_offset`: the newest snapshot, then the batches behind it."""
    state = recovery.producer_state
    first = max(recovery.log_start_offset, recovery.segments.first.base_offset)
    snapshot_offset = load_newest_snapshot(
        recovery.file_system,
        recovery.directory,
        state,
        log_start_offset=min(first, end_offset),
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
            if batch.header.base_offset >= state.end_offset:
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
