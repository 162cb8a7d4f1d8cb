"""LeaveGroup (key 13): members leave at once, before their sessions run out."""

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
)


class MemberIdentity(Struct):
    """A member, by its id or by its instance id, and why it leaves."""

    member_id: str = string()
    group_instance_id: str | None = string(nullable="0+", default=None)
    reason: str | None = string("5+", nullable="5+", default=None)


class LeaveGroupRequest(Request, api_key=ApiKey.LEAVE_GROUP, versions="0-5", flexible="4+"):
    """One member until v2, any number from v3 (KIP-345)."""

    group_id: str = string()
    member_id: str = string("0-2", default="")
    members: list[MemberIdentity] = array(MemberIdentity, "3+", default=())


class MemberResponse(Struct):
    """The outcome for one member."""

    member_id: str = string()
    group_instance_id: str | None = string(nullable="0+")
    error_code: int = int16()


class LeaveGroupResponse(Response, api_key=ApiKey.LEAVE_GROUP, versions="0-5", flexible="4+"):
    """The outcome for every member; until v2 `error_code` is that of the only one."""

    throttle_time_ms: int = int32("1+", default=0)
    error_code: int = int16()
    members: list[MemberResponse] = array(MemberResponse, "3+", default=())
