"""The hint of flushed ends: true whatever a crash leaves of it, sharp after a kill, no matter if
it cannot be written."""

from __future__ import annotations

import errno
import random

import pytest

from log.checkpoint_writer import CheckpointWriter
from log.flushed_ends import (
    ENTRY_BYTES,
    FLUSHED_ENDS,
    MAX_BYTES,
    FlushedEnds,
    decode_entries,
    encode_entry,
    key_of,
)
from log.log_config import LogConfig
from log.log_directory import LogDirectory
from log.partition_log import PartitionLog
from log.recovery import LogDamagedError
from simulator.disk import SimulatedDisk
from tests.log.log_harness import NOW, batch, values_of

IDS = {"a": b"a" * 16, "b": b"b" * 16}
PATH = f"data/{FLUSHED_ENDS}"
FIRST = f"data/a-0/{0:020d}.log"


def _start(
    disk: SimulatedDisk,
    *,
    topics: str = "ab",
    accept_damage: bool = False,
    flush_messages: int = 1,
) -> LogDirectory:
    directory = LogDirectory.open(
        disk, "data", node_id=1, cluster_id="c", new_cluster_id="c", new_directory_id=bytes(16)
    )
    directory.open_logs(
        config_of=lambda _: LogConfig(flush_messages=flush_messages),
        topic_ids={topic: IDS[topic] for topic in topics},
        now_ms=NOW,
        accept_damage=accept_damage,
    )
    return directory


def _create(directory: LogDirectory, topic: str) -> PartitionLog:
    (log,) = directory.create_logs(
        topic, [0], topic_id=IDS[topic], config=LogConfig(flush_messages=1), now_ms=NOW
    )
    return log


def _append(log: PartitionLog, *values: bytes) -> None:
    for value in values:
        log.append_as_leader(batch(value), leader_epoch=0, now_ms=NOW)


def _flush(directory: LogDirectory, *logs: PartitionLog) -> None:
    """One round of the flusher."""
    tickets = [log.prepare_flush() for log in logs]
    for ticket in tickets:
        assert ticket is not None
        ticket.sync()
    directory.flushed_ends.note([ticket for ticket in tickets if ticket is not None])
    for log, ticket in zip(logs, tickets, strict=True):
        assert ticket is not None
        log.complete_flush(ticket)


def _ends(disk: SimulatedDisk) -> dict[bytes, int]:
    return decode_entries(disk.read_file(PATH)) if disk.exists(PATH) else {}


def test_a_round_of_flushes_is_one_append_with_an_entry_for_each_partition() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    logs = [_create(directory, topic) for topic in "ab"]
    _append(logs[0], b"1")
    _append(logs[1], b"1", b"2")
    _flush(directory, *logs)
    assert _ends(disk) == {key_of(IDS["a"], 0): 1, key_of(IDS["b"], 0): 2}
    _append(logs[0], b"2")
    ticket = logs[0].prepare_flush()
    assert ticket is not None
    ticket.sync()
    before = disk.operation_count
    directory.flushed_ends.note([ticket])
    assert disk.operation_count == before + 1, "no fsync of its own"
    assert disk.status(PATH).size == 3 * ENTRY_BYTES
    assert logs[0].recovery_point == 1, "noted before anybody is answered"


def test_of_torn_missing_and_foreign_entries_the_rest_is_true() -> None:
    entries = [encode_entry(b"k" * 20, end) for end in (3, 5, 9)]
    whole = b"".join(entries)
    assert decode_entries(whole) == {b"k" * 20: 9}
    assert decode_entries(whole[:-1]) == {b"k" * 20: 5}
    assert decode_entries(entries[0] + bytes(32) + entries[1]) == {b"k" * 20: 5}
    assert decode_entries(bytes(64)) == {}
    for position in range(32):
        torn = bytearray(entries[2])
        torn[position] ^= 0x10
        assert decode_entries(entries[0] + bytes(torn)) == {b"k" * 20: 3}


def test_an_end_rises_only_where_the_recovery_point_does() -> None:
    """A truncation that came between, or a log that failed."""
    disk = SimulatedDisk()
    directory = _start(disk)
    log = _create(directory, "a")
    _append(log, b"1", b"2", b"3")
    ticket = log.prepare_flush()
    assert ticket is not None
    ticket.sync()
    log.truncate_to(1)
    directory.flushed_ends.note([ticket])
    log.complete_flush(ticket)
    assert _ends(disk) == {}


def test_after_a_kill_it_is_exact_and_a_rotten_batch_is_refused() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    log = _create(directory, "a")
    for value in (b"1", b"2", b"3"):
        _append(log, value)
        _flush(directory, log)
    size = log.size_bytes
    disk = disk.kill()
    disk.corrupt(FIRST, size - 2, b"\xff\xff")
    with pytest.raises(LogDamagedError, match="below the committed offset 3"):
        _start(disk)
    disk = disk.kill()
    directory = _start(disk, accept_damage=True)
    assert values_of(directory.logs["a", 0]) == {0: b"1", 1: b"2"}
    # The accepted loss is durable before the cut: the next start asks nobody.
    again = _start(disk.crash(random.Random(3)))
    assert values_of(again.logs["a", 0]) == {0: b"1", 1: b"2"}


