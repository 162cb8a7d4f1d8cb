"""What a leader acknowledges and shows: only what is durable on every in-sync replica."""

from __future__ import annotations

import dataclasses
import errno
import random

import pytest

from kbroker.cluster.metadata_records import PartitionRecord
from log.log_config import LogConfig
from tests.kbroker.replication.partition_harness import (
    ALONE,
    NODE,
    TWO,
    Stage,
    changed,
    elsewhere,
    next_epoch,
)
from tests.log.log_harness import NOW, LogOnDisk, batch, values_of
from wire.errors import ErrorCode, KafkaError

PAGE_CACHE = LogConfig(flush_messages=2**63 - 1)


def refusal(stage: Stage, **options) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        stage.append(b"refused", **options)
    return refused.value.code


# --- acknowledging ---


@pytest.mark.parametrize("acks", [1, -1])
def test_an_append_is_acknowledged_by_the_flush_that_covers_it(acks: int) -> None:
    stage = Stage()
    wait = stage.append(b"a", acks=acks)
    assert stage.armed
    assert wait.code is None
    ticket = stage.start_flush()
    assert ticket is not None
    ticket.sync()
    assert wait.code is None, "the flush has not been completed"
    stage.partition.complete_flush(ticket)
    assert wait.code == ErrorCode.NONE


@pytest.mark.parametrize("acks", [1, -1])
def test_an_append_during_a_flush_is_acknowledged_by_the_next(acks: int) -> None:
    stage = Stage()
    first = stage.append(b"a", acks=acks)
    ticket = stage.start_flush()
    assert ticket is not None
    second = stage.append(b"b", acks=acks)
    ticket.sync()
    stage.partition.complete_flush(ticket)
    assert (first.code, second.code) == (ErrorCode.NONE, None)
    assert stage.armed
    stage.flush()
    assert second.code == ErrorCode.NONE


@pytest.mark.parametrize("acks", [0, 1, -1])
@pytest.mark.parametrize("internal", [False, True])
def test_every_append_arms_the_flusher(acks: int, internal: bool) -> None:
    stage = Stage()
    stage.append(b"a", acks=acks, internal=internal)
    assert stage.armed
    assert stage.partition.high_watermark == 0
    stage.flush()
    assert stage.partition.high_watermark == 1, "acks=0 is readable once it is durable"


@pytest.mark.parametrize("acks", [1, -1])
def test_with_page_cache_durability_an_append_is_acknowledged_at_once(acks: int) -> None:
    stage = Stage(LogOnDisk(PAGE_CACHE))
    wait = stage.append(b"a", acks=acks)
    assert wait.code == ErrorCode.NONE
    assert stage.partition.high_watermark == 1
    assert not stage.armed


def test_with_page_cache_durability_a_flush_is_due_after_so_many_messages() -> None:
    stage = Stage(LogOnDisk(LogConfig(flush_messages=3)))
    stage.append(b"a")
    stage.append(b"b")
    assert not stage.armed
    stage.append(b"c")
    assert stage.armed
    stage.flush()
    assert stage.partition.log.recovery_point == 3


def test_with_page_cache_durability_a_flush_is_due_after_so_long() -> None:
    stage = Stage(LogOnDisk(dataclasses.replace(PAGE_CACHE, flush_ms=1000)))
    stage.partition.flush_if_overdue(0)
    stage.append(b"a")
    stage.partition.flush_if_overdue(5_000)
    assert not stage.armed, "it is seen to be dirty for the first time"
    stage.partition.flush_if_overdue(5_999)
    assert not stage.armed
    stage.partition.flush_if_overdue(6_000)
    assert stage.armed
    stage.flush()
    stage.append(b"b")
    stage.partition.flush_if_overdue(100_000)
    assert not stage.armed, "the clock starts again with the next append"


def test_a_duplicate_is_acknowledged_with_its_first_and_not_before() -> None:
    stage = Stage()
    again = [batch(b"a", producer_id=7, sequence=0) for _ in range(2)]
    first = stage.wait_for(
        stage.partition.append_as_leader(again[0], now_ms=NOW, required_acks=-1), -1
    )
    stage.armed = False  # as if the flush could not be begun
    second = stage.wait_for(
        stage.partition.append_as_leader(again[1], now_ms=NOW, required_acks=-1), -1
    )
    assert second.result.duplicate
    assert second.result.base_offset == first.result.base_offset
    assert (first.code, second.code) == (None, None)
    assert stage.armed, "whoever waits must have a flush to wait for"
    stage.flush()
    assert (first.code, second.code) == (ErrorCode.NONE, ErrorCode.NONE)


