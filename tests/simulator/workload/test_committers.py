"""Committers without membership: a lookup tells the last commit, or the run ends."""

import pytest

from tests.simulator.workload.lying import honest_run, lying_run
from wire.messages.offset_delete import OffsetDeleteResponse
from wire.messages.offset_fetch import OffsetFetchResponse


def test_an_honest_broker_passes() -> None:
    report = honest_run(committers=1, bursts=40)
    assert report.failure is None
    assert report.counts["looked up"] > 10


@pytest.mark.parametrize("change", [-1, 1])
def test_another_offset_than_the_one_committed(monkeypatch, change) -> None:
    def lie(response) -> None:
        for topic in response.groups[0].topics:
            for each in topic.partitions:
                each.committed_offset += change

    words = lying_run(monkeypatch, OffsetFetchResponse, lie, committers=1)
    assert "lost-commit" in words


def test_a_refusal_that_no_client_expects(monkeypatch) -> None:
    def lie(response) -> None:
        response.error_code = 42

    words = lying_run(monkeypatch, OffsetDeleteResponse, lie, committers=1, bursts=60)
    assert "forgetting offsets was answered INVALID_REQUEST" in words
