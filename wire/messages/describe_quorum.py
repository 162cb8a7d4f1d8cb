"""DescribeQuorum (key 55): the metadata quorum's leader and voters (KIP-595)."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    NIL_UUID,
    Request,
    Response,
    Struct,
    array,
    int16,
    int32,
    int64,
    string,
    uint16,
    uuid,
)


class PartitionData(Struct):
    """A partition asked about: the metadata log has one."""

    partition_index: int = int32()


class TopicData(Struct):
    """The partitions of one topic."""

    topic_name: str = string()
    partitions: list[PartitionData] = array(PartitionData)


class DescribeQuorumRequest(Request, api_key=ApiKey.DESCRIBE_QUORUM, versions="0-2", flexible="0+"):
    """The partitions asked about."""

    topics: list[TopicData] = array(TopicData)


class ReplicaState(Struct):
    """How far one replica has come, and when it last fetched; -1 where that is unknown."""

    replica_id: int = int32()
    replica_directory_id: bytes = uuid("2+", default=NIL_UUID)
    log_end_offset: int = int64()
    last_fetch_timestamp: int = int64("1+", default=-1)
    last_caught_up_timestamp: int = int64("1+", default=-1)


class ResponsePartitionData(Struct):
    """A partition's leader, its voters, and the observers that only follow."""

    partition_index: int = int32()
    error_code: int = int16()
    error_message: str | None = string("2+", nullable="2+", default="")
    leader_id: int = int32()
    leader_epoch: int = int32()
    high_watermark: int = int64()
    current_voters: list[ReplicaState] = array(ReplicaState)
    observers: list[ReplicaState] = array(ReplicaState)


class ResponseTopicData(Struct):
    """The partitions of one topic."""

    topic_name: str = string()
    partitions: list[ResponsePartitionData] = array(ResponsePartitionData)


class Listener(Struct):
    """Where a node listens."""

    name: str = string()
    host: str = string()
    port: int = uint16()


class Node(Struct):
    """A node of the quorum and its listeners."""

    node_id: int = int32()
    listeners: list[Listener] = array(Listener)


class DescribeQuorumResponse(
    Response, api_key=ApiKey.DESCRIBE_QUORUM, versions="0-2", flexible="0+"
):
    """The quorum of every partition asked about."""

    error_code: int = int16()
    error_message: str | None = string("2+", nullable="2+", default="")
    topics: list[ResponseTopicData] = array(ResponseTopicData)
    nodes: list[Node] = array(Node, "2+", default=())
