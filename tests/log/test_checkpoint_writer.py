"""Checkpoints: what is written when, and what a full disk or a deletion in between does."""

import errno
import random

import pytest

from log.checkpoint_writer import (
    HIGH_WATERMARKS,
    LOG_STARTS,
    OFFSET_FILES,
    RECOVERY_POINTS,
    RESERVE,
    RESERVE_BYTES,
    CheckpointWriter,
    read_or_reset,
)
from log.checkpoints import CheckpointError
from log.leader_epochs import LeaderEpochs
from log.log_config import LogConfig
from log.partition_log import PartitionLog
from simulator.disk import SimulatedDisk
from tests.log.log_harness import NOW, batch

KEY = ("t", 0)


def _writer(capacity_bytes: int | None = None) -> tuple[SimulatedDisk, CheckpointWriter]:
    disk = SimulatedDisk(capacity_bytes=capacity_bytes)
    disk.make_directory("d/t-0")
    return disk, CheckpointWriter(disk, "d")


def _log(disk: SimulatedDisk, topic: str = "t") -> PartitionLog:
    return PartitionLog.open(
        disk,
        f"d/{topic}-0",
        topic=topic,
        partition=0,
        topic_id=bytes(16),
        config=LogConfig(),
        recovery_point=0,
        log_start_offset=0,
        high_watermark=0,
        clean=True,
        now_ms=0,
    )


def _names(writer: CheckpointWriter, log: PartitionLog, high_watermark: int) -> list[str]:
    files = writer.gather({KEY: log}, {KEY: high_watermark})
    return [file.path.removeprefix("d/") for file in files]


def test_only_what_changed_is_written_and_epochs_come_first() -> None:
    disk, writer = _writer()
    log = _log(disk)
    log.assign_epoch_start(3, 0)
    every = ["t-0/leader-epoch-checkpoint", LOG_STARTS, RECOVERY_POINTS, HIGH_WATERMARKS]
    assert _names(writer, log, 0) == every
    writer.write(writer.gather({KEY: log}, {KEY: 0}))
    assert _names(writer, log, 0) == []
    assert _names(writer, log, 1) == [HIGH_WATERMARKS]
    log.assign_epoch_start(4, 0)
    assert _names(writer, log, 0) == ["t-0/leader-epoch-checkpoint"]
    after = disk.crash(random.Random(1))
    assert CheckpointWriter(after, "d").read_offsets(HIGH_WATERMARKS) == {KEY: 0}
    assert LeaderEpochs.load(after, "d/t-0").entries == [(3, 0)]


def test_a_change_between_gathering_and_writing_is_written_the_next_time() -> None:
    disk, writer = _writer()
    log = _log(disk)
    log.assign_epoch_start(1, 0)
    files = writer.gather({KEY: log}, {})
    log.assign_epoch_start(2, 0)
    writer.write(files)
    assert _names(writer, log, 0)[0] == "t-0/leader-epoch-checkpoint"


def test_a_partition_deleted_in_between_is_passed_over() -> None:
    disk, writer = _writer()
    log = _log(disk)
    log.assign_epoch_start(1, 0)
    files = writer.gather({KEY: log}, {KEY: 0})
    disk.rename("d/t-0", "d/gone")
    writer.write(files)
    assert disk.exists(f"d/{RECOVERY_POINTS}")
    assert not disk.exists("d/t-0")


def test_a_failed_write_is_tried_again_the_next_time() -> None:
    disk, writer = _writer()
    log = _log(disk)
    disk.fail("append", "*", count=1)
    files = writer.gather({KEY: log}, {KEY: 0})
    with pytest.raises(OSError, match="error"):
        writer.write(files)
    assert writer.gather({KEY: log}, {KEY: 0}) == files
    writer.write(files)
    assert writer.gather({KEY: log}, {KEY: 0}) == []


def test_a_full_disk_lends_the_reserve_and_gets_the_rest_of_it_back() -> None:
    disk, writer = _writer(RESERVE_BYTES + 100)
    writer.make_reserve()
    writer.make_reserve()
    assert disk.status(f"d/{RESERVE}").size == RESERVE_BYTES
    writer.write_file("d/small", bytes(50))
    writer.write_file("d/large", bytes(1000))
    assert disk.read_file("d/large") == bytes(1000)
    for number in range(20):
        assert disk.status(f"d/{RESERVE}").size > 0.9 * RESERVE_BYTES
        writer.write_file("d/large", bytes(1000 + number))
    with pytest.raises(OSError, match="space") as caught:
        writer.write_file("d/huge", bytes(RESERVE_BYTES))
    assert caught.value.errno == errno.ENOSPC


