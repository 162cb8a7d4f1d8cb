"""`TopicConfig`: a topic's keys; each one that is not set follows the broker's key of that meaning.

`topic_config(broker, overrides)` gives what holds for a topic, `to_log_config()` what its logs
need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.log_keys import (
    CLEANUP_POLICIES,
    COMPRESSION_TYPES,
    GZIP_LEVEL,
    TIMESTAMP_TYPES,
)
from kbroker.config.table import (
    CLUSTER_WIDE,
    LONG_MAX,
    ConfigError,
    ConfigKey,
    ConfigTable,
    ConfigValue,
    Validator,
    at_least,
    between,
    boolean,
    double,
    integer,
    long,
    one_of,
    some_of,
    string,
    strings,
)
from log.log_config import LogConfig, TargetCompression
from wire.records.compression import Compression

_REPLICA = re.compile(r"[0-9]+:[0-9]+")
_UNIT_MS = {".minutes": 60_000, ".hours": 3_600_000}


def _replicas(name: str) -> Validator:
    shape = "[partitionId]:[brokerId],[partitionId]:[brokerId],..."

    def refusal(value: ConfigValue) -> str | None:
        elements = cast("tuple[str, ...]", value)
        if elements == ("*",) or all(map(_REPLICA.fullmatch, elements)):
            return None
        return (
            f"{name} must be the literal '*' or a list of replicas in the following format: {shape}"
        )

    def shown(value: ConfigValue) -> str:
        return f"[{', '.join(cast('tuple[str, ...]', value))}]"  # as Java writes a list

    return Validator(f"* or {shape}", refusal, shown)


class TopicConfig(ConfigTable):
    """One topic's configuration; a row's synonyms are broker keys, the first one set wins."""

    KIND = "topic"

    cleanup_policy: tuple[str, ...] = strings(
        "cleanup.policy",
        default=("delete",),
        valid=some_of(*CLEANUP_POLICIES),
        synonyms=("log.cleanup.policy",),
        update=CLUSTER_WIDE,
        doc="What happens to old records: delete, compact, both, or nothing where it is empty.",
    )
    compression_gzip_level: int = integer(
        "compression.gzip.level",
        default=-1,
        valid=GZIP_LEVEL,
        synonyms=("compression.gzip.level",),
        update=CLUSTER_WIDE,
        doc="The level where compression.type is gzip; -1 is the codec's own.",
    )
    compression_lz4_level: int = integer(
        "compression.lz4.level",
        default=9,
        valid=between(1, 17),
        synonyms=("compression.lz4.level",),
        update=CLUSTER_WIDE,
        doc="The level where compression.type is lz4.",
    )
    compression_type: str = string(
        "compression.type",
        default="producer",
        valid=one_of(*COMPRESSION_TYPES),
        synonyms=("compression.type",),
        update=CLUSTER_WIDE,
        doc="How records are stored; producer keeps each batch as it came.",
    )
    compression_zstd_level: int = integer(
        "compression.zstd.level",
        default=3,
        valid=between(-131_072, 22),
        synonyms=("compression.zstd.level",),
        update=CLUSTER_WIDE,
        doc="The level where compression.type is zstd.",
    )
    delete_retention_ms: int = long(
        "delete.retention.ms",
        default=86_400_000,
        valid=at_least(0),
        synonyms=("log.cleaner.delete.retention.ms",),
        update=CLUSTER_WIDE,
        doc="How long a compacted log keeps the tombstone of a deleted key.",
    )
    file_delete_delay_ms: int = long(
        "file.delete.delay.ms",
        default=60_000,
        valid=at_least(0),
        synonyms=("log.segment.delete.delay.ms",),
        update=CLUSTER_WIDE,
        doc="How long the files of a deleted segment stay, for readers that still use them.",
    )
    flush_messages: int = long(
        "flush.messages",
        default=1,
        kafka=LONG_MAX,
        valid=at_least(1),
        synonyms=("log.flush.interval.messages",),
        update=CLUSTER_WIDE,
        doc="Records written before they are flushed; 1: an acknowledged record is on the disk.",
    )
    flush_ms: int = long(
        "flush.ms",
        default=LONG_MAX,
        valid=at_least(0),
        synonyms=("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
        update=CLUSTER_WIDE,
        doc="The longest that a record stays unflushed.",
    )
    follower_replication_throttled_replicas: tuple[str, ...] = strings(
        "follower.replication.throttled.replicas",
        default=(),
        valid=_replicas("follower.replication.throttled.replicas"),
        update=CLUSTER_WIDE,
        doc="Accepted, without effect: replication is not throttled.",
    )
    index_interval_bytes: int = integer(
        "index.interval.bytes",
        default=4096,
        valid=at_least(0),
        synonyms=("log.index.interval.bytes",),
        update=CLUSTER_WIDE,
        doc="Bytes of records between two entries of the offset index.",
    )
    leader_replication_throttled_replicas: tuple[str, ...] = strings(
        "leader.replication.throttled.replicas",
        default=(),
        valid=_replicas("leader.replication.throttled.replicas"),
        update=CLUSTER_WIDE,
        doc="Accepted, without effect: replication is not throttled.",
    )
    local_retention_bytes: int = long(
        "local.retention.bytes",
        default=-2,
        valid=at_least(-2),
        synonyms=("log.local.retention.bytes",),
        update=CLUSTER_WIDE,
        doc="Accepted, without effect: there is no tiered storage.",
    )
    local_retention_ms: int = long(
        "local.retention.ms",
        default=-2,
        valid=at_least(-2),
        synonyms=("log.local.retention.ms",),
        update=CLUSTER_WIDE,
        doc="Accepted, without effect: there is no tiered storage.",
    )
    max_compaction_lag_ms: int = long(
        "max.compaction.lag.ms",
        default=LONG_MAX,
        valid=at_least(1),
        synonyms=("log.cleaner.max.compaction.lag.ms",),
        update=CLUSTER_WIDE,
        doc="The longest that a record may wait for compaction.",
    )
    max_message_bytes: int = integer(
        "max.message.bytes",
        default=1_048_588,
        valid=at_least(0),
        synonyms=("message.max.bytes",),
        update=CLUSTER_WIDE,
        doc="The largest record batch, as compressed by its producer.",
    )
    message_timestamp_after_max_ms: int = long(
        "message.timestamp.after.max.ms",
        default=3_600_000,
        valid=at_least(0),
        synonyms=("log.message.timestamp.after.max.ms",),
        update=CLUSTER_WIDE,
        doc="How far a record's CreateTime may lie in the future.",
    )
    message_timestamp_before_max_ms: int = long(
        "message.timestamp.before.max.ms",
        default=LONG_MAX,
        valid=at_least(0),
        synonyms=("log.message.timestamp.before.max.ms",),
        update=CLUSTER_WIDE,
        doc="How far a record's CreateTime may lie in the past.",
    )
    message_timestamp_type: str = string(
        "message.timestamp.type",
        default="CreateTime",
        valid=one_of(*TIMESTAMP_TYPES),
        synonyms=("log.message.timestamp.type",),
        update=CLUSTER_WIDE,
        doc="Whether a record keeps its producer's time or gets the broker's.",
    )
    min_cleanable_dirty_ratio: float = double(
        "min.cleanable.dirty.ratio",
        default=0.5,
        valid=between(0, 1),
        synonyms=("log.cleaner.min.cleanable.ratio",),
        update=CLUSTER_WIDE,
        doc="The part of the log that must be uncompacted before a round is worth it.",
    )
    min_compaction_lag_ms: int = long(
        "min.compaction.lag.ms",
        default=0,
        valid=at_least(0),
        synonyms=("log.cleaner.min.compaction.lag.ms",),
        update=CLUSTER_WIDE,
        doc="The shortest time that a record stays uncompacted.",
    )
    min_insync_replicas: int = integer(
        "min.insync.replicas",
        default=1,
        valid=at_least(1),
        synonyms=("min.insync.replicas",),
        update=CLUSTER_WIDE,
        doc="The in-sync replicas that a write with acks=all needs.",
    )
    preallocate: bool = boolean(
        "preallocate",
        default=False,
        synonyms=("log.preallocate",),
        update=CLUSTER_WIDE,
        doc="Accepted, without effect: segments always grow as records come.",
    )
    remote_log_copy_disable: bool = boolean(
        "remote.log.copy.disable",
        default=False,
        update=CLUSTER_WIDE,
        doc="Accepted, without effect: there is no tiered storage.",
    )
    remote_log_delete_on_disable: bool = boolean(
        "remote.log.delete.on.disable",
        default=False,
        update=CLUSTER_WIDE,
        doc="Accepted, without effect: there is no tiered storage.",
    )
    remote_storage_enable: bool = boolean(
        "remote.storage.enable",
        default=False,
        update=CLUSTER_WIDE,
        doc="Only false: there is no tiered storage.",
    )
    retention_bytes: int = long(
        "retention.bytes",
        default=-1,
        synonyms=("log.retention.bytes",),
        update=CLUSTER_WIDE,
        doc="The size a partition may reach before its oldest segments go; -1 is no limit.",
    )
    retention_ms: int = long(
        "retention.ms",
        default=604_800_000,
        valid=at_least(-1),
        synonyms=("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
        update=CLUSTER_WIDE,
        doc="How long a segment is kept after its newest record; -1 keeps it for ever.",
    )
    segment_bytes: int = integer(
        "segment.bytes",
        default=1 << 30,
        valid=at_least(1 << 20),
        synonyms=("log.segment.bytes",),
        update=CLUSTER_WIDE,
        doc="The size at which the log goes on in a new segment file.",
    )
    segment_index_bytes: int = integer(
        "segment.index.bytes",
        default=10 << 20,
        valid=at_least(4),
        synonyms=("log.index.size.max.bytes",),
        update=CLUSTER_WIDE,
        doc="The size of an index at which the log goes on in a new segment.",
    )
    segment_jitter_ms: int = long(
        "segment.jitter.ms",
        default=0,
        valid=at_least(0),
        synonyms=("log.roll.jitter.ms", "log.roll.jitter.hours"),
        update=CLUSTER_WIDE,
        doc="The most that is taken off segment.ms at random, so that logs roll one by one.",
    )
    segment_ms: int = long(
        "segment.ms",
        default=604_800_000,
        valid=at_least(1),
        synonyms=("log.roll.ms", "log.roll.hours"),
        update=CLUSTER_WIDE,
        doc="The age at which the log goes on in a new segment.",
    )
    unclean_leader_election_enable: bool = boolean(
        "unclean.leader.election.enable",
        default=False,
        synonyms=("unclean.leader.election.enable",),
        update=CLUSTER_WIDE,
        doc="Whether a replica that may lack committed records may lead when no other is left.",
    )

    @classmethod
    def find(cls, name: str) -> ConfigKey | None:
        """A topic's key by its own name only: synonyms name the broker's keys here."""
        return cls.KEYS.get(name)

    def check(self) -> None:
        """ConfigError where keys are good one by one but not together; the words are Kafka's."""
        low, high = self.min_compaction_lag_ms, self.max_compaction_lag_ms
        if low > high:
            raise ConfigError(
                "min.compaction.lag.ms",
                f"conflict topic config setting min.compaction.lag.ms ({low})"
                f" > max.compaction.lag.ms ({high})",
            )
        if self.remote_storage_enable:
            raise ConfigError(
                "remote.storage.enable",
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured"
                " with remote log storage.",
            )

    def to_log_config(self, broker: BrokerConfig) -> LogConfig:
        """What one partition's log needs; the producers' expiry is a key of the broker alone."""
        return LogConfig(
            segment_bytes=self.segment_bytes,
            segment_ms=self.segment_ms,
            segment_jitter_ms=self.segment_jitter_ms,
            segment_index_bytes=self.segment_index_bytes,
            index_interval_bytes=self.index_interval_bytes,
            retention_ms=self.retention_ms,
            retention_bytes=self.retention_bytes,
            max_message_bytes=self.max_message_bytes,
            message_timestamp_type=self.message_timestamp_type,
            message_timestamp_before_max_ms=self.message_timestamp_before_max_ms,
            message_timestamp_after_max_ms=self.message_timestamp_after_max_ms,
            flush_messages=self.flush_messages,
            flush_ms=self.flush_ms,
            cleanup_policy=frozenset(self.cleanup_policy),
            file_delete_delay_ms=self.file_delete_delay_ms,
            compression=self._compression(),
            producer_id_expiration_ms=broker.producer_id_expiration_ms,
        )

    def _compression(self) -> TargetCompression | None:
        match self.compression_type:
            case "gzip":
                return TargetCompression(Compression.GZIP, self.compression_gzip_level)
            case "snappy":
                return TargetCompression(Compression.SNAPPY)
            case "lz4":
                return TargetCompression(Compression.LZ4, self.compression_lz4_level)
            case "zstd":
                return TargetCompression(Compression.ZSTD, self.compression_zstd_level)
            case "uncompressed":
                return TargetCompression(Compression.NONE)
        return None  # "producer"


def topic_config(broker: BrokerConfig, overrides: Mapping[str, str]) -> TopicConfig:
    """What holds for a topic: its own `overrides`, else the broker's keys; ConfigError."""
    values = {key.attribute: broker_default(key, broker) for key in TopicConfig.KEYS.values()}
    for name, text in overrides.items():
        key = TopicConfig.key(name)
        values[key.attribute] = key.parse(text)
    config = TopicConfig.build(values, given=overrides)
    config.check()
    return config


def broker_default(key: ConfigKey, broker: BrokerConfig) -> ConfigValue:
    """The value that the broker's keys give to a topic's key, in the topic key's unit."""
    for synonym in key.synonyms:
        value = broker.value(synonym) if synonym in BrokerConfig.KEYS else None
        if value is not None:
            return _in_milliseconds(synonym, value)
    return key.default


def _in_milliseconds(name: str, value: ConfigValue) -> ConfigValue:
    unit = next((ms for suffix, ms in _UNIT_MS.items() if name.endswith(suffix)), 1)
    # -1 means "for ever" in every unit.
    return value if unit == 1 or value == -1 else cast(int, value) * unit
