"""A data directory's life: opened, crashed, left clean, refused, full."""

import copy
import errno
import random
import re
from pathlib import Path

import pytest

from log.checkpoints import decode_uuid, encode_uuid
from log.file_system import OsFileSystem
from log.log_config import LogConfig
from log.log_directory import LogDirectory, LogDirectoryError
from log.recovery import LogDamagedError
from simulator.disk import SimulatedDisk
from wire.records.batch import build_batch, iterate_batches
from wire.records.record import Record, iterate_records

ID_A, ID_B, ID_C = (bytes([n]) * 16 for n in (1, 2, 3))
TOPICS = {"a": ID_A, "b.c-d": ID_B}
CONFIG = LogConfig()
CLEAN = "data/.kafka_cleanshutdown"


def _open(
    disk: SimulatedDisk | OsFileSystem,
    path: str = "data",
    *,
    cluster_id: str | None = "the-cluster",
    node_id: int = 1,
) -> LogDirectory:
    return LogDirectory.open(
        disk,
        path,
        node_id=node_id,
        cluster_id=cluster_id,
        new_cluster_id="a-new-cluster",
        new_directory_id=ID_C,
    )


def _open_logs(
    directory: LogDirectory,
    topics: dict[str, bytes] | None = None,
    *,
    accept_damage: bool = False,
) -> None:
    ids = TOPICS if topics is None else topics
    directory.open_logs(
        config_of=lambda _: CONFIG, topic_ids=ids, now_ms=0, accept_damage=accept_damage
    )


def _start(disk: SimulatedDisk, topics: dict[str, bytes] | None = None) -> LogDirectory:
    directory = _open(disk)
    _open_logs(directory, topics)
    return directory


def _create(directory: LogDirectory, topic: str = "a", partition: int = 0) -> None:
    directory.create_logs(topic, [partition], topic_id=TOPICS[topic], config=CONFIG, now_ms=0)


def _append(directory: LogDirectory, value: bytes, key: tuple[str, int] = ("a", 0)) -> int:
    batch = memoryview(build_batch([Record(0, 1000, None, value)]))
    return directory.logs[key].append_as_leader(batch, leader_epoch=2, now_ms=2000).base_offset


def _values(directory: LogDirectory, key: tuple[str, int] = ("a", 0)) -> list[bytes | None]:
    log = directory.logs[key]
    piece = log.read(0, max_bytes=1 << 20, upper_bound_offset=log.log_end_offset)
    if piece is None:
        return []
    data = piece.source.read_at(piece.position, len(piece))
    piece.release()
    return [
        record.value
        for position, _ in iterate_batches(data)
        for record in iterate_records(data, position, max_decompressed_bytes=1 << 20)
    ]


def test_a_new_directory_takes_the_given_ids_and_keeps_them() -> None:
    disk = SimulatedDisk()
    directory = _open(disk, "deep/data", cluster_id=None)
    assert (directory.cluster_id, directory.directory_id) == ("a-new-cluster", ID_C)
    assert not directory.was_clean
    _open_logs(directory)
    assert directory.close(clean=True, high_watermarks={})
    again = _open(disk.crash(random.Random(1)), "deep/data", cluster_id=None)
    assert again.cluster_id == "a-new-cluster"
    assert again.was_clean


def test_a_directory_in_use_is_refused_in_one_line() -> None:
    disk = SimulatedDisk()
    first = _open(disk)
    with pytest.raises(LogDirectoryError, match=r"^data is in use by another broker$"):
        _open(disk)
    first.close(clean=False, high_watermarks={})
    _open(disk)


def test_two_processes_cannot_share_a_directory(tmp_path: Path) -> None:
    first = _open(OsFileSystem(), str(tmp_path / "data"))
    with pytest.raises(LogDirectoryError, match="in use"):
        _open(OsFileSystem(), str(tmp_path / "data"))
    _open_logs(first)
    assert first.close(clean=True, high_watermarks={})
    second = _open(OsFileSystem(), str(tmp_path / "data"))
    assert second.was_clean
    second.close(clean=False, high_watermarks={})


def test_the_directory_of_another_cluster_or_node_is_refused_and_stays_as_it_is() -> None:
    disk = SimulatedDisk()
    _start(disk).close(clean=True, high_watermarks={})
    with pytest.raises(LogDirectoryError, match="belongs to cluster the-cluster, this broker to x"):
        _open(disk, cluster_id="x")
    with pytest.raises(LogDirectoryError, match="belongs to node 1, this broker is node 2"):
        _open(disk, node_id=2)
    assert disk.exists(CLEAN)
    assert _open(disk).was_clean


