"""A partition's directory that is gone as a whole is missed, and an interrupted making is not."""

from __future__ import annotations

import pytest

from log.log_config import LogConfig
from log.log_directory import LogDirectory
from log.recovery import LogDamagedError
from simulator.disk import SimulatedDisk
from tests.log.log_harness import NOW, batch

FIRST, SECOND = bytes([1]) * 16, bytes([2]) * 16


def _directory(disk: SimulatedDisk) -> LogDirectory:
    return LogDirectory.open(
        disk, "data", node_id=1, cluster_id="c", new_cluster_id="c", new_directory_id=bytes(16)
    )


def _open_logs(
    directory: LogDirectory, topic_id: bytes = FIRST, *, accept_damage: bool = False
) -> None:
    directory.open_logs(
        config_of=lambda _: LogConfig(),
        topic_ids={"a": topic_id},
        now_ms=NOW,
        accept_damage=accept_damage,
    )


def _start(
    disk: SimulatedDisk, topic_id: bytes = FIRST, *, accept_damage: bool = False
) -> LogDirectory:
    directory = _directory(disk)
    _open_logs(directory, topic_id, accept_damage=accept_damage)
    return directory


def _create(directory: LogDirectory, topic_id: bytes = FIRST) -> None:
    directory.create_logs("a", [0], topic_id=topic_id, config=LogConfig(), now_ms=NOW)


def _with_records(disk: SimulatedDisk) -> LogDirectory:
    """Two records, flushed and noted as by the broker."""
    directory = _start(disk)
    _create(directory)
    log = directory.logs["a", 0]
    log.append_as_leader(batch(b"a", b"b"), leader_epoch=0, now_ms=NOW)
    ticket = log.prepare_flush()
    assert ticket is not None
    ticket.sync()
    directory.flushed_ends.note([ticket])
    log.complete_flush(ticket)
    return directory


def _refused(disk: SimulatedDisk) -> None:
    """Each time: a refused start leaves the directory as clean as it was."""
    for _ in range(2):
        directory = _directory(disk)
        with pytest.raises(LogDamagedError) as told:
            _open_logs(directory)
        directory.close(clean=True, high_watermarks={})
        assert str(told.value).startswith("data/a-0 is missing, which had records up to offset 2.")


@pytest.mark.parametrize("end", ["stop", "kill", "kill after an idle life"])
def test_a_start_without_the_directory_of_flushed_records_is_refused(
    end: str, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SimulatedDisk()
    directory = _with_records(disk)
    if end != "kill":
        assert directory.close(clean=True, high_watermarks={("a", 0): 2})
    if end == "kill after an idle life":
        _start(disk)
    if end != "stop":
        disk = disk.kill()
    disk.remove_tree("data/a-0")
    _refused(disk)
    # The loss can be accepted, once.
    accepted = _start(disk, accept_damage=True)
    assert "a-0 begins anew, empty" in caplog.text
    _create(accepted)
    disk = disk.kill()
    assert _start(disk).logs["a", 0].log_end_offset == 0


def test_what_was_never_made_or_is_empty_is_not_missed(caplog: pytest.LogCaptureFixture) -> None:
    disk = SimulatedDisk()
    _start(disk).close(clean=False, high_watermarks={})
    directory = _start(disk)
    _create(directory)
    assert directory.close(clean=True, high_watermarks={("a", 0): 0})
    disk.remove_tree("data/a-0")
    _create(_start(disk))
    disk = disk.kill()
    disk.remove_tree("data/a-0")
    assert _start(disk).logs == {}
    assert not caplog.text


def test_a_topic_that_took_the_name_of_a_deleted_one_is_not_missed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Killed before it was made: the checkpoints, which know names only, still speak of the old."""
    disk = SimulatedDisk()
    directory = _with_records(disk)
    directory.write_checkpoints({("a", 0): 2})
    directory.delete_logs("a", [0], unique_id=bytes(16))
    again = _start(disk.kill(), SECOND)
    assert again.logs == {}
    assert "unless it is of a topic that was deleted and made anew" in caplog.text
    _create(again, SECOND)


def test_a_deleted_stray_is_not_missed_when_its_name_is_taken() -> None:
    disk = SimulatedDisk()
    assert _with_records(disk).close(clean=True, high_watermarks={("a", 0): 2})
    directory = _start(disk, SECOND)
    directory.delete_stray("a", 0, unique_id=bytes(16))
    assert directory.close(clean=True, high_watermarks={})
    assert _start(disk, SECOND).logs == {}
