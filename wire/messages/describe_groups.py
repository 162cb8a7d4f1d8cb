"""DescribeGroups (key 15): the state and the members of classic groups."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    Struct,
    array,
    binary,
    boolean,
    int16,
    int32,
    string,
    string_array,
)


class DescribeGroupsRequest(Request, api_key=ApiKey.DESCRIBE_GROUPS, versions="0-6", flexible="5+"):
    """Which groups to describe."""

    groups: list[str] = string_array()
    include_authorized_operations: bool = boolean("3+", default=False)


class DescribedGroupMember(Struct):
    """A member, the client it is, and what it subscribes to and is assigned."""

    member_id: str = string()
    group_instance_id: str | None = string("4+", nullable="4+", default=None)
    client_id: str = string()
    client_host: str = string()
    member_metadata: bytes = binary()
    member_assignment: bytes = binary()


class DescribedGroup(Struct):
    """One group; `protocol_data` is the assignor chosen, empty while none is."""

    error_code: int = int16()
    error_message: str | None = string("6+", nullable="6+", default=None)
    group_id: str = string()
    group_state: str = string()
    protocol_type: str = string()
    protocol_data: str = string()
    members: list[DescribedGroupMember] = array(DescribedGroupMember)
    authorized_operations: int = int32("3+", default=-(2**31))


class DescribeGroupsResponse(
    Response, api_key=ApiKey.DESCRIBE_GROUPS, versions="0-6", flexible="5+"
):
    """Every group asked for, in that order."""

    throttle_time_ms: int = int32("1+", default=0)
    groups: list[DescribedGroup] = array(DescribedGroup)
