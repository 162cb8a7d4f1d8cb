"""DescribeCluster: the brokers, and who leads them.

Versions 0 to 2 (KIP-700). 1: the kind of endpoint asked for (KIP-919); a broker answers for brokers
only. 2: fenced brokers, which have registered and are not admitted yet.

Deliberate deviation: a broker that is gone is not told as fenced: its address went with it.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from kbroker.operations import CLUSTER_OPERATIONS, NOT_ASKED
from wire.errors import ErrorCode
from wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

BROKERS = 1
CONTROLLERS = 2


def handle(context: RequestContext, request: DescribeClusterRequest) -> DescribeClusterResponse:
    """The brokers, with the addresses of the listener that the client uses."""
    if request.endpoint_type != BROKERS:
        known = request.endpoint_type == CONTROLLERS
        return _refusal(
            ErrorCode.MISMATCHED_ENDPOINT_TYPE if known else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of the wrong type."
            if known
            else f"Unsupported endpoint type {request.endpoint_type}",
        )
    services = context.services
    return DescribeClusterResponse(
        throttle_time_ms=0,
        error_code=0,
        cluster_id=services.cluster_id,
        controller_id=services.controller_id(),
        brokers=_brokers(context, request),
        cluster_authorized_operations=CLUSTER_OPERATIONS
        if request.include_cluster_authorized_operations
        else NOT_ASKED,
    )


def _brokers(
    context: RequestContext, request: DescribeClusterRequest
) -> list[DescribeClusterBroker]:
    told = [
        DescribeClusterBroker(
            broker_id=each.node_id, host=each.host, port=each.port, rack=each.rack, is_fenced=fenced
        )
        for fenced in (False, True)[: 1 + request.include_fenced_brokers]
        for each in context.services.broker_addresses(context.connection, fenced=fenced)
    ]
    return sorted(told, key=lambda each: each.broker_id)


def _refusal(code: ErrorCode, message: str) -> DescribeClusterResponse:
    return DescribeClusterResponse(
        throttle_time_ms=0, error_code=code, error_message=message, cluster_id="", brokers=[]
    )


def error_response(
    request: DescribeClusterRequest, version: int, code: ErrorCode
) -> DescribeClusterResponse:
    """The whole request fails with `code`."""
    return _refusal(code, code.name)


HANDLER = Handler(
    request=DescribeClusterRequest,
    versions=range(0, 3),
    handle=handle,
    error_response=error_response,
)
