"""Opening after a crash: a torn tail is cut, damage is refused, what is derived is rebuilt."""

from __future__ import annotations

import errno
import random

import pytest

from log.log_config import LogConfig
from log.recovery import LogDamagedError
from tests.log.log_harness import (
    DIRECTORY,
    Checkpoints,
    LogOnDisk,
    batch,
    values_of,
    values_on_disk,
)
from wire.records.batch import build_batch
from wire.records.control import EndTransactionMarker, build_end_transaction_marker
from wire.records.record import Record

FIRST = f"{DIRECTORY}/00000000000000000000.log"
PAGE_CACHE = 1 << 62


def _home(batches: int = 10, *, flush_messages: int = 1) -> LogOnDisk:
    """A log of equal batches of one record, all durable; the checkpoint says half of that."""
    home = LogOnDisk(LogConfig(index_interval_bytes=100, flush_messages=flush_messages))
    log = home.open()
    for number in range(batches):
        home.append(log, b"value %d" % number)
        if number == batches // 2:
            log.flush_now()
            home.checkpoint(log)
    log.flush_now()
    home.disk = home.disk.kill()
    return home


def _batch_size(home: LogOnDisk) -> int:
    return len(batch(b"value 0"))


def test_a_torn_tail_past_everything_committed_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    home = _home()
    size = home.disk.status(FIRST).size
    file = home.disk.open(FIRST)
    file.append(bytes(batch(b"torn"))[:70])
    file.close()
    log = home.open(clean=False)
    assert log.log_end_offset == log.recovery_point == 10
    assert home.disk.status(FIRST).size == size
    assert "cut a torn tail of 70 bytes at offset 10" in caplog.text
    assert len(values_of(log)) == 10
    log.close()


@pytest.mark.parametrize("damaged", [0, 3, 5])
def test_a_bad_batch_below_the_committed_end_is_refused_by_name(damaged: int) -> None:
    home = _home()
    home.disk.corrupt(FIRST, damaged * _batch_size(home) + 65, b"\xff\xff")
    before = home.disk.read_file(FIRST)
    with pytest.raises(LogDamagedError) as refused:
        home.open(clean=False)
    text = str(refused.value)
    assert f"position {damaged * _batch_size(home)} of {FIRST} (offset {damaged})" in text
    assert "below the committed offset 6" in text
    assert "Restore" in text
    assert "\n" not in text
    assert home.disk.read_file(FIRST) == before
    # The second try says the same; with the loss accepted the log ends before the damage.
    with pytest.raises(LogDamagedError):
        home.open(clean=False)
    log = home.open(clean=False, accept_damage=True)
    assert log.log_end_offset == damaged
    log.close()


def test_a_bad_batch_below_the_hinted_end_is_damage_even_past_the_checkpoint() -> None:
    home = _home()
    home.checkpoints.flushed_end = 9
    home.disk.corrupt(FIRST, 8 * _batch_size(home) + 65, b"\xff\xff")
    with pytest.raises(LogDamagedError, match="below the committed offset 9"):
        home.open(clean=False)
    log = home.open(clean=False, accept_damage=True)
    assert log.log_end_offset == 8
    # Whoever accepted the loss is not asked again, although nothing was checkpointed since.
    assert home.checkpoints.flushed_end == 8
    home.disk = home.disk.crash(random.Random(0))
    assert home.open(clean=False).log_end_offset == 8


@pytest.mark.parametrize(
    ("position", "data"), [(65, b"\xff\xff"), (8, b"\x00\x00\x0f\xff"), (0, bytes(70))]
)
def test_a_hole_past_all_that_was_flushed_is_cut_and_what_is_behind_it_set_aside(
    caplog: pytest.LogCaptureFixture, position: int, data: bytes
) -> None:
    """A power cut leaves unflushed writes in any order. A bad length hides nothing."""
    home = _home()
    home.checkpoints.flushed_end = 8
    cut_at = 8 * _batch_size(home)
    home.disk.corrupt(FIRST, cut_at + position, data)
    cut = home.disk.read_file(FIRST)[cut_at:]
    log = home.open(clean=False)
    assert log.log_end_offset == log.recovery_point == 8
    assert f"cut {len(cut)} bytes at offset 8 ({FIRST}, position {cut_at})" in caplog.text
    aside = f"{DIRECTORY}/{0:020d}.{cut_at}.log.aside"
    assert home.disk.durable_content(aside) == cut
    home.append(log, b"goes on")
    log.flush_now()
    home.disk = home.disk.crash(random.Random(0))
    assert values_of(home.open(clean=False))[8] == b"goes on"
    assert home.disk.read_file(aside) == cut, "loaded by nobody"


