"""DeleteTopics: topics by name or by id, gone when answered.

Versions 1 to 6. 5: error messages. 6: by id (KIP-516); a state with both, or neither, is refused.
"""

from __future__ import annotations

from collections.abc import Coroutine

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from wire.schema import NIL_UUID


def handle(
    context: RequestContext, request: DeleteTopicsRequest
) -> Coroutine[None, None, DeleteTopicsResponse | None]:
    """Delete what can be deleted."""
    return _delete(context, request)


async def _delete(context: RequestContext, request: DeleteTopicsRequest) -> DeleteTopicsResponse:
    if not context.services.config.delete_topic_enable:
        code = (
            ErrorCode.TOPIC_DELETION_DISABLED
            if context.api_version >= 3
            else ErrorCode.INVALID_REQUEST
        )
        return error_response(request, context.api_version, code)
    results: list[DeletableTopicResult] = []
    for state in _without_duplicates(context, _states(request), results):
        try:
            topic_id, name = _find(context, state)
            await context.services.topics.delete(topic_id)
        except KafkaError as error:
            results.append(
                _refused(state, _as_asked(state, error.code), error.detail or error.code.name)
            )
        else:
            results.append(DeletableTopicResult(name=name, topic_id=topic_id, error_code=0))
    return DeleteTopicsResponse(throttle_time_ms=0, responses=results)


def _as_asked(state: DeleteTopicState, code: ErrorCode) -> ErrorCode:
    """Who asks by name is told of the name, also where somebody else was quicker."""
    if code is ErrorCode.UNKNOWN_TOPIC_ID and state.name is not None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return code


def _states(request: DeleteTopicsRequest) -> list[DeleteTopicState]:
    """What is to be deleted, however the version says it."""
    by_name = [DeleteTopicState(name=name, topic_id=NIL_UUID) for name in request.topic_names]
    return [*request.topics, *by_name]


def _without_duplicates(
    context: RequestContext, states: list[DeleteTopicState], refused: list[DeletableTopicResult]
) -> list[DeleteTopicState]:
    """What is asked for once; who asks twice for a topic deletes nothing of it (as in Kafka)."""
    invalid = ErrorCode.INVALID_REQUEST
    counts: dict[tuple[str | None, bytes], int] = {}
    for state in states:
        key = state.name, state.topic_id
        counts[key] = counts.get(key, 0) + 1
    image = context.services.metadata.image
    named = {image.topic_ids.get(state.name or "") for state in states}
    once = []
    for state in states:
        count = counts.pop((state.name, state.topic_id), 0)
        if count > 1 and not _is_nameless(state):
            what = "name" if state.name is not None else "id"
            refused.append(_refused(state, invalid, f"Duplicate topic {what}."))
        elif state.name is None and state.topic_id in named:
            name = image.topics[state.topic_id].name
            counts.pop((name, NIL_UUID), None)
            refused.append(
                _refused(
                    DeleteTopicState(name=name, topic_id=state.topic_id),
                    invalid,
                    "The provided topic name maps to an ID that was already supplied.",
                )
            )
        elif count or _is_nameless(state):
            once.append(state)
    by_id = {each.topic_id for each in refused}
    return [each for each in once if image.topic_ids.get(each.name or "") not in by_id]


def _is_nameless(state: DeleteTopicState) -> bool:
    return state.name is None and state.topic_id == NIL_UUID


def _refused(state: DeleteTopicState, code: ErrorCode, message: str) -> DeletableTopicResult:
    return DeletableTopicResult(
        name=state.name, topic_id=state.topic_id, error_code=code, error_message=message
    )


def _find(context: RequestContext, state: DeleteTopicState) -> tuple[bytes, str]:
    """The topic's id and name, or KafkaError."""
    image = context.services.metadata.image
    if state.name is not None and state.topic_id != NIL_UUID:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, "You may not specify both topic name and topic id."
        )
    if _is_nameless(state):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Neither topic name nor id were specified.")
    if state.name is not None:
        topic = image.topic_by_name(state.name)
        if topic is None:
            raise KafkaError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                "This server does not host this topic-partition.",
            )
        return topic.topic_id, topic.name
    topic = image.topics.get(state.topic_id)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host this topic ID.")
    return topic.topic_id, topic.name


def error_response(
    request: DeleteTopicsRequest, version: int, code: ErrorCode
) -> DeleteTopicsResponse:
    """Every topic fails with `code`."""
    return DeleteTopicsResponse(
        throttle_time_ms=0,
        responses=[
            DeletableTopicResult(name=state.name, topic_id=state.topic_id, error_code=code)
            for state in _states(request)
        ],
    )


HANDLER = Handler(
    request=DeleteTopicsRequest,
    versions=range(1, 7),
    handle=handle,
    error_response=error_response,
)
