"""DescribeUserScramCredentials: no user has one here, as in a Kafka where none was made (KIP-554).

Version 0. A user asked about gets RESOURCE_NOT_FOUND; one asked about twice DUPLICATE_RESOURCE.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)


def handle(
    context: RequestContext, request: DescribeUserScramCredentialsRequest
) -> DescribeUserScramCredentialsResponse:
    """Each user once, in the order asked; no list asks about all users, of whom there are none."""
    counts: dict[str, int] = {}
    for user in request.users or ():
        counts[user.name] = counts.get(user.name, 0) + 1
    return DescribeUserScramCredentialsResponse(
        error_code=0,
        error_message="",
        results=[_unknown_user(name, count) for name, count in counts.items()],
    )


def _unknown_user(name: str, count: int) -> DescribeUserScramCredentialsResult:
    if count > 1:
        code = ErrorCode.DUPLICATE_RESOURCE
        message = "Cannot describe SCRAM credentials for the same user twice in a single request: "
    else:
        code = ErrorCode.RESOURCE_NOT_FOUND
        message = "Attempt to describe a user credential that does not exist: "
    return DescribeUserScramCredentialsResult(
        user=name, error_code=code, error_message=message + name, credential_infos=[]
    )


def error_response(
    request: DescribeUserScramCredentialsRequest, version: int, code: ErrorCode
) -> DescribeUserScramCredentialsResponse:
    """The whole request fails with `code`."""
    return DescribeUserScramCredentialsResponse(
        error_code=code, error_message=code.name, results=[]
    )


HANDLER = Handler(
    request=DescribeUserScramCredentialsRequest,
    versions=range(0, 1),
    handle=handle,
    error_response=error_response,
)
