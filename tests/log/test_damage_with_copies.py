"""Damage where others have a copy: cut, made anew or set aside, and always noted before that."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from log.checkpoints import TopicPartition
from log.log_config import LogConfig
from log.log_directory import LogDirectory, LogDirectoryError
from log.recovery import LogDamagedError
from simulator.disk import SimulatedDisk
from tests.log.log_harness import NOW, batch

ID = bytes([1]) * 16
TOPICS = {"a": ID}
DAMAGED, SOUND = ("a", 0), ("a", 1)
SEGMENT = "data/a-0/00000000000000000000.log"
CONFIG = LogConfig(segment_bytes=300)


def everywhere(key: TopicPartition) -> bool:
    return True


def _start(
    disk: SimulatedDisk,
    has_copies: Callable[[TopicPartition], bool] = everywhere,
    *,
    accept_damage: bool = False,
) -> LogDirectory:
    directory = LogDirectory.open(
        disk, "data", node_id=1, cluster_id="c", new_cluster_id="c", new_directory_id=bytes(16)
    )
    try:
        directory.open_logs(
            config_of=lambda _: CONFIG,
            topic_ids=TOPICS,
            now_ms=NOW,
            accept_damage=accept_damage,
            has_copies=has_copies,
        )
    except LogDamagedError:
        directory.close(clean=True, high_watermarks={})
        raise
    return directory


def _ends(directory: LogDirectory) -> dict[TopicPartition, int]:
    return {key: log.log_end_offset for key, log in directory.logs.items()}


def _named(directory: LogDirectory) -> list[int]:
    return [number for number in range(4) if (ID, number) in directory.damaged]


def _left(*, clean: bool) -> SimulatedDisk:
    """Two partitions of 12 records each in several segments, all flushed, and noted as that."""
    disk = SimulatedDisk()
    directory = _start(disk)
    directory.create_logs("a", [0, 1], topic_id=ID, config=CONFIG, now_ms=NOW)
    for log in directory.logs.values():
        for number in range(12):
            log.append_as_leader(batch(b"%d" % number), leader_epoch=2, now_ms=NOW)
        ticket = log.prepare_flush()
        assert ticket is not None
        ticket.sync()
        directory.flushed_ends.note([ticket])
        log.complete_flush(ticket)
    directory.write_checkpoints({DAMAGED: 12, SOUND: 12})
    if clean:
        directory.close(clean=True, high_watermarks={DAMAGED: 12, SOUND: 12})
    return disk.kill()


def _files(disk: SimulatedDisk) -> dict[str, bytes]:
    """What the logs consist of."""
    paths = [f"data/{name}" for name in disk.list_directory("data") if name.startswith("a-")]
    return {
        f"{path}/{name}": disk.content(f"{path}/{name}")
        for path in paths
        for name in disk.list_directory(path)
        if name.endswith(".log")
    }


def _flip_bits(disk: SimulatedDisk) -> None:
    """In a record of the last segment, which every start reads, or of the first after a crash."""
    logs = [name for name in disk.list_directory("data/a-0") if name.endswith(".log")]
    path = f"data/a-0/{max(logs)}"
    disk.corrupt(path, disk.status(path).size - 1, b"\xff")


def _flip_length(disk: SimulatedDisk) -> None:
    logs = [name for name in disk.list_directory("data/a-0") if name.endswith(".log")]
    disk.corrupt(f"data/a-0/{max(logs)}", 8, b"\x7f")


def _remove_directory(disk: SimulatedDisk) -> None:
    disk.remove_tree("data/a-0")
    disk.sync_directory("data")


def _damage_id(disk: SimulatedDisk) -> None:
    disk.corrupt("data/a-0/partition.metadata", 0, b"?")


def _remove_last(disk: SimulatedDisk) -> None:
    logs = [name for name in disk.list_directory("data/a-0") if name.endswith(".log")]
    disk.remove(f"data/a-0/{max(logs)}")
    disk.sync_directory("data/a-0")


def _remove_first(disk: SimulatedDisk) -> None:
    disk.remove(SEGMENT)
    disk.sync_directory("data/a-0")


CRASHED = [_flip_bits, _flip_length, _remove_directory, _damage_id, _remove_last]
CLEAN = [_flip_length, _remove_directory, _damage_id, _remove_last, _remove_first]
CASES = [(each, False) for each in CRASHED] + [(each, True) for each in CLEAN]
each_case = pytest.mark.parametrize(
    ("damage", "clean"), CASES, ids=[f"{each.__name__} {clean}" for each, clean in CASES]
)
Damage = Callable[[SimulatedDisk], None]


@each_case
def test_damage_costs_one_partition_its_records_and_is_noted(damage: Damage, clean: bool) -> None:
    disk = _left(clean=clean)
    damage(disk)
    directory = _start(disk)
    assert _ends(directory)[SOUND] == 12
    assert _ends(directory).get(DAMAGED, 0) < 12
    assert _named(directory) == [0]
    if DAMAGED not in directory.logs:
        directory.create_logs("a", [0], topic_id=ID, config=CONFIG, now_ms=NOW)
    # What is fetched now is what the log holds: an old promise of more is none any more.
    (log,) = [log for key, log in directory.logs.items() if key == DAMAGED]
    end = log.append_as_leader(batch(b"again"), leader_epoch=3, now_ms=NOW).base_offset + 1
    log.flush_now()
    again = _start(disk.kill())
    assert _ends(again)[DAMAGED] == end
    assert _named(again) == [0], "nobody was told"
    again.damaged.told()
    assert again.close(clean=True, high_watermarks={})
    assert _named(_start(disk.kill())) == []


@each_case
def test_whoever_has_the_only_copy_is_refused_and_nothing_stays_open(
    damage: Damage, clean: bool
) -> None:
    disk = _left(clean=clean)
    damage(disk)
    before = _files(disk)
    for _ in range(2):
        with pytest.raises(LogDamagedError):
            _start(disk, lambda key: key == SOUND)
        assert +disk.open_files == {}
    assert _files(disk) == before


@each_case
def test_a_loss_that_a_person_accepts_is_noted_too(damage: Damage, clean: bool) -> None:
    disk = _left(clean=clean)
    damage(disk)
    directory = _start(disk, lambda key: False, accept_damage=True)
    assert _named(directory) == [0]


@pytest.mark.parametrize(("damage", "clean"), [each for each in CASES if each[0] != _remove_first])
def test_no_power_cut_makes_a_damaged_partition_look_sound(damage: Damage, clean: bool) -> None:
    """`lossy-until-admitted`: before every single change of the disk that the start makes.

    Or the log is not there, which tells as much. That a beginning is missing only a start after a
    clean stop can tell, and it is that one which the power cut ends.
    """
    changes = 0
    while True:
        disk = _left(clean=clean)
        damage(disk)
        begun = disk.operation_count
        disk.power_off_after = begun + changes
        with contextlib.suppress(OSError, LogDirectoryError):
            _start(disk)
        if not disk.is_dead:
            break
        again = _start(disk.crash(random.Random(changes)))
        assert _named(again) == [0] or DAMAGED not in again.logs, changes
        changes += 1
    assert changes > 3


def test_a_log_without_its_beginning_begins_anew_and_the_rest_is_kept() -> None:
    """A leader sends what comes behind the end: the beginning would be missing for ever."""
    disk = _left(clean=True)
    _remove_first(disk)
    directory = _start(disk)
    assert DAMAGED not in directory.logs
    directory.create_logs("a", [0], topic_id=ID, config=CONFIG, now_ms=NOW)
    log = directory.logs[DAMAGED]
    assert (log.log_start_offset, log.log_end_offset) == (0, 0)
    (aside,) = [name for name in disk.list_directory("data") if name.endswith("-stray")]
    assert any(name.endswith(".log") for name in disk.list_directory(f"data/{aside}"))


def test_where_the_note_cannot_be_written_nothing_is_cut() -> None:
    disk = _left(clean=False)
    _flip_length(disk)
    before = _files(disk)
    disk.fail("append", "*damaged*")
    with pytest.raises(OSError, match="Input/output"):
        _start(disk)
    assert _files(disk) == before
