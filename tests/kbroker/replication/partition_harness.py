"""A partition on a simulated disk, with the flusher in the hands of the test."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass, field

from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.replication.partition import Partition
from log.flushing import FlushTicket
from log.partition_log import AppendResult
from tests.log.log_harness import LogOnDisk, batch
from wire.errors import ErrorCode

NODE = 1
ALONE = PartitionRecord(replicas=(NODE,), leader=NODE, leader_epoch=0, isr=(NODE,))
TWO = PartitionRecord(replicas=(NODE, 2), leader=NODE, leader_epoch=0, isr=(NODE, 2))


def elsewhere(record: PartitionRecord) -> PartitionRecord:
    """The next epoch, led by another broker."""
    return changed(record, leader=2, leader_epoch=record.leader_epoch + 1)


def next_epoch(record: PartitionRecord) -> PartitionRecord:
    """The next epoch, led by this broker."""
    return changed(record, leader=NODE, leader_epoch=record.leader_epoch + 1)


def changed(record: PartitionRecord, **fields: object) -> PartitionRecord:
    """The next record, as whoever changes one stores it."""
    epoch = record.partition_epoch + 1
    return dataclasses.replace(record, **{"partition_epoch": epoch, **fields})


@dataclass(slots=True)
class Wait:
    """One append whose answer waits; `code` once it was answered. Mutable."""

    result: AppendResult
    acks: int
    code: ErrorCode | None = None


@dataclass(slots=True)
class Stage:
    """A partition, the flushes it asked for, and who waits for it. Mutable."""

    home: LogOnDisk = field(default_factory=LogOnDisk)
    record: PartitionRecord = ALONE
    high_watermark: int = 0
    armed: bool = False
    arm_count: int = 0
    waits: list[Wait] = field(default_factory=list)
    partition: Partition = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self, *, clean: bool = True) -> None:
        self.armed = False
        self.partition = Partition(
            topic="topic",
            index=0,
            node_id=NODE,
            record=self.record,
            log=self.home.open(clean=clean),
            high_watermark=self.high_watermark,
            arm_flush=self.arm,
        )

    def arm(self, partition: Partition) -> None:
        self.armed = True
        self.arm_count += 1

    def append(self, *values: bytes, acks: int = -1, **options) -> Wait:
        """Append as Produce does, then wait for what `acks` asks."""
        result = self.partition.append_as_leader(
            batch(*(values or (b"value",))),
            now_ms=self.home.now_ms,
            required_acks=acks,
            **options,
        )
        return self.wait_for(result, acks)

    def wait_for(self, result: AppendResult, acks: int) -> Wait:
        wait = Wait(result, acks)
        if self.partition.is_acknowledged(result.last_offset, acks):
            wait.code = ErrorCode.NONE
        elif acks != 0:

            def answered(code: ErrorCode) -> None:
                assert wait.code is None, "an append is answered once"
                wait.code = code

            self.partition.when_acknowledged(result.last_offset, acks, answered)
        self.waits.append(wait)
        return wait

    def start_flush(self) -> FlushTicket | None:
        """What the scheduler does with an armed partition."""
        self.armed = False
        return self.partition.prepare_flush()

    def flush(self) -> None:
        """One whole flush."""
        ticket = self.start_flush()
        assert ticket is not None
        ticket.sync()
        self.partition.complete_flush(ticket)

    def apply(self, record: PartitionRecord) -> None:
        self.record = record
        self.partition.apply(record)

    def power_loss(self, chance: random.Random) -> None:
        """The machine goes and comes back; its start raises the leader epoch."""
        self.home.disk = self.home.disk.crash(chance)
        self.high_watermark = self.home.checkpoints.high_watermark
        self.record = next_epoch(self.record)
        self.waits.clear()
        self.open(clean=False)
