"""Configurations as the administration APIs see them: describe, change, list.

The rules are in `config/describing.py` and `config/altering.py`; this module knows where the
settings of each kind of resource lie, and returns when this broker goes by what was changed.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kbroker.cluster.controller import Controller
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.topic_names import validate_topic_name
from kbroker.config.altering import (
    NOT_A_BROKERS_LIST,
    NOT_A_LIST,
    Alteration,
    FindKey,
    altered,
    check_alterations,
    check_broker_layer,
)
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.client_metrics_config import client_metrics_config
from kbroker.config.describing import (
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_every_broker,
    describe_group,
    describe_topic,
)
from kbroker.config.group_config import GroupConfig, group_config
from kbroker.config.ignored_keys import why_ignored, why_not_yet
from kbroker.config.loggers import check_levels, describe_loggers, set_levels
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import INT_MAX, ConfigError
from kbroker.config.topic_config import TopicConfig, topic_config
from wire.errors import ErrorCode, KafkaError

logger = logging.getLogger(__name__)

MIN_ISR = "min.insync.replicas"

Texts = Mapping[str, str]
Check = Callable[[Texts], object]


class ResourceType(enum.IntEnum):
    """What may have settings; the numbers are those of the protocol."""

    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What is to become of one resource. `replaces`: all that was set before goes."""

    kind: int
    name: str
    alterations: Sequence[Alteration]
    replaces: bool = False


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
        self._node_id = running_config.static.node_id

    # Describe

    def describe(self, kind: int, name: str) -> list[DescribedConfig]:
        """Every key of a resource. KafkaError."""
        image = self._metadata.image
        match kind:
            case ResourceType.TOPIC:
                validate_topic_name(name)
                topic = image.topic_by_name(name)
                if topic is None:
                    raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                return describe_topic(self._running, topic.configs)
            case ResourceType.BROKER:
                if not name:
                    return describe_every_broker(self._running)
                if _broker_id(name, "Broker") != self._node_id:
                    raise _invalid(
                        f"Unexpected broker id, expected {self._node_id} or empty string,"
                        f" but received {name}"
                    )
                return describe_broker(self._running)
            case ResourceType.BROKER_LOGGER:
                if not name:
                    raise _invalid("Broker id must not be empty")
                if _broker_id(name, "Broker") != self._node_id:
                    raise _invalid(
                        f"Unexpected broker id, expected {self._node_id} but received {name}"
                    )
                return describe_loggers()
            case ResourceType.CLIENT_METRICS:
                if not name:
                    raise _invalid("Client metrics subscription name must not be empty")
                return describe_client_metrics(image.client_metrics.get(name, {}))
            case ResourceType.GROUP:
                if not name:
                    raise _invalid("Group name must not be empty")
                return describe_group(self._running, image.group_configs.get(name, {}))
        raise _invalid(f"Unsupported resource type: {kind}")

    # Change

    async def alter(
        self, changes: Sequence[ResourceChange], *, validate_only: bool
    ) -> list[tuple[ErrorCode, str | None]]:
        """A code and a message for each resource, in order; each is changed as a whole or not at
        all."""
        answers: list[tuple[ErrorCode, str | None]] = []
        named = Counter((each.kind, each.name) for each in changes)
        for change in changes:
            await asyncio.sleep(0)  # others have their turn between two
            try:
                if named[change.kind, change.name] > 1:
                    raise _invalid("Each resource must appear at most once.")
                check_alterations(change.alterations)
                await self._alter(change, validate_only=validate_only)
            except KafkaError as error:
                answers.append((error.code, error.detail or None))
            else:
                answers.append((ErrorCode.NONE, None))
        return answers

    async def _alter(self, change: ResourceChange, *, validate_only: bool) -> None:
        match change.kind:
            case ResourceType.TOPIC:
                await self._alter_topic(change, validate_only=validate_only)
            case ResourceType.BROKER:
                await self._alter_broker(change, validate_only=validate_only)
            case ResourceType.BROKER_LOGGER if not change.replaces:
                self._alter_loggers(change, validate_only=validate_only)
            case ResourceType.GROUP:
                _altered(change, {}, GroupConfig.find)
                if not change.name:
                    raise _invalid("Default group resources are not allowed.")
                await self._alter_record(
                    change,
                    self._controller.keys.group_config(change.name),
                    self._metadata.image.group_configs.get(change.name, {}),
                    lambda settings: group_config(self._running.now, settings),
                    validate_only=validate_only,
                )
            case ResourceType.CLIENT_METRICS:
                _altered(change, {}, _no_lists)
                if not change.name:
                    raise _invalid("Subscription name can't be empty")
                await self._alter_record(
                    change,
                    self._controller.keys.client_metrics(change.name),
                    self._metadata.image.client_metrics.get(change.name, {}),
                    client_metrics_config,
                    validate_only=validate_only,
                )
            case _:
                raise _invalid(f"Unknown resource type {change.kind}")

    async def _alter_topic(self, change: ResourceChange, *, validate_only: bool) -> None:
        _altered(change, {}, TopicConfig.find)  # Kafka looks at the operations before the name
        if not change.name:
            raise _invalid("Default topic resources are not allowed.")
        validate_topic_name(change.name)
        topic = self._metadata.image.topic_by_name(change.name)

        def changed(settings: Texts) -> Texts:
            result = _altered(change, settings, TopicConfig.find)
            _check(lambda: topic_config(self._running.now, result))
            return result

        if topic is None or validate_only:
            changed({} if topic is None else topic.configs)
            if topic is None:
                # Kafka looks at the values first.
                raise _no_topic(change.name)
            return
        try:
            revision = await self._controller.change_topic_configs(topic.topic_id, changed)
        except KafkaError as error:
            if error.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise _no_topic(change.name) from None
            raise
        await self._metadata.wait_until(revision)

    async def _alter_broker(self, change: ResourceChange, *, validate_only: bool) -> None:
        every_broker = not change.name
        if not every_broker and _broker_id(change.name, "Node") != self._node_id:
            raise _invalid(
                f"Unexpected broker id, expected {self._node_id}, but received {change.name}"
            )
        key = self._controller.keys.broker_config(None if every_broker else self._node_id)
        running = self._running

        def changed(settings: Texts) -> Texts:
            result = _altered(change, settings, BrokerConfig.find, not_a_list=NOT_A_BROKERS_LIST)
            check_broker_layer(running, result, every_broker=every_broker)
            if not every_broker and any(each.name == MIN_ISR for each in change.alterations):
                # The controller keeps the minimum in each partition's record (KIP-966).
                raise KafkaError(
                    ErrorCode.INVALID_CONFIG,
                    f"Broker-level {MIN_ISR} cannot be altered while ELR is enabled.",
                )
            return result

        if validate_only:
            changed(running.every_broker if every_broker else running.this_broker)
            return
        min_isr = running.now.min_insync_replicas
        await self._metadata.wait_until(await self._controller.change_configs(key, changed))
        for each in change.alterations:
            reason = why_ignored(each.name) or why_not_yet(each.name)
            if each.value is not None and reason is not None:
                logger.warning("%s was set and has no effect: %s", each.name, reason)
        if every_broker and running.now.min_insync_replicas != min_isr:
            await self._metadata.wait_until(
                await self._controller.spread_min_isr(self._metadata.image)
            )

    async def _alter_record(
        self,
        change: ResourceChange,
        key: str,
        settings: Texts,
        check: Check,
        *,
        validate_only: bool,
    ) -> None:
        """A resource that is nothing but what was set on it, in one record of the store."""
        find = GroupConfig.find if change.kind == ResourceType.GROUP else _no_lists

        def changed(before: Texts) -> Texts:
            result = _altered(change, before, find)
            _check(lambda: check(result))
            return result

        if validate_only:
            changed(settings)
        else:
            await self._metadata.wait_until(await self._controller.change_configs(key, changed))

    def _alter_loggers(self, change: ResourceChange, *, validate_only: bool) -> None:
        if _broker_id(change.name, "Node") != self._node_id:
            raise _invalid(
                f"Unexpected node id. Expected {self._node_id}, but received {change.name}"
            )
        check_levels(change.alterations)
        if not validate_only:
            set_levels(change.alterations)

    # List

    def list_resources(self, kinds: Collection[int]) -> list[tuple[ResourceType, str]]:
        """The resources of these types that there are, in Kafka's order of types.

        Groups and subscriptions are there while something is set on them. KafkaError
        (UNSUPPORTED_VERSION): a type that nobody knows.
        """
        if not set(kinds) <= set(ResourceType):
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
        image = self._metadata.image
        brokers = [str(each) for each in sorted(image.brokers)]
        names: Mapping[ResourceType, Iterable[str]] = {
            ResourceType.GROUP: sorted(image.group_configs),
            ResourceType.CLIENT_METRICS: sorted(image.client_metrics),
            ResourceType.BROKER_LOGGER: brokers,
            ResourceType.BROKER: brokers,
            ResourceType.TOPIC: sorted(image.topic_ids),
        }
        return [(kind, name) for kind in names if kind in kinds for name in names[kind]]


def _altered(
    change: ResourceChange, settings: Texts, find: FindKey, *, not_a_list: str = NOT_A_LIST
) -> dict[str, str]:
    before = {} if change.replaces else settings
    return altered(before, change.alterations, find, not_a_list=not_a_list)


def _no_lists(name: str) -> None:
    """Kafka appends to no key of a subscription, list or not."""


def _check(check: Callable[[], object]) -> None:
    try:
        check()
    except ConfigError as error:
        raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from None


def _broker_id(name: str, what: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", name) or not -INT_MAX - 1 <= int(name) <= INT_MAX:
        raise _invalid(f"{what} id must be an integer, but it is: {name}")
    return int(name)


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)


def _no_topic(name: str) -> KafkaError:
    return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist.")
