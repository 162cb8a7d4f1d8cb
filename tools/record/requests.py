"""Short ways to write the requests that many scenarios send; the rare ones they write out."""

from collections.abc import Iterable, Mapping, Sequence

from wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from wire.messages.init_producer_id import InitProducerIdRequest
from wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
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

NIL_UUID = bytes(16)
ALL_ACKS = -1
UNTIL_FULL = 1 << 20

Partitions = Mapping[str, list[int]] | Mapping[bytes, list[int]]
"""Partitions by the name of their topic, or by its id."""
Data = bytes | bytearray | memoryview | None


def produce(
    topic: str | bytes,
    records: Data,
    *,
    partition: int = 0,
    acks: int = ALL_ACKS,
    transactional_id: str | None = None,
    timeout_ms: int = 10_000,
) -> ProduceRequest:
    """One set of records for one partition; the topic by name, or by id from v13 on."""
    return produce_many(
        [(topic, partition, records)],
        acks=acks,
        transactional_id=transactional_id,
        timeout_ms=timeout_ms,
    )


def produce_many(
    parts: Iterable[tuple[str | bytes, int, Data]],
    *,
    acks: int = ALL_ACKS,
    transactional_id: str | None = None,
    timeout_ms: int = 10_000,
) -> ProduceRequest:
    """Records for several `(topic, partition)`, each in an entry of its own."""
    return ProduceRequest(
        transactional_id=transactional_id,
        acks=acks,
        timeout_ms=timeout_ms,
        topic_data=[
            TopicProduceData(
                name="" if isinstance(topic, bytes) else topic,
                topic_id=topic if isinstance(topic, bytes) else NIL_UUID,
                partition_data=[
                    PartitionProduceData(
                        index=partition,
                        records=None if records is None else memoryview(records),
                    )
                ],
            )
            for topic, partition, records in parts
        ],
    )


def fetch_part(
    topic: str | bytes,
    offset: int,
    *,
    partition: int = 0,
    max_bytes: int = UNTIL_FULL,
    leader_epoch: int = -1,
    last_fetched_epoch: int = -1,
    log_start_offset: int = -1,
) -> FetchTopic:
    """One partition to fetch; the topic by name, or by id from v13 on."""
    return FetchTopic(
        topic="" if isinstance(topic, bytes) else topic,
        topic_id=topic if isinstance(topic, bytes) else NIL_UUID,
        partitions=[
            FetchPartition(
                partition=partition,
                current_leader_epoch=leader_epoch,
                fetch_offset=offset,
                last_fetched_epoch=last_fetched_epoch,
                log_start_offset=log_start_offset,
                partition_max_bytes=max_bytes,
            )
        ],
    )


def fetch(
    *topics: FetchTopic,
    max_wait_ms: int = 0,
    min_bytes: int = 1,
    max_bytes: int = UNTIL_FULL,
    isolation_level: int = 0,
    session_id: int = 0,
    session_epoch: int = -1,
    forget: Sequence[ForgottenTopic] = (),
    replica_id: int = -1,
) -> FetchRequest:
    """A consumer's fetch; without a session unless an epoch is given."""
    return FetchRequest(
        replica_id=replica_id,
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        isolation_level=isolation_level,
        session_id=session_id,
        session_epoch=session_epoch,
        topics=list(topics),
        forgotten_topics_data=list(forget),
    )


def list_offsets(
    topic: str,
    *timestamps: int,
    partitions: Sequence[int] = (0,),
    leader_epoch: int = -1,
    isolation_level: int = 0,
    replica_id: int = -1,
    timeout_ms: int = 0,
) -> ListOffsetsRequest:
    """One timestamp for each partition; a single one is for all of them."""
    times = list(timestamps) if len(timestamps) > 1 else list(timestamps) * len(partitions)
    return ListOffsetsRequest(
        replica_id=replica_id,
        isolation_level=isolation_level,
        topics=[
            ListOffsetsTopic(
                name=topic,
                partitions=[
                    ListOffsetsPartition(
                        partition_index=partition,
                        current_leader_epoch=leader_epoch,
                        timestamp=timestamp,
                    )
                    for partition, timestamp in zip(partitions, times, strict=True)
                ],
            )
        ],
        timeout_ms=timeout_ms,
    )


def metadata(
    *topics: str | bytes | None, auto_create: bool = False, all_topics: bool = False
) -> MetadataRequest:
    """Topics by name or by id; none of them, or all."""
    return MetadataRequest(
        topics=None
        if all_topics
        else [
            MetadataRequestTopic(
                topic_id=topic if isinstance(topic, bytes) else NIL_UUID,
                name=None if isinstance(topic, bytes) else topic,
            )
            for topic in topics
        ],
        allow_auto_topic_creation=auto_create,
    )


