"""Heartbeat: a member of a classic group says that it lives, and learns of a rebalance.

Versions 0 to 4. The hot path of large groups: answered at once, without a look at the log. While
the groups are being loaded every heartbeat is welcome, as in Kafka: nobody is thrown out for it.

- 3: static members (KIP-345).
"""

from __future__ import annotations

from coordinator.group.shard import GroupShard
from coordinator.outcome import Moment, Outcome
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse


def handle(context: RequestContext, request: HeartbeatRequest) -> HeartbeatResponse:
    """Renew the member's session."""
    if not request.group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID)

    def heartbeat(shard: GroupShard, now: Moment) -> Outcome[HeartbeatResponse]:
        return shard.handle_heartbeat(request, now=now)

    return context.services.group_coordinator.prolong(request.group_id, heartbeat)


def error_response(request: HeartbeatRequest, version: int, code: ErrorCode) -> HeartbeatResponse:
    """The member has to do what `code` says."""
    if code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        code = ErrorCode.NONE
    return HeartbeatResponse(error_code=code)


HANDLER = Handler(
    request=HeartbeatRequest,
    versions=range(0, 5),
    handle=handle,
    error_response=error_response,
)
