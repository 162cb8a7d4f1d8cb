"""DescribeGroups: the state, the protocol and the members of classic groups.

Versions 0 to 6. Each group is answered for itself, in the order asked, once all that is told of it
is committed.

- 3: what the client may do with the group (KIP-430). 4: static members (KIP-345).
- 6: a group that is not there is GROUP_ID_NOT_FOUND with a message (KIP-1043); before, it is "Dead"
  and no error.
"""

from __future__ import annotations

from coordinator.group.shard import GroupShard
from kbroker.gathering import gather
from kbroker.handler import Handler, RequestContext
from kbroker.operations import GROUP_OPERATIONS
from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError
from wire.messages.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)


def handle(
    context: RequestContext, request: DescribeGroupsRequest
) -> DescribeGroupsResponse | Deferred[DescribeGroupsResponse]:
    """Describe each group; wait only where one has changes under way."""

    def combine(groups: list[DescribedGroup]) -> DescribeGroupsResponse:
        if request.include_authorized_operations:
            for group in groups:
                if group.error_code == ErrorCode.NONE:
                    group.authorized_operations = GROUP_OPERATIONS
        return DescribeGroupsResponse(groups=groups)

    return gather(
        [_describe(context, group_id) for group_id in request.groups],
        combine,
        lambda place, code: _failed(request.groups[place], code),
    )


def _describe(context: RequestContext, group_id: str) -> DescribedGroup | Deferred[DescribedGroup]:
    version = context.api_version

    def describe(shard: GroupShard) -> DescribedGroup:
        return shard.describe_group(group_id, version=version)

    try:
        return context.services.group_coordinator.read(group_id, describe)
    except KafkaError as error:
        return _failed(group_id, error.code)


def _failed(group_id: str, code: ErrorCode) -> DescribedGroup:
    return DescribedGroup(
        error_code=code,
        group_id=group_id,
        group_state="",
        protocol_type="",
        protocol_data="",
        members=[],
    )


def error_response(
    request: DescribeGroupsRequest, version: int, code: ErrorCode
) -> DescribeGroupsResponse:
    """Every group fails with `code`."""
    return DescribeGroupsResponse(groups=[_failed(group_id, code) for group_id in request.groups])


HANDLER = Handler(
    request=DescribeGroupsRequest,
    versions=range(0, 7),
    handle=handle,
    error_response=error_response,
)