def new_topic(
    name: str,
    partitions: int = 1,
    replicas: int = 1,
    *,
    assignments: Mapping[int, list[int]] | None = None,
    configs: Mapping[str, str | None] | None = None,
) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replicas,
        assignments=[
            CreatableReplicaAssignment(partition_index=index, broker_ids=brokers)
            for index, brokers in (assignments or {}).items()
        ],
        configs=[
            CreatableTopicConfig(name=key, value=value) for key, value in (configs or {}).items()
        ],
    )


def create_topics(
    *topics: CreatableTopic, validate_only: bool = False, timeout_ms: int = 10_000
) -> CreateTopicsRequest:
    return CreateTopicsRequest(
        topics=list(topics), timeout_ms=timeout_ms, validate_only=validate_only
    )


def delete_topics(
    *topics: str | bytes, version: int, timeout_ms: int = 10_000
) -> DeleteTopicsRequest:
    """By name; from v6 also by id."""
    if version < 6:
        names = [topic for topic in topics if isinstance(topic, str)]
        return DeleteTopicsRequest(topic_names=names, timeout_ms=timeout_ms)
    return DeleteTopicsRequest(
        topics=[
            DeleteTopicState(name=None, topic_id=topic)
            if isinstance(topic, bytes)
            else DeleteTopicState(name=topic, topic_id=NIL_UUID)
            for topic in topics
        ],
        timeout_ms=timeout_ms,
    )


def init_producer_id(
    transactional_id: str | None = None,
    *,
    timeout_ms: int = 60_000,
    producer_id: int = -1,
    producer_epoch: int = -1,
) -> InitProducerIdRequest:
    return InitProducerIdRequest(
        transactional_id=transactional_id,
        transaction_timeout_ms=timeout_ms,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
    )


def commit_part(
    topic: str | bytes,
    offset: int,
    *,
    partition: int = 0,
    leader_epoch: int = -1,
    metadata: str | None = "",
) -> OffsetCommitRequestTopic:
    """One offset to commit; the topic by name, or by id from v10 on."""
    return OffsetCommitRequestTopic(
        name="" if isinstance(topic, bytes) else topic,
        topic_id=topic if isinstance(topic, bytes) else NIL_UUID,
        partitions=[
            OffsetCommitRequestPartition(
                partition_index=partition,
                committed_offset=offset,
                committed_leader_epoch=leader_epoch,
                committed_metadata=metadata,
            )
        ],
    )


def offset_commit(
    group: str,
    *topics: OffsetCommitRequestTopic,
    generation: int = -1,
    member: str = "",
    instance: str | None = None,
) -> OffsetCommitRequest:
    return OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member,
        group_instance_id=instance,
        topics=list(topics),
    )


def fetch_group(
    group: str,
    topics: Partitions | None,
    *,
    member: str | None = None,
    member_epoch: int = -1,
) -> OffsetFetchRequestGroup:
    """The partitions to ask for, by topic; None asks for all that the group has committed."""
    return OffsetFetchRequestGroup(
        group_id=group,
        member_id=member,
        member_epoch=member_epoch,
        topics=None
        if topics is None
        else [
            OffsetFetchRequestTopics(
                name="" if isinstance(topic, bytes) else topic,
                topic_id=topic if isinstance(topic, bytes) else NIL_UUID,
                partition_indexes=partitions,
            )
            for topic, partitions in topics.items()
        ],
    )


def offset_fetch(
    group: str,
    topics: Partitions | None,
    *,
    version: int,
    require_stable: bool = False,
) -> OffsetFetchRequest:
    """One group, in the form that the version has for it."""
    if version >= 8:
        return OffsetFetchRequest(
            groups=[fetch_group(group, topics)], require_stable=require_stable
        )
    return OffsetFetchRequest(
        group_id=group,
        topics=None
        if topics is None
        else [
            OffsetFetchRequestTopic(name=str(topic), partition_indexes=partitions)
            for topic, partitions in topics.items()
        ],
        require_stable=require_stable,
    )


def epoch_end(
    topic: str,
    *epochs: int,
    current: int = -1,
    partitions: Sequence[int] = (0,),
    replica_id: int = -1,
) -> OffsetForLeaderEpochRequest:
    """An epoch to look up for each partition."""
    return OffsetForLeaderEpochRequest(
        replica_id=replica_id,
        topics=[
            OffsetForLeaderTopic(
                topic=topic,
                partitions=[
                    OffsetForLeaderPartition(
                        partition=partition, current_leader_epoch=current, leader_epoch=epoch
                    )
                    for partition, epoch in zip(partitions, epochs, strict=True)
                ],
            )
        ],
    )
