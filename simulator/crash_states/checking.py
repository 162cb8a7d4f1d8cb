"""What must hold of a data directory that is opened after a crash, against what was promised.

A finding is an AssertionError, or whatever the opening itself raised, in one line.
"""

from __future__ import annotations

from log.log_directory import LogDirectory
from log.partition_log import PartitionLog
from log.producer_state import ProducerState
from log.scan import iterate_whole
from simulator.crash_states.recorder import (
    Batch,
    History,
    Key,
    Moment,
    Promise,
    Promises,
    batches_of,
    open_directory,
)
from simulator.disk import SimulatedDisk
from simulator.disk_image import take
from wire.records.batch import build_batch, read_header
from wire.records.control import read_end_transaction_marker
from wire.records.record import Record

Summary = dict[Key, tuple[int, int, list[Batch]]]


def check_state(moment: Moment, bits: int) -> str | None:
    """What is wrong with this outcome of `moment`, None where nothing is."""
    try:
        _check(moment.image.disk(bits), moment.promises, moment.now_ms)
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return None


def _check(disk: SimulatedDisk, promises: Promises, now_ms: int) -> None:
    directory = open_directory(disk, promises, now_ms)
    found = {
        key: check_log(directory.logs[key], promise) for key, promise in sorted(promises.items())
    }
    assert directory.logs.keys() == promises.keys(), "logs that the metadata has not"
    # A second crash, right after: what was found counts as durable, whatever is lost now.
    image = take(disk)
    second = image.disk(0)
    again = open_directory(second, promises, now_ms)
    for key, log in again.logs.items():
        summary = log.log_start_offset, log.log_end_offset, batches_of(log)
        assert summary == found[key], f"{_name(key)} differs when opened twice"
    _go_on(again, now_ms)


def _name(key: Key) -> str:
    return f"{key[0]}-{key[1]}"


def check_log(log: PartitionLog, promise: Promise) -> tuple[int, int, list[Batch]]:
    """AssertionError; the log's start, end and batches."""
    found = batches_of(log)
    start, end = log.log_start_offset, log.log_end_offset
    name = log.name
    assert start <= end, f"{name}: log start {start} > log end {end}"
    assert log.recovery_point == end, f"{name}: {end} is not durable, {log.recovery_point} is"
    assert end >= promise.durable_end, (
        f"{name} ends at {end}, was acknowledged up to {promise.durable_end}"
    )
    assert start >= promise.least_start, f"{name}: log start back at {start}"
    if promise.durable_end > promise.largest_start:
        assert start <= promise.largest_start, f"{name}: log start went to {start}"
    is_compacted = "compact" in promise.config.cleanup_policy
    if found:
        assert is_compacted or found[-1].last_offset + 1 == end, (
            f"{name}: {end} is not behind the last batch"
        )
        assert found[0].base_offset <= start, f"{name}: begins behind its start {start}"
    else:
        assert start == end, f"{name}: no batches between {start} and {end}"
    was_written = _is_part if is_compacted else _is_slice
    assert any(was_written(found, history, promise) for history in promise.histories), (
        f"{name}: what is there was never written so: {_bases(found)}, "
        f"of {[_bases(list(history)) for history in promise.histories]}"
    )
    _check_derived(log, found)
    return start, end, found


def _bases(batches: list[Batch]) -> list[int]:
    return [batch.base_offset for batch in batches]


def _is_part(found: list[Batch], history: History, promise: Promise) -> bool:
    """In a compacted log what no flush covered may be missing in between, too: from its files it
    may as well have been compacted."""
    durable = [
        batch
        for batch in history
        if promise.largest_start <= batch.base_offset < promise.durable_end
    ]
    return set(found) <= set(history) and set(durable) <= set(found)


def _is_slice(found: list[Batch], history: History, promise: Promise) -> bool:
    if not found:
        return True
    for at, batch in enumerate(history):
        if batch.base_offset == found[0].base_offset:
            return list(history[at : at + len(found)]) == found
    return False


# --- what is derived from the batches ---


def _check_derived(log: PartitionLog, found: list[Batch]) -> None:
    _check_producers(log)
    _check_epochs(log, found)
    _check_indexes(log, found)


