"""One log by example: what an append, a read, a failing disk and a cut do."""

from __future__ import annotations

import errno
import os

import pytest

from log.log_config import LogConfig
from log.partition_log import PartitionLog
from tests.log.log_harness import DIRECTORY, NOW, LogOnDisk, batch, values_of
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import build_batch, read_header
from wire.records.control import EndTransactionMarker, build_end_transaction_marker
from wire.records.file_slice import FileSlice
from wire.records.record import Record


def _bytes(piece: FileSlice | None) -> bytes:
    assert piece is not None
    data = piece.source.read_at(piece.position, len(piece))
    piece.release()
    return data


def test_an_append_stamps_the_batch_where_it_lies() -> None:
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"a", b"b")
    data = batch(b"c")
    result = log.append_as_leader(data, leader_epoch=7, now_ms=NOW)
    assert result == (2, 2, -1, 0, False)
    header = read_header(data)
    assert (header.base_offset, header.partition_leader_epoch) == (2, 7)
    assert _bytes(log.read(2, max_bytes=1000, upper_bound_offset=3)) == bytes(data)


def test_with_log_append_time_the_broker_tells_the_time() -> None:
    home = LogOnDisk(LogConfig(message_timestamp_type="LogAppendTime"))
    log = home.open()
    result = log.append_as_leader(batch(b"a"), leader_epoch=0, now_ms=NOW + 5)
    assert result.log_append_time_ms == NOW + 5
    assert log.offset_of_max_timestamp() == (0, NOW + 5, 0)


def test_a_duplicate_is_answered_with_its_first_offsets_and_not_appended() -> None:
    log = LogOnDisk().open()
    for number in range(3):
        log.append_as_leader(
            batch(b"a", b"b", producer_id=4, sequence=number * 2), leader_epoch=0, now_ms=NOW
        )
    result = log.append_as_leader(
        batch(b"a", b"b", producer_id=4, sequence=2), leader_epoch=0, now_ms=NOW
    )
    assert result == (2, 3, NOW, 0, True)
    assert log.log_end_offset == 6
    with pytest.raises(KafkaError) as refused:
        log.append_as_leader(batch(b"a", producer_id=4, sequence=9), leader_epoch=0, now_ms=NOW)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


# --- reading ---


def test_a_read_starts_at_the_batch_that_contains_the_offset() -> None:
    home = LogOnDisk()
    log = home.open()
    for _ in range(3):
        home.append(log, b"a", b"b", b"c")
    size = len(batch(b"a", b"b", b"c"))
    for offset in range(9):
        data = _bytes(log.read(offset, max_bytes=size, upper_bound_offset=9))
        assert read_header(data).base_offset == offset // 3 * 3


def test_the_first_batch_comes_whole_and_the_last_one_may_be_cut() -> None:
    home = LogOnDisk()
    log = home.open()
    for _ in range(3):
        home.append(log, b"v" * 100)
    size = len(batch(b"v" * 100))
    assert len(_bytes(log.read(0, max_bytes=1, upper_bound_offset=3))) == size
    assert len(_bytes(log.read(0, max_bytes=size + 7, upper_bound_offset=3))) == size + 7
    assert len(_bytes(log.read(0, max_bytes=9999, upper_bound_offset=3))) == 3 * size
    none = log.read(0, max_bytes=size - 1, upper_bound_offset=3, at_least_one_batch=False)
    assert none is None
    whole = log.read(0, max_bytes=size, upper_bound_offset=3, at_least_one_batch=False)
    assert len(_bytes(whole)) == size


