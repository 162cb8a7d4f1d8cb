"""What a flush covers, and what becomes of one that fails."""

from __future__ import annotations

import pytest

from log.log_config import LogConfig
from tests.log.log_harness import DIRECTORY, NOW, LogOnDisk, batch, values_of


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


def test_a_flush_covers_the_old_segments_and_the_directory_before_the_durable_end_moves() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=150))
    log = home.open()
    for _ in range(4):
        home.append(log, b"v" * 80)
    ticket = log.prepare_flush()
    assert ticket is not None
    paths = [file.path.removeprefix(DIRECTORY + "/").lstrip("0") for file in ticket.files]
    assert [path for path in paths if path.endswith(".log")] == [".log", "1.log", "2.log", "3.log"]
    assert (ticket.directory.path, ticket.directory_is_changed) == (DIRECTORY, True)
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
