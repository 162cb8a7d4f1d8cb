"""DescribeConfigs: every key of topics, brokers, loggers, groups, and where its value comes from.

Versions 1 to 4. 1: synonyms (KIP-226). 3: types and documentation (KIP-569).
An empty list of keys asks for all of them, as null does; a key that does not exist is left out.
A broker describes itself alone (KIP-226); without a name, what was set for every broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable

from kbroker.config.describing import DescribedConfig
from kbroker.config_admin import ResourceType
from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

UNKNOWN_TYPE = 0
KINDS = frozenset(ResourceType)
MALFORMED = (
    "This most likely occurs because of a request being malformed by the client library or the"
    " message was sent to an incompatible broker. See the broker logs for more details."
)


def handle(
    context: RequestContext, request: DescribeConfigsRequest
) -> Coroutine[None, None, DescribeConfigsResponse | None]:
    """Each resource by itself, unless the type of one is unknown: that refuses them all."""
    if any(resource.resource_type not in KINDS for resource in request.resources):
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    return _describe(context, request)


async def _describe(
    context: RequestContext, request: DescribeConfigsRequest
) -> DescribeConfigsResponse:
    results = []
    for number, resource in enumerate(request.resources):
        if number:
            # All keys of a topic take about a millisecond: others have their turn between two.
            await asyncio.sleep(0)
        try:
            described = context.services.configs.describe(
                resource.resource_type, resource.resource_name
            )
        except KafkaError as error:
            results.append(_refused(resource, error.code, error.detail))
        else:
            results.append(_result(request, resource, described))
    return DescribeConfigsResponse(throttle_time_ms=0, results=results)


def _result(
    request: DescribeConfigsRequest,
    resource: DescribeConfigsResource,
    described: Iterable[DescribedConfig],
) -> DescribeConfigsResult:
    asked = frozenset(resource.configuration_keys or ())
    return DescribeConfigsResult(
        error_code=0,
        error_message="",  # Kafka's, which is never null
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        configs=[_entry(request, each) for each in described if not asked or each.name in asked],
    )


def _entry(
    request: DescribeConfigsRequest, described: DescribedConfig
) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=described.name,
        value=described.value,
        read_only=described.read_only,
        config_source=described.source,
        is_sensitive=described.is_sensitive,
        synonyms=[
            DescribeConfigsSynonym(name=each.name, value=each.value, source=each.source)
            for each in (described.synonyms if request.include_synonyms else ())
        ],
        config_type=UNKNOWN_TYPE if described.type is None else described.type,
        documentation=_documentation(request, described),
    )


def _documentation(request: DescribeConfigsRequest, described: DescribedConfig) -> str | None:
    # Null where it was not asked for; what has none at all has an empty one (as in Kafka).
    asked = request.include_documentation or not described.documentation
    return described.documentation if asked else None


def _refused(
    resource: DescribeConfigsResource, code: ErrorCode, message: str | None
) -> DescribeConfigsResult:
    return DescribeConfigsResult(
        error_code=code,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        configs=[],
    )


def error_response(
    request: DescribeConfigsRequest, version: int, code: ErrorCode
) -> DescribeConfigsResponse:
    """Every resource fails with `code`."""
    message = MALFORMED if code == ErrorCode.INVALID_REQUEST else None
    results = [_refused(resource, code, message) for resource in request.resources]
    return DescribeConfigsResponse(throttle_time_ms=0, results=results)


HANDLER = Handler(
    request=DescribeConfigsRequest,
    versions=range(1, 5),
    handle=handle,
    error_response=error_response,
)