def test_a_refused_batch_changes_nothing() -> None:
    stage = Stage()
    bad = batch(b"a")
    bad[-1] ^= 1
    with pytest.raises(KafkaError):
        stage.partition.append_as_leader(bad, now_ms=1, required_acks=-1)
    assert stage.partition.log.log_end_offset == 0
    assert not stage.armed


# --- durability switched while it runs ---


def test_switching_to_page_cache_durability_acknowledges_what_waits() -> None:
    stage = Stage()
    waits = [stage.append(b"a", acks=1), stage.append(b"b", acks=-1)]
    stage.partition.log.update_config(PAGE_CACHE)
    stage.partition.config_changed()
    assert [wait.code for wait in waits] == [ErrorCode.NONE] * 2


def test_switching_to_flushed_durability_never_takes_the_high_watermark_back() -> None:
    stage = Stage(LogOnDisk(PAGE_CACHE))
    stage.append(b"a")
    stage.partition.log.update_config(LogConfig())
    stage.partition.config_changed()
    assert stage.partition.high_watermark == 1
    assert stage.armed, "what the page cache holds is to be flushed now"
    wait = stage.append(b"b")
    assert wait.code is None
    stage.flush()
    assert wait.code == ErrorCode.NONE


# --- failing disks ---


@pytest.mark.parametrize("acks", [1, -1])
def test_a_failed_flush_fails_all_who_wait_and_is_never_tried_again(acks: int) -> None:
    stage = Stage()
    wait = stage.append(b"a", acks=acks)
    ticket = stage.start_flush()
    assert ticket is not None
    later = stage.append(b"b", acks=acks)
    stage.home.disk.fail("flush", count=1)
    with pytest.raises(OSError, match="Input/output") as failure:
        ticket.sync()
    stage.partition.fail_flush(ticket, failure.value)
    assert (wait.code, later.code) == (ErrorCode.KAFKA_STORAGE_ERROR,) * 2
    assert stage.partition.high_watermark == 0
    assert stage.partition.prepare_flush() is None
    with pytest.raises(OSError, match="offline"):
        stage.append(b"c")


def test_a_full_disk_refuses_the_append_and_takes_the_next_when_there_is_room() -> None:
    stage = Stage()
    stage.append(b"a")
    stage.home.disk.fail("append", error_number=errno.ENOSPC, count=1)
    with pytest.raises(OSError, match="No space"):
        stage.append(b"b")
    wait = stage.append(b"c")
    stage.flush()
    assert wait.code == ErrorCode.NONE
    assert values_of(stage.partition.log) == {0: b"a", 1: b"c"}


# --- leadership ---


def test_losing_leadership_fails_all_who_wait() -> None:
    stage = Stage()
    waits = [stage.append(b"a", acks=1), stage.append(b"b", acks=-1)]
    stage.apply(elsewhere(stage.record))
    assert [wait.code for wait in waits] == [ErrorCode.NOT_LEADER_OR_FOLLOWER] * 2
    assert refusal(stage) == ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_who_steps_down_leads_again_only_in_a_higher_epoch() -> None:
    """Its registration is gone: others may lead already, in an epoch of which it has not heard."""
    stage = Stage(record=TWO)
    wait = stage.append(b"a")
    stage.partition.step_down()
    assert wait.code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert refusal(stage, acks=1) == ErrorCode.NOT_LEADER_OR_FOLLOWER
    stage.apply(changed(stage.record, isr=(NODE,)))
    stage.flush()
    assert not stage.partition.is_leader
    assert stage.partition.high_watermark == 0
    stage.apply(next_epoch(stage.record))
    assert stage.partition.is_leader
    assert stage.partition.high_watermark == 1


def test_a_flush_that_ends_after_leadership_was_lost_acknowledges_nobody() -> None:
    stage = Stage()
    wait = stage.append(b"a")
    ticket = stage.start_flush()
    assert ticket is not None
    stage.apply(elsewhere(stage.record))
    ticket.sync()
    stage.partition.complete_flush(ticket)
    assert wait.code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert stage.partition.high_watermark == 0


