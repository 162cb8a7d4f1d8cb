"""The order of segments, and how many of them keep their files open."""

from __future__ import annotations

from log.log_config import LogConfig
from log.segments import MAX_WARM_SEGMENTS
from tests.log.log_harness import DIRECTORY, LogOnDisk


def _home(count: int = 6) -> LogOnDisk:
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    for _ in range(count):
        home.append(log, b"v" * 100)
    log.close()
    home.checkpoint(log)
    return home


def test_an_offset_is_in_the_last_segment_that_starts_at_or_before_it() -> None:
    segments = _home().open().segments
    assert [segments.floor(offset).base_offset for offset in (0, 1, 4, 5, 99)] == [0, 1, 4, 5, 5]
    assert [each.base_offset for each in segments.from_offset(3)] == [3, 4, 5]
    assert segments.after(segments.floor(5)) is None
    following = segments.after(segments.floor(2))
    assert following is not None
    assert following.base_offset == 3


def test_readers_of_old_segments_keep_few_of_them_open() -> None:
    log = _home().open()
    for offset in (0, 1, 2, 3, 4, 5, 0, 3):
        piece = log.read(offset, max_bytes=1, upper_bound_offset=6)
        assert piece is not None
        assert len(piece.source.read_at(piece.position, len(piece))) == len(piece)
        piece.release()
        is_open = [segment._log is not None for segment in log.segments]
        assert sum(is_open[:-1]) <= MAX_WARM_SEGMENTS


def test_deleted_segments_leave_names_that_are_removed_later() -> None:
    home = _home(3)
    log = home.open()
    log.segments.delete(list(log.segments)[:2])
    assert [segment.base_offset for segment in log.segments] == [2]
    names = home.disk.list_directory(DIRECTORY)
    assert sum(name.endswith(".deleted") for name in names) == 6
    log.segments.remove_deleted(now_ms=5, delay_ms=10)
    log.segments.remove_deleted(now_ms=14, delay_ms=10)
    assert home.disk.list_directory(DIRECTORY) == names
    log.segments.remove_deleted(now_ms=15, delay_ms=10)
    assert not [name for name in home.disk.list_directory(DIRECTORY) if "deleted" in name]
