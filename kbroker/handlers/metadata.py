"""Metadata: brokers, topics, leaders; creates a missing topic where that is allowed.

Versions 0 to 13. Below 4 there is no `allow_auto_topic_creation`: it counts as true.

- 0: no topics means all; from 1 on null means all, and an empty list none. 5: offline replicas.
- 7: leader epochs (KIP-320). 8: authorized operations (KIP-430). 10: topic ids (KIP-516).
- 12: topics by id. 13: an error for the whole (KIP-1102).

In a cluster the metadata store is asked once about a topic that this broker has not heard of, so
that what was created through another broker is there at once.

Deliberate deviations: a topic that this request creates is in its answer, ready to use (Kafka
answers LEADER_NOT_AVAILABLE first); without `advertised.listeners` the broker's address is the one
that the client has reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine

from kbroker.cluster.metadata_image import TopicImage
from kbroker.cluster.topic_names import topic_name_problem
from kbroker.handler import Handler, RequestContext
from kbroker.operations import CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS
from kbroker.topics import INTERNAL_TOPICS
from wire.errors import ErrorCode, KafkaError
from wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from wire.schema import NIL_UUID

IDS_SINCE = 12


def handle(
    context: RequestContext, request: MetadataRequest
) -> MetadataResponse | Coroutine[None, None, MetadataResponse | None]:
    """Answer from the image; only a topic to be created, or one that other brokers may have made,
    makes it wait."""
    _check_names(context, request)
    missing = _to_create(context, request)
    if missing:
        return _create_then_answer(context, request, missing)
    lookup = context.services.topic_lookup
    if lookup is not None and request.topics:
        names = [topic.name for topic in request.topics if topic.name is not None]
        unheard_of = lookup.worth_asking(names)
        if unheard_of:
            return _find_then_answer(context, request, lookup.find(unheard_of))
    return _answer(context, request, {})


def _check_names(context: RequestContext, request: MetadataRequest) -> None:
    """Below version 12 ids are in the format, but only names may be asked for."""
    for topic in request.topics or ():
        if context.api_version < IDS_SINCE and (topic.name is None or topic.topic_id != NIL_UUID):
            raise KafkaError(ErrorCode.INVALID_REQUEST)
        if topic.name is None and topic.topic_id == NIL_UUID:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)


def _to_create(context: RequestContext, request: MetadataRequest) -> list[str]:
    services = context.services
    if not (request.allow_auto_topic_creation and services.config.auto_create_topics_enable):
        return []
    names = [topic.name for topic in request.topics or () if topic.topic_id == NIL_UUID]
    known = services.metadata.image.topic_ids
    return [
        name
        for name in dict.fromkeys(names)
        if name is not None and name not in known and topic_name_problem(name) is None
    ]


async def _find_then_answer(
    context: RequestContext, request: MetadataRequest, finding: Awaitable[None]
) -> MetadataResponse:
    await finding
    return _answer(context, request, {})


async def _create_then_answer(
    context: RequestContext, request: MetadataRequest, missing: list[str]
) -> MetadataResponse:
    errors: dict[str, ErrorCode] = {}
    for name in missing:
        try:
            await context.services.topics.create_automatically(name)
        except KafkaError as error:
            # Somebody else was quicker, or the name collides with another's.
            if error.code != ErrorCode.TOPIC_ALREADY_EXISTS:
                errors[name] = error.code
    return _answer(context, request, errors)


def _answer(
    context: RequestContext, request: MetadataRequest, errors: dict[str, ErrorCode]
) -> MetadataResponse:
    services = context.services
    wants_all = request.topics is None or (context.api_version == 0 and not request.topics)
    if wants_all:
        image = services.metadata.image
        topics = [
            _topic(context, request, image.topics[image.topic_ids[name]])
            for name in sorted(image.topic_ids)
        ]
    else:
        # A topic asked for twice, by name or by id, is answered once.
        answers = [_requested(context, request, each, errors) for each in request.topics or ()]
        topics = list({(each.topic_id, each.name): each for each in answers}.values())
    return MetadataResponse(
        brokers=[
            MetadataResponseBroker(
                node_id=each.node_id, host=each.host, port=each.port, rack=each.rack
            )
            for each in services.broker_addresses(context.connection)
        ],
        cluster_id=services.cluster_id,
        controller_id=services.controller_id(),
        topics=topics,
        cluster_authorized_operations=CLUSTER_OPERATIONS
        if request.include_cluster_authorized_operations
        else NOT_ASKED,
    )


def _requested(
    context: RequestContext,
    request: MetadataRequest,
    asked: MetadataRequestTopic,
    errors: dict[str, ErrorCode],
) -> MetadataResponseTopic:
    image = context.services.metadata.image
    if asked.topic_id != NIL_UUID:
        topic = image.topics.get(asked.topic_id)
        if topic is None:
            return _failed(None, asked.topic_id, ErrorCode.UNKNOWN_TOPIC_ID)
        return _topic(context, request, topic)
    name = asked.name or ""
    topic = image.topic_by_name(name)
    if topic is not None:
        return _topic(context, request, topic)
    if topic_name_problem(name) is not None:
        return _failed(name, NIL_UUID, ErrorCode.INVALID_TOPIC_EXCEPTION)
    return _failed(name, NIL_UUID, errors.get(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))


def _failed(name: str | None, topic_id: bytes, code: ErrorCode) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        error_code=code,
        name=name,
        topic_id=topic_id,
        is_internal=name in INTERNAL_TOPICS,
        partitions=[],
    )


def _topic(
    context: RequestContext, request: MetadataRequest, topic: TopicImage
) -> MetadataResponseTopic:
    brokers = context.services.metadata.image.brokers
    live = {each for each, broker in brokers.items() if broker.is_admitted}
    partitions = []
    for index, record in topic.partitions.items():
        partitions.append(
            MetadataResponsePartition(
                error_code=0 if record.leader in live else ErrorCode.LEADER_NOT_AVAILABLE,
                partition_index=index,
                leader_id=record.leader,
                leader_epoch=record.leader_epoch,
                replica_nodes=list(record.replicas),
                isr_nodes=list(record.isr),
                offline_replicas=[each for each in record.replicas if each not in live],
            )
        )
    return MetadataResponseTopic(
        error_code=0,
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.name in INTERNAL_TOPICS,
        partitions=partitions,
        topic_authorized_operations=TOPIC_OPERATIONS
        if request.include_topic_authorized_operations
        else NOT_ASKED,
    )


def error_response(request: MetadataRequest, version: int, code: ErrorCode) -> MetadataResponse:
    """Every topic asked for fails with `code`; from version 13 on the whole does."""
    return MetadataResponse(
        brokers=[],
        topics=[_failed(each.name or "", each.topic_id, code) for each in request.topics or ()],
        error_code=code,
    )


HANDLER = Handler(
    request=MetadataRequest, versions=range(0, 14), handle=handle, error_response=error_response
)
