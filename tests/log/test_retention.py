"""Which segments go, from plain facts."""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass

import pytest

from log.log_config import LogConfig
from log.retention import FAR_FUTURE_MS, plan_retention
from tests.log.log_harness import LogOnDisk, batch, values_of

NOW = 1_000_000
ALWAYS = LogConfig(retention_ms=-1, retention_bytes=-1)


@dataclass(frozen=True, slots=True)
class Facts:
    end_offset: int
    size_bytes: int
    largest_timestamp_ms: int
    modified_ms: int


def _facts(*stamps: int, size: int = 100, modified_ms: int = NOW) -> list[Facts]:
    """Segments of ten offsets each."""
    return [Facts((index + 1) * 10, size, stamp, modified_ms) for index, stamp in enumerate(stamps)]


def _plan(
    segments: list[Facts],
    config: LogConfig,
    *,
    log_start_offset: int = 0,
    high_watermark: int = 1000,
) -> int:
    return plan_retention(
        segments,
        config=config,
        log_start_offset=log_start_offset,
        high_watermark=high_watermark,
        now_ms=NOW,
    )


def test_by_time_from_the_oldest_on_until_one_is_young() -> None:
    config = LogConfig(retention_ms=1000)
    assert _plan(_facts(NOW - 2000, NOW - 1001, NOW - 1000, NOW - 5000), config) == 2
    assert _plan(_facts(NOW - 2000, NOW - 2000), config) == 2
    assert _plan(_facts(NOW - 2000), LogConfig(retention_ms=-1)) == 0


def test_never_at_or_past_the_high_watermark() -> None:
    """KAFKA-5634."""
    config = LogConfig(retention_ms=1000, retention_bytes=0)
    assert _plan(_facts(0, 0, 0), config, high_watermark=29) == 2
    assert _plan(_facts(0, 0, 0), ALWAYS, high_watermark=19, log_start_offset=30) == 1


def test_a_record_from_the_far_future_or_without_time_counts_by_its_file() -> None:
    config = LogConfig(retention_ms=1000)
    future = NOW + FAR_FUTURE_MS + 1
    assert _plan(_facts(future, -1, modified_ms=NOW - 1001), config) == 2
    assert _plan(_facts(future, -1, modified_ms=NOW), config) == 0
    assert _plan(_facts(NOW + 5000, modified_ms=0), config) == 0


def test_by_size_as_long_as_the_rest_is_enough() -> None:
    for limit, count in ((0, 4), (99, 3), (100, 3), (101, 2), (300, 1), (400, 0)):
        config = LogConfig(retention_ms=-1, retention_bytes=limit)
        assert _plan(_facts(1, 2, 3, 4), config) == count


def test_what_lies_below_the_log_start_goes_whatever_the_policy() -> None:
    assert _plan(_facts(1, 2, 3), ALWAYS, log_start_offset=20) == 2
    assert _plan(_facts(1, 2, 3), ALWAYS, log_start_offset=19) == 1
    compact = LogConfig(cleanup_policy=frozenset({"compact"}), retention_ms=0, retention_bytes=0)
    assert _plan(_facts(1, 2, 3), compact, log_start_offset=10) == 1


def test_a_cold_log_is_asked_no_more_than_the_tail_of_a_time_index() -> None:
    """The first pass after a restart must not read the logs and indexes of all segments."""
    home = LogOnDisk(LogConfig(segment_bytes=300, index_interval_bytes=1, retention_ms=1000))
    log = home.open()
    for number in range(12):
        home.append(log, b"v" * 80, timestamp_ms=home.now_ms - 5000 + number * 1000)
    log.close()
    home.checkpoint(log)
    log = home.open(clean=True)
    home.disk.fail("open", "*.log")
    home.disk.fail("open", "*.index")
    assert log.segments.first.largest_timestamp()[0] == home.now_ms - 5000 + 2000 - 1000
    assert [each.largest_timestamp()[0] < 0 for each in log.segments] == [False] * len(log.segments)


def test_a_time_index_whose_tail_says_nothing_plausible_is_rebuilt_before_it_is_believed() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=300, index_interval_bytes=1, retention_ms=1000))
    log = home.open()
    for _ in range(12):
        home.append(log, b"v" * 80)
    log.close()
    home.checkpoint(log)
    path = log.segments.first.path(".timeindex")
    home.disk.corrupt(path, 0, bytes(home.disk.status(path).size))
    log = home.open(clean=True)
    assert log.apply_retention(home.now_ms, 12) == 0
    assert log.segments.first.largest_timestamp()[0] == home.now_ms


