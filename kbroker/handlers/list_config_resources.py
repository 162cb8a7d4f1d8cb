"""ListConfigResources: the names of resources that have settings.

Versions 0 and 1. 0: subscriptions of client metrics alone (KIP-714). 1: of every type (KIP-1142);
no types asks for all, and a type that nobody knows is answered with UNSUPPORTED_VERSION.
"""

from __future__ import annotations

from kbroker.config_admin import ResourceType
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)


def handle(
    context: RequestContext, request: ListConfigResourcesRequest
) -> ListConfigResourcesResponse:
    """List them all in one answer."""
    kinds: list[int] = [ResourceType.CLIENT_METRICS]
    if context.api_version >= 1:
        kinds = list(request.resource_types) or list(ResourceType)
    return ListConfigResourcesResponse(
        throttle_time_ms=0,
        error_code=0,
        config_resources=[
            ConfigResource(resource_name=name, resource_type=kind)
            for kind, name in context.services.configs.list_resources(kinds)
        ],
    )


def error_response(
    request: ListConfigResourcesRequest, version: int, code: ErrorCode
) -> ListConfigResourcesResponse:
    """Nothing is listed."""
    return ListConfigResourcesResponse(throttle_time_ms=0, error_code=code, config_resources=[])


HANDLER = Handler(
    request=ListConfigResourcesRequest,
    versions=range(0, 2),
    handle=handle,
    error_response=error_response,
)