def test_a_read_stops_at_the_bound_and_out_of_range_is_refused() -> None:
    home = LogOnDisk()
    log = home.open()
    for _ in range(3):
        home.append(log, b"a", b"b")
    size = len(batch(b"a", b"b"))
    for bound, expected in ((2, 1), (3, 1), (4, 2), (6, 3)):
        data = _bytes(log.read(0, max_bytes=9999, upper_bound_offset=bound))
        assert len(data) == expected * size
    assert log.read(2, max_bytes=99, upper_bound_offset=2) is None
    assert log.read(6, max_bytes=99, upper_bound_offset=6) is None
    log.advance_log_start(3)
    for offset in (-1, 2, 7):
        with pytest.raises(KafkaError) as refused:
            log.read(offset, max_bytes=99, upper_bound_offset=6)
        assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    with pytest.raises(KafkaError):
        log.advance_log_start(7)


def test_a_slice_outlives_the_deletion_of_its_segment_and_the_log() -> None:
    home = LogOnDisk(LogConfig(retention_ms=10, file_delete_delay_ms=0))
    log = home.open()
    home.append(log, b"old", timestamp_ms=NOW - 1000)
    log.flush_now()
    piece = log.read(0, max_bytes=99, upper_bound_offset=1)
    assert log.apply_retention(NOW, 1) == 1
    log.remove_deleted_files(NOW)
    assert not [name for name in home.disk.list_directory(DIRECTORY) if "deleted" in name]
    log.close()
    assert b"old" in _bytes(piece)


def test_a_tailing_reader_needs_no_look_into_the_file() -> None:
    """It starts where it stopped, and the bound is where a flush ended, with more behind it."""
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"found by looking")
    _bytes(log.read(0, max_bytes=99, upper_bound_offset=1))
    home.disk.fail("read", "*.log")
    for _ in range(100):
        offset = log.log_end_offset
        home.append(log, b"v" * 100)
        home.append(log, b"v" * 50)
        ticket = log.prepare_flush()
        assert ticket is not None
        home.append(log, b"not yet durable")
        ticket.sync()
        log.complete_flush(ticket)
        for start, bound in ((offset, offset + 2), (offset + 2, offset + 3)):
            piece = log.read(start, max_bytes=1 << 20, upper_bound_offset=bound)
            assert piece is not None
            assert len(piece) > 0
            piece.release()


# --- failing disks ---


@pytest.mark.parametrize("error_number", [errno.ENOSPC, errno.EIO])
def test_a_failed_append_leaves_the_log_as_it_was(error_number: int) -> None:
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    home.append(log, b"kept")
    for operation in ("open", "append"):
        home.disk.fail(operation, "*.log", error_number=error_number)
        with pytest.raises(OSError, match=os.strerror(error_number)):
            home.append(log, b"v" * 120)
        assert values_of(log) == {0: b"kept"}
        home.disk.heal()
    assert home.append(log, b"v" * 120) == 1
    log.close()
    home.checkpoint(log)
    assert home.open(clean=True).log_end_offset == 2


def test_bytes_that_could_not_be_taken_back_fence_the_log_until_they_are_gone() -> None:
    """KAFKA-10778."""
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"kept")
    size = home.disk.status(log.segments.active.log().path).size
    home.disk.fail("append", "*.log", torn=True, count=1)
    home.disk.fail("truncate", "*.log")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            home.append(log, b"torn")
    assert values_of(log) == {0: b"kept"}
    home.disk.heal()
    home.append(log, b"next")
    assert values_of(log) == {0: b"kept", 1: b"next"}
    assert home.disk.status(log.segments.active.log().path).size == 2 * size


def test_a_full_disk_refuses_appends_and_serves_reads() -> None:
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"kept")
    home.disk.capacity_bytes = home.disk.used_bytes + 10
    with pytest.raises(OSError, match="No space left"):
        home.append(log, b"more")
    assert values_of(log) == {0: b"kept"}
    log.flush_now()
    assert log.recovery_point == 1


