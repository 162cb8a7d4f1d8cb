"""Snapshot files: Kafka's bytes, damage, and which one counts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log.producer_snapshot import (
    COUNT,
    ENTRY,
    HEAD,
    CorruptSnapshotError,
    decode_snapshot,
    encode_snapshot,
    load_newest_snapshot,
    remove_snapshots,
    snapshot_name,
    snapshot_offsets,
    write_snapshot,
)
from log.producer_state import BATCHES_REMEMBERED, BatchMetadata, ProducerEntry, ProducerState
from simulator.disk import SimulatedDisk

KAFKAS = bytes.fromhex(
    "0001ebba9a6300000001"
    "000000000000000000000000001d000000000000001d00000000000001a204223c16ffffffffffffffffffffffff"
)
INT64 = st.integers(0, 2**63 - 1)
BATCHES = st.lists(
    st.builds(BatchMetadata, st.integers(-1, 2**31 - 1), INT64, st.integers(0, 2**31 - 1), INT64),
    min_size=1,
    max_size=BATCHES_REMEMBERED,
)
ENTRIES = st.builds(
    lambda producer_id, epoch, batches, coordinator, first: ProducerEntry(
        producer_id, epoch, tuple(batches), coordinator, batches[-1].timestamp_ms, first
    ),
    INT64,
    st.integers(0, 2**15 - 1),
    BATCHES,
    st.integers(-1, 2**31 - 1),
    st.none() | INT64,
)


def _state(end_offset: int = 0, *entries: ProducerEntry) -> ProducerState:
    state = ProducerState(producer_id_expiration_ms=1000)
    state.reset(end_offset, entries, now_ms=0)
    return state


def _disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("d")
    return disk


def _load(disk: SimulatedDisk, state: ProducerState, start: int = 0, end: int = 100) -> int:
    return load_newest_snapshot(disk, "d", state, first_offset=start, log_end_offset=end, now_ms=0)


def test_kafkas_bytes() -> None:
    entry = ProducerEntry(
        0, 0, (BatchMetadata(29, 29, 0, 1795365682198),), last_timestamp_ms=1795365682198
    )
    assert decode_snapshot(KAFKAS) == [entry]
    assert encode_snapshot([entry]) == KAFKAS


@given(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.producer_id))
def test_round_trip(entries: list[ProducerEntry]) -> None:
    assert decode_snapshot(encode_snapshot(entries)) == entries


def test_of_a_producer_the_last_row_is_as_kafka_writes_it() -> None:
    """Who keeps one row of a producer, as Kafka does, keeps this one."""
    batches = tuple(BatchMetadata(number, 10 + number, 0, 1000 + number) for number in range(5))
    whole = encode_snapshot([ProducerEntry(7, 1, batches, 3, 1004, 12)])
    newest = encode_snapshot([ProducerEntry(7, 1, batches[-1:], 3, 1004, 12)])
    assert whole[-ENTRY.size :] == newest[-ENTRY.size :]
    (row,) = ENTRY.iter_unpack(whole[HEAD.size + COUNT.size :][: ENTRY.size])
    assert row[-1] == -1, "only the last row tells of an open transaction"


def test_rows_of_an_older_epoch_are_history() -> None:
    old, new = (ProducerEntry(7, epoch, (BatchMetadata(0, epoch, 0, 1),), 0, 1) for epoch in (1, 2))
    assert decode_snapshot(encode_snapshot([old, new])) == [new]


def test_a_producer_that_only_has_a_marker() -> None:
    entry = ProducerEntry(4, 2, (), 7, 1000, None)
    assert decode_snapshot(encode_snapshot([entry])) == [entry]


@given(st.integers(0, len(KAFKAS) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(position: int, change: int) -> None:
    data = bytearray(KAFKAS)
    data[position] ^= change
    with pytest.raises(CorruptSnapshotError):
        decode_snapshot(bytes(data))
    with pytest.raises(CorruptSnapshotError):
        decode_snapshot(KAFKAS[:position])
    with pytest.raises(CorruptSnapshotError):
        decode_snapshot(KAFKAS + bytes(position + 1))


def test_the_name_is_kafkas() -> None:
    assert snapshot_name(30) == "00000000000000000030.snapshot"


def test_the_newest_within_the_log_counts_and_the_others_past_it_go() -> None:
    disk = _disk()
    for offset in (10, 20, 30, 40):
        write_snapshot(disk, "d", _state(offset, ProducerEntry(offset, 0)))
    disk.open("d/stray.snapshot", create=True).close()
    state = _state(99, ProducerEntry(1, 0))
    assert _load(disk, state, end=35) == 30
    assert [entry.producer_id for entry in state.entries] == [30]
    assert state.end_offset == 30
    assert snapshot_offsets(disk, "d") == [10, 20, 30]


def test_a_damaged_one_is_removed_and_the_one_before_it_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = _disk()
    for offset in (10, 20):
        write_snapshot(disk, "d", _state(offset, ProducerEntry(offset, 0)))
    disk.corrupt(f"d/{snapshot_name(20)}", 15, b"?")
    state = _state()
    assert _load(disk, state) == 10
    assert snapshot_offsets(disk, "d") == [10]
    assert "00000000000000000020.snapshot is damaged" in caplog.text
    assert _load(disk, state, start=10) == 10, "all that is left of producers whose records went"
    assert [entry.producer_id for entry in state.entries] == [10]
    assert _load(disk, state, start=11) == 11, "what lies between it and the log is not known"
    assert (state.end_offset, state.entries) == (11, [])
    assert snapshot_offsets(disk, "d") == []


def test_a_written_one_survives_a_power_loss() -> None:
    """KAFKA-9892."""
    disk = _disk()
    write_snapshot(disk, "d", _state(7, ProducerEntry(3, 1)))
    write_snapshot(disk, "d", _state(7, ProducerEntry(3, 1)))
    after = disk.crash(random.Random(3))
    state = _state()
    assert _load(after, state) == 7
    assert [entry.producer_id for entry in state.entries] == [3]


def test_expired_producers_are_not_loaded() -> None:
    disk = _disk()
    old, young = ProducerEntry(1, 0, last_timestamp_ms=0), ProducerEntry(2, 0, last_timestamp_ms=9)
    write_snapshot(disk, "d", _state(7, old, young))
    state = _state()
    load_newest_snapshot(disk, "d", state, first_offset=0, log_end_offset=7, now_ms=1000)
    assert state.entries == [young]


def test_removal_by_offset() -> None:
    disk = _disk()
    for offset in (10, 20, 30, 40):
        write_snapshot(disk, "d", _state(offset))
    remove_snapshots(disk, "d", before=30, past=30, except_for=[20])
    assert snapshot_offsets(disk, "d") == [20, 30]
