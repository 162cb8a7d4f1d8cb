"""Cutting the end off, and every crash in the middle of it."""

from __future__ import annotations

import random

import pytest

from log.log_config import LogConfig
from tests.log.log_harness import DIRECTORY, LogOnDisk, batch, values_of


def _home() -> LogOnDisk:
    """Twelve batches of one producer, two records each, in several segments; all durable."""
    home = LogOnDisk(LogConfig(segment_bytes=300, index_interval_bytes=50))
    log = home.open()
    for number in range(12):
        log.append_as_leader(
            batch(b"%d" % number, b"w" * 50, producer_id=1, sequence=number * 2),
            leader_epoch=number // 4,
            now_ms=home.now_ms,
        )
    log.close()
    home.checkpoint(log)
    home.disk = home.disk.crash(random.Random(0))
    return home


@pytest.mark.parametrize("offset", [0, 1, 7, 8, 13, 23, 24])
def test_everything_derived_is_as_it_was_at_the_new_end(offset: int) -> None:
    home = _home()
    log = home.open()
    log.truncate_to(offset)
    end = offset // 2 * 2
    assert log.log_end_offset == end
    assert log.recovery_point == end
    assert sorted(values_of(log)) == list(range(end))
    assert all(start < end for _, start in log.leader_epochs.entries)
    entry = log.producer_state.entry(1)
    assert (entry.last_sequence if entry else -1) == end - 1
    # The producer goes on where it is now, and nothing of the old end comes back.
    log.append_as_leader(
        batch(b"new", producer_id=1, sequence=end), leader_epoch=9, now_ms=home.now_ms
    )
    log.flush_now()
    home.checkpoint(log)
    home.disk = home.disk.crash(random.Random(offset))
    log = home.open(clean=False)
    assert log.log_end_offset == end + 1
    assert values_of(log)[end] == b"new"
    assert log.leader_epochs.latest == (9, end)


def test_a_full_truncation_starts_anywhere() -> None:
    home = _home()
    log = home.open()
    log.truncate_fully_and_start_at(100)
    assert (log.log_start_offset, log.log_end_offset, log.recovery_point) == (100, 100, 100)
    assert log.leader_epochs.entries == []
    assert log.producer_state.entries == []
    assert home.append(log, b"v") == 100
    log.truncate_to(50)
    assert (log.log_start_offset, log.log_end_offset) == (50, 50)


def test_a_crash_at_any_moment_leaves_the_old_log_or_a_shorter_one_without_a_hole() -> None:
    point = 0
    while True:
        home = _home()
        log = home.open()
        home.disk.power_off_after = home.disk.operation_count + point
        try:
            log.truncate_to(5)
        except OSError:
            assert log.failed is not None
        else:
            break
        for seed in range(5):
            survivor = LogOnDisk(home.config, home.disk.crash(random.Random(seed)))
            survivor.checkpoints = home.checkpoints
            log = survivor.open(clean=False)
            assert log.log_end_offset >= 4
            assert sorted(values_of(log)) == list(range(log.log_end_offset))
        point += 1
    assert point > 5
    assert sorted(values_of(log)) == list(range(4))
    assert f"{0:020d}.log" in home.disk.list_directory(DIRECTORY)
