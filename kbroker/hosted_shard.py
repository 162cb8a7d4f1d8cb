"""One group shard on its partition of `__consumer_offsets`: appends, and the one timer.

Counterpart: `coordination`, which decides when.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from coordinator.group.shard import GroupShard
from coordinator.outcome import CoordinatorRecord
from kbroker.replication.partition import Partition
from kbroker.watch import Deadlines
from wire.records.batch import build_batch
from wire.records.batch_header import HEADER_SIZE
from wire.records.record import Record

ALL_REPLICAS = -1

RECORD_OVERHEAD_BYTES = 20
"""What a record alone in its batch has beside key and value, at most: attributes, a count of no
headers, two deltas of zero (a byte each), and three lengths (up to five bytes each)."""


class HostedShard:
    """A shard that is served. Mutable; it is served until `dropped`."""

    __slots__ = (
        "_armed_ms",
        "_bucket",
        "_deadlines",
        "_loop_time",
        "_on_deadline",
        "dropped",
        "index",
        "leader_epoch",
        "partition",
        "shard",
    )

    def __init__(
        self,
        shard: GroupShard,
        partition: Partition,
        *,
        deadlines: Deadlines,
        loop_time: Callable[[], float],
        on_deadline: Callable[[HostedShard], None],
    ) -> None:
        """`on_deadline` is called no earlier than the shard's next deadline; it ends with `arm`."""
        self.shard = shard
        self.partition = partition
        self.index = partition.index
        self.leader_epoch = partition.leader_epoch
        self.dropped = False
        self._deadlines = deadlines
        self._loop_time = loop_time
        self._on_deadline = on_deadline
        self._armed_ms: int | None = None  # None: no timer runs
        self._bucket = -1

    def follow_limits(self) -> None:
        """A group's record may be as large as the partition takes it, also since that was altered.

        Looked at before each change of a group's members, as a comparison of numbers.
        """
        overhead = HEADER_SIZE + RECORD_OVERHEAD_BYTES
        largest = self.partition.log.config.max_message_bytes - overhead
        if largest != self.shard.settings.max_record_bytes:
            self.shard.settings = dataclasses.replace(self.shard.settings, max_record_bytes=largest)

    def append(self, records: Sequence[CoordinatorRecord], now_ms: int) -> int:
        """Append `records` as one batch and replay them; returns the last offset.

        KafkaError, OSError: nothing was appended, and nothing changed.
        """
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
        result = self.partition.append_as_leader(
            memoryview(batch), now_ms=now_ms, required_acks=ALL_REPLICAS, internal=True
        )
        for record in records:
            self.shard.replay(record.key, record.value)
        return result.last_offset

    @property
    def last_offset(self) -> int:
        """That of the newest record; -1 where there is none."""
        return self.partition.log.log_end_offset - 1

    def is_committed(self, last_offset: int) -> bool:
        """Whether what was appended up to `last_offset` may be told."""
        return self.partition.is_acknowledged(last_offset, ALL_REPLICAS)

    def steady_ms(self) -> int:
        """Time that never steps back."""
        return int(self._loop_time() * 1000)

    def arm(self) -> None:
        """See that the timer rings no later than the shard's next deadline.

        One that rings too early is armed again then: heartbeats move deadlines all the time.
        """
        due_ms = self.shard.next_deadline_ms()
        if due_ms is None or self.dropped:
            return
        if self._armed_ms is not None:
            if self._armed_ms <= due_ms:
                return
            self._deadlines.remove(self._bucket, self._ring)
        self._armed_ms = due_ms
        self._bucket = self._deadlines.add(due_ms - self.steady_ms(), self._ring)

    def drop(self) -> None:
        """It is served no longer."""
        self.dropped = True
        if self._armed_ms is not None:
            self._deadlines.remove(self._bucket, self._ring)
            self._armed_ms = None

    def _ring(self) -> None:
        self._armed_ms = None
        if not self.dropped:
            self._on_deadline(self)
