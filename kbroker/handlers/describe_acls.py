"""DescribeAcls: answered as by a Kafka without an authorizer (SECURITY_DISABLED).

Versions 1 to 3. 2: flexible. 3: user resources (KIP-373). As in Kafka, a filter for the resource
type 0 ("unknown") is malformed and ends the connection.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, WireError
from wire.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse

NO_AUTHORIZER = "No Authorizer is configured on the broker"
UNKNOWN_TYPE = 0


def handle(context: RequestContext, request: DescribeAclsRequest) -> DescribeAclsResponse:
    """There are no ACLs, and nobody who would look at them."""
    if request.resource_type_filter == UNKNOWN_TYPE:
        raise WireError("a filter for ACLs of unknown resources")
    return _refusal(ErrorCode.SECURITY_DISABLED, NO_AUTHORIZER)


def _refusal(code: ErrorCode, message: str) -> DescribeAclsResponse:
    return DescribeAclsResponse(error_code=code, error_message=message, resources=[])


def error_response(
    request: DescribeAclsRequest, version: int, code: ErrorCode
) -> DescribeAclsResponse:
    """The whole request fails with `code`."""
    return _refusal(code, code.name)


HANDLER = Handler(
    request=DescribeAclsRequest, versions=range(1, 4), handle=handle, error_response=error_response
)
