"""CreateTopics: new topics, each created or refused by itself, ready to use when answered.

Versions 2 to 7. A topic named twice in one request is refused (INVALID_REQUEST), as in Kafka.

- 4: -1 asks for the broker's default (KIP-464). 5: the settings that hold are in the answer
  (KIP-525). 7: topic ids (KIP-516).
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping

from kbroker.cluster.topic_creation import CreatedTopic, NewTopic
from kbroker.cluster.topic_names import validate_topic_name
from kbroker.config.describing import describe_topic
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

Described = dict[frozenset[tuple[str, str]], list[CreatableTopicConfigs]]


def handle(
    context: RequestContext, request: CreateTopicsRequest
) -> Coroutine[None, None, CreateTopicsResponse | None]:
    """Create what can be created."""
    return _create(context, request)


async def _create(context: RequestContext, request: CreateTopicsRequest) -> CreateTopicsResponse:
    counts: dict[str, int] = {}
    for topic in request.topics:
        counts[topic.name] = counts.get(topic.name, 0) + 1
    wanted: list[NewTopic] = []
    results: dict[str, CreatableTopicResult] = {}
    for topic in request.topics:
        try:
            if counts[topic.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            _check_name(context, topic.name)
            wanted.append(_new_topic(topic))
        except KafkaError as error:
            results[topic.name] = _refused(topic.name, error)
    answers = await context.services.topics.create(wanted, validate_only=request.validate_only)
    described: Described = {}
    for new, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, KafkaError):
            results[new.name] = _refused(new.name, answer)
        else:
            results[new.name] = _created(answer, _describe(context, answer.configs, described))
            if not request.validate_only and not _is_served(context, answer):
                # Undone, so that the client may simply ask again.
                await context.services.topics.delete(answer.topic_id)
                refusal = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "the disk refused a partition")
                results[new.name] = _refused(new.name, refusal)
    return CreateTopicsResponse(throttle_time_ms=0, topics=list(results.values()))


def _check_name(context: RequestContext, name: str) -> None:
    """KafkaError: as in Kafka, what is wrong with the name comes before what else is wrong."""
    validate_topic_name(name)
    if context.services.metadata.image.topic_by_name(name) is not None:
        raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")


def _new_topic(topic: CreatableTopic) -> NewTopic:
    configs: dict[str, str] = {}
    for each in topic.configs:
        if each.value is None:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG, f"Null value not supported for topic configs: {each.name}"
            )
        configs[each.name] = each.value
    assignment: dict[int, list[int]] = {}
    for entry in topic.assignments:
        if entry.partition_index in assignment:
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"Found multiple manual partition assignments for partition "
                f"{entry.partition_index}",
            )
        assignment[entry.partition_index] = entry.broker_ids
    return NewTopic(
        topic.name,
        partition_count=topic.num_partitions,
        replication_factor=topic.replication_factor,
        assignment=assignment,
        configs=configs,
    )


def _refused(name: str, error: KafkaError) -> CreatableTopicResult:
    return CreatableTopicResult(
        name=name, error_code=error.code, error_message=error.detail or None
    )


def _is_served(context: RequestContext, created: CreatedTopic) -> bool:
    """Whether this broker has all that it should have of the topic."""
    services = context.services
    topic = services.metadata.image.topics.get(created.topic_id)
    if topic is None:
        return True  # deleted again meanwhile
    try:
        for index, record in topic.partitions.items():
            if services.node_id in record.replicas:
                services.replicas.partition_by_id(topic.topic_id, index)
    except KafkaError:
        return False
    return True


def _describe(
    context: RequestContext, configs: Mapping[str, str], described: Described
) -> list[CreatableTopicConfigs]:
    """What holds for a topic with these settings: made once for all topics that have the same."""
    key = frozenset(configs.items())
    if key not in described:
        described[key] = [
            CreatableTopicConfigs(
                name=each.name,
                value=each.value,
                read_only=each.read_only,
                config_source=each.source,
                is_sensitive=False,
            )
            for each in describe_topic(context.services.running_config, configs)
        ]
    return described[key]


def _created(created: CreatedTopic, configs: list[CreatableTopicConfigs]) -> CreatableTopicResult:
    return CreatableTopicResult(
        name=created.name,
        topic_id=created.topic_id,
        error_code=0,
        error_message=None,
        num_partitions=created.partition_count,
        replication_factor=created.replication_factor,
        configs=configs,
    )


def error_response(
    request: CreateTopicsRequest, version: int, code: ErrorCode
) -> CreateTopicsResponse:
    """Every topic fails with `code`."""
    return CreateTopicsResponse(
        throttle_time_ms=0,
        topics=[
            CreatableTopicResult(name=topic.name, error_code=code, error_message=None)
            for topic in request.topics
        ],
    )


HANDLER = Handler(
    request=CreateTopicsRequest,
    versions=range(2, 8),
    handle=handle,
    error_response=error_response,
)
