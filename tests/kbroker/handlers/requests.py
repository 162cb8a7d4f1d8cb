"""A plain request of every API in every version, and what its answer must say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kbroker.handlers import HANDLERS
from tests.kbroker.broker_harness import batch_of
from tests.kbroker.handlers.admin_requests import ADMIN_MAKERS
from tests.kbroker.handlers.config_requests import CONFIG_MAKERS
from tests.kbroker.handlers.group_requests import GROUP_MAKERS
from wire.api_key import ApiKey
from wire.messages.api_versions import ApiVersionsRequest
from wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from wire.messages.describe_cluster import DescribeClusterRequest
from wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from wire.messages.find_coordinator import FindCoordinatorRequest
from wire.messages.init_producer_id import InitProducerIdRequest
from wire.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from wire.schema import NIL_UUID, Request


@dataclass(frozen=True, slots=True)
class Target:
    """The topic that a request is about."""

    name: str
    topic_id: bytes
    partition: int = 0


def produce(
    target: Target,
    version: int,
    *values: bytes,
    acks: int = -1,
    timeout_ms: int = 30_000,
    records: memoryview | None = None,
) -> ProduceRequest:
    by_id = version >= 13
    return ProduceRequest(
        acks=acks,
        timeout_ms=timeout_ms,
        topic_data=[
            TopicProduceData(
                name="" if by_id else target.name,
                topic_id=target.topic_id if by_id else NIL_UUID,
                partition_data=[
                    PartitionProduceData(
                        index=target.partition,
                        records=batch_of(*(values or (b"value",))) if records is None else records,
                    )
                ],
            )
        ],
    )


def fetch(
    target: Target,
    version: int,
    *,
    offset: int = 0,
    min_bytes: int = 0,
    max_wait_ms: int = 0,
    max_bytes: int = 1 << 20,
    session_id: int = 0,
    session_epoch: int = -1,
    leader_epoch: int = -1,
    asks: bool = True,
) -> FetchRequest:
    by_id = version >= 13
    topic = FetchTopic(
        topic="" if by_id else target.name,
        topic_id=target.topic_id if by_id else NIL_UUID,
        partitions=[
            FetchPartition(
                partition=target.partition,
                fetch_offset=offset,
                partition_max_bytes=max_bytes,
                current_leader_epoch=leader_epoch,
            )
        ],
    )
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        session_id=session_id,
        session_epoch=session_epoch,
        topics=[topic] if asks else [],
    )


def list_offsets(target: Target, version: int, *, timestamp: int = -1) -> ListOffsetsRequest:
    return ListOffsetsRequest(
        replica_id=-1,
        topics=[
            ListOffsetsTopic(
                name=target.name,
                partitions=[
                    ListOffsetsPartition(partition_index=target.partition, timestamp=timestamp)
                ],
            )
        ],
    )


def metadata(target: Target, version: int) -> MetadataRequest:
    return MetadataRequest(topics=[MetadataRequestTopic(name=target.name)])


def offset_commit(
    target: Target, version: int, *, offset: int = 5, group: str = "g", generation: int = -1
) -> OffsetCommitRequest:
    by_id = version >= 10
    return OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id="",
        topics=[
            OffsetCommitRequestTopic(
                name="" if by_id else target.name,
                topic_id=target.topic_id if by_id else NIL_UUID,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=target.partition,
                        committed_offset=offset,
                        committed_metadata="note",
                    )
                ],
            )
        ],
    )


def offset_fetch(target: Target, version: int, *, group: str = "g") -> OffsetFetchRequest:
    indexes = [target.partition]
    if version < 8:
        topic = OffsetFetchRequestTopic(name=target.name, partition_indexes=indexes)
        return OffsetFetchRequest(group_id=group, topics=[topic])
    by_id = version >= 10
    topics = OffsetFetchRequestTopics(
        name="" if by_id else target.name,
        topic_id=target.topic_id if by_id else NIL_UUID,
        partition_indexes=indexes,
    )
    return OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=[topics])])


def find_coordinator(target: Target, version: int) -> FindCoordinatorRequest:
    if version < 4:
        return FindCoordinatorRequest(key="g", key_type=0)
    return FindCoordinatorRequest(coordinator_keys=["g"], key_type=0)


def api_versions(target: Target, version: int) -> ApiVersionsRequest:
    return ApiVersionsRequest(client_software_name="test", client_software_version="1.0")


def create_topics(target: Target, version: int) -> CreateTopicsRequest:
    return CreateTopicsRequest(
        topics=[
            CreatableTopic(
                name=f"new-{version}",
                num_partitions=2,
                replication_factor=1,
                assignments=[],
                configs=[],
            )
        ]
    )


def delete_topics(target: Target, version: int) -> DeleteTopicsRequest:
    if version < 6:
        return DeleteTopicsRequest(topic_names=[target.name], timeout_ms=1000)
    state = DeleteTopicState(name=None, topic_id=target.topic_id)
    return DeleteTopicsRequest(topics=[state], timeout_ms=1000)


def init_producer_id(target: Target, version: int) -> InitProducerIdRequest:
    return InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000)


def offset_for_leader_epoch(target: Target, version: int) -> OffsetForLeaderEpochRequest:
    return OffsetForLeaderEpochRequest(
        replica_id=-1,
        topics=[
            OffsetForLeaderTopic(
                topic=target.name,
                partitions=[OffsetForLeaderPartition(partition=target.partition, leader_epoch=0)],
            )
        ],
    )


def describe_cluster(target: Target, version: int) -> DescribeClusterRequest:
    return DescribeClusterRequest(include_cluster_authorized_operations=False)


MAKERS: dict[ApiKey, Callable[..., Request]] = {
    **ADMIN_MAKERS,
    **CONFIG_MAKERS,
    **GROUP_MAKERS,
    ApiKey.PRODUCE: produce,
    ApiKey.FETCH: fetch,
    ApiKey.LIST_OFFSETS: list_offsets,
    ApiKey.METADATA: metadata,
    ApiKey.OFFSET_COMMIT: offset_commit,
    ApiKey.OFFSET_FETCH: offset_fetch,
    ApiKey.FIND_COORDINATOR: find_coordinator,
    ApiKey.API_VERSIONS: api_versions,
    ApiKey.CREATE_TOPICS: create_topics,
    ApiKey.DELETE_TOPICS: delete_topics,
    ApiKey.INIT_PRODUCER_ID: init_producer_id,
    ApiKey.OFFSET_FOR_LEADER_EPOCH: offset_for_leader_epoch,
    ApiKey.DESCRIBE_CLUSTER: describe_cluster,
}


def every_version() -> list[tuple[ApiKey, int]]:
    """Every API with each version that is served."""
    return [(key, version) for key, row in sorted(HANDLERS.items()) for version in row.versions]


def error_codes(value: object) -> Iterator[int]:
    """Every error code in a message, however deep."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from error_codes(each)
    elif hasattr(value, "__slots__"):
        for name in type(value).__slots__:
            if name in ("error_code", "topic_config_error_code"):
                yield getattr(value, name)
            else:
                yield from error_codes(getattr(value, name, None))
