"""Deleted records stay deleted, and logs begin and end where they should; else the run ends."""

import pytest

from tests.simulator.workload.lying import honest_run, lying_run
from wire.messages.delete_records import DeleteRecordsResponse
from wire.messages.list_offsets import ListOffsetsResponse

OPTIONS = {"producers": 2, "admins": 2, "bursts": 40}


def test_an_honest_broker_passes() -> None:
    report = honest_run(**OPTIONS)
    assert report.failure is None
    assert report.counts["records deleted"] > 0
    assert report.counts["looked at offsets"] > 5


def test_records_that_were_not_deleted(monkeypatch) -> None:
    def lie(response) -> None:
        response.topics[0].partitions[0].low_watermark = -1

    words = lying_run(monkeypatch, DeleteRecordsResponse, lie, skip=3, **OPTIONS)
    assert "was deleted up to -1" in words


@pytest.mark.parametrize(("change", "words"), [(-1, "fell"), (10_000, "nobody deleted")])
def test_a_start_or_end_that_cannot_be(monkeypatch, change, words) -> None:
    def lie(response) -> None:
        response.topics[0].partitions[0].offset += change

    found = lying_run(monkeypatch, ListOffsetsResponse, lie, **OPTIONS)
    assert words in found
