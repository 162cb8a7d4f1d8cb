"""AlterPartitionReassignments: partitions stay where they are (KIP-455).

Versions 0 to 1. 1: whether the number of replicas may change (KIP-860).

The replicas that a partition has are accepted, in any order but the one that would change its
preferred leader; brokers that are not there are refused (INVALID_REPLICA_ASSIGNMENT), and there is
never anything to take back (NO_REASSIGNMENT_IN_PROGRESS). On one broker that is all there is, and
what Kafka answers. Moving a partition between several brokers is refused.
"""

from __future__ import annotations

from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.placement import validate_replicas
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)


def handle(
    context: RequestContext, request: AlterPartitionReassignmentsRequest
) -> AlterPartitionReassignmentsResponse:
    """Each partition is answered by itself."""
    if not request.topics:
        return _nothing_asked()
    image = context.services.metadata.image
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_code=0,
        error_message=None,
        responses=[
            ReassignableTopicResponse(
                name=topic.name,
                partitions=[_reassign(image, topic.name, asked) for asked in topic.partitions],
            )
            for topic in request.topics
        ],
    )


def _nothing_asked() -> AlterPartitionReassignmentsResponse:
    """Kafka's answer where no topic was named, whatever else was asked."""
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=True, error_code=0, error_message="", responses=[]
    )


def _reassign(
    image: MetadataImage, name: str, asked: ReassignablePartition
) -> ReassignablePartitionResponse:
    answer = ReassignablePartitionResponse(
        partition_index=asked.partition_index, error_code=0, error_message=None
    )
    try:
        _check(image, name, asked)
    except KafkaError as error:
        answer.error_code, answer.error_message = error.code, error.detail or None
    return answer


def _check(image: MetadataImage, name: str, asked: ReassignablePartition) -> None:
    """KafkaError, in Kafka's words, unless the partition is to stay where it is."""
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    topic = image.topic_by_name(name)
    if topic is None:
        raise KafkaError(unknown, f"Unable to find a topic named {name}.")
    record = topic.partitions.get(asked.partition_index)
    if record is None:
        raise KafkaError(unknown, f"Unable to find partition {name}:{asked.partition_index}.")
    if asked.replicas is None:
        raise KafkaError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    validate_replicas(asked.replicas, sorted(image.brokers))
    if tuple(asked.replicas) != record.replicas:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "Partitions cannot be moved to other brokers."
        )


def error_response(
    request: AlterPartitionReassignmentsRequest, version: int, code: ErrorCode
) -> AlterPartitionReassignmentsResponse:
    """The whole request fails with `code`, and so does every partition."""
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_code=code,
        error_message=None,
        responses=[
            ReassignableTopicResponse(
                name=topic.name,
                partitions=[
                    ReassignablePartitionResponse(
                        partition_index=asked.partition_index, error_code=code, error_message=None
                    )
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )


HANDLER = Handler(
    request=AlterPartitionReassignmentsRequest,
    versions=range(0, 2),
    handle=handle,
    error_response=error_response,
)
