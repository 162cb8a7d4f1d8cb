"""Heartbeat (key 12): a member is alive, and asks whether its generation still holds."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    int16,
    int32,
    string,
)


class HeartbeatRequest(Request, api_key=ApiKey.HEARTBEAT, versions="0-4", flexible="4+"):
    """A member of a generation."""

    group_id: str = string()
    generation_id: int = int32()
    member_id: str = string()
    group_instance_id: str | None = string("3+", nullable="3+", default=None)


class HeartbeatResponse(Response, api_key=ApiKey.HEARTBEAT, versions="0-4", flexible="4+"):
    """Whether it may go on; REBALANCE_IN_PROGRESS tells it to join again."""

    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16()
