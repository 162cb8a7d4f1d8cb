"""What a leader answers to a follower, and what it learns: to the log's end, fenced both ways."""

from __future__ import annotations

import pytest

from kbroker.replication.fetch_session import FetchPartition
from kbroker.replication.partition import Partition
from kbroker.replication.replica_reading import ReplicaReading
from tests.kbroker.replication.partition_harness import TWO, Stage, next_epoch
from wire.errors import ErrorCode, KafkaError
from wire.messages.fetch import PartitionData


class Joins:
    def __init__(self) -> None:
        self.noted: list[Partition] = []

    def note(self, partition: Partition) -> None:
        self.noted.append(partition)


def asked(offset: int, *, leader_epoch: int = 0, last_epoch: int = -1) -> FetchPartition:
    return FetchPartition(
        topic=None,
        topic_id=bytes(16),
        index=0,
        fetch_offset=offset,
        max_bytes=1 << 20,
        current_leader_epoch=leader_epoch,
        last_fetched_epoch=last_epoch,
        log_start_offset=0,
        high_watermark=0,
    )


def read(
    reading: ReplicaReading, stage: Stage, asked: FetchPartition, max_bytes: int = 1 << 20
) -> PartitionData:
    return reading.read(stage.partition, asked, max_bytes=max_bytes, first=True, cached_only=False)


def follower(broker_id: int = 2, broker_epoch: int = 100, joins: Joins | None = None):
    return ReplicaReading(broker_id, broker_epoch, now=1.0, isr_changes=joins)


def leader(*, record=TWO, count: int = 3, flushed: bool = True) -> Stage:
    stage = Stage(record=record)
    for _ in range(count):
        stage.append(b"value")
    if flushed:
        stage.flush()
    return stage


def code_of(reading: ReplicaReading, stage: Stage, asked: FetchPartition, **options) -> ErrorCode:
    log = stage.partition.log.segments.active.log()
    before = log.reference_count
    with pytest.raises(KafkaError) as caught:
        read(reading, stage, asked, **options)
    assert log.reference_count == before, "nothing stays open"
    return caught.value.code


def test_a_follower_reads_what_is_not_durable_nor_committed_yet() -> None:
    stage = leader(flushed=False)
    answer = read(follower(), stage, asked(0))
    assert len(answer.records) == stage.partition.log.size_bytes
    assert (answer.high_watermark, answer.last_stable_offset) == (0, 0)


def test_its_fetch_offset_is_what_it_holds_and_commits_it_at_once() -> None:
    stage = leader()
    answer = read(follower(), stage, asked(2, last_epoch=0))
    assert stage.partition.high_watermark == 2
    assert answer.high_watermark == 2, "told with the answer, not with the next one"


def test_a_parked_fetch_that_looks_again_says_nothing_new() -> None:
    stage = leader()
    reading = follower()
    read(reading, stage, asked(1, last_epoch=0))
    reading.is_recorded = True
    read(reading, stage, asked(3, last_epoch=0))
    assert stage.partition.high_watermark == 1


def test_a_parked_fetch_passes_over_what_the_follower_knows() -> None:
    stage = leader()
    reading, position = follower(), asked(3, last_epoch=0)
    assert not reading.has_nothing_new(stage.partition, position), "it has not been told"
    answer = read(reading, stage, position)
    told = {"log_start_offset": 0, "size": 0, "error_code": 0}
    position.has_news(high_watermark=answer.high_watermark, **told)
    reading.is_recorded = True
    assert reading.has_nothing_new(stage.partition, position)
    stage.append(b"more")
    assert not reading.has_nothing_new(stage.partition, position)
    position.fetch_offset = 4
    assert reading.has_nothing_new(stage.partition, position)
    stage.apply(next_epoch(TWO))
    assert not reading.has_nothing_new(stage.partition, position)


def known_position(stage: Stage, offset: int, **options: int) -> FetchPartition:
    """One of a session whose follower knows all that there is."""
    position = asked(offset, last_epoch=0, **options)
    answer = read(follower(), stage, position)
    position.has_news(
        high_watermark=answer.high_watermark, log_start_offset=0, size=0, error_code=0
    )
    return position


def test_who_is_passed_over_at_once_was_here_all_the_same() -> None:
    outside = TWO.__class__(replicas=(1, 2), leader=1, leader_epoch=0, isr=(1,))
    joins = Joins()
    stage = leader(record=outside)
    position = known_position(stage, 3)
    assert follower(joins=joins).has_nothing_new(stage.partition, position)
    assert joins.noted == [stage.partition]


def test_a_position_that_was_asked_anew_is_read_before_it_is_passed_over() -> None:
    stage = leader()
    position = known_position(stage, 3)
    position.ask(asked(3, last_epoch=5))
    reading = follower()
    assert not reading.has_nothing_new(stage.partition, position), "its log may be another"
    assert code_of(reading, stage, position) == ErrorCode.OFFSET_OUT_OF_RANGE


def test_who_is_refused_is_not_passed_over() -> None:
    stage = leader()
    position = known_position(stage, 3)
    assert not follower(broker_epoch=99).has_nothing_new(stage.partition, position)
    assert follower(broker_epoch=100).has_nothing_new(stage.partition, position)


def test_what_diverges_is_no_position() -> None:
    record = next_epoch(TWO)
    stage = leader(record=TWO)
    stage.apply(record)
    answer = read(follower(), stage, asked(9, leader_epoch=1, last_epoch=0))
    assert answer.diverging_epoch is not None
    assert (answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset) == (0, 3)
    assert not len(answer.records)
    assert stage.partition.high_watermark == 0


@pytest.mark.parametrize(
    ("position", "code"),
    [
        (asked(0, leader_epoch=-1), ErrorCode.NOT_LEADER_OR_FOLLOWER),
        (asked(0, leader_epoch=0), ErrorCode.FENCED_LEADER_EPOCH),
        (asked(0, leader_epoch=2), ErrorCode.UNKNOWN_LEADER_EPOCH),
        (asked(99, leader_epoch=1), ErrorCode.OFFSET_OUT_OF_RANGE),
    ],
)
def test_a_follower_is_fenced_both_ways(position: FetchPartition, code: ErrorCode) -> None:
    stage = leader(record=next_epoch(TWO))
    assert code_of(follower(), stage, position) == code
    assert stage.partition.high_watermark == 0


def test_who_is_no_replica_is_not_known_in_this_epoch() -> None:
    assert code_of(follower(3), leader(), asked(0)) == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert code_of(follower(1), leader(), asked(0)) == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_a_former_life_of_a_broker_commits_nothing() -> None:
    stage = leader()
    read(follower(broker_epoch=200), stage, asked(0))
    code = code_of(follower(broker_epoch=100), stage, asked(3, last_epoch=0))
    assert code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert stage.partition.high_watermark == 0


def test_a_negative_budget_is_refused() -> None:
    code = code_of(follower(), leader(), asked(0), max_bytes=-1)
    assert code == ErrorCode.UNKNOWN_SERVER_ERROR


def test_who_has_caught_up_is_proposed_to_join() -> None:
    outside = TWO.__class__(replicas=(1, 2), leader=1, leader_epoch=0, isr=(1,))
    joins = Joins()
    stage = leader(record=outside)
    read(follower(joins=joins), stage, asked(1, last_epoch=0))
    assert not joins.noted
    read(follower(joins=joins), stage, asked(3, last_epoch=0))
    assert joins.noted == [stage.partition]
