"""DescribeTopicPartitions: topics by name, in pages of partitions (KIP-966).

Version 0. Topics are answered in the order of their names, whatever the order asked in; no names
asks for all. A page ends after as many partitions as the client asks for, at most
`max.request.partition.size.limit`, and names the partition that the next one begins with. The
cursor's topic must be among those asked for; a topic that is gone by then is passed over where all
were asked for.

Who is eligible to lead though not in sync (ELR), and who led last, is told as the metadata has it.
"""

from __future__ import annotations

from collections.abc import Container

from kbroker.cluster.metadata_image import TopicImage
from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord
from kbroker.cluster.topic_names import topic_name_problem
from kbroker.handler import Handler, RequestContext
from kbroker.operations import TOPIC_OPERATIONS
from kbroker.topics import INTERNAL_TOPICS
from wire.errors import ErrorCode, KafkaError
from wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from wire.schema import NIL_UUID


def handle(
    context: RequestContext, request: DescribeTopicPartitionsRequest
) -> DescribeTopicPartitionsResponse:
    """One page."""
    image = context.services.metadata.image
    names = sorted({topic.name for topic in request.topics} or image.topic_ids)
    first_name, first_index = _start(request, names)
    remaining = max(
        1,
        min(
            request.response_partition_limit,
            context.services.config.max_request_partition_size_limit,
        ),
    )
    page = DescribeTopicPartitionsResponse(topics=[])
    for name in names:
        if name < first_name:
            continue
        if remaining == 0:
            page.next_cursor = Cursor(topic_name=name, partition_index=0)
            break
        topic = image.topic_by_name(name)
        if topic is None:
            page.topics.append(_unknown(name))
            continue
        start = first_index if name == first_name else 0
        end = min(len(topic.partitions), start + remaining)
        page.topics.append(_topic(context, topic, range(start, end)))
        remaining -= max(end - start, 0)
        if end < len(topic.partitions):
            page.next_cursor = Cursor(topic_name=name, partition_index=end)
            break
    return page


def _start(request: DescribeTopicPartitionsRequest, names: list[str]) -> tuple[str, int]:
    """The topic and partition to begin with. KafkaError(INVALID_REQUEST)."""
    cursor = request.cursor
    if cursor is None:
        return "", 0
    if request.topics and cursor.topic_name not in names:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "DescribeTopicPartitionsRequest topic list should contain the cursor topic: "
            f"{cursor.topic_name}",
        )
    if cursor.partition_index < 0:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "DescribeTopicPartitionsRequest cursor partition must be valid: "
            f"{cursor.partition_index}",
        )
    return cursor.topic_name, cursor.partition_index


def _topic(
    context: RequestContext, topic: TopicImage, indexes: range
) -> DescribeTopicPartitionsResponseTopic:
    brokers = context.services.metadata.image.brokers
    live = {each for each, broker in brokers.items() if broker.is_admitted}
    return DescribeTopicPartitionsResponseTopic(
        error_code=0,
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.name in INTERNAL_TOPICS,
        partitions=[_partition(index, topic.partitions[index], live) for index in indexes],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )


def _partition(
    index: int, record: PartitionRecord, live: Container[int]
) -> DescribeTopicPartitionsResponsePartition:
    last_known = [] if record.last_known_leader == NO_LEADER else [record.last_known_leader]
    return DescribeTopicPartitionsResponsePartition(
        error_code=0,
        partition_index=index,
        leader_id=record.leader if record.leader in live else NO_LEADER,
        leader_epoch=record.leader_epoch,
        replica_nodes=list(record.replicas),
        isr_nodes=list(record.isr),
        eligible_leader_replicas=list(record.elr),
        last_known_elr=last_known,
        offline_replicas=[each for each in record.replicas if each not in live],
    )


def _unknown(name: str) -> DescribeTopicPartitionsResponseTopic:
    problem = topic_name_problem(name)
    code = ErrorCode.INVALID_TOPIC_EXCEPTION if problem else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return _failed(name, code, operations=TOPIC_OPERATIONS)


def _failed(
    name: str, code: ErrorCode, *, operations: int | None = None
) -> DescribeTopicPartitionsResponseTopic:
    topic = DescribeTopicPartitionsResponseTopic(
        error_code=code, name=name, topic_id=NIL_UUID, partitions=[]
    )
    if operations is not None:
        topic.topic_authorized_operations = operations
    return topic


def error_response(
    request: DescribeTopicPartitionsRequest, version: int, code: ErrorCode
) -> DescribeTopicPartitionsResponse:
    """Every topic asked for fails with `code`."""
    return DescribeTopicPartitionsResponse(
        topics=[_failed(topic.name, code) for topic in request.topics]
    )


HANDLER = Handler(
    request=DescribeTopicPartitionsRequest,
    versions=range(0, 1),
    handle=handle,
    error_response=error_response,
)
