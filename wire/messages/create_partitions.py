"""CreatePartitions (key 37): give topics more partitions."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    Struct,
    array,
    boolean,
    int16,
    int32,
    int32_array,
    string,
)


class CreatePartitionsAssignment(Struct):
    """The replicas of one new partition, the preferred leader first."""

    broker_ids: list[int] = int32_array()


class CreatePartitionsTopic(Struct):
    """The new total of a topic's partitions, and where the new ones go; null: anywhere."""

    name: str = string()
    count: int = int32()
    assignments: list[CreatePartitionsAssignment] | None = array(
        CreatePartitionsAssignment, nullable="0+"
    )


class CreatePartitionsRequest(
    Request, api_key=ApiKey.CREATE_PARTITIONS, versions="0-3", flexible="2+"
):
    """Topics to enlarge, or only to be checked."""

    topics: list[CreatePartitionsTopic] = array(CreatePartitionsTopic)
    timeout_ms: int = int32()
    validate_only: bool = boolean()


class CreatePartitionsTopicResult(Struct):
    """The outcome for one topic."""

    name: str = string()
    error_code: int = int16()
    error_message: str | None = string(nullable="0+", default=None)


class CreatePartitionsResponse(
    Response, api_key=ApiKey.CREATE_PARTITIONS, versions="0-3", flexible="2+"
):
    """The outcome for every topic."""

    throttle_time_ms: int = int32(default=0)
    results: list[CreatePartitionsTopicResult] = array(CreatePartitionsTopicResult)
