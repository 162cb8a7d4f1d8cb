"""OffsetFetch (key 9): read committed offsets; many groups at once from v8 (KIP-709)."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    NIL_UUID,
    Request,
    Response,
    Struct,
    array,
    boolean,
    int16,
    int32,
    int32_array,
    int64,
    string,
    uuid,
)


class OffsetFetchRequestTopic(Struct):
    """Partitions of one topic, until v7."""

    name: str = string()
    partition_indexes: list[int] = int32_array()


class OffsetFetchRequestTopics(Struct):
    """Partitions of one topic of a group: named until v9, by id from v10."""

    name: str = string("8-9", default="")
    topic_id: bytes = uuid("10+", default=NIL_UUID)
    partition_indexes: list[int] = int32_array()


class OffsetFetchRequestGroup(Struct):
    """One group; null topics for all that it has committed."""

    group_id: str = string()
    member_id: str | None = string("9+", nullable="9+", default=None)
    member_epoch: int = int32("9+", default=-1)
    topics: list[OffsetFetchRequestTopics] | None = array(OffsetFetchRequestTopics, nullable="0+")


class OffsetFetchRequest(Request, api_key=ApiKey.OFFSET_FETCH, versions="1-10", flexible="6+"):
    """One group until v7, several from v8."""

    group_id: str = string("1-7", default="")
    topics: list[OffsetFetchRequestTopic] | None = array(
        OffsetFetchRequestTopic, "1-7", nullable="2-7", default=()
    )
    groups: list[OffsetFetchRequestGroup] = array(OffsetFetchRequestGroup, "8+", default=())
    require_stable: bool = boolean("7+", default=False)


class OffsetFetchResponsePartition(Struct):
    """The committed offset, until v7; -1 for none."""

    partition_index: int = int32()
    committed_offset: int = int64()
    committed_leader_epoch: int = int32("5+", default=-1)
    metadata: str | None = string(nullable="0+")
    error_code: int = int16()


class OffsetFetchResponseTopic(Struct):
    """The partitions of one topic, until v7."""

    name: str = string()
    partitions: list[OffsetFetchResponsePartition] = array(OffsetFetchResponsePartition)


class OffsetFetchResponsePartitions(Struct):
    """The committed offset; -1 for none."""

    partition_index: int = int32()
    committed_offset: int = int64()
    committed_leader_epoch: int = int32(default=-1)
    metadata: str | None = string(nullable="0+")
    error_code: int = int16()


class OffsetFetchResponseTopics(Struct):
    """The partitions of one topic of a group."""

    name: str = string("8-9", default="")
    topic_id: bytes = uuid("10+", default=NIL_UUID)
    partitions: list[OffsetFetchResponsePartitions] = array(OffsetFetchResponsePartitions)


class OffsetFetchResponseGroup(Struct):
    """The offsets of one group."""

    group_id: str = string()
    topics: list[OffsetFetchResponseTopics] = array(OffsetFetchResponseTopics)
    error_code: int = int16(default=0)


class OffsetFetchResponse(Response, api_key=ApiKey.OFFSET_FETCH, versions="1-10", flexible="6+"):
    """One group's offsets until v7, several groups' from v8."""

    throttle_time_ms: int = int32("3+", default=0)
    topics: list[OffsetFetchResponseTopic] = array(OffsetFetchResponseTopic, "1-7", default=())
    error_code: int = int16("2-7", default=0)
    groups: list[OffsetFetchResponseGroup] = array(OffsetFetchResponseGroup, "8+", default=())
