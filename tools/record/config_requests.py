"""Short ways to write requests about configurations."""

from collections.abc import Mapping, Sequence

from wire.messages import alter_configs, incremental_alter_configs
from wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from wire.messages.list_config_resources import ListConfigResourcesRequest

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3

Resource = tuple[int, str]
Change = tuple[str, int, str | None]
"""A key, what to do with it, and a value."""


def describe(
    *resources: Resource,
    keys: Sequence[str] | None = None,
    synonyms: bool = False,
    documentation: bool = False,
) -> DescribeConfigsRequest:
    """The same keys of each resource; None for all of them."""
    return DescribeConfigsRequest(
        resources=[
            DescribeConfigsResource(
                resource_type=kind,
                resource_name=name,
                configuration_keys=None if keys is None else list(keys),
            )
            for kind, name in resources
        ],
        include_synonyms=synonyms,
        include_documentation=documentation,
    )


def change(
    resource: Resource, *changes: Change, validate_only: bool = False
) -> incremental_alter_configs.IncrementalAlterConfigsRequest:
    """Changes of one resource."""
    return change_all((resource, changes), validate_only=validate_only)


def change_all(
    *resources: tuple[Resource, Sequence[Change]], validate_only: bool = False
) -> incremental_alter_configs.IncrementalAlterConfigsRequest:
    """Changes of several resources."""
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
            for (kind, name), changes in resources
        ],
        validate_only=validate_only,
    )


def replace_all(
    *resources: tuple[Resource, Mapping[str, str | None]], validate_only: bool = False
) -> alter_configs.AlterConfigsRequest:
    """All that is to be set on each resource from now on."""
    return alter_configs.AlterConfigsRequest(
        resources=[
            alter_configs.AlterConfigsResource(
                resource_type=kind,
                resource_name=name,
                configs=[
                    alter_configs.AlterableConfig(name=key, value=value)
                    for key, value in values.items()
                ],
            )
            for (kind, name), values in resources
        ],
        validate_only=validate_only,
    )


def list_resources(*types: int) -> ListConfigResourcesRequest:
    return ListConfigResourcesRequest(resource_types=list(types))
