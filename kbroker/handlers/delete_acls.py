"""DeleteAcls: refused filter by filter, as a Kafka without an authorizer does.

Versions 1 to 3. 2: flexible. 3: user resources (KIP-373). As in Kafka, a filter for the resource
type 0 ("unknown") is malformed and ends the connection.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, WireError
from wire.messages.delete_acls import (
    DeleteAclsFilterResult,
    DeleteAclsRequest,
    DeleteAclsResponse,
)

NO_AUTHORIZER = "No Authorizer is configured."
UNKNOWN_TYPE = 0


def handle(context: RequestContext, request: DeleteAclsRequest) -> DeleteAclsResponse:
    """Delete nothing: there is nothing."""
    if any(each.resource_type_filter == UNKNOWN_TYPE for each in request.filters):
        raise WireError("a filter for ACLs of unknown resources")
    return _refusal(request, ErrorCode.SECURITY_DISABLED, NO_AUTHORIZER)


def _refusal(request: DeleteAclsRequest, code: ErrorCode, message: str) -> DeleteAclsResponse:
    return DeleteAclsResponse(
        filter_results=[
            DeleteAclsFilterResult(error_code=code, error_message=message, matching_acls=[])
            for _ in request.filters
        ]
    )


def error_response(request: DeleteAclsRequest, version: int, code: ErrorCode) -> DeleteAclsResponse:
    """Every filter fails with `code`."""
    return _refusal(request, code, code.name)


HANDLER = Handler(
    request=DeleteAclsRequest, versions=range(1, 4), handle=handle, error_response=error_response
)