def test_segments_behind_a_hole_are_set_aside_whole() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=200, index_interval_bytes=50))
    log = home.open()
    for number in range(6):
        home.append(log, b"value %d" % number + b"v" * 80)
    home.disk = home.disk.kill()
    lost = f"{DIRECTORY}/{2:020d}.log"
    home.disk.corrupt(lost, 65, b"\xff\xff")
    behind = {base: home.disk.read_file(f"{DIRECTORY}/{base:020d}.log") for base in range(3, 6)}
    log = home.open(clean=False)
    assert sorted(values_of(log)) == [0, 1]
    for base, content in behind.items():
        assert home.disk.read_file(f"{DIRECTORY}/{base:020d}.log.aside") == content
    assert home.append(log, b"goes on") == 2


def test_without_room_to_set_aside_the_log_opens_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    home = _home()
    home.disk.corrupt(FIRST, 8 * _batch_size(home) + 65, b"\xff\xff")
    home.disk.capacity_bytes = home.disk.used_bytes
    assert home.open(clean=False).log_end_offset == 8
    assert "there is no room" in caplog.text
    assert not any(name.endswith(".aside") for name in home.disk.list_directory(DIRECTORY))


@pytest.mark.parametrize("left", [0, 9])
def test_records_missing_below_the_hinted_end_are_damage_also_after_a_crash(left: int) -> None:
    home = _home()
    home.checkpoints.flushed_end = 10
    file = home.disk.open(FIRST)
    file.truncate(left * _batch_size(home))
    file.close()
    with pytest.raises(LogDamagedError, match=f"the last {10 - left} records are missing"):
        home.open(clean=False)
    assert home.open(clean=False, accept_damage=True).log_end_offset == left
    assert home.checkpoints.flushed_end == left
    assert home.open(clean=False).log_end_offset == left


def test_a_log_without_any_file_is_damage_where_it_had_flushed_records() -> None:
    home = _home()
    home.checkpoints = Checkpoints(flushed_end=10)
    home.disk.remove(FIRST)
    with pytest.raises(LogDamagedError, match="the last 10 records are missing"):
        home.open(clean=False)


@pytest.mark.parametrize("flush_messages", [1, PAGE_CACHE])
@pytest.mark.parametrize("batches", [0, 9, 9.5])
def test_records_missing_below_the_log_start_are_missed_by_nobody(
    flush_messages: int, batches: float
) -> None:
    """What DeleteRecords took need not have been flushed, and counts as durable."""
    home = _home(flush_messages=flush_messages)
    home.checkpoints = Checkpoints(recovery_point=10, flushed_end=10)
    home.deleted_up_to(10)
    file = home.disk.open(FIRST)
    file.truncate(int(batches * _batch_size(home)))
    file.close()
    log = home.open(clean=False)
    assert (log.log_start_offset, log.log_end_offset) == (10, 10)


def test_a_base_offset_that_does_not_follow_is_damage_although_no_checksum_covers_it() -> None:
    home = _home()
    home.disk.corrupt(FIRST, 3 * _batch_size(home) + 7, b"\x04")
    with pytest.raises(LogDamagedError, match=r"offset 3\) is not valid"):
        home.open(clean=False)


def test_a_log_whose_only_segment_is_gone_is_damage() -> None:
    """After a clean stop too, when the checkpoints alone know of it."""
    home = _home()
    log = home.open(clean=False)
    log.close()
    home.checkpoint(log)
    home.disk.remove(FIRST)
    with pytest.raises(LogDamagedError, match="the last 10 records are missing"):
        home.open(clean=True)
    assert home.open(clean=True, accept_damage=True).log_end_offset == 0


def test_the_last_batch_being_bad_is_a_torn_tail() -> None:
    home = _home()
    home.disk.corrupt(FIRST, 9 * _batch_size(home) + 65, b"\xff\xff")
    log = home.open(clean=False)
    assert log.log_end_offset == 9
    log.close()


def test_with_page_cache_durability_nothing_past_the_recovery_point_was_promised() -> None:
    home = _home(flush_messages=PAGE_CACHE)
    home.checkpoints.high_watermark = 10
    home.disk.corrupt(FIRST, 7 * _batch_size(home) + 65, b"\xff\xff")
    log = home.open(clean=False)
    assert log.log_end_offset == 7
    log.close()


