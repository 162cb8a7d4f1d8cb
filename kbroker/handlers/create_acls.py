"""CreateAcls: refused one by one, as a Kafka without an authorizer does (SECURITY_DISABLED).

Versions 1 to 3. 2: flexible. 3: user resources (KIP-373). What an ACL says is not looked at.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.create_acls import AclCreationResult, CreateAclsRequest, CreateAclsResponse

NO_AUTHORIZER = "No Authorizer is configured."


def handle(context: RequestContext, request: CreateAclsRequest) -> CreateAclsResponse:
    """Add nothing: everybody may do everything here."""
    return _refusal(request, ErrorCode.SECURITY_DISABLED, NO_AUTHORIZER)


def _refusal(request: CreateAclsRequest, code: ErrorCode, message: str) -> CreateAclsResponse:
    return CreateAclsResponse(
        results=[
            AclCreationResult(error_code=code, error_message=message) for _ in request.creations
        ]
    )


def error_response(request: CreateAclsRequest, version: int, code: ErrorCode) -> CreateAclsResponse:
    """Every ACL fails with `code`."""
    return _refusal(request, code, code.name)


HANDLER = Handler(
    request=CreateAclsRequest, versions=range(1, 4), handle=handle, error_response=error_response
)