@pytest.mark.parametrize("seed", range(8))
def test_a_power_loss_during_a_start_does_not_take_what_a_kill_left(seed: int) -> None:
    """The word of a kill is exact; that of a power loss is not (seed 5477)."""
    disk = SimulatedDisk()
    directory = _start(disk)
    log = _create(directory, "a")
    _append(log, b"one", b"two")
    _flush(directory, log)
    known = decode_entries(disk.read_file(PATH))
    disk = disk.kill()
    directory = LogDirectory.open(
        disk, "data", node_id=1, cluster_id="c", new_cluster_id="c", new_directory_id=bytes(16)
    )
    directory.flushed_ends.read()
    disk.sync_directory("data")  # as the start goes on, before it opens a log
    disk = disk.crash(random.Random(seed))
    assert decode_entries(disk.read_file(PATH)) == known


def test_what_was_cut_from_the_page_cache_is_not_missed_once_the_topic_is_flushed() -> None:
    disk = SimulatedDisk()
    directory = _start(disk, flush_messages=1000)
    log = _create(directory, "a")
    _append(log, b"1", b"2", b"3")
    _flush(directory, log)
    disk = disk.kill()
    disk.corrupt(FIRST, log.size_bytes - 2, b"\xff\xff")
    directory = _start(disk, flush_messages=1000)
    assert directory.logs["a", 0].log_end_offset == 2
    again = _start(disk.kill())
    assert values_of(again.logs["a", 0]) == {0: b"1", 1: b"2"}


def test_an_end_the_page_cache_lost_is_not_missed_once_the_topic_is_flushed() -> None:
    """Also where a checkpoint told of it, and the next one was not written yet."""
    disk = SimulatedDisk()
    directory = _start(disk, flush_messages=1000)
    log = _create(directory, "a")
    _append(log, b"1", b"2")
    size = log.size_bytes
    _append(log, b"3")
    _flush(directory, log)
    directory.write_checkpoints({("a", 0): 3})
    disk = disk.kill()
    file = disk.open(FIRST)
    file.truncate(size)
    file.close()
    assert _start(disk, flush_messages=1000).logs["a", 0].log_end_offset == 2
    again = _start(disk.crash(random.Random(1)))
    assert values_of(again.logs["a", 0]) == {0: b"1", 1: b"2"}


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_power_cut_leaves_of_it_is_a_lower_bound(seed: int) -> None:
    chance = random.Random(seed)
    disk = SimulatedDisk()
    directory = _start(disk)
    logs = {topic: _create(directory, topic) for topic in "ab"}
    durable = dict.fromkeys(logs, 0)
    for _ in range(chance.randrange(30)):
        topic = chance.choice("ab")
        _append(logs[topic], b"x" * chance.randrange(300))
        if chance.random() < 0.6:
            _flush(directory, logs[topic])
        elif chance.random() < 0.2:
            logs[topic].truncate_to(chance.randrange(logs[topic].log_end_offset + 1))
        durable[topic] = logs[topic].recovery_point
    disk = disk.crash(chance)
    for topic in "ab":
        assert _ends(disk).get(key_of(IDS[topic], 0), 0) <= durable[topic]
    directory = _start(disk)
    for topic in "ab":
        assert directory.logs[topic, 0].log_end_offset >= durable[topic]


def test_a_truncation_is_durable_in_every_file_before_a_record_goes() -> None:
    point = 0
    while True:
        disk = SimulatedDisk()
        directory = _start(disk)
        log = _create(directory, "a")
        for number in range(6):
            _append(log, b"%d" % number)
            _flush(directory, log)
        directory.write_checkpoints({("a", 0): 6})
        disk.power_off_after = disk.operation_count + point
        finished = True
        try:
            log.truncate_to(2)
            _append(log, b"new", b"newer")
        except OSError:
            finished = False
        for seed in range(4):
            again = _start(disk.crash(random.Random(seed)))
            assert again.logs["a", 0].log_end_offset >= 2
        if finished:
            break
        point += 1
    assert point > 8


def test_it_is_bounded_and_keeps_what_is_newest_of_each_partition() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    busy, idle = (_create(directory, topic) for topic in "ab")
    _append(idle, b"1")
    _flush(directory, idle)
    largest = 0
    for number in range(MAX_BYTES // ENTRY_BYTES + 10):
        busy.log_end_offset = number + 1  # as if appended: only the numbers count here
        ticket = busy.flushing.prepare(number + 1)
        directory.flushed_ends.note([ticket])
        busy.complete_flush(ticket)
        largest = max(largest, disk.status(PATH).size)
    assert largest <= MAX_BYTES
    assert disk.status(PATH).size < 20 * ENTRY_BYTES
    assert _ends(disk) == {key_of(IDS["a"], 0): number + 1, key_of(IDS["b"], 0): 1}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE])
