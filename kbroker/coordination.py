"""Hosts the coordinators' state machines on their partitions: handle, append, replay, then reply.

One shard for each partition of `__consumer_offsets` that this broker leads. A handler's records are
appended as one batch and replayed at once, without an await between, so nothing needs undoing;
its reply leaves once they are committed. A read-only reply leaves once everything seen at the read
is committed. Counterpart: `coordinator.group.shard`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from coordinator.group.settings import GroupSettings
from coordinator.group.shard import GroupShard
from coordinator.outcome import CoordinatorRecord, Moment, Outcome
from kbroker.config.broker_config import BrokerConfig
from kbroker.dependencies import WallClock
from kbroker.replication.partition import Partition
from kbroker.replication.replica_manager import ReplicaManager
from kbroker.topics import GROUP_TOPIC, Topics
from kbroker.watch import Deadlines, Deferred
from wire.errors import ErrorCode, KafkaError, WireError
from wire.records.batch import build_batch, iterate_batches
from wire.records.record import Record, iterate_records

logger = logging.getLogger(__name__)

R = TypeVar("R")

REPLAY_BYTES = 1024 * 1024
"""Read at once while a shard loads; the loop serves others between two reads."""

ALL_REPLICAS = -1


class GroupCoordinator:
    """The group shards of this broker."""

    def __init__(
        self,
        *,
        config: BrokerConfig,
        clock: WallClock,
        deadlines: Deadlines,
        replicas: ReplicaManager,
        topics: Topics,
        storage_failed: Callable[[OSError], None],
    ) -> None:
        self._config = config
        self._storage_failed = storage_failed
        self._clock = clock
        self._deadlines = deadlines
        self._replicas = replicas
        self._topics = topics
        self._shards: dict[int, GroupShard] = {}
        self._loading: dict[int, None] = {}

    async def ensure_topic(self) -> None:
        """Create `__consumer_offsets` where it does not exist, and load what this broker leads."""
        if self._topics.partition_count(GROUP_TOPIC) == 0:
            await self._topics.create_internal(GROUP_TOPIC)
        await self.load()

    @property
    def is_loaded(self) -> bool:
        """Whether every partition of `__consumer_offsets` that there is answers here."""
        return 0 < self._topics.partition_count(GROUP_TOPIC) == len(self._shards)

    async def load(self) -> None:
        """Replay every partition of `__consumer_offsets` that this broker leads, once."""
        await self._topics.made(GROUP_TOPIC)
        for index in range(self._topics.partition_count(GROUP_TOPIC)):
            if index in self._shards or index in self._loading:
                continue
            self._loading[index] = None
            try:
                partition = self._replicas.partition(GROUP_TOPIC, index)
                shard = await self._replay(partition)
            finally:
                del self._loading[index]
            if partition.is_stopped:
                continue  # deleted meanwhile: these are the offsets of a topic that is gone
            self._shards[index] = shard
            for topic in shard.offsets.topics():
                if self._topics.partition_count(topic) == 0:  # deleted before the load was done
                    self._forget(index, shard, topic)

    def forget_topic(self, topic: str) -> None:
        """A topic was deleted: so are the offsets committed in it."""
        if topic == GROUP_TOPIC:
            self._shards.clear()
            return
        for index, shard in sorted(self._shards.items()):
            self._forget(index, shard, topic)

    def _forget(self, index: int, shard: GroupShard, topic: str) -> None:
        outcome = shard.on_topic_deleted(topic)
        if outcome.records:
            try:
                self._write(index, shard, outcome.records)
            except (KafkaError, OSError) as error:
                logger.warning("offsets of the deleted topic %s remain: %s", topic, error)

    def run(
        self, group_id: str, operation: Callable[[GroupShard, Moment], Outcome[R]]
    ) -> R | Deferred[R]:
        """Run `operation` (given the shard and the time) and reply once its records are safe.

        Raises KafkaError: COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR,
        or what the operation raises.
        """
        index, shard = self._shard(group_id)
        outcome = operation(shard, Moment(wall_ms=self._clock.now_ms(), steady_ms=0))
        assert outcome.reply is not None
        if not outcome.records:
            return outcome.reply
        try:
            last_offset = self._write(index, shard, outcome.records)
        except OSError as error:
            self._storage_failed(error)
            raise KafkaError(ErrorCode.NOT_COORDINATOR) from error
        except KafkaError as error:
            raise KafkaError(_as_coordinator_error(error.code), error.detail) from error
        partition = self._replicas.partition(GROUP_TOPIC, index)
        return self._once_committed(partition, last_offset, outcome.reply, blocks=False)

    def read(self, group_id: str, operation: Callable[[GroupShard], R]) -> R | Deferred[R]:
        """Run a read-only `operation`; its reply leaves once all that it saw is committed."""
        index, shard = self._shard(group_id)
        reply = operation(shard)
        partition = self._replicas.partition(GROUP_TOPIC, index)
        return self._once_committed(
            partition, partition.log.log_end_offset - 1, reply, blocks=False
        )

    def partition_of(self, group_id: str) -> int:
        """The partition that stores the group, by Java's hash of its name as Kafka has it."""
        count = self._topics.partition_count(GROUP_TOPIC)
        if count == 0:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return (java_hash(group_id) & 0x7FFFFFFF) % count

    def _shard(self, group_id: str) -> tuple[int, GroupShard]:
        index = self.partition_of(group_id)
        shard = self._shards.get(index)
        if shard is not None:
            return index, shard
        if index in self._loading:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        raise KafkaError(ErrorCode.NOT_COORDINATOR)

    def _write(self, index: int, shard: GroupShard, records: tuple[CoordinatorRecord, ...]) -> int:
        """Append `records` as one batch and replay them; returns the last offset."""
        now_ms = self._clock.now_ms()
        partition = self._replicas.partition(GROUP_TOPIC, index)
        batch = build_batch(
            [
                Record(
                    offset=offset,
                    timestamp_ms=now_ms,
                    key=record.key,
                    value=record.value,
                    headers=(),
                )
                for offset, record in enumerate(records)
            ]
        )
        result = partition.append_as_leader(
            memoryview(batch), now_ms=now_ms, required_acks=ALL_REPLICAS, internal=True
        )
        for record in records:
            shard.replay(record.key, record.value)
        return result.last_offset

    def _once_committed(
        self, partition: Partition, last_offset: int, reply: R, *, blocks: bool
    ) -> R | Deferred[R]:
        if partition.is_acknowledged(last_offset, ALL_REPLICAS):
            return reply
        deferred: CommitWait[R] = CommitWait(self._deadlines, blocks=blocks)

        def committed(code: ErrorCode) -> None:
            if code:
                deferred.give_up(_as_coordinator_error(code))
            else:
                deferred.succeed(reply)

        deferred.start(self._config.offsets_commit_timeout_ms)
        partition.when_acknowledged(last_offset, ALL_REPLICAS, committed)
        return deferred

    async def _replay(self, partition: Partition) -> GroupShard:
        """Build a shard from its partition, up to the log end at the start of the load."""
        shard = GroupShard(
            GroupSettings(max_metadata_bytes=self._config.offset_metadata_max_bytes),
            new_id=lambda: "",
        )
        log = partition.log
        offset, end_offset = log.log_start_offset, log.log_end_offset
        while offset < end_offset:
            found = log.read(
                offset,
                max_bytes=REPLAY_BYTES,
                upper_bound_offset=end_offset,
                at_least_one_batch=True,
            )
            if found is None:
                break
            try:
                data = memoryview(found.source.read_at(found.position, found.size))
            finally:
                found.release()
            next_offset = _replay_batches(shard, data, partition, offset)
            if next_offset == offset:
                raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"no batch at offset {offset}")
            offset = next_offset
            await asyncio.sleep(0)
        return shard


