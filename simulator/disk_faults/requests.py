"""The requests of the cells' clients."""

from __future__ import annotations

from simulator.client import WireClient
from wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from wire.schema import NIL_UUID

PRODUCE, FETCH, COMMIT, READ_COMMIT, LIST_OFFSETS = 12, 12, 9, 9, 7
EARLIEST = -2


async def create_topic(client: WireClient, name: str, **configs: str) -> None:
    """With `configs` as `segment_ms="1000"`."""
    topic = CreatableTopic(
        name=name,
        num_partitions=1,
        replication_factor=-1,
        assignments=[],
        configs=[
            CreatableTopicConfig(name=key.replace("_", "."), value=value)
            for key, value in configs.items()
        ],
    )
    request = CreateTopicsRequest(topics=[topic], timeout_ms=60_000)
    answer = await client.send(request, 7, CreateTopicsResponse)
    assert answer.topics[0].error_code == 0, answer


async def delete_topic(client: WireClient, name: str) -> None:
    topic = DeleteTopicState(name=name, topic_id=NIL_UUID)
    request = DeleteTopicsRequest(topics=[topic], timeout_ms=60_000)
    answer = await client.send(request, 6, DeleteTopicsResponse)
    assert answer.responses[0].error_code == 0, answer


async def init_producer(client: WireClient) -> tuple[int, int]:
    """A new producer id, and its epoch."""
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
    answer = await client.send(request, 4, InitProducerIdResponse)
    assert answer.error_code == 0, answer
    return answer.producer_id, answer.producer_epoch


async def find_coordinator(client: WireClient, group: str) -> int:
    """The error code; asking makes `__consumer_offsets`."""
    request = FindCoordinatorRequest(coordinator_keys=[group])
    answer = await client.send(request, 6, FindCoordinatorResponse)
    return int(answer.coordinators[0].error_code)


async def delete_records(client: WireClient, topic: str, offset: int) -> int:
    """The error code."""
    partition = DeleteRecordsPartition(partition_index=0, offset=offset)
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name=topic, partitions=[partition])], timeout_ms=30_000
    )
    answer = await client.send(request, 2, DeleteRecordsResponse)
    return int(answer.topics[0].partitions[0].error_code)


def produce(topic: str, data: bytes) -> ProduceRequest:
    records = memoryview(bytearray(data))
    partition = PartitionProduceData(index=0, records=records)
    return ProduceRequest(
        acks=-1,
        timeout_ms=30_000,
        topic_data=[TopicProduceData(name=topic, partition_data=[partition])],
    )


def fetch(topic: str, offset: int, *, max_bytes: int, read_committed: bool) -> FetchRequest:
    partition = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=max_bytes)
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        max_bytes=max_bytes,
        isolation_level=int(read_committed),
        topics=[FetchTopic(topic=topic, partitions=[partition])],
    )


def list_offsets(topic: str, timestamp: int) -> ListOffsetsRequest:
    partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    return ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[partition])]
    )


def commit(group: str, topic: str, offset: int) -> OffsetCommitRequest:
    partition = OffsetCommitRequestPartition(
        partition_index=0, committed_offset=offset, committed_metadata=""
    )
    return OffsetCommitRequest(
        group_id=group,
        member_id="",
        topics=[OffsetCommitRequestTopic(name=topic, partitions=[partition])],
    )


def read_commit(group: str, topic: str) -> OffsetFetchRequest:
    topics = [OffsetFetchRequestTopics(name=topic, partition_indexes=[0])]
    return OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=topics)])
