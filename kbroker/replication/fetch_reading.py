"""What one Fetch reads: the batches of each partition, as they lie in its log.

A consumer reads what is committed; `replica_reading` is for followers, who read to the log's end.
Counterpart: `kbroker.handlers.fetch`, which waits until there is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kbroker.replication.fetch_session import FetchContext, FetchPartition
from kbroker.replication.partition import ANY_EPOCH, Partition
from kbroker.replication.replica_manager import ReplicaManager
from kbroker.replication.replica_reading import ReplicaReading
from log.scan import ColdRead
from wire.errors import ErrorCode, KafkaError
from wire.messages.fetch import AbortedTransaction, EpochEndOffset, PartitionData
from wire.records.file_slice import FileSlice

EMPTY = b""

Answer = tuple[FetchPartition, PartitionData]
Answers = tuple[list[Answer], int, bool]
"""Answers, bytes found, and whether there is something that must be told at once."""


class PartitionReading(Protocol):
    """Reads one partition for one kind of fetcher. KafkaError, OSError, ColdRead."""

    def __call__(
        self,
        partition: Partition,
        asked: FetchPartition,
        *,
        max_bytes: int,
        first: bool,
        cached_only: bool,
    ) -> PartitionData: ...


class FetchReading:
    """What a Fetch may read, and how to read it once more. Mutable only in what sessions keep."""

    __slots__ = (
        "by_id",
        "limit_bytes",
        "min_bytes",
        "read_partition",
        "replica",
        "replicas",
        "sought",
        "storage_failed",
    )

    def __init__(
        self,
        sought: FetchContext,
        *,
        replicas: ReplicaManager,
        read_partition: PartitionReading,
        by_id: bool,
        min_bytes: int,
        limit_bytes: int,
        storage_failed: Callable[[OSError], None],
        replica: ReplicaReading | None = None,
    ) -> None:
        self.sought = sought
        self.replicas = replicas
        self.read_partition = read_partition
        self.replica = replica  # it reads, if a follower does
        self.by_id = by_id
        self.min_bytes = min_bytes
        self.limit_bytes = limit_bytes
        self.storage_failed = storage_failed

    def read(self, *, cached_only: bool = False) -> Answers:
        """One pass over the partitions.

        With `cached_only` it raises ColdRead where a position has to be looked for on the disk.
        """
        answers: list[Answer] = []
        left = self.limit_bytes
        found = 0
        urgent = False
        replica = self.replica
        skipping = replica if self.sought.incremental else None
        for asked in self.sought.partitions:
            partition: Partition | None = None
            try:
                partition = self._resolve(asked)
                if skipping is not None and skipping.has_nothing_new(partition, asked):
                    continue
                answer = self.read_partition(
                    partition,
                    asked,
                    max_bytes=min(asked.max_bytes, left),
                    first=found == 0,
                    cached_only=cached_only,
                )
            except ColdRead:
                release(answers)
                raise
            except KafkaError as error:
                urgent = True
                answer = failed(asked.index, error.code)
                if partition is not None:
                    answer.aborted_transactions = None  # Kafka's way to say: it was looked at
                    if replica is not None:
                        # Where to begin, for a follower that is out of range.
                        answer.log_start_offset = partition.log.log_start_offset
            except OSError as error:
                urgent = True
                self.storage_failed(error)
                answer = failed(asked.index, ErrorCode.KAFKA_STORAGE_ERROR)
            size = len(answer.records or EMPTY)
            if (
                answer.diverging_epoch is not None
                or answer.preferred_read_replica >= 0
                or (replica is not None and answer.high_watermark > asked.known_high_watermark)
            ):
                urgent = True
            found += size
            left = max(0, left - size)
            answers.append((asked, answer))
        if replica is not None:
            replica.is_recorded = True
        return answers, found, urgent

    def watched(self) -> list[Partition]:
        """The partitions that can end the wait."""
        partitions = []
        for asked in self.sought.partitions:
            try:
                partitions.append(self._resolve(asked))
            except KafkaError:
                continue
        return partitions

    def _resolve(self, asked: FetchPartition) -> Partition:
        if self.by_id:
            return self.replicas.partition_by_id(asked.topic_id, asked.index)
        return self.replicas.partition(asked.topic or "", asked.index)


class ConsumerReading:
    """For a consumer: up to the high watermark, or, if it skips what was aborted, up to the last
    stable offset. `from_followers`: also where this broker follows (KIP-392)."""

    __slots__ = ("from_followers", "read_committed")

    def __init__(self, *, read_committed: bool, from_followers: bool = False) -> None:
        self.read_committed = read_committed
        self.from_followers = from_followers

    def read(
        self,
        partition: Partition,
        asked: FetchPartition,
        *,
        max_bytes: int,
        first: bool,
        cached_only: bool,
    ) -> PartitionData:
        # Kafka's Fetch takes every negative epoch as none; ListOffsets does not.
        leader_epoch = max(asked.current_leader_epoch, ANY_EPOCH)
        partition.check_leader(leader_epoch, or_follower=self.from_followers)
        if max_bytes < 0:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
        log = partition.log
        # Taken once, before the read, so that the answer is of one moment (KAFKA-9807).
        high_watermark = partition.high_watermark
        last_stable_offset = partition.last_stable_offset
        upper_bound = last_stable_offset if self.read_committed else high_watermark
        answer = PartitionData(
            partition_index=asked.index,
            error_code=0,
            high_watermark=high_watermark,
            last_stable_offset=last_stable_offset,
            log_start_offset=log.log_start_offset,
            aborted_transactions=None,
            records=EMPTY,
        )
        if asked.last_fetched_epoch >= 0:
            answer.diverging_epoch = _diverging_epoch(partition, asked)
            if answer.diverging_epoch is not None:
                return answer
        if self.read_committed:
            answer.aborted_transactions = [
                AbortedTransaction(producer_id=each.producer_id, first_offset=each.first_offset)
                for each in log.aborted_transactions(asked.fetch_offset, upper_bound)
            ]
        found = log.read(
            asked.fetch_offset,
            max_bytes=max_bytes,
            upper_bound_offset=upper_bound,
            at_least_one_batch=first,
            cached_only=cached_only,
        )
        if found is not None:
            answer.records = found
        return answer


READ_TO_HIGH_WATERMARK: PartitionReading = ConsumerReading(read_committed=False).read
READ_TO_LAST_STABLE: PartitionReading = ConsumerReading(read_committed=True).read
READ_ANYWHERE_TO_HIGH_WATERMARK: PartitionReading = ConsumerReading(
    read_committed=False, from_followers=True
).read
READ_ANYWHERE_TO_LAST_STABLE: PartitionReading = ConsumerReading(
    read_committed=True, from_followers=True
).read


def _diverging_epoch(partition: Partition, asked: FetchPartition) -> EpochEndOffset | None:
    """Where the fetcher's log left ours, if it did (KIP-595)."""
    epoch, end_offset = partition.log.end_offset_for_epoch(asked.last_fetched_epoch)
    if epoch < 0 or end_offset < 0:
        raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
    if epoch < asked.last_fetched_epoch or end_offset < asked.fetch_offset:
        return EpochEndOffset(epoch=epoch, end_offset=end_offset)
    return None


def failed(index: int, code: ErrorCode) -> PartitionData:
    """One partition's answer that is an error."""
    return PartitionData(
        partition_index=index,
        error_code=code,
        high_watermark=-1,
        aborted_transactions=[],
        records=EMPTY,
    )


def release(answers: list[Answer]) -> None:
    """Nobody sends them: let go of the files."""
    for _, answer in answers:
        if isinstance(answer.records, FileSlice):
            answer.records.release()
