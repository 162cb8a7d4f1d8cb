"""SyncGroup: the leader of a classic group hands out the assignment, every member fetches its own.

Versions 0 to 5. A follower's answer waits for the leader; the leader's, and with it all others,
until the group is stored. Until then the connection's later requests wait, as in Kafka. While the
groups are being loaded a member is told to join anew, as in Kafka: its rebalance is gone.

- 3: static members (KIP-345). 5: protocol type and name, both mandatory (KIP-559).
"""

from __future__ import annotations

from coordinator.group.shard import GroupShard
from coordinator.outcome import Moment, Outcome, Ticket
from kbroker.handler import Handler, RequestContext
from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError
from wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

PROTOCOL_SINCE = 5


def handle(
    context: RequestContext, request: SyncGroupRequest
) -> SyncGroupResponse | Deferred[SyncGroupResponse]:
    """Synchronise one member."""
    version = context.api_version
    if version >= PROTOCOL_SINCE and None in (request.protocol_type, request.protocol_name):
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if not request.group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID)

    def sync(shard: GroupShard, ticket: Ticket, now: Moment) -> Outcome[SyncGroupResponse]:
        return shard.handle_sync_group(request, version=version, ticket=ticket, now=now)

    return context.services.group_coordinator.change(request.group_id, sync)


def error_response(request: SyncGroupRequest, version: int, code: ErrorCode) -> SyncGroupResponse:
    """The member has no assignment."""
    if code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        code = ErrorCode.REBALANCE_IN_PROGRESS
    return SyncGroupResponse(error_code=code, assignment=b"")


HANDLER = Handler(
    request=SyncGroupRequest,
    versions=range(0, 6),
    handle=handle,
    error_response=error_response,
)