def _check_producers(log: PartitionLog) -> None:
    """The state is that of a fresh replay, and a batch that is sent again is known."""
    fresh = ProducerState(producer_id_expiration_ms=log.config.producer_id_expiration_ms)
    aborted = []
    last = {}
    for segment in log.segments:
        for each in iterate_whole(segment.log(), 0, segment.size):
            header = each.header
            if header.producer_id < 0:
                continue
            marker = None
            if header.is_control:
                marker = read_end_transaction_marker(each.data, 0, header)
            else:
                last[header.producer_id] = header
                if header.last_offset < log.log_start_offset:
                    del last[header.producer_id]  # what is not served may be forgotten
            completed = fresh.replay(header, marker)
            if completed is not None and completed.is_aborted:
                aborted.append((completed.producer_id, completed.first_offset))
    for header in last.values():
        entry = log.producer_state.entry(header.producer_id)
        replayed = fresh.entry(header.producer_id)
        assert replayed is not None
        assert entry is not None, f"{log.name}: producer {header.producer_id} is forgotten"
        for name in ("last_sequence", "last_offset", "producer_epoch", "transaction_first_offset"):
            ours, theirs = getattr(entry, name), getattr(replayed, name)
            assert ours == theirs, f"{log.name}: {name} of {header.producer_id}: {ours}, {theirs}"
        duplicate = log.producer_state.find_duplicate(header)
        assert duplicate is not None, f"{log.name}: a batch sent again is unknown"
        assert duplicate.first_offset == header.base_offset, f"{log.name}: another duplicate"
    stable = log.last_stable_offset(log.log_end_offset)
    assert stable == fresh.last_stable_offset(log.log_end_offset), f"{log.name}: stable {stable}"
    listed = log.aborted_transactions(log.segments.first.base_offset, log.log_end_offset)
    pairs = [(each.producer_id, each.first_offset) for each in listed]
    assert set(pairs) == set(aborted), f"{log.name}: aborted {pairs}, replayed {aborted}"


def _check_epochs(log: PartitionLog, found: list[Batch]) -> None:
    starts: dict[int, int] = {}
    for batch in found:
        if batch.last_offset >= log.log_start_offset:
            epoch = read_header(batch.data, 0).partition_leader_epoch
            starts.setdefault(epoch, max(batch.base_offset, log.log_start_offset))
    entries = dict(log.leader_epochs.entries)
    first = min(starts, default=0)
    for epoch, start in starts.items():
        known = entries.get(epoch)
        assert known is not None, f"{log.name}: epoch {epoch} is unknown, of {entries}"
        exact = known == start or (epoch == first and known <= start)
        assert exact, f"{log.name}: epoch {epoch} starts at {known}, in the log at {start}"
    assert all(start <= log.log_end_offset for start in entries.values()), f"{log.name}: {entries}"


def _check_indexes(log: PartitionLog, found: list[Batch]) -> None:
    """Every offset is found through the indexes, and every time."""
    end = log.log_end_offset
    for batch in found:
        offset = max(batch.base_offset, log.log_start_offset)
        if offset > batch.last_offset:
            continue
        piece = log.read(offset, max_bytes=1, upper_bound_offset=end)
        assert piece is not None, f"{log.name}: nothing at {offset}"
        assert piece.source.read_at(piece.position, len(piece)) == batch.data, (
            f"{log.name}: another batch at {offset}"
        )
        piece.release()
    served = [batch for batch in found if batch.last_offset >= log.log_start_offset]
    times = {read_header(batch.data, 0).max_timestamp: batch for batch in reversed(served)}
    for timestamp, first in times.items():
        answer = log.offset_for_timestamp(timestamp)
        assert answer is not None, f"{log.name}: nothing at time {timestamp}"
        largest = min(offset for time, offset in _starts(times) if time >= timestamp)
        assert answer.offset == max(min(largest, first.base_offset), log.log_start_offset), (
            f"{log.name}: time {timestamp} is at {answer.offset}"
        )


def _starts(times: dict[int, Batch]) -> list[tuple[int, int]]:
    return [(time, batch.base_offset) for time, batch in times.items()]


def _go_on(directory: LogDirectory, now_ms: int) -> None:
    """Each log takes another record, at its end."""
    for key in sorted(directory.logs):
        log = directory.logs[key]
        end = log.log_end_offset
        data = build_batch([Record(0, now_ms, b"k", b"next", ())])
        result = log.append_as_leader(memoryview(data), leader_epoch=1 << 20, now_ms=now_ms)
        assert result.base_offset == end, f"{log.name}: {result.base_offset}, not {end}"
        log.flush_now()
        assert log.recovery_point == end + 1
