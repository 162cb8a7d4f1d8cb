"""Readers: shown all, once, in order, and nothing that they may not see; else the run ends."""

import pytest

from simulator.workload.requests import values_in
from tests.simulator.workload.lying import honest_run, lying_run
from wire.errors import ErrorCode
from wire.messages.fetch import FetchResponse


def partitions(response):
    return [data for topic in response.responses for data in topic.partitions]


@pytest.mark.parametrize("seed", range(4))
def test_an_honest_broker_passes(seed) -> None:
    report = honest_run(seed, producers=1, readers=2)
    assert report.failure is None
    assert report.counts["polled"] > 0


def skips(response) -> None:
    for data in partitions(response):
        records = bytes(data.records or b"")
        if len({offset for offset, _ in values_in(records)}) > 1:
            first = 12 + int.from_bytes(records[8:12], "big")
            data.records = records[first:] or records


def past_the_end(response) -> None:
    for data in partitions(response):
        shown = values_in(data.records)
        if shown:
            data.high_watermark = data.last_stable_offset = shown[-1][0]


def out_of_range(response) -> None:
    for data in partitions(response):
        data.error_code = ErrorCode.OFFSET_OUT_OF_RANGE


def unstable(response) -> None:
    for data in partitions(response):
        data.last_stable_offset = data.high_watermark + 1


def log_start_advances(response) -> None:
    for data in partitions(response):
        data.log_start_offset = data.high_watermark


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (skips, "poll-skip"),
        (past_the_end, "past the end"),
        (out_of_range, "is out of range"),
        (unstable, "last stable offset"),
        (log_start_advances, "nobody deleted records"),
    ],
)
def test_a_lie_is_found(monkeypatch, lie, words) -> None:
    found = lying_run(monkeypatch, FetchResponse, lie, producers=2, readers=2)
    assert words in found or (lie is past_the_end and "the high watermark is" in found)
