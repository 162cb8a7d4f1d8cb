"""InitProducerId: an id and an epoch for an idempotent producer (KIP-98, KIP-360).

Versions 0 to 5. Ids come from blocks that the metadata store hands out, so that no two brokers, and
no two lives of one, give the same id.

Deliberate deviation: transactions are not served yet; a transactional id is answered with
TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which every client takes as final instead of retrying.
"""

from __future__ import annotations

from collections.abc import Coroutine

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse


def handle(
    context: RequestContext, request: InitProducerIdRequest
) -> InitProducerIdResponse | Coroutine[None, None, InitProducerIdResponse | None]:
    """Give a new id; only every thousandth has to ask the store."""
    if request.transactional_id == "":
        return _refusal(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is not None:
        return _refusal(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    if (request.producer_id == -1) is not (request.producer_epoch == -1):
        return _refusal(ErrorCode.INVALID_REQUEST)
    producer_id = context.services.producer_ids.take()
    if producer_id is not None:
        return _granted(producer_id)
    return _refill(context)


async def _refill(context: RequestContext) -> InitProducerIdResponse:
    return _granted(await context.services.producer_ids.next())


def _granted(producer_id: int) -> InitProducerIdResponse:
    return InitProducerIdResponse(
        throttle_time_ms=0, error_code=0, producer_id=producer_id, producer_epoch=0
    )


def _refusal(code: ErrorCode) -> InitProducerIdResponse:
    return InitProducerIdResponse(throttle_time_ms=0, error_code=code, producer_epoch=-1)


def error_response(
    request: InitProducerIdRequest, version: int, code: ErrorCode
) -> InitProducerIdResponse:
    """The whole request fails with `code`."""
    return _refusal(code)


HANDLER = Handler(
    request=InitProducerIdRequest,
    versions=range(0, 6),
    handle=handle,
    error_response=error_response,
)