def test_a_new_leader_notes_where_its_epoch_starts_with_nothing_appended() -> None:
    stage = Stage()
    stage.append(b"a")
    stage.flush()
    stage.apply(elsewhere(stage.record))
    stage.apply(next_epoch(stage.record))
    assert stage.partition.end_offset_for_epoch(0) == (0, 1)
    assert stage.partition.end_offset_for_epoch(2) == (2, 1)
    assert stage.partition.leader_epoch == 2


def test_an_older_record_is_no_news() -> None:
    """Rule newer-record-only: a watch and an answer may come in any order."""
    stage = Stage(record=dataclasses.replace(ALONE, leader_epoch=4, partition_epoch=7))
    for old in (ALONE, elsewhere(ALONE), changed(ALONE, leader_epoch=9, partition_epoch=7)):
        stage.partition.apply(old)
        assert stage.partition.leader_epoch == 4
        assert stage.partition.is_leader
    with pytest.raises(AssertionError):
        stage.apply(changed(ALONE, leader_epoch=3, partition_epoch=8))


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (-1, None),
        (4, ErrorCode.FENCED_LEADER_EPOCH),
        (5, None),
        (6, ErrorCode.UNKNOWN_LEADER_EPOCH),
        (0, ErrorCode.FENCED_LEADER_EPOCH),
    ],
)
def test_clients_are_fenced_by_epoch_both_ways(known: int, code: ErrorCode | None) -> None:
    stage = Stage(record=dataclasses.replace(ALONE, leader_epoch=5))
    if code is None:
        stage.partition.check_leader(known)
        return
    with pytest.raises(KafkaError) as refused:
        stage.partition.check_leader(known)
    assert refused.value.code == code


def test_who_does_not_lead_says_so_whatever_the_epoch() -> None:
    stage = Stage(record=elsewhere(ALONE))
    for known in (-1, 0, 1, 2):
        with pytest.raises(KafkaError) as refused:
            stage.partition.check_leader(known)
        assert refused.value.code == ErrorCode.NOT_LEADER_OR_FOLLOWER


# --- in-sync replicas (KIP-966) ---


def test_the_high_watermark_waits_for_every_replica_in_sync() -> None:
    stage = Stage(record=TWO)
    wait = stage.append(b"a")
    stage.flush()
    assert wait.code is None
    assert stage.partition.high_watermark == 0
    stage.apply(changed(stage.record, isr=(NODE,)))
    assert wait.code == ErrorCode.NONE, "the other left the set: recomputed at once"
    assert stage.partition.high_watermark == 1


def test_the_high_watermark_waits_for_the_leaders_own_disk_too() -> None:
    """Rule durable-ends: a follower may well be the first to have it on its disk."""
    stage = Stage(record=TWO)
    wait = stage.append(b"a")
    stage.partition.fetched_by_follower(2, 100, 1, 0, now=1.0)
    assert (wait.code, stage.partition.high_watermark) == (None, 0)
    stage.flush()
    assert (wait.code, stage.partition.high_watermark) == (ErrorCode.NONE, 1)


def test_what_a_follower_told_in_a_former_epoch_does_not_count() -> None:
    """Rule ends-of-this-epoch: it may have followed another one since, and cut its log."""
    stage = Stage(record=TWO)
    stage.append(b"a")
    stage.partition.fetched_by_follower(2, 100, 1, 0, now=1.0)
    stage.apply(next_epoch(stage.record))
    stage.flush()
    assert stage.partition.high_watermark == 0
    stage.partition.fetched_by_follower(2, 100, 1, 0, now=2.0)
    assert stage.partition.high_watermark == 1


def test_acks_1_waits_for_the_leaders_own_disk_only() -> None:
    stage = Stage(record=TWO)
    wait = stage.append(b"a", acks=1)
    assert wait.code is None
    stage.flush()
    assert wait.code == ErrorCode.NONE
    assert stage.partition.high_watermark == 0


def test_below_the_minimum_in_sync_acks_all_is_refused_and_nothing_is_committed() -> None:
    lonely = PartitionRecord(
        replicas=(NODE, 2), leader=NODE, leader_epoch=0, isr=(NODE,), min_isr=2
    )
    stage = Stage(record=lonely)
    assert refusal(stage, acks=-1) == ErrorCode.NOT_ENOUGH_REPLICAS
    wait = stage.append(b"a", acks=1)
    stage.flush()
    assert wait.code == ErrorCode.NONE
    assert stage.partition.high_watermark == 0, "too few would know of it"


