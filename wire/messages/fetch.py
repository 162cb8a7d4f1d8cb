"""Fetch (key 1): read record batches, by consumers and by followers."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    NIL_UUID,
    Records,
    Request,
    Response,
    Struct,
    array,
    int8,
    int16,
    int32,
    int32_array,
    int64,
    record_set,
    string,
    struct,
    uuid,
)


class ReplicaState(Struct):
    """Which follower asks, since v15 (KIP-903); absent for a consumer."""

    replica_id: int = int32(default=-1)
    replica_epoch: int = int64(default=-1)


class FetchPartition(Struct):
    """From which offset of a partition, and how much."""

    partition: int = int32()
    current_leader_epoch: int = int32("9+", default=-1)
    fetch_offset: int = int64()
    last_fetched_epoch: int = int32("12+", default=-1)
    log_start_offset: int = int64("5+", default=-1)
    partition_max_bytes: int = int32()
    replica_directory_id: bytes = uuid("17+", tag=0, default=NIL_UUID)
    high_watermark: int = int64("18+", tag=1, default=2**63 - 1)


class FetchTopic(Struct):
    """One topic: named until v12, by id from v13 (KIP-516)."""

    topic: str = string("4-12", default="")
    topic_id: bytes = uuid("13+", default=NIL_UUID)
    partitions: list[FetchPartition] = array(FetchPartition)


class ForgottenTopic(Struct):
    """Partitions that leave the fetch session (KIP-227)."""

    topic: str = string("7-12", default="")
    topic_id: bytes = uuid("13+", default=NIL_UUID)
    partitions: list[int] = int32_array()


class FetchRequest(Request, api_key=ApiKey.FETCH, versions="4-18", flexible="12+"):
    """What to read, and how long to wait for how much."""

    cluster_id: str | None = string("12+", nullable="12+", tag=0, default=None)
    replica_id: int = int32("4-14", default=-1)
    replica_state: ReplicaState | None = struct(ReplicaState, "15+", tag=1, default=None)
    max_wait_ms: int = int32()
    min_bytes: int = int32()
    max_bytes: int = int32(default=2**31 - 1)
    isolation_level: int = int8(default=0)
    session_id: int = int32("7+", default=0)
    session_epoch: int = int32("7+", default=-1)
    topics: list[FetchTopic] = array(FetchTopic)
    forgotten_topics_data: list[ForgottenTopic] = array(ForgottenTopic, "7+", default=())
    rack_id: str = string("11+", default="")


class EpochEndOffset(Struct):
    """Where the follower's log parts from the leader's (KIP-595)."""

    epoch: int = int32(default=-1)
    end_offset: int = int64(default=-1)


class LeaderIdAndEpoch(Struct):
    """Whom to ask instead (KIP-951)."""

    leader_id: int = int32(default=-1)
    leader_epoch: int = int32(default=-1)


class SnapshotId(Struct):
    """The snapshot to fetch instead; metadata quorum only (KIP-630)."""

    end_offset: int = int64(default=-1)
    epoch: int = int32(default=-1)


class AbortedTransaction(Struct):
    """An aborted transaction whose records lie in the answer."""

    producer_id: int = int64()
    first_offset: int = int64()


class PartitionData(Struct):
    """The batches of one partition, with its offsets."""

    partition_index: int = int32()
    error_code: int = int16()
    high_watermark: int = int64()
    last_stable_offset: int = int64(default=-1)
    log_start_offset: int = int64("5+", default=-1)
    diverging_epoch: EpochEndOffset | None = struct(EpochEndOffset, "12+", tag=0, default=None)
    current_leader: LeaderIdAndEpoch | None = struct(LeaderIdAndEpoch, "12+", tag=1, default=None)
    snapshot_id: SnapshotId | None = struct(SnapshotId, "12+", tag=2, default=None)
    aborted_transactions: list[AbortedTransaction] | None = array(AbortedTransaction, nullable="0+")
    preferred_read_replica: int = int32("11+", default=-1)
    records: Records | None = record_set(nullable="0+")


class FetchableTopicResponse(Struct):
    """The partitions of one topic."""

    topic: str = string("4-12", default="")
    topic_id: bytes = uuid("13+", default=NIL_UUID)
    partitions: list[PartitionData] = array(PartitionData)


class NodeEndpoint(Struct):
    """The address of a leader named in the answer (KIP-951)."""

    node_id: int = int32()
    host: str = string()
    port: int = int32()
    rack: str | None = string(nullable="0+", default=None)


class FetchResponse(Response, api_key=ApiKey.FETCH, versions="4-18", flexible="12+"):
    """Batches as they lie in the log, and the fetch session."""

    throttle_time_ms: int = int32(default=0)
    error_code: int = int16("7+", default=0)
    session_id: int = int32("7+", default=0)
    responses: list[FetchableTopicResponse] = array(FetchableTopicResponse)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "16+", tag=0, default=())
