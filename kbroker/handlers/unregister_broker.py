"""UnregisterBroker: a broker that will not come back is forgotten.

Version 0. What it had replicas of keeps it among them until it is reassigned, as in Kafka; topics
that were deleted do not wait for it any more. A broker that runs all the same joins anew.

Deliberate deviation: a broker on its own does not forget itself (INVALID_REQUEST): there would be
nobody to let it in again.
"""

from __future__ import annotations

from collections.abc import Coroutine

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse


def handle(
    context: RequestContext, request: UnregisterBrokerRequest
) -> Coroutine[None, None, UnregisterBrokerResponse | None]:
    """Forget it, if anybody knows it."""
    return _unregister(context, request)


async def _unregister(
    context: RequestContext, request: UnregisterBrokerRequest
) -> UnregisterBrokerResponse:
    services = context.services
    controller = services.controller
    try:
        if request.broker_id == services.node_id and not controller.store.is_shared:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "This broker is the only one.")
        revision = await controller.unregister_broker(request.broker_id)
    except KafkaError as error:
        return _response(error.code, error.detail or None)
    await services.metadata.wait_until(revision)
    return _response(ErrorCode.NONE, None)


def _response(code: ErrorCode, message: str | None) -> UnregisterBrokerResponse:
    return UnregisterBrokerResponse(throttle_time_ms=0, error_code=code, error_message=message)


def error_response(
    request: UnregisterBrokerRequest, version: int, code: ErrorCode
) -> UnregisterBrokerResponse:
    """Nobody is forgotten."""
    return _response(code, None)


HANDLER = Handler(
    request=UnregisterBrokerRequest,
    versions=range(0, 1),
    handle=handle,
    error_response=error_response,
)
