"""What a follower's Fetch reads, and what the leader learns from it.

A follower fetches from its durable end, so its fetch offset says how far it holds this log (rule
durable-end-as-fetch-offset). It is taken down once for each Fetch, not each time that a parked one
looks again. Counterpart: `fetcher`, the other end.
"""

from __future__ import annotations

from typing import Protocol

from kbroker.replication.fetch_session import FetchPartition
from kbroker.replication.partition import Partition
from wire.errors import ErrorCode, KafkaError
from wire.messages.fetch import EpochEndOffset, PartitionData

EMPTY = b""


class FollowerNotes(Protocol):
    """Who looks after in-sync replicas (`isr_changes`)."""

    def note(self, partition: Partition) -> None:
        """A follower of this partition may join its in-sync replicas."""
        ...


class ReplicaReading:
    """For one Fetch of one follower: to the log's end. Mutable: `is_recorded` is set once.

    `now` is the loop's time in seconds at which the Fetch came. `isr_changes` is told of a
    partition whose follower may join its in-sync replicas.
    """

    __slots__ = ("broker_epoch", "is_recorded", "isr_changes", "now", "replica_id")

    def __init__(
        self,
        replica_id: int,
        broker_epoch: int,
        *,
        now: float,
        isr_changes: FollowerNotes | None,
    ) -> None:
        self.replica_id = replica_id
        self.broker_epoch = broker_epoch
        self.now = now
        self.isr_changes = isr_changes
        self.is_recorded = False

    def read(
        self,
        partition: Partition,
        asked: FetchPartition,
        *,
        max_bytes: int,
        first: bool,
        cached_only: bool,
    ) -> PartitionData:
        """KafkaError: FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH (also for who is no replica in
        this epoch, as in Kafka), NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE. OSError, ColdRead."""
        if asked.current_leader_epoch < 0:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)  # a follower knows whom it follows
        partition.check_leader(asked.current_leader_epoch)
        if self.replica_id not in partition.record.replicas:
            raise KafkaError(ErrorCode.UNKNOWN_LEADER_EPOCH)
        if max_bytes < 0:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
        log = partition.log
        diverging = partition.diverging_epoch(asked.last_fetched_epoch, asked.fetch_offset)
        # Taken once, before the read, so that the answer is of one moment (KAFKA-9807).
        answer = PartitionData(
            partition_index=asked.index,
            error_code=0,
            high_watermark=partition.high_watermark,
            last_stable_offset=partition.last_stable_offset,
            log_start_offset=log.log_start_offset,
            aborted_transactions=None,
            records=EMPTY,
        )
        if diverging is not None:
            epoch, end_offset = diverging
            answer.diverging_epoch = EpochEndOffset(epoch=epoch, end_offset=end_offset)
            return answer
        found = log.read(
            asked.fetch_offset,
            max_bytes=max_bytes,
            upper_bound_offset=log.log_end_offset,
            at_least_one_batch=first,
            cached_only=cached_only,
        )
        if not self.is_recorded:
            try:
                self._record(partition, asked)
            except KafkaError:
                if found is not None:
                    found.release()
                raise
            # What this follower's position has committed, it is told at once.
            answer.high_watermark = partition.high_watermark
            asked.is_checked = True
        if found is not None:
            answer.records = found
        return answer

    def has_nothing_new(self, partition: Partition, asked: FetchPartition) -> bool:
        """Whether the Fetch of a session need not read this one, as one among thousands has moved
        and the follower knows all of the others. It is taken down that the follower was here."""
        log = partition.log
        is_known = (
            log.log_end_offset == asked.fetch_offset
            and partition.high_watermark == asked.sent_high_watermark
            and log.log_start_offset == asked.sent_log_start_offset
            and partition.leader_epoch == asked.current_leader_epoch
            and partition.is_leader
        )
        if self.is_recorded or not is_known:
            return is_known
        if not asked.is_checked:
            return False  # it has another position now
        try:
            self._record(partition, asked)
        except KafkaError:
            return False  # what is read answers it
        return partition.high_watermark == asked.sent_high_watermark

    def _record(self, partition: Partition, asked: FetchPartition) -> None:
        wants_to_join = partition.fetched_by_follower(
            self.replica_id,
            self.broker_epoch,
            asked.fetch_offset,
            asked.log_start_offset,
            now=self.now,
        )
        if wants_to_join and self.isr_changes is not None:
            self.isr_changes.note(partition)
