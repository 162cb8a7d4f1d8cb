"""`GroupConfig`: what may be set on one group; what is not set follows the broker's keys.

Kafka keeps the keys of all kinds of groups in one table, and so do we: what is set is checked,
stored and described, whether or not the groups that would read it are served.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.table import (
    ConfigError,
    ConfigKey,
    ConfigTable,
    ConfigValue,
    Validator,
    at_least,
    boolean,
    integer,
    one_of,
    string,
)

_NO_SHARE = "Accepted, without effect: share groups are not served."
_NO_STREAMS = "Accepted, without effect: streams groups are not served."
_DURATION = re.compile(
    r"by_duration:P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d{1,9})?S)?)?", re.IGNORECASE
)


def _offset_reset(value: ConfigValue) -> str | None:
    text = cast(str, value)
    if text.lower() in ("earliest", "latest") or _DURATION.fullmatch(text):
        return None
    return (
        f"Invalid value `{text}` for configuration share.auto.offset.reset. The value must be"
        " either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
    )


class GroupConfig(ConfigTable):
    """One group's configuration; a row's synonym is the broker's key that it follows."""

    KIND = "group"

    consumer_session_timeout_ms: int = integer(
        "consumer.session.timeout.ms",
        default=45_000,
        valid=at_least(1),
        synonyms=("group.consumer.session.timeout.ms",),
        doc="How long a member of the group may be silent before it is removed (KIP-848).",
    )
    consumer_heartbeat_interval_ms: int = integer(
        "consumer.heartbeat.interval.ms",
        default=5_000,
        valid=at_least(1),
        synonyms=("group.consumer.heartbeat.interval.ms",),
        doc="How often a member of the group is asked to send a heartbeat (KIP-848).",
    )
    consumer_assignment_interval_ms: int = integer(
        "consumer.assignment.interval.ms",
        default=1_000,
        valid=at_least(0),
        synonyms=("group.consumer.assignment.interval.ms",),
        doc="Accepted, without effect: assignments are computed at once.",
    )
    share_session_timeout_ms: int = integer(
        "share.session.timeout.ms",
        default=45_000,
        valid=at_least(1),
        synonyms=("group.share.session.timeout.ms",),
        doc=_NO_SHARE,
    )
    share_heartbeat_interval_ms: int = integer(
        "share.heartbeat.interval.ms",
        default=5_000,
        valid=at_least(1),
        synonyms=("group.share.heartbeat.interval.ms",),
        doc=_NO_SHARE,
    )
    share_assignment_interval_ms: int = integer(
        "share.assignment.interval.ms",
        default=1_000,
        valid=at_least(0),
        synonyms=("group.share.assignment.interval.ms",),
        doc=_NO_SHARE,
    )
    share_record_lock_duration_ms: int = integer(
        "share.record.lock.duration.ms",
        default=30_000,
        valid=at_least(1_000),
        synonyms=("group.share.record.lock.duration.ms",),
        doc=_NO_SHARE,
    )
    share_delivery_count_limit: int = integer(
        "share.delivery.count.limit",
        default=5,
        valid=at_least(2),
        synonyms=("group.share.delivery.count.limit",),
        doc=_NO_SHARE,
    )
    share_partition_max_record_locks: int = integer(
        "share.partition.max.record.locks",
        default=2_000,
        valid=at_least(100),
        synonyms=("group.share.partition.max.record.locks",),
        doc=_NO_SHARE,
    )
    share_auto_offset_reset: str = string(
        "share.auto.offset.reset",
        default="latest",
        valid=Validator("earliest, latest or by_duration:<PnDTnHnMn.nS>", _offset_reset),
        synonyms=("share.auto.offset.reset",),
        doc=_NO_SHARE,
    )
    share_isolation_level: str = string(
        "share.isolation.level",
        default="read_uncommitted",
        valid=one_of("read_committed", "read_uncommitted"),
        synonyms=("share.isolation.level",),
        doc=_NO_SHARE,
    )
    share_renew_acknowledge_enable: bool = boolean(
        "share.renew.acknowledge.enable",
        default=True,
        synonyms=("share.renew.acknowledge.enable",),
        doc=_NO_SHARE,
    )
    streams_session_timeout_ms: int = integer(
        "streams.session.timeout.ms",
        default=45_000,
        valid=at_least(1),
        synonyms=("group.streams.session.timeout.ms",),
        doc=_NO_STREAMS,
    )
    streams_heartbeat_interval_ms: int = integer(
        "streams.heartbeat.interval.ms",
        default=5_000,
        valid=at_least(1),
        synonyms=("group.streams.heartbeat.interval.ms",),
        doc=_NO_STREAMS,
    )
    streams_assignment_interval_ms: int = integer(
        "streams.assignment.interval.ms",
        default=1_000,
        valid=at_least(0),
        synonyms=("group.streams.assignment.interval.ms",),
        doc=_NO_STREAMS,
    )
    streams_num_standby_replicas: int = integer(
        "streams.num.standby.replicas",
        default=0,
        valid=at_least(0),
        synonyms=("group.streams.num.standby.replicas",),
        doc=_NO_STREAMS,
    )
    streams_initial_rebalance_delay_ms: int = integer(
        "streams.initial.rebalance.delay.ms",
        default=3_000,
        valid=at_least(0),
        synonyms=("group.streams.initial.rebalance.delay.ms",),
        doc=_NO_STREAMS,
    )

    @classmethod
    def find(cls, name: str) -> ConfigKey | None:
        """A group's key by its own name only: synonyms name the broker's keys here."""
        return cls.KEYS.get(name)


