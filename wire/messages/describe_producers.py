"""DescribeProducers (key 61): the producers whose state a partition keeps (KIP-664)."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    Struct,
    array,
    int16,
    int32,
    int32_array,
    int64,
    string,
)


class TopicRequest(Struct):
    """The partitions of one topic."""

    name: str = string()
    partition_indexes: list[int] = int32_array()


class DescribeProducersRequest(
    Request, api_key=ApiKey.DESCRIBE_PRODUCERS, versions="0", flexible="0+"
):
    """The partitions asked about."""

    topics: list[TopicRequest] = array(TopicRequest)


class ProducerState(Struct):
    """One producer; -1 where it has not written or has no transaction open."""

    producer_id: int = int64()
    producer_epoch: int = int32()
    last_sequence: int = int32(default=-1)
    last_timestamp: int = int64(default=-1)
    coordinator_epoch: int = int32()
    current_txn_start_offset: int = int64(default=-1)


class PartitionResponse(Struct):
    """The producers of one partition."""

    partition_index: int = int32()
    error_code: int = int16()
    error_message: str | None = string(nullable="0+", default=None)
    active_producers: list[ProducerState] = array(ProducerState)


class TopicResponse(Struct):
    """The partitions of one topic."""

    name: str = string()
    partitions: list[PartitionResponse] = array(PartitionResponse)


class DescribeProducersResponse(
    Response, api_key=ApiKey.DESCRIBE_PRODUCERS, versions="0", flexible="0+"
):
    """Every partition asked about."""

    throttle_time_ms: int = int32(default=0)
    topics: list[TopicResponse] = array(TopicResponse)
