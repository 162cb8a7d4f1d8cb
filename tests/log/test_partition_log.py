"""One log by example: what an append, a read, a failing disk and a cut do."""

from __future__ import annotations

import random

import pytest

from log.log_config import LogConfig
from log.partition_log import PartitionLog
from simulator.disk_image import DiskImage, take
from tests.log.log_harness import DIRECTORY, NOW, LogOnDisk, batch
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


def _bases(log: PartitionLog) -> list[int]:
    return [segment.base_offset for segment in log.segments]


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


def test_offsets_go_on_after_everything_was_retired_and_power_was_lost() -> None:
    """Whatever of the renames a crash keeps, no offset that was read is given out again."""
    for seed in range(60):
        home = LogOnDisk(LogConfig(segment_bytes=200, retention_bytes=0))
        log = home.open()
        for _ in range(6):
            home.append(log, b"v" * 60)
        log.flush_now()
        home.checkpoint(log)
        assert log.apply_retention(home.now_ms, 6) > 1
        home.disk = home.disk.crash(random.Random(seed))
        assert home.open(clean=False).log_end_offset == 6


def test_offsets_go_on_where_power_is_lost_while_all_that_is_flushed_is_retired() -> None:
    """The next segment's name has to be durable before the last flushed segment goes."""
    home = LogOnDisk(LogConfig(segment_bytes=200, retention_ms=1000))
    log = home.open()
    home.append(log, b"v" * 80)
    log.flush_now()
    home.append(log, b"v" * 80)
    assert (len(log.segments), log.recovery_point) == (2, 1)
    images: list[DiskImage] = []
    home.disk.observe = lambda operation, path, size: images.append(take(home.disk))
    log.apply_retention(home.now_ms + 5000, log.recovery_point)
    assert log.log_start_offset == 1
    for image in [*images, take(home.disk)]:
        for bits in image.outcomes(50, random.Random(0)):
            survivor = LogOnDisk(home.config, image.disk(bits))
            assert survivor.open(clean=False).log_end_offset >= 1