def test_after_a_failed_fsync_the_log_takes_nothing_more() -> None:
    """The kernel marks the pages clean: a second fsync would succeed without writing them."""
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"durable")
    log.flush_now()
    home.append(log, b"not durable")
    ticket = log.prepare_flush()
    assert ticket is not None
    home.disk.fail("flush", "*.log", count=1)
    with pytest.raises(OSError, match="Input/output error") as failed:
        ticket.sync()
    log.fail_flush(ticket, failed.value)
    assert log.failed is failed.value
    assert log.recovery_point == 1
    assert log.prepare_flush() is None
    for attempt in (log.flush_now, lambda: home.append(log, b"x"), lambda: log.roll(NOW)):
        with pytest.raises(OSError, match="offline until it is opened again"):
            attempt()
    assert len(values_of(log)) == 2
    log.close()
    assert home.disk.durable_content(f"{DIRECTORY}/{0:020d}.log") == bytes(
        _stamped(batch(b"durable"))
    )


def _stamped(data: memoryview) -> memoryview:
    data[8 + 4 : 8 + 8] = bytes(4)  # leader epoch 0
    return data


# --- flushing ---


def test_a_flush_covers_the_old_segments_and_the_directory_before_the_durable_end_moves() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=150))
    log = home.open()
    for _ in range(4):
        home.append(log, b"v" * 80)
    ticket = log.prepare_flush()
    assert ticket is not None
    paths = [file.path.removeprefix(DIRECTORY + "/").lstrip("0") for file in ticket.files]
    assert [path for path in paths if path.endswith(".log")] == [".log", "1.log", "2.log", "3.log"]
    assert ticket.directory == DIRECTORY
    assert log.recovery_point == 0
    home.append(log, b"later")
    ticket.sync()
    log.complete_flush(ticket)
    assert log.recovery_point == 4
    assert log.segments.unflushed == [log.segments.floor(3)]


def test_a_flush_does_not_count_if_a_truncation_came_between() -> None:
    home = LogOnDisk()
    log = home.open()
    for _ in range(3):
        home.append(log, b"a")
    ticket = log.prepare_flush()
    assert ticket is not None
    ticket.sync()
    log.truncate_to(1)
    home.append(log, b"other")
    log.complete_flush(ticket)
    assert log.recovery_point == 0
    log.flush_now()
    assert log.recovery_point == 2


# --- following, epochs, transactions ---


def test_a_follower_appends_what_it_got_and_leaves_a_cut_tail_out() -> None:
    leader_home, home = LogOnDisk(LogConfig(segment_bytes=600)), LogOnDisk()
    leader = leader_home.open()
    for epoch in range(3):
        leader_home.leader_epoch = epoch
        for number in range(5):
            leader_home.append(leader, b"%d.%d" % (epoch, number))
    follower = home.open()
    while follower.log_end_offset < leader.log_end_offset:
        piece = leader.read(follower.log_end_offset, max_bytes=250, upper_bound_offset=15)
        follower.append_as_follower(memoryview(bytearray(_bytes(piece))), now_ms=NOW)
    assert values_of(follower) == values_of(leader)
    assert follower.leader_epochs.entries == leader.leader_epochs.entries
    assert follower.append_as_follower(memoryview(b"cut"), now_ms=NOW) is None
    with pytest.raises(KafkaError):
        follower.append_as_follower(memoryview(bytes(batch(b"offset 0"))), now_ms=NOW)


def test_epochs_are_kept_even_with_nothing_appended_and_answer_where_they_ended() -> None:
    """KAFKA-7415, KIP-279."""
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"a", b"b")
    log.assign_epoch_start(3, 2)
    assert log.end_offset_for_epoch(0) == (0, 2)
    assert log.end_offset_for_epoch(3) == (3, 2)
    assert log.end_offset_for_epoch(4) == (-1, -1)
    log.truncate_to(2)
    assert log.end_offset_for_epoch(3) == (-1, -1)


