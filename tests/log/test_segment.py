"""When a segment is full; its pieces are tested with the whole log."""

from __future__ import annotations

from log.log_config import LogConfig
from log.partition_log import PartitionLog
from tests.log.log_harness import NOW, LogOnDisk, batch


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
    assert log.read(5 + (1 << 31), max_bytes=99, upper_bound_offset=1 << 40) is not None
