"""DescribeProducers: the idempotent and transactional producers that a partition knows (KIP-664).

Version 0. Each partition is answered by its leader; producers that were silent for
`producer.id.expiration.ms` may be forgotten already.
"""

from __future__ import annotations

from kbroker.cluster.topic_names import validate_topic_name
from kbroker.handler import Handler, RequestContext
from log.producer_state import ProducerEntry
from wire.errors import ErrorCode, KafkaError
from wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

NO_TRANSACTION = -1


def handle(context: RequestContext, request: DescribeProducersRequest) -> DescribeProducersResponse:
    """Every partition as often as it was asked for."""
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[
                    _partition(context, topic.name, index) for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


def _partition(context: RequestContext, name: str, index: int) -> PartitionResponse:
    answer = PartitionResponse(partition_index=index, error_code=0, active_producers=[])
    try:
        _check_topic(context, name)
        partition = context.services.replicas.partition(name, index)
        partition.check_leader(-1)
        answer.active_producers = [
            _producer(entry) for entry in partition.log.producer_state.entries
        ]
    except KafkaError as error:
        answer.error_code, answer.error_message = error.code, error.detail or None
    return answer


def _check_topic(context: RequestContext, name: str) -> None:
    validate_topic_name(name)
    if context.services.metadata.image.topic_by_name(name) is None:
        raise KafkaError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition."
        )


def _producer(entry: ProducerEntry) -> ProducerState:
    started = entry.transaction_first_offset
    return ProducerState(
        producer_id=entry.producer_id,
        producer_epoch=entry.producer_epoch,
        last_sequence=entry.last_sequence,
        last_timestamp=entry.last_timestamp_ms,
        coordinator_epoch=entry.coordinator_epoch,
        current_txn_start_offset=NO_TRANSACTION if started is None else started,
    )


def error_response(
    request: DescribeProducersRequest, version: int, code: ErrorCode
) -> DescribeProducersResponse:
    """Every partition fails with `code`."""
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[
                    PartitionResponse(partition_index=index, error_code=code, active_producers=[])
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


HANDLER = Handler(
    request=DescribeProducersRequest,
    versions=range(0, 1),
    handle=handle,
    error_response=error_response,
)
