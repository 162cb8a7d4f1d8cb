"""DescribeClientQuotas: there are no quotas, so every sound filter finds nothing (KIP-546).

Versions 0 to 1. 1: flexible. Filters are checked as Kafka checks them, in its words.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode, KafkaError
from wire.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
)

USER, CLIENT_ID, IP = "user", "client-id", "ip"
EXACT, DEFAULT, SPECIFIED = 0, 1, 2
MATCH_NAMES = {
    EXACT: "MATCH_TYPE_EXACT",
    DEFAULT: "MATCH_TYPE_DEFAULT",
    SPECIFIED: "MATCH_TYPE_SPECIFIED",
}


def handle(
    context: RequestContext, request: DescribeClientQuotasRequest
) -> DescribeClientQuotasResponse:
    """Nothing matches; a filter that cannot be is refused."""
    try:
        _check(request.components)
    except KafkaError as error:
        return _refusal(error.code, error.detail)
    return DescribeClientQuotasResponse(error_code=0, error_message="", entries=[])


def _check(components: list[ComponentData]) -> None:
    """KafkaError(INVALID_REQUEST), or UNSUPPORTED_VERSION for a kind that nobody knows."""
    kinds: set[str] = set()
    for component in components:
        kind = component.entity_type
        if not kind:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid empty entity type.")
        if kind in kinds:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"Entity type {kind} cannot appear more than once in the filter.",
            )
        if kind not in (USER, CLIENT_ID, IP):
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"Unsupported entity type {kind}")
        _check_match(component)
        kinds.add(kind)
    if IP in kinds and len(kinds) > 1:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "Invalid entity filter component combination. IP filter component should not be used "
            "with user or clientId filter component.",
        )


def _check_match(component: ComponentData) -> None:
    name = MATCH_NAMES.get(component.match_type)
    if name is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown match type {component.match_type}")
    if component.match_type == EXACT:
        if component.match is None:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"Request specified {name}, but set match string to null.",
            )
    elif component.match is not None:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"Request specified {name}, but also specified a match string.",
        )


def _refusal(code: ErrorCode, message: str) -> DescribeClientQuotasResponse:
    return DescribeClientQuotasResponse(error_code=code, error_message=message, entries=None)


def error_response(
    request: DescribeClientQuotasRequest, version: int, code: ErrorCode
) -> DescribeClientQuotasResponse:
    """The whole request fails with `code`."""
    return _refusal(code, code.name)


HANDLER = Handler(
    request=DescribeClientQuotasRequest,
    versions=range(0, 2),
    handle=handle,
    error_response=error_response,
)
