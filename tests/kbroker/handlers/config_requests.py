"""Requests about configurations: a plain one of each API, and short ways to write others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from wire.api_key import ApiKey
from wire.messages import alter_configs, incremental_alter_configs
from wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from wire.messages.list_config_resources import ListConfigResourcesRequest
from wire.schema import Request

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


class Named(Protocol):
    """What has the name of a topic."""

    @property
    def name(self) -> str: ...


def describe(kind: int, name: str, *keys: str) -> DescribeConfigsRequest:
    """These keys of a resource, or all, with synonyms and documentation."""
    return DescribeConfigsRequest(
        resources=[
            DescribeConfigsResource(
                resource_type=kind, resource_name=name, configuration_keys=list(keys) or None
            )
        ],
        include_synonyms=True,
        include_documentation=True,
    )


def change(
    kind: int, name: str, *changes: tuple[str, int, str | None], validate_only: bool = False
) -> incremental_alter_configs.IncrementalAlterConfigsRequest:
    """Changes of one resource: a key, what to do with it, a value."""
    return incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[
            incremental_alter_configs.AlterConfigsResource(
                resource_type=kind,
                resource_name=name,
                configs=[
                    incremental_alter_configs.AlterableConfig(
                        name=key, config_operation=operation, value=value
                    )
                    for key, operation, value in changes
                ],
            )
        ],
        validate_only=validate_only,
    )


def replace_all(
    kind: int, name: str, *settings: tuple[str, str | None]
) -> alter_configs.AlterConfigsRequest:
    """All that is to be set on one resource."""
    return alter_configs.AlterConfigsRequest(
        resources=[
            alter_configs.AlterConfigsResource(
                resource_type=kind,
                resource_name=name,
                configs=[
                    alter_configs.AlterableConfig(name=key, value=value) for key, value in settings
                ],
            )
        ],
        validate_only=False,
    )


def list_resources(*types: int) -> ListConfigResourcesRequest:
    return ListConfigResourcesRequest(resource_types=list(types))


def _describe_topic(target: Named, version: int) -> Request:
    return describe(TOPIC, target.name)


def _change_topic(target: Named, version: int) -> Request:
    return change(TOPIC, target.name, ("segment.bytes", SET, "2000000"))


def _replace_topic(target: Named, version: int) -> Request:
    return replace_all(TOPIC, target.name, ("segment.bytes", "2000000"))


def _list_resources(target: Named, version: int) -> Request:
    return list_resources()


CONFIG_MAKERS: dict[ApiKey, Callable[..., Request]] = {
    ApiKey.DESCRIBE_CONFIGS: _describe_topic,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: _change_topic,
    ApiKey.ALTER_CONFIGS: _replace_topic,
    ApiKey.LIST_CONFIG_RESOURCES: _list_resources,
}


def codes(answer: object) -> Sequence[int]:
    """The error code of each resource in an answer."""
    resources = getattr(answer, "responses", None) or getattr(answer, "results", ())
    return [each.error_code for each in resources]