def test_records_missing_after_a_clean_shutdown_are_damage() -> None:
    home = _home()
    log = home.open(clean=False)
    log.close()
    home.checkpoint(log)
    file = home.disk.open(FIRST)
    file.truncate(9 * _batch_size(home))
    file.close()
    with pytest.raises(LogDamagedError, match="the last 1 records are missing"):
        home.open(clean=True)


def test_a_piece_of_an_entry_does_not_put_the_next_ones_askew() -> None:
    """An index cut within its first entry has none: what was appended behind the piece was read as
    other entries, and readers were refused what was there (seed 706)."""
    home = LogOnDisk(LogConfig(index_interval_bytes=100, segment_bytes=1500))
    log = home.open()
    home.append(log, b"value 0")
    home.append(log, b"value 1")
    log.close()
    home.checkpoint(log)
    file = home.disk.open(f"{DIRECTORY}/{0:020d}.index")
    file.truncate(0)
    file.append(b"\0\0\0")
    file.flush()
    log = home.open(clean=True)
    for number in range(2, 40):
        home.append(log, b"value %d" % number)
    log.flush_now()  # rolled segments are closed then; their indexes are read from the disk
    for offset in range(40):
        piece = log.read(offset, max_bytes=1, upper_bound_offset=40)
        assert piece is not None
        assert piece.source.read_at(piece.position, 8) == offset.to_bytes(8, "big")
        piece.release()


@pytest.mark.parametrize("content", [None, b"", b"\0" * 64, b"junk", bytes(range(96))])
@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_a_bad_index_is_rebuilt(suffix: str, content: bytes | None) -> None:
    home = LogOnDisk(LogConfig(index_interval_bytes=100, segment_bytes=1000))
    log = home.open()
    stamps = [home.now_ms + (number * 7919) % 1000 for number in range(40)]
    for number, stamp in enumerate(stamps):
        home.append(log, b"value %d" % number, timestamp_ms=stamp)
    log.close()
    home.checkpoint(log)
    for name in home.disk.list_directory(DIRECTORY):
        if name.endswith(suffix):
            home.disk.remove(f"{DIRECTORY}/{name}")
            if content is not None:
                file = home.disk.open(f"{DIRECTORY}/{name}", create=True)
                file.append(content)
                file.close()
    log = home.open(clean=True)
    assert log.log_end_offset == 40
    for offset in range(40):
        piece = log.read(offset, max_bytes=1, upper_bound_offset=40)
        assert piece is not None
        data = piece.source.read_at(piece.position, len(piece))
        assert int.from_bytes(data[:8], "big") == offset
        piece.release()
        found = log.offset_for_timestamp(stamps[offset])
        assert found is not None
        assert found.offset == next(at for at in range(40) if stamps[at] >= stamps[offset])
    log.close()


def test_recovery_rebuilds_producers_epochs_and_aborted_transactions() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=1000))
    log = home.open()
    for epoch in range(4):
        home.leader_epoch = epoch
        for number in range(4):
            data = batch(b"x" * 50, producer_id=5, sequence=epoch * 4 + number)
            log.append_as_leader(data, leader_epoch=epoch, now_ms=home.now_ms)
        record = Record(0, home.now_ms, None, b"aborted", ())
        data = memoryview(
            build_batch(
                [record],
                producer_id=6,
                producer_epoch=0,
                base_sequence=epoch,
                is_transactional=True,
            )
        )
        log.append_as_leader(
            data, leader_epoch=epoch, now_ms=home.now_ms, transactional_id_given=True
        )
        marker = build_end_transaction_marker(
            EndTransactionMarker(is_commit=epoch == 2, coordinator_epoch=0),
            producer_id=6,
            producer_epoch=0,
            timestamp_ms=home.now_ms,
        )
        log.append_as_leader(
            memoryview(marker), leader_epoch=epoch, now_ms=home.now_ms, internal=True
        )
    expected = (
        log.producer_state.entries,
        log.leader_epochs.entries,
        log.aborted_transactions(0, log.log_end_offset),
        log.last_stable_offset(log.log_end_offset),
    )
    assert len(expected[2]) == 3
    log.flush_now()
    home.checkpoint(log)
    for recovery_point in (0, 11, log.log_end_offset):
        home.disk = home.disk.crash(random.Random(1))
        home.checkpoints.recovery_point = recovery_point
        log = home.open(clean=False)
        assert log.leader_epochs.entries == expected[1]
        assert log.producer_state.entries == expected[0]
        assert log.aborted_transactions(0, log.log_end_offset) == expected[2]
        assert log.last_stable_offset(log.log_end_offset) == expected[3]
        log.flush_now()


