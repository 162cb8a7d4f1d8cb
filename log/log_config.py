"""The settings of one partition's log, as plain values.

Counterpart: `kbroker.config.topic_config`, which parses Kafka's keys (the attribute is the topic's
key with underscores) and makes one of these. Defaults are Kafka's, but for `flush_messages`:
here an offset counts once it is fsynced, unless the topic or the broker says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from wire.records.compression import Compression

INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TargetCompression:
    """The codec that a topic asks for, and its level in Kafka's terms; None: the codec's own."""

    codec: Compression
    level: int | None = None


@dataclass(frozen=True, slots=True)
class LogConfig:
    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 24 * 3600 * 1000
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 << 20
    index_interval_bytes: int = 4096
    retention_ms: int = 7 * 24 * 3600 * 1000  # -1: for ever
    retention_bytes: int = -1  # -1: no limit
    max_message_bytes: int = (1 << 20) + 12
    message_timestamp_type: str = "CreateTime"  # or "LogAppendTime"
    message_timestamp_before_max_ms: int = INT64_MAX
    message_timestamp_after_max_ms: int = 3600 * 1000
    flush_messages: int = 1
    flush_ms: int = INT64_MAX
    cleanup_policy: frozenset[str] = frozenset({"delete"})
    file_delete_delay_ms: int = 60_000
    compression: TargetCompression | None = None  # None: as the producer chose
    producer_id_expiration_ms: int = 24 * 3600 * 1000

    @property
    def may_have_holes(self) -> bool:
        """Compaction leaves them between batches; elsewhere offsets follow one another."""
        return "compact" in self.cleanup_policy