def test_no_room_for_a_reserve_is_no_reason_not_to_start(caplog: pytest.LogCaptureFixture) -> None:
    disk, writer = _writer(1000)
    writer.make_reserve()
    assert "no room to spare" in caplog.text
    assert not writer.give_up_reserve()
    assert not disk.exists(f"d/{RESERVE}")


def test_a_damaged_checkpoint_is_reported_or_reset(caplog: pytest.LogCaptureFixture) -> None:
    _, writer = _writer()
    assert writer.read_offsets(LOG_STARTS) == {}
    writer.write_file(f"d/{LOG_STARTS}", b"0\n5\n")
    with pytest.raises(CheckpointError, match=LOG_STARTS):
        writer.read_offsets(LOG_STARTS)
    assert read_or_reset(writer, LOG_STARTS) == ({}, False)
    assert "checked from its start" in caplog.text
    writer.write_file(f"d/{LOG_STARTS}", b"0\n1\nt 0 4\n")
    assert read_or_reset(writer, LOG_STARTS) == ({KEY: 4}, True)


def test_a_name_is_forgotten_in_every_file_and_by_what_is_yet_to_be_written() -> None:
    disk, writer = _writer()
    log = _log(disk)
    other = ("other", 0)
    for name in OFFSET_FILES:
        writer.write_file(f"d/{name}", b"0\n2\nother 0 3\nt 0 4\n")
        assert writer.read_offsets(name) == {KEY: 4, other: 3}
    writer.keep([KEY, other])
    late = writer.gather({KEY: log}, {KEY: 9})
    writer.forget([KEY])
    writer.write(late)
    after = CheckpointWriter(disk.crash(random.Random(1)), "d")
    assert [after.read_offsets(name) for name in OFFSET_FILES] == [{other: 3}] * 3


def test_forgetting_a_name_that_is_in_no_file_costs_nothing() -> None:
    disk, writer = _writer()
    before = disk.operation_count
    writer.forget([KEY])
    assert disk.operation_count == before


def test_a_name_in_a_file_whose_writing_failed_half_way_is_forgotten_too() -> None:
    """Renamed, but not known to be durable: the file may hold it or not."""
    disk, writer = _writer()
    log = _log(disk)
    disk.fail("sync_directory", "d")
    with pytest.raises(OSError, match="error"):
        writer.write(writer.gather({KEY: log}, {KEY: 0}))
    disk.heal()
    writer.forget([KEY])
    assert [CheckpointWriter(disk, "d").read_offsets(name) for name in OFFSET_FILES] == [{}] * 3


def test_log_starts_can_be_written_alone_and_only_where_they_have_changed() -> None:
    disk, writer = _writer()
    log = _log(disk)
    writer.write(writer.gather({KEY: log}, {KEY: 0}))
    assert writer.gather_log_starts({KEY: log}) == []
    log.truncate_fully_and_start_at(7)
    (file,) = writer.gather_log_starts({KEY: log})
    assert file.path == f"d/{LOG_STARTS}"
    writer.write([file])
    assert writer.gather_log_starts({KEY: log}) == []
    after = CheckpointWriter(disk.crash(random.Random(1)), "d")
    assert after.read_offsets(LOG_STARTS) == {KEY: 7}
    assert RECOVERY_POINTS in _names(writer, log, 7), "the others have their own time"


def test_the_epochs_of_a_log_are_written_before_its_start() -> None:
    """They begin where the log does: a number that a bit has raised is known by them."""
    disk, writer = _writer()
    log = _log(disk)
    log.append_as_leader(batch(b"a", b"b", b"c"), leader_epoch=0, now_ms=NOW)
    writer.write(writer.gather({KEY: log}, {KEY: 0}))
    log.advance_log_start(2)
    disk.make_directory("d/other-0")
    other = _log(disk, "other")
    other.append_as_leader(batch(b"a"), leader_epoch=3, now_ms=NOW)
    # Of a log whose start has not changed nothing is written: its disk fault would be this one's.
    files = writer.gather_log_starts({KEY: log, ("other", 0): other})
    assert [file.path for file in files] == [
        f"{log.directory}/leader-epoch-checkpoint",
        f"d/{LOG_STARTS}",
    ]
    writer.write(files)
    assert not log.leader_epochs.is_changed
    assert writer.gather_log_starts({KEY: log}) == []
