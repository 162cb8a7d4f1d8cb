"""What DescribeConfigs says about a resource: values, where they come from, synonyms (pure).

The order and the gaps of the synonyms are those of Kafka's `ConfigHelper` and
`DynamicBrokerConfig.brokerConfigSynonyms`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.client_metrics_config import ClientMetricsConfig
from kbroker.config.group_config import GroupConfig, group_config
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import READ_ONLY, ConfigKey, ConfigType, render
from kbroker.config.topic_config import TopicConfig, topic_config


class ConfigSource(enum.IntEnum):
    """Where a value comes from; the numbers are those of DescribeConfigs (KIP-226)."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    DYNAMIC_BROKER_LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


@dataclass(frozen=True, slots=True)
class Synonym:
    """A value that a key has, or would have if none stood before it."""

    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True)
class DescribedConfig:
    """One key of a resource. `type` None: the protocol's UNKNOWN. A password has no value."""

    name: str
    value: str | None
    source: ConfigSource
    synonyms: tuple[Synonym, ...] = ()
    type: ConfigType | None = None
    read_only: bool = False
    documentation: str | None = None

    @property
    def is_sensitive(self) -> bool:
        return self.type is ConfigType.PASSWORD


# Keys that stand for one value in several units, or of which one gives the other's default.
_SAME_VALUE: tuple[tuple[str, ...], ...] = (
    ("log.roll.ms", "log.roll.hours"),
    ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
)
_BROKER_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "log.flush.interval.ms": ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    **{name: names for names in _SAME_VALUE for name in names},
}


def describe_topic(running: RunningConfig, overrides: Mapping[str, str]) -> list[DescribedConfig]:
    """Every key of a topic with these settings of its own."""
    config = topic_config(running.now, overrides)
    described = []
    for key in TopicConfig.KEYS.values():
        value = render(config.value(key.name))
        synonyms = _inherited(running, key)
        if key.name in overrides:
            synonyms.insert(0, Synonym(key.name, value, ConfigSource.TOPIC))
        described.append(_described(key, value, synonyms))
    return described


def describe_broker(running: RunningConfig) -> list[DescribedConfig]:
    """Every key of this broker, and what was set on it without meaning here."""
    described = []
    for key in BrokerConfig.KEYS.values():
        value = render(running.now.value(key.name))
        described.append(
            _described(
                key,
                value,
                _broker_synonyms(running, key.name),
                read_only=key.update is READ_ONLY,
            )
        )
        for name in key.synonyms:
            # As Kafka, which lists broker.id beside node.id.
            source = described[-1].source
            described.append(
                DescribedConfig(
                    name, value, source, (Synonym(name, value, source),), key.type, read_only=True
                )
            )
    for name in sorted(running.every_broker.keys() | running.this_broker.keys()):
        if name not in BrokerConfig.KEYS:
            synonyms = _broker_synonyms(running, name)
            described.append(
                DescribedConfig(name, synonyms[0].value, synonyms[0].source, tuple(synonyms))
            )
    return described


def describe_every_broker(running: RunningConfig) -> list[DescribedConfig]:
    """What was set for every broker, and nothing else."""
    source = ConfigSource.DYNAMIC_DEFAULT_BROKER
    described = []
    for name, value in running.every_broker.items():
        synonyms = [Synonym(name, value, source)]
        key = BrokerConfig.KEYS.get(name)
        if key is None:
            described.append(DescribedConfig(name, value, source, tuple(synonyms)))
        else:
            described.append(_described(key, value, synonyms))
    return described


def describe_group(running: RunningConfig, overrides: Mapping[str, str]) -> list[DescribedConfig]:
    """Every key of a group with these settings of its own."""
    # What was set before the broker's bounds changed may lie outside of them now.
    config = group_config(running.now, overrides, bounded=False)
    described = []
    for key in GroupConfig.KEYS.values():
        value = render(config.value(key.name))
        synonyms = _inherited(running, key)
        if key.name in overrides:
            synonyms.insert(0, Synonym(key.name, value, ConfigSource.GROUP))
        described.append(_described(key, value, synonyms))
    return described


def describe_client_metrics(settings: Mapping[str, str]) -> list[DescribedConfig]:
    """Every key of a subscription of client metrics with these settings."""
    config = ClientMetricsConfig.parse(settings)
    described = []
    for key in ClientMetricsConfig.KEYS.values():
        value = render(config.value(key.name))
        synonyms = []
        if key.name in settings:
            synonyms = [Synonym(key.name, value, ConfigSource.CLIENT_METRICS)]
        described.append(_described(key, value, synonyms))
    return described


def _described(
    key: ConfigKey, value: str | None, synonyms: list[Synonym], *, read_only: bool = False
) -> DescribedConfig:
    is_secret = key.type is ConfigType.PASSWORD
    return DescribedConfig(
        name=key.name,
        value=None if is_secret else value,
        source=synonyms[0].source if synonyms else ConfigSource.DEFAULT,
        synonyms=tuple(
            Synonym(each.name, None, each.source) if is_secret else each for each in synonyms
        ),
        type=key.type,
        read_only=read_only,
        documentation=key.doc,
    )


def _inherited(running: RunningConfig, key: ConfigKey) -> list[Synonym]:
    """What a topic's or a group's key would have of the broker's."""
    if not key.synonyms:
        return []
    name = key.synonyms[0]
    if name in BrokerConfig.KEYS:
        return _broker_synonyms(running, name)
    # A key of Kafka's brokers that is none of ours: it always has its default.
    return [Synonym(name, render(key.default), ConfigSource.DEFAULT)]


def _broker_synonyms(running: RunningConfig, name: str) -> list[Synonym]:
    """The values of a broker's key in the order in which they count, from the first that is
    `name`'s own: a value in another unit is a synonym only behind one in the key's unit.
    """
    names = _BROKER_SYNONYMS.get(name, (name,))
    found = []
    for source, texts in (
        (ConfigSource.DYNAMIC_BROKER, running.this_broker),
        (ConfigSource.DYNAMIC_DEFAULT_BROKER, running.every_broker),
    ):
        found += [Synonym(each, texts[each], source) for each in names if each in texts]
    known = [BrokerConfig.KEYS[each] for each in names if each in BrokerConfig.KEYS]
    for key in known:
        if key.name in running.static.given:
            text = render(running.static.value(key.name))
            found.append(Synonym(key.name, text, ConfigSource.STATIC_BROKER))
    for key in known:
        if key.default is not None:
            found.append(Synonym(key.name, render(key.default), ConfigSource.DEFAULT))
    while found and found[0].name != name:
        del found[0]
    return found
