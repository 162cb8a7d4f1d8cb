"""One partition as its leader serves it: leadership, durable end, high watermark, and who waits.

Pure and synchronous; the shell tells it what happened (`complete_flush`, `apply`) and it calls back
those who wait. On a single broker it is the cluster's partition with a one-member in-sync replica
set: nothing here knows the difference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kbroker.cluster.metadata_records import PartitionRecord
from log.flushing import FlushTicket
from log.partition_log import AppendResult, PartitionLog
from log.recompression import PreparedBatch
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import BatchHeader

ANY_EPOCH = -1
TO_HIGH_WATERMARK = -1

AppendWaiter = Callable[[ErrorCode], None]
Watcher = Callable[[], None]


class Partition:
    """A leader replica: the log, what of it is durable and committed, and the waiting requests.

    Invariants: log start <= last stable offset <= high watermark <= log end; the high watermark
    never falls while this broker leads in one epoch. `durable_end_offset` is the log's recovery
    point where `flush.messages` is 1, and the log end where the page cache counts as durable.
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
        self._remote_durable_ends: dict[int, int] = {}
        self._durable_waiters: deque[tuple[int, AppendWaiter]] = deque()
        self._committed_waiters: deque[tuple[int, AppendWaiter]] = deque()
        self._watchers: dict[Watcher, None] = {}
        # Whether an offset counts only once it is fsynced; `config_changed` follows the log's.
        self.flushes_each_append = log.config.flush_messages == 1
        self._unflushed_since_ms: int | None = None
        self._is_leader = False
        self._has_min_isr = False
        self.is_stopped = False
        self.apply(record)

    # What clients see.

    @property
    def leader_epoch(self) -> int:
        return self.record.leader_epoch

    @property
    def durable_end_offset(self) -> int:
        """Exclusive: every offset below would survive what the configured durability promises."""
        return self.log.recovery_point if self.flushes_each_append else self.log.log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """Exclusive end of what read_committed consumers see."""
        return self.log.last_stable_offset(self.high_watermark)

    def check_leader(self, current_leader_epoch: int) -> None:
        """Raise unless this broker leads in the epoch that the client knows (-1: any; KIP-320)."""
        if not self._is_leader:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if current_leader_epoch not in (ANY_EPOCH, self.record.leader_epoch):
            if current_leader_epoch < self.record.leader_epoch:
                raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH)
            raise KafkaError(ErrorCode.UNKNOWN_LEADER_EPOCH)

    def end_offset_for_epoch(self, leader_epoch: int) -> tuple[int, int]:
        """(epoch, exclusive end) of the largest known epoch up to `leader_epoch`, else (-1, -1)."""
        return self.log.end_offset_for_epoch(leader_epoch)

    # Appending.

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
        if not self._is_leader:
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

    def prepare_flush(self) -> FlushTicket | None:
        return self.log.prepare_flush()

    def complete_flush(self, ticket: FlushTicket) -> None:
        """The files of `ticket` are durable."""
        self.log.complete_flush(ticket)
        self._advance()
        if self.flushes_each_append and self.log.recovery_point < self.log.log_end_offset:
            self._arm_flush(self)

    def fail_flush(self, ticket: FlushTicket, error: OSError) -> None:
        """The disk refused: nothing past the durable end will ever be acknowledged."""
        self.log.fail_flush(ticket, error)
        self.fail_waiters(ErrorCode.KAFKA_STORAGE_ERROR)

    def config_changed(self) -> None:
        """The log's configuration is another now; what counts as durable may be too."""
        self.flushes_each_append = self.log.config.flush_messages == 1
        if self._is_leader:
            self._advance()
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

    # Leadership.

    def apply(self, record: PartitionRecord) -> None:
        """The partition's metadata changed."""
        assert record.leader_epoch >= self.record.leader_epoch, "a leader epoch never falls"
        was_leader, old_epoch = self._is_leader, self.record.leader_epoch
        self.record = record
        self._is_leader = record.leader == self._node_id
        self._has_min_isr = len(record.isr) >= record.effective_min_isr
        self._remote_durable_ends = {
            broker: self._remote_durable_ends.get(broker, self.log.log_start_offset)
            for broker in record.isr
            if broker != self._node_id
        }
        if self._is_leader:
            if not was_leader or record.leader_epoch != old_epoch:
                # Also with nothing appended: a later truncation asks where this epoch began.
                self.log.assign_epoch_start(record.leader_epoch, self.log.log_end_offset)
            self._advance()
            if self.flushes_each_append and self.log.recovery_point < self.log.log_end_offset:
                self._arm_flush(self)
        elif was_leader:
            self.fail_waiters(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def fail_waiters(self, code: ErrorCode) -> None:
        """Nothing will be acknowledged any more: answer all who wait, wake all who watch."""
        for queue in (self._durable_waiters, self._committed_waiters):
            while queue:
                queue.popleft()[1](code)
        self._wake_watchers()

    def stop(self, code: ErrorCode) -> None:
        """The partition is gone from this broker (deleted, or its disk failed)."""
        self._is_leader = False
        self.is_stopped = True
        self.fail_waiters(code)

    # The rules.

    def _appended(self) -> None:
        log = self.log
        if self.flushes_each_append:
            self._arm_flush(self)
            return
        self._advance()
        if log.log_end_offset - log.recovery_point >= log.config.flush_messages:
            self._arm_flush(self)

    def _advance(self) -> None:
        """Recompute the high watermark: the minimum of the durable ends of the in-sync replicas,
        the leader's included, while there are enough of them (KIP-966)."""
        durable_end = self.durable_end_offset
        waiters = self._durable_waiters
        while waiters and waiters[0][0] < durable_end:
            waiters.popleft()[1](ErrorCode.NONE)
        if not (self._is_leader and self._has_min_isr):
            return
        committed = durable_end
        if self._remote_durable_ends:
            committed = min(committed, *self._remote_durable_ends.values())
        if committed <= self.high_watermark:
            return
        self.high_watermark = committed
        waiters = self._committed_waiters
        while waiters and waiters[0][0] < committed:
            waiters.popleft()[1](ErrorCode.NONE)
        if self._watchers:
            self._wake_watchers()

    def _wake_watchers(self) -> None:
        for watcher in list(self._watchers):
            watcher()
