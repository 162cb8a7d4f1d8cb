"""LeaveGroup: members leave a classic group, which rebalances at once.

Versions 0 to 5. Consumers leave for themselves, an administrator names static members by their
instance ids.

- 3: several members, each with its own answer (KIP-345). 5: a reason (KIP-800).
"""

from __future__ import annotations

from coordinator.group.shard import GroupShard
from coordinator.outcome import Moment, Outcome, Ticket
from kbroker.handler import Handler, RequestContext
from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError
from wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberResponse

MEMBERS_SINCE = 3


def handle(
    context: RequestContext, request: LeaveGroupRequest
) -> LeaveGroupResponse | Deferred[LeaveGroupResponse]:
    """Remove the members that there are."""
    if not request.group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID)
    version = context.api_version

    def leave(shard: GroupShard, ticket: Ticket, now: Moment) -> Outcome[LeaveGroupResponse]:
        return shard.handle_leave_group(request, version=version, now=now)

    return context.services.group_coordinator.change(request.group_id, leave)


def error_response(request: LeaveGroupRequest, version: int, code: ErrorCode) -> LeaveGroupResponse:
    """Nobody has left. That a member is unknown is said of each (KIP-345)."""
    if code == ErrorCode.UNKNOWN_MEMBER_ID and version >= MEMBERS_SINCE:
        members = [
            MemberResponse(
                member_id=each.member_id,
                group_instance_id=each.group_instance_id,
                error_code=code,
            )
            for each in request.members
        ]
        return LeaveGroupResponse(error_code=ErrorCode.NONE, members=members)
    return LeaveGroupResponse(error_code=code)


HANDLER = Handler(
    request=LeaveGroupRequest,
    versions=range(0, 6),
    handle=handle,
    error_response=error_response,
)
