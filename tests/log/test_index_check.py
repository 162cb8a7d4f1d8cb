"""What the batches of a segment tell of an entry of its time index."""

from __future__ import annotations

from log.index_check import is_largest, is_whole, place_of_entry
from log.log_config import LogConfig
from log.segment import Segment
from tests.log.log_harness import NOW, LogOnDisk


def _segment(*stamps: int) -> Segment:
    """A batch of one record for each, that many milliseconds after `NOW`."""
    home = LogOnDisk(LogConfig(index_interval_bytes=1))
    log = home.open()
    for stamp in stamps:
        home.append(log, b"v" * 80, timestamp_ms=NOW + stamp)
    return log.segments.first


def _is_largest(segment: Segment, timestamp: int, offset: int) -> bool:
    return is_largest(segment.log(), segment.offset_index, segment.size, timestamp, offset)


def test_only_the_largest_of_all_is_it() -> None:
    for stamps, largest in (((1, 2, 3), 2), ((3, 1, 2), 0), ((1, 3, 2), 1), ((2, 2, 2), 0)):
        segment = _segment(*stamps)
        for offset, stamp in enumerate(stamps):
            if offset and stamp < max(stamps[1 : offset + 1]):
                continue  # no entry: the largest so far lay in the middle
            assert _is_largest(segment, NOW + stamp, offset) == (stamp == stamps[largest])
        assert not _is_largest(segment, NOW + stamps[largest], 3)
        assert not _is_largest(segment, NOW + stamps[largest] + 1, largest)
        assert not _is_largest(segment, -1, 0)


def test_an_entry_is_of_the_batch_with_its_offset_and_its_timestamp() -> None:
    segment = _segment(1, 2, 3)
    log, index, size = segment.log(), segment.offset_index, segment.size
    place = place_of_entry(log, index, size, NOW + 2, 1)
    assert place is not None
    assert (place.base_offset, place.max_timestamp) == (1, NOW + 2)
    assert place_of_entry(log, index, size, NOW + 2, 2) is None
    assert place_of_entry(log, index, size, NOW + 2, 7) is None


def test_a_log_file_is_whole_if_batches_follow_each_other_to_its_end() -> None:
    segment = _segment(1, 2, 3)
    assert is_whole(segment.log(), segment.size, base_offset=0)
    assert not is_whole(segment.log(), segment.size - 1, base_offset=0)
    assert not is_whole(segment.log(), segment.size, base_offset=1)
