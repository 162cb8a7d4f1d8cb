"""DescribeConfigs (key 32): the settings of topics, brokers, loggers, and where they come from."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    Struct,
    array,
    boolean,
    int8,
    int16,
    int32,
    string,
    string_array,
)


class DescribeConfigsResource(Struct):
    """A topic, broker or other resource, and which keys are asked for; null for all."""

    resource_type: int = int8()
    resource_name: str = string()
    configuration_keys: list[str] | None = string_array(nullable="0+")


class DescribeConfigsRequest(
    Request, api_key=ApiKey.DESCRIBE_CONFIGS, versions="1-4", flexible="4+"
):
    """Resources, and whether to tell the synonyms and the words about each key."""

    resources: list[DescribeConfigsResource] = array(DescribeConfigsResource)
    include_synonyms: bool = boolean(default=False)
    include_documentation: bool = boolean("3+", default=False)


class DescribeConfigsSynonym(Struct):
    """A value that the key would have or has, and its source; the one in force comes first."""

    name: str = string()
    value: str | None = string(nullable="0+")
    source: int = int8()


class DescribeConfigsResourceResult(Struct):
    """One setting; a sensitive one has no value."""

    name: str = string()
    value: str | None = string(nullable="0+")
    read_only: bool = boolean()
    config_source: int = int8(default=-1)
    is_sensitive: bool = boolean()
    synonyms: list[DescribeConfigsSynonym] = array(DescribeConfigsSynonym)
    config_type: int = int8("3+", default=0)
    documentation: str | None = string("3+", nullable="0+", default="")


class DescribeConfigsResult(Struct):
    """The settings of one resource, or its error."""

    error_code: int = int16()
    error_message: str | None = string(nullable="0+")
    resource_type: int = int8()
    resource_name: str = string()
    configs: list[DescribeConfigsResourceResult] = array(DescribeConfigsResourceResult)


class DescribeConfigsResponse(
    Response, api_key=ApiKey.DESCRIBE_CONFIGS, versions="1-4", flexible="4+"
):
    """Every resource asked for."""

    throttle_time_ms: int = int32(default=0)
    results: list[DescribeConfigsResult] = array(DescribeConfigsResult)
