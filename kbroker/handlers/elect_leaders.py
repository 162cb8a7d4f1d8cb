"""ElectLeaders: which partitions need another leader than they have (KIP-460).

Versions 0 to 2. 0: the preferred leader only. 1: unclean elections too. 2: flexible.

Each partition has the leader that either kind of election would give it (ELECTION_NOT_NEEDED),
or there is nobody to elect: on one broker the only replica leads while the broker runs. As in
Kafka, asking about everything names every topic, and of those no partition that needs nothing.
"""

from __future__ import annotations

from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

PREFERRED, UNCLEAN = 0, 1


def handle(context: RequestContext, request: ElectLeadersRequest) -> ElectLeadersResponse:
    """Say of each partition that it has its leader, or that nobody can be elected."""
    kind = request.election_type
    if request.topic_partitions is not None and not request.topic_partitions:
        return _response([])  # of no partition, whatever kind is asked for
    if kind not in (PREFERRED, UNCLEAN):
        code, message = ErrorCode.INVALID_REQUEST, f"Unknown election type {kind}"
        return _failure(request, code, message)
    image = context.services.metadata.image
    if request.topic_partitions is None:
        return _response([_every_partition(image, name, kind) for name in sorted(image.topic_ids)])
    return _response(
        [
            ReplicaElectionResult(
                topic=asked.topic,
                partition_result=[
                    _elect(image, asked.topic, index, kind) for index in asked.partitions
                ],
            )
            for asked in request.topic_partitions
        ]
    )


def _every_partition(image: MetadataImage, name: str, kind: int) -> ReplicaElectionResult:
    topic = image.topics[image.topic_ids[name]]
    results = [_elect(image, name, index, kind) for index in topic.partitions]
    needed = [each for each in results if each.error_code != ErrorCode.ELECTION_NOT_NEEDED]
    return ReplicaElectionResult(topic=name, partition_result=needed)


def _elect(image: MetadataImage, name: str, index: int, kind: int) -> PartitionResult:
    try:
        topic = image.topic_by_name(name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {name}")
        if index not in topic.partitions:
            raise KafkaError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {name}-{index}"
            )
        _refuse(topic.partitions[index], kind)
    except KafkaError as error:
        return PartitionResult(
            partition_id=index, error_code=error.code, error_message=error.detail
        )
    raise AssertionError("an election is refused, one way or another")


def _refuse(record: PartitionRecord, kind: int) -> None:
    """KafkaError: why the partition's leader stays who it is."""
    has_leader = record.leader >= 0
    if record.leader == record.replicas[0] or (kind == UNCLEAN and has_leader):
        raise KafkaError(
            ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition."
        )
    if kind == PREFERRED:
        raise KafkaError(
            ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "The preferred leader was not available."
        )
    raise KafkaError(
        ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        "Eligible topic partition leaders are not available.",
    )


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
