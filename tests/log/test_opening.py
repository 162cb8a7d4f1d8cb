"""What a log knows when it is open, and that opening it cleanly costs little."""

from __future__ import annotations

import random

import pytest

from log.log_config import LogConfig
from log.recovery import LogDamagedError
from tests.log.log_harness import DIRECTORY, LogOnDisk, batch, values_of


def test_a_clean_log_is_opened_without_a_change_of_the_disk() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=300))
    log = home.open()
    for number in range(20):
        log.append_as_leader(
            batch(b"v", producer_id=1, sequence=number), leader_epoch=2, now_ms=home.now_ms
        )
    log.close()
    home.checkpoint(log)
    names = home.disk.list_directory(DIRECTORY)
    changes = home.disk.operation_count
    log = home.open(clean=True)
    assert log.log_end_offset == log.recovery_point == 20
    assert log.leader_epochs.entries == [(2, 0)]
    entry = log.producer_state.entry(1)
    assert entry is not None
    assert entry.last_sequence == 19
    assert log.prepare_flush() is None
    log.close()
    assert home.disk.operation_count == changes
    assert home.disk.list_directory(DIRECTORY) == names


def test_a_damaged_epoch_file_is_made_again_from_the_batches(
    caplog: pytest.LogCaptureFixture,
) -> None:
    home = LogOnDisk()
    log = home.open()
    for home.leader_epoch in (1, 4):
        home.append(log, b"a", b"b")
    log.close()
    home.checkpoint(log)
    home.disk.corrupt(f"{DIRECTORY}/leader-epoch-checkpoint", 0, b"x")
    log = home.open(clean=True)
    assert log.leader_epochs.entries == [(1, 0), (4, 2)]
    assert "leader epochs are read from the batches" in caplog.text


def test_a_log_that_ends_below_its_start_goes_on_at_the_start() -> None:
    """DeleteRecords was checkpointed, and the records behind it were lost with the page cache."""
    home = LogOnDisk(LogConfig(flush_messages=1 << 62))
    log = home.open()
    home.append(log, b"a", b"b")
    log.close()
    home.deleted_up_to(10)
    log = home.open(clean=False)
    assert (log.log_start_offset, log.log_end_offset, log.recovery_point) == (10, 10, 10)
    assert values_of(log) == {}
    assert home.append(log, b"c") == 10


def test_what_a_killed_process_left_in_the_page_cache_is_durable_before_it_is_served() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    for number in range(5):
        home.append(log, b"%d" % number + b"v" * 80)
    home.disk = home.disk.kill()
    log = home.open(clean=False)
    assert log.recovery_point == 5
    for segment in log.segments:
        path = segment.log().path
        assert home.disk.durable_content(path) == home.disk.read_file(path)


def test_sound_records_below_the_claimed_start_are_set_aside_and_not_destroyed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    for _ in range(3):
        home.append(log, b"v" * 80)
    log.close()
    home.deleted_up_to(10)
    contents = {
        name: home.disk.read_file(f"{DIRECTORY}/{name}")
        for name in home.disk.list_directory(DIRECTORY)
        if name.endswith(".log")
    }
    log = home.open(clean=False)
    assert (log.log_start_offset, log.log_end_offset) == (10, 10)
    assert home.append(log, b"c") == 10
    log.close()
    assert "set aside" in caplog.text
    home.checkpoints.log_start_offset = 10
    again = home.open(clean=False)
    assert values_of(again) == {10: b"c"}
    for name, content in contents.items():
        assert home.disk.read_file(f"{DIRECTORY}/{name}.aside") == content


def test_the_name_of_a_file_that_was_made_before_a_stop_is_durable_with_the_first_record() -> None:
    """Nothing was appended in the life that made it, so nothing was flushed there."""
    for seed in range(8):
        home = LogOnDisk()
        home.open().close()
        home.disk = home.disk.kill()
        log = home.open(clean=True)
        home.append(log, b"acknowledged")
        log.flush_now()
        home.checkpoint(log)
        home.disk = home.disk.crash(random.Random(seed))
        assert values_of(home.open(clean=False)) == {0: b"acknowledged"}


def test_what_a_failed_fsync_left_in_the_page_cache_is_not_believed_by_the_next_process() -> None:
    """The kernel shows the bytes and counts them as written, but a power cut takes them: whoever
    was answered from them would be told of records that are gone later."""
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"flushed")
    log.flush_now()
    home.append(log, b"refused")
    home.disk.fail("flush", "*.log", count=1)
    with pytest.raises(OSError, match="Input/output error"):
        log.flush_now()
    home.disk = home.disk.kill()
    log = home.open(clean=False)
    served = log.recovery_point
    home.disk = home.disk.crash(random.Random(1))
    assert home.open(clean=False).log_end_offset == served == 1


def test_a_missing_epoch_file_is_made_again_from_the_batches() -> None:
    """Without it, whoever asks where an epoch ended would be told that there was none."""
    home = LogOnDisk()
    log = home.open()
    for home.leader_epoch in (1, 4):
        home.append(log, b"a", b"b")
    log.close()
    home.checkpoint(log)
    home.disk.remove(f"{DIRECTORY}/leader-epoch-checkpoint")
    log = home.open(clean=True)
    assert log.leader_epochs.entries == [(1, 0), (4, 2)]


def test_a_log_whose_oldest_file_is_gone_is_refused_after_a_clean_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a crash it may be that retention took it and no checkpoint says so yet."""
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    for _ in range(4):
        home.append(log, b"v" * 80)
    log.close()
    home.checkpoint(log)
    home.disk.remove(f"{DIRECTORY}/{0:020d}.log")
    with pytest.raises(LogDamagedError, match=r"began at offset 0, but the first file .* 0*1\.log"):
        home.open(clean=True)
    for clean in (True, False):
        log = home.open(clean=clean, accept_damage=clean)
        assert log.log_start_offset == 1
        log.segments.close()
    assert "the records before it are gone" in caplog.text


@pytest.mark.parametrize("clean", [True, False])
def test_a_log_start_that_hides_records_is_not_believed(
    clean: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"a", b"b", b"c", b"d")
    log.advance_log_start(1)
    log.close()
    home.checkpoint(log)
    assert home.checkpoints.log_start_offset == 1
    home.checkpoints.log_start_offset = 3  # one bit of the digit
    log = home.open(clean=clean)
    assert log.log_start_offset == 1
    assert "by its checkpoint and at 1 by its leader epochs" in caplog.text


@pytest.mark.parametrize("clean", [True, False])
def test_a_deletion_that_the_checkpoint_has_forgotten_is_said(
    clean: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"a", b"b", b"c", b"d")
    log.advance_log_start(1)
    log.close()
    home.checkpoint(log)
    home.open(clean=clean).close()
    assert not caplog.text
    home.checkpoints.log_start_offset = 0
    assert home.open(clean=clean).log_start_offset == 0
    assert "starts at offset 1 by its leader epochs, but no checkpoint says so" in caplog.text


def test_records_that_are_there_again_have_their_epochs_again() -> None:
    """The epochs are written before the log start: the power went in between (seed 6)."""
    home = LogOnDisk(LogConfig(segment_bytes=100))
    log = home.open()
    for home.leader_epoch in (1, 4):
        home.append(log, b"a", b"b")
    log.flush_now()
    home.checkpoint(log)
    log.advance_log_start(3)
    log.leader_epochs.write_if_changed(home.disk, DIRECTORY)
    home.disk = home.disk.crash(random.Random(1))
    log = home.open(clean=False)
    assert log.log_start_offset == 0
    assert log.leader_epochs.entries == [(1, 0), (4, 2)]