def test_an_aborted_transaction_is_indexed_and_bounds_the_stable_offset() -> None:
    home = LogOnDisk()
    log = home.open()

    def send(producer_id: int, sequence: int) -> None:
        data = build_batch(
            [Record(0, NOW, None, b"v", ())],
            producer_id=producer_id,
            producer_epoch=0,
            base_sequence=sequence,
            is_transactional=True,
        )
        log.append_as_leader(
            memoryview(data), leader_epoch=0, now_ms=NOW, transactional_id_given=True
        )

    def end(producer_id: int, *, is_commit: bool) -> None:
        marker = build_end_transaction_marker(
            EndTransactionMarker(is_commit=is_commit, coordinator_epoch=1),
            producer_id=producer_id,
            producer_epoch=0,
            timestamp_ms=NOW,
        )
        log.append_as_leader(memoryview(marker), leader_epoch=0, now_ms=NOW, internal=True)

    send(1, 0)
    send(2, 0)
    assert log.last_stable_offset(2) == 0
    end(1, is_commit=True)
    assert log.last_stable_offset(3) == 1
    home.disk.fail("append", "*.log", count=1)
    with pytest.raises(OSError, match="Input/output error"):
        end(2, is_commit=False)
    assert log.aborted_transactions(0, 9) == []
    end(2, is_commit=False)
    assert log.last_stable_offset(4) == 4
    (aborted,) = log.aborted_transactions(0, 9)
    assert (aborted.producer_id, aborted.first_offset, aborted.last_offset) == (2, 1, 3)
    assert log.aborted_transactions(0, 1) == []
    assert log.aborted_transactions(4, 9) == []


# --- rolling and retention ---


def _bases(log: PartitionLog) -> list[int]:
    return [segment.base_offset for segment in log.segments]


def test_a_segment_is_rolled_by_record_time() -> None:
    home = LogOnDisk(LogConfig(segment_ms=1000))
    log = home.open()
    for offset_ms in (0, 500, 1000, 1001, 1500, 2002):
        home.append(log, b"a", timestamp_ms=NOW + offset_ms)
    assert _bases(log) == [0, 3, 5]


def test_a_segment_is_rolled_when_its_index_is_full_or_offsets_do_not_fit() -> None:
    home = LogOnDisk(LogConfig(segment_index_bytes=48, index_interval_bytes=1))
    log = home.open()
    for number in range(10):
        home.append(log, b"a", timestamp_ms=NOW + number)
    assert len(_bases(log)) > 2
    log.truncate_fully_and_start_at(5)
    far = batch(b"far")
    far[:8] = (5 + (1 << 31)).to_bytes(8, "big")
    log.append_as_follower(far, now_ms=NOW)
    assert _bases(log) == [5, 5 + (1 << 31)]
    assert log.read(5, max_bytes=99, upper_bound_offset=1 << 40) is not None


def test_old_records_leave_even_the_active_segment_but_never_past_the_high_watermark() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=200, retention_ms=1000))
    log = home.open()
    for number in range(4):
        home.append(log, b"v" * 100, timestamp_ms=NOW - 5000 + number)
    log.flush_now()
    assert log.apply_retention(NOW, 2) == 2
    assert log.log_start_offset == 2
    assert log.apply_retention(NOW, 4) == 2
    assert (log.log_start_offset, log.log_end_offset, _bases(log)) == (4, 4, [4])
    assert home.append(log, b"next") == 4


def test_deleted_files_wait_before_they_are_removed() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=150, retention_bytes=0, file_delete_delay_ms=60))
    log = home.open()
    for _ in range(3):
        home.append(log, b"v" * 80)
    log.flush_now()
    log.apply_retention(NOW, 3)

    def deleted() -> list[str]:
        return [
            name for name in home.disk.list_directory(DIRECTORY) if name.endswith(".log.deleted")
        ]

    assert len(deleted()) == 3
    log.remove_deleted_files(NOW)
    log.remove_deleted_files(NOW + 59)
    assert len(deleted()) == 3
    log.remove_deleted_files(NOW + 60)
    assert deleted() == []