def test_partitions_without_meta_properties_belong_to_someone_else() -> None:
    disk = SimulatedDisk()
    disk.make_directory("data/x-0")
    with pytest.raises(LogDirectoryError, match=r"holds partitions .* but no meta.prop") as refused:
        _open(disk)
    assert disk.list_directory("data/x-0") == []
    # What the line says to write is all that it takes.
    lines = re.findall(r"\b[a-z.]+=[\w-]+", str(refused.value))
    file = disk.open("data/meta.properties", create=True)
    file.append("\n".join([*lines, "cluster.id=the-cluster"]).encode())
    file.close()
    assert _open(disk, cluster_id="the-cluster").cluster_id == "the-cluster"


@pytest.mark.parametrize("operation", ["make_directory", "open"])
def test_a_directory_that_cannot_be_written_is_one_line(operation: str) -> None:
    disk = SimulatedDisk()
    disk.fail(operation, error_number=errno.EACCES)
    with pytest.raises(LogDirectoryError, match=r"^data cannot be used: Permission denied$"):
        _open(disk)


def test_damaged_meta_properties_are_one_line_and_give_up_the_lock() -> None:
    disk = SimulatedDisk()
    _open(disk).close(clean=True, high_watermarks={})
    disk.corrupt("data/meta.properties", 0, b"nonsense\n")
    for _ in range(2):
        with pytest.raises(LogDirectoryError, match=r"meta\.properties: expected key=value"):
            _open(disk)


def test_the_clean_shutdown_file_goes_first_and_comes_last() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"x")
    assert not disk.exists(CLEAN)
    assert directory.close(clean=True, high_watermarks={("a", 0): 1})
    assert disk.exists(CLEAN)
    disk.power_off_after = disk.operation_count + 2
    assert _open(disk).was_clean
    after = disk.crash(random.Random(2))
    assert not after.exists(CLEAN), "removed, and that made durable, before anything else"


def test_everything_is_back_after_a_clean_shutdown() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _create(directory, "b.c-d", 7)
    for value in (b"x", b"y"):
        _append(directory, value)
    _append(directory, b"z", ("b.c-d", 7))
    assert directory.close(clean=True, high_watermarks={("a", 0): 2, ("b.c-d", 7): 1})
    again = _start(disk.crash(random.Random(3)))
    assert sorted(again.logs) == [("a", 0), ("b.c-d", 7)]
    assert _values(again) == [b"x", b"y"]
    assert again.high_watermarks == {("a", 0): 2, ("b.c-d", 7): 1}
    assert again.logs["a", 0].topic_id == ID_A
    assert again.logs["a", 0].recovery_point == 2
    assert again.logs["a", 0].leader_epochs.entries == [(2, 0)]


def test_a_flush_that_fails_at_the_end_is_not_called_clean() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"x")
    disk.fail("flush", "*.log")
    assert not directory.close(clean=True, high_watermarks={})
    assert not disk.exists(CLEAN)


def test_a_full_disk_does_not_hinder_a_clean_shutdown() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"x")
    directory.logs["a", 0].flush_now()
    disk.capacity_bytes = disk.used_bytes
    assert directory.close(clean=True, high_watermarks={("a", 0): 1})
    assert disk.exists(CLEAN)


def test_unclean_closing_writes_no_checkpoint() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    assert not directory.close(clean=False, high_watermarks={("a", 0): 0})
    assert not disk.exists(CLEAN)
    assert not disk.exists("data/replication-offset-checkpoint")


def test_a_deleted_partition_cannot_come_back() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"x")
    directory.write_checkpoints({("a", 0): 1})
    directory.delete_logs("a", [0], unique_id=ID_C)
    assert directory.logs == {}
    after = disk.crash(random.Random(4))
    assert f"a-0.{ID_C.hex()}-delete" in after.list_directory("data")
    again = _start(after)
    assert again.logs == {}
    assert [name for name in after.list_directory("data") if name.startswith("a-0")] == []
    _create(again)
    assert _values(again) == []
    assert again.logs["a", 0].log_end_offset == 0


def test_space_of_deleted_partitions_is_freed_on_request() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    for partition in range(2):
        _create(directory, "a", partition)
        directory.delete_logs("a", [partition], unique_id=bytes([partition]) * 16)
    disk.fail("remove", "*-delete", count=1)
    with pytest.raises(OSError, match="error"):
        directory.remove_deleted()
    directory.remove_deleted()
    assert directory.deleted_directories == []
    assert [name for name in disk.list_directory("data") if name.startswith("a-")] == []