def test_a_producer_is_known_whose_last_batch_lies_across_the_log_start() -> None:
    """DeleteRecords went into it, and no snapshot has been written since."""
    home = LogOnDisk()
    log = home.open()
    data = batch(b"deleted", b"served", producer_id=5, sequence=0)
    log.append_as_leader(data, leader_epoch=0, now_ms=home.now_ms)
    log.advance_log_start(1)
    log.roll(home.now_ms)
    log.flush_now()
    for name in home.disk.list_directory(DIRECTORY):
        if name.endswith(".snapshot"):
            home.disk.remove(f"{DIRECTORY}/{name}")
    home.checkpoint(log)
    home.disk = home.disk.kill()
    log = home.open(clean=False)
    again = batch(b"deleted", b"served", producer_id=5, sequence=0)
    result = log.append_as_leader(again, leader_epoch=0, now_ms=home.now_ms)
    assert (result.duplicate, result.base_offset) == (True, 0)


def test_every_crash_point_of_a_workload_keeps_what_was_durable() -> None:
    """Cut the power before each change of the disk, with several outcomes each."""

    def workload(home: LogOnDisk, durable: list[int]) -> None:
        log = home.open()
        for number in range(14):
            home.append(log, b"%d" % number + b"v" * 80)
            if number % 3 == 2:
                log.flush_now()
                durable[0] = max(durable[0], log.recovery_point)
            if number == 7:
                home.checkpoint(log)
        log.close()
        durable[0] = log.log_end_offset

    def home_with(power_off_after: int | None) -> LogOnDisk:
        home = LogOnDisk(LogConfig(segment_bytes=500, index_interval_bytes=100))
        home.disk.power_off_after = power_off_after
        return home

    home = home_with(None)
    workload(home, [0])
    changes = home.disk.operation_count
    assert changes > 50
    for point in range(changes):
        home, durable = home_with(point), [0]
        with pytest.raises(OSError, match="No such device"):
            workload(home, durable)
        for seed in range(3):
            survivor = LogOnDisk(home.config, home.disk.crash(random.Random(seed * 1000 + point)))
            survivor.checkpoints = home.checkpoints
            survivor.checkpoints.flushed_end = durable[0]
            log = survivor.open(clean=False)
            assert log.log_end_offset >= durable[0]
            assert log.log_start_offset == 0 or durable[0] == 0
            found = values_of(log)
            assert found == {at: b"%d" % at + b"v" * 80 for at in found}
            assert found == values_on_disk(survivor.disk)
            log.close()


def test_a_base_offset_beyond_what_a_segment_holds_is_damage() -> None:
    """The checksum does not cover it, and no index can say it."""
    home = _home()
    home.disk.corrupt(FIRST, 8 * _batch_size(home), (1 << 40).to_bytes(8, "big"))
    home.checkpoints.recovery_point = 10
    with pytest.raises(LogDamagedError, match="is not valid"):
        home.open(clean=False)
    log = home.open(clean=False, accept_damage=True)
    assert log.log_end_offset == 8
    log.close()


def test_an_index_is_rebuilt_up_to_a_damaged_offset_of_a_trusted_segment() -> None:
    home = _home()
    home.open(clean=False).close()
    home.disk.corrupt(FIRST, 8 * _batch_size(home), (1 << 40).to_bytes(8, "big"))
    home.disk.corrupt(FIRST.replace(".log", ".index"), 0, b"\xff" * 8)
    log = home.open()
    for offset in range(8):
        piece = log.read(offset, max_bytes=1, upper_bound_offset=log.log_end_offset)
        assert piece is not None
        piece.release()
    log.close()


def test_a_snapshot_that_finds_no_room_does_not_hinder_a_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    home = LogOnDisk(LogConfig(segment_bytes=100))
    log = home.open()
    for number in range(4):
        home.append(log, b"value %d" % number)
    home.disk = home.disk.kill()
    home.disk.fail("append", "*.snapshot*", error_number=errno.ENOSPC)
    assert len(values_of(home.open(clean=False))) == 4
    assert "a snapshot of its producers was not written" in caplog.text
