"""Error codes are found wherever a response has them."""

from __future__ import annotations

import pytest

from kbroker.observability.error_codes import error_counter
from wire.messages import MESSAGES
from wire.messages.api_versions import ApiVersionsResponse
from wire.messages.fetch import FetchableTopicResponse, FetchResponse, PartitionData
from wire.messages.produce import (
    PartitionProduceResponse,
    ProduceResponse,
    TopicProduceResponse,
)
from wire.schema import Struct


def counted(response: Struct) -> dict[int, int]:
    counts: dict[int, int] = {}
    error_counter(type(response))(response, counts)
    return counts


def test_at_the_top() -> None:
    assert counted(ApiVersionsResponse(error_code=35, api_keys=[])) == {35: 1}
    assert counted(ApiVersionsResponse(error_code=0, api_keys=[])) == {}


def test_one_for_each_partition() -> None:
    answers = [
        PartitionProduceResponse(index=index, error_code=code, base_offset=-1)
        for index, code in enumerate((0, 3, 3, 6))
    ]
    topic = TopicProduceResponse(name="t", partition_responses=answers)
    assert counted(ProduceResponse(responses=[topic, topic])) == {3: 4, 6: 2}


def test_at_the_top_and_nested() -> None:
    partition = PartitionData(
        partition_index=0,
        error_code=1,
        high_watermark=-1,
        aborted_transactions=None,
        records=b"",
    )
    topic = FetchableTopicResponse(topic="t", partitions=[partition])
    response = FetchResponse(throttle_time_ms=0, error_code=70, responses=[topic])
    assert counted(response) == {70: 1, 1: 1}


@pytest.mark.parametrize("cls", [response for _, response in MESSAGES.values()])
def test_every_response_has_a_counter(cls: type[Struct]) -> None:
    assert callable(error_counter(cls))
