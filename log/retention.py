"""Which segments are old enough to go: facts in, a plan out; `PartitionLog` carries it out.

The rules are Kafka's: whole segments from the oldest on, by the largest record timestamp, by size,
or because they lie below the log start; never a record at or past the high watermark (KAFKA-5634).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from log.log_config import LogConfig
from log.segment import Segment

FAR_FUTURE_MS = 24 * 3600 * 1000
"""A record this far ahead of the clock says nothing about its age: its file's time does."""

RETIRED_TOGETHER = 8
"""Each segment that is deleted waits for the disk: after so many, others have their turn."""


class RetentionFacts(Protocol):
    """What retention asks of a segment. Only what decides is asked: the times may cost a read.

    `end_offset` is where the next segment starts, or the log ends. `largest_timestamp_ms` is -1
    where no record has one; `modified_ms` is the file's.
    """

    @property
    def end_offset(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def largest_timestamp_ms(self) -> int: ...

    @property
    def modified_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """The facts about a segment of a log, looked up when asked.

    A time at which it would go, before `retained_from_ms` or far in the future, is not taken from
    its time index without a look at its batches.
    """

    segment: Segment
    end_offset: int
    retained_from_ms: int
    now_ms: int

    @property
    def size_bytes(self) -> int:
        return self.segment.size

    @property
    def largest_timestamp_ms(self) -> int:
        timestamp, _ = self.segment.largest_timestamp()
        if not self.retained_from_ms <= timestamp <= self.now_ms + FAR_FUTURE_MS:
            self.segment.confirm_largest_timestamp()
            timestamp, _ = self.segment.largest_timestamp()
        return timestamp

    @property
    def modified_ms(self) -> int:
        return self.segment.modified_ms()


def old_segments(
    segments: Iterable[Segment],
    *,
    config: LogConfig,
    log_start_offset: int,
    log_end_offset: int,
    high_watermark: int,
    now_ms: int,
) -> list[Segment]:
    """The segments that go now, oldest first; see `plan_retention`."""
    listed = list(segments)
    ends = [segment.base_offset for segment in listed[1:]] + [log_end_offset]
    retained_from_ms = now_ms - config.retention_ms
    facts = [
        SegmentFacts(segment, end, retained_from_ms, now_ms)
        for segment, end in zip(listed, ends, strict=True)
    ]
    if not listed[-1].size:
        # Nothing is won by replacing an active segment that is empty.
        del facts[-1]
    count = plan_retention(
        facts,
        config=config,
        log_start_offset=log_start_offset,
        high_watermark=high_watermark,
        now_ms=now_ms,
    )
    return listed[: min(count, RETIRED_TOGETHER)]


def plan_retention(
    segments: Sequence[RetentionFacts],
    *,
    config: LogConfig,
    log_start_offset: int,
    high_watermark: int,
    now_ms: int,
) -> int:
    """How many of the oldest segments go. All of them is possible: the caller rolls first, and
    leaves out an active segment that is empty, as nothing is won by replacing it.

    A compacted topic without "delete" loses only what lies below the log start.
    """

    def is_below_start(segment: RetentionFacts) -> bool:
        return segment.end_offset <= log_start_offset

    def is_expired(segment: RetentionFacts) -> bool:
        return now_ms - _age_timestamp(segment, now_ms) > config.retention_ms

    count = 0
    rules: list[Callable[[RetentionFacts], bool]] = [is_below_start]
    if "delete" in config.cleanup_policy and config.retention_ms >= 0:
        rules.insert(0, is_expired)
    for rule in rules:
        count += _count_while(segments[count:], rule, high_watermark)
    if "delete" in config.cleanup_policy and config.retention_bytes >= 0:
        count += _count_by_size(segments[count:], config.retention_bytes, high_watermark)
    return count


def _age_timestamp(segment: RetentionFacts, now_ms: int) -> int:
    timestamp = segment.largest_timestamp_ms
    if timestamp < 0 or timestamp > now_ms + FAR_FUTURE_MS:
        return segment.modified_ms
    return timestamp


def _may_go(segment: RetentionFacts, high_watermark: int) -> bool:
    return segment.end_offset <= high_watermark


def _count_while(
    segments: Sequence[RetentionFacts], rule: Callable[[RetentionFacts], bool], high_watermark: int
) -> int:
    count = 0
    for segment in segments:
        if not (_may_go(segment, high_watermark) and rule(segment)):
            break
        count += 1
    return count


def _count_by_size(
    segments: Sequence[RetentionFacts], retention_bytes: int, high_watermark: int
) -> int:
    excess = sum(segment.size_bytes for segment in segments) - retention_bytes
    count = 0
    for segment in segments:
        if excess < segment.size_bytes or not _may_go(segment, high_watermark):
            break
        excess -= segment.size_bytes
        count += 1
    return count
