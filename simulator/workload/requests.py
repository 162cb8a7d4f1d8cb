"""The requests that several workers send, and what they read out of the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
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
    OffsetFetchResponse,
)
from wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from wire.records.batch import build_batch, iterate_batches
from wire.records.compression import Compression
from wire.records.record import Record, iterate_records
from wire.schema import Records

PRODUCE_VERSION = 9
FETCH_VERSION = 12
LIST_VERSION = 7
COMMIT_VERSION = 8
OFFSET_FETCH_VERSION = 8
CREATE_VERSION = 7
EARLIEST = -2
LATEST = -1
MAX_BYTES = 1 << 24

Partition = tuple[str, int]
Batches = Sequence[tuple[Partition, bytes | bytearray]]


def make_batch(
    values: Sequence[bytes],
    *,
    timestamp_ms: int,
    producer: tuple[int, int] = (-1, -1),
    sequence: int = -1,
    compression: Compression = Compression.NONE,
) -> bytearray:
    """`producer` is (id, epoch)."""
    return build_batch(
        [Record(offset=0, timestamp_ms=timestamp_ms, key=None, value=value) for value in values],
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=sequence,
        compression=compression,
    )


def produce_request(batches: Batches, *, acks: int) -> ProduceRequest:
    """One batch for each of these partitions, no partition twice."""
    topics: dict[str, list[PartitionProduceData]] = {}
    for (topic, index), data in batches:
        each = PartitionProduceData(index=index, records=memoryview(data))
        topics.setdefault(topic, []).append(each)
    return ProduceRequest(
        acks=acks,
        timeout_ms=30_000,
        topic_data=[
            TopicProduceData(name=name, partition_data=data) for name, data in topics.items()
        ],
    )


def by_topic(partitions: Iterable[Partition]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic, index in partitions:
        found.setdefault(topic, []).append(index)
    return found


def fetch_topics(
    offsets: Mapping[Partition, int], *, partition_max_bytes: int = MAX_BYTES
) -> list[FetchTopic]:
    return [
        FetchTopic(
            topic=topic,
            partitions=[
                FetchPartition(
                    partition=index,
                    fetch_offset=offsets[topic, index],
                    partition_max_bytes=partition_max_bytes,
                )
                for index in indexes
            ],
        )
        for topic, indexes in by_topic(offsets).items()
    ]


def fetch_request(
    offsets: Mapping[Partition, int],
    *,
    wait_ms: int = 0,
    max_bytes: int = MAX_BYTES,
    partition_max_bytes: int = MAX_BYTES,
    isolation_level: int = 0,
) -> FetchRequest:
    """Without a session."""
    return FetchRequest(
        max_wait_ms=wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        isolation_level=isolation_level,
        topics=fetch_topics(offsets, partition_max_bytes=partition_max_bytes),
    )


def values_in(records: Records | None) -> list[tuple[int, bytes]]:
    """(offset, value) of the whole batches that a Fetch answered."""
    data = memoryview(records or b"")  # type: ignore[arg-type]
    return [
        (record.offset, record.value or b"")
        for position, _ in iterate_batches(data)
        for record in iterate_records(data, position, max_decompressed_bytes=MAX_BYTES)
    ]


def times_in(records: Records | None) -> dict[int, int]:
    """Offset -> timestamp in ms, of the whole batches that a Fetch answered."""
    data = memoryview(records or b"")  # type: ignore[arg-type]
    return {
        record.offset: record.timestamp_ms
        for position, _ in iterate_batches(data)
        for record in iterate_records(data, position, max_decompressed_bytes=MAX_BYTES)
    }


def list_request(partition: Partition, timestamp: int) -> ListOffsetsRequest:
    """EARLIEST, LATEST, or a time in milliseconds."""
    asked = ListOffsetsPartition(partition_index=partition[1], timestamp=timestamp)
    topic = ListOffsetsTopic(name=partition[0], partitions=[asked])
    return ListOffsetsRequest(replica_id=-1, topics=[topic])


def commit_request(
    group: str,
    offsets: Mapping[Partition, int],
    *,
    generation: int = -1,
    member_id: str = "",
    instance_id: str | None = None,
) -> OffsetCommitRequest:
    """Without a member: of a consumer that assigned itself."""
    return OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member_id,
        group_instance_id=instance_id,
        topics=[
            OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=index,
                        committed_offset=offsets[topic, index],
                        committed_metadata="",
                    )
                    for index in indexes
                ],
            )
            for topic, indexes in by_topic(offsets).items()
        ],
    )


def offset_fetch_request(group: str, partitions: Iterable[Partition]) -> OffsetFetchRequest:
    topics = [
        OffsetFetchRequestTopics(name=topic, partition_indexes=indexes)
        for topic, indexes in by_topic(partitions).items()
    ]
    return OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=topics)])


def committed_offsets(answer: OffsetFetchResponse) -> dict[Partition, tuple[int, int]]:
    """(offset, error code) of each partition; -1 for no offset."""
    return {
        (topic.name, each.partition_index): (each.committed_offset, each.error_code)
        for topic in answer.groups[0].topics
        for each in topic.partitions
    }


def create_request(
    name: str, *, partitions: int, settings: Mapping[str, str]
) -> CreateTopicsRequest:
    configs = [CreatableTopicConfig(name=key, value=value) for key, value in settings.items()]
    topic = CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=-1,
        assignments=[],
        configs=configs,
    )
    return CreateTopicsRequest(topics=[topic], timeout_ms=30_000)