@pytest.mark.parametrize("damage", ["lowered", "raised far", "cut"])
def test_a_time_index_that_says_less_than_the_batches_makes_no_segment_go(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A bit of the last entry, or its last entries gone: records went before their time."""
    home = LogOnDisk(LogConfig(segment_bytes=450, index_interval_bytes=1, retention_ms=1000))
    log = home.open()
    for number in range(12):
        home.append(log, b"v" * 80, timestamp_ms=home.now_ms - (1500 if number < 2 else 0))
    log.close()
    home.checkpoint(log)
    path = log.segments.first.path(".timeindex")
    if damage == "cut":
        home.disk.open(path).truncate(12)
    else:
        last = home.disk.status(path).size - 12
        high = home.disk.read_file(path)[last + (4 if damage == "lowered" else 1)]
        home.disk.corrupt(path, last + (4 if damage == "lowered" else 1), bytes([high ^ 0x10]))
    log = home.open(clean=True)
    assert log.segments.first.largest_timestamp()[0] != home.now_ms
    later = home.now_ms + 500
    assert log.apply_retention(later, 12) == 0
    assert log.segments.first.largest_timestamp()[0] == home.now_ms
    assert "the indexes of" in caplog.text
    assert log.apply_retention(later + 1000, 12) > 0


def test_the_indexes_of_a_damaged_segment_are_not_made_of_what_is_left_of_it() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=450, index_interval_bytes=1, retention_ms=1000))
    log = home.open()
    for number in range(12):
        home.append(log, b"v" * 80, timestamp_ms=home.now_ms + number)
    log.close()
    home.checkpoint(log)
    first = log.segments.first
    stamp, last = first.largest_timestamp()
    home.disk.corrupt(first.path(".log"), first.size // 2, bytes(80))
    log = home.open(clean=True)
    log.apply_retention(home.now_ms + 10_000, 1)
    assert log.segments.first.largest_timestamp() == (stamp, last)


@pytest.mark.parametrize("seed", range(30))
def test_a_power_cut_amid_retention_leaves_no_hole_and_no_earlier_end(seed: int) -> None:
    """Of two segments that were renamed only the later one's new name had reached the disk: the
    first was back, ended before the acknowledged end, and offsets were given out once more."""
    home = LogOnDisk(LogConfig(segment_bytes=300, index_interval_bytes=100))
    log = home.open()
    for _ in range(12):
        home.append(log, b"v" * 80)
    log.flush_now()
    log.advance_log_start(12)
    log.apply_retention(home.now_ms, 12)
    home.disk = home.disk.crash(random.Random(seed))
    log = home.open(clean=False)
    assert log.log_end_offset == 12
    held = list(values_of(log))
    assert held == list(range(12 - len(held), 12))


@pytest.mark.parametrize("death", ["stop", "kill", "power"])
def test_producers_outlive_all_of_their_records(death: str) -> None:
    """Who repeats a batch, or goes on behind it, is known although its records were deleted."""
    home = LogOnDisk(LogConfig())
    log = home.open()
    for sequence in range(3):
        log.append_as_leader(
            batch(b"v", producer_id=7, sequence=sequence), leader_epoch=0, now_ms=home.now_ms
        )
    log.flush_now()
    log.advance_log_start(3)
    assert log.apply_retention(home.now_ms, 3) == 1
    home.checkpoint(log)
    before = log.producer_state.entries
    if death == "stop":
        log.close()
    home.disk = home.disk.crash(random.Random(5)) if death == "power" else home.disk.kill()
    log = home.open(clean=death == "stop")
    assert (log.log_start_offset, log.log_end_offset) == (3, 3)
    assert log.producer_state.entries == before
    repeated = log.append_as_leader(
        batch(b"v", producer_id=7, sequence=1), leader_epoch=0, now_ms=home.now_ms
    )
    assert (repeated.duplicate, repeated.base_offset) == (True, 1)


def test_a_clean_stop_makes_up_for_a_snapshot_that_found_no_room() -> None:
    """Retention frees room, so it does not wait for any; a stop has it again."""
    home = LogOnDisk(LogConfig())
    log = home.open()
    log.append_as_leader(batch(b"v", producer_id=7, sequence=0), leader_epoch=0, now_ms=home.now_ms)
    log.flush_now()
    log.advance_log_start(1)
    home.disk.fail("append", "*.snapshot*", error_number=errno.ENOSPC)
    assert log.apply_retention(home.now_ms, 1) == 1
    home.disk.heal()
    before = log.producer_state.entries
    home.checkpoint(log)
    log.close()
    assert home.open(clean=True).producer_state.entries == before
