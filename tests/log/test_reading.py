"""Where a read starts and ends, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from log.log_config import LogConfig
from tests.log.log_harness import DIRECTORY, NOW, LogOnDisk, batch
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import read_header
from wire.records.file_slice import FileSlice


def _bytes(piece: FileSlice | None) -> bytes:
    assert piece is not None
    data = piece.source.read_at(piece.position, len(piece))
    piece.release()
    return data


def test_a_read_starts_at_the_batch_that_contains_the_offset() -> None:
    home = LogOnDisk()
    log = home.open()
    for _ in range(3):
        home.append(log, b"a", b"b", b"c")
    size = len(batch(b"a", b"b", b"c"))
    for offset in range(9):
        data = _bytes(log.read(offset, max_bytes=size, upper_bound_offset=9))
        assert read_header(data).base_offset == offset // 3 * 3


def test_the_first_batch_comes_whole_and_the_last_one_may_be_cut() -> None:
    home = LogOnDisk()
    log = home.open()
    for _ in range(3):
        home.append(log, b"v" * 100)
    size = len(batch(b"v" * 100))
    assert len(_bytes(log.read(0, max_bytes=1, upper_bound_offset=3))) == size
    assert len(_bytes(log.read(0, max_bytes=size + 7, upper_bound_offset=3))) == size + 7
    assert len(_bytes(log.read(0, max_bytes=9999, upper_bound_offset=3))) == 3 * size
    none = log.read(0, max_bytes=size - 1, upper_bound_offset=3, at_least_one_batch=False)
    assert none is None
    whole = log.read(0, max_bytes=size, upper_bound_offset=3, at_least_one_batch=False)
    assert len(_bytes(whole)) == size


def test_a_read_stops_at_the_bound_and_out_of_range_is_refused() -> None:
    home = LogOnDisk()
    log = home.open()
    for _ in range(3):
        home.append(log, b"a", b"b")
    size = len(batch(b"a", b"b"))
    for bound, expected in ((2, 1), (3, 1), (4, 2), (6, 3)):
        data = _bytes(log.read(0, max_bytes=9999, upper_bound_offset=bound))
        assert len(data) == expected * size
    assert log.read(2, max_bytes=99, upper_bound_offset=2) is None
    assert log.read(6, max_bytes=99, upper_bound_offset=6) is None
    log.advance_log_start(3)
    for offset in (-1, 2, 7):
        with pytest.raises(KafkaError) as refused:
            log.read(offset, max_bytes=99, upper_bound_offset=6)
        assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    with pytest.raises(KafkaError):
        log.advance_log_start(7)


def test_a_slice_outlives_the_deletion_of_its_segment_and_the_log() -> None:
    home = LogOnDisk(LogConfig(retention_ms=10, file_delete_delay_ms=0))
    log = home.open()
    home.append(log, b"old", timestamp_ms=NOW - 1000)
    log.flush_now()
    piece = log.read(0, max_bytes=99, upper_bound_offset=1)
    assert log.apply_retention(NOW, 1) == 1
    log.remove_deleted_files(NOW)
    assert not [name for name in home.disk.list_directory(DIRECTORY) if "deleted" in name]
    log.close()
    assert b"old" in _bytes(piece)


def test_a_tailing_reader_needs_no_look_into_the_file() -> None:
    """It starts where it stopped, and the bound is where a flush ended, with more behind it."""
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"found by looking")
    _bytes(log.read(0, max_bytes=99, upper_bound_offset=1))
    home.disk.fail("read", "*.log")
    for _ in range(100):
        offset = log.log_end_offset
        home.append(log, b"v" * 100)
        home.append(log, b"v" * 50)
        ticket = log.prepare_flush()
        assert ticket is not None
        home.append(log, b"not yet durable")
        ticket.sync()
        log.complete_flush(ticket)
        for start, bound in ((offset, offset + 2), (offset + 2, offset + 3)):
            piece = log.read(start, max_bytes=1 << 20, upper_bound_offset=bound)
            assert piece is not None
            assert len(piece) > 0
            piece.release()


@pytest.mark.parametrize("kept", [0, 100, 260])
def test_a_hole_is_refused_where_nothing_is_compacted(kept: int) -> None:
    """A closed segment lost its end on the disk: nobody is to be led past it unawares."""
    for policy in ("delete", "compact"):
        home = LogOnDisk(LogConfig(segment_bytes=300))
        log = home.open()
        for _ in range(6):
            home.append(log, b"v" * 20)
        bases = [segment.base_offset for segment in log.segments]
        log.close()
        home.checkpoint(log)
        file = home.disk.open(f"{DIRECTORY}/{0:020d}.log")
        file.truncate(kept)
        file.close()
        home.config = replace(home.config, cleanup_policy=frozenset({policy}))
        log = home.open(clean=True)
        gone = range(kept // len(batch(b"v" * 20)), bases[1])
        assert len(gone)
        for offset in gone:
            if policy == "compact":
                data = _bytes(log.read(offset, max_bytes=1, upper_bound_offset=6))
                assert read_header(data).base_offset == bases[1]
                continue
            with pytest.raises(KafkaError) as refused:
                log.read(offset, max_bytes=1, upper_bound_offset=6)
            assert refused.value.code == ErrorCode.CORRUPT_MESSAGE
        data = _bytes(log.read(bases[1], max_bytes=1, upper_bound_offset=6))
        assert read_header(data).base_offset == bases[1]
        log.close()
