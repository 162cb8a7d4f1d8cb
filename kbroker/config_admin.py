"""Configurations as the administration APIs see them: describe, change, list.

The rules are in `config/describing.py` and `config/altering.py`; this module knows where the
settings of each kind of resource lie, and returns when this broker goes by what was changed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from kbroker.cluster.controller import Controller
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.config.altering import Alteration, altered, check_alterations
from kbroker.config.describing import (
    DescribedConfig,
    describe_broker,
    describe_every_broker,
    describe_topic,
)
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import ConfigError
from kbroker.config.topic_config import TopicConfig, topic_config
from wire.errors import ErrorCode, KafkaError


class ResourceType(enum.IntEnum):
    """What may have settings; the numbers are those of the protocol."""

    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigAdmin:
    """The settings of every kind of resource."""

    def __init__(
        self,
        *,
        running_config: RunningConfig,
        controller: Controller,
        metadata: MetadataCache,
    ) -> None:
        self._running = running_config
        self._controller = controller
        self._metadata = metadata

    def describe(self, kind: int, name: str) -> list[DescribedConfig]:
        """Every key of a resource. KafkaError."""
        if kind == ResourceType.TOPIC:
            return self._describe_topic(name)
        if kind == ResourceType.BROKER:
            if not name:
                return describe_every_broker(self._running)
            return describe_broker(self._running)
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unsupported resource type: {kind}")

    async def alter(
        self, kind: int, name: str, alterations: Sequence[Alteration], *, validate_only: bool
    ) -> None:
        """Change some keys of a resource, all or none. KafkaError."""
        check_alterations(alterations)
        if kind != ResourceType.TOPIC:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {kind}")
        topic = self._metadata.image.topic_by_name(name)
        if topic is None:
            raise KafkaError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist."
            )

        def change(settings: Mapping[str, str]) -> Mapping[str, str]:
            return self._checked_topic(altered(settings, alterations, TopicConfig.find))

        if validate_only:
            change(topic.configs)
            return
        revision = await self._controller.change_topic_configs(topic.topic_id, change)
        await self._metadata.wait_until(revision)

    def _describe_topic(self, name: str) -> list[DescribedConfig]:
        topic = self._metadata.image.topic_by_name(name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return describe_topic(self._running, topic.configs)

    def _checked_topic(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        try:
            topic_config(self._running.now, settings)
        except ConfigError as error:
            raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from None
        return settings
