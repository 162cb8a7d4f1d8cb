"""Replicas of one partition on disks of their own, and Fetch between them without a network."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.replication.partition import Partition
from log.flushing import FlushTicket
from log.partition_log import AppendResult, PartitionLog
from tests.log.log_harness import LogOnDisk, batch, values_of
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import iterate_batches

THREE = PartitionRecord(
    replicas=(0, 1, 2), leader=0, leader_epoch=1, isr=(0, 1, 2), min_isr=2, partition_epoch=1
)
NOTHING = memoryview(b"")


@dataclass(slots=True)
class Replica:
    """A broker's replica; the flusher is in the hands of the test. Mutable."""

    node: int
    record: PartitionRecord = THREE
    home: LogOnDisk = field(default_factory=LogOnDisk)
    broker_epoch: int = 0
    high_watermark: int = 0
    armed: bool = False
    partition: Partition = field(init=False)

    def __post_init__(self) -> None:
        self.open(clean=True)

    def open(self, *, clean: bool) -> None:
        self.armed = False
        self.partition = Partition(
            topic="topic",
            index=0,
            node_id=self.node,
            record=self.record,
            log=self.home.open(clean=clean),
            high_watermark=self.high_watermark,
            arm_flush=self.arm,
        )

    def arm(self, partition: Partition) -> None:
        self.armed = True

    def append(self, *values: bytes, acks: int = -1) -> AppendResult:
        return self.partition.append_as_leader(
            batch(*values), now_ms=self.home.now_ms, required_acks=acks
        )

    def start_flush(self) -> FlushTicket | None:
        self.armed = False
        return self.partition.prepare_flush()

    def flush(self) -> None:
        ticket = self.start_flush()
        if ticket is not None:
            ticket.sync()
            self.partition.complete_flush(ticket)

    def apply(self, record: PartitionRecord) -> None:
        self.partition.apply(record)
        self.record = self.partition.record

    def checkpoint(self) -> None:
        """What the broker writes every second."""
        self.home.checkpoint(self.partition.log)
        self.home.checkpoints.high_watermark = self.partition.high_watermark

    def crash(self, chance: random.Random, record: PartitionRecord) -> None:
        """The machine goes, and comes back as a life that is told `record` first."""
        self.home.disk = self.home.disk.crash(chance)
        self.high_watermark = self.home.checkpoints.high_watermark
        self.record = record
        self.open(clean=False)

    @property
    def end(self) -> int:
        return self.partition.log.log_end_offset

    @property
    def values(self) -> list[bytes]:
        return list(values_of(self.partition.log).values())

    def epochs(self) -> list[tuple[int, int]]:
        return [tuple(each) for each in self.partition.log.leader_epochs.entries]


def fetch(
    follower: Replica, leader: Replica, *, now: float = 0.0, batches: int = 1_000, told: bool = True
) -> ErrorCode:
    """One Fetch as handler and fetcher do it, with that many batches at most.

    What the leader answers; NONE too when the follower only cut its log. `told`: the follower takes
    the answer; otherwise it is lost on the way.
    """
    ours, theirs = follower.partition, leader.partition
    leader_epoch = ours.leader_epoch
    following = ours.followed_in(leader_epoch)
    offset, last_epoch = ours.durable_end_offset, following.last_fetched_epoch
    try:
        theirs.check_leader(leader_epoch)
        diverging = theirs.diverging_epoch(last_epoch, offset)
    except KafkaError as refused:
        if refused.code == ErrorCode.OFFSET_OUT_OF_RANGE and told:
            following.truncate_fully_and_start_at(theirs.log.log_start_offset)
        return refused.code
    if diverging is not None:
        if told:
            epoch, end_offset = diverging
            following.truncate_to_divergence(epoch, end_offset)
        return ErrorCode.NONE
    high_watermark, log_start = theirs.high_watermark, theirs.log.log_start_offset
    records = read(theirs.log, offset, batches)
    theirs.fetched_by_follower(
        follower.node, follower.broker_epoch, offset, ours.log.log_start_offset, now=now
    )
    if told:
        # A fetcher waits for its flush before it fetches on; here it may only have asked again.
        following.append(
            records if ours.log.log_end_offset == offset else NOTHING,
            leader_high_watermark=high_watermark,
            leader_log_start=log_start,
            now_ms=follower.home.now_ms,
        )
    return ErrorCode.NONE


def read(log: PartitionLog, offset: int, batches: int) -> memoryview:
    """At most so many whole batches from `offset` on, as they lie in one segment."""
    piece = log.read(offset, max_bytes=1 << 20, upper_bound_offset=log.log_end_offset)
    if piece is None:
        return NOTHING
    data = piece.source.read_at(piece.position, len(piece))
    piece.release()
    end = 0
    for position, header in list(iterate_batches(data))[:batches]:
        end = position + header.size_bytes
    return memoryview(data)[:end]


def catch_up(follower: Replica, leader: Replica) -> None:
    """Fetch and flush until both logs are the same, and the leader knows."""
    for _ in range(20):
        assert fetch(follower, leader) in (ErrorCode.NONE, ErrorCode.OFFSET_OUT_OF_RANGE)
        follower.flush()
    assert follower.end == leader.end
