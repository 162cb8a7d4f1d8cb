"""FindCoordinator: which broker looks after a group.

Versions 0 to 6. Creates `__consumer_offsets` on first use, and answers when it serves: where the
coordinator is this broker, once it has loaded the group.

- 1: coordinators of transactions. 4: many keys in one request (KIP-699). 6: share groups (KIP-932).

Deliberate deviation: transactions and share groups are not served yet; a transactional id is
answered with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which every client takes as final, a share
group with INVALID_REQUEST.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

logger = logging.getLogger(__name__)

GROUP = 0
TRANSACTION = 1
SHARE = 2

BATCHED_SINCE = 4
NO_NODE = -1

MALFORMED = (
    "This most likely occurs because of a request being malformed by the client library or the "
    "message was sent to an incompatible broker. See the broker logs for more details."
)


def handle(
    context: RequestContext, request: FindCoordinatorRequest
) -> FindCoordinatorResponse | Coroutine[None, None, FindCoordinatorResponse | None]:
    """Answer at once where the offsets topic serves already."""
    if request.key_type == GROUP:
        coordinator = context.services.group_coordinator
        batched = context.api_version >= BATCHED_SINCE
        keys = request.coordinator_keys if batched else [request.key]
        if not all(coordinator.is_placed(key) for key in keys):
            return _create_then_answer(context, request)
    return _answer(context, request)


async def _create_then_answer(
    context: RequestContext, request: FindCoordinatorRequest
) -> FindCoordinatorResponse:
    try:
        await context.services.group_coordinator.ensure_topic()
    except KafkaError as error:
        # Whatever it is passes or is mended while clients ask again, as Kafka lets them.
        logger.warning("there is no coordinator for groups: %s", error)
        return error_response(request, context.api_version, ErrorCode.COORDINATOR_NOT_AVAILABLE)
    return _answer(context, request)


def _answer(context: RequestContext, request: FindCoordinatorRequest) -> FindCoordinatorResponse:
    if context.api_version < BATCHED_SINCE:
        found = _find(context, request.key_type, request.key)
        return FindCoordinatorResponse(
            error_code=found.error_code,
            error_message=found.error_message,
            node_id=found.node_id,
            host=found.host,
            port=found.port,
        )
    return FindCoordinatorResponse(
        coordinators=[_find(context, request.key_type, key) for key in request.coordinator_keys]
    )


def _find(context: RequestContext, key_type: int, key: str) -> Coordinator:
    batched = context.api_version >= BATCHED_SINCE
    try:
        if key_type == TRANSACTION:
            raise KafkaError(
                ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactions are not served yet"
            )
        if key_type == SHARE and batched:
            raise KafkaError(ErrorCode.INVALID_REQUEST)
        if key_type != GROUP:
            raise KafkaError(ErrorCode.INVALID_REQUEST, MALFORMED)
        node_id = context.services.group_coordinator.coordinator_of(key)
        address = context.services.address_of(node_id, context.connection)
        if address is None:  # it has no such listener as this client uses
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    except KafkaError as error:
        return _refused(key, error.code, error.detail or ("" if batched else None))
    return Coordinator(
        key=key,
        node_id=address.node_id,
        host=address.host,
        port=address.port,
        error_code=0,
        error_message="" if batched else "NONE",
    )


def _refused(key: str, code: ErrorCode, message: str | None) -> Coordinator:
    return Coordinator(
        key=key,
        node_id=NO_NODE,
        host="",
        port=NO_NODE,
        error_code=code,
        error_message=message,
    )


def error_response(
    request: FindCoordinatorRequest, version: int, code: ErrorCode
) -> FindCoordinatorResponse:
    """Every key fails with `code`."""
    if version < BATCHED_SINCE:
        return FindCoordinatorResponse(
            error_code=code, error_message=None, node_id=NO_NODE, host="", port=NO_NODE
        )
    return FindCoordinatorResponse(
        coordinators=[_refused(key, code, "") for key in request.coordinator_keys]
    )


HANDLER = Handler(
    request=FindCoordinatorRequest,
    versions=range(0, 7),
    handle=handle,
    error_response=error_response,
)
