"""What the broker's configuration says about groups, and who a request comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Limits of every group, by Kafka's keys. Defaults are Kafka's, but for the rebalance delay."""

    max_metadata_bytes: int = 4096
    """offset.metadata.max.bytes"""
    initial_rebalance_delay_ms: int = 0
    """group.initial.rebalance.delay.ms: how long an empty group waits for more members."""
    min_session_timeout_ms: int = 6_000
    """group.min.session.timeout.ms"""
    max_session_timeout_ms: int = 1_800_000
    """group.max.session.timeout.ms"""
    max_size: int = 2**31 - 1
    """group.max.size, in members"""
    max_record_bytes: int = 1_048_000
    """Key and value of a group's record; the host sets it to what its partition takes.
    What could not be appended would cost every group there what is in memory only."""
    offsets_retention_ms: int = 7 * 24 * 3_600_000
    """offsets.retention.minutes"""


class Client(NamedTuple):
    """Who sends a request. `host` as Kafka shows it: "/127.0.0.1"."""

    client_id: str
    host: str
