"""What a follower takes over from the leader of one epoch: its offsets, and where to cut.

Counterpart: `partition`, which appends what the leader sent and keeps the high watermark.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from kbroker.replication.divergence import truncation_offset
from log.leader_epochs import UNDEFINED_EPOCH
from log.partition_log import PartitionLog

logger = logging.getLogger(__name__)

UNKNOWN_OFFSET = -1


class Following:
    """A follower of one leader, in one leader epoch. Mutable: what that leader said last."""

    __slots__ = (
        "_leader_high_watermark",
        "_leader_log_start",
        "_log",
        "_on_appended",
        "_on_heard",
        "_on_truncated",
        "leader",
        "leader_epoch",
    )

    def __init__(
        self,
        log: PartitionLog,
        leader: int,
        leader_epoch: int,
        *,
        on_appended: Callable[[], None],
        on_truncated: Callable[[], None],
        on_heard: Callable[[], None],
    ) -> None:
        """`on_heard`: the leader's offsets are known anew, and appended what came with them."""
        self.leader = leader
        self.leader_epoch = leader_epoch
        self._log = log
        self._on_appended = on_appended
        self._on_truncated = on_truncated
        self._on_heard = on_heard
        self._leader_high_watermark = UNKNOWN_OFFSET
        self._leader_log_start = UNKNOWN_OFFSET
        # What was never written in an epoch that this broker led; older epochs may come there.
        log.forget_empty_epochs()

    @property
    def last_fetched_epoch(self) -> int:
        """The epoch of the last record, for the Fetch that goes on behind it; -1: none."""
        latest = self._log.leader_epochs.latest_epoch
        return UNDEFINED_EPOCH if latest is None else latest

    def append(
        self,
        records: memoryview,
        *,
        leader_high_watermark: int,
        leader_log_start: int,
        now_ms: int,
    ) -> None:
        """Append the whole batches of the leader's answer, if any, and take its offsets over.

        KafkaError where they do not continue this log or are malformed, OSError: some of them may
        have been appended then.
        """
        log = self._log
        log_end_offset = log.log_end_offset
        try:
            if len(records):
                log.append_as_follower(records, now_ms=now_ms)
        finally:
            if log.log_end_offset > log_end_offset:
                self._on_appended()
        self._leader_high_watermark = leader_high_watermark
        self._leader_log_start = leader_log_start
        self._on_heard()

    def high_watermark(self, own: int, durable_end: int) -> int:
        """The leader's, as far as this log has durably come; `own` before the leader said any.

        A new leader may know less of what is committed than the former one did: then it falls.
        """
        if self._leader_high_watermark == UNKNOWN_OFFSET:
            return own
        return max(min(self._leader_high_watermark, durable_end), self._log.log_start_offset)

    def take_log_start(self, high_watermark: int) -> None:
        """Delete what the leader has deleted, as far as it is known to be committed."""
        log_start = min(self._leader_log_start, high_watermark)
        if log_start > self._log.log_start_offset:
            self._log.advance_log_start(log_start)

    def truncate_to_divergence(self, epoch: int, end_offset: int) -> int:
        """Cut what the leader, asked about this log, says it does not have: its own largest epoch
        up to the one asked about, and where that ends. The new log end; ask again from there.
        OSError."""
        return self.truncate_to(truncation_offset(self._log, epoch, end_offset))

    def truncate_to(self, offset: int) -> int:
        """Drop every record at or past `offset`, durably; the new log end. Raises OSError."""
        former_end_offset = self._log.log_end_offset
        self._log.truncate_to(offset)
        if self._log.log_end_offset != former_end_offset:
            self._truncated(former_end_offset)
        return self._log.log_end_offset

    def truncate_fully_and_start_at(self, offset: int) -> None:
        """Drop every record: the leader has none below `offset` any more. Raises OSError.

        The high watermark goes where the log starts, up or down (KAFKA-9491).
        """
        former_end_offset = self._log.log_end_offset
        self._log.truncate_fully_and_start_at(offset)
        self._truncated(former_end_offset)

    def _truncated(self, former_end_offset: int) -> None:
        log = self._log
        logger.info(
            "%s: the log that ended at %d has offsets %d to %d, as broker %d leads in epoch %d",
            log.name,
            former_end_offset,
            log.log_start_offset,
            log.log_end_offset,
            self.leader,
            self.leader_epoch,
            extra={"topic": log.topic, "partition": log.partition},
        )
        self._on_truncated()
