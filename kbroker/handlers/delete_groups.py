"""DeleteGroups: forget groups without members, and their offsets.

Versions 0 to 2. Each group is answered for itself, once its end is committed: NON_EMPTY_GROUP where
members are left, GROUP_ID_NOT_FOUND where there is none. A group named twice is answered once.
"""

from __future__ import annotations

from collections.abc import Iterable

from coordinator.group.shard import GroupShard
from coordinator.outcome import Moment, Outcome
from kbroker.gathering import gather
from kbroker.handler import Handler, RequestContext
from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError
from wire.messages.delete_groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)


def handle(
    context: RequestContext, request: DeleteGroupsRequest
) -> DeleteGroupsResponse | Deferred[DeleteGroupsResponse]:
    """Delete each group."""
    names = list(dict.fromkeys(request.groups_names))

    def combine(codes: list[ErrorCode]) -> DeleteGroupsResponse:
        return _response(zip(names, codes, strict=True))

    return gather([_delete(context, name) for name in names], combine, lambda _, code: code)


def _delete(context: RequestContext, group_id: str) -> ErrorCode | Deferred[ErrorCode]:
    def delete(shard: GroupShard, now: Moment) -> Outcome[ErrorCode]:
        return shard.handle_delete_group(group_id, now=now)

    try:
        return context.services.group_coordinator.write(group_id, delete)
    except KafkaError as error:
        return error.code


def _response(results: Iterable[tuple[str, ErrorCode]]) -> DeleteGroupsResponse:
    return DeleteGroupsResponse(
        results=[DeletableGroupResult(group_id=name, error_code=code) for name, code in results]
    )


def error_response(
    request: DeleteGroupsRequest, version: int, code: ErrorCode
) -> DeleteGroupsResponse:
    """Every group fails with `code`."""
    return _response((name, code) for name in request.groups_names)


HANDLER = Handler(
    request=DeleteGroupsRequest,
    versions=range(0, 3),
    handle=handle,
    error_response=error_response,
)
