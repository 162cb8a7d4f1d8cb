"""A follower's log: what it takes over from its leader, and what it cuts."""

from __future__ import annotations

import pytest

from log.log_config import LogConfig
from tests.kbroker.replication.partition_harness import changed
from tests.kbroker.replication.replicas_harness import (
    NOTHING,
    THREE,
    Replica,
    catch_up,
    fetch,
    read,
)
from tests.log.log_harness import NOW, LogOnDisk, batch
from wire.errors import ErrorCode, KafkaError

PAGE_CACHE = LogConfig(flush_messages=2**63 - 1)
LED_BY_0 = changed(THREE, isr=(0, 1))
LED_BY_1 = changed(LED_BY_0, leader=1, leader_epoch=2)
LED_BY_0_AGAIN = changed(LED_BY_1, leader=0, leader_epoch=3)


def pair(config: LogConfig | None = None) -> tuple[Replica, Replica]:
    """Leader 0 and follower 1 of three; broker 2 is out of the ISR."""
    first, second = (Replica(node, LED_BY_0, LogOnDisk(config or LogConfig())) for node in (0, 1))
    return first, second


def test_records_are_the_followers_once_they_are_flushed_and_committed_once_it_says_so() -> None:
    leader, follower = pair()
    leader.append(b"a")
    leader.append(b"b")
    leader.flush()
    fetch(follower, leader)
    assert (follower.end, follower.partition.durable_end_offset) == (2, 0)
    assert follower.armed, "whoever appends arms the flush"
    fetch(follower, leader)
    assert leader.partition.high_watermark == 0, "it told its durable end, not its log end"
    follower.flush()
    fetch(follower, leader)
    assert leader.partition.high_watermark == 2
    assert follower.partition.high_watermark == 0, "the answer was made before"
    fetch(follower, leader)
    assert follower.partition.high_watermark == 2
    assert follower.values == leader.values == [b"a", b"b"]
    assert follower.epochs() == leader.epochs() == [(1, 0)]


def test_with_page_cache_durability_an_append_is_durable_at_once() -> None:
    leader, follower = pair(PAGE_CACHE)
    leader.append(b"a")
    fetch(follower, leader)
    fetch(follower, leader)
    assert leader.partition.high_watermark == 1
    assert not follower.armed


def test_the_high_watermark_never_passes_the_followers_own_durable_end() -> None:
    leader, follower = pair()
    leader.append(b"a")
    records = read(leader.partition.log, 0, 1)
    following = follower.partition.followed_in(1)
    following.append(records, leader_high_watermark=9, leader_log_start=0, now_ms=NOW)
    assert follower.partition.high_watermark == 0
    follower.flush()
    assert follower.partition.high_watermark == 1, "taken over as soon as it can be"
    following.append(NOTHING, leader_high_watermark=0, leader_log_start=0, now_ms=NOW)
    assert follower.partition.high_watermark == 0, "a new leader may know less"


def test_what_the_leader_deleted_is_deleted_here_as_far_as_it_is_committed() -> None:
    leader, follower = pair()
    for value in (b"a", b"b", b"c"):
        leader.append(value)
    leader.flush()
    catch_up(follower, leader)
    leader.partition.delete_records(2)
    assert leader.partition.low_watermark({0, 1, 2}) == 0
    assert leader.partition.low_watermark({0, 1}) == 0
    fetch(follower, leader)
    assert follower.partition.log.log_start_offset == 2
    fetch(follower, leader)
    assert leader.partition.low_watermark({0, 1}) == 2
    following = follower.partition.followed_in(1)
    following.append(NOTHING, leader_high_watermark=3, leader_log_start=77, now_ms=NOW)
    assert follower.partition.log.log_start_offset == 3


