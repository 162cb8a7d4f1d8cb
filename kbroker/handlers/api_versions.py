"""ApiVersions: what this broker serves, from the table of handlers and nothing else.

Versions 0 to 4. A version too new is answered with UNSUPPORTED_VERSION in a body of version 0 that
still tells the range of this API, so that the client can ask again (KIP-511); the response header
is always version 0, because the client does not know the broker yet.

- 3: the client's name and version, checked as Kafka does. 4: features may start at level 0
  (KIP-1022). No feature is finalized here yet.
"""

from __future__ import annotations

import re

from kbroker.handler import Handler, RequestContext
from wire.api_key import ApiKey
from wire.errors import ErrorCode
from wire.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse

VERSIONS = range(0, 5)

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def handle(context: RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse:
    """List every API with its range."""
    if context.api_version >= 3 and not (
        _SOFTWARE.fullmatch(request.client_software_name)
        and _SOFTWARE.fullmatch(request.client_software_version)
    ):
        return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST, api_keys=[])
    return ApiVersionsResponse(
        error_code=0,
        api_keys=[
            ApiVersion(api_key=key, min_version=versions.start, max_version=versions.stop - 1)
            for key, versions in context.services.advertised_apis
        ],
    )


def unsupported_version_response() -> ApiVersionsResponse:
    """The answer to a version that is too new, to be sent as version 0."""
    return ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION,
        api_keys=[
            ApiVersion(
                api_key=ApiKey.API_VERSIONS,
                min_version=VERSIONS.start,
                max_version=VERSIONS.stop - 1,
            )
        ],
    )


def error_response(
    request: ApiVersionsRequest, version: int, code: ErrorCode
) -> ApiVersionsResponse:
    """The whole request fails with `code`."""
    return ApiVersionsResponse(error_code=code, api_keys=[])


HANDLER = Handler(
    request=ApiVersionsRequest, versions=VERSIONS, handle=handle, error_response=error_response
)