def test_a_hint_that_cannot_be_written_harms_nobody(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    log = _create(directory, "a")
    for operation in ("open", "append"):
        disk.fail(operation, PATH, error_number=number, torn=operation == "append")
    for value in (b"1", b"2"):
        _append(log, value)
        _flush(directory, log)
    assert log.recovery_point == 2
    assert caplog.text.count("is not written") == 1
    disk.heal()
    _append(log, b"3")
    _flush(directory, log)
    assert _ends(disk) == {key_of(IDS["a"], 0): 3}


def test_one_that_cannot_be_read_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    log = _create(directory, "a")
    _append(log, b"1")
    _flush(directory, log)
    disk = disk.kill()
    disk.fail("read", PATH)
    assert values_of(_start(disk).logs["a", 0]) == {0: b"1"}
    assert "cannot be read" in caplog.text


def test_a_clean_shutdown_leaves_none_and_a_clean_start_heeds_none() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    log = _create(directory, "a")
    _append(log, b"1")
    _flush(directory, log)
    assert directory.close(clean=True, high_watermarks={("a", 0): 1})
    assert not disk.exists(PATH)
    # Kafka ran meanwhile, on an old copy, and stopped cleanly.
    file = disk.open(PATH, create=True)
    file.append(encode_entry(key_of(IDS["a"], 0), 7))
    file.close()
    _start(disk)
    assert _ends(disk) == {key_of(IDS["a"], 0): 1}, "by the checkpoint"
    assert _start(disk.kill()).logs["a", 0].log_end_offset == 1


def test_an_end_that_is_cut_short_does_not_shift_what_follows() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    log = _create(directory, "a")
    _append(log, b"1")
    _flush(directory, log)
    disk = disk.kill()
    file = disk.open(PATH)
    file.append(b"torn")
    file.close()
    directory = _start(disk)
    log = directory.logs["a", 0]
    _append(log, b"2")
    _flush(directory, log)
    assert _ends(disk) == {key_of(IDS["a"], 0): 2}


def test_what_is_known_of_a_deleted_topic_goes_and_of_a_stray_stays() -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    for topic in "ab":
        log = _create(directory, topic)
        _append(log, b"1")
        _flush(directory, log)
    directory.delete_logs("b", [0], unique_id=bytes(16))
    disk = disk.kill()
    directory = _start(disk, topics="")
    assert _ends(disk) == {key_of(IDS["a"], 0): 1}
    log = _create(directory, "b")
    assert log.flushing.flushed_end.end_offset == 0


def test_an_end_is_lowered_durably_or_not_at_all() -> None:
    disk = SimulatedDisk()
    disk.make_directory("data")
    ends = FlushedEnds(CheckpointWriter(disk, "data"))
    file = disk.open(PATH, create=True)
    file.append(encode_entry(b"k" * 20, 8))
    file.close()
    ends.read()
    disk.fail("flush", f"{PATH}*")
    with pytest.raises(OSError, match="Input/output"):
        ends.lower(b"k" * 20, 3)
    disk.heal()
    ends.lower(b"k" * 20, 3)
    assert _ends(disk.crash(random.Random(0))) == {b"k" * 20: 3}
    before = disk.operation_count
    FlushedEnds(CheckpointWriter(disk, "data")).lower(b"k" * 20, 3)
    assert disk.operation_count == before


def test_a_kill_while_it_begins_anew_costs_nothing() -> None:
    point = 0
    while True:
        disk = SimulatedDisk()
        directory = _start(disk)
        directory.flushed_ends.max_bytes = 5 * ENTRY_BYTES
        log = _create(directory, "a")
        told = 0
        disk.power_off_after = disk.operation_count + point
        try:
            for number in range(8):
                _append(log, b"%d" % number)
                _flush(directory, log)
                told = told if disk.is_dead else log.recovery_point
        except OSError:
            pass
        assert _ends(disk.kill()).get(key_of(IDS["a"], 0), 0) >= told
        if told == 8:
            break
        point += 1
    assert point > 8


def test_an_old_end_that_cannot_be_replaced_is_removed() -> None:
    disk = SimulatedDisk()
    directory = _start(disk, flush_messages=1000)
    log = _create(directory, "a")
    _append(log, b"1", b"2", b"3")
    _flush(directory, log)
    disk = disk.kill()
    disk.corrupt(FIRST, log.size_bytes - 2, b"\xff\xff")
    disk.fail("append", f"{PATH}*", error_number=errno.ENOSPC)
    assert _start(disk, flush_messages=1000).logs["a", 0].log_end_offset == 2
    again = _start(disk.kill())
    assert values_of(again.logs["a", 0]) == {0: b"1", 1: b"2"}


@pytest.mark.parametrize("clean", [True, False])
def test_a_stop_lets_go_of_the_file(clean: bool) -> None:
    disk = SimulatedDisk()
    directory = _start(disk)
    log = _create(directory, "a")
    _append(log, b"one")
    _flush(directory, log)
    assert disk.open_files[PATH] == 1
    directory.close(clean=clean, high_watermarks={})
    assert disk.open_files[PATH] == 0