class CommitWait(Deferred[R]):
    """A reply that waits for its records."""

    __slots__ = ("_bucket", "_deadlines")

    def __init__(self, deadlines: Deadlines, *, blocks: bool) -> None:
        super().__init__(blocks=blocks)
        self._deadlines = deadlines
        self._bucket = -1
        self.on_abandon = self._stop_waiting

    def start(self, timeout_ms: int) -> None:
        """Give up after `timeout_ms`."""
        self._bucket = self._deadlines.add(timeout_ms, self.expire)

    def succeed(self, reply: R) -> None:
        self._stop_waiting()
        self.settle(reply)

    def give_up(self, code: ErrorCode) -> None:
        """The records may or may not be committed one day; the member has to ask again."""
        self._stop_waiting()
        self.fail(KafkaError(code))

    def expire(self) -> None:
        self.give_up(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    def _stop_waiting(self) -> None:
        self._deadlines.remove(self._bucket, self.expire)


def _replay_batches(shard: GroupShard, data: memoryview, partition: Partition, offset: int) -> int:
    """Replay the whole batches of `data`; returns the offset behind them.

    What cannot be read is passed over and logged, as in Kafka: one bad record must not lock out
    every group.
    """
    most_bytes = partition.log.config.max_message_bytes * 8
    for position, header in iterate_batches(data):
        if not header.is_control:
            try:
                for record in iterate_records(data, position, max_decompressed_bytes=most_bytes):
                    if record.key is not None:
                        shard.replay(record.key, record.value)
            except WireError as error:
                logger.error(
                    "%s-%d from offset %d on holds what is no coordinator record: %s",
                    partition.topic,
                    partition.index,
                    header.base_offset,
                    error,
                )
        offset = header.next_offset
    return offset


def _as_coordinator_error(code: ErrorCode) -> ErrorCode:
    """What a failed append means to a member of a group (as Kafka translates it)."""
    if code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR):
        return ErrorCode.NOT_COORDINATOR
    return ErrorCode.COORDINATOR_NOT_AVAILABLE


def java_hash(text: str) -> int:
    """Java's `String.hashCode` as an unsigned 32-bit number (over UTF-16 units)."""
    value = 0
    units = text.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value
