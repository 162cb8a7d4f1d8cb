"""CreatePartitions: topics grow, each by itself or not at all, ready to use when answered.

Versions 0 to 3. 2: flexible. 3: quota errors (KIP-599), of which there are none. A topic named
twice is refused (INVALID_REQUEST), as in Kafka.

Deliberate deviations: the offsets topic does not grow, because groups would lose what they have
committed; more than 10,000 new partitions in a request are POLICY_VIOLATION, as in CreateTopics.
"""

from __future__ import annotations

from collections.abc import Coroutine

from kbroker.cluster.topic_growth import GrownTopic, TopicGrowth
from kbroker.handler import Handler, RequestContext
from kbroker.topics import INTERNAL_TOPICS
from wire.errors import ErrorCode, KafkaError
from wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)

REFUSED_BY_DISK = (
    "The partitions were added, but the disk refused some of them: they are made once it has room."
)


def handle(
    context: RequestContext, request: CreatePartitionsRequest
) -> Coroutine[None, None, CreatePartitionsResponse | None]:
    """Add what can be added."""
    return _create(context, request)


async def _create(
    context: RequestContext, request: CreatePartitionsRequest
) -> CreatePartitionsResponse:
    counts: dict[str, int] = {}
    for topic in request.topics:
        counts[topic.name] = counts.get(topic.name, 0) + 1
    results: dict[str, CreatePartitionsTopicResult] = {}
    wanted: list[TopicGrowth] = []
    for topic in request.topics:
        try:
            _check(topic, counts[topic.name])
        except KafkaError as error:
            results[topic.name] = _refused(topic.name, error)
        else:
            wanted.append(_growth(topic))
    answers = await context.services.topics.create_partitions(
        wanted, validate_only=request.validate_only
    )
    for growth, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, GrownTopic) and not request.validate_only:
            answer = _unless_refused_by_disk(context, answer)
        results[growth.name] = (
            _refused(growth.name, answer)
            if isinstance(answer, KafkaError)
            else CreatePartitionsTopicResult(name=growth.name, error_code=0, error_message=None)
        )
    return CreatePartitionsResponse(results=list(results.values()))


def _check(topic: CreatePartitionsTopic, count: int) -> None:
    if count > 1:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
    if topic.name in INTERNAL_TOPICS:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"The internal topic {topic.name} does not grow: its records would not be found.",
        )


def _growth(topic: CreatePartitionsTopic) -> TopicGrowth:
    assignment = None
    if topic.assignments is not None:
        assignment = [each.broker_ids for each in topic.assignments]
    return TopicGrowth(topic.name, topic.count, assignment)


def _unless_refused_by_disk(context: RequestContext, grown: GrownTopic) -> GrownTopic | KafkaError:
    """The answer, or that this broker has not all that it should have of the topic."""
    services = context.services
    topic = services.metadata.image.topics.get(grown.topic_id)
    if topic is None:
        return grown  # deleted meanwhile
    try:
        for index, record in topic.partitions.items():
            if services.node_id in record.replicas:
                services.replicas.partition_by_id(topic.topic_id, index)
    except KafkaError:
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, REFUSED_BY_DISK)
    return grown


def _refused(name: str, error: KafkaError) -> CreatePartitionsTopicResult:
    return CreatePartitionsTopicResult(
        name=name, error_code=error.code, error_message=error.detail or None
    )


def error_response(
    request: CreatePartitionsRequest, version: int, code: ErrorCode
) -> CreatePartitionsResponse:
    """Every topic fails with `code`."""
    return CreatePartitionsResponse(
        results=[
            CreatePartitionsTopicResult(name=topic.name, error_code=code, error_message=None)
            for topic in request.topics
        ]
    )


HANDLER = Handler(
    request=CreatePartitionsRequest,
    versions=range(0, 4),
    handle=handle,
    error_response=error_response,
)
