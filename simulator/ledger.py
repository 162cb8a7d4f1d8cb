"""What the broker owes to the clients of a run: every promise that it made, and when one ends.

One `Ledger` for all workers. It holds the `History` of what they were told, and knows which
durability each partition has: with *flushed* durability nothing that was told may ever be gone;
with *page-cache* durability a power loss, and nothing else, takes what lies past the last flush.
Counterparts: `cluster.Machine` tells when a broker's life ends, the workers tell the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.history import History, Partition, at
from simulator.invariant_error import InvariantError

if TYPE_CHECKING:
    from kbroker.broker import Broker


@dataclass(slots=True)
class Promise:
    """Of one partition. Mutable: the bounds rise with every answer.

    `deletable_to`: up to here somebody has asked for records to be deleted; None: retention may
    take any. `losses` counts what a power loss may have taken some of.
    """

    is_flushed: bool
    deletable_to: int | None = 0
    deleted_to: int = 0
    """Up to here somebody was told that records are deleted. What else tells of a log start may be
    ahead of the disk, and holds for this life of the broker."""
    log_start: int = 0
    high_watermark: int = 0
    acknowledged_end: int = 0
    """Behind the last record that a producer was told of: others may still be on their way."""
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What was known of a partition when a request was sent: the answer may not fall behind it."""

    log_start: int
    high_watermark: int
    losses: int
    life: int = 0
    """Of the broker."""


@dataclass(slots=True)
class Ledger:
    """Mutable. `groups_flushed`: whether a power loss must leave commits and groups alone."""

    history: History = field(default_factory=History)
    promises: dict[Partition, Promise] = field(default_factory=dict)
    groups_flushed: bool = True
    is_replicated: bool = False
    """A new leader may know of a lower high watermark and log start than the one before it, and a
    deposed one tells of the past until it hears of that: what they say may fall."""
    group_losses: int = 0
    producers_left: int = 0
    """Workers that may still send records: a group that is to consume all waits for them."""
    accepted_losses: set[Partition] = field(default_factory=set)
    """Where a start was told to go on without damaged records."""
    producer_ids: set[int] = field(default_factory=set)
    """All that were given out."""
    forgetful: set[Partition] = field(default_factory=set)
    """Whose producer snapshots could not be written: of producers whose records were deleted since,
    nothing else would be known."""
    life: int = 0
    """How many have ended."""
    _durable_ends: dict[Partition, int] = field(default_factory=dict)

    def promise(self, partition: Partition, *, is_flushed: bool, keeps: bool = True) -> None:
        """A partition was created. `keeps`: no retention takes its records."""
        assert partition not in self.promises
        self.promises[partition] = Promise(is_flushed, 0 if keeps else None)

    def snapshot_refused(self, path: str) -> None:
        """The disk refused something with a snapshot, at `.../<topic>-<partition>/<file>`."""
        topic, _, index = path.split("/")[-2].rpartition("-")
        self.forgetful.add((topic, int(index)))

    # What answers may tell.

    def bounds(self, partition: Partition) -> Bounds:
        """To be taken when a request is sent, and compared with its answer."""
        promise = self.promises[partition]
        return Bounds(promise.log_start, promise.high_watermark, promise.losses, self.life)

    def acknowledged(self, value: bytes, partition: Partition, offset: int, since: Bounds) -> None:
        """A producer was told that `value` is at `offset`."""
        promise = self.promises[partition]
        if since.losses == promise.losses:
            promise.high_watermark = max(promise.high_watermark, offset + 1)
            promise.acknowledged_end = max(promise.acknowledged_end, offset + 1)
            self.history.acknowledged(value, offset)

    def polled(
        self,
        reader: str,
        partition: Partition,
        records: list[tuple[int, bytes]],
        since: Bounds,
        *,
        group: str | None = None,
    ) -> None:
        """A reader was shown these. What was asked for before a loss says nothing after it."""
        if since.losses == self.promises[partition].losses:
            self.history.polled(reader, partition, records, group=group)
        else:
            self.history.positioned(reader, partition)

    def saw_log_start(self, partition: Partition, log_start: int, since: Bounds) -> None:
        """It only advances, and no further than somebody asked for."""
        promise = self.promises[partition]
        if (
            log_start < since.log_start
            and since.losses == promise.losses
            and not self.is_replicated
        ):
            raise InvariantError(
                f"the log start fell from {at(partition, since.log_start)} to {log_start}"
            )
        if promise.deletable_to is not None and log_start > promise.deletable_to:
            raise InvariantError(
                f"nobody deleted records of {at(partition, promise.deletable_to)} up to {log_start}"
            )
        if since.life == self.life:
            promise.log_start = max(promise.log_start, log_start)

    def saw_high_watermark(self, partition: Partition, high_watermark: int, since: Bounds) -> None:
        """It never falls, and no answer is behind what was acknowledged before it was asked for."""
        promise = self.promises[partition]
        if since.losses != promise.losses:
            return
        if high_watermark < since.high_watermark and not self.is_replicated:
            raise InvariantError(
                f"the high watermark is {at(partition, high_watermark)}, "
                f"and was {since.high_watermark}"
            )
        promise.high_watermark = max(promise.high_watermark, high_watermark)

    def deleting(self, partition: Partition, before_offset: int) -> None:
        """Somebody asks for this: from now on it may be so."""
        promise = self.promises[partition]
        if promise.deletable_to is not None:
            promise.deletable_to = max(promise.deletable_to, before_offset)
        self.history.deletable(partition, before_offset)

    def deleted(self, partition: Partition, log_start: int, since: Bounds) -> None:
        """It was done, and is durable."""
        self.saw_log_start(partition, log_start, since)
        promise = self.promises[partition]
        promise.deleted_to = max(promise.deleted_to, log_start)

    # When promises end.

    def broker_ended(self, broker: Broker | None, *, pages_lost: bool) -> None:
        """A life of the broker is over, however. `pages_lost`: with what was not flushed."""
        self.history.commits.broker_ended()
        self.life += 1
        for promise in self.promises.values():
            promise.log_start = min(promise.log_start, promise.deleted_to)
        if broker is not None:
            self._durable_ends = {
                (each.topic, each.index): each.log.recovery_point for each in broker.replicas
            }
        if not pages_lost:
            return
        for partition, promise in self.promises.items():
            if not promise.is_flushed:
                self.forget_from(partition, self._durable_ends.get(partition, 0))
        if not self.groups_flushed:
            self.group_losses += 1
            self.history.commits.forgive()

    def forget_from(self, partition: Partition, offset: int) -> None:
        """What lies there may be gone, and other records may take its offsets."""
        promise = self.promises[partition]
        promise.losses += 1
        promise.high_watermark = min(promise.high_watermark, offset)
        promise.acknowledged_end = min(promise.acknowledged_end, offset)
        promise.log_start = min(promise.log_start, offset)
        promise.deleted_to = min(promise.deleted_to, offset)
        self.history.forget_from(partition, offset)
