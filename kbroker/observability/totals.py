"""Adds up what partitions and connections know of themselves, a slice at a time.

The numbers of one scrape are of nearly one moment: clients are served between two slices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from kbroker.connection import Connection
from kbroker.handlers.fetch import ColdFetch, ParkedFetch
from kbroker.replication.partition import Partition

SLICE = 128
"""Partitions, or connections, that are looked at in one turn of the loop."""

Item = TypeVar("Item")


@dataclass(slots=True)
class LogTotals:
    """What the partitions add up to. Mutable while they are looked at."""

    partitions: int = 0
    leaders: int = 0
    under_replicated: int = 0
    under_min_isr: int = 0
    size_bytes: int = 0
    segments: int = 0
    unflushed_records: int = 0
    topic_bytes: dict[str, int] = field(default_factory=dict)
    topic_records: dict[str, int] = field(default_factory=dict)

    def add(self, partition: Partition, *, node_id: int) -> None:
        log = partition.log
        size = log.size_bytes
        topic = partition.topic
        self.partitions += 1
        record = partition.record
        if record.leader == node_id and not partition.is_stopped:
            self.leaders += 1
            self.under_replicated += len(record.isr) < len(record.replicas)
            self.under_min_isr += len(record.isr) < record.effective_min_isr
        self.size_bytes += size
        self.segments += len(log.segments)
        self.unflushed_records += log.log_end_offset - log.recovery_point
        self.topic_bytes[topic] = self.topic_bytes.get(topic, 0) + size
        self.topic_records[topic] = self.topic_records.get(topic, 0) + log.log_end_offset


@dataclass(slots=True)
class ConnectionTotals:
    """What the connections add up to. Mutable while they are looked at."""

    by_listener: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    parked_fetches: int = 0

    def add(self, connection: Connection) -> None:
        name = connection.listener.name
        self.by_listener[name] = self.by_listener.get(name, 0) + 1
        for waits_for in connection.waits():
            self.waiting += 1
            self.parked_fetches += isinstance(waits_for, ParkedFetch | ColdFetch)


async def log_totals(partitions: Iterable[Partition], *, node_id: int) -> LogTotals:
    totals = LogTotals()
    for some in _slices(partitions):
        for partition in some:
            totals.add(partition, node_id=node_id)
        await asyncio.sleep(0)
    return totals


async def connection_totals(
    connections: Iterable[Connection], *, listeners: Iterable[str]
) -> ConnectionTotals:
    """A listener without connections counts too."""
    totals = ConnectionTotals(dict.fromkeys(listeners, 0))
    for some in _slices(connections):
        for connection in some:
            totals.add(connection)
        await asyncio.sleep(0)
    return totals


def _slices(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = list(items)
    for start in range(0, len(rest), SLICE):
        yield rest[start : start + SLICE]
