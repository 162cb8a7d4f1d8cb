"""IncrementalAlterConfigs: sets, deletes, appends and subtracts keys of resources.

One bad key undoes its whole resource.
Versions 0 and 1 (KIP-339). Resources are changed one after the other, each as a whole. When it is
answered, this broker goes by it, and DescribeConfigs shows it.
"""

from __future__ import annotations

from collections.abc import Coroutine

from kbroker.config.altering import Alteration
from kbroker.config_admin import ResourceChange
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.incremental_alter_configs import (
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)


def handle(
    context: RequestContext, request: IncrementalAlterConfigsRequest
) -> Coroutine[None, None, IncrementalAlterConfigsResponse | None]:
    """Change what can be changed."""
    return _alter(context, request)


async def _alter(
    context: RequestContext, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    changes = [
        ResourceChange(
            resource.resource_type,
            resource.resource_name,
            [Alteration(each.name, each.config_operation, each.value) for each in resource.configs],
        )
        for resource in request.resources
    ]
    answers = await context.services.configs.alter(changes, validate_only=request.validate_only)
    responses = [
        _response(resource, code, message)
        for resource, (code, message) in zip(request.resources, answers, strict=True)
    ]
    return IncrementalAlterConfigsResponse(throttle_time_ms=0, responses=responses)


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
    request: IncrementalAlterConfigsRequest, version: int, code: ErrorCode
) -> IncrementalAlterConfigsResponse:
    """Every resource fails with `code`."""
    responses = [_response(resource, code, None) for resource in request.resources]
    return IncrementalAlterConfigsResponse(throttle_time_ms=0, responses=responses)


HANDLER = Handler(
    request=IncrementalAlterConfigsRequest,
    versions=range(0, 2),
    handle=handle,
    error_response=error_response,
)