def test_one_replica_is_enough_where_there_is_only_one() -> None:
    stage = Stage(record=dataclasses.replace(ALONE, min_isr=2))
    wait = stage.append(b"a")
    stage.flush()
    assert wait.code == ErrorCode.NONE


# --- opening ---


@pytest.mark.parametrize("checkpoint", [0, 1, 2, 99])
def test_a_checkpointed_high_watermark_is_kept_within_the_log(checkpoint: int) -> None:
    stage = Stage()
    stage.append(b"a", b"b")
    stage.flush()
    stage.home.checkpoint(stage.partition.log)
    stage.partition.log.close()
    stage.high_watermark = checkpoint
    stage.record = elsewhere(ALONE)  # as a follower: nobody advances it
    stage.open()
    assert stage.partition.high_watermark == min(checkpoint, 2)


def test_what_was_acknowledged_before_a_power_loss_is_there_after_it() -> None:
    for seed in range(20):
        stage = Stage()
        stage.append(b"a")
        stage.append(b"b")
        stage.flush()
        stage.append(b"c")
        stage.power_loss(random.Random(seed))
        values = values_of(stage.partition.log)
        assert values[0] == b"a"
        assert values[1] == b"b"
        assert stage.partition.high_watermark == stage.partition.log.log_end_offset


# --- watching ---


def test_a_watcher_is_called_when_there_is_more_to_read_not_when_it_is_appended() -> None:
    stage = Stage()
    calls: list[int] = []

    def watcher() -> None:
        calls.append(stage.partition.high_watermark)

    stage.partition.watch(watcher)
    stage.append(b"a")
    assert calls == []
    stage.flush()
    assert calls == [1]
    stage.partition.unwatch(watcher)
    stage.partition.unwatch(watcher)
    stage.append(b"b")
    stage.flush()
    assert calls == [1]


@pytest.mark.parametrize("how", ["leadership", "stop", "flush"])
def test_a_watcher_is_called_when_there_will_be_nothing_more(how: str) -> None:
    stage = Stage()
    calls: list[str] = []
    stage.partition.watch(lambda: calls.append(how))
    stage.append(b"a")
    if how == "leadership":
        stage.apply(elsewhere(stage.record))
    elif how == "stop":
        stage.partition.stop(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    else:
        ticket = stage.start_flush()
        assert ticket is not None
        stage.partition.fail_flush(ticket, OSError(errno.EIO, "gone"))
    assert calls == [how]


def test_a_watcher_may_go_while_it_is_called() -> None:
    stage = Stage()
    calls: list[int] = []

    def first() -> None:
        calls.append(1)
        stage.partition.unwatch(first)

    stage.partition.watch(first)
    stage.partition.watch(lambda: calls.append(2))
    for _ in range(2):
        stage.append(b"a")
        stage.flush()
    assert calls == [1, 2, 2]


def test_a_stopped_partition_answers_all_who_wait_and_takes_nothing() -> None:
    stage = Stage()
    wait = stage.append(b"a")
    stage.partition.stop(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert wait.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert refusal(stage) == ErrorCode.NOT_LEADER_OR_FOLLOWER


@pytest.mark.parametrize(
    ("before", "start"), [(0, 0), (1, 1), (2, 2), (-1, 2), (3, None), (-2, None), (2**62, None)]
)
def test_records_are_deleted_up_to_the_high_watermark_and_no_further(
    before: int, start: int | None
) -> None:
    stage = Stage()
    stage.append(b"a")
    stage.append(b"b")
    stage.flush()
    stage.append(b"not durable")
    if start is None:
        with pytest.raises(KafkaError) as caught:
            stage.partition.delete_records(before)
        assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
        assert stage.partition.log.log_start_offset == 0
    else:
        assert stage.partition.delete_records(before) == start
        assert stage.partition.delete_records(0) == start, "nothing comes back"


def test_only_the_leader_deletes_and_not_from_what_is_only_compacted() -> None:
    stage = Stage(LogOnDisk(LogConfig(cleanup_policy=frozenset({"compact"}))))
    with pytest.raises(KafkaError) as caught:
        stage.partition.delete_records(0)
    assert caught.value.code is ErrorCode.POLICY_VIOLATION
    stage.apply(elsewhere(stage.record))
    with pytest.raises(KafkaError) as caught:
        stage.partition.delete_records(0)
    assert caught.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
