"""AlterPartitionReassignments: partitions on their way to other brokers, or back (KIP-455).

Versions 0 to 1. 1: whether the number of replicas may change (KIP-860).

The answer says that it has begun, not that it is done: ListPartitionReassignments tells what is
under way. Until all new replicas are in sync the old ones are replicas too; then they delete what
they have. No replicas at all (null) take a reassignment back. Brokers that are not there now may be
given replicas. In a cluster the controller does it, whichever broker was asked.

Deliberate deviation: where a new target replaces one that is not reached, taking it back leads to
where the partition was first; Apache Kafka keeps replicas of the first target then.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator

from kbroker.cluster.metadata_image import TopicImage
from kbroker.cluster.requested_reassignments import Reassignment
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)


def handle(
    context: RequestContext, request: AlterPartitionReassignmentsRequest
) -> (
    AlterPartitionReassignmentsResponse
    | Coroutine[None, None, AlterPartitionReassignmentsResponse | None]
):
    """Each partition is answered by itself."""
    return _reassign(context, request) if request.topics else _nothing_asked()


def _nothing_asked() -> AlterPartitionReassignmentsResponse:
    """Kafka's answer where no topic was named, whatever else was asked."""
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=True, error_code=0, error_message="", responses=[]
    )


async def _reassign(
    context: RequestContext, request: AlterPartitionReassignmentsRequest
) -> AlterPartitionReassignmentsResponse:
    services = context.services

    def is_unclean_enabled(topic: TopicImage) -> bool:
        return services.topics.config_of(topic).unclean_leader_election_enable

    answers = await services.controller.reassign_partitions(
        [
            Reassignment(
                topic.name,
                asked.partition_index,
                None if asked.replicas is None else tuple(asked.replicas),
            )
            for topic in request.topics
            for asked in topic.partitions
        ],
        is_unclean_enabled=is_unclean_enabled,
        may_change_factor=request.allow_replication_factor_change,
    )
    await services.metadata.wait_until(
        max((each for each in answers if isinstance(each, int)), default=0)
    )
    told = iter(answers)
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_code=0,
        error_message=None,
        responses=[
            ReassignableTopicResponse(
                name=topic.name,
                partitions=[_result(asked.partition_index, told) for asked in topic.partitions],
            )
            for topic in request.topics
        ],
    )


def _result(index: int, answers: Iterator[KafkaError | int]) -> ReassignablePartitionResponse:
    answer = next(answers)
    result = ReassignablePartitionResponse(partition_index=index, error_code=0, error_message=None)
    if isinstance(answer, KafkaError):
        result.error_code, result.error_message = answer.code, answer.detail or None
    return result


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
