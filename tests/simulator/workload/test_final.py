"""The last reader finds what is missing, and what is there and should not be."""

import pytest

from simulator.history import History
from tests.simulator.workload.lying import honest_run, lying_run
from wire.messages.fetch import FetchResponse
from wire.messages.list_offsets import ListOffsetsResponse


@pytest.mark.parametrize("seed", range(4))
def test_all_that_was_acknowledged_is_read(seed) -> None:
    report = honest_run(seed, producers=1, idempotent_producers=1)
    assert report.failure is None
    assert report.counts["read at the end"] >= report.counts["acknowledged"]


def test_a_log_that_ends_too_early(monkeypatch) -> None:
    def lie(response) -> None:
        for data in response.responses[0].partitions:
            data.high_watermark = data.last_stable_offset = max(data.high_watermark - 1, 0)

    words = lying_run(monkeypatch, FetchResponse, lie, producers=1)
    assert "the high watermark is" in words


def test_nothing_below_the_high_watermark(monkeypatch) -> None:
    def lie(response) -> None:
        for data in response.responses[0].partitions:
            data.records = b""

    words = lying_run(monkeypatch, FetchResponse, lie, producers=1)
    assert "nothing at" in words


def test_a_log_that_begins_too_late(monkeypatch) -> None:
    def lie(response) -> None:
        response.topics[0].partitions[0].offset += 2

    words = lying_run(monkeypatch, ListOffsetsResponse, lie, producers=1)
    assert "nobody deleted records" in words


def test_a_value_that_nobody_sent(monkeypatch) -> None:
    sent = History.sent

    def forget_one(history, value, **details) -> None:
        sent(history, value, **details)
        if value.rstrip(b".").endswith(b"/3"):
            history.sends.pop(value)

    monkeypatch.setattr(History, "sent", forget_one)
    monkeypatch.setattr(History, "acknowledged", lambda *_: None)
    monkeypatch.setattr(History, "failed", lambda *_: None)
    assert "phantom" in (honest_run(producers=1).failure or "")


def test_a_time_that_leads_past_its_record(monkeypatch) -> None:
    def lie(response) -> None:
        response.topics[0].partitions[0].offset += 1

    words = lying_run(monkeypatch, ListOffsetsResponse, lie, skip=1, partitions=1, producers=1)
    assert "is said to be at" in words
