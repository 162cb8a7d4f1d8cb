"""FindCoordinator (key 10): who coordinates a group or a transaction."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    Struct,
    array,
    int8,
    int16,
    int32,
    string,
    string_array,
)


class FindCoordinatorRequest(
    Request, api_key=ApiKey.FIND_COORDINATOR, versions="0-6", flexible="3+"
):
    """One key until v3, several from v4 (KIP-699)."""

    key: str = string("0-3", default="")
    key_type: int = int8("1+", default=0)
    coordinator_keys: list[str] = string_array("4+", default=())


class Coordinator(Struct):
    """The coordinator of one key."""

    key: str = string()
    node_id: int = int32()
    host: str = string()
    port: int = int32()
    error_code: int = int16()
    error_message: str | None = string(nullable="0+")


class FindCoordinatorResponse(
    Response, api_key=ApiKey.FIND_COORDINATOR, versions="0-6", flexible="3+"
):
    """One coordinator until v3, several from v4."""

    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16("0-3", default=0)
    error_message: str | None = string("1-3", nullable="1-3", default="")
    node_id: int = int32("0-3", default=0)
    host: str = string("0-3", default="")
    port: int = int32("0-3", default=0)
    coordinators: list[Coordinator] = array(Coordinator, "4+", default=())
