"""Idempotent producers: repeated batches keep their offsets, ids are given once, order is kept."""

from tests.simulator.workload.lying import honest_run, lying_run
from wire.errors import ErrorCode
from wire.messages.init_producer_id import InitProducerIdResponse
from wire.messages.produce import ProduceResponse


def test_an_honest_broker_passes_and_knows_repeated_batches() -> None:
    report = honest_run(idempotent_producers=2)
    assert report.failure is None
    assert report.counts["repeated"] > 0


def test_a_repeated_batch_at_another_offset(monkeypatch) -> None:
    known = set()

    def lie(response) -> None:
        for topic in response.responses:
            for told in topic.partition_responses:
                if (topic.name, told.index, told.base_offset) in known:
                    told.base_offset += 1
                known.add((topic.name, told.index, told.base_offset))

    words = lying_run(monkeypatch, ProduceResponse, lie, idempotent_producers=1)
    assert "sent again was answered NONE" in words


def test_a_gap_that_is_none(monkeypatch) -> None:
    def lie(response) -> None:
        code = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        response.responses[0].partition_responses[0].error_code = code

    words = lying_run(monkeypatch, ProduceResponse, lie, idempotent_producers=1)
    assert "OUT_OF_ORDER_SEQUENCE_NUMBER" in words


def test_a_batch_after_one_that_was_refused(monkeypatch) -> None:
    answers = []

    def lie(response) -> None:
        answers.append(response)
        if len(answers) % 3 == 1:
            code = ErrorCode.NOT_LEADER_OR_FOLLOWER
            response.responses[0].partition_responses[0].error_code = code

    words = lying_run(monkeypatch, ProduceResponse, lie, idempotent_producers=1, partitions=1)
    assert "though one before it was not" in words


def test_a_producer_id_given_twice(monkeypatch) -> None:
    def lie(response) -> None:
        response.producer_id = 5

    words = lying_run(monkeypatch, InitProducerIdResponse, lie, idempotent_producers=2)
    assert "producer id 5 was given out twice" in words