def test_what_is_deleted_is_not_flushed() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"x")
    disk.fail("flush", "*.log")
    directory.delete_logs("a", [0], unique_id=ID_C)
    assert directory.logs == {}


def test_the_directory_of_a_deleted_topic_is_left_alone_and_not_opened() -> None:
    """A broker that was down when the topic was deleted must not serve it again."""
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"precious")
    directory.close(clean=True, high_watermarks={})
    again = _start(disk, topics={})
    assert again.logs == {}
    stray = again.strays["a", 0]
    assert (stray.topic_id, stray.reason) == (ID_A, "there is no topic a")
    again.close(clean=True, high_watermarks={})
    assert _values(_start(disk)) == [b"precious"]


def test_a_topic_made_anew_does_not_get_the_records_of_the_old_one() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"old")
    directory.close(clean=True, high_watermarks={})
    again = _start(disk, topics={"a": ID_B})
    assert again.strays["a", 0].reason == "it belongs to an earlier a"
    again.create_logs("a", [0], topic_id=ID_B, config=CONFIG, now_ms=0)
    assert _values(again) == []
    assert disk.exists(f"data/a-0.{ID_A.hex()}-stray/00000000000000000000.log")
    again.close(clean=True, high_watermarks={})
    last = _start(disk, topics={"a": ID_B})
    assert sorted(last.logs) == [("a", 0)]
    assert last.strays == {}


def test_an_empty_directory_without_an_id_is_adopted() -> None:
    disk = SimulatedDisk()
    _start(disk).close(clean=False, high_watermarks={})
    disk.make_directory("data/b.c-d-0")
    again = _start(disk)
    assert again.logs["b.c-d", 0].topic_id == ID_B
    metadata = disk.read_file("data/b.c-d-0/partition.metadata").decode()
    assert decode_uuid(metadata.split()[-1], "") == ID_B


@pytest.mark.parametrize("damage", ["missing", "malformed", "one letter"])
def test_a_partition_of_a_topic_that_exists_is_not_put_aside_because_its_id_is_damaged(
    damage: str,
) -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"x")
    directory.close(clean=True, high_watermarks={("a", 0): 1})
    path = "data/a-0/partition.metadata"
    content = disk.read_file(path)
    if damage == "missing":
        disk.remove(path)
    elif damage == "malformed":
        disk.corrupt(path, 0, b"?")
    else:
        last = len(content) - 4
        disk.corrupt(path, last, bytes([content[last] ^ 1]))
    for _ in range(2):
        refused = _open(disk)
        with pytest.raises(LogDamagedError) as told:
            _open_logs(refused)
        assert path in str(told.value)
        assert encode_uuid(TOPICS["a"]) in str(told.value)
        refused.close(clean=False, high_watermarks={})
    # What it asks for helps; so does accepting the loss, which keeps the files.
    other = copy.deepcopy(disk)
    if other.exists(path):
        other.remove(path)
    file = other.open(path, create=True)
    file.append(content)
    file.close()
    assert _values(_start(other)) == [b"x"]
    accepted = _open(disk)
    _open_logs(accepted, accept_damage=True)
    assert accepted.strays["a", 0].is_damaged


def test_a_stray_partition_keeps_its_checkpoints() -> None:
    """Its records below the log start must stay deleted when the metadata knows it again."""
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    for value in (b"x", b"y"):
        _append(directory, value)
    directory.logs["a", 0].flush_now()
    directory.logs["a", 0].advance_log_start(1)
    directory.close(clean=True, high_watermarks={("a", 0): 2})
    stray = _start(disk, topics={"b.c-d": ID_B})
    _create(stray, "b.c-d")
    assert stray.close(clean=True, high_watermarks={("b.c-d", 0): 0})
    again = _start(disk)
    assert again.logs["a", 0].log_start_offset == 1
    assert again.high_watermarks == {("a", 0): 2, ("b.c-d", 0): 0}


@pytest.mark.parametrize("was_clean", [True, False])
def test_a_start_that_fails_early_leaves_the_checkpoints_alone(was_clean: bool) -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    for partition in range(3):
        _create(directory, "a", partition)
        _append(directory, b"x", ("a", partition))
    marks = {("a", partition): 1 for partition in range(3)}
    directory.close(clean=True, high_watermarks=marks)
    if not was_clean:
        disk.remove(CLEAN)
    failed = _open(disk)
    assert failed.close(clean=True, high_watermarks={}) == was_clean
    failed = _open(disk)
    disk.fail("list", "data/a-1")
    with pytest.raises(OSError, match="error"):
        _open_logs(failed)
    assert failed.gather_checkpoints(marks) == []
    assert failed.close(clean=True, high_watermarks={}) == was_clean
    disk.heal()
    again = _start(disk)
    assert again.was_clean == was_clean
    assert again.high_watermarks == marks
    assert [log.recovery_point for log in again.logs.values()] == [1, 1, 1]


