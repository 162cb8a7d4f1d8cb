"""Offsets by time, over segments, compressed batches and a log start in the middle."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log.log_config import LogConfig
from tests.log.log_harness import NOW, LogOnDisk
from wire.records.batch import build_batch
from wire.records.compression import Compression
from wire.records.record import Record


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), max_size=15),
    start=st.integers(0, 60),
    wanted=st.integers(-1, 45),
    codec=st.sampled_from([Compression.NONE, Compression.LZ4]),
)
def test_the_first_record_that_is_late_enough_and_the_latest_one(
    batches: list[list[int]], start: int, wanted: int, codec: Compression
) -> None:
    home = LogOnDisk(LogConfig(segment_bytes=300, index_interval_bytes=50))
    log = home.open()
    for number, stamps in enumerate(batches):
        records = [Record(at, NOW + stamp, None, b"v", ()) for at, stamp in enumerate(stamps)]
        data = memoryview(build_batch(records, compression=codec))
        log.append_as_leader(data, leader_epoch=number, now_ms=NOW)
    flat = [(stamp, number) for number, stamps in enumerate(batches) for stamp in stamps]
    log.advance_log_start(min(start, len(flat)))
    late = [at for at, (stamp, _) in enumerate(flat) if stamp >= wanted and at >= start]
    found = log.offset_for_timestamp(NOW + wanted)
    if late:
        assert found == (late[0], NOW + flat[late[0]][0], flat[late[0]][1])
    else:
        assert found is None
    latest = log.offset_of_max_timestamp()
    if flat:
        largest = max(stamp for stamp, _ in flat)
        first = next(at for at, (stamp, _) in enumerate(flat) if stamp == largest)
        assert latest == (first, NOW + largest, flat[first][1])
    else:
        assert latest is None
    log.close()


@pytest.mark.parametrize("clean", [True, False])
def test_times_are_known_after_a_restart(clean: bool) -> None:
    home = LogOnDisk(LogConfig(segment_bytes=300))
    log = home.open()
    for number in range(20):
        home.append(log, b"v", timestamp_ms=NOW + number * 7 % 20)
    expected = [log.offset_for_timestamp(NOW + stamp) for stamp in range(21)]
    log.close()
    home.checkpoint(log)
    log = home.open(clean=clean)
    assert [log.offset_for_timestamp(NOW + stamp) for stamp in range(21)] == expected
    assert log.offset_of_max_timestamp() == expected[19]


@pytest.mark.parametrize("position", [4, 7, 12 + 4, 12 + 7, -12 + 4, -12 + 7])
def test_a_time_index_that_a_bit_has_changed_misleads_no_look_up(position: int) -> None:
    home = LogOnDisk(LogConfig(segment_bytes=600, index_interval_bytes=1))
    log = home.open()
    for number in range(20):
        home.append(log, b"v" * 60, timestamp_ms=NOW + number * 40)
    wanted = [NOW + stamp for stamp in range(0, 900, 20)]
    expected = [log.offset_for_timestamp(stamp) for stamp in wanted]
    latest = log.offset_of_max_timestamp()
    log.close()
    home.checkpoint(log)
    for segment in log.segments:
        for bit in (1, 64):
            damaged = LogOnDisk(home.config, copy.deepcopy(home.disk), home.checkpoints)
            path = segment.path(".timeindex")
            content = damaged.disk.read_file(path)
            at = position % len(content)
            damaged.disk.corrupt(path, at, bytes([content[at] ^ bit]))
            again = damaged.open(clean=True)
            assert [again.offset_for_timestamp(stamp) for stamp in wanted] == expected
            if segment is log.segments.active:
                assert again.offset_of_max_timestamp() == latest
