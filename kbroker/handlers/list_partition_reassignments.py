"""ListPartitionReassignments: which partitions are on their way to other brokers (KIP-455).

Version 0. The replicas are the old and the new ones, until all of the new ones are in sync. As in
Kafka, what does not move is not in the answer, whether it exists or not; the controller is asked.
"""

from __future__ import annotations

from kbroker.cluster.metadata_image import TopicImage
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment,
    OngoingTopicReassignment,
)


def handle(
    context: RequestContext, request: ListPartitionReassignmentsRequest
) -> ListPartitionReassignmentsResponse:
    """The partitions asked about that gain or lose replicas; no list asks about all."""
    image = context.services.metadata.image
    wanted: dict[str, set[int]] | None = None
    if request.topics is not None:
        wanted = {}
        for asked in request.topics:
            wanted.setdefault(asked.name, set()).update(asked.partition_indexes)
    topics = []
    for name in sorted(image.topic_ids if wanted is None else wanted):
        topic = image.topic_by_name(name)
        if topic is None:
            continue
        indexes = set(topic.partitions) if wanted is None else wanted[name]
        moving = _moving(topic, indexes)
        if moving:
            topics.append(OngoingTopicReassignment(name=name, partitions=moving))
    return ListPartitionReassignmentsResponse(error_code=0, error_message=None, topics=topics)


def _moving(topic: TopicImage, indexes: set[int]) -> list[OngoingPartitionReassignment]:
    return [
        OngoingPartitionReassignment(
            partition_index=index,
            replicas=list(record.replicas),
            adding_replicas=list(record.adding),
            removing_replicas=list(record.removing),
        )
        for index, record in topic.partitions.items()
        if index in indexes and (record.adding or record.removing)
    ]


def error_response(
    request: ListPartitionReassignmentsRequest, version: int, code: ErrorCode
) -> ListPartitionReassignmentsResponse:
    """The whole request fails with `code`."""
    return ListPartitionReassignmentsResponse(error_code=code, error_message=None, topics=[])


HANDLER = Handler(
    request=ListPartitionReassignmentsRequest,
    versions=range(0, 1),
    handle=handle,
    error_response=error_response,
)
