"""DeleteGroups (key 42): delete empty groups and all that they have committed."""

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


class DeleteGroupsRequest(Request, api_key=ApiKey.DELETE_GROUPS, versions="0-2", flexible="2+"):
    """The groups to delete."""

    groups_names: list[str] = string_array()


class DeletableGroupResult(Struct):
    """The outcome for one group."""

    group_id: str = string()
    error_code: int = int16()


class DeleteGroupsResponse(Response, api_key=ApiKey.DELETE_GROUPS, versions="0-2", flexible="2+"):
    """The outcome for every group."""

    throttle_time_ms: int = int32(default=0)
    results: list[DeletableGroupResult] = array(DeletableGroupResult)
