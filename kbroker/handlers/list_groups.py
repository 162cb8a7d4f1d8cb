"""ListGroups: the groups that this broker coordinates.

Versions 0 to 5. The answer leaves once everything that it tells is committed.

- 4: a filter by state, and the state of each group (KIP-518). 5: a filter by type, and the type
  (KIP-848).
"""

from __future__ import annotations

from coordinator.group.shard import GroupShard
from kbroker.handler import Handler, RequestContext
from kbroker.watch import Deferred
from wire.errors import ErrorCode
from wire.messages.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse


def handle(
    context: RequestContext, request: ListGroupsRequest
) -> ListGroupsResponse | Deferred[ListGroupsResponse]:
    """List what the filters let through; an empty filter lets everything through."""
    states, types = frozenset(request.states_filter), frozenset(request.types_filter)

    def listed(shard: GroupShard) -> list[ListedGroup]:
        return shard.list_groups(states=states, types=types)

    def combine(shards: list[list[ListedGroup]]) -> ListGroupsResponse:
        groups = [group for shard in shards for group in shard]
        return ListGroupsResponse(error_code=ErrorCode.NONE, groups=groups)

    return context.services.group_coordinator.read_all(listed, combine)


def error_response(request: ListGroupsRequest, version: int, code: ErrorCode) -> ListGroupsResponse:
    """Nothing is listed."""
    return ListGroupsResponse(error_code=code, groups=[])


HANDLER = Handler(
    request=ListGroupsRequest,
    versions=range(0, 6),
    handle=handle,
    error_response=error_response,
)