def test_an_answer_of_another_epoch_is_dropped() -> None:
    """KAFKA-7786, 13207."""
    leader, follower = pair()
    for epoch in (0, 2):
        with pytest.raises(KafkaError) as refused:
            follower.partition.followed_in(epoch)
        assert refused.value.code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    with pytest.raises(KafkaError):
        leader.partition.followed_in(1)
    follower.apply(changed(follower.record, leader=-1, leader_epoch=2))
    assert not follower.partition.is_follower
    follower.apply(changed(follower.record, leader=2, leader_epoch=3))
    assert follower.partition.is_follower
    assert follower.partition.followed_in(3).leader == 2
    with pytest.raises(KafkaError):
        follower.partition.followed_in(1)
    follower.partition.stop(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    with pytest.raises(KafkaError):
        follower.partition.followed_in(3)


def test_records_that_do_not_continue_the_log_are_refused_and_change_nothing() -> None:
    leader, follower = pair()
    leader.append(b"a")
    following = follower.partition.followed_in(1)
    offsets = {"leader_high_watermark": 0, "leader_log_start": 0, "now_ms": NOW}
    following.append(read(leader.partition.log, 0, 1), **offsets)
    follower.flush()
    damaged = bytearray(read(leader.partition.log, 0, 1))
    damaged[-1] ^= 1
    for records in (read(leader.partition.log, 0, 1), memoryview(damaged)):
        with pytest.raises(KafkaError):
            following.append(records, **offsets)
        assert (follower.end, follower.armed) == (1, False)


def test_a_deposed_leader_cuts_what_nobody_else_has_and_takes_what_the_next_one_wrote() -> None:
    old, new = pair()
    old.append(b"a")
    old.flush()
    catch_up(new, old)
    fetch(new, old)
    old.append(b"only here")
    old.append(b"and this")
    old.flush()
    for each in (old, new):
        each.apply(LED_BY_1)
    new.append(b"instead")
    new.flush()
    assert new.partition.high_watermark == 1
    fetch(old, new)
    assert old.end == 1, "cut by the epochs"
    assert old.partition.high_watermark == 1
    catch_up(old, new)
    assert old.values == new.values == [b"a", b"instead"]
    assert old.epochs() == new.epochs() == [(1, 0), (2, 1)]


def test_an_epoch_that_was_led_without_an_append_is_forgotten_by_a_follower() -> None:
    """Else older epochs, which come where it began, would not fit into the history."""
    leader, follower = pair()
    leader.append(b"a")
    leader.append(b"b")
    leader.flush()
    fetch(follower, leader, batches=1)
    follower.flush()
    follower.apply(LED_BY_1)
    assert follower.epochs() == [(1, 0), (2, 1)]
    for each in (leader, follower):
        each.apply(LED_BY_0_AGAIN)
    assert follower.epochs() == [(1, 0)]
    catch_up(follower, leader)
    assert follower.epochs() == [(1, 0)]
    leader.append(b"c")
    catch_up(follower, leader)
    assert follower.epochs() == leader.epochs() == [(1, 0), (3, 2)]


def test_a_follower_below_the_leaders_log_start_starts_over_there() -> None:
    """KAFKA-9491: with its high watermark at the log start, not at zero."""
    leader, follower = pair()
    leader.append(b"a")
    leader.flush()
    catch_up(follower, leader)
    leader.apply(changed(leader.record, isr=(0,), min_isr=1))
    for value in (b"b", b"c", b"d"):
        leader.append(value)
    leader.flush()
    leader.partition.delete_records(3)
    assert fetch(follower, leader) == ErrorCode.OFFSET_OUT_OF_RANGE
    partition = follower.partition
    assert (partition.log.log_start_offset, follower.end, partition.high_watermark) == (3, 3, 3)
    catch_up(follower, leader)
    assert follower.values == [b"d"]


def test_who_waits_for_the_flush_of_what_is_cut_is_told_so() -> None:
    leader, follower = pair()
    leader.append(b"a")
    fetch(follower, leader)
    codes: list[ErrorCode] = []
    follower.partition.when_durable(0, codes.append)
    assert codes == [ErrorCode.NONE], "it is already"
    follower.partition.when_durable(1, codes.append)
    ticket = follower.start_flush()
    assert ticket is not None
    assert follower.partition.followed_in(1).truncate_to(0) == 0
    assert codes[1:] == [ErrorCode.NOT_LEADER_OR_FOLLOWER]
    ticket.sync()
    follower.partition.complete_flush(ticket)
    assert follower.partition.durable_end_offset == 0, "the flush was of what is gone"
    fetch(follower, leader)
    follower.partition.when_durable(1, codes.append)
    follower.flush()
    assert codes[2:] == [ErrorCode.NONE]


def test_a_failed_flush_tells_who_waits() -> None:
    leader, follower = pair()
    leader.append(b"a")
    fetch(follower, leader)
    codes: list[ErrorCode] = []
    follower.partition.when_durable(1, codes.append)
    ticket = follower.start_flush()
    assert ticket is not None
    follower.partition.fail_flush(ticket, OSError("gone"))
    assert codes == [ErrorCode.KAFKA_STORAGE_ERROR]
    with pytest.raises(OSError, match="offline"):
        follower.partition.followed_in(1).truncate_to(0)


def test_a_new_epoch_tells_who_waits_that_the_answer_is_void() -> None:
    leader, follower = pair()
    leader.append(b"a")
    fetch(follower, leader)
    codes: list[ErrorCode] = []
    follower.partition.when_durable(1, codes.append)
    follower.apply(LED_BY_1)
    assert codes == [ErrorCode.NOT_LEADER_OR_FOLLOWER]
    assert follower.partition.is_leader
    with pytest.raises(KafkaError):
        follower.partition.followed_in(1).append(
            batch(b"late"), leader_high_watermark=0, leader_log_start=0, now_ms=NOW
        )
