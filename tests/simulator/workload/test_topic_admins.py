"""An admin reads what it was told it had written, or the run ends."""

import pytest

from tests.simulator.workload.lying import honest_run, lying_run
from wire.errors import ErrorCode
from wire.messages.create_topics import CreateTopicsResponse
from wire.messages.describe_configs import DescribeConfigsResponse
from wire.messages.fetch import FetchResponse
from wire.messages.metadata import MetadataResponse

OPTIONS = {"admins": 2, "bursts": 60}


def test_an_honest_broker_passes() -> None:
    counts = honest_run(**OPTIONS).counts
    for each in ("topics created", "topics grown", "topics used", "settings read"):
        assert counts[each] > 0


def one_partition_less(response) -> None:
    del response.topics[0].partitions[-1:]


def another_value(response) -> None:
    for each in response.results[0].configs:
        each.value = "7"


def created_again(response) -> None:
    if response.topics[0].error_code == ErrorCode.TOPIC_ALREADY_EXISTS:
        response.topics[0].error_code = ErrorCode.NONE


def nothing_there(response) -> None:
    for topic in response.responses:
        for data in topic.partitions:
            data.records = b""


@pytest.mark.parametrize(
    ("kind", "lie", "words"),
    [
        (MetadataResponse, one_partition_less, "and may have"),
        (DescribeConfigsResponse, another_value, "is 7, not"),
        (CreateTopicsResponse, created_again, "a topic that exists was created"),
        (FetchResponse, nothing_there, "is not there"),
    ],
)
def test_a_lie_is_found(monkeypatch, kind, lie, words) -> None:
    assert words in lying_run(monkeypatch, kind, lie, **OPTIONS)


def test_a_record_of_an_earlier_use_is_gone(monkeypatch) -> None:
    # The first use reads back three records.
    words = lying_run(monkeypatch, FetchResponse, nothing_there, skip=3, **OPTIONS)
    assert "is another record" in words
