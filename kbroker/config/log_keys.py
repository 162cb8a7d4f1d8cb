"""The broker's keys about its logs; most are the default of a topic's key (`topic_config`)."""

from __future__ import annotations

from kbroker.config.table import (
    CLUSTER_WIDE,
    LONG_MAX,
    ConfigTable,
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

COMPRESSION_TYPES = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
TIMESTAMP_TYPES = ("CreateTime", "LogAppendTime")
CLEANUP_POLICIES = ("compact", "delete")
GZIP_LEVEL = Validator(
    "1 to 9, or -1",
    lambda value: (
        None if value in (-1, *range(1, 10)) else "Value must be between 1 and 9 or equal to -1"
    ),
)


class LogKeys(ConfigTable):
    """Where records lie, when they are flushed, rolled, deleted and compacted."""

    log_dirs: tuple[str, ...] | None = strings(
        "log.dirs",
        default=None,
        doc="Directories that hold the data, separated by commas; where it is not set, log.dir.",
    )
    log_dir: tuple[str, ...] = strings(
        "log.dir",
        default=("./data",),
        kafka=("/tmp/kafka-logs",),
        doc="The directory that holds the data, where log.dirs is not set.",
    )

    # Durability
    log_flush_interval_messages: int = long(
        "log.flush.interval.messages",
        default=1,
        kafka=LONG_MAX,
        valid=at_least(1),
        update=CLUSTER_WIDE,
        doc="Records written to a partition before they are flushed to disk. 1: an answer to a"
        " producer waits for the flush that covers its records, and one flush serves all that came"
        " before it. 9223372036854775807 is Apache Kafka's default: the page cache, which a power"
        " loss or a kernel crash empties.",
    )
    log_flush_interval_ms: int | None = long(
        "log.flush.interval.ms",
        default=None,
        update=CLUSTER_WIDE,
        doc="The longest that a record stays unflushed; where it is not set,"
        " log.flush.scheduler.interval.ms.",
    )
    log_flush_scheduler_interval_ms: int = long(
        "log.flush.scheduler.interval.ms",
        default=LONG_MAX,
        doc="How often logs are looked at for records whose flush is due by time.",
    )
    log_flush_offset_checkpoint_interval_ms: int = integer(
        "log.flush.offset.checkpoint.interval.ms",
        default=1_000,
        kafka=60_000,
        valid=at_least(0),
        doc="How often the durable end of each log is written to the recovery checkpoint.",
    )
    log_flush_start_offset_checkpoint_interval_ms: int = integer(
        "log.flush.start.offset.checkpoint.interval.ms",
        default=60_000,
        valid=at_least(0),
        doc="How often the start offset of each log is written to its checkpoint.",
    )
    replica_high_watermark_checkpoint_interval_ms: int = long(
        "replica.high.watermark.checkpoint.interval.ms",
        default=5_000,
        doc="How often high watermarks are written to their checkpoint.",
    )

    # Segments
    log_segment_bytes: int = integer(
        "log.segment.bytes",
        default=1 << 30,
        valid=at_least(1 << 20),
        update=CLUSTER_WIDE,
        doc="The size at which a log goes on in a new segment file.",
    )
    log_roll_ms: int | None = long(
        "log.roll.ms",
        default=None,
        update=CLUSTER_WIDE,
        doc="The age at which a log goes on in a new segment; where it is not set, log.roll.hours.",
    )
    log_roll_hours: int = integer(
        "log.roll.hours",
        default=168,
        valid=at_least(1),
        doc="The age in hours at which a log goes on in a new segment.",
    )
    log_roll_jitter_ms: int | None = long(
        "log.roll.jitter.ms",
        default=None,
        update=CLUSTER_WIDE,
        doc="The most that is taken off the age at random, so that logs do not all roll at once;"
        " where it is not set, log.roll.jitter.hours.",
    )
    log_roll_jitter_hours: int = integer(
        "log.roll.jitter.hours",
        default=0,
        valid=at_least(0),
        doc="The most hours that are taken off the rolling age at random.",
    )
    log_index_interval_bytes: int = integer(
        "log.index.interval.bytes",
        default=4096,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="Bytes of records between two entries of the offset index.",
    )
    log_index_size_max_bytes: int = integer(
        "log.index.size.max.bytes",
        default=10 << 20,
        valid=at_least(4),
        update=CLUSTER_WIDE,
        doc="The size of an index at which the log goes on in a new segment.",
    )
    log_preallocate: bool = boolean(
        "log.preallocate",
        default=False,
        update=CLUSTER_WIDE,
        doc="Accepted for topics that set it; segments always grow as records come.",
    )

    # Retention
    log_cleanup_policy: tuple[str, ...] = strings(
        "log.cleanup.policy",
        default=("delete",),
        valid=some_of(*CLEANUP_POLICIES),
        update=CLUSTER_WIDE,
        doc="What happens to old records: delete (by age and size), compact (the newest of each key"
        " stays), both, or nothing where it is empty.",
    )
    log_retention_ms: int | None = long(
        "log.retention.ms",
        default=None,
        update=CLUSTER_WIDE,
        doc="How long records are kept, -1 for ever; where it is not set, log.retention.minutes.",
    )
    log_retention_minutes: int | None = integer(
        "log.retention.minutes",
        default=None,
        doc="How many minutes records are kept; where it is not set, log.retention.hours.",
    )
    log_retention_hours: int = integer(
        "log.retention.hours", default=168, doc="How many hours records are kept, -1 for ever."
    )
    log_retention_bytes: int = long(
        "log.retention.bytes",
        default=-1,
        update=CLUSTER_WIDE,
        doc="The size a partition may reach before its oldest segments go; -1 is no limit.",
    )
    log_retention_check_interval_ms: int = long(
        "log.retention.check.interval.ms",
        default=300_000,
        valid=at_least(1),
        doc="How often logs are looked at for segments that are too old or too many.",
    )
    log_segment_delete_delay_ms: int = long(
        "log.segment.delete.delay.ms",
        default=60_000,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="How long the files of a deleted segment stay, for readers that still use them.",
    )

    # Compaction
    log_cleaner_enable: bool = boolean(
        "log.cleaner.enable",
        default=True,
        doc="Whether logs with the policy compact are compacted.",
    )
    log_cleaner_backoff_ms: int = long(
        "log.cleaner.backoff.ms",
        default=15_000,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="How long the cleaner rests when no log needs it.",
    )
    log_cleaner_dedupe_buffer_size: int = long(
        "log.cleaner.dedupe.buffer.size",
        default=128 << 20,
        update=CLUSTER_WIDE,
        doc="Memory in bytes for the keys that one round of compaction keeps apart.",
    )
    log_cleaner_delete_retention_ms: int = long(
        "log.cleaner.delete.retention.ms",
        default=86_400_000,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="How long a compacted log keeps the tombstone of a deleted key.",
    )
    log_cleaner_max_compaction_lag_ms: int = long(
        "log.cleaner.max.compaction.lag.ms",
        default=LONG_MAX,
        valid=at_least(1),
        update=CLUSTER_WIDE,
        doc="The longest that a record may wait for compaction.",
    )
    log_cleaner_min_cleanable_ratio: float = double(
        "log.cleaner.min.cleanable.ratio",
        default=0.5,
        valid=between(0, 1),
        update=CLUSTER_WIDE,
        doc="The part of a log that must be uncompacted before a round is worth it.",
    )
    log_cleaner_min_compaction_lag_ms: int = long(
        "log.cleaner.min.compaction.lag.ms",
        default=0,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="The shortest time that a record stays uncompacted.",
    )

    # What a batch may hold
    message_max_bytes: int = integer(
        "message.max.bytes",
        default=1_048_588,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="The largest record batch, as compressed by its producer.",
    )
    compression_type: str = string(
        "compression.type",
        default="producer",
        valid=one_of(*COMPRESSION_TYPES),
        update=CLUSTER_WIDE,
        doc="How records are stored; producer keeps each batch as it came.",
    )
    compression_gzip_level: int = integer(
        "compression.gzip.level",
        default=-1,
        valid=GZIP_LEVEL,
        update=CLUSTER_WIDE,
        doc="The level where compression.type is gzip; -1 is the codec's own.",
    )
    compression_lz4_level: int = integer(
        "compression.lz4.level",
        default=9,
        valid=between(1, 17),
        update=CLUSTER_WIDE,
        doc="The level where compression.type is lz4.",
    )
    compression_zstd_level: int = integer(
        "compression.zstd.level",
        default=3,
        valid=between(-131_072, 22),
        update=CLUSTER_WIDE,
        doc="The level where compression.type is zstd.",
    )
    log_message_timestamp_type: str = string(
        "log.message.timestamp.type",
        default="CreateTime",
        valid=one_of(*TIMESTAMP_TYPES),
        update=CLUSTER_WIDE,
        doc="Whether a record keeps its producer's time or gets the broker's.",
    )
    log_message_timestamp_before_max_ms: int = long(
        "log.message.timestamp.before.max.ms",
        default=LONG_MAX,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="How far a record's CreateTime may lie in the past.",
    )
    log_message_timestamp_after_max_ms: int = long(
        "log.message.timestamp.after.max.ms",
        default=3_600_000,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="How far a record's CreateTime may lie in the future.",
    )
