"""AlterConfigs: all that is to be set on resources from now on; what is not named is undone.

Versions 0 to 2. The older way (KIP-133); IncrementalAlterConfigs loses nobody's change. A resource
named twice is refused; Kafka then never answers.
"""

from __future__ import annotations

from collections.abc import Coroutine

from kbroker.config.altering import Alteration, Operation
from kbroker.config_admin import ResourceChange
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)


def handle(
    context: RequestContext, request: AlterConfigsRequest
) -> Coroutine[None, None, AlterConfigsResponse | None]:
    """Change what can be changed."""
    return _alter(context, request)


async def _alter(context: RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse:
    changes = [
        ResourceChange(
            resource.resource_type,
            resource.resource_name,
            [Alteration(each.name, Operation.SET, each.value) for each in resource.configs],
            replaces=True,
        )
        for resource in request.resources
    ]
    answers = await context.services.configs.alter(changes, validate_only=request.validate_only)
    responses = [
        _response(resource, code, message)
        for resource, (code, message) in zip(request.resources, answers, strict=True)
    ]
    return AlterConfigsResponse(throttle_time_ms=0, responses=responses)


def _response(
    resource: AlterConfigsResource, code: ErrorCode, message: str | None
) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=code,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )


def error_response(
    request: AlterConfigsRequest, version: int, code: ErrorCode
) -> AlterConfigsResponse:
    """Every resource fails with `code`."""
    responses = [_response(resource, code, None) for resource in request.resources]
    return AlterConfigsResponse(throttle_time_ms=0, responses=responses)


HANDLER = Handler(
    request=AlterConfigsRequest,
    versions=range(0, 3),
    handle=handle,
    error_response=error_response,
)