# The broker's keys that bound a group's: the least and the most, where there is one.
_BOUNDED = (
    *(
        (kind, what)
        for kind in ("consumer", "share", "streams")
        for what in ("session.timeout.ms", "heartbeat.interval.ms", "assignment.interval.ms")
    ),
    ("share", "record.lock.duration.ms"),
    ("share", "delivery.count.limit"),
    ("share", "partition.max.record.locks"),
)
_BOUNDS: Mapping[str, tuple[str | None, str]] = {
    "streams.num.standby.replicas": (None, "group.streams.max.standby.replicas"),
    **{
        f"{kind}.{what}": (f"group.{kind}.min.{what}", f"group.{kind}.max.{what}")
        for kind, what in _BOUNDED
    },
}

# Kafka's defaults of those that are no keys of ours.
_FIXED_BOUNDS: Mapping[str, int] = {
    "group.consumer.min.assignment.interval.ms": 0,
    "group.consumer.max.assignment.interval.ms": 15_000,
    "group.share.min.session.timeout.ms": 45_000,
    "group.share.max.session.timeout.ms": 60_000,
    "group.share.min.heartbeat.interval.ms": 5_000,
    "group.share.max.heartbeat.interval.ms": 15_000,
    "group.share.min.assignment.interval.ms": 0,
    "group.share.max.assignment.interval.ms": 15_000,
    "group.share.min.record.lock.duration.ms": 15_000,
    "group.share.max.record.lock.duration.ms": 60_000,
    "group.share.min.delivery.count.limit": 2,
    "group.share.max.delivery.count.limit": 10,
    "group.share.min.partition.max.record.locks": 100,
    "group.share.max.partition.max.record.locks": 4_000,
    "group.streams.min.session.timeout.ms": 45_000,
    "group.streams.max.session.timeout.ms": 60_000,
    "group.streams.min.heartbeat.interval.ms": 5_000,
    "group.streams.max.heartbeat.interval.ms": 15_000,
    "group.streams.min.assignment.interval.ms": 0,
    "group.streams.max.assignment.interval.ms": 15_000,
    "group.streams.max.standby.replicas": 2,
}


def group_config(
    broker: BrokerConfig, overrides: Mapping[str, str], *, bounded: bool = True
) -> GroupConfig:
    """What holds for a group: its own `overrides`, else the broker's keys. ConfigError: what is
    refused, or, where they are asked for, lies outside the broker's bounds.
    """
    values = {key.attribute: _broker_default(key, broker) for key in GroupConfig.KEYS.values()}
    for name, text in overrides.items():
        key = GroupConfig.key(name)
        values[key.attribute] = key.parse(text)
    config = GroupConfig.build(values, given=overrides)
    for name in overrides if bounded else ():
        _check_bounds(name, cast(int, config.value(name)), broker)
    return config


def _broker_default(key: ConfigKey, broker: BrokerConfig) -> ConfigValue:
    (synonym,) = key.synonyms
    return broker.value(synonym) if synonym in BrokerConfig.KEYS else key.default


def _check_bounds(name: str, value: int, broker: BrokerConfig) -> None:
    if name not in _BOUNDS:
        return  # a text, or any number
    low, high = _BOUNDS[name]
    if low is not None and value < _bound(low, broker):
        raise ConfigError(name, f"{name} must be greater than or equal to {low}")
    if value > _bound(high, broker):
        raise ConfigError(name, f"{name} must be less than or equal to {high}")


def _bound(name: str, broker: BrokerConfig) -> int:
    if name in BrokerConfig.KEYS:
        return cast(int, broker.value(name))
    return _FIXED_BOUNDS[name]
