"""UnregisterBroker (key 64): a broker that will not come back is forgotten (KIP-500, KIP-631)."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    int16,
    int32,
    string,
)


class UnregisterBrokerRequest(
    Request, api_key=ApiKey.UNREGISTER_BROKER, versions="0", flexible="0+"
):
    """Whom to forget."""

    broker_id: int = int32()


class UnregisterBrokerResponse(
    Response, api_key=ApiKey.UNREGISTER_BROKER, versions="0", flexible="0+"
):
    """Whether it is."""

    throttle_time_ms: int = int32(default=0)
    error_code: int = int16()
    error_message: str | None = string(nullable="0+")
