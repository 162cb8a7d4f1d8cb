"""Hosts the coordinators' state machines on their partitions: handle, append, replay, then reply.

One shard for each partition of `__consumer_offsets` that this broker leads. A handler's records are
appended as one batch and replayed at once, without an await between, so nothing needs undoing; its
answers leave once they are committed. Whatever else is answered, by a read as by a member's request
that writes nothing itself, leaves once everything seen is committed; heartbeats alone tell nothing
that is stored, and wait for nothing. Membership that is not stored changes in the shard directly:
where an append fails, the shard is dropped and made anew from its partition. Counterparts:
`coordinator.group.shard`, `hosted_shard`, `group_tickets`, `group_replay`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from random import Random
from typing import TypeVar

from coordinator.group.settings import GroupSettings
from coordinator.group.shard import GroupShard
from coordinator.outcome import CoordinatorRecord, Moment, Outcome, Reply, Ticket
from kbroker.cluster.topic_ids import random_id
from kbroker.config.broker_config import BrokerConfig
from kbroker.coordinator_errors import as_coordinator_error, as_read_error
from kbroker.dependencies import WallClock
from kbroker.gathering import gather
from kbroker.group_replay import committed, replay
from kbroker.group_tickets import CommitWait, Teller, Tickets, teller
from kbroker.hosted_shard import HostedShard
from kbroker.java_hash import java_hash
from kbroker.replication.partition import Partition
from kbroker.replication.replica_manager import ReplicaManager
from kbroker.topics import GROUP_TOPIC, Topics
from kbroker.watch import Deadlines, Deferred
from wire.errors import ErrorCode, KafkaError
from wire.schema import Response

logger = logging.getLogger(__name__)

R = TypeVar("R")
A = TypeVar("A", bound=Response)

TOMBSTONES_TOGETHER = 1000
"""What is forgotten of deleted topics and idle groups is written in batches of so many records."""

LOAD_PATIENCE_S = 5.0
"""How long who looks for a coordinator waits for groups to be loaded; then they ask again."""

GROUPS_TOGETHER = 20
"""Groups looked at for expired offsets before others have the loop."""


class GroupCoordinator:
    """The group shards of this broker."""

    def __init__(
        self,
        *,
        config: BrokerConfig,
        clock: WallClock,
        random: Random,
        deadlines: Deadlines,
        loop_time: Callable[[], float],
        replicas: ReplicaManager,
        topics: Topics,
        storage_failed: Callable[[OSError], None],
        spawn: Callable[[Coroutine[None, None, None], str], asyncio.Task[None]],
    ) -> None:
        """`loop_time` gives seconds that never step back; `spawn` starts a task."""
        self._config = config
        self._storage_failed = storage_failed
        self._clock = clock
        self._random = random
        self._deadlines = deadlines
        self._loop_time = loop_time
        self._replicas = replicas
        self._topics = topics
        self._spawn = spawn
        self._shards: dict[int, HostedShard] = {}
        self._loading: dict[int, None] = {}
        self._replaying = asyncio.Lock()
        self._tickets = Tickets()

    # Which partitions are served.

    async def ensure_topic(self) -> None:
        """Create `__consumer_offsets` where it does not exist, and load what this broker leads, as
        far as that is soon done. KafkaError."""
        if self._topics.partition_count(GROUP_TOPIC) == 0:
            await self._topics.create_internal(GROUP_TOPIC)
        await self.start(wait_s=LOAD_PATIENCE_S)

    @property
    def is_loaded(self) -> bool:
        """Whether every partition of `__consumer_offsets` that this broker leads answers here."""
        if self._topics.partition_count(GROUP_TOPIC) == 0:
            return False
        return all(index in self._shards for index in self._topics.led_here(GROUP_TOPIC))

    def is_placed(self, group_id: str) -> bool:
        """Whether somebody else looks after the group, or its shard here answers."""
        if self._topics.partition_count(GROUP_TOPIC) == 0:
            return False
        index = self.partition_of(group_id)
        return index in self._shards or not self._topics.is_led_here(GROUP_TOPIC, index)

    def coordinator_of(self, group_id: str) -> int:
        """The broker that looks after the group. KafkaError(COORDINATOR_NOT_AVAILABLE): none."""
        leader = self._topics.leader_of(GROUP_TOPIC, self.partition_of(group_id))
        if leader is None:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return leader

    @property
    def parked_count(self) -> int:
        """Requests of members that wait for other members."""
        return len(self._tickets)

    def group_sizes(self) -> Iterator[tuple[str, int]]:
        """(state, number of members) of each group that is coordinated here."""
        for hosted in self._shards.values():
            yield from hosted.shard.group_sizes()

    def close(self) -> None:
        """The broker stops: no timer rings any more. Nobody is told, their connections end."""
        for hosted in self._shards.values():
            hosted.drop()
        self._shards.clear()

    async def load(self) -> None:
        """Replay every partition of `__consumer_offsets` that this broker leads, once: one after
        the other, but none waits for another one's replicas. KafkaError, OSError where one cannot
        be read; the others are loaded then."""
        await self._topics.made(GROUP_TOPIC)
        led = self._topics.led_here(GROUP_TOPIC)
        unloaded = [each for each in led if each not in {*self._shards, *self._loading}]
        self._loading.update(dict.fromkeys(unloaded))
        results = await asyncio.gather(*map(self._load_one, unloaded), return_exceptions=True)
        for error in filter(None, results):
            raise error

    async def _load_one(self, index: int) -> None:
        try:
            await self._load_in_one_epoch(index)
        finally:
            del self._loading[index]

    async def _load_in_one_epoch(self, index: int) -> None:
        """Replay it as it is in one leader epoch: what others have appended in between two of ours
        would be missing from what was read before. A broker that has lost its membership leads
        nothing, whatever its metadata say."""
        partition = self._replicas.partition(GROUP_TOPIC, index)
        while self._topics.is_led_here(GROUP_TOPIC, index) and partition.is_leader:
            await committed(partition)
            async with self._replaying:
                if not partition.is_high_watermark_known:
                    await asyncio.sleep(0)
                    continue  # led anew meanwhile
                leader_epoch = partition.leader_epoch
                shard = GroupShard(self._settings(), self._new_id)
                await replay(shard, partition)
            if partition.is_leader and partition.leader_epoch == leader_epoch:
                self._loaded(shard, partition)
                return
            await asyncio.sleep(0)

    async def start(self, *, wait_s: float) -> None:
        """Load what this broker leads; what takes longer than `wait_s` goes on while others are
        served, and its groups are told COORDINATOR_LOAD_IN_PROGRESS meanwhile."""
        loading = self._spawn(self._reload(), "load of groups")
        await asyncio.wait([loading], timeout=wait_s)

    async def _reload(self) -> None:
        """Load what is not there; where that fails, FindCoordinator tries again."""
        try:
            await self.load()
        except OSError as error:
            self._storage_failed(error)
        except KafkaError as error:
            logger.warning("groups cannot be loaded: %s", error)

    def _loaded(self, shard: GroupShard, partition: Partition) -> None:
        shard.on_loaded(self._now())
        hosted = HostedShard(
            shard,
            partition,
            deadlines=self._deadlines,
            loop_time=self._loop_time,
            on_deadline=self._deadline_came,
        )
        self._shards[partition.index] = hosted
        hosted.arm()
        for topic in shard.offsets.topics():
            if self._topics.partition_count(topic) == 0:  # deleted before the load was done
                self._forget(hosted, topic)

    def leadership_changed(self) -> None:
        """Partitions of `__consumer_offsets` changed: drop what is led elsewhere or in a new epoch,
        and load what is not there."""
        for index, hosted in sorted(self._shards.items()):
            partition = hosted.partition
            try:
                partition.check_leader(hosted.leader_epoch)
            except KafkaError:
                logger.info(
                    "the groups of %s-%d are looked after elsewhere since leader epoch %d",
                    GROUP_TOPIC,
                    index,
                    partition.leader_epoch,
                )
                self._drop(hosted)
        if not self.is_loaded:
            self._spawn(self._reload(), "load of groups")

    def forget_topic(self, topic: str) -> None:
        """A topic was deleted: so are the offsets committed in it."""
        for _, hosted in sorted(self._shards.items()):
            if topic == GROUP_TOPIC:
                self._drop(hosted)
            else:
                self._forget(hosted, topic)

    async def expire_offsets(self) -> None:
        """Forget the offsets of groups that have been idle for too long, and such groups."""
        for _, hosted in sorted(self._shards.items()):
            group_ids = hosted.shard.group_ids()
            for start in range(0, len(group_ids), GROUPS_TOGETHER):
                if hosted.dropped:
                    break
                some = group_ids[start : start + GROUPS_TOGETHER]
                outcome = hosted.shard.expire_offsets(self._now(), some)
                self._write_tombstones(hosted, outcome.records, "expired offsets")
                hosted.arm()
                await asyncio.sleep(0)

    # What handlers ask.

    def write(
        self, group_id: str, operation: Callable[[GroupShard, Moment], Outcome[R]]
    ) -> R | Deferred[R]:
        """Run an operation that changes nothing but by its records; answer once they are safe.

        Raises KafkaError: COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR,
        or what the operation raises.
        """
        hosted = self._hosted(group_id)
        outcome = operation(hosted.shard, self._now())
        answer = self._apply(hosted, outcome, drops=False)
        hosted.arm()
        assert answer is not None, "only a change of membership waits for others"
        return answer

    def change(
        self, group_id: str, operation: Callable[[GroupShard, Ticket, Moment], Outcome[A]]
    ) -> A | Deferred[A]:
        """Run an operation on a group's members, which may have to wait for others. KafkaError as
        `write`."""
        hosted = self._hosted(group_id)
        hosted.follow_limits()
        ticket = self._tickets.next()
        try:
            outcome = operation(hosted.shard, ticket, self._now())
            if outcome.reply is not None:
                answer = self._apply(hosted, outcome, drops=True)
                assert answer is not None
                return answer
            parked = self._tickets.park(ticket)
            try:
                self._apply(hosted, outcome, drops=True)
            except KafkaError:
                self._tickets.take(ticket)
                raise
            return parked  # type: ignore[return-value]  # what `operation` answers, at last
        finally:
            hosted.arm()

    def prolong(self, group_id: str, operation: Callable[[GroupShard, Moment], Outcome[R]]) -> R:
        """Run an operation that moves timers only and tells nothing that is stored: a heartbeat.
        KafkaError as `write`. It costs no more than the operation."""
        hosted = self._hosted(group_id)
        outcome = operation(hosted.shard, self._now())
        assert not outcome.records
        assert not outcome.replies
        assert outcome.reply is not None
        hosted.arm()
        return outcome.reply

    def read(self, group_id: str, operation: Callable[[GroupShard], R]) -> R | Deferred[R]:
        """Run a read-only `operation`; its reply leaves once all that it saw is committed."""
        return self._read(self._hosted(group_id), operation)

    def read_all(
        self, operation: Callable[[GroupShard], R], combine: Callable[[list[R]], A]
    ) -> A | Deferred[A]:
        """The same with every shard of this broker. KafkaError: COORDINATOR_LOAD_IN_PROGRESS, or
        what stands in the way of one of them."""
        if self._loading:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        parts = [self._read(hosted, operation) for _, hosted in sorted(self._shards.items())]
        return gather(parts, combine)

    def partition_of(self, group_id: str) -> int:
        """The partition that stores the group, by Java's hash of its name as Kafka has it."""
        count = self._topics.partition_count(GROUP_TOPIC)
        if count == 0:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return (java_hash(group_id) & 0x7FFFFFFF) % count

    def _hosted(self, group_id: str) -> HostedShard:
        index = self.partition_of(group_id)
        hosted = self._shards.get(index)
        if hosted is not None:
            return hosted
        if self._loading and self._topics.is_led_here(GROUP_TOPIC, index):
            # One partition after the other: this one is loaded, or will be.
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        raise KafkaError(ErrorCode.NOT_COORDINATOR)

    # Outcomes.

    def _apply(
        self, hosted: HostedShard, outcome: Outcome[R], *, drops: bool
    ) -> R | Deferred[R] | None:
        """Append, replay, and answer whoever is to be answered; returns this request's answer.

        An answer may tell of what an earlier request wrote, so it waits for that also where nothing
        is appended now. KafkaError where the append fails: with `drops` the shard is then made
        anew, because it has gone ahead of its partition.
        """
        answers: list[tuple[Deferred[Response], Response]] = []
        for each in outcome.replies:
            deferred = self._tickets.take(each.ticket)
            if deferred is not None:
                answers.append((deferred, each.response))
        try:
            last_offset = (
                hosted.append(outcome.records, self._clock.now_ms())
                if outcome.records
                else hosted.last_offset
            )
        except (OSError, KafkaError) as error:
            code = self._failed(error)
            for deferred, _ in answers:
                deferred.fail(KafkaError(code))
            if drops:
                self._drop(hosted)
                self._spawn(self._reload(), "load of groups")
            raise KafkaError(code) from error
        if hosted.is_committed(last_offset):
            _settle(answers)
            return outcome.reply
        tellers = [teller(deferred, response) for deferred, response in answers]
        own: Deferred[R] | None = None
        if outcome.reply is not None:
            own = Deferred(blocks=False)
            tellers.append(teller(own, outcome.reply))
        if tellers:
            self._when_committed(hosted.partition, last_offset, tellers, as_coordinator_error)
        return own

    def _failed(self, error: OSError | KafkaError) -> ErrorCode:
        """What a failed append means to members."""
        if isinstance(error, OSError):
            self._storage_failed(error)
            return ErrorCode.NOT_COORDINATOR
        return as_coordinator_error(error.code)

    def _forget(self, hosted: HostedShard, topic: str) -> None:
        records = hosted.shard.on_topic_deleted(topic).records
        self._write_tombstones(hosted, records, f"offsets of the deleted topic {topic}")
        hosted.arm()

    def _write_tombstones(
        self, hosted: HostedShard, records: Sequence[CoordinatorRecord], what: str
    ) -> None:
        """Nobody waits for these: what cannot be written is told again another time."""
        now_ms = self._clock.now_ms()
        try:
            for start in range(0, len(records), TOMBSTONES_TOGETHER):
                hosted.append(records[start : start + TOMBSTONES_TOGETHER], now_ms)
        except (KafkaError, OSError) as error:
            self._failed(error)
            logger.warning("%s remain: %s", what, error)

    def _read(self, hosted: HostedShard, operation: Callable[[GroupShard], R]) -> R | Deferred[R]:
        reply = operation(hosted.shard)
        last_offset = hosted.last_offset
        if hosted.is_committed(last_offset):
            return reply
        deferred: Deferred[R] = Deferred(blocks=False)
        self._when_committed(
            hosted.partition, last_offset, [teller(deferred, reply)], as_read_error
        )
        return deferred

    def _when_committed(
        self,
        partition: Partition,
        last_offset: int,
        tellers: Sequence[Teller],
        as_error: Callable[[ErrorCode], ErrorCode],
    ) -> None:
        wait = CommitWait(tellers, as_error=as_error, deadlines=self._deadlines)
        wait.start(partition, last_offset, timeout_ms=self._config.offsets_commit_timeout_ms)

    def _deadline_came(self, hosted: HostedShard) -> None:
        try:
            self._apply(hosted, hosted.shard.on_deadline(self._now()), drops=True)
        except KafkaError as error:
            logger.warning("groups of %s-%d: %s", GROUP_TOPIC, hosted.index, error)
        hosted.arm()

    # The shell.

    def _drop(self, hosted: HostedShard) -> None:
        """Serve it no longer; whoever is parked has to look for the coordinator again."""
        hosted.drop()
        del self._shards[hosted.index]
        self._settle_replies(hosted.shard.on_dropped())

    def _settle_replies(self, replies: Sequence[Reply]) -> None:
        for each in replies:
            deferred = self._tickets.take(each.ticket)
            if deferred is not None:
                deferred.settle(each.response)

    def _settings(self) -> GroupSettings:
        config = self._config
        return GroupSettings(
            max_metadata_bytes=config.offset_metadata_max_bytes,
            initial_rebalance_delay_ms=config.group_initial_rebalance_delay_ms,
            min_session_timeout_ms=config.group_min_session_timeout_ms,
            max_session_timeout_ms=config.group_max_session_timeout_ms,
            max_size=config.group_max_size,
            offsets_retention_ms=config.offsets_retention_minutes * 60_000,
        )

    def _new_id(self) -> str:
        """A fresh UUID in the usual form, as member ids end with."""
        text = random_id(self._random).hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def _now(self) -> Moment:
        return Moment(self._clock.now_ms(), int(self._loop_time() * 1000))


def _settle(answers: Sequence[tuple[Deferred[Response], Response]]) -> None:
    for deferred, response in answers:
        deferred.settle(response)
