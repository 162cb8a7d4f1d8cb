"""ElectLeaders: which partitions need another leader than they have (KIP-460).

Versions 0 to 2. 0: the preferred leader only. 1: unclean elections too. 2: flexible.

A preferred election gives a partition back to its first replica; an unclean one gives one that has
no leader to whoever lives, and may lose records by it. Else the partition has its leader
(ELECTION_NOT_NEEDED), or there is nobody to elect. As in Kafka, asking about everything names every
topic, and of those no partition that needs nothing.

In a cluster the controller elects, whichever broker was asked, and the answer comes once this
broker knows.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence

from kbroker.cluster.metadata_image import MetadataImage
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

PREFERRED, UNCLEAN = 0, 1


def handle(
    context: RequestContext, request: ElectLeadersRequest
) -> ElectLeadersResponse | Coroutine[None, None, ElectLeadersResponse | None]:
    """Elect what needs a leader, and say of the rest why it has the one it has."""
    kind = request.election_type
    if request.topic_partitions is not None and not request.topic_partitions:
        return _response([])  # of no partition, whatever kind is asked for
    if kind not in (PREFERRED, UNCLEAN):
        code, message = ErrorCode.INVALID_REQUEST, f"Unknown election type {kind}"
        return _failure(request, code, message)
    return _elect(context, request)


async def _elect(context: RequestContext, request: ElectLeadersRequest) -> ElectLeadersResponse:
    services = context.services
    image = services.metadata.image
    everything = request.topic_partitions is None
    asked = _everything(image) if everything else _named(request)
    known = [
        (image.topic_ids[name], index)
        for name, indexes in asked
        for index in indexes
        if _refusal(image, name, index) is None
    ]
    answers = await services.controller.elect_leaders(
        known, unclean=request.election_type == UNCLEAN
    )
    await services.metadata.wait_until(
        max((each for each in answers.values() if isinstance(each, int)), default=0)
    )
    results = []
    for name, indexes in asked:
        of_topic = [_result(image, name, index, answers) for index in indexes]
        if everything:
            of_topic = [
                each for each in of_topic if each.error_code != ErrorCode.ELECTION_NOT_NEEDED
            ]
        results.append(ReplicaElectionResult(topic=name, partition_result=of_topic))
    return _response(results)


def _everything(image: MetadataImage) -> list[tuple[str, Sequence[int]]]:
    return [
        (name, list(image.topics[topic_id].partitions))
        for name, topic_id in sorted(image.topic_ids.items())
    ]


def _named(request: ElectLeadersRequest) -> list[tuple[str, Sequence[int]]]:
    return [(each.topic, each.partitions) for each in request.topic_partitions or ()]


def _refusal(image: MetadataImage, name: str, index: int) -> KafkaError | None:
    """Why there can be no election, in Kafka's words; None: the controller is to say."""
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    topic = image.topic_by_name(name)
    if topic is None:
        return KafkaError(unknown, f"No such topic as {name}")
    if index not in topic.partitions:
        return KafkaError(unknown, f"No such partition as {name}-{index}")
    return None


def _result(
    image: MetadataImage,
    name: str,
    index: int,
    answers: Mapping[tuple[bytes, int], KafkaError | int],
) -> PartitionResult:
    """`answers` are the controller's, by topic id and partition; the image may have moved on."""
    topic_id = image.topic_ids.get(name)
    answer = None if topic_id is None else answers.get((topic_id, index))
    if answer is None:
        answer = _refusal(image, name, index) or KafkaError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {name}"
        )
    if isinstance(answer, KafkaError):
        return PartitionResult(
            partition_id=index, error_code=answer.code, error_message=answer.detail
        )
    return PartitionResult(partition_id=index, error_code=0, error_message=None)


def _response(results: list[ReplicaElectionResult]) -> ElectLeadersResponse:
    return ElectLeadersResponse(error_code=0, replica_election_results=results)


def _failure(
    request: ElectLeadersRequest, code: ErrorCode, message: str | None
) -> ElectLeadersResponse:
    return ElectLeadersResponse(
        error_code=code,
        replica_election_results=[
            ReplicaElectionResult(
                topic=asked.topic,
                partition_result=[
                    PartitionResult(partition_id=index, error_code=code, error_message=message)
                    for index in asked.partitions
                ],
            )
            for asked in request.topic_partitions or ()
        ],
    )


def error_response(
    request: ElectLeadersRequest, version: int, code: ErrorCode
) -> ElectLeadersResponse:
    """Every partition named fails with `code`."""
    return _failure(request, code, None)


HANDLER = Handler(
    request=ElectLeadersRequest,
    versions=range(0, 3),
    handle=handle,
    error_response=error_response,
)
