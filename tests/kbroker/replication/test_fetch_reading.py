"""What one Fetch reads over several partitions: budgets, errors beside data, and when it hurries.

Whole conversations are in `tests/kbroker/handlers/test_fetch.py`.
"""

from __future__ import annotations

import pytest

from kbroker.replication.fetch_reading import Answers, ConsumerReading, FetchReading, release
from kbroker.replication.fetch_session import FetchContext, FetchPartition
from tests.kbroker.replication.partition_harness import Stage
from wire.errors import ErrorCode, KafkaError


class Known:
    """Partitions by index; others do not exist."""

    def __init__(self, *stages: Stage) -> None:
        self.stages = stages

    def partition(self, topic: str, index: int):
        if index >= len(self.stages):
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return self.stages[index].partition


def asked(index: int, offset: int = 0, max_bytes: int = 1 << 20) -> FetchPartition:
    return FetchPartition(
        topic="topic",
        topic_id=bytes(16),
        index=index,
        fetch_offset=offset,
        max_bytes=max_bytes,
        current_leader_epoch=-1,
        last_fetched_epoch=-1,
    )


def read(known: Known, *partitions: FetchPartition, limit_bytes: int = 1 << 20) -> Answers:
    failures: list[OSError] = []
    reading = FetchReading(
        FetchContext(list(partitions)),
        replicas=known,  # type: ignore[arg-type]
        read_partition=ConsumerReading(read_committed=False).read,
        by_id=False,
        min_bytes=1,
        limit_bytes=limit_bytes,
        storage_failed=failures.append,
    )
    return reading.read()


def filled(count: int = 3) -> Stage:
    stage = Stage()
    for _ in range(count):
        stage.append(b"x" * 100)
    stage.flush()
    return stage


def test_partitions_share_one_budget_and_the_first_batch_comes_in_any_case() -> None:
    known = Known(filled(), filled())
    answers, found, urgent = read(known, asked(0, max_bytes=10), asked(1), limit_bytes=400)
    sizes = [len(answer.records or b"") for _, answer in answers]
    assert sizes[0] > 100
    assert sizes[1] == 400 - sizes[0]
    assert found == 400
    assert not urgent
    release(answers)


def test_an_error_is_told_at_once_beside_the_data_of_others() -> None:
    answers, found, urgent = read(Known(filled()), asked(7), asked(0, 99), asked(0))
    codes = [answer.error_code for _, answer in answers]
    assert codes == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.OFFSET_OUT_OF_RANGE, 0]
    assert found
    assert urgent
    release(answers)


def test_a_consumer_with_nothing_to_read_is_not_in_a_hurry() -> None:
    _, found, urgent = read(Known(filled()), asked(0, 3))
    assert (found, urgent) == (0, False)


@pytest.mark.parametrize("limit", [0, 1, 150, 1000])
def test_what_is_released_keeps_no_file_open(limit: int) -> None:
    stage = filled()
    log = stage.partition.log.segments.active.log()
    before = log.reference_count
    answers, _, _ = read(Known(stage), asked(0), limit_bytes=limit)
    release(answers)
    assert log.reference_count == before
