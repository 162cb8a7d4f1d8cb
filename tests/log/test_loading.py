"""What a crash interrupted in a partition's directory is finished as Kafka finishes it."""

from __future__ import annotations

from log.log_config import LogConfig
from tests.log.log_harness import DIRECTORY, LogOnDisk, values_of


def _home() -> LogOnDisk:
    """Segments 0, 1 and 2 of one record each."""
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    for number in range(3):
        home.append(log, b"%d" % number + b"v" * 80)
    log.close()
    home.checkpoint(log)
    return home


def _names(home: LogOnDisk, ending: str) -> list[str]:
    return [name for name in home.disk.list_directory(DIRECTORY) if name.endswith(ending)]


def _copy(home: LogOnDisk, old: str, new: str) -> None:
    file = home.disk.open(f"{DIRECTORY}/{new}", create=True)
    file.append(home.disk.read_file(f"{DIRECTORY}/{old}"))
    file.close()


def test_deleted_cleaned_and_temporary_files_are_removed() -> None:
    home = _home()
    for new in ("7.log.deleted", f"{1:020d}.log.cleaned", f"{1:020d}.index.cleaned", "a.tmp"):
        _copy(home, f"{1:020d}.log", new)
    log = home.open()
    assert len(values_of(log)) == 3
    for ending in (".deleted", ".cleaned", ".tmp"):
        assert not _names(home, ending)


def test_a_swap_file_takes_the_place_of_the_segments_that_it_replaces() -> None:
    home = _home()
    swap = home.disk.open(f"{DIRECTORY}/{0:020d}.log.swap", create=True)
    for base in (0, 1):
        swap.append(home.disk.read_file(f"{DIRECTORY}/{base:020d}.log"))
    swap.close()
    log = home.open()
    assert [segment.base_offset for segment in log.segments] == [0, 2]
    assert [int(value[:1]) for value in values_of(log).values()] == [0, 1, 2]
    assert not _names(home, ".swap")


def test_swap_files_are_dropped_if_the_set_was_not_complete() -> None:
    home = _home()
    _copy(home, f"{1:020d}.log", f"{1:020d}.log.swap")
    _copy(home, f"{0:020d}.log", f"{0:020d}.log.cleaned")
    log = home.open()
    assert [segment.base_offset for segment in log.segments] == [0, 1, 2]
    assert not _names(home, ".swap")


def test_an_index_without_its_log_is_removed() -> None:
    home = _home()
    _copy(home, f"{1:020d}.index", f"{9:020d}.index")
    log = home.open()
    assert log.log_end_offset == 3
    assert f"{9:020d}.index" not in home.disk.list_directory(DIRECTORY)


def test_a_directory_that_is_missing_or_empty_becomes_a_log_at_the_log_start() -> None:
    home = LogOnDisk()
    home.checkpoints.log_start_offset = 42
    log = home.open()
    assert (log.log_start_offset, log.log_end_offset, log.recovery_point) == (42, 42, 42)
    assert home.append(log, b"first") == 42
