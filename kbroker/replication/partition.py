"""One replica of a partition: who leads, durable end, high watermark, and who waits.

Pure and synchronous; the shell tells it what happened (`complete_flush`, `fetched_by_follower`,
`apply`) and it calls back those who wait. On a single broker it is the cluster's partition with a
one-member in-sync replica set. The rules have the names of `simulator.model.rules`. Counterparts:
`isr` (what a leader knows of its followers), `divergence` (where two replicas' logs part).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Container, Mapping

from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord
from kbroker.replication import divergence
from kbroker.replication.following import Following
from kbroker.replication.isr import InSyncReplicas, IsrProposal
from log.flushing import FlushTicket
from log.partition_log import AppendResult, PartitionLog
from log.recompression import PreparedBatch
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import BatchHeader

logger = logging.getLogger(__name__)

ANY_EPOCH = -1
TO_HIGH_WATERMARK = -1
UNKNOWN_OFFSET = -1

AppendWaiter = Callable[[ErrorCode], None]
Watcher = Callable[[], None]


class Partition:
    """The log, what of it is durable and committed, and the waiting requests. Mutable.

    Invariants: log start <= last stable offset <= high watermark <= log end; the high watermark
    never falls while this broker leads in one epoch. `durable_end_offset` is the log's recovery
    point where `flush.messages` is 1, and the log end where the page cache counts as durable.
    `in_sync` is there while this broker leads a partition of several replicas.
    """

    def __init__(
        self,
        *,
        topic: str,
        index: int,
        node_id: int,
        record: PartitionRecord,
        log: PartitionLog,
        high_watermark: int,
        arm_flush: Callable[[Partition], None],
        is_internal: bool = False,
    ) -> None:
        self.topic = topic
        self.is_internal = is_internal
        self.index = index
        self.log = log
        self.record = record
        self.high_watermark = min(max(high_watermark, log.log_start_offset), log.log_end_offset)
        self._node_id = node_id
        self._arm_flush = arm_flush
        self.in_sync: InSyncReplicas | None = None
        self.epoch_start_offset = UNKNOWN_OFFSET  # of the leader epoch that this broker leads in
        self._durable_waiters: deque[tuple[int, AppendWaiter]] = deque()
        self._committed_waiters: deque[tuple[int, AppendWaiter]] = deque()
        self._watchers: dict[Watcher, None] = {}
        self._end_watchers: dict[Watcher, None] = {}
        # Whether an offset counts only once it is fsynced; `config_changed` follows the log's.
        self.flushes_each_append = log.config.flush_messages == 1
        self._unflushed_since_ms: int | None = None
        self.is_leader = False
        self._has_min_isr = False
        self._may_commit = False  # both of these
        self._abdicated_epoch = UNKNOWN_OFFSET  # led no more, in it or before: see `step_down`
        self._following: Following | None = None
        self.is_stopped = False
        self._take_role(epoch_changed=True)

    # What clients see.

    @property
    def leader_epoch(self) -> int:
        return self.record.leader_epoch

    @property
    def is_follower(self) -> bool:
        """Whether there is another broker to fetch from."""
        return self._following is not None

    @property
    def is_high_watermark_known(self) -> bool:
        """Whether nothing that was committed before this leader's epoch is above its watermark.

        Until then neither an end of the log nor a coordinator's state can be told (rule 8).
        """
        return self.is_leader and self.high_watermark >= self.epoch_start_offset

    @property
    def durable_end_offset(self) -> int:
        """Exclusive: every offset below would survive what the configured durability promises."""
        return self.log.recovery_point if self.flushes_each_append else self.log.log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """Exclusive end of what read_committed consumers see."""
        return self.log.last_stable_offset(self.high_watermark)

    def check_leader(self, current_leader_epoch: int, *, or_follower: bool = False) -> None:
        """Raise unless this broker leads in the epoch that the client knows (-1: any; KIP-320)."""
        if not (self.is_leader or (or_follower and self.is_follower)):
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if current_leader_epoch not in (ANY_EPOCH, self.record.leader_epoch):
            if current_leader_epoch < self.record.leader_epoch:
                raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH)
            raise KafkaError(ErrorCode.UNKNOWN_LEADER_EPOCH)

    def end_offset_for_epoch(self, leader_epoch: int) -> tuple[int, int]:
        """(epoch, exclusive end) of the largest known epoch up to `leader_epoch`, else (-1, -1)."""
        return self.log.end_offset_for_epoch(leader_epoch)

    # Leading.

    def append_as_leader(
        self,
        records: memoryview,
        *,
        now_ms: int,
        required_acks: int,
        header: BatchHeader | None = None,
        transactional_id_given: bool = False,
        internal: bool = False,
        prepared: PreparedBatch | None = None,
    ) -> AppendResult:
        """Append one batch; it takes effect at once. Raises KafkaError, OSError (disk)."""
        if not self.is_leader:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if self.is_internal and not internal:
            message = f"Cannot append to internal topic {self.topic}"
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, message)
        if required_acks == -1 and not self._has_min_isr:
            raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
        log = self.log
        result = log.append_as_leader(
            records,
            leader_epoch=self.record.leader_epoch,
            now_ms=now_ms,
            header=header,
            transactional_id_given=transactional_id_given,
            internal=internal,
            prepared=prepared,
        )
        if not result.duplicate:
            self._appended()
        elif self.flushes_each_append and log.recovery_point < log.log_end_offset:
            self._arm_flush(self)  # the first time may not have come to its flush
        return result

    def is_acknowledged(self, last_offset: int, required_acks: int) -> bool:
        """Whether an append up to `last_offset` may be answered."""
        if required_acks == -1:
            return last_offset < self.high_watermark
        return last_offset < self.durable_end_offset

    def when_acknowledged(self, last_offset: int, required_acks: int, waiter: AppendWaiter) -> None:
        """Call `waiter(NONE)` once `is_acknowledged`, or with the error when leadership is lost."""
        queue = self._committed_waiters if required_acks == -1 else self._durable_waiters
        queue.append((last_offset, waiter))

    def when_durable(self, offset: int, waiter: AppendWaiter) -> None:
        """Call `waiter(NONE)` once the log is durable up to `offset`, exclusive; perhaps at once.

        Else with KAFKA_STORAGE_ERROR, or NOT_LEADER_OR_FOLLOWER when the leader epoch or the log
        is another.
        """
        if offset <= self.durable_end_offset:
            waiter(ErrorCode.NONE)
        else:
            self._durable_waiters.append((offset - 1, waiter))

    def diverging_epoch(self, last_fetched_epoch: int, fetch_offset: int) -> tuple[int, int] | None:
        """What to answer to a Fetch from a log that is not a prefix of this one: (epoch, end
        offset). None: it is one. KafkaError(OFFSET_OUT_OF_RANGE)."""
        return divergence.diverging_epoch(self.log, last_fetched_epoch, fetch_offset)

    def fetched_by_follower(
        self,
        broker_id: int,
        broker_epoch: int,
        fetch_offset: int,
        log_start_offset: int,
        *,
        now: float,
    ) -> bool:
        """A follower has everything below `fetch_offset` durably: nothing diverged there.

        It may raise the high watermark. True: it may want to join (`InSyncReplicas.propose`).
        KafkaError: NOT_LEADER_OR_FOLLOWER, UNKNOWN_LEADER_EPOCH from who is no replica here.
        """
        in_sync = self.in_sync
        if in_sync is None:
            refusal = ErrorCode.UNKNOWN_LEADER_EPOCH
            raise KafkaError(refusal if self.is_leader else ErrorCode.NOT_LEADER_OR_FOLLOWER)
        wants_to_join = in_sync.fetched(
            broker_id,
            broker_epoch,
            fetch_offset,
            log_start_offset,
            now=now,
            leader_log_end=self.log.log_end_offset,
        )
        self.advance_high_watermark()
        return wants_to_join

    def propose_isr(
        self, now: float, *, lag_max_s: float, active: Mapping[int, int]
    ) -> IsrProposal | None:
        """The change of the ISR that is due, under way from here on; see `InSyncReplicas`."""
        if self.in_sync is None:
            return None
        proposal = self.in_sync.propose(
            now,
            high_watermark=self.high_watermark,
            leader_log_end=self.log.log_end_offset,
            lag_max_s=lag_max_s,
            active=active,
        )
        self.advance_high_watermark()  # somebody may be waited for no longer
        return proposal

    def low_watermark(self, live: Container[int]) -> int:
        """The lowest log start of this leader and its live followers: below it all is deleted."""
        own = self.log.log_start_offset
        return own if self.in_sync is None else self.in_sync.lowest_log_start(own, live)

    def delete_records(self, before_offset: int) -> int:
        """Serve nothing below `before_offset` any more (-1: the high watermark); the log start.

        What was deleted already stays deleted. KafkaError: NOT_LEADER_OR_FOLLOWER,
        POLICY_VIOLATION where the topic is only compacted, OFFSET_OUT_OF_RANGE past the high
        watermark.
        """
        self.check_leader(ANY_EPOCH)
        log = self.log
        if "delete" not in log.config.cleanup_policy:
            raise KafkaError(ErrorCode.POLICY_VIOLATION)
        offset = self.high_watermark if before_offset == TO_HIGH_WATERMARK else before_offset
        if not 0 <= offset <= self.high_watermark:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        log.advance_log_start(offset)
        return log.log_start_offset

    # Following.

    def followed_in(self, leader_epoch: int) -> Following:
        """What takes the answer to a Fetch that was made in that epoch.

        KafkaError(NOT_LEADER_OR_FOLLOWER) if that is over: drop the answer (KAFKA-7786, 13207).
        """
        if self._following is None or self._following.leader_epoch != leader_epoch:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return self._following

    def _truncated(self) -> None:
        log = self.log
        if log.log_end_offset < self.high_watermark:
            logger.warning("%s was cut below its high watermark", log.name)
        high_watermark = min(self.high_watermark, log.log_end_offset)
        self.high_watermark = max(high_watermark, log.log_start_offset)
        self.fail_waiters(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    # Flushing.

    def prepare_flush(self) -> FlushTicket | None:
        return self.log.prepare_flush()

    def complete_flush(self, ticket: FlushTicket) -> None:
        """The files of `ticket` are durable."""
        self.log.complete_flush(ticket)
        self.advance_high_watermark()
        if self.flushes_each_append and self.log.recovery_point < self.log.log_end_offset:
            self._arm_flush(self)

    def fail_flush(self, ticket: FlushTicket, error: OSError) -> None:
        """The disk refused: nothing past the durable end will ever be acknowledged."""
        self.log.fail_flush(ticket, error)
        self.fail_waiters(ErrorCode.KAFKA_STORAGE_ERROR)

    def config_changed(self) -> None:
        """The log's configuration is another now; what counts as durable may be too."""
        self.flushes_each_append = self.log.config.flush_messages == 1
        self.advance_high_watermark()
        if self.log.recovery_point < self.log.log_end_offset:
            self._arm_flush(self)

    def flush_if_overdue(self, now_ms: int) -> None:
        """Arm a flush if the oldest unflushed append is older than `flush.ms`."""
        log = self.log
        if log.recovery_point == log.log_end_offset:
            self._unflushed_since_ms = None
        elif self._unflushed_since_ms is None:
            self._unflushed_since_ms = now_ms
        elif now_ms - self._unflushed_since_ms >= log.config.flush_ms:
            self._unflushed_since_ms = None
            self._arm_flush(self)

    # Watching: parked fetches.

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` whenever there is more to read, or leadership changes."""
        self._watchers[watcher] = None

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.pop(watcher, None)

    def watch_end(self, watcher: Watcher) -> None:
        """Call `watcher` whenever something was appended, or leadership changes."""
        self._end_watchers[watcher] = None

    def unwatch_end(self, watcher: Watcher) -> None:
        self._end_watchers.pop(watcher, None)

    # Leadership.

    def apply(self, record: PartitionRecord) -> None:
        """The partition's metadata changed. Rule newer-record-only: or this is old news."""
        former = self.record
        if self.is_stopped or _age_of(record) <= _age_of(former):
            return
        assert record.leader_epoch >= former.leader_epoch, "a leader epoch never falls"
        self.record = record
        self._take_role(epoch_changed=record.leader_epoch != former.leader_epoch)

    def step_down(self) -> None:
        """This broker is no member of the cluster any more: it leads nothing before a record says
        so in a higher leader epoch."""
        self._abdicated_epoch = self.record.leader_epoch
        self._take_role(epoch_changed=False)

    def _take_role(self, *, epoch_changed: bool) -> None:
        record = self.record
        was_leader, led = self.is_leader, record.leader == self._node_id
        self.is_leader = led and record.leader_epoch > self._abdicated_epoch
        self._has_min_isr = len(record.isr) >= record.effective_min_isr
        self._may_commit = self.is_leader and self._has_min_isr
        if epoch_changed or was_leader != self.is_leader:
            self._begin_epoch()
        if self.is_leader:
            self._count_replicas()
        self.advance_high_watermark()
        if self.flushes_each_append and self.log.recovery_point < self.log.log_end_offset:
            self._arm_flush(self)

    def _begin_epoch(self) -> None:
        record, log = self.record, self.log
        # Rule ends-of-this-epoch: nobody has told this leader anything yet.
        self.in_sync = self._following = None
        self.fail_waiters(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if self.is_leader:
            self.epoch_start_offset = log.log_end_offset
            # Also with nothing appended: a later truncation asks where this epoch began.
            log.assign_epoch_start(record.leader_epoch, log.log_end_offset)
        elif record.leader not in (NO_LEADER, self._node_id):
            self._following = Following(
                log,
                record.leader,
                record.leader_epoch,
                on_appended=self._appended,
                on_truncated=self._truncated,
                on_heard=self.advance_high_watermark,
            )

    def _count_replicas(self) -> None:
        record = self.record
        if len(record.replicas) == 1:
            self.in_sync = None
        elif self.in_sync is None:
            self.in_sync = InSyncReplicas(self._node_id, record, self.epoch_start_offset)
        elif self.in_sync.record is not record:
            self.in_sync.applied(record)

    def fail_waiters(self, code: ErrorCode) -> None:
        """Nothing will be acknowledged any more: answer all who wait, wake all who watch."""
        for queue in (self._durable_waiters, self._committed_waiters):
            while queue:
                queue.popleft()[1](code)
        _wake(self._watchers)
        _wake(self._end_watchers)

    def stop(self, code: ErrorCode) -> None:
        """The partition is gone from this broker (deleted, or its disk failed)."""
        self.is_leader = self._may_commit = False
        self.is_stopped = True
        self.in_sync = self._following = None
        self.fail_waiters(code)

    # The rules.

    def _appended(self) -> None:
        log = self.log
        if self._end_watchers:
            _wake(self._end_watchers)
        if self.flushes_each_append:
            self._arm_flush(self)
            return
        self.advance_high_watermark()
        if log.log_end_offset - log.recovery_point >= log.config.flush_messages:
            self._arm_flush(self)

    def advance_high_watermark(self) -> None:
        """Recompute the high watermark. Rules durable-ends, min-isr-gate: the minimum of the
        durable ends of the in-sync replicas, the leader's included, while there are enough of them
        by the record that it leads by (KIP-966)."""
        durable_end = self.durable_end_offset
        waiters = self._durable_waiters
        while waiters and waiters[0][0] < durable_end:
            waiters.popleft()[1](ErrorCode.NONE)
        if not self._may_commit:
            if self._following is not None:
                self._follow(self._following, durable_end)
            return
        committed = durable_end
        if self.in_sync is not None:
            committed = self.in_sync.committed_end(committed)
        if committed <= self.high_watermark:
            return
        self.high_watermark = committed
        waiters = self._committed_waiters
        while waiters and waiters[0][0] < committed:
            waiters.popleft()[1](ErrorCode.NONE)
        if self._watchers:
            _wake(self._watchers)

    def _follow(self, following: Following, durable_end: int) -> None:
        high_watermark = following.high_watermark(self.high_watermark, durable_end)
        if high_watermark != self.high_watermark:
            self.high_watermark = high_watermark
            if self._watchers:
                _wake(self._watchers)
        following.take_log_start(high_watermark)


def _age_of(record: PartitionRecord) -> tuple[int, int]:
    return record.partition_epoch, record.mod_revision


def _wake(watchers: dict[Watcher, None]) -> None:
    for watcher in list(watchers):
        watcher()
