"""DeleteTopics (key 20): delete topics, by name or from v6 by id."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    NIL_UUID,
    Request,
    Response,
    Struct,
    array,
    int16,
    int32,
    string,
    string_array,
    uuid,
)


class DeleteTopicState(Struct):
    """A topic by name or by id."""

    name: str | None = string(nullable="0+", default=None)
    topic_id: bytes = uuid()


class DeleteTopicsRequest(Request, api_key=ApiKey.DELETE_TOPICS, versions="1-6", flexible="4+"):
    """Names until v5, `topics` from v6."""

    topics: list[DeleteTopicState] = array(DeleteTopicState, "6+", default=())
    topic_names: list[str] = string_array("1-5", default=())
    timeout_ms: int = int32()


class DeletableTopicResult(Struct):
    """The outcome for one topic."""

    name: str | None = string(nullable="6+")
    topic_id: bytes = uuid("6+", default=NIL_UUID)
    error_code: int = int16()
    error_message: str | None = string("5+", nullable="5+", default=None)


class DeleteTopicsResponse(Response, api_key=ApiKey.DELETE_TOPICS, versions="1-6", flexible="4+"):
    """The outcome for every topic."""

    throttle_time_ms: int = int32(default=0)
    responses: list[DeletableTopicResult] = array(DeletableTopicResult)
