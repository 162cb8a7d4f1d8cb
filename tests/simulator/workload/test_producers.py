"""Plain producers: an honest broker passes; whatever it says that cannot be ends the run."""

import pytest

from tests.simulator.workload.lying import honest_run, lying_run
from wire.errors import ErrorCode
from wire.messages.produce import ProduceResponse


def each(response):
    return [told for topic in response.responses for told in topic.partition_responses]


def test_an_honest_broker_passes() -> None:
    report = honest_run(producers=2)
    assert report.failure is None
    assert report.counts["acknowledged"] > 20


def wrong_offset(response) -> None:
    for told in each(response):
        told.base_offset += 1


def refuses(response) -> None:
    for told in each(response):
        told.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def accepts_all(response) -> None:
    for told in each(response):
        if told.error_code == ErrorCode.CORRUPT_MESSAGE:
            told.error_code = ErrorCode.NONE


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (wrong_offset, "the high watermark is"),
        (refuses, "a batch was answered UNKNOWN_TOPIC_OR_PARTITION"),
        (accepts_all, "a damaged batch is at offset"),
    ],
)
def test_a_lie_is_found(monkeypatch, lie, words) -> None:
    assert words in lying_run(monkeypatch, ProduceResponse, lie, producers=2)


def test_what_was_acknowledged_and_not_stored_is_missed(monkeypatch) -> None:
    """The answer to a damaged batch says that a former record is elsewhere."""

    def lie(response) -> None:
        for told in each(response):
            told.base_offset = max(told.base_offset - 1, 0)

    words = lying_run(monkeypatch, ProduceResponse, lie, producers=1)
    assert "inconsistent-offsets" in words