def test_files_that_are_not_ours_are_passed_over() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    disk.make_directory("data/lost+found")
    disk.open("data/metadata.sqlite", create=True).close()
    disk.open("data/a-1", create=True).close()
    directory.close(clean=True, high_watermarks={})
    again = _start(disk)
    assert (again.logs, again.strays) == ({}, {})
    assert disk.exists("data/lost+found")


@pytest.mark.parametrize(
    "name",
    [
        "recovery-point-offset-checkpoint",
        "log-start-offset-checkpoint",
        "replication-offset-checkpoint",
    ],
)
def test_a_damaged_checkpoint_costs_a_recovery_not_the_data(name: str) -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"x")
    directory.close(clean=True, high_watermarks={("a", 0): 1})
    disk.corrupt(f"data/{name}", 0, b"7")
    again = _start(disk)
    assert _values(again) == [b"x"]
    assert _append(again, b"y") == 1


def test_a_topic_that_is_flushed_since_the_crash_promised_no_more_than_was_flushed() -> None:
    """`flush.messages` was altered, the power went before the first flush that this armed: the
    checkpointed high watermark counts records of the page cache."""
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"flushed")
    directory.logs["a", 0].flush_now()
    for value in (b"cached", b"cached too"):
        _append(directory, value)
    directory.write_checkpoints({("a", 0): 3})
    log = f"data/a-0/{0:020d}.log"
    disk = disk.kill()
    disk.corrupt(log, disk.read_file(log).index(b"cached"), b"X")
    assert CONFIG.flush_messages == 1
    assert _values(_start(disk)) == [b"flushed"]


def test_power_loss_at_any_moment_loses_no_flushed_record() -> None:
    """Create, append, flush, checkpoint, close; every change to the disk is once the last."""
    limit = 0
    seen = set()
    while True:
        disk = SimulatedDisk()
        disk.power_off_after = limit
        flushed: list[bytes] = []
        finished = False
        try:
            directory = _start(disk)
            _create(directory)
            for value in (b"1", b"2", b"3"):
                _append(directory, value)
                directory.logs["a", 0].flush_now()
                flushed.append(value)
                directory.write_checkpoints({("a", 0): len(flushed)})
            finished = directory.close(clean=True, high_watermarks={("a", 0): 3})
        except (OSError, LogDirectoryError):
            pass
        after = disk.crash(random.Random(limit))
        again = _start(after)
        if flushed:
            assert _values(again)[: len(flushed)] == flushed
            assert again.logs["a", 0].log_end_offset >= again.high_watermarks.get(("a", 0), 0)
        seen.add(len(flushed))
        if finished:
            assert again.was_clean
            break
        limit += 1
    assert seen == {0, 1, 2, 3}
    assert limit > 20


# --- a name that gets a new owner ---


def _old_topic(disk: SimulatedDisk, *, in_flight: bool = False) -> LogDirectory:
    """A topic of 20 records of which 8 are retired, checkpointed, deleted, and made anew with 3."""
    directory = _start(disk)
    _create(directory)
    for _ in range(20):
        _append(directory, b"old")
    log = directory.logs["a", 0]
    log.flush_now()
    log.advance_log_start(8)
    files = directory.gather_checkpoints({("a", 0): 20})
    if not in_flight:
        directory.checkpoints.write(files)
    directory.delete_logs("a", [0], unique_id=ID_C)
    directory.create_logs("a", [0], topic_id=ID_B, config=CONFIG, now_ms=0)
    if in_flight:
        directory.checkpoints.write(files)
    for _ in range(3):
        _append(directory, b"new")
    return directory


@pytest.mark.parametrize("in_flight", [False, True], ids=["written", "still being written"])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_a_topic_made_anew_does_not_start_from_the_checkpoints_of_the_old_one(
    in_flight: bool, seed: int | None
) -> None:
    disk = SimulatedDisk()
    _old_topic(disk, in_flight=in_flight).logs["a", 0].flush_now()
    after = disk.kill() if seed is None else disk.crash(random.Random(seed))
    again = _start(after, topics={"a": ID_B})
    assert _values(again) == [b"new"] * 3
    assert again.high_watermarks == {}
    assert again.logs["a", 0].leader_epochs.entries == [(2, 0)]


