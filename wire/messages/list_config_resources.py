"""ListConfigResources (key 74): which resources have settings of their own (KIP-1142)."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    Struct,
    array,
    int8,
    int8_array,
    int16,
    int32,
    string,
)


class ListConfigResourcesRequest(
    Request, api_key=ApiKey.LIST_CONFIG_RESOURCES, versions="0-1", flexible="0+"
):
    """The types to list; none means all. Version 0 knows client metrics only (KIP-714)."""

    resource_types: list[int] = int8_array("1+", default=())


class ConfigResource(Struct):
    """One resource; 16 is the type of client metrics."""

    resource_name: str = string()
    resource_type: int = int8("1+", default=16)


class ListConfigResourcesResponse(
    Response, api_key=ApiKey.LIST_CONFIG_RESOURCES, versions="0-1", flexible="0+"
):
    """The resources of those types."""

    throttle_time_ms: int = int32(default=0)
    error_code: int = int16()
    config_resources: list[ConfigResource] = array(ConfigResource)
