"""JoinGroup: a member enters a classic group, or says again what it can do, and learns who leads.

Versions 0 to 9. The answer waits until every member has joined or the rebalance timeout is over;
until then the connection's later requests wait, as in Kafka. The leader's answer alone holds the
metadata of all members.

- 1: a rebalance timeout apart from the session's. 4: a member id must be asked for (KIP-394).
- 5: static members (KIP-345). 7: the protocol type. 8: a reason (KIP-800). 9: `skip_assignment`
  for a leader that came back (KIP-814).
"""

from __future__ import annotations

import ipaddress

from coordinator.group.settings import Client
from coordinator.group.shard import GroupShard
from coordinator.outcome import Moment, Outcome, Ticket
from kbroker.handler import Handler, RequestContext
from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError
from wire.messages.join_group import JoinGroupRequest, JoinGroupResponse


def handle(
    context: RequestContext, request: JoinGroupRequest
) -> JoinGroupResponse | Deferred[JoinGroupResponse]:
    """Join; the request's own bytes are copied already, so that it may wait."""
    if not request.group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID)
    version = context.api_version
    client = Client(context.client_id or "", client_host(context.connection.peer_address[0]))

    def join(shard: GroupShard, ticket: Ticket, now: Moment) -> Outcome[JoinGroupResponse]:
        return shard.handle_join_group(
            request, version=version, client=client, ticket=ticket, now=now
        )

    return context.services.group_coordinator.change(request.group_id, join)


def client_host(address: str) -> str:
    """An IP address as Java's `InetAddress` shows it: "/127.0.0.1", "/0:0:0:0:0:0:0:1"."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return f"/{address}"
    if isinstance(parsed, ipaddress.IPv4Address):
        return f"/{parsed}"
    if parsed.ipv4_mapped is not None:
        return f"/{parsed.ipv4_mapped}"
    return "/" + ":".join(f"{int(group, 16):x}" for group in parsed.exploded.split(":"))


def error_response(request: JoinGroupRequest, version: int, code: ErrorCode) -> JoinGroupResponse:
    """The member has not joined."""
    return JoinGroupResponse(
        error_code=code,
        protocol_name=None if version >= 7 else "",
        leader="",
        member_id=request.member_id,
        members=[],
    )


HANDLER = Handler(
    request=JoinGroupRequest,
    versions=range(0, 10),
    handle=handle,
    error_response=error_response,
)
