"""ListGroups (key 16): the groups that this broker coordinates."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    Struct,
    array,
    int16,
    int32,
    string,
    string_array,
)


class ListGroupsRequest(Request, api_key=ApiKey.LIST_GROUPS, versions="0-5", flexible="3+"):
    """Which states (KIP-518) and types (KIP-848) to list; none means all."""

    states_filter: list[str] = string_array("4+", default=())
    types_filter: list[str] = string_array("5+", default=())


class ListedGroup(Struct):
    """One group."""

    group_id: str = string()
    protocol_type: str = string()
    group_state: str = string("4+", default="")
    group_type: str = string("5+", default="")


class ListGroupsResponse(Response, api_key=ApiKey.LIST_GROUPS, versions="0-5", flexible="3+"):
    """The groups that match."""

    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16()
    groups: list[ListedGroup] = array(ListedGroup)
