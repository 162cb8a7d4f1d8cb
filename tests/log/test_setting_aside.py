"""What recovery cuts off behind a hole is kept beside the log, as the disk has room for it."""

from __future__ import annotations

import errno

import pytest

from log.log_config import LogConfig
from log.setting_aside import set_aside
from tests.log.log_harness import DIRECTORY, LogOnDisk, values_of

FIRST = f"{DIRECTORY}/{0:020d}.log"
ASIDE = f"{DIRECTORY}/{0:020d}.100.log.aside"


def _home() -> LogOnDisk:
    home = LogOnDisk(LogConfig(segment_bytes=400))
    log = home.open()
    for _ in range(9):
        home.append(log, b"v" * 80)
    log.close()
    home.checkpoint(log)
    return home


def test_bytes_and_whole_segments_are_kept_durably() -> None:
    home = _home()
    log = home.open()
    segments = list(log.segments)
    assert len(segments) == 5
    whole = home.disk.read_file(segments[3].path(".log"))
    set_aside(home.disk, log.segments, segments[2], 100, segments[3:])
    base = segments[2].base_offset
    kept = home.disk.durable_content(f"{DIRECTORY}/{base:020d}.100.log.aside")
    assert kept == home.disk.read_file(segments[2].path(".log"))[100:]
    assert home.disk.durable_content(f"{segments[3].path('.log')}.aside") == whole
    assert list(log.segments) == segments[:3]


def test_a_later_cut_at_the_same_place_replaces_it() -> None:
    home = _home()
    file = home.disk.open(ASIDE, create=True)
    file.append(bytes(5000))
    file.close()
    log = home.open()
    set_aside(home.disk, log.segments, log.segments.first, 100, [])
    assert home.disk.durable_content(ASIDE) == home.disk.read_file(FIRST)[100:]


@pytest.mark.parametrize("operation", ["open", "append", "flush"])
def test_no_room_is_said_and_costs_the_bytes(
    operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    home = _home()
    log = home.open()
    home.disk.fail(operation, "*.aside", error_number=errno.ENOSPC)
    set_aside(home.disk, log.segments, log.segments.first, 100, [])
    assert "there is no room" in caplog.text
    assert not home.disk.exists(ASIDE)


def test_any_other_error_is_raised() -> None:
    home = _home()
    log = home.open()
    home.disk.fail("append", "*.aside")
    with pytest.raises(OSError, match="Input/output"):
        set_aside(home.disk, log.segments, log.segments.first, 100, [])
    assert len(values_of(log)) == 9