def test_a_torn_tail_of_a_topic_made_anew_is_no_damage() -> None:
    disk = SimulatedDisk()
    _old_topic(disk).logs["a", 0].flush_now()
    disk.open("data/a-0/00000000000000000000.log").append(b"\0" * 7 + b"torn")
    assert _values(_start(disk.kill(), topics={"a": ID_B})) == [b"new"] * 3


def test_checkpoints_of_a_directory_that_is_gone_do_not_outlive_it() -> None:
    """Deleted, and killed before the next checkpoint; the new topic is made by the next life."""
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    for _ in range(5):
        _append(directory, b"old")
    directory.logs["a", 0].flush_now()
    directory.write_checkpoints({("a", 0): 5})
    directory.delete_logs("a", [0], unique_id=ID_C)
    second = disk.kill()
    again = _start(second, topics={"a": ID_B})
    again.create_logs("a", [0], topic_id=ID_B, config=CONFIG, now_ms=0)
    _append(again, b"new")
    last = _start(second.kill(), topics={"a": ID_B})
    assert _values(last) == [b"new"]
    assert last.high_watermarks == {}


def test_a_flush_under_way_touches_nothing_of_the_topic_made_anew() -> None:
    """Neither a snapshot of the old producers nor an old segment appears in the new directory."""
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    old = directory.logs["a", 0]
    _append(directory, b"old")
    old.roll(0)
    _append(directory, b"old")
    ticket = old.prepare_flush()
    assert ticket is not None
    assert ticket.snapshots
    directory.delete_logs("a", [0], unique_id=ID_C)
    directory.create_logs("a", [0], topic_id=ID_B, config=CONFIG, now_ms=0)
    names = disk.list_directory("data/a-0")
    ticket.sync()
    old.complete_flush(ticket)
    assert disk.list_directory("data/a-0") == names
    assert old.prepare_flush() is None
    assert _values(directory) == []


def test_a_flush_of_a_deleted_partition_succeeds_and_lets_go_of_its_files() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    old = directory.logs["a", 0]
    _append(directory, b"old")
    ticket = old.prepare_flush()
    assert ticket is not None
    directory.delete_logs("a", [0], unique_id=ID_C)
    directory.remove_deleted()
    ticket.sync()
    old.complete_flush(ticket)
    assert [name for name in disk.list_directory("data") if name.startswith("a")] == []
    with pytest.raises(OSError, match=r"Bad file descriptor"):
        ticket.files[0].read_at(0, 1)


def test_a_directory_that_could_not_be_renamed_does_not_become_the_new_topic() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    _create(directory)
    _append(directory, b"old")
    disk.fail("rename", "data/a-0")
    with pytest.raises(OSError, match="error"):
        directory.delete_logs("a", [0], unique_id=ID_C)
    disk.heal()
    directory.create_logs("a", [0], topic_id=ID_B, config=CONFIG, now_ms=0)
    assert _values(directory) == []
    assert disk.exists(f"data/a-0.{ID_A.hex()}-stray")


@pytest.mark.parametrize("operation", ["make_directory", "append", "rename", "sync_directory"])
def test_a_full_disk_leaves_no_half_made_partition(operation: str) -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    disk.fail(operation, "data/b.c-d-1*", error_number=errno.ENOSPC)
    with pytest.raises(OSError, match="space"):
        directory.create_logs("b.c-d", [0, 1], topic_id=ID_B, config=CONFIG, now_ms=0)
    assert directory.logs == {}
    assert [name for name in disk.list_directory("data") if name.startswith("b")] == []
    disk.heal()
    directory.create_logs("b.c-d", [0, 1], topic_id=ID_B, config=CONFIG, now_ms=0)
    assert sorted(directory.logs) == [("b.c-d", 0), ("b.c-d", 1)]


def test_partitions_that_are_made_together_share_a_sync() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    before = disk.operation_count
    directory.create_logs("a", [0], topic_id=ID_A, config=CONFIG, now_ms=0)
    one = disk.operation_count - before
    directory.create_logs("a", range(1, 11), topic_id=ID_A, config=CONFIG, now_ms=0)
    assert disk.operation_count - before - one == 10 * (one - 1) + 1
    before = disk.operation_count
    directory.delete_logs("a", range(11), unique_id=ID_C)
    assert disk.operation_count - before == 11 + 1
